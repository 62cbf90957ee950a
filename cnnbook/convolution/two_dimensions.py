"""Convolution and cross-correlation of pictures, and what they are good for.

The chapter "Two dimensions" introduces every function of this module. `image` has the shape
(H, W) and `kernel` the shape (K, L): rows first. The modes of `one_dimension` hold for each axis
by itself, so "full" gives (H + K - 1, W + L - 1) outputs, "same" (H, W) and "valid"
(H - K + 1, W - L + 1). Outside the image there are zeros. Arguments are read, never changed; what
becomes of types is as in `one_dimension`.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnbook.convolution.checks import (
    check_finite_kernel,
    check_image_and_kernel,
    check_template,
)
from cnnbook.convolution.one_dimension import margins, output_length


def convolve2d(image, kernel, mode="full"):
    """Convolve: output (i, j) is the sum over p, q of kernel[p, q] * image[i - p, j - q].

    Parameters
    ----------
    image, kernel : array_like of real numbers, shapes (H, W) and (K, L)
    mode : "full", "same" or "valid"

    Returns
    -------
    array, shape (output_length(H, K, mode), output_length(W, L, mode))
        A NaN in the image reaches exactly the outputs whose window holds it, and a NaN in the
        kernel reaches all. An infinity meets zeros of the other array, padding included, as NaN.

    Raises
    ------
    ValueError
        An argument is empty, not two-dimensional, not of real numbers; the mode is unknown; the
        kernel is higher or wider than the image in mode "valid" (scipy.signal.convolve2d swaps
        the two where the kernel is both); or a sum of whole numbers might pass the largest int64.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), equation 9.5.
    """
    image, kernel = check_image_and_kernel(image, kernel, mode)
    padded = np.pad(image, [margins(length, mode) for length in kernel.shape])
    windows = sliding_window_view(padded, kernel.shape)  # (rows, columns, K, L)
    return np.einsum("ijpq,pq->ij", windows, kernel[::-1, ::-1])


def correlate2d(image, kernel, mode="valid"):
    """Cross-correlate: like `convolve2d`, with the kernel not flipped.

    Output (i, j) is the sum over p, q of kernel[p, q] * image[i + p, j + q], with (0, 0) where
    the first tap of the kernel lies on the first pixel of the image. This is what deep-learning
    libraries call convolution. Parameters, result, NaN and errors are those of `convolve2d`.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), equation 9.6.
    """
    image, kernel = check_image_and_kernel(image, kernel, mode)
    return convolve2d(image, kernel[::-1, ::-1], mode)


def convolve2d_fft(image, kernel, mode="full"):
    """Convolve by multiplying spectra: `convolve2d` in floats, fast for large kernels.

    Both are padded with zeros to a power of two on each axis that holds the full result, so
    nothing wraps around. Whole numbers are computed in float64. The error of every output is in
    proportion to the largest outputs, not to the output itself, and one NaN or infinity anywhere
    makes every output NaN. Parameters, shapes and errors are those of `convolve2d`.

    Source: Stockham, High-speed convolution and correlation (1966), on each axis.
    """
    image, kernel = check_image_and_kernel(image, kernel, mode)
    sizes, kept = [], []
    for length, taps in zip(image.shape, kernel.shape, strict=True):
        sizes.append(2 ** (length + taps - 2).bit_length())
        start = taps - 1 - margins(taps, mode)[0]
        kept.append(slice(start, start + output_length(length, taps, mode)))
    spectrum = np.fft.rfft2(image, sizes) * np.fft.rfft2(kernel, sizes)
    return np.fft.irfft2(spectrum, sizes)[tuple(kept)]


def separate(kernel):
    """Write a kernel as a sum of as few products of a column and a row as there can be.

    kernel is the sum of np.outer(column, row) over the pairs, up to rounding, and convolving with
    it is convolving with each column, then with its row, and adding up.

    Parameters
    ----------
    kernel : array_like of real numbers, shape (K, L)

    Returns
    -------
    list of pairs of arrays, shapes (K,) and (L,), float32 for a float32 kernel and else float64
        The pair that takes the largest share of the kernel comes first. One pair means that the
        kernel is separable. A kernel of zeros gives one pair of zeros. The sign of a pair, which
        both of its halves may carry, is not determined.

    Raises
    ------
    ValueError
        The kernel is empty, not two-dimensional, not of real numbers, or holds NaN or infinity.

    Source: Eckart and Young, The approximation of one matrix by another of lower rank (1936).
    """
    kernel = check_finite_kernel(kernel)
    columns, sizes, rows = np.linalg.svd(kernel, full_matrices=False)
    rounding = sizes[0] * max(kernel.shape) * np.finfo(kernel.dtype).eps
    rank = max(1, np.count_nonzero(sizes > rounding))
    roots = np.sqrt(sizes[:rank])
    return list(zip((columns[:, :rank] * roots).T, rows[:rank] * roots[:, None], strict=True))


def normalized_correlation(image, template):
    """Return how well a template fits each window of an image, from -1 to 1.

    Each score is the correlation coefficient of the window's pixels with the template's: 1, up to
    rounding, where the window is the template times a positive number plus a number, and the
    same whatever the window's brightness and contrast are. A window of one gray scores 0.

    Parameters
    ----------
    image, template : array_like of real numbers, shapes (H, W) and (K, L)
        Their squares must neither overflow nor vanish in float64.

    Returns
    -------
    array of float64, shape (H - K + 1, W - L + 1)

    Raises
    ------
    ValueError
        An argument is empty, not two-dimensional, not of real numbers, or holds NaN or infinity;
        the template is higher or wider than the image; or all its pixels are equal.

    Source: Lewis, Fast normalized cross-correlation (1995), equation 2.
    """
    image, template = check_template(image, template)
    image, template = image - image.mean(), template - template.mean()
    ones = np.ones(template.shape)
    sums, squares = correlate2d(image, ones), correlate2d(image**2, ones)
    spread = squares - sums**2 / template.size  # squared deviations from the window's mean
    rounding = 2 * template.size * np.finfo(float).eps * squares
    spread = np.where(spread > rounding, spread, np.inf)  # a window of one gray scores 0
    return correlate2d(image, template) / np.sqrt(spread * (template**2).sum())
