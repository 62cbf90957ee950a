// A panel that opens takes the focus as soon as it shows. The theme tries once, after 0.1 seconds:
// in vain where the machine needs longer.
for (const side of ["primary", "secondary"]) {
  const panel = document.querySelector(`.bd-sidebar-${side}`);
  const open = document.getElementById(`pst-${side}-sidebar-checkbox`);
  const take = () => {
    if (!open.checked || panel.contains(document.activeElement)) return;
    for (const stop of panel.querySelectorAll("a, button")) {
      stop.focus();
      if (stop === document.activeElement) return;
    }
    requestAnimationFrame(take);
  };
  const button = document.querySelector(`.${side}-toggle`);
  button?.addEventListener("click", () => requestAnimationFrame(take));
}
