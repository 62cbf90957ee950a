"""One style for every plot of the course.

The colors are those of Okabe and Ito, "Color Universal Design" (2008), which stay apart for
readers with any common form of color blindness.
"""

import matplotlib as mpl
import matplotlib_inline.backend_inline

INK = "#24292f"
GRAY = "#8c959f"
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
PURPLE = "#cc79a7"
SKY = "#56b4e9"
YELLOW = "#e69f00"

SEQUENTIAL = "cividis"
DIVERGING = "RdBu_r"

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.prop_cycle": mpl.cycler(color=[BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "figure.figsize": (6.4, 3.2),
    "font.size": 10,
    "grid.color": "#d0d7de",
    "grid.linewidth": 0.6,
    "image.cmap": "gray",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.facecolor": "white",
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
