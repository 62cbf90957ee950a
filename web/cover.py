"""The picture of the first page, and the parts that the social card is made of too.

It shows what the course is about: a handwritten digit, two kernels, and the response maps that
cross-correlation gives. `python -m web.brand` draws it.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import ConnectionPatch, Rectangle

from cnnbook import figures
from cnnbook.data import load_mnist

PATH = Path(__file__).with_suffix(".svg")
DIGIT = 0  # of the test pictures: a seven
CORNER = (9, 18)
KERNELS = {
    "vertical edges": np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]),
    "horizontal edges": np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]]),
}


def load_digit():
    return load_mnist().test_images[DIGIT].astype(int)


def respond(image, kernel):
    """Return the response map of an image (H, W) to a kernel (3, 3) as (H - 2, W - 2)."""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("ijkl,kl->ij", windows, kernel)


def frame(axes, title, size):
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title, fontsize=size)


def draw_window(axes, row, column, size, color=figures.ORANGE):
    box = Rectangle((column - 0.5, row - 0.5), size, size, fill=False, lw=2, ec=color)
    axes.add_patch(box)


def draw_digit(axes, image, size):
    axes.imshow(image, cmap="gray_r")
    frame(axes, "a digit, 28 × 28", size)
    draw_window(axes, *CORNER, 3)


def draw_kernel(axes, kernel, title, size):
    axes.imshow(kernel, cmap=figures.DIVERGING, vmin=-3, vmax=3)
    frame(axes, title, size)
    draw_window(axes, 0, 0, 3)
    for (row, column), weight in np.ndenumerate(kernel):
        text = str(weight).replace("-", "−")
        axes.text(
            column, row, text, ha="center", va="center", color=figures.ON_LIGHT, fontsize=size
        )


def draw_response(axes, image, kernel, size):
    values = respond(image, kernel)
    limit = np.abs(values).max()
    axes.imshow(values, cmap=figures.DIVERGING, vmin=-limit, vmax=limit)
    frame(axes, "response, 26 × 26", size)
    draw_window(axes, *CORNER, 1, figures.ON_LIGHT)


def connect(figure, digit, weights, response, width=1.2):
    """Draw the way of one window: from the digit into the kernel, from there to one response."""
    row, column = CORNER
    ends = [((column + 3, row + 1), (-0.5, 1), digit, weights)]
    ends += [((2.5, 1), (column - 0.5, row), weights, response)]
    for start, end, left, right in ends:
        arrow = ConnectionPatch(
            start,
            end,
            "data",
            "data",
            axesA=left,
            axesB=right,
            arrowstyle="->",
            color=figures.ORANGE,
            lw=width,
        )
        figure.add_artist(arrow)


def draw():
    """Return the figure: a digit on the left, then each kernel and its response map."""
    figures.use_style()
    image, size = load_digit(), 11
    figure = plt.figure(figsize=(6.4, 3.7))
    grid = figure.add_gridspec(2, 3, width_ratios=[1.75, 1, 1.2])
    digit = figure.add_subplot(grid[:, 0])
    draw_digit(digit, image, size)
    for number, (title, kernel) in enumerate(KERNELS.items()):
        weights, response = (figure.add_subplot(grid[number, place]) for place in (1, 2))
        draw_kernel(weights, kernel, title, size)
        draw_response(response, image, kernel, size)
        connect(figure, digit, weights, response)
    return figure


def save(path=PATH):
    draw().savefig(path, metadata={"Creator": None, "Date": None})
    plt.close()
