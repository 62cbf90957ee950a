"""The convolution layer.

The chapter "The convolution layer" introduces its forward pass, the chapter "Backpropagation
through a convolution" its backward pass.
"""

import math

import numpy as np

from cnnbook.convolution import pad2d, windows2d
from cnnbook.layers.checks import check_conv2d
from cnnbook.layers.convolution_checks import check_conv2d_backward


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


def scatter_windows(windows, images, stride, dilation):
    """Add windows to the pixels that `windows2d` takes them from, in place: its adjoint.

    Parameters
    ----------
    windows : array, shape (..., out_height, out_width, kernel_height, kernel_width)
    images : array, shape (..., H, W)
        Is changed: entry (..., i, j, p, q) of the windows is added to row
        stride * i + dilation * p, column stride * j + dilation * q.
    stride, dilation : (vertical, horizontal) ints, at least 1
        In samples. All windows must lie inside the images. Nothing is checked.

    NaN is added like any other number.
    """
    rows, columns = windows.shape[-4:-2]
    down, across = stride[0] * (rows - 1) + 1, stride[1] * (columns - 1) + 1
    for p, q in np.ndindex(windows.shape[-2:]):
        top, left = dilation[0] * p, dilation[1] * q
        pixels = images[..., top : top + down : stride[0], left : left + across : stride[1]]
        pixels += windows[..., p, q]


def unroll(images, kernel_shape, stride, dilation):
    """Copy the windows of pictures into columns, the pictures along the last axis.

    Parameters
    ----------
    images : array, shape (N, C, H, W)
    kernel_shape : (kernel_height, kernel_width) ints, at least 1
    stride, dilation : (vertical, horizontal) ints, at least 1
        In samples. At least one window must lie inside the images. Nothing is checked.

    Returns
    -------
    array, shape (C, kernel_height, kernel_width, out_height, out_width, N)
        NaN is copied like any other number.
    """
    pictures = images.transpose(1, 2, 3, 0).copy()
    windows = windows2d(pictures.transpose(0, 3, 1, 2), kernel_shape, stride, dilation)
    return windows.transpose(0, 4, 5, 2, 3, 1).copy()


def unroll_backward(columns, images, stride, dilation):
    """Add columns to the pixels that `unroll` copies them from, in place: its adjoint.

    Parameters
    ----------
    columns : array, shape (C, kernel_height, kernel_width, out_height, out_width, N)
    images : array, shape (N, C, H, W)
        Is changed.
    stride, dilation
        As in `unroll`. Nothing is checked.

    NaN is added like any other number.
    """
    pictures = np.zeros((*images.shape[1:], len(images)), images.dtype)
    windows = columns.transpose(0, 5, 3, 4, 1, 2)
    scatter_windows(windows, pictures.transpose(0, 3, 1, 2), stride, dilation)
    images += pictures.transpose(3, 0, 1, 2)


def conv2d_backward(
    upstream, images, kernels, stride=1, padding=0, dilation=1, groups=1, image_gradient=True
):
    """Return the gradients of a loss with respect to pictures, kernels and bias of `conv2d`.

    Parameters
    ----------
    upstream : array_like of real numbers, shape (N, out_channels, out_height, out_width)
        The gradient of the loss with respect to the output of the layer.
    images, kernels, stride, padding, dilation, groups
        As they were given to `conv2d`. The bias is not needed: its value changes no gradient.
    image_gradient : bool
        False saves the gradient of the pictures, which a first layer has no use for.

    Returns
    -------
    d_images, d_kernels, d_bias : arrays of the shapes of images, kernels and bias
        `d_images` is None if it was not asked for.
        In int64, exact, if all arguments hold whole numbers or bool; floats keep their type, and
        NumPy's rules say what a mixture becomes. A NaN of `upstream` reaches the pixels of its
        window in `d_images`, and all of its filter in `d_kernels` and `d_bias`. A NaN of a picture
        reaches in `d_kernels` the taps that lie on it somewhere, in every filter of its group.

    Raises
    ------
    ValueError
        An argument is not as above, `conv2d` would refuse the layer, or a sum of whole numbers
        might pass the largest int64.

    Source: Dumoulin and Visin, A guide to convolution arithmetic (2016), section 4.1, for the
    pictures; computed by unrolling as in Chellapilla, Puri and Simard, High performance
    convolutional neural networks for document processing (2006), some pictures at a time.
    """
    upstream, images, kernels, stride, padding, dilation, groups = check_conv2d_backward(
        upstream, images, kernels, stride, padding, dilation, groups, image_gradient
    )
    padded = pad2d(images, padding)
    filters = kernels.reshape(groups, -1, kernels[0].size)
    d_padded, d_filters = np.zeros_like(padded), np.zeros_like(filters)
    sizes = padded.shape[1], *kernels.shape[2:], *upstream.shape[2:]  # of a picture's columns
    share = max(1, 2**18 // math.prod(sizes))
    for first in range(0, len(images), share):
        part = slice(first, first + share)
        columns = unroll(padded[part], kernels.shape[2:], stride, dilation)
        matrix = columns.reshape(groups, filters.shape[2], -1)
        deltas = upstream[part].transpose(1, 2, 3, 0).reshape(*filters.shape[:2], -1)
        d_filters += deltas @ matrix.swapaxes(1, 2)
        if image_gradient:
            np.matmul(filters.swapaxes(1, 2), deltas, out=matrix)
            unroll_backward(columns, d_padded[part], stride, dilation)
    (above, _), (left, _) = padding
    d_images = d_padded[..., above : above + images.shape[2], left : left + images.shape[3]]
    d_images = d_images if image_gradient else None
    return d_images, d_filters.reshape(kernels.shape), upstream.sum(axis=(0, 2, 3))
