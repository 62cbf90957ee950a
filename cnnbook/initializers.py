"""Weights for a layer to begin with, of Glorot's and of He's variance.

The chapter "Initialization" introduces the functions of this module. `shape` is that of the weights
of a dense layer, (inputs, outputs), or of a convolution, (out_channels, in_channels, height,
width). With groups, `in_channels` is what one kernel sees, as in the arrays of `conv2d`, and the
fan-out counts the kernels of all groups, as torch does. Results are float32 and hold no NaN.
"""

import numpy as np

from cnnbook.initializers_checks import check_draw, check_shape


def fans(shape):
    """Return how many products the sums of a layer have, forward and backward.

    Parameters
    ----------
    shape : sequence of 2 or 4 int, each at least 1
        (inputs, outputs), or (out_channels, in_channels, height, width). `torch.nn.Linear` stores
        its weights as (outputs, inputs), so give the shape of their transpose.

    Returns
    -------
    fan_in : int
        The products in the sum of one output.
    fan_out : int
        The products in the sum of the gradient of one input, for a convolution of stride 1 and away
        from the border.

    Raises
    ------
    ValueError
        `shape` is not as above.

    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), section 2.2.
    """
    shape = check_shape(shape)
    if len(shape) == 2:
        return shape
    out_channels, in_channels, height, width = shape
    return in_channels * height * width, out_channels * height * width


def glorot_uniform(shape, random):
    """Draw weights evenly between the two bounds that give variance 2 / (fan_in + fan_out).

    Parameters
    ----------
    shape : sequence of 2 or 4 int, each at least 1
        See `fans`.
    random : numpy.random.Generator

    Returns
    -------
    array of float32, of that shape

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
    networks (2010), equation 16.
    """
    shape, random = check_draw(shape, random)
    bound = np.sqrt(6 / sum(fans(shape)))
    return random.uniform(-bound, bound, shape).astype(np.float32)


def glorot_normal(shape, random):
    """Draw weights from a normal distribution of mean 0 and variance 2 / (fan_in + fan_out).

    Parameters
    ----------
    shape, random
        As in `glorot_uniform`.

    Returns
    -------
    array of float32, of that shape

    Raises
    ------
    ValueError
        An argument is not as there.

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
    networks (2010), equation 12.
    """
    shape, random = check_draw(shape, random)
    return random.normal(0, np.sqrt(2 / sum(fans(shape))), shape).astype(np.float32)


def he_uniform(shape, random):
    """Draw weights evenly between the two bounds that give variance 2 / fan_in.

    Parameters
    ----------
    shape, random
        As in `glorot_uniform`.

    Returns
    -------
    array of float32, of that shape

    Raises
    ------
    ValueError
        An argument is not as there.

    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), equation 10, for the
    variance; the bounds are derived in the chapter.
    """
    shape, random = check_draw(shape, random)
    bound = np.sqrt(6 / fans(shape)[0])
    return random.uniform(-bound, bound, shape).astype(np.float32)


def he_normal(shape, random):
    """Draw weights from a normal distribution of mean 0 and variance 2 / fan_in.

    Parameters
    ----------
    shape, random
        As in `glorot_uniform`.

    Returns
    -------
    array of float32, of that shape

    Raises
    ------
    ValueError
        An argument is not as there.

    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), equation 10.
    """
    shape, random = check_draw(shape, random)
    return random.normal(0, np.sqrt(2 / fans(shape)[0]), shape).astype(np.float32)
