/* A template's chip puts its filled text into the reply; what is left to fill is named. */
document.addEventListener("DOMContentLoaded", () => {
  const area = document.getElementById("reply");
  if (!area) return;
  const missing = document.querySelector("[data-missing]");

  function check() {
    const names = [...new Set(area.value.match(/\{\w+\}/g) || [])];
    missing.hidden = !names.length;
    missing.textContent = `Still to fill in: ${names.join(", ")}`;
  }

  for (const chip of document.querySelectorAll("[data-template]")) {
    chip.addEventListener("click", (event) => {
      event.preventDefault();
      if (area.value.trim() && area.value !== area.dataset.filled && !confirm("Replace what you wrote?")) return;
      area.value = area.dataset.filled = chip.dataset.text;
      area.form.elements.template.value = chip.dataset.template;
      for (const other of document.querySelectorAll("[data-template]"))
        other.classList.toggle("t-chosen", other === chip);
      check();
      area.focus();
      const hole = area.value.match(/\{\w+\}/);
      if (hole) area.setSelectionRange(hole.index, hole.index + hole[0].length);
    });
  }
  area.addEventListener("input", check);
  check();
});
