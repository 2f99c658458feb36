/* Keys: what has `data-key` is pressed (a field is gone to, an option chosen and sent); two keys
   in a row may name one thing; j and k walk the queue's rows. */
(() => {
  let before = "";
  let at = 0;
  const isField = (element) => element.matches("input, textarea, select, [contenteditable]");

  function walk(step) {
    const links = [...document.querySelectorAll(".t-row-link")];
    if (!links.length) return false;
    const at = links.indexOf(document.activeElement);
    const next = links[Math.min(links.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    return true;
  }

  function press(element) {
    if (element.matches("option")) {
      element.parentElement.value = element.value;
      element.closest("form").requestSubmit();
    } else if (isField(element)) element.focus(); else element.click();
    if (element.matches("summary")) element.parentElement.querySelector("textarea")?.focus();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (isField(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    const named = (keys) => document.querySelector(`[data-key="${CSS.escape(keys)}"]`);
    const isSecond = event.timeStamp - at < 1500;
    const element = (isSecond && named(before + event.key)) || named(event.key);
    [before, at] = [event.key, event.timeStamp];
    if (event.key === "?") document.getElementById("keys").showModal();
    else if (element) press(element);
    else if (event.key === "j" ? !walk(1) : event.key === "k" ? !walk(-1) : true) return;
    event.preventDefault();
  });
})();
