"""Pooling: a window slides over each channel and one number stands for what it sees.

The chapter "Pooling" introduces the functions that go forward, "Backpropagation through pooling"
those that go backward. Pictures are arrays (N, C, H, W), of which N and C may be 0; each channel is
pooled by itself.
"""

import numpy as np

from cnnbook.convolution import pad2d
from cnnbook.layers.pooling_checks import (
    check_blur,
    check_global_mean_backward,
    check_images,
    check_max_backward,
    check_mean_backward,
    check_pool2d,
)


def combine_windows(combine, images, window, stride, sizes):
    """Combine the cells of every window, first down the rows, then across the columns.

    Parameters
    ----------
    combine : ufunc of two arrays, such as np.maximum or np.add
    images : array, shape (N, C, H, W)
    window, stride : (vertical, horizontal) ints, at least 1
        In cells.
    sizes : (out_height, out_width) ints, at least 1
        How many windows there are; all must lie inside the picture. Nothing is checked.

    Returns
    -------
    array, shape (N, C, out_height, out_width), of the type of the images
        NaN as the ufunc treats it.
    """
    down, across = (s * (n - 1) + 1 for s, n in zip(stride, sizes, strict=True))
    lines = images[:, :, : down : stride[0]].copy()  # (N, C, out_height, W)
    for p in range(1, window[0]):
        combine(lines, images[:, :, p : p + down : stride[0]], out=lines)
    cells = lines[..., : across : stride[1]].copy()  # (N, C, out_height, out_width)
    for q in range(1, window[1]):
        combine(cells, lines[..., q : q + across : stride[1]], out=cells)
    return cells


def max_pool2d(images, window, stride=None, padding=0, ceil_mode=False):
    """Return the largest cell of each window.

    Output (n, c, i, j) is the maximum over p and q of cell (stride * i + p, stride * j + q) of the
    padded channel c of picture n, with 0 <= p, q < window.

    Parameters
    ----------
    images : array_like of real numbers, shape (N, C, H, W)
    window : int or (height, width), at least 1
        In cells.
    stride : int or (vertical, horizontal), at least 1, or None for the window
        In cells.
    padding : int or (vertical, horizontal), from 0 to half the window, rounded down
        Cells around each channel that count as minus infinity: they never win.
    ceil_mode : bool
        Whether a last window that reaches beyond the padding is kept, with the cells that it has.
        As in torch, it is kept only if it begins inside the picture or the padding before it.

    Returns
    -------
    array, shape (N, C, out_height, out_width)
        In int64 if the images hold whole numbers or bool; floats keep their type. NaN in a window
        is its result.

    Raises
    ------
    ValueError
        An argument is not as above, or a window spans more than there is.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 9.3.
    """
    images, window, stride, frame, sizes = check_pool2d(images, window, stride, padding, ceil_mode)
    lowest = -np.inf if images.dtype.kind == "f" else np.iinfo(images.dtype).min
    if np.any(frame):
        images = np.pad(images, [(0, 0), (0, 0), *frame], constant_values=lowest)
    return combine_windows(np.maximum, images, window, stride, sizes)


def mean_pool2d(images, window, stride=None, ceil_mode=False):
    """Return the mean of the cells of each window.

    Parameters
    ----------
    images, window, stride
        As in `max_pool2d`.
    ceil_mode : bool
        As in `max_pool2d`. A last window that reaches beyond the picture is divided by the number
        of cells that it has.

    Returns
    -------
    array, shape (N, C, out_height, out_width)
        In float64 if the images hold whole numbers or bool; floats keep their type, and are summed
        in it. NaN in a window is its result.

    Raises
    ------
    ValueError
        An argument is not as above, or a window spans more than there is.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 9.3.
    """
    images, window, stride, frame, sizes = check_pool2d(images, window, stride, 0, ceil_mode)
    begins = [s * np.arange(n) for s, n in zip(stride, sizes, strict=True)]
    rows = np.minimum(window[0], images.shape[2] - begins[0])
    columns = np.minimum(window[1], images.shape[3] - begins[1])
    if images.dtype.kind != "f":
        images = images.astype(np.float64)
    if np.any(frame):
        images = np.pad(images, [(0, 0), (0, 0), *frame])
    means = combine_windows(np.add, images, window, stride, sizes)
    means /= np.outer(rows, columns)
    return means


