/* An open menu closes by Escape and by a click beside it. */
(() => {
  function close(except) {
    for (const menu of document.querySelectorAll("[data-menu][open]"))
      if (!menu.contains(except)) menu.open = false;
  }
  document.addEventListener("click", (event) => close(event.target));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(null); });
})();
