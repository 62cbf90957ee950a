"""Checks of the arguments of `cnnbook.models.vgg`. Each returns its argument, or raises."""

from cnnbook.checks import whole


def check_layers(layers, known):
    """Return `layers` if it is one of the numbers in `known`."""
    if not isinstance(layers, int) or layers not in known:
        raise ValueError(f"layers was {layers!r}; it must be one of {', '.join(map(str, known))}")
    return layers


def check_hidden(hidden):
    """Return `hidden` if it is None or a width."""
    return None if hidden is None else whole("hidden", hidden, 1, otherwise="None or ")


def check_size(size):
    """Return `size` if five poolings leave at least one row of it."""
    return whole("size", size, 32)
