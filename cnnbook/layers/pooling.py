"""Pooling: a window slides over each channel and one number stands for what it sees.

The chapter "Pooling" introduces every function of this module. Pictures are arrays (N, C, H, W), of
which N and C may be 0; each channel is pooled by itself.
"""

import numpy as np

from cnnbook.convolution import pad2d
from cnnbook.layers.pooling_checks import check_blur, check_images, check_pool2d


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
