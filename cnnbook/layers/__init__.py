"""Layers in NumPy, as the part "Layers" introduces them. Pictures are arrays (N, C, H, W)."""

from cnnbook.layers.activations import relu, relu_backward
from cnnbook.layers.convolution import conv2d, conv2d_backward
from cnnbook.layers.dense import dense, dense_backward
from cnnbook.layers.dropout import Dropout, dropout, dropout_backward
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
from cnnbook.layers.normalization import (
    BatchNorm,
    LayerNorm,
    batch_norm,
    batch_norm_backward,
    layer_norm,
    layer_norm_backward,
    set_training,
    standardize,
    standardize_backward,
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
from cnnbook.layers.transposed import conv_transpose2d, transposed_size

__all__ = [
    "BatchNorm",
    "Conv2d",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "LayerNorm",
    "MaxPool2d",
    "MeanPool2d",
    "Network",
    "ReLU",
    "argmax_pool2d",
    "batch_norm",
    "batch_norm_backward",
    "blur_pool2d",
    "conv2d",
    "conv2d_backward",
    "conv_transpose2d",
    "cross_entropy",
    "cross_entropy_backward",
    "dense",
    "dense_backward",
    "dropout",
    "dropout_backward",
    "global_mean_pool",
    "global_mean_pool_backward",
    "layer_norm",
    "layer_norm_backward",
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
    "set_training",
    "softmax",
    "standardize",
    "standardize_backward",
    "transposed_size",
]
