"""Layers that remember their forward pass, and a network of them.

The chapter "A CNN in NumPy" introduces the classes of this module. Each has

- `forward(inputs)`, which returns the outputs and remembers what the backward pass needs;
- `backward(upstream)`, which takes the gradient of a loss with respect to the outputs of the last
  forward pass and returns that with respect to its inputs;
- `parameters`, a list of arrays, to be changed in place, and `gradients`, a list of arrays in the
  same order, empty before the first backward pass. Each backward pass replaces them.

`forward` and `backward` raise ValueError as the functions do that they call, and `backward` raises
RuntimeError if there was no forward pass. Types, and what becomes of NaN, are as in the functions.

Weights begin as float32 drawn from a normal distribution of mean 0 and variance 1 / n, where n is
the number of products in the sum of one output; biases begin at 0. Source: LeCun, Bottou, Orr and
Müller, Efficient backprop (1998), section 4.6.
"""

import numpy as np

from cnnbook.layers.activations import relu, relu_backward
from cnnbook.layers.convolution import conv2d, conv2d_backward
from cnnbook.layers.dense import dense, dense_backward
from cnnbook.layers.network_checks import (
    check_conv2d_layer,
    check_dense_layer,
    check_layers,
    check_pool_layer,
    remembered,
)
from cnnbook.layers.pooling import (
    max_pool2d,
    max_pool2d_backward,
    mean_pool2d,
    mean_pool2d_backward,
)


class Layer:
    """What all layers share: a list of parameters, which may be empty, and what is remembered.

    Parameters
    ----------
    *parameters : arrays
        Whatever they hold, NaN included, is kept as it is.

    Attributes
    ----------
    input_gradient : bool, True in the beginning
        Whether somebody needs what `backward` returns. A first layer may be set to False: a
        convolution then saves the work for it and returns None.
    """

    def __init__(self, *parameters):
        self.parameters, self.gradients = list(parameters), []
        self.inputs, self.input_gradient = None, True


class ReLU(Layer):
    """Negative numbers become 0: `relu` and `relu_backward`, NaN as there. No parameters."""

    def forward(self, inputs):
        self.inputs = inputs
        return relu(inputs)

    def backward(self, upstream):
        return relu_backward(upstream, remembered(self.inputs))


class Flatten(Layer):
    """Each example becomes a row: (N, C, H, W) to (N, C * H * W), NaN as it is. No parameters."""

    def forward(self, inputs):
        self.inputs = inputs
        return inputs.reshape(len(inputs), np.prod(inputs.shape[1:], dtype=int))

    def backward(self, upstream):
        return upstream.reshape(remembered(self.inputs).shape)


class Dense(Layer):
    """A dense layer: `dense` and `dense_backward`, NaN as there.

    Parameters
    ----------
    inputs, outputs : int, at least 1
        How many numbers an example has before and after.
    random : numpy.random.Generator
        Draws the weights.

    Attributes
    ----------
    parameters : [weights (inputs, outputs), bias (outputs,)], float32

    Raises
    ------
    ValueError
        An argument is not as above.
    """

    def __init__(self, inputs, outputs, *, random):
        shape = check_dense_layer(inputs, outputs, random)
        weights = random.normal(0, 1 / np.sqrt(inputs), shape)
        super().__init__(weights.astype(np.float32), np.zeros(outputs, np.float32))

    def forward(self, inputs):
        self.inputs = inputs
        return dense(inputs, *self.parameters)

    def backward(self, upstream):
        d_inputs, *self.gradients = dense_backward(
            upstream, remembered(self.inputs), self.parameters[0]
        )
        return d_inputs


class Conv2d(Layer):
    """A convolution layer: `conv2d` and `conv2d_backward`, NaN as there.

    Parameters
    ----------
    in_channels, out_channels : int, at least 1
    kernel_size : int or (height, width), at least 1
        In pixels.
    stride, padding, dilation, groups
        As in `conv2d`.
    random : numpy.random.Generator
        Draws the weights.

    Attributes
    ----------
    parameters : [kernels, bias], float32
        Of shapes (out_channels, in_channels // groups, height, width) and (out_channels,).

    Raises
    ------
    ValueError
        An argument is not as above.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        *,
        random,
    ):
        self.setting = stride, padding, dilation, groups
        shape = check_conv2d_layer(in_channels, out_channels, kernel_size, *self.setting, random)
        kernels = random.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape)
        super().__init__(kernels.astype(np.float32), np.zeros(out_channels, np.float32))

    def forward(self, inputs):
        self.inputs = inputs
        return conv2d(inputs, *self.parameters, *self.setting)

    def backward(self, upstream):
        arrays = upstream, remembered(self.inputs), self.parameters[0]
        settings = *self.setting, self.input_gradient
        d_inputs, *self.gradients = conv2d_backward(*arrays, *settings)
        return d_inputs


class MaxPool2d(Layer):
    """Max pooling: `max_pool2d` and `max_pool2d_backward`, NaN as there. No parameters.

    Parameters
    ----------
    window, stride, padding, ceil_mode
        As in `max_pool2d`.

    Raises
    ------
    ValueError
        An argument is not as there.
    """

    def __init__(self, window, stride=None, padding=0, ceil_mode=False):
        super().__init__()
        self.setting = check_pool_layer(window, stride, padding, ceil_mode)

    def forward(self, inputs):
        self.inputs = inputs
        return max_pool2d(inputs, *self.setting)

    def backward(self, upstream):
        return max_pool2d_backward(upstream, remembered(self.inputs), *self.setting)


class MeanPool2d(Layer):
    """Mean pooling: `mean_pool2d` and `mean_pool2d_backward`, NaN as there. No parameters.

    Parameters
    ----------
    window, stride, ceil_mode
        As in `mean_pool2d`.

    Raises
    ------
    ValueError
        An argument is not as there.
    """

    def __init__(self, window, stride=None, ceil_mode=False):
        super().__init__()
        window, stride, _, ceil_mode = check_pool_layer(window, stride, 0, ceil_mode)
        self.setting = (window, stride, ceil_mode)

    def forward(self, inputs):
        self.inputs = inputs
        return mean_pool2d(inputs, *self.setting)

    def backward(self, upstream):
        return mean_pool2d_backward(upstream, remembered(self.inputs).shape, *self.setting)


class Network:
    """Layers one after the other. A network can itself be a layer of another.

    Parameters
    ----------
    *layers : objects with forward, backward, parameters and gradients
        No object twice: a layer remembers one forward pass only.

    Attributes
    ----------
    layers : tuple
    parameters, gradients : lists of the arrays of all layers, in order

    Raises
    ------
    ValueError
        A layer is none, or stands there twice. NaN is handed from layer to layer.
    """

    def __init__(self, *layers):
        self.layers = check_layers(layers)

    def forward(self, inputs):
        for layer in self.layers:
            inputs = layer.forward(inputs)
        return inputs

    def backward(self, upstream):
        for layer in reversed(self.layers):
            upstream = layer.backward(upstream)
        return upstream

    @property
    def parameters(self):
        return [array for layer in self.layers for array in layer.parameters]

    @property
    def gradients(self):
        return [array for layer in self.layers for array in layer.gradients]
