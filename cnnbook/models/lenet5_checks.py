"""Checks of arguments for LeNet-5. Each returns its argument, or raises ValueError."""

import math
import numbers

import torch

from cnnbook.checks import whole
from cnnbook.models.checks import check_images

CHOICES = {
    "activation": ("tanh", "relu"),
    "pooling": ("subsampling", "max"),
    "c3": ("sparse", "dense"),
    "output": ("rbf", "linear"),
}


def check_choices(*values):
    """Return the values of the four switches, each one of its two strings."""
    for (name, choices), value in zip(CHOICES.items(), values, strict=True):
        if not isinstance(value, str) or value not in choices:
            first, second = choices
            raise ValueError(f"{name} was {value!r}; it must be {first!r} or {second!r}")
    return values


def check_table(table, in_channels):
    """Return a connection table as a list of sorted lists of input maps.

    ValueError if a row is empty, or holds a map twice or one that is not there.
    """
    most = whole("in_channels", in_channels, 1) - 1
    try:
        rows = [[whole("a map in table", channel, 0, most) for channel in row] for row in table]
    except TypeError:
        raise ValueError(
            f"table was a {type(table).__name__}; it must be a list of lists of input maps"
        ) from None
    if not rows or any(not row or len(set(row)) < len(row) for row in rows):
        raise ValueError(
            f"table was {rows}; it must have a row for each output map, and every row one or more "
            "input maps, none of them twice"
        )
    return [sorted(row) for row in rows]


def check_digits(images):
    """Return pictures of digits (N, 1, 28, 28) with floats from 0 to 1; NaN is let through."""
    wanted = "a tensor of floats (N, 1, 28, 28) from 0 to 1"
    if not isinstance(images, torch.Tensor) or not images.is_floating_point():
        kind = getattr(images, "dtype", type(images).__name__)
        raise ValueError(f"images were {kind}; they must be {wanted}")
    if images.shape[1:] != (1, 28, 28):
        raise ValueError(f"images were of shape {tuple(images.shape)}; they must be {wanted}")
    if ((images < 0) | (images > 1)).any():
        low, high = images.min().item(), images.max().item()
        raise ValueError(f"images ran from {low:g} to {high:g}; they must be {wanted}")
    return images


def check_one_digit(images):
    """Return pictures if they are 32×32, which is where the network gives one answer."""
    if check_images(images, 1, 32).shape[2:] != (32, 32):
        raise ValueError(
            f"images were of shape {tuple(images.shape)}; they must be (N, 1, 32, 32); "
            "larger pictures go to the method `slide`"
        )
    return images


def check_rubbish(value):
    """Return the distance at which a picture counts as rubbish: a number from 0, or infinity."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or math.isnan(value) or value < 0:
        raise ValueError(f"rubbish was {value!r}; it must be a number of at least 0")
    return float(value)
