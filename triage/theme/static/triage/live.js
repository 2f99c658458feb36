/* The queue draws itself anew as items come in, but never under a hand that is at work in it:
 * then a bar says what is new, and what came waits until it is pressed or the hand is gone. */
(() => {
  let held = "";

  const list = () => document.getElementById("queue");
  const isBusy = (rows) =>
    (matchMedia("(hover: hover)").matches && rows.matches(":hover")) || rows.contains(document.activeElement);

  function ids(root) {
    return new Set([...root.querySelectorAll("[data-item]")].map((row) => row.dataset.item));
  }

  function parsed(html) {
    const box = document.createElement("template");
    box.innerHTML = html;
    return box.content;
  }

  function tell(html) {
    const here = ids(list());
    const news = [...ids(parsed(html))].filter((id) => !here.has(id)).length;
    const bar = list().querySelector("[data-show-news]");
    bar.textContent = news ? `${news} new — show` : "The queue has changed — show";
    bar.hidden = false;
  }

  function show() {
    const old = list();
    const focused = document.activeElement?.closest?.("[data-item]")?.dataset.item;
    old.replaceWith(parsed(held));
    held = "";
    htmx.process(list());
    if (focused) list().querySelector(`[data-item="${focused}"] a`)?.focus();
    document.dispatchEvent(new CustomEvent("htmx:afterSwap"));
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target === list() && document.hidden) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target !== list() || event.detail.xhr.status !== 200) return;
    event.detail.shouldSwap = false;
    if (!event.detail.xhr.responseURL.includes("rows=")) return location.reload(); // logged out
    held = event.detail.xhr.responseText;
    if (isBusy(list())) tell(held); else show();
  });
  document.addEventListener("click", (event) => {
    if (held && event.target.closest("[data-show-news]")) show();
  });
  document.addEventListener("mouseout", (event) => {
    if (held && !list().contains(event.relatedTarget) && !list().contains(document.activeElement)) show();
  });
})();
