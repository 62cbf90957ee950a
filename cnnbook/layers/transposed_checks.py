"""Checks of the arguments of a transposed convolution: ready for use, or ValueError."""

import numpy as np

from cnnbook import checks
from cnnbook.convolution.checks import AXES, check_padding2d, whole_pair
from cnnbook.layers.checks import IMAGES, array_with_axes, check_bias, check_sums

KERNELS = ("in_channels", "out_channels // groups", "kernel_height", "kernel_width")


def check_transposed_size(size, kernel_size, stride, padding, output_padding, dilation):
    """Return all as ints, padding as (before, after), or raise ValueError saying why not."""
    size = checks.whole("size", size, 1)
    kernel_size = checks.whole("kernel_size", kernel_size, 1)
    stride = checks.whole("stride", stride, 1)
    padding = whole_pair("padding", padding, 0, ("before", "after"))
    output_padding = checks.whole("output_padding", output_padding, 0)
    dilation = checks.whole("dilation", dilation, 1)
    setting = size, kernel_size, stride, padding, output_padding, dilation
    _check_left_over("output_padding", output_padding, stride)
    _check_cut("padding", setting, "samples")
    return setting


def check_conv_transpose2d(
    images, kernels, bias, stride, padding, output_padding, dilation, groups
):
    """Return the arguments of `conv_transpose2d`: arrays of one type, pairs of ints, and groups.

    Padding comes back as ((above, below), (left, right)). ValueError says which argument does not
    fit, what it was, and what it must be.
    """
    images = array_with_axes("images", images, IMAGES, least=(0, 1, 1, 1))
    kernels = array_with_axes("kernels", kernels, KERNELS, least=(1, 1, 1, 1))
    stride = whole_pair("stride", stride, 1, AXES)
    _, *padding = check_padding2d(images, padding, "zero")
    output_padding = whole_pair("output_padding", output_padding, 0, AXES)
    dilation = whole_pair("dilation", dilation, 1, AXES)
    groups = checks.whole("groups", groups, 1)
    if images.shape[1] != len(kernels):
        raise ValueError(
            f"kernels was of shape {kernels.shape}; its axis 0 was {len(kernels)}, it must be "
            f"{images.shape[1]}: the channels of images (axis 1)"
        )
    if len(kernels) % groups:
        raise ValueError(
            f"groups was {groups}; it must divide the channels of images (axis 1), {len(kernels)}"
        )
    settings = zip(
        *(images.shape[2:], kernels.shape[2:], stride, padding, output_padding, dilation),
        strict=True,
    )
    for axis, lines, setting in zip(AXES, ("rows", "columns"), settings, strict=True):
        _check_left_over(f"output_padding ({axis})", setting[4], setting[2])
        _check_cut(f"padding ({axis})", setting, lines)
    arrays = [images, kernels]
    if bias is not None:
        arrays.append(check_bias(bias, groups * kernels.shape[1], "groups times axis 1 of kernels"))
    kind = np.result_type(*arrays)
    if kind == np.int64 and images.size:
        check_sums(kernels[:, 0].size // groups, *arrays)
    images, kernels, *bias = (array.astype(kind, copy=False) for array in arrays)
    bias = bias[0] if bias else None
    return images, kernels, bias, stride, tuple(padding), output_padding, dilation, groups


def _check_left_over(name, output_padding, stride):
    if output_padding >= stride:
        raise ValueError(
            f"{name} was {output_padding}; it must be less than the stride, {stride}: a stride "
            f"leaves no more over"
        )


def _check_cut(name, setting, lines):
    size, kernel_size, stride, padding, output_padding, dilation = setting
    reach = stride * (size - 1) + dilation * (kernel_size - 1) + 1 + output_padding
    if sum(padding) >= reach:
        raise ValueError(
            f"{name} was {padding}; together it must be less than {reach}, the {lines} that it is "
            f"cut from"
        )
