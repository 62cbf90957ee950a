"""Checks of arguments for networks of several stages, each of which raises ValueError."""

import math
from numbers import Real

from cnnbook.checks import whole


def check_depths(name, depths):
    """Return the numbers of layers of the stages as a tuple of ints of at least 1."""
    if not isinstance(depths, tuple | list) or not depths:
        raise ValueError(
            f"{name} was {depths!r}; it must be a sequence of whole numbers of at least 1"
        )
    return tuple(whole(f"{name}[{place}]", depth, 1) for place, depth in enumerate(depths))


def check_blocks(name, blocks):
    """Return the pairs (multiple, stride) as tuples of ints of at least 1."""
    wanted = "a sequence of pairs (multiple, stride) of whole numbers of at least 1"
    if not isinstance(blocks, tuple | list) or not blocks:
        raise ValueError(f"{name} was {blocks!r}; it must be {wanted}")
    checked = []
    for place, block in enumerate(blocks):
        if not isinstance(block, tuple | list) or len(block) != 2:
            raise ValueError(f"{name}[{place}] was {block!r}; {name} must be {wanted}")
        checked.append(tuple(whole(f"{name}[{place}]", number, 1) for number in block))
    return tuple(checked)


def check_reduction(channels, reduction, name="channels"):
    """Return channels / reduction, which must be a whole number."""
    whole(name, channels, 1)
    whole("reduction", reduction, 1)
    if channels % reduction:
        raise ValueError(f"reduction was {reduction}; it must divide {name}, which was {channels}")
    return channels // reduction


def check_sides(images, smallest, step):
    """Return the pictures if their height and width are `smallest` and a multiple of `step`."""
    height, width = images.shape[2:]
    if (height - smallest) % step or (width - smallest) % step:
        raise ValueError(
            f"images were of {height}×{width}; height and width must be {smallest}, or more by a "
            f"multiple of {step}"
        )
    return images


def check_scale(scale):
    """Return the number that residuals begin to be multiplied by, as a float."""
    if isinstance(scale, bool) or not isinstance(scale, Real) or not math.isfinite(scale):
        raise ValueError(f"scale was {scale!r}; it must be a finite number")
    return float(scale)
