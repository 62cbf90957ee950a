"""Padding, stride and dilation: which windows a kernel sees, and how many there are.

The chapter "Padding, stride and dilation" introduces every function of this module. A kernel of K
taps, D samples from tap to tap, spans D(K - 1) + 1 samples; windows begin S samples apart, on a
line of M samples with padding at both ends. Pictures have these along their last two axes, first
vertical, then horizontal; axes before them (batch, channels) are kept, and may be empty.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnbook.convolution.checks import BOUNDARIES, check_padding2d, check_size, check_windows


def output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    """Return how many windows fit on a line: floor((M + P + Q - D(K - 1) - 1) / S) + 1.

    Parameters
    ----------
    size, kernel_size : int, at least 1
        The number of samples M and of taps K.
    stride : int, at least 1
        S, from the beginning of a window to that of the next, in samples.
    padding : int or (before, after), at least 0
        P and Q, in samples; one number stands for both.
    dilation : int, at least 1
        D, from a tap to the next, in samples. 1 is an ordinary kernel.

    Returns
    -------
    int, at least 1

    Raises
    ------
    ValueError
        An argument is not as above, or the kernel spans more than the padded line.

    Source: Dumoulin and Visin, A guide to convolution arithmetic (2016), relationship 15, where
    the padding is equal at both ends.
    """
    size, kernel_size, stride, (before, after), dilation = check_size(
        size, kernel_size, stride, padding, dilation
    )
    span = dilation * (kernel_size - 1) + 1
    return (before + size + after - span) // stride + 1


def pad2d(image, padding, boundary="zero"):
    """Continue a picture beyond its four edges.

    Parameters
    ----------
    image : array_like of real numbers, shape (..., H, W)
    padding : int or (vertical, horizontal), each an int or (before, after), at least 0
        In samples. Vertically, before is above; horizontally, before is left.
    boundary : "zero", "replicate", "reflect" or "circular"
        As in `pad1d`, first along the columns, then along the rows. Corners take both.

    Returns
    -------
    array, shape (..., above + H + below, left + W + right)
        A copy, in int64 where the picture holds whole numbers or bool. NaN is copied like any
        other sample.

    Raises
    ------
    ValueError
        An argument is not as above, H or W is 0, or "reflect" is asked for more than the H - 1
        rows or W - 1 columns that there are to mirror.
    """
    image, vertical, horizontal = check_padding2d(image, padding, boundary)
    leading = [(0, 0)] * (image.ndim - 2)
    return np.pad(image, [*leading, vertical, horizontal], mode=BOUNDARIES[boundary])


def windows2d(images, kernel_shape, stride=1, dilation=1):
    """Return every window of the last two axes as a view: nothing is copied.

    Parameters
    ----------
    images : array_like of real numbers, shape (..., H, W)
    kernel_shape : int or (height, width), at least 1
    stride, dilation : int or (vertical, horizontal), at least 1
        In samples, as in `output_size`.

    Returns
    -------
    array, shape (..., out_height, out_width, kernel_height, kernel_width)
        Read-only, of the type of the images: entry (..., i, j, p, q) is the sample in row
        stride * i + dilation * p and column stride * j + dilation * q. What is to be multiplied
        should hold floats or int64: a sum in a smaller type may overflow. NaN appears in exactly
        the windows with a tap on it.

    Raises
    ------
    ValueError
        An argument is not as above, or a window spans more than the height or the width.
    """
    images, kernel_shape, stride, dilation = check_windows(images, kernel_shape, stride, dilation)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel_shape, dilation, strict=True)]
    everywhere = sliding_window_view(images, spans, axis=(-2, -1))
    return everywhere[..., :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
