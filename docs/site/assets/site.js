// What the theme leaves without a name gets one, so that readers of screens tell it from the rest. A table or a
// block of code that is wider than its column scrolls, and the keyboard reaches it.
const name = () => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-code__nav:not([aria-label])").forEach((box) => {
    box.setAttribute("aria-label", `Code ${document.querySelectorAll(".md-code__nav[aria-label]").length + 1}`);
  });
  for (const box of document.querySelectorAll(".md-nav[data-md-level][aria-labelledby]")) {
    if (box.dataset.mdLevel === "0") continue;
    const title = document.getElementById(box.getAttribute("aria-labelledby"));
    box.removeAttribute("aria-labelledby");
    box.setAttribute("aria-label", `Pages of ${title.textContent.trim()}`);
  }
};
const reach = () => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .highlight pre, .highlight code")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
};
document.addEventListener("DOMContentLoaded", () => {
  name();
  reach();
  new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
});
