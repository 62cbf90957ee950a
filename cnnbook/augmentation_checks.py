"""Checks of arguments for augmentation. Each returns them ready for use, or raises ValueError."""

import math
import numbers

import torch

from cnnbook import checks

DIRECTIONS = ("horizontal", "vertical")


def check_shift(images, down, right, fill):
    """Return both shifts as int64 where the pictures are, and the fill."""
    _check_images(images)
    shifts = [_whole_numbers("down", down, images), _whole_numbers("right", right, images)]
    return *shifts, _number("fill", fill)


def check_turn(images, degrees, fill):
    """Return the angles in the type and the place of the pictures, and the fill."""
    _check_images(images)
    _check_tensor("degrees", degrees, images)
    if degrees.is_complex() or degrees.dtype == torch.bool or not degrees.isfinite().all():
        raise ValueError(
            f"degrees was of {degrees.dtype} or held NaN or infinity; it must hold finite real "
            "numbers"
        )
    return degrees.to(images), _number("fill", fill)


def check_flip(images, chosen, direction):
    """Raise ValueError if an argument of `flip_images` does not fit."""
    _check_images(images)
    _check_tensor("chosen", chosen, images)
    if chosen.dtype != torch.bool:
        raise ValueError(f"chosen was of {chosen.dtype}; it must be of torch.bool")
    _check_direction(direction)


def check_shift_module(most, fill):
    """Return the largest shift and the fill."""
    return checks.whole("most", most, 0), _number("fill", fill)


def check_turn_module(most, fill):
    """Return the largest angle and the fill."""
    return _number("most", most, 0, 180), _number("fill", fill)


def check_flip_module(direction, share):
    """Return the direction and the probability."""
    _check_direction(direction)
    return direction, _number("share", share, 0, 1)


def _check_images(images):
    if not isinstance(images, torch.Tensor) or not images.is_floating_point():
        kind = images.dtype if isinstance(images, torch.Tensor) else type(images).__name__
        raise ValueError(f"images was {kind}; it must be a torch tensor of floating-point numbers")
    if images.ndim != 4 or not images.numel():
        raise ValueError(
            f"images was of shape {tuple(images.shape)}; it must be of shape (N, C, H, W) and not "
            "be empty"
        )


def _check_tensor(name, values, images):
    if not isinstance(values, torch.Tensor):
        raise ValueError(f"{name} was a {type(values).__name__}; it must be a torch tensor")
    if values.shape != images.shape[:1]:
        raise ValueError(
            f"{name} was of shape {tuple(values.shape)}; it must be ({len(images)},), one for each "
            "picture"
        )


def _whole_numbers(name, values, images):
    _check_tensor(name, values, images)
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise ValueError(f"{name} was of {values.dtype}; it must hold whole numbers")
    return values.to(images.device, torch.int64)


def _check_direction(direction):
    if direction not in DIRECTIONS:
        raise ValueError(f'direction was {direction!r}; it must be "horizontal" or "vertical"')


def _number(name, value, least=-math.inf, most=math.inf):
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not least <= value <= most:
        limits = "" if most == math.inf else f" from {least} to {most}"
        raise ValueError(f"{name} was {value!r}; it must be a finite number{limits}")
    return float(value)
