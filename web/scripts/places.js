// Who follows a link to a place on the page must land there: then every section is laid out, since
// the height of one that never was is an estimate. The template sees to pages opened at a place.
{
  const page = document.documentElement.dataset;
  const land = () => {
    document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
  };
  document.addEventListener(
    "click",
    ({ target }) => {
      if (target.closest?.("a[href*='#']")) page.whole = "";
    },
    true,
  );
  addEventListener("hashchange", () => {
    if ("whole" in page) return;
    page.whole = "";
    land();
  });
  // Chromium sometimes stays at the top of a long page.
  const arrive = () => {
    if (location.hash && scrollY === 0) land();
  };
  if (document.readyState === "complete") arrive();
  else addEventListener("load", arrive);
}
