"""Checks of arguments for normalization. Each returns them ready for use, or raises ValueError."""

import math
import numbers
import operator

import numpy as np

from cnnbook import checks
from cnnbook.layers.checks import array_with_axes
from cnnbook.layers.dense_checks import check_upstream


def check_standardize(inputs, axes, epsilon):
    """Return inputs as an array of floats, axes as a tuple of ints from 0, and epsilon."""
    inputs = _floats("inputs", inputs)
    axes = _axes(axes, inputs.ndim)
    for axis in axes:
        if not inputs.shape[axis]:
            raise ValueError(
                f"inputs was of shape {inputs.shape}; its axis {axis}, over which the mean is "
                "taken, must be at least 1"
            )
    return inputs, axes, _epsilon(epsilon)


def check_standardize_backward(upstream, inputs, axes, epsilon):
    """Return upstream and inputs as arrays of one type, axes, and epsilon."""
    upstream, inputs = _with_upstream(upstream, inputs)
    return upstream, *check_standardize(inputs, axes, epsilon)


def check_batch_norm(inputs, scale, shift, mean, variance, epsilon):
    """Return the arguments in one type, per channel as (C, 1, ...), the axes of a mean, epsilon."""
    inputs = _floats("inputs", inputs)
    if inputs.ndim < 2:
        raise ValueError(f"inputs was of shape {inputs.shape}; it must be of shape (N, C, ...)")
    if not all(inputs.shape[1:]):
        raise ValueError(
            f"inputs was of shape {inputs.shape}; all its axes but the first must be at least 1"
        )
    if (mean is None) != (variance is None):
        given, absent = ("variance", "mean") if mean is None else ("mean", "variance")
        raise ValueError(f"{absent} was None; with {given} given, it must be given as well")
    arrays = [inputs, _channel("scale", scale, inputs), _channel("shift", shift, inputs)]
    if mean is None:
        count = inputs.size // inputs.shape[1]
        if count < 2:
            raise ValueError(
                f"inputs was of shape {inputs.shape}, with {count} values in each channel; for a "
                "variance it must have at least 2 (or give mean and variance)"
            )
    else:
        arrays += [_channel("mean", mean, inputs), _channel("variance", variance, inputs)]
        if (arrays[-1] < 0).any():
            raise ValueError(f"variance held {arrays[-1].min()}; it must be at least 0")
    arrays = _one_type(arrays)
    axes = tuple(axis for axis in range(inputs.ndim) if axis != 1)
    return *arrays, *([None, None] if mean is None else []), axes, _epsilon(epsilon)


def check_batch_norm_backward(upstream, inputs, scale, mean, variance, epsilon):
    """Return upstream and what `check_batch_norm` returns, without the shift."""
    upstream, inputs = _with_upstream(upstream, inputs)
    inputs, scale, _, *rest = check_batch_norm(inputs, scale, scale, mean, variance, epsilon)
    return upstream.astype(inputs.dtype, copy=False), inputs, scale, *rest


def check_layer_norm(inputs, scale, shift, epsilon):
    """Return inputs, scale and shift in one type, the axes of a mean, and epsilon."""
    inputs, scale, shift = (
        _floats(name, values)
        for name, values in (("inputs", inputs), ("scale", scale), ("shift", shift))
    )
    if not scale.ndim or not scale.size:
        raise ValueError(
            f"scale was of shape {scale.shape}; it must have at least one axis, and none of "
            "length 0"
        )
    if scale.ndim > inputs.ndim or inputs.shape[inputs.ndim - scale.ndim :] != scale.shape:
        raise ValueError(
            f"scale was of shape {scale.shape}; it must be that of the last axes of inputs, which "
            f"was of shape {inputs.shape}"
        )
    if shift.shape != scale.shape:
        raise ValueError(
            f"shift was of shape {shift.shape}; it must be {scale.shape}, the shape of scale"
        )
    axes = tuple(range(inputs.ndim - scale.ndim, inputs.ndim))
    return *_one_type([inputs, scale, shift]), axes, _epsilon(epsilon)


def check_layer_norm_backward(upstream, inputs, scale, epsilon):
    """Return upstream, inputs and scale in one type, the axes of a mean, and epsilon."""
    upstream, inputs = _with_upstream(upstream, inputs)
    inputs, scale, _, *rest = check_layer_norm(inputs, scale, scale, epsilon)
    return upstream.astype(inputs.dtype, copy=False), inputs, scale, *rest


def check_batch_norm_layer(channels, momentum, epsilon):
    """Return what a batch normalization layer is made with, or raise ValueError."""
    if not _is_number(momentum) or not 0 <= momentum <= 1:
        raise ValueError(f"momentum was {momentum!r}; it must be a number from 0 to 1")
    return checks.whole("channels", channels, 1), float(momentum), _epsilon(epsilon)


def check_layer_norm_layer(shape, epsilon):
    """Return the shape as a tuple, and epsilon, or raise ValueError."""
    given = shape if isinstance(shape, tuple | list) else (shape,)
    if not given:
        raise ValueError("shape was empty; it must name at least one axis")
    sides = tuple(checks.whole("shape", side, 1) for side in given)
    return sides, _epsilon(epsilon)


def check_mode(network, training):
    """Raise ValueError if `network` is no layer or `training` is neither True nor False."""
    if isinstance(network, type) or not hasattr(network, "forward"):
        raise ValueError(f"network was {network!r}; it must be an object with forward and backward")
    if not isinstance(training, bool):
        raise ValueError(f"training was {training!r}; it must be True or False")


def _floats(name, values):
    array = checks.numbers(name, values, "an array of real numbers")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _with_upstream(upstream, inputs):
    upstream, inputs = check_upstream(upstream, inputs)
    return _one_type([_floats("upstream", upstream), _floats("inputs", inputs)])


def _one_type(arrays):
    kind = np.result_type(*arrays)
    return [array.astype(kind, copy=False) for array in arrays]


def _channel(name, values, inputs):
    array = _floats(name, array_with_axes(name, values, ("C",), least=(1,)))
    if len(array) != inputs.shape[1]:
        raise ValueError(
            f"{name} was of shape {array.shape}; its axis 0 was {len(array)}, it must be "
            f"{inputs.shape[1]}: the channels (axis 1) of inputs"
        )
    return array.reshape(-1, *(1,) * (inputs.ndim - 2))


def _axes(axes, ndim):
    given = axes if isinstance(axes, tuple | list) else (axes,)
    try:
        found = [None if isinstance(axis, bool) else operator.index(axis) for axis in given]
    except TypeError:
        found = [None]
    inside = all(axis is not None and -ndim <= axis < ndim for axis in found)
    if not found or not inside or len({axis % ndim for axis in found}) < len(found):
        raise ValueError(
            f"axes was {axes!r}; it must name at least one axis of inputs, each once, from "
            f"{-ndim} to {ndim - 1}"
        )
    return tuple(sorted(axis % ndim for axis in found))


def _epsilon(epsilon):
    if not _is_number(epsilon) or not 0 <= epsilon < math.inf:
        raise ValueError(f"epsilon was {epsilon!r}; it must be a finite number of at least 0")
    return float(epsilon)


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
