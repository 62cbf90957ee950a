"""Checks of arguments for counting costs. Each returns its argument, or raises ValueError."""

from torch import nn

from cnnbook.checks import whole


def check_module(model):
    """Return `model` if it is a module of torch."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model was a {type(model).__name__}; it must be a torch.nn.Module")
    return model


def check_shape(images_shape):
    """Return the shape as a tuple of ints."""
    if not isinstance(images_shape, tuple | list) or not images_shape:
        raise ValueError(
            f"images_shape was {images_shape!r}; it must be a sequence of whole numbers, such as "
            "(N, C, H, W)"
        )
    return tuple(whole(f"images_shape[{axis}]", size, 1) for axis, size in enumerate(images_shape))
