"""Patches of photographed textures, from stated columns, so that sets of them need not overlap.

The chapter "The same budget" introduces this function and says why the columns matter.
"""

import numpy as np

from cnnbook.checks import whole
from cnnbook.data.samples import load_photograph
from cnnbook.data.textures_checks import check_columns

TEXTURES = ("brick", "grass", "gravel")


def texture_patches(count, columns, size=32, seed=0):
    """Return square patches at random places of three photographs, and which photograph each is of.

    Each patch is brought to mean 0 and standard deviation 1, so that brightness and contrast do
    not give the texture away.

    Parameters
    ----------
    count : int
    columns : (first, end)
        Of the photographs, which have 512: patches lie in the columns from `first` to before
        `end`, whole. Sets from columns that do not overlap share no pixel.
    size : int, at least 2
        Rows and columns of a patch.
    seed : int, at least 0

    Returns
    -------
    images : array of float32, shape (count, 1, size, size)
    labels : array of int64, shape (count,)
        0 brick, 1 grass, 2 gravel.

    Raises
    ------
    ValueError
        If an argument is not as described, or a patch does not fit into the columns.
    ImportError
        If scikit-image is not installed.

    Source of the photographs: see `load_photograph`.
    """
    count, size, seed = (
        whole("count", count, 1),
        whole("size", size, 2, 512),
        whole("seed", seed, 0),
    )
    first, end = check_columns(columns, size)
    random = np.random.default_rng(whole("seed", seed, 0))
    photographs = [load_photograph(name).astype("float32") for name in TEXTURES]
    labels = random.integers(len(TEXTURES), size=count)
    images = np.empty((count, 1, size, size), "float32")
    for image, label in zip(images, labels, strict=True):
        top, left = random.integers(513 - size), random.integers(first, end - size + 1)
        patch = photographs[label][top : top + size, left : left + size]
        image[0] = (patch - patch.mean()) / patch.std()
    return images, labels
