"""Layers in NumPy, as the part "Layers" introduces them. Pictures are arrays (N, C, H, W)."""

from cnnbook.layers.convolution import conv2d
from cnnbook.layers.pooling import blur_pool2d, global_mean_pool, max_pool2d, mean_pool2d

__all__ = ["blur_pool2d", "conv2d", "global_mean_pool", "max_pool2d", "mean_pool2d"]
