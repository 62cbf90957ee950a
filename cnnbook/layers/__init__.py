"""Layers in NumPy, as the part "Layers" introduces them. Pictures are arrays (N, C, H, W)."""

from cnnbook.layers.activations import relu, relu_backward
from cnnbook.layers.convolution import conv2d, conv2d_backward
from cnnbook.layers.dense import dense, dense_backward
from cnnbook.layers.losses import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
    nll_loss,
    nll_loss_backward,
    softmax,
)
from cnnbook.layers.network import (
    Conv2d,
    Dense,
    Flatten,
    Layer,
    MaxPool2d,
    MeanPool2d,
    Network,
    ReLU,
)
from cnnbook.layers.pooling import (
    argmax_pool2d,
    blur_pool2d,
    global_mean_pool,
    global_mean_pool_backward,
    max_pool2d,
    max_pool2d_backward,
    mean_pool2d,
    mean_pool2d_backward,
)

__all__ = [
    "Conv2d",
    "Dense",
    "Flatten",
    "Layer",
    "MaxPool2d",
    "MeanPool2d",
    "Network",
    "ReLU",
    "argmax_pool2d",
    "blur_pool2d",
    "conv2d",
    "conv2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "dense",
    "dense_backward",
    "global_mean_pool",
    "global_mean_pool_backward",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mean_pool2d",
    "mean_pool2d_backward",
    "nll_loss",
    "nll_loss_backward",
    "relu",
    "relu_backward",
    "softmax",
]
