"""Checks of the arguments of `cnnbook.models.googlenet` and `cnnbook.models.small_inception`."""

from cnnbook.checks import whole

PARTS = ("1×1", "1×1 before 3×3", "3×3", "1×1 before 5×5", "5×5", "1×1 behind the pooling")


def check_module(in_channels, widths):
    """Return the arguments of an Inception module, or raise ValueError."""
    if isinstance(widths, str | bytes) or not hasattr(widths, "__len__") or len(widths) != 6:
        raise ValueError(f"widths was {widths!r}; it must be six numbers: {', '.join(PARTS)}")
    names = [f"widths[{place}] ({part})" for place, part in enumerate(PARTS)]
    widths = [whole(name, width, 1) for name, width in zip(names, widths, strict=True)]
    return whole("in_channels", in_channels, 1), widths


def check_head(in_channels, channels, hidden, classes, window, stride):
    """Raise ValueError if an argument of an auxiliary head is no whole number of at least 1."""
    for name, value in locals().copy().items():
        whole(name, value, 1)


def check_width(width):
    """Return `width` if the share of every layer of GoogLeNet in it is a whole number."""
    if whole("width", width, 8) % 8:
        raise ValueError(f"width was {width}; it must be a multiple of 8")
    return int(width)
