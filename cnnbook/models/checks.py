"""Checks of arguments for networks. Each returns its argument, or raises ValueError."""

import torch


def check_switch(name, value):
    """Return `value` if it is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} was {value!r}; it must be True or False")
    return value


def check_images(images, channels, smallest):
    """Return `images` if they are a batch (N, channels, height, width) of floats, large enough.

    `smallest` is the least height and width.
    """
    wanted = f"(N, {channels}, height, width) with at least {smallest} rows and columns"
    if not isinstance(images, torch.Tensor) or not images.is_floating_point():
        kind = getattr(images, "dtype", type(images).__name__)
        raise ValueError(f"images were {kind}; they must be a tensor of floats {wanted}")
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[1] != channels or min(shape[2:]) < smallest:
        raise ValueError(f"images were of shape {shape}; they must be {wanted}")
    return images
