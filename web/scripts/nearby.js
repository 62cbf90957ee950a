// Does something to each element when it comes near the window, and to all the rest as soon as the
// Tab key is used, which goes from one to the next wherever they are.
function nearby(elements, act) {
  const places = new Map([...elements].map((element, index) => [element, index]));
  const watch = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) if (isIntersecting) meet(target);
    },
    { rootMargin: "800px" },
  );
  const meet = (element) => {
    watch.unobserve(element);
    if (!places.has(element)) return;
    const index = places.get(element);
    places.delete(element);
    act(element, index);
  };
  for (const element of elements) watch.observe(element);
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Tab") for (const element of [...places.keys()]) meet(element);
  });
}
