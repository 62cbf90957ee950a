// What scrolls sideways takes the focus, so that the arrow keys reach all of it. A block is measured
// when the browser lays it out, not before: the theme measures all, which lays out the whole page.
{
  const watch = new ResizeObserver((entries) => {
    const wide = entries.map(({ target }) => target.scrollWidth > target.clientWidth);
    entries.forEach(({ target }, i) => {
      if (wide[i]) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    });
  });
  const blocks = "pre, .cell_output > .output, .katex-display, main article table";
  for (const block of document.querySelectorAll(blocks)) watch.observe(block);
}
