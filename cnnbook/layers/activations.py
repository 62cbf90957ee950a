"""The ReLU and its backward pass.

The chapter "Backpropagation through dense layers" introduces the functions of this module.
"""

import numpy as np

from cnnbook.layers.dense_checks import check_upstream, check_values


def relu(inputs):
    """Return the inputs with 0 in place of each negative number.

    Parameters
    ----------
    inputs : array_like of real numbers, any shape

    Returns
    -------
    array of that shape
        In int64 if the inputs hold whole numbers or bool; floats keep their type. NaN stays NaN.

    Raises
    ------
    ValueError
        `inputs` is not as above.

    Source: Nair and Hinton, Rectified linear units improve restricted Boltzmann machines (2010).
    """
    return np.maximum(check_values(inputs), 0)


def relu_backward(upstream, inputs):
    """Return the gradient of the inputs of `relu`: upstream where an input is positive, else 0.

    Parameters
    ----------
    upstream : array_like of real numbers, of the shape of inputs
        The gradient of the loss with respect to the outputs.
    inputs : array_like of real numbers, any shape
        What `relu` was given. At exactly 0 the slope counts as 0, as in torch.

    Returns
    -------
    array of that shape, of the type of upstream (int64 if it holds whole numbers or bool)
        NaN of upstream stays NaN wherever it is, and infinity becomes NaN where it is stopped; an
        input of NaN is not positive.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Glorot, Bordes and Bengio, Deep sparse rectifier neural networks (2011), section 3.
    """
    upstream, inputs = check_upstream(upstream, inputs)
    return upstream * (inputs > 0)
