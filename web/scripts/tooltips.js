// Tooltips open inside the page's main landmark; Bootstrap would put them outside of all, where a
// screen reader may not find them.
for (const element of document.querySelectorAll("[data-bs-toggle='tooltip']")) {
  element.dataset.bsContainer = "#main-content";
}
