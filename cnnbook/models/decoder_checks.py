"""Checks of arguments for the autoencoder. Each returns its argument, or raises ValueError."""

import torch

from cnnbook.models.checks import check_images


def check_upsampling(upsampling, kinds):
    """Return `upsampling` if it is one of the texts in `kinds`."""
    if not isinstance(upsampling, str) or upsampling not in kinds:
        listed = ", ".join(repr(kind) for kind in kinds)
        raise ValueError(f"upsampling was {upsampling!r}; it must be one of {listed}")
    return upsampling


def check_digits(images):
    """Return `images` if they are a batch (N, 1, 28, 28) of floats."""
    shape = tuple(check_images(images, 1, 28).shape)
    if shape[2:] != (28, 28):
        raise ValueError(f"images were of shape {shape}; they must be (N, 1, 28, 28)")
    return images


def check_codes(codes, length):
    """Return `codes` if they are a batch (N, length) of floats."""
    if not isinstance(codes, torch.Tensor) or not codes.is_floating_point():
        kind = getattr(codes, "dtype", type(codes).__name__)
        raise ValueError(f"codes were {kind}; they must be a tensor of floats (N, {length})")
    if codes.ndim != 2 or codes.shape[1] != length:
        raise ValueError(f"codes were of shape {tuple(codes.shape)}; they must be (N, {length})")
    return codes
