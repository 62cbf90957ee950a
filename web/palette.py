"""The colors of the pages, made from those of the plots.

The theme draws with custom properties, `--pst-color-*`. Here each gets a color of
`cnnbook.figures` or one of the few tones that only pages need: calm paper, blue for what can be
followed, orange for what is under the pointer or has the focus. `css()` belongs behind the rules
of the theme, which it overrides.
"""

from cnnbook import figures

# Tones of pages alone: raised and lowered paper, a mark behind text, red for errors.
TONES = {
    "light": {
        "raised": "#ffffff",
        "surface": "#f4f6f8",
        "hover": "#f0f4f9",
        "mark": "#ffe9b0",
        "red": "#b3261e",
        "shadow": "#1014181f",
        "blue-tint": "#e3eef8",
        "orange-tint": "#fbe9dd",
        "green-tint": "#def2e7",
        "red-tint": "#fbe5e3",
    },
    "dark": {
        "raised": "#1b2127",
        "surface": "#1e242b",
        "hover": "#1f2730",
        "mark": "#54430c",
        "red": "#f0817a",
        "shadow": "#00000059",
        "blue-tint": "#15283b",
        "orange-tint": "#3a2111",
        "green-tint": "#0f2e1e",
        "red-tint": "#3d1a18",
    },
}
THEMES = {
    "light": figures.LIGHT | TONES["light"],
    "dark": figures.DARK | TONES["dark"],
}

# The theme's names and what each is drawn with.
PROPERTIES = {
    "text": "ink",
    "text-base": "ink",
    "text-muted": "gray",
    "heading-color": "ink",
    "background": "paper",
    "on-background": "raised",
    "surface": "surface",
    "on-surface": "ink",
    "panel-background": "raised",
    "border": "grid",
    "border-muted": "grid",
    "shadow": "shadow",
    "link": "blue",
    "link-hover": "orange",
    "inline-code": "ink",
    "inline-code-links": "blue",
    "target": "mark",
    "blockquote-notch": "gray",
    "table": "ink",
    "table-heading-bg": "surface",
    "table-inner-border": "grid",
    "table-outer-border": "grid",
    "table-row-hover-bg": "hover",
    "table-row-zebra-high-bg": "paper",
    "table-row-zebra-low-bg": "surface",
    "accent": "orange",
    "accent-bg": "orange-tint",
    "attention": "orange",
    "attention-bg": "orange-tint",
    "muted": "gray",
    "muted-text": "paper",
    "muted-highlight": "ink",
}
# What myst_nb draws around cells.
CELLS = {
    "source-bg-color": "surface",
    "source-border-color": "grid",
    "source-margin-color": "blue",
    "stderr-bg-color": "red-tint",
    "traceback-bg-color": "red-tint",
}
# A filled button has paper-colored letters, and a tone behind a note in the same hue.
ROLES = {
    "primary": "blue",
    "secondary": "orange",
    "info": "blue",
    "success": "green",
    "warning": "orange",
    "danger": "red",
}

# Plots bring their own dark palette (web/plots.py): the theme must not frame or dim them.
PICTURES = """\
html[data-theme=dark] img:not(.only-dark,.dark-light){filter:none}
html[data-theme=dark] .bd-content img:not(.only-dark,.dark-light),
html[data-theme=dark] .bd-content div.cell_output img{background:none;border-radius:0;padding:0}
.bd-article img{height:auto}
"""


def properties(theme):
    """Return the custom properties of a theme, "light" or "dark", as {name: color}."""
    colors = THEMES[theme]
    found = {f"--pst-color-{name}": colors[tone] for name, tone in PROPERTIES.items()}
    found |= {f"--mystnb-{name}": colors[tone] for name, tone in CELLS.items()}
    for name, tone in ROLES.items():
        found[f"--pst-color-{name}"] = colors[tone]
        found[f"--pst-color-{name}-text"] = colors["paper"]
        found[f"--pst-color-{name}-highlight"] = colors["ink"]
        found[f"--pst-color-{name}-bg"] = colors[f"{tone}-tint"]
    found["--pst-heading-color"] = colors["ink"]
    # The theme's one fixed hue, behind the letters of "Back to top".
    found["--pst-violet-600"] = colors["blue"]
    return found


def rule(selector, theme):
    lines = "".join(f"  {name}: {color};\n" for name, color in properties(theme).items())
    return f"{selector} {{\n  color-scheme: {theme};\n{lines}}}\n"


def css():
    """Return the style sheet of the palette; without scripts a page is light."""
    light = rule("html:not([data-theme]), html[data-theme=light]", "light")
    return light + rule("html[data-theme=dark]", "dark") + PICTURES
