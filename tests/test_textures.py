"""Patches of textures lie in the columns that were asked for, and are brought to one scale."""

import re

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from cnnbook.data import load_photograph, texture_patches
from cnnbook.data.textures import TEXTURES


def test_patches_and_labels_have_the_shapes_and_types_of_the_docstring():
    images, labels = texture_patches(7, (30, 101), size=19, seed=3)
    assert images.shape == (7, 1, 19, 19) and images.dtype == np.float32
    assert labels.shape == (7,) and labels.dtype == np.int64


def test_each_patch_stands_in_its_photograph_within_the_columns():
    """Every patch is looked for in the strip of its label alone, brought to the same scale."""
    size, (first, end) = 12, (100, 131)
    images, labels = texture_patches(30, (first, end), size, seed=1)
    assert set(labels.tolist()) == {0, 1, 2}
    strips = [load_photograph(name)[:, first:end].astype("float32") for name in TEXTURES]
    for image, label in zip(images, labels, strict=True):
        windows = sliding_window_view(strips[label], (size, size)).reshape(-1, size, size)
        mean, deviation = windows.mean((1, 2)), windows.std((1, 2))
        scaled = (windows - mean[:, None, None]) / deviation[:, None, None]
        assert np.abs(scaled - image[0]).max((1, 2)).min() < 1e-4


def test_all_places_of_the_columns_occur_the_first_and_the_last_among_them(monkeypatch):
    gray = np.arange(512.0)[None] + np.zeros((512, 1)) + 1e4 * np.arange(512.0)[:, None]
    monkeypatch.setattr("cnnbook.data.textures.load_photograph", lambda name: gray)
    drawn = []

    class Recorded:
        def __init__(self, seed):
            self.random = np.random.Generator(np.random.PCG64(seed))

        def integers(self, *arguments, **options):
            drawn.append(arguments)
            return self.random.integers(*arguments, **options)

    monkeypatch.setattr("numpy.random.default_rng", Recorded)
    texture_patches(2, (3, 40), size=32)
    assert drawn[1:3] == [(481,), (3, 9)]  # rows 0 to 480, columns 3 to 8


def test_patches_have_mean_0_and_deviation_1_and_follow_the_seed():
    images, labels = texture_patches(40, (0, 256), seed=5)
    assert np.abs(images.mean((1, 2, 3))).max() < 1e-5
    assert np.abs(images.std((1, 2, 3)) - 1).max() < 1e-4
    again, same = texture_patches(40, (0, 256), seed=5)
    assert np.array_equal(images, again) and np.array_equal(labels, same)
    assert not np.array_equal(images, texture_patches(40, (0, 256), seed=6)[0])


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"count": 0}, "count was 0; it must be a whole number of at least 1"),
        ({"size": 1}, "size was 1; it must be a whole number from 2 to 512"),
        ({"size": 513}, "size was 513; it must be"),
        ({"seed": -1}, "seed was -1; it must be"),
        ({"columns": 3}, "columns were 3; they must be a pair (first, end)"),
        ({"columns": (0, 1, 2)}, "columns were (0, 1, 2); they must be a pair"),
        ({"columns": (-1, 90)}, "columns[0] was -1; it must be a whole number from 0 to 511"),
        ({"columns": (0, 513)}, "columns[1] was 513; it must be a whole number from 1 to 512"),
        ({"columns": (10, 41)}, "columns were 10 to 41; they must hold a patch of 32 columns"),
    ],
)
def test_a_wrong_argument_is_named(arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        texture_patches(**{"count": 3, "columns": (0, 256)} | arguments)
