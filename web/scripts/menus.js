// A menu opens at its button, and closes by the button, Escape, a click elsewhere, or leaving it.
for (const button of document.querySelectorAll("[data-bs-toggle='dropdown']")) {
  const menu = button.nextElementSibling;
  const show = (open) => {
    menu.classList.toggle("show", open);
    button.setAttribute("aria-expanded", open);
  };
  button.addEventListener("click", () => show(!menu.classList.contains("show")));
  button.parentElement.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || !menu.classList.contains("show")) return;
    show(false);
    button.focus();
  });
  for (const event of ["click", "focusin"]) {
    document.addEventListener(event, ({ target }) => {
      if (!button.parentElement.contains(target)) show(false);
    });
  }
}