def global_mean_pool(images):
    """Return the mean of each channel.

    Parameters
    ----------
    images : array_like of real numbers, shape (N, C, H, W)

    Returns
    -------
    array, shape (N, C)
        In float64 if the images hold whole numbers or bool; floats keep their type. NaN in a
        channel is its result.

    Raises
    ------
    ValueError
        `images` is not as above.

    Source: Lin, Chen and Yan, Network in network (2014), section 3.2.
    """
    return check_images(images).mean(axis=(2, 3))


def blur_pool2d(images, stride=2):
    """Average each channel with weights 1, 2, 1 in both directions, then keep every stride-th cell.

    Beyond the edges each channel goes on with its outermost cells, so that an even one stays even.

    Parameters
    ----------
    images : array_like of real numbers, shape (N, C, H, W)
    stride : int or (vertical, horizontal), at least 1
        In cells. The first window is centered on the first cell.

    Returns
    -------
    array, shape (N, C, (H - 1) // stride + 1, (W - 1) // stride + 1)
        In float64 if the images hold whole numbers or bool; floats keep their type. NaN reaches
        exactly the windows of 3×3 that hold it.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Zhang, Making convolutional networks shift-invariant again (2019), section 3.2, there
    with more than one kernel; this is its "triangle-3".
    """
    images, (down, across) = check_blur(images, stride)
    padded = pad2d(images, 1, "replicate")
    lines = padded[:, :, :-2:down] + 2 * padded[:, :, 1:-1:down] + padded[:, :, 2::down]
    cells = lines[..., :-2:across] + 2 * lines[..., 1:-1:across] + lines[..., 2::across]
    return cells / 16


