"""Checks of arguments for `cnnbook.optimizers`: each returns them ready or says why not."""

import math
import numbers

import numpy as np

from cnnbook import checks


def check_zero_or_more(name, value):
    """Return a finite number of at least 0 as a float, or raise ValueError."""
    return _number(name, value, "a finite number of at least 0", lambda x: 0 <= x < math.inf)


def check_positive(name, value):
    """Return a finite number above 0 as a float, or raise ValueError."""
    return _number(name, value, "a finite number above 0", lambda x: 0 < x < math.inf)


def check_share(name, value):
    """Return a number from 0 to below 1 as a float, or raise ValueError."""
    return _number(name, value, "a number from 0 to below 1", lambda x: 0 <= x < 1)


def check_momentum(momentum, nesterov):
    """Return momentum as a float, and nesterov, or raise ValueError."""
    momentum = check_share("momentum", momentum)
    if not isinstance(nesterov, bool):
        raise ValueError(f"nesterov was {nesterov!r}; it must be True or False")
    if nesterov and not momentum:
        raise ValueError("momentum was 0; with nesterov it must be above 0")
    return momentum, nesterov


def check_betas(betas):
    """Return a pair of numbers from 0 to below 1 as floats, or raise ValueError."""
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise ValueError(f"betas was {betas!r}; it must be a pair of numbers from 0 to below 1")
    return tuple(check_share(f"betas[{place}]", beta) for place, beta in enumerate(betas))


def check_parameters(parameters):
    """Return arrays that can be changed in place as a list, or raise ValueError."""
    parameters = _list("parameters", parameters)
    if not parameters:
        raise ValueError("parameters was empty; it must hold at least one array")
    for place, array in enumerate(parameters):
        name = f"parameters[{place}]"
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name} was a {type(array).__name__}; it must be a NumPy array")
        if array.dtype not in (np.float32, np.float64):
            raise ValueError(f"{name} was of dtype {array.dtype}; it must be float32 or float64")
        if not array.flags.writeable:
            raise ValueError(f"{name} was read-only; it must be an array that can be changed")
        if any(array is other for other in parameters[:place]):
            raise ValueError(f"{name} was an array that is in the list already; it must be new")
    return parameters


def check_step(optimizer, gradients):
    """Return gradients as a list of arrays that fit an optimizer's parameters, or ValueError.

    The optimizer's learning rate is looked at too, since it may have been set.
    """
    check_zero_or_more("learning_rate", optimizer.learning_rate)
    gradients = _list("gradients", gradients)
    if len(gradients) != len(optimizer.parameters):
        raise ValueError(
            f"gradients was of length {len(gradients)}; it must be of length "
            f"{len(optimizer.parameters)}, one for each parameter (none is there before the first "
            f"backward pass)"
        )
    arrays = []
    for place, parameter in enumerate(optimizer.parameters):
        name = f"gradients[{place}]"
        array = checks.numbers(name, gradients[place], "an array of real numbers")
        if array.shape != parameter.shape:
            raise ValueError(
                f"{name} was of shape {array.shape}; it must be {parameter.shape}, as its parameter"
            )
        arrays.append(array.astype(parameter.dtype, copy=False))
    return arrays


def _list(name, values):
    if not isinstance(values, (list, tuple)):
        raise ValueError(f"{name} was a {type(values).__name__}; it must be a list of arrays")
    return list(values)


def _number(name, value, wanted, accepted):
    number = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
    if not number or not accepted(value):
        raise ValueError(f"{name} was {value!r}; it must be {wanted}")
    return float(value)
