"""Checks of arguments for dense layers, activations and losses.

Each returns them ready for use, or raises ValueError.
"""

import numpy as np

from cnnbook import checks
from cnnbook.layers.checks import array_with_axes

INPUTS = ("N", "in")
WEIGHTS = ("in", "out")
SCORES = ("N", "classes")


def check_dense(inputs, weights, bias):
    """Return inputs, weights and bias, if there is one, as arrays of one type."""
    inputs, weights = _inputs_and_weights(inputs, weights)
    arrays = [inputs, weights]
    if bias is not None:
        bias = array_with_axes("bias", bias, ("out",), least=(1,))
        if len(bias) != weights.shape[1]:
            raise ValueError(
                f"bias was of shape {bias.shape}; its axis 0 was {len(bias)}, it must be "
                f"{weights.shape[1]}: the outputs (axis 1) of weights"
            )
        arrays.append(bias)
    arrays = _one_type(arrays)
    if arrays[0].dtype == np.int64:
        constant = 0 if bias is None else checks.magnitude(bias)
        _check_sum("inputs and weights", *arrays[:2], len(weights), constant)
    return arrays if bias is not None else [*arrays, None]


def check_dense_backward(upstream, inputs, weights):
    """Return upstream, inputs and weights as arrays of one type."""
    inputs, weights = _inputs_and_weights(inputs, weights)
    upstream = array_with_axes("upstream", upstream, ("N", "out"), least=(0, 1))
    shape = (len(inputs), weights.shape[1])
    if upstream.shape != shape:
        raise ValueError(
            f"upstream was of shape {upstream.shape}; it must be {shape}, the shape of the outputs"
        )
    upstream, inputs, weights = _one_type([upstream, inputs, weights])
    if upstream.dtype == np.int64:
        _check_sum("upstream and weights", upstream, weights, weights.shape[1])
        _check_sum("upstream and inputs", upstream, inputs, len(inputs))
        if upstream.size and len(upstream) * checks.magnitude(upstream) > checks.LARGEST:
            raise ValueError(
                f"upstream held whole numbers up to {checks.magnitude(upstream)}: a sum of "
                f"{len(upstream)} might pass the largest int64; they must be smaller, or floats"
            )
    return upstream, inputs, weights


def check_values(inputs):
    """Return inputs, of any shape, as an array of int64 or floats."""
    wanted = "an array of real numbers"
    return checks.widen("inputs", checks.numbers("inputs", inputs, wanted))


def check_upstream(upstream, inputs):
    """Return upstream and inputs, of one shape, as arrays of int64 or floats."""
    inputs = check_values(inputs)
    wanted = "an array of real numbers"
    upstream = checks.widen("upstream", checks.numbers("upstream", upstream, wanted))
    if upstream.shape != inputs.shape:
        raise ValueError(
            f"upstream was of shape {upstream.shape}; it must be {inputs.shape}, the shape of "
            "the outputs"
        )
    return upstream, inputs


def check_scores(scores, least=0, name="scores"):
    """Return scores as an array (N, classes) of floats, N being at least `least`."""
    scores = array_with_axes(name, scores, SCORES, least=(least, 1))
    return scores if scores.dtype.kind == "f" else scores.astype(np.float64)


def check_scores_backward(upstream, scores):
    """Return upstream and scores as arrays (N, classes) of floats."""
    scores = check_scores(scores)
    upstream = check_scores(upstream, name="upstream")
    return check_upstream(upstream, scores)


def check_labels(scores, labels, name="scores"):
    """Return scores as an array (N, classes) of floats and labels as one of N class numbers."""
    scores = check_scores(scores, 1, name)
    count, classes = scores.shape
    wanted = f"whole numbers from 0 to {classes - 1}, the classes (axis 1) of {name}"
    labels = checks.numbers("labels", labels, f"an array of {wanted}")
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels was of dtype {labels.dtype}; it must hold {wanted}")
    if labels.shape != (count,):
        raise ValueError(
            f"labels was of shape {labels.shape}; it must be ({count},), one for each row of {name}"
        )
    for extreme in (labels.min(), labels.max()):
        if not 0 <= extreme < classes:
            raise ValueError(f"labels held {extreme}; it must hold {wanted}")
    return scores, labels.astype(np.intp)


def _inputs_and_weights(inputs, weights):
    inputs = array_with_axes("inputs", inputs, INPUTS, least=(0, 1))
    weights = array_with_axes("weights", weights, WEIGHTS, least=(1, 1))
    if len(weights) != inputs.shape[1]:
        raise ValueError(
            f"weights was of shape {weights.shape}; its axis 0 was {len(weights)}, it must be "
            f"{inputs.shape[1]}: the columns (axis 1) of inputs"
        )
    return inputs, weights


def _one_type(arrays):
    kind = np.result_type(*arrays)
    return [array.astype(kind, copy=False) for array in arrays]


def _check_sum(names, first, second, terms, constant=0):
    if not first.size or not second.size:
        return
    one, other = checks.magnitude(first), checks.magnitude(second)
    if terms * one * other + constant > checks.LARGEST:
        raise ValueError(
            f"{names} were whole numbers up to {one} and {other}: a sum of {terms} products "
            f"might pass the largest int64; they must be smaller, or floats"
        )
