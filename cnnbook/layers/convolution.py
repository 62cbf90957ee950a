"""The convolution layer.

The chapter "The convolution layer" introduces the function of this module.
"""

import numpy as np

from cnnbook.convolution import pad2d, windows2d
from cnnbook.layers.checks import check_conv2d


def conv2d(images, kernels, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlate pictures with filters, sum over channels and add the bias of each filter.

    Output (n, o, i, j) is bias[o] plus the sum over c, p and q of kernels[o, c, p, q] times the
    sample of picture n in channel c of o's group, row stride * i + dilation * p and column
    stride * j + dilation * q of the padded picture.

    Parameters
    ----------
    images : array_like of real numbers, shape (N, C, H, W)
        N may be 0.
    kernels : array_like of real numbers
        Shape (out_channels, C // groups, kernel_height, kernel_width).
    bias : array_like of real numbers, shape (out_channels,), or None for no bias
    stride, dilation : int or (vertical, horizontal), at least 1
        In samples.
    padding : int or (vertical, horizontal), each an int or (before, after), at least 0
        Rows and columns of zeros around each picture.
    groups : int, at least 1
        Divides C and out_channels. The channels, and the filters, are split into this many groups
        in order, and each group of filters sees its own group of channels.

    Returns
    -------
    array, shape (N, out_channels, out_height, out_width)
        `output_size` gives the height and the width. In int64, exact, if all arguments hold whole
        numbers or bool; floats keep their type, and NumPy's rules say what a mixture becomes. A
        NaN of a picture reaches exactly the outputs whose window holds it, in every channel of
        its group; a NaN of a filter or of its bias reaches all outputs of that filter. An infinity
        of a filter meets zeros, padding included, as NaN.

    Raises
    ------
    ValueError
        An argument is not as above, a kernel spans more than the padded picture, or a sum of
        whole numbers might pass the largest int64.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 9.5; computed by
    unrolling as in Chellapilla, Puri and Simard, High performance convolutional neural networks
    for document processing (2006), one picture at a time.
    """
    images, kernels, bias, stride, padding, dilation, groups = check_conv2d(
        images, kernels, bias, stride, padding, dilation, groups
    )
    windows = windows2d(pad2d(images, padding), kernels.shape[2:], stride, dilation)
    windows = windows.transpose(0, 1, 4, 5, 2, 3)  # (N, C, kh, kw, out_height, out_width)
    columns = np.empty(windows.shape[1:], images.dtype)  # of one picture; used again for the next
    size = columns.shape[3:]
    matrix = columns.reshape(groups, -1, size[0] * size[1])
    filters = kernels.reshape(groups, -1, matrix.shape[1])
    maps = np.empty((len(images), *filters.shape[:2], matrix.shape[2]), images.dtype)
    for picture, result in zip(windows, maps, strict=True):
        columns[...] = picture
        np.matmul(filters, matrix, out=result)
    maps = maps.reshape(len(images), len(kernels), *size)
    if bias is not None:
        maps += bias[:, None, None]
    return maps
