"""Layers in NumPy, as the part "Layers" introduces them. Pictures are arrays (N, C, H, W)."""

from cnnbook.layers.convolution import conv2d

__all__ = ["conv2d"]
