// A table or a block of code that is wider than its column scrolls, and the keyboard reaches it.
document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .highlight pre, .highlight code")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
});