def window_cells(length, window, stride, before, count):
    """Say which windows have a p-th cell inside the picture, and which cells these are.

    Parameters
    ----------
    length, window, stride : int, at least 1
        Of the picture, of a window and from window to window, in cells along one axis.
    before : int, at least 0
        Cells of padding before the picture.
    count : int
        How many windows there are. Nothing is checked.

    Returns
    -------
    list of (windows, cells), one pair of slices for each place p of the window
        The k-th of `windows` has the k-th of `cells` as its p-th; both are empty if none has one.
    """
    pairs = []
    for p in range(window):
        first = max(0, -((p - before) // stride))
        start = stride * first + p - before
        windows = range(first, count)[: max(0, -((start - length) // stride))]
        cells = slice(start, start + stride * len(windows), stride)
        pairs.append((slice(first, first + len(windows)), cells))
    return pairs


def argmax_pool2d(images, window, stride=None, padding=0, ceil_mode=False):
    """Return where in its channel the largest cell of each window stands.

    Parameters
    ----------
    images, window, stride, padding, ceil_mode
        As in `max_pool2d`.

    Returns
    -------
    array of ints, shape (N, C, out_height, out_width)
        row * W + column of the cell, never of padding. Of equal cells it is the first in row order.
        A window that holds NaN has no largest cell: its first one stands for it (in torch its last
        NaN does).

    Raises
    ------
    ValueError
        As in `max_pool2d`.

    Source: Zeiler and Fergus, Visualizing and understanding convolutional networks (2014), section
    2.1, where these places are called switches.
    """
    maxima = max_pool2d(images, window, stride, padding, ceil_mode)
    images, window, stride, frame, sizes = check_pool2d(images, window, stride, padding, ceil_mode)
    (above, _), (left, _) = frame
    rows = window_cells(images.shape[2], window[0], stride[0], above, sizes[0])
    columns = window_cells(images.shape[3], window[1], stride[1], left, sizes[1])
    smaller = np.ones(maxima.shape, bool)  # whether all cells so far are
    places = np.zeros(maxima.shape, np.min_scalar_type(window[0] * window[1]))
    for down, i in rows:
        for across, j in columns:
            smaller[:, :, down, across] &= images[:, :, i, j] < maxima[:, :, down, across]
            places += smaller  # in the end the number of cells before the largest
    tops = stride[0] * np.arange(sizes[0]) - above
    firsts = stride[1] * np.arange(sizes[1]) - left
    corners = np.add.outer(images.shape[3] * tops, firsts)  # (out_height, out_width)
    steps = np.add.outer(images.shape[3] * np.arange(window[0]), np.arange(window[1]))
    return steps.ravel()[places] + corners


def max_pool2d_backward(upstream, images, window, stride=None, padding=0, ceil_mode=False):
    """Return the gradient of the pictures that `max_pool2d` got: each maximum's goes to its cell.

    Parameters
    ----------
    upstream : array_like of real numbers, shape (N, C, out_height, out_width)
        The gradient of the result of `max_pool2d`.
    images, window, stride, padding, ceil_mode
        What `max_pool2d` got.

    Returns
    -------
    array, shape (N, C, H, W)
        Of the type of `upstream`, or int64 if that holds whole numbers or bool. A cell that is the
        maximum of several windows gets the sum of their gradients; of equal cells the first in row
        order gets all; other cells get 0. NaN in the pictures as in `argmax_pool2d`; NaN in
        `upstream` reaches exactly the cell that it goes to.

    Raises
    ------
    ValueError
        An argument is not as above, or not as in `max_pool2d`, or a sum of whole numbers might
        pass the largest int64.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.5: the chain rule.
    """
    upstream, images = check_max_backward(upstream, images, window, stride, padding, ceil_mode)
    N, C, H, W = images.shape
    winners = argmax_pool2d(images, window, stride, padding, ceil_mode)
    winners += (H * W * np.arange(N * C)).reshape(N, C, 1, 1)  # of all pictures, in one row
    d_images = np.zeros(images.size, upstream.dtype)
    np.add.at(d_images, winners.ravel(), upstream.ravel())
    return d_images.reshape(images.shape)


def mean_pool2d_backward(upstream, image_shape, window, stride=None, ceil_mode=False):
    """Return the gradient of the pictures that `mean_pool2d` got: each cell of a window a share.

    Parameters
    ----------
    upstream : array_like of real numbers, shape (N, C, out_height, out_width)
        The gradient of the result of `mean_pool2d`.
    image_shape : (N, C, H, W)
        The shape of the pictures.
    window, stride, ceil_mode
        What `mean_pool2d` got.

    Returns
    -------
    array, shape (N, C, H, W)
        Of the type of `upstream`, or float64 if that holds whole numbers or bool. A window's
        gradient is divided by the number of cells that it has, and each gets one share; the shares
        of several windows add up; cells of no window get 0. NaN reaches exactly the cells of its
        window.

    Raises
    ------
    ValueError
        An argument is not as above, or not as in `mean_pool2d`.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.5: the chain rule.
    """
    upstream, image_shape, window, stride, sizes = check_mean_backward(
        upstream, image_shape, window, stride, ceil_mode
    )
    (N, C, H, W), (out_height, out_width) = image_shape, sizes
    heights = np.minimum(window[0], H - stride[0] * np.arange(out_height))
    widths = np.minimum(window[1], W - stride[1] * np.arange(out_width))
    shares = upstream / np.outer(heights, widths)
    lines = np.zeros((N, C, out_height, W), upstream.dtype)
    for across, columns in window_cells(W, window[1], stride[1], 0, out_width):
        lines[..., columns] += shares[..., across]
    d_images = np.zeros(image_shape, upstream.dtype)
    for down, rows in window_cells(H, window[0], stride[0], 0, out_height):
        d_images[:, :, rows] += lines[:, :, down]
    return d_images


def global_mean_pool_backward(upstream, image_shape):
    """Return the gradient of the pictures that `global_mean_pool` got: equal shares for all cells.

    Parameters
    ----------
    upstream : array_like of real numbers, shape (N, C)
        The gradient of the result of `global_mean_pool`.
    image_shape : (N, C, H, W)
        The shape of the pictures.

    Returns
    -------
    array, shape (N, C, H, W)
        Of the type of `upstream`, or float64 if that holds whole numbers or bool. NaN reaches all
        cells of its channel.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.5: the chain rule.
    """
    upstream, (N, C, H, W) = check_global_mean_backward(upstream, image_shape)
    shares = upstream / (H * W)
    return np.repeat(shares, H * W).reshape(N, C, H, W)
