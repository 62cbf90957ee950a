// Marks in "On this page" the section that the reader is in: the innermost one that crosses a line
// near the top of the window. Bootstrap's way lays out the whole page to know where sections are.
{
  const links = new Map();
  for (const link of document.querySelectorAll(".bd-toc-nav a[href^='#']")) {
    links.set(document.getElementById(decodeURIComponent(link.hash.slice(1))), link);
  }
  links.delete(null);
  const crossed = new Set();
  const watch = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        crossed[isIntersecting ? "add" : "delete"](target);
      }
      for (const item of document.querySelectorAll(".bd-toc-nav .active")) {
        item.classList.remove("active");
        item.removeAttribute("aria-current");
      }
      const link = [...links].findLast(([section]) => crossed.has(section))?.[1];
      link?.setAttribute("aria-current", "location");
      let item = link?.closest("li");
      while (item) {
        item.classList.add("active");
        item.querySelector("a").classList.add("active");
        item = item.parentElement.closest(".bd-toc-nav li");
      }
    },
    { rootMargin: "-15% 0px -85% 0px" },
  );
  for (const section of links.keys()) watch.observe(section);
}
