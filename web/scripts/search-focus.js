// Closing the search gives the focus back to where the reader was.
{
  const dialog = document.querySelector(".search-button__wrapper");
  let before = null;
  document.addEventListener("focusin", ({ target }) => {
    if (!dialog.contains(target)) before = target;
  });
  new MutationObserver(() => {
    if (!dialog.classList.contains("show")) before?.focus();
  }).observe(dialog, { attributeFilter: ["class"] });
}
