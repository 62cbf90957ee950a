"""The MNIST digits, shipped whole inside the package."""

import dataclasses
import hashlib
import io
from pathlib import Path

import numpy as np

from cnnbook.checks import whole

MNIST_PATH = Path(__file__).with_name("mnist.npz")
MNIST_SHA256 = "c8ca71ad62d22263ab46d0b5a815db8a64618c94fa6e7bc9f48a2c68964b1f12"
MNIST_BYTES = 11266794


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Mnist:
    """The digits that `load_mnist` returns; there each field's shape and dtype are described.

    `validation_images` and `validation_labels` are None unless a validation split was asked for.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    validation_images: np.ndarray | None = None
    validation_labels: np.ndarray | None = None

    def __repr__(self):
        held_out = 0 if self.validation_labels is None else len(self.validation_labels)
        return (
            f"Mnist(train: {len(self.train_labels):,}, validation: {held_out:,}, "
            f"test: {len(self.test_labels):,}; images {tuple(self.train_images.shape[1:])}, "
            f"{self.train_images.dtype})"
        )


def load_mnist(subset=None, validation=None, scale=False, tensors=False, seed=0):
    """Load the MNIST digits: 60,000 to train with and 10,000 to test with.

    Gray values run from 0 (paper) to 255 (ink). The digits 0 to 9 occur 5,923, 6,742, 5,958,
    6,131, 5,842, 5,421, 5,918, 6,265, 5,851 and 5,949 times in the training set, and 980, 1,135,
    1,032, 1,010, 982, 892, 958, 1,028, 974 and 1,009 times in the test set.

    Every call reads and checks the file anew, so the arrays belong to the caller: writing into
    them changes nothing that another call returns.

    Parameters
    ----------
    subset : int, optional
        Keep that many training pictures, 1 to 60,000. The classes' counts differ by at most one
        as long as `subset` + `validation` is at most 54,210, where the rarest class runs out.
        The classes take turns: every ten successive pictures hold each digit once. Subsets are
        nested: with the same `seed` and `validation`, a smaller subset is the beginning of a
        larger one. Default: all, in the order of the file. The test set always stays whole.
    validation : int, optional
        Hold out that many pictures of the training set, 1 to 59,999, balanced in the same way.
        They depend on `seed` alone, not on `subset`, which is taken from the rest.
    scale : bool
        False: uint8, 0 to 255. True: float32, 0 to 1 (divided by 255).
    tensors : bool
        False: NumPy arrays, images (N, 28, 28), labels (N,) uint8. True: torch tensors on the
        CPU in the form that torch's layers and losses expect, images (N, 1, 28, 28), labels (N,)
        int64.
    seed : int
        Chooses the pictures of `subset` and `validation`; 0 to 2**32 - 1.

    Returns
    -------
    Mnist
        `train_images`, `train_labels`, `test_images`, `test_labels`, `validation_images`,
        `validation_labels`; the last two are None without `validation`.

    Raises
    ------
    ValueError
        If an argument is out of its range, or no training picture is left.
    FileNotFoundError, RuntimeError
        If the file is missing; if it is not the one that was shipped.

    Notes
    -----
    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to
    document recognition", Proceedings of the IEEE 86(11), 1998, section III.A. Copyright of the
    data: Yann LeCun and Corinna Cortes, CC BY-SA 3.0.
    """
    _check_count("subset", subset, 60_000)
    _check_count("validation", validation, 59_999)
    whole("seed", seed, 0, 2**32 - 1)
    for name, value in (("scale", scale), ("tensors", tensors)):
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name} was {value!r}; it must be True or False")
    if subset is not None and validation is not None and subset + validation > 60_000:
        raise ValueError(
            f"subset + validation was {subset} + {validation} = {subset + validation}; "
            "it must be at most 60000, the number of training pictures"
        )

    stored = _read(MNIST_PATH)
    images, labels = stored["train_images"], stored["train_labels"]
    parts = {"test": (stored["test_images"], stored["test_labels"])}
    if subset is None and validation is None:
        parts["train"] = images, labels
    else:
        order = _balanced_order(labels, seed)
        held_out, rest = np.split(order, [validation or 0])
        chosen = np.sort(rest) if subset is None else rest[:subset]
        parts["train"] = images[chosen], labels[chosen]
        if validation is not None:
            parts["validation"] = images[held_out], labels[held_out]

    fields = {}
    for part, (part_images, part_labels) in parts.items():
        if scale:
            part_images = np.divide(part_images, 255, dtype=np.float32)
        if tensors:
            part_images, part_labels = _as_tensors(part_images, part_labels)
        fields[f"{part}_images"], fields[f"{part}_labels"] = part_images, part_labels
    return Mnist(**fields)


def _read(path):
    """Return the arrays of the file at `path` after checking its hash."""
    remedy = (
        "Install cnnbook again; in a clone of the course, "
        "`git checkout -- cnnbook/data/mnist.npz` brings the file back."
    )
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"The MNIST file {path} is missing. {remedy}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != MNIST_SHA256:
        raise RuntimeError(
            f"The MNIST file {path} is damaged: it was altered, or cut off while it was copied.\n"
            f"Its SHA-256 is   {found} ({len(content):,} bytes);\n"
            f"it must be       {MNIST_SHA256} ({MNIST_BYTES:,} bytes).\n{remedy}"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return dict(archive)


def _balanced_order(labels, seed):
    """Return a shuffled order of all pictures in which the classes take turns.

    Every ten successive places hold each class once, so that any stretch of the order is balanced
    to within one, until the rarest class is used up.
    """
    # RandomState's streams are frozen; those of default_rng may change with NumPy's version.
    random = np.random.RandomState(seed)
    turn_of_class = random.permutation(10)
    shuffled = random.permutation(len(labels))
    round_of = np.empty(len(labels), dtype=np.int64)
    for digit in range(10):
        places = np.flatnonzero(labels[shuffled] == digit)
        round_of[places] = np.arange(len(places))
    return shuffled[np.lexsort((turn_of_class[labels[shuffled]], round_of))]


def _as_tensors(images, labels):
    import torch

    return torch.from_numpy(images)[:, None], torch.from_numpy(labels.astype(np.int64))


def _check_count(name, value, most):
    if value is not None:
        whole(name, value, 1, most, "None or ")
