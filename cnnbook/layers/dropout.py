"""Inverted dropout, its backward pass, and a layer of it.

The chapter "Regularization and normalization" introduces what this module holds.
"""

from cnnbook.layers.dropout_checks import (
    check_dropout,
    check_dropout_backward,
    check_dropout_layer,
)
from cnnbook.layers.network import Layer
from cnnbook.layers.network_checks import remembered


def dropout(inputs, rate, random):
    """Set each input to 0 with probability `rate`, and divide the others by 1 - `rate`.

    Parameters
    ----------
    inputs : array_like of real numbers, any shape
    rate : float, at least 0 and below 1
        The share that is dropped.
    random : numpy.random.Generator
        Draws, for each input, whether it is kept.

    Returns
    -------
    outputs, factors : arrays of that shape
        outputs = inputs * factors; a factor is 0 or 1 / (1 - rate). Whole numbers and bool count as
        float64, floats keep their type. NaN stays NaN even where it is dropped, and infinity
        becomes NaN there.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Srivastava and others, Dropout (2014), sections 4 and 10 (the scaling in training).
    """
    inputs, rate = check_dropout(inputs, rate, random)
    kept = random.random(inputs.shape) >= rate
    factors = (kept / (1 - rate)).astype(inputs.dtype)
    return inputs * factors, factors


def dropout_backward(upstream, factors):
    """Return the gradient of the inputs of `dropout`: upstream times the factors that it drew.

    Parameters
    ----------
    upstream : array_like of real numbers, of the shape of factors
        The gradient of the loss with respect to the outputs.
    factors : array_like of real numbers
        What `dropout` returned.

    Returns
    -------
    array of that shape, in the common type
        NaN of upstream stays NaN, and infinity becomes NaN where the input was dropped.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Srivastava and others, Dropout (2014), section 5.1.
    """
    upstream, factors = check_dropout_backward(upstream, factors)
    return upstream * factors


class Dropout(Layer):
    """Dropout in training mode, nothing in evaluation mode: `dropout` and `dropout_backward`.

    NaN is as there. The backward pass belongs to the last forward pass, and uses its factors.

    Parameters
    ----------
    rate : float, at least 0 and below 1
        The share that is dropped.
    random : numpy.random.Generator
        Draws, in each forward pass anew, which inputs are kept.

    Attributes
    ----------
    training : bool, True in the beginning
        The mode; `set_training` sets it for a whole network.

    Raises
    ------
    ValueError
        An argument is not as above.
    """

    def __init__(self, rate, random):
        super().__init__()
        self.rate, self.random = check_dropout_layer(rate, random)
        self.training, self.factors = True, None

    def forward(self, inputs):
        self.inputs, self.factors = inputs, None
        if not self.training:
            return inputs
        outputs, self.factors = dropout(inputs, self.rate, self.random)
        return outputs

    def backward(self, upstream):
        remembered(self.inputs)
        return upstream if self.factors is None else dropout_backward(upstream, self.factors)
