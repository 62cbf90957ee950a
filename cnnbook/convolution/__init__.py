"""Convolution and cross-correlation, as the part "Convolution" introduces them."""

from cnnbook.convolution.one_dimension import (
    convolution_matrix,
    convolve1d,
    convolve1d_fft,
    correlate1d,
    margins,
    output_length,
    pad1d,
)
from cnnbook.convolution.two_dimensions import (
    convolve2d,
    convolve2d_fft,
    correlate2d,
    normalized_correlation,
    separate,
)
from cnnbook.convolution.windows import output_size, pad2d, windows2d

__all__ = [
    "convolution_matrix",
    "convolve1d",
    "convolve1d_fft",
    "convolve2d",
    "convolve2d_fft",
    "correlate1d",
    "correlate2d",
    "margins",
    "normalized_correlation",
    "output_length",
    "output_size",
    "pad1d",
    "pad2d",
    "separate",
    "windows2d",
]
