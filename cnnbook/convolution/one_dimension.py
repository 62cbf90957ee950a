"""Convolution and cross-correlation of one-dimensional signals.

The chapter "One dimension" introduces every function of this module. `signal` has M samples and
`kernel` has K; three modes say which outputs are kept, under NumPy's names:

- `"full"` (wide): every window that overlaps the signal, M + K - 1 outputs;
- `"same"` (equal width): M outputs, output n with its window centered on sample n. An even kernel
  has no center; the extra sample then lies before n: the window of K samples begins at n - K // 2;
- `"valid"` (narrow): only windows that lie wholly inside the signal, M - K + 1 outputs.

Outside the signal there are zeros. Arguments are read, never changed. Whole numbers (also bool
and the small integer types) are computed in int64, exactly; floats keep their type, and NumPy's
rules say what a mixture becomes.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnbook.convolution.checks import (
    BOUNDARIES,
    check_lengths,
    check_matrix,
    check_padding,
    check_signals,
    check_window,
)


def convolve1d(signal, kernel, mode="full"):
    """Convolve: output n is the sum over k of kernel[k] * signal[n - k].

    Parameters
    ----------
    signal, kernel : array_like of real numbers, shapes (M,) and (K,)
    mode : "full", "same" or "valid"

    Returns
    -------
    array, shape (output_length(M, K, mode),)
        A NaN in the signal reaches exactly the outputs whose window holds it, and a NaN in the
        kernel reaches all. An infinity meets zeros of the other array, padding included, as NaN.

    Raises
    ------
    ValueError
        An argument is empty, not one-dimensional, not of real numbers; the mode is unknown; the
        kernel is longer than the signal in mode "valid" (np.convolve would swap the two); or a
        sum of whole numbers might pass the largest int64.

    Source: Oppenheim and Schafer, Discrete-Time Signal Processing (2010), section 2.3.
    """
    signal, kernel = check_signals(signal, kernel, mode)
    padded = np.pad(signal, margins(len(kernel), mode))
    windows = sliding_window_view(padded, len(kernel))  # (outputs, K)
    return windows @ kernel[::-1]


def correlate1d(signal, kernel, mode="valid"):
    """Cross-correlate: like `convolve1d`, with the kernel not flipped.

    Output n is the sum over k of kernel[k] * signal[n + k], with n = 0 where the first sample of
    the kernel lies on the first of the signal. This is what deep-learning libraries call
    convolution. Parameters, result, NaN and errors are those of `convolve1d`.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 9.1.
    """
    signal, kernel = check_signals(signal, kernel, mode)
    return convolve1d(signal, kernel[::-1], mode)


def convolve1d_fft(signal, kernel, mode="full"):
    """Convolve by multiplying spectra: `convolve1d` in floats, fast for long kernels.

    Both are padded with zeros to a power of two that holds the full result, so nothing wraps
    around. Whole numbers are computed in float64. The error of every output is in proportion to
    the largest outputs, not to the output itself, and one NaN or infinity anywhere makes every
    output NaN. Parameters, lengths and errors are those of `convolve1d`.

    Source: Stockham, High-speed convolution and correlation (1966).
    """
    signal, kernel = check_signals(signal, kernel, mode)
    size = 2 ** (len(signal) + len(kernel) - 2).bit_length()
    spectrum = np.fft.rfft(signal, size) * np.fft.rfft(kernel, size)
    start = len(kernel) - 1 - margins(len(kernel), mode)[0]
    outputs = output_length(len(signal), len(kernel), mode)
    return np.fft.irfft(spectrum, size)[start : start + outputs]


def convolution_matrix(kernel, signal_length, mode="full"):
    """Return the banded matrix that convolves: matrix @ signal is convolve1d(signal, kernel, mode).

    Entry (n, j) is the tap that output n gives to sample j, and 0 where there is none; it depends
    on n - j only (a Toeplitz matrix).

    Parameters
    ----------
    kernel : array_like of real numbers, shape (K,)
    signal_length : int, at least 1
    mode : "full", "same" or "valid"

    Returns
    -------
    array, shape (output_length(signal_length, K, mode), signal_length)
        A NaN of the kernel stands at its places in the band; the rest is 0.

    Raises
    ------
    ValueError
        As `convolve1d`, or the signal length is not a whole number of at least 1.

    Source: Gray, Toeplitz and Circulant Matrices: A Review (2006), section 1.
    """
    kernel, signal_length = check_matrix(kernel, signal_length, mode)
    outputs = output_length(signal_length, len(kernel), mode)
    start = len(kernel) - 1 - margins(len(kernel), mode)[0]
    taps = start + np.arange(outputs)[:, None] - np.arange(signal_length)
    inside = (taps >= 0) & (taps < len(kernel))
    return np.where(inside, kernel[taps.clip(0, len(kernel) - 1)], 0)


def output_length(signal_length, kernel_length, mode):
    """Return how many outputs a convolution or cross-correlation has.

    `signal_length` and `kernel_length` are whole numbers of at least 1 (samples); ValueError if
    not, if the mode is unknown, or if the kernel is longer than the signal in mode "valid".

    Source: Dumoulin and Visin, A guide to convolution arithmetic (2016), relationships 1 to 4.
    """
    signal_length, kernel_length = check_lengths(signal_length, kernel_length, mode)
    before, after = margins(kernel_length, mode)
    return before + signal_length + after - kernel_length + 1


def margins(kernel_length, mode):
    """Return how many samples a mode adds (before, after) the signal.

    `kernel_length` is a whole number of at least 1; ValueError if not, or if the mode is unknown.
    """
    kernel_length = check_window(kernel_length, mode)
    return {
        "full": (kernel_length - 1, kernel_length - 1),
        "same": (kernel_length // 2, (kernel_length - 1) // 2),
        "valid": (0, 0),
    }[mode]


def pad1d(signal, before, after, boundary="zero"):
    """Continue a signal beyond its ends, by `before` and `after` samples.

    Parameters
    ----------
    signal : array_like of real numbers, shape (M,)
    before, after : int, at least 0
    boundary : str
        "zero": zeros. "replicate": the end samples again. "reflect": the signal mirrored at its
        end samples, which are not repeated. "circular": the signal over and over.

    Returns
    -------
    array, shape (before + M + after,)
        NaN is copied like any other sample.

    Raises
    ------
    ValueError
        The signal is not as above, a width is negative or not whole, the boundary is unknown, or
        "reflect" is asked for more than the M - 1 samples that there are to mirror.
    """
    signal, before, after = check_padding(signal, before, after, boundary)
    return np.pad(signal, (before, after), mode=BOUNDARIES[boundary])
