"""The transposed convolution, which the chapter "Transposed and atrous convolution" introduces."""

import numpy as np

from cnnbook.layers.convolution import scatter_windows
from cnnbook.layers.transposed_checks import check_conv_transpose2d, check_transposed_size


def transposed_size(size, kernel_size, stride=1, padding=0, output_padding=0, dilation=1):
    """Return the output size of a transposed convolution along one axis.

    That is S(N - 1) + D(K - 1) + 1 - P - Q + R. On S different sizes an ordinary convolution has
    N outputs: this is the smallest of them, and `output_padding` more.

    Parameters
    ----------
    size, kernel_size : int, at least 1
        The number of samples N and of taps K.
    stride : int, at least 1
        S, from the first sample that one kernel is laid on to that of the next.
    padding : int or (before, after), at least 0
        P and Q: how many samples are cut off at the ends. One number stands for both.
    output_padding : int, 0 to stride - 1
        R, samples added at the end. torch also takes more, up to dilation - 1.
    dilation : int, at least 1
        D, from a tap to the next, in samples.

    Returns
    -------
    int, at least 1

    Raises
    ------
    ValueError
        An argument is not as above, or the padding would cut everything off.

    Source: Dumoulin and Visin, A guide to convolution arithmetic (2016), relationship 14, where
    the padding is equal at both ends and D is 1.
    """
    size, kernel_size, stride, (before, after), output_padding, dilation = check_transposed_size(
        size, kernel_size, stride, padding, output_padding, dilation
    )
    span = dilation * (kernel_size - 1) + 1
    return stride * (size - 1) + span - before - after + output_padding


def conv_transpose2d(
    images, kernels, bias=None, stride=1, padding=0, output_padding=0, dilation=1, groups=1
):
    """Apply the adjoint of `conv2d`: each pixel lays down its kernel, and what overlaps is added.

    Pixel (i, j) in channel c adds images[n, c, i, j] * kernels[c, o, p, q] to row
    stride * i + dilation * p and column stride * j + dilation * q of output channel o of c's
    group. Then `padding` rows and columns are cut off, and the bias is added.

    Parameters
    ----------
    images : array_like of real numbers, shape (N, C, H, W)
        N may be 0.
    kernels : array_like of real numbers
        Shape (C, out_channels // groups, kernel_height, kernel_width): as for the `conv2d` whose
        adjoint this is, with C filters.
    bias : array_like of real numbers, shape (out_channels,), or None for no bias
    stride, dilation : int or (vertical, horizontal), at least 1
        In samples of the output.
    padding : int or (vertical, horizontal), each an int or (before, after), at least 0
        Rows and columns that are cut off the output: those that `conv2d` would add.
    output_padding : int or (vertical, horizontal), 0 to stride - 1
        Rows and columns below and on the right: those that the stride of `conv2d` leaves over.
        No kernel is laid on them, unless padding has cut some of its rows or columns off there.
    groups : int, at least 1
        Divides C. Channels are split into this many groups in order, each with output channels of
        its own.

    Returns
    -------
    array, shape (N, out_channels, out_height, out_width)
        `transposed_size` gives the height and the width. In int64, exact, if all arguments hold
        whole numbers or bool; floats keep their type, and NumPy's rules say what a mixture
        becomes. A NaN of a picture reaches exactly the outputs that its kernel is laid on, in
        every output channel of its group; a NaN of a kernel reaches the outputs that its tap is
        laid on.

    Raises
    ------
    ValueError
        An argument is not as above, or a sum of whole numbers might pass the largest int64.

    Source: Dumoulin and Visin, A guide to convolution arithmetic (2016), chapter 4.
    """
    images, kernels, bias, stride, padding, output_padding, dilation, groups = (
        check_conv_transpose2d(
            images, kernels, bias, stride, padding, output_padding, dilation, groups
        )
    )
    N, C, rows, columns = images.shape
    filters = kernels.reshape(groups, C // groups, -1).swapaxes(1, 2)
    patches = filters @ images.reshape(N, groups, C // groups, rows * columns)
    patches = patches.reshape(N, groups * kernels.shape[1], *kernels.shape[2:], rows, columns)
    settings = zip(
        *((rows, columns), kernels.shape[2:], stride, padding, output_padding, dilation),
        strict=True,
    )
    height, width = (transposed_size(*setting) for setting in settings)
    (above, below), (left, right) = padding
    maps = np.zeros(
        (*patches.shape[:2], above + height + below, left + width + right), kernels.dtype
    )
    scatter_windows(patches.transpose(0, 1, 4, 5, 2, 3), maps, stride, dilation)
    maps = maps[..., above : above + height, left : left + width]
    return maps if bias is None else maps + bias[:, None, None]
