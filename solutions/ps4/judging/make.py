"""Draw the unseen digits of problem set 4 anew: `python solutions/ps4/judging/make.py`.

A thousand digits of MNIST's test set, a hundred of each class, are turned, slanted, stretched,
moved and bent like rubber; their strokes are made thicker or thinner; and they are drawn anew on
28 by 28 pixels. Pictures and labels are written beside this file, where the tests alone find them.
They are derived from MNIST and under its license, CC BY-SA 3.0 (Yann LeCun and Corinna Cortes).
"""

from pathlib import Path

import numpy as np
from scipy import ndimage

from cnnbook.data import load_mnist

SEED, EACH, FINE = 20_417, 100, 4


def redrawn(image, draw):
    """Return a digit as another hand might have drawn it: uint8 (28, 28)."""
    size = 28 * FINE
    large = ndimage.zoom(image.astype(float), FINE, order=1)
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    turn, slant = np.deg2rad(draw.uniform(-15, 15)), draw.uniform(-0.2, 0.2)
    stretch = draw.uniform(0.88, 1.14, size=2)
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ [[1, 0], [slant, 1]] @ np.diag(1 / stretch)
    shift = FINE * draw.uniform(-2, 2, size=2)
    bend = [ndimage.gaussian_filter(draw.uniform(-1, 1, (size, size)), 4 * FINE) for _ in range(2)]
    bend = [1.4 * FINE * field / np.abs(field).max() for field in bend]
    places = [
        row[0] * rows + row[1] * columns + move + field + (size - 1) / 2
        for row, move, field in zip(matrix, shift, bend, strict=True)
    ]
    warped = ndimage.map_coordinates(large, places, order=1)
    stroke = ndimage.gaussian_filter(warped, 0.35 * FINE) / 255
    level = draw.uniform(0.3, 0.62)
    ink = 1 / (1 + np.exp(-(stroke - level) * 14))
    ink = ink.reshape(28, FINE, 28, FINE).mean(axis=(1, 3))
    return np.round(255 * ink * (ink > 0.03)).astype(np.uint8)


def make(seed=SEED, part="test"):
    """Return pictures (1000, 28, 28) and labels (1000,), both uint8."""
    digits, draw = load_mnist(), np.random.default_rng(seed)
    images, labels = getattr(digits, f"{part}_images"), getattr(digits, f"{part}_labels")
    chosen = [draw.choice(np.flatnonzero(labels == n), EACH, replace=False) for n in range(10)]
    chosen = draw.permutation(np.concatenate(chosen))
    return np.array([redrawn(image, draw) for image in images[chosen]]), labels[chosen]


if __name__ == "__main__":
    images, labels = make()
    np.savez_compressed(Path(__file__).with_name("unseen.npz"), images=images, labels=labels)
