/* A chosen filter takes effect at once; empty ones stay out of the address. */
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("[data-filters]");
  form.querySelector("[data-without-script]").hidden = true;
  form.addEventListener("change", (event) => {
    if (event.target.matches("select")) form.requestSubmit();
  });
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (!field.value) field.disabled = true;
  });
  window.addEventListener("pageshow", () => {
    for (const field of form.elements) field.disabled = false;
  });
});
