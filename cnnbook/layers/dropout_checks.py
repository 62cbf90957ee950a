"""Checks of arguments for dropout. Each returns them ready for use, or raises ValueError."""

import numbers

import numpy as np

from cnnbook.layers.dense_checks import check_upstream, check_values


def check_dropout(inputs, rate, random):
    """Return inputs as an array of floats, and the rate."""
    inputs = check_values(inputs)
    rate, _ = check_dropout_layer(rate, random)
    return inputs if inputs.dtype.kind == "f" else inputs.astype(np.float64), rate


def check_dropout_backward(upstream, factors):
    """Return upstream and factors, of one shape, as arrays of int64 or floats."""
    if np.shape(upstream) != np.shape(factors):
        raise ValueError(
            f"upstream was of shape {np.shape(upstream)}; it must be {np.shape(factors)}, the "
            "shape of factors"
        )
    return check_upstream(upstream, factors)


def check_dropout_layer(rate, random):
    """Return rate and random as they are, or raise ValueError."""
    number = isinstance(rate, numbers.Real) and not isinstance(rate, bool)
    if not number or not 0 <= rate < 1:
        raise ValueError(f"rate was {rate!r}; it must be a number of at least 0 and below 1")
    if not isinstance(random, np.random.Generator):
        raise ValueError(
            f"random was a {type(random).__name__}; it must be a NumPy Generator, such as "
            f"np.random.default_rng(0)"
        )
    return float(rate), random
