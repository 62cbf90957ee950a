"""Batch and layer normalization with their backward passes, and layers of both.

The chapter "Regularization and normalization" introduces what this module holds.
"""

import numpy as np

from cnnbook.layers.network import Layer
from cnnbook.layers.network_checks import remembered
from cnnbook.layers.normalization_checks import (
    check_batch_norm,
    check_batch_norm_backward,
    check_batch_norm_layer,
    check_layer_norm,
    check_layer_norm_backward,
    check_layer_norm_layer,
    check_mode,
    check_standardize,
    check_standardize_backward,
)


def standardize(inputs, axes, epsilon=1e-5):
    """Subtract the mean over some axes and divide by the root of variance plus epsilon.

    Parameters
    ----------
    inputs : array_like of real numbers, any shape with at least one axis
    axes : int or tuple of ints
        The axes over which mean and variance are taken, together; none of them of length 0.
    epsilon : float, at least 0
        In the unit of the variance, which is the mean of squares (divided by n, not n - 1).

    Returns
    -------
    array of that shape
        In float64 if the inputs hold whole numbers or bool; floats keep their type. A NaN reaches
        all entries that share its mean. Where variance and epsilon are 0 the result is NaN.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Ioffe and Szegedy, Batch normalization (2015), algorithm 1, lines 1 to 3.
    """
    inputs, axes, epsilon = check_standardize(inputs, axes, epsilon)
    mean = inputs.mean(axes, keepdims=True)
    variance = inputs.var(axes, keepdims=True)
    return (inputs - mean) / np.sqrt(variance + epsilon)


def standardize_backward(upstream, inputs, axes, epsilon=1e-5):
    """Return the gradient of the inputs of `standardize`.

    Parameters
    ----------
    upstream : array_like of real numbers, of the shape of inputs
        The gradient of the loss with respect to the outputs.
    inputs, axes, epsilon
        As in `standardize`.

    Returns
    -------
    array of that shape
        Types and NaN are as in `standardize`; a NaN of upstream too reaches all entries that share
        its mean.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Ioffe and Szegedy, Batch normalization (2015), section 3, simplified.
    """
    upstream, inputs, axes, epsilon = check_standardize_backward(upstream, inputs, axes, epsilon)
    standard = standardize(inputs, axes, epsilon)
    deviation = np.sqrt(inputs.var(axes, keepdims=True) + epsilon)
    constant = upstream.mean(axes, keepdims=True)
    along = (upstream * standard).mean(axes, keepdims=True)
    return (upstream - constant - standard * along) / deviation


def batch_norm(inputs, scale, shift, mean=None, variance=None, epsilon=1e-5):
    """Standardize each channel over the mini-batch, then scale and shift it.

    Parameters
    ----------
    inputs : array_like of real numbers, shape (N, C, ...)
        Such as (N, C) or (N, C, H, W).
    scale, shift : array_like of real numbers, shape (C,)
        Gamma and beta in the paper.
    mean, variance : array_like of real numbers, shape (C,), or both None
        None: those of the inputs, over all axes but the channels; each channel must hold at least
        two values. Otherwise these are used, as for evaluation, and N may be 0.
    epsilon : float, at least 0
        In the unit of the variance.

    Returns
    -------
    array of that shape
        In the common type of the arguments, whole numbers and bool counting as float64. A NaN of
        an input reaches its whole channel, with `mean` and `variance` given only its own place.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Ioffe and Szegedy, Batch normalization (2015), algorithms 1 and 2.
    """
    inputs, scale, shift, mean, variance, axes, epsilon = check_batch_norm(
        inputs, scale, shift, mean, variance, epsilon
    )
    if mean is None:
        return scale * standardize(inputs, axes, epsilon) + shift
    return scale * (inputs - mean) / np.sqrt(variance + epsilon) + shift


def batch_norm_backward(upstream, inputs, scale, mean=None, variance=None, epsilon=1e-5):
    """Return the gradients of the inputs, the scale and the shift of `batch_norm`.

    Parameters
    ----------
    upstream : array_like of real numbers, of the shape of inputs
        The gradient of the loss with respect to the outputs.
    inputs, scale, mean, variance, epsilon
        As in `batch_norm`. A given mean and variance count as constants.

    Returns
    -------
    d_inputs : array of the shape of inputs
    d_scale, d_shift : arrays, shape (C,)
        Summed over all axes but the channels. Types are as in `batch_norm`; a NaN reaches its
        channel in all three, with `mean` and `variance` given its own place and the sums.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Ioffe and Szegedy, Batch normalization (2015), section 3.
    """
    upstream, inputs, scale, mean, variance, axes, epsilon = check_batch_norm_backward(
        upstream, inputs, scale, mean, variance, epsilon
    )
    if mean is None:
        standard = standardize(inputs, axes, epsilon)
        d_inputs = standardize_backward(upstream * scale, inputs, axes, epsilon)
    else:
        deviation = np.sqrt(variance + epsilon)
        standard = (inputs - mean) / deviation
        d_inputs = upstream * scale / deviation
    return d_inputs, (upstream * standard).sum(axes), upstream.sum(axes)


