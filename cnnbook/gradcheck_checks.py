"""Checks of arguments for `cnnbook.gradcheck`: each returns them converted or says why not."""

import numbers

import numpy as np

from cnnbook import checks


def check_function(function, array, step):
    """Return function, array and step ready for use, or raise ValueError saying why not.

    The array is a copy in float64. The function that is returned raises ValueError when the given
    one returns something else than one real number, and returns a float.
    """
    if not callable(function):
        raise ValueError(f"function was {function!r}; it must be a function of one array")
    array = checks.numbers("array", array, "an array of real numbers").astype(np.float64)
    number = isinstance(step, numbers.Real) and not isinstance(step, bool)
    if not number or not 0 < step < np.inf:
        raise ValueError(f"step was {step!r}; it must be a number greater than 0, such as 1e-5")

    def returns_one_number(argument):
        value = checks.numbers("the result of function", function(argument), "one real number")
        if value.ndim:
            raise ValueError(
                f"the result of function was of shape {value.shape}; it must be one real number"
            )
        return float(value)

    return returns_one_number, array, float(step)


def check_claim(gradient, numerical):
    """Return both as float64 arrays of one shape, not empty, or raise ValueError saying why not."""
    gradient = checks.numbers("gradient", gradient, "an array of real numbers").astype(np.float64)
    if gradient.shape != numerical.shape:
        raise ValueError(
            f"gradient was of shape {gradient.shape}; it must be {numerical.shape}, the shape of "
            "array"
        )
    if not gradient.size:
        raise ValueError("array was empty; it must hold at least one number")
    return gradient, numerical
