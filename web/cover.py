"""Draw the picture of the first page: `python -m web.cover`.

It is made of what the course is about: a handwritten digit, two kernels, and the response maps
that cross-correlation gives.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import ConnectionPatch, Rectangle

from cnnbook import figures
from cnnbook.data import load_mnist

PATH = Path(__file__).with_suffix(".svg")
DIGIT = 7
CORNER = (9, 12)
KERNELS = {
    "vertical edges": np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]),
    "horizontal edges": np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]]),
}


def respond(image, kernel):
    """Return the response map of an image (H, W) to a kernel (3, 3) as (H - 2, W - 2)."""
    tensors = (torch.from_numpy(array.astype(np.float32))[None, None] for array in (image, kernel))
    return torch.nn.functional.conv2d(*tensors)[0, 0].numpy()


def frame(axes, title):
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title, fontsize=10)


def draw_window(axes, row, column, size):
    box = Rectangle((column - 0.5, row - 0.5), size, size, fill=False, lw=2, ec=figures.ORANGE)
    axes.add_patch(box)


def draw_kernel(axes, kernel, title):
    axes.imshow(kernel, cmap=figures.DIVERGING, vmin=-3, vmax=3)
    frame(axes, title)
    draw_window(axes, 0, 0, 3)
    for (row, column), weight in np.ndenumerate(kernel):
        axes.text(column, row, str(weight).replace("-", "−"), ha="center", va="center")


def draw():
    """Return the figure: a digit on the left, then each kernel and its response map."""
    figures.use_style()
    image = load_mnist().test_images[DIGIT] / 255
    figure = plt.figure(figsize=(8, 4))
    grid = figure.add_gridspec(2, 3, width_ratios=[2, 0.8, 1.1])
    digit = figure.add_subplot(grid[:, 0])
    digit.imshow(image, cmap="gray_r")
    frame(digit, "a digit, 28 × 28")
    draw_window(digit, *CORNER, 3)
    for number, (title, kernel) in enumerate(KERNELS.items()):
        weights, response = (figure.add_subplot(grid[number, place]) for place in (1, 2))
        draw_kernel(weights, kernel, title)
        values = respond(image, kernel)
        limit = np.abs(values).max()
        response.imshow(values, cmap=figures.DIVERGING, vmin=-limit, vmax=limit)
        frame(response, "response map, 26 × 26")
        draw_window(response, *CORNER, 1)
        ends = [((CORNER[1] + 3, CORNER[0] + 1), (-0.5, 1), digit, weights)]
        ends += [((2.5, 1), (CORNER[1] - 0.5, CORNER[0]), weights, response)]
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
            )
            figure.add_artist(arrow)
    return figure


def save(path=PATH):
    draw().savefig(path, metadata={"Creator": None, "Date": None})
    plt.close()


if __name__ == "__main__":
    save()