def layer_norm(inputs, scale, shift, epsilon=1e-5):
    """Standardize each example over its last axes, then scale and shift each of its entries.

    Parameters
    ----------
    inputs : array_like of real numbers, shape (..., *scale.shape)
        Such as (N, C) with scale (C,), or (N, C, H, W) with scale (C, H, W).
    scale, shift : array_like of real numbers, of one shape
        At least one axis, none of length 0.
    epsilon : float, at least 0
        In the unit of the variance.

    Returns
    -------
    array of the shape of inputs
        In the common type of the arguments, whole numbers and bool counting as float64. A NaN of
        an input reaches all entries of its example and no other example.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Ba, Kiros and Hinton, Layer normalization (2016), section 3.
    """
    inputs, scale, shift, axes, epsilon = check_layer_norm(inputs, scale, shift, epsilon)
    return scale * standardize(inputs, axes, epsilon) + shift


def layer_norm_backward(upstream, inputs, scale, epsilon=1e-5):
    """Return the gradients of the inputs, the scale and the shift of `layer_norm`.

    Parameters
    ----------
    upstream : array_like of real numbers, of the shape of inputs
        The gradient of the loss with respect to the outputs.
    inputs, scale, epsilon
        As in `layer_norm`.

    Returns
    -------
    d_inputs : array of the shape of inputs
    d_scale, d_shift : arrays of the shape of scale
        Summed over the examples. Types are as in `layer_norm`; a NaN reaches its example in
        d_inputs, and the entries of d_scale that its example adds to.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Ba, Kiros and Hinton, Layer normalization (2016), section 3, differentiated.
    """
    upstream, inputs, scale, axes, epsilon = check_layer_norm_backward(
        upstream, inputs, scale, epsilon
    )
    examples = tuple(range(inputs.ndim - scale.ndim))
    standard = standardize(inputs, axes, epsilon)
    d_inputs = standardize_backward(upstream * scale, inputs, axes, epsilon)
    return d_inputs, (upstream * standard).sum(examples), upstream.sum(examples)


class BatchNorm(Layer):
    """Batch normalization: `batch_norm` and `batch_norm_backward`, NaN as there.

    In training mode a mini-batch is standardized with its own mean and variance, and both enter the
    running statistics, a NaN for good. In evaluation mode the running statistics are used. The
    backward pass belongs to the mode of the last forward pass.

    Parameters
    ----------
    channels : int, at least 1
        C of inputs (N, C, ...).
    momentum : float, 0 to 1
        The weight of the new mini-batch in the running statistics, as in torch.
    epsilon : float, at least 0
        In the unit of the variance.

    Attributes
    ----------
    parameters : [scale, shift], float32, shape (C,)
        They begin as ones and zeros.
    running_mean, running_variance : arrays, shape (C,)
        They begin as zeros and ones. The variance is that of a sample, divided by n - 1.
    training : bool, True in the beginning
        The mode; `set_training` sets it for a whole network.

    Raises
    ------
    ValueError
        An argument is not as above.
    """

    def __init__(self, channels, momentum=0.1, epsilon=1e-5):
        channels, self.momentum, self.epsilon = check_batch_norm_layer(channels, momentum, epsilon)
        super().__init__(np.ones(channels, np.float32), np.zeros(channels, np.float32))
        self.running_mean = np.zeros(channels, np.float32)
        self.running_variance = np.ones(channels, np.float32)
        self.training, self.constants = True, (None, None)

    def forward(self, inputs):
        self.inputs = inputs
        running = self.running_mean, self.running_variance
        self.constants = (None, None) if self.training else running
        outputs = batch_norm(inputs, *self.parameters, *self.constants, self.epsilon)
        if self.training:
            axes = tuple(axis for axis in range(inputs.ndim) if axis != 1)
            new = inputs.mean(axes), inputs.var(axes, ddof=1)
            self.running_mean, self.running_variance = (
                old + self.momentum * (now - old) for old, now in zip(running, new, strict=True)
            )
        return outputs

    def backward(self, upstream):
        arrays = upstream, remembered(self.inputs), self.parameters[0]
        d_inputs, *self.gradients = batch_norm_backward(*arrays, *self.constants, self.epsilon)
        return d_inputs


class LayerNorm(Layer):
    """Layer normalization: `layer_norm` and `layer_norm_backward`, NaN as there. It has no mode.

    Parameters
    ----------
    shape : int or tuple of ints, at least 1
        The last axes of the inputs: C of (N, C), or (C, H, W) of (N, C, H, W).
    epsilon : float, at least 0
        In the unit of the variance.

    Attributes
    ----------
    parameters : [scale, shift], float32, of that shape
        They begin as ones and zeros.

    Raises
    ------
    ValueError
        An argument is not as above.
    """

    def __init__(self, shape, epsilon=1e-5):
        shape, self.epsilon = check_layer_norm_layer(shape, epsilon)
        super().__init__(np.ones(shape, np.float32), np.zeros(shape, np.float32))

    def forward(self, inputs):
        self.inputs = inputs
        return layer_norm(inputs, *self.parameters, self.epsilon)

    def backward(self, upstream):
        arrays = upstream, remembered(self.inputs), self.parameters[0]
        d_inputs, *self.gradients = layer_norm_backward(*arrays, self.epsilon)
        return d_inputs


def set_training(network, training):
    """Set the mode of a layer, or of all layers of a network, however deep.

    Layers without a mode are left as they are; no numbers are touched, NaN included.

    Parameters
    ----------
    network : Network or layer
    training : bool
        True for training, False for evaluation.

    Raises
    ------
    ValueError
        An argument is not as above.
    """
    check_mode(network, training)
    for layer in getattr(network, "layers", ()):
        set_training(layer, training)
    if hasattr(network, "training"):
        network.training = training
