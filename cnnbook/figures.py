"""One style for every plot of the course, in colors that keep apart for color-blind readers.

The hues are those of Okabe and Ito, "Color Universal Design" (2008). Their tones are changed
where a thin line would be too weak on paper (contrast below 3 to 1). Plots are drawn with `LIGHT`;
the pages of the book show the same plots with `DARK` to readers of the dark theme.
"""

import matplotlib as mpl
import matplotlib_inline.backend_inline

LIGHT = {
    "paper": "#ffffff",
    "ink": "#24292f",
    "gray": "#626a73",
    "grid": "#d0d7de",
    "blue": "#00599c",
    "orange": "#b84500",
    "green": "#00804d",
    "purple": "#c77aaf",
    "sky": "#0d9ae0",
    "yellow": "#cf8200",
}
DARK = {
    "paper": "#14181d",
    "ink": "#e6e9ed",
    "gray": "#9ea9b2",
    "grid": "#343c45",
    "blue": "#559bea",
    "orange": "#e6711d",
    "green": "#1fb264",
    "purple": "#b25c9d",
    "sky": "#8ad8ff",
    "yellow": "#f2ad1c",
}
LINES = ("blue", "orange", "green", "purple", "sky", "yellow")
# The colors that a label may have: they are dark enough for small letters.
LABELS = ("ink", "gray", "blue", "orange", "green")

INK = LIGHT["ink"]
GRAY = LIGHT["gray"]
BLUE = LIGHT["blue"]
ORANGE = LIGHT["orange"]
GREEN = LIGHT["green"]
PURPLE = LIGHT["purple"]
SKY = LIGHT["sky"]
YELLOW = LIGHT["yellow"]

# Letters on a picture, whose own tones are the same in both themes: near black and white, and
# unlike them no color of the palette.
ON_LIGHT = "#010101"
ON_DARK = "#fefefe"

SEQUENTIAL = "cividis"
DIVERGING = "RdBu_r"

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.facecolor": LIGHT["paper"],
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.prop_cycle": mpl.cycler(color=[LIGHT[name] for name in LINES]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.facecolor": LIGHT["paper"],
    "figure.figsize": (6.4, 3.2),
    "font.size": 10,
    "grid.color": LIGHT["grid"],
    "grid.linewidth": 0.6,
    "image.cmap": "gray",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.facecolor": LIGHT["paper"],
    "svg.hashsalt": "cnnbook",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def use_style():
    """Set the house style and make notebooks store plots as SVG that is the same on every run."""
    mpl.rcdefaults()
    mpl.rcParams.update(STYLE)
    matplotlib_inline.backend_inline.set_matplotlib_formats(
        "svg", metadata={"Creator": None, "Date": None}
    )
