/* Copies a text and opens the page where a person posts it. */
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy).textContent;
  const label = button.textContent;
  const copied = navigator.clipboard?.writeText(text); // begun before another tab takes the focus
  try {
    await copied;
    button.textContent = copied ? "Copied" : "Select the text and copy it";
  } catch {
    button.textContent = "Select the text and copy it";
  }
  if (button.dataset.open) window.open(button.dataset.open, "_blank", "noopener");
  setTimeout(() => { button.textContent = label; }, 2500);
});
