/* Keeps each `data-due` (time left) and `data-ago` (time since) live. */
(() => {
  const UNITS = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];

  function span(seconds) {
    const at = UNITS.findIndex(([size]) => seconds >= size);
    if (at < 0) return "0s";
    const [size, name] = UNITS[at];
    const first = `${Math.floor(seconds / size)}${name}`;
    const next = UNITS[at + 1];
    const rest = next ? Math.floor((seconds % size) / next[0]) : 0;
    return rest ? `${first} ${rest}${next[1]}` : first;
  }

  function draw(root) {
    const now = Date.now();
    for (const time of root.querySelectorAll("[data-due]")) {
      const left = Math.floor((Date.parse(time.dataset.due) - now) / 1000);
      time.textContent = left < 0 ? `${span(-left).split(" ")[0]} over` : span(left);
      time.classList.toggle("t-over", left < 0);
      time.classList.toggle("t-soon", left >= 0 && left < 600);
    }
    for (const time of root.querySelectorAll("[data-ago]")) {
      const past = Math.max(0, Math.floor((now - Date.parse(time.dataset.ago)) / 1000));
      const size = past < 60 ? 0 : past;
      time.textContent = past > 2592000 ? time.title.split(",")[0] : size ? `${span(size).split(" ")[0]} ago` : "just now";
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    draw(document);
    setInterval(() => draw(document), 1000);
  });
  document.addEventListener("htmx:afterSwap", (event) => draw(event.target.parentNode || document));
})();
