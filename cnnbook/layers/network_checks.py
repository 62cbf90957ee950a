"""Checks of what the layers of a network are made with. Each returns it ready, or raises."""

import numpy as np

from cnnbook import checks
from cnnbook.convolution.checks import AXES, whole_pair
from cnnbook.layers.checks import check_conv2d
from cnnbook.layers.pooling_checks import SIDES, check_pool2d


def check_conv2d_layer(
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, random
):
    """Return the shape of the kernels of a convolution layer, or raise ValueError."""
    in_channels = checks.whole("in_channels", in_channels, 1)
    out_channels = checks.whole("out_channels", out_channels, 1)
    size = whole_pair("kernel_size", kernel_size, 1, SIDES)
    dilation = whole_pair("dilation", dilation, 1, AXES)
    groups = checks.whole("groups", groups, 1)
    for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
        if channels % groups:
            raise ValueError(f"groups was {groups}; it must divide {name}, {channels}")
    shape = out_channels, in_channels // groups, *size
    span = (step * (taps - 1) + 1 for taps, step in zip(size, dilation, strict=True))
    smallest = np.empty((0, in_channels, *span))
    check_conv2d(smallest, np.empty(shape), None, stride, padding, dilation, groups)
    _check_random(random)
    return shape


def check_dense_layer(inputs, outputs, random):
    """Return the shape of the weights of a dense layer, or raise ValueError."""
    shape = checks.whole("inputs", inputs, 1), checks.whole("outputs", outputs, 1)
    _check_random(random)
    return shape


def check_pool_layer(window, stride, padding, ceil_mode):
    """Return the arguments of a pooling layer as they are, or raise ValueError."""
    smallest = np.empty((0, 0, *whole_pair("window", window, 1, SIDES)))
    check_pool2d(smallest, window, stride, padding, ceil_mode)
    return window, stride, padding, ceil_mode


def check_layers(layers):
    """Return layers as a tuple, or raise ValueError if one is none or stands there twice."""
    for place, layer in enumerate(layers):
        if isinstance(layer, type) or not hasattr(layer, "forward"):
            raise ValueError(
                f"layer {place} was {layer!r}; it must be an object with forward and backward, "
                f"such as ReLU()"
            )
        if any(layer is other for other in layers[:place]):
            raise ValueError(
                f"layer {place} was an object that is a layer of the network already; it must be "
                f"a new one, since a layer remembers only one forward pass"
            )
    return tuple(layers)


def remembered(inputs):
    """Return what a forward pass left for the backward pass; RuntimeError if there was none."""
    if inputs is None:
        raise RuntimeError(
            "backward was called before forward; it needs the inputs of the forward pass"
        )
    return inputs


def _check_random(random):
    if not isinstance(random, np.random.Generator):
        raise ValueError(
            f"random was a {type(random).__name__}; it must be a NumPy Generator, such as "
            f"np.random.default_rng(0)"
        )
