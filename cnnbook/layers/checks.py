"""Checks of arguments for layers. Each returns them ready for use, or raises ValueError."""

import numpy as np

from cnnbook import checks
from cnnbook.convolution.checks import AXES, check_padding2d, whole_pair

IMAGES = ("N", "C", "H", "W")
KERNELS = ("out_channels", "in_channels // groups", "kernel_height", "kernel_width")


def check_conv2d(images, kernels, bias, stride, padding, dilation, groups):
    """Return the arguments of `conv2d`: arrays of one type, pairs of ints, and groups.

    Padding comes back as ((above, below), (left, right)). ValueError says which argument does not
    fit, in which of its axes, and what it must be.
    """
    images = array_with_axes("images", images, IMAGES, least=(0, 1, 1, 1))
    kernels = array_with_axes("kernels", kernels, KERNELS, least=(1, 1, 1, 1))
    stride = whole_pair("stride", stride, 1, AXES)
    dilation = whole_pair("dilation", dilation, 1, AXES)
    images, *padding = check_padding2d(images, padding, "zero")
    groups = checks.whole("groups", groups, 1)
    _check_channels(images.shape[1], kernels, groups)
    for axis, lines in ((2, "rows"), (3, "columns")):
        _check_fit(images, kernels, axis, lines, sum(padding[axis - 2]), dilation[axis - 2])
    arrays = [images, kernels]
    if bias is not None:
        arrays.append(check_bias(bias, len(kernels), "the output channels of kernels (axis 0)"))
    kind = np.result_type(*arrays)
    if kind == np.int64 and images.size:
        check_sums(kernels[0].size, *arrays)
    images, kernels, *bias = (array.astype(kind, copy=False) for array in arrays)
    return images, kernels, bias[0] if bias else None, stride, padding, dilation, groups


def array_with_axes(name, values, axes, least):
    """Return an array of int64 or floats that has these axes, each of at least this length."""
    layout = f"of shape ({', '.join(axes)})"
    array = checks.numbers(name, values, f"an array of real numbers {layout}")
    if array.ndim != len(axes):
        raise ValueError(f"{name} was of shape {array.shape}; it must be {layout}")
    for axis, (length, smallest) in enumerate(zip(array.shape, least, strict=True)):
        if length < smallest:
            raise ValueError(
                f"{name} was of shape {array.shape}; its axis {axis} ({axes[axis]}) was {length}, "
                f"it must be at least {smallest}"
            )
    return checks.widen(name, array)


def _check_channels(in_channels, kernels, groups):
    if in_channels % groups:
        raise ValueError(
            f"groups was {groups}; it must divide the channels of images (axis 1), {in_channels}"
        )
    if len(kernels) % groups:
        raise ValueError(
            f"groups was {groups}; it must divide the output channels of kernels (axis 0), "
            f"{len(kernels)}"
        )
    if kernels.shape[1] != in_channels // groups:
        share = f", divided by groups, {groups}" if groups > 1 else ""
        raise ValueError(
            f"kernels was of shape {kernels.shape}; its axis 1 was {kernels.shape[1]}, it must be "
            f"{in_channels // groups}: the channels of images (axis 1), {in_channels}{share}"
        )


def _check_fit(images, kernels, axis, lines, padding, dilation):
    span, room = dilation * (kernels.shape[axis] - 1) + 1, images.shape[axis] + padding
    if span > room:
        raise ValueError(
            f"kernels was of shape {kernels.shape}; its axis {axis} was {kernels.shape[axis]}, "
            f"which with dilation {dilation} spans {span} {lines}, it must span at most {room}: "
            f"the {lines} of images (axis {axis}), {images.shape[axis]}, and {padding} of padding"
        )


def check_bias(bias, out_channels, meaning):
    """Return the bias with one number for each output channel; `meaning` says what those are."""
    bias = array_with_axes("bias", bias, ("out_channels",), least=(1,))
    if len(bias) != out_channels:
        raise ValueError(
            f"bias was of shape {bias.shape}; its axis 0 was {len(bias)}, it must be "
            f"{out_channels}: {meaning}"
        )
    return bias


def check_sums(terms, images, kernels, bias=None):
    """Raise ValueError if a sum of `terms` products and a bias might pass the largest int64."""
    pixel, tap = checks.magnitude(images), checks.magnitude(kernels)
    constant = 0 if bias is None else checks.magnitude(bias)
    if terms * pixel * tap + constant > checks.LARGEST:
        raise ValueError(
            f"images and kernels were whole numbers up to {pixel} and {tap}: a sum of {terms} "
            f"products might pass the largest int64; they must be smaller, or floats"
        )
