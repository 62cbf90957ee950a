"""Draw the unseen digits of problem set 6 anew: `python solutions/ps6/judging/make.py`.

A thousand digits of MNIST's test set, a hundred of each class, stand in the middle; another digit
stands close to the left or the right. The strip of both is turned, slanted, stretched, moved, bent
like rubber, and drawn anew with thicker or thinner strokes; then 28 by 28 pixels are cut out.
Pictures and labels are written beside this file, where the tests alone find them. They are derived
from MNIST and under its license, CC BY-SA 3.0 (Yann LeCun and Corinna Cortes).
"""

from pathlib import Path

import numpy as np
from scipy import ndimage

from cnnbook.data import load_mnist

SEED, EACH, FINE = 60_617, 100, 3


def strip(middle, other, draw):
    """Return two digits, (28, 84): one in the middle, the other 17 to 21 pixels beside it."""
    tape = np.zeros((28, 84))
    tape[:, 28:56] = middle
    left = 28 + draw.choice([-1, 1]) * draw.integers(17, 22)
    up = draw.integers(-2, 3)
    beside = np.roll(other, up, axis=0)
    tape[:, left : left + 28] = np.maximum(tape[:, left : left + 28], beside)
    return tape


def redrawn(tape, draw):
    """Return the middle of a strip as another hand might have drawn it: uint8 (28, 28)."""
    side = 28 * FINE
    down, across = (np.mgrid[:side, :side] - (side - 1) / 2) / FINE
    angle, slant = draw.uniform(-0.26, 0.26), draw.uniform(-0.2, 0.2)
    tall, wide = draw.uniform(0.98, 1.22, size=2)
    rows = tall * (np.cos(angle) * down - np.sin(angle) * across)
    columns = wide * (np.sin(angle) * down + np.cos(angle) * across) + slant * rows
    places = []
    for lines, center in ((rows, 13.5), (columns, 41.5)):
        field = ndimage.gaussian_filter(draw.uniform(-1, 1, (side, side)), 4 * FINE)
        bend = 1.2 * field / np.abs(field).max()
        places.append(lines + bend + center + draw.uniform(-1.5, 1.5))
    stroke = ndimage.map_coordinates(tape / 255, places, order=1)
    stroke = ndimage.gaussian_filter(stroke, 0.35 * FINE)
    ink = 1 / (1 + np.exp(-14 * (stroke - draw.uniform(0.32, 0.6))))
    ink = ink.reshape(28, FINE, 28, FINE).mean(axis=(1, 3))
    return np.round(255 * ink * (ink > 0.03)).astype(np.uint8)


def make(seed=SEED):
    """Return pictures (1000, 28, 28) and labels (1000,), both uint8."""
    digits, draw = load_mnist(), np.random.default_rng(seed)
    images, labels = digits.test_images, digits.test_labels
    chosen = [draw.choice(np.flatnonzero(labels == n), EACH, replace=False) for n in range(10)]
    chosen = draw.permutation(np.concatenate(chosen))
    others = draw.integers(len(images), size=len(chosen))
    pictures = [
        redrawn(strip(images[one], images[other], draw), draw)
        for one, other in zip(chosen, others, strict=True)
    ]
    return np.array(pictures), labels[chosen]


if __name__ == "__main__":
    images, labels = make()
    np.savez_compressed(Path(__file__).with_name("unseen.npz"), images=images, labels=labels)
