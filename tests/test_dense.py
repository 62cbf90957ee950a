"""The dense layer and its gradients are torch's, exact on whole numbers; bad arguments are named.

Shapes are drawn so that inputs, outputs and rows differ, and may be 1; there may be no rows.
"""

import inspect
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from cnnbook.layers import dense, dense_backward

INTEGERS = ("bool", "int8", "uint8", "int32", "uint64")


@st.composite
def layers(draw, kind="int64"):
    """Draw inputs, weights, bias or None, and an upstream gradient."""
    rows, width, outputs = draw(st.sampled_from([0, 1, 1, 2, 5])), *draw(WIDTHS)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = [(rows, width), (width, outputs), (outputs,), (rows, outputs)]
    if kind == "int64":
        arrays = [random.integers(-9, 10, shape) for shape in shapes]
    else:
        arrays = [random.normal(size=shape).astype(kind) for shape in shapes]
    if not draw(st.booleans()):
        arrays[2] = None
    return arrays


WIDTHS = st.tuples(st.integers(1, 6), st.integers(1, 6))


def by_torch(inputs, weights, bias, upstream):
    """Return the outputs and the gradients of inputs, weights and bias, by autograd in float64."""
    bias = np.zeros(weights.shape[1]) if bias is None else bias
    inputs, weights, bias = (
        torch.tensor(array, dtype=torch.float64, requires_grad=True)
        for array in (inputs, weights, bias)
    )
    outputs = functional.linear(inputs, weights.T, bias)
    outputs.backward(torch.tensor(upstream, dtype=torch.float64))
    return [tensor.detach().numpy() for tensor in (outputs, inputs.grad, weights.grad, bias.grad)]


def computed(inputs, weights, bias, upstream):
    return [dense(inputs, weights, bias), *dense_backward(upstream, inputs, weights)]


@given(layers())
def test_in_whole_numbers_outputs_and_gradients_are_torch_s(layer):
    for result, expected in zip(computed(*layer), by_torch(*layer), strict=True):
        assert result.dtype == np.int64
        np.testing.assert_array_equal(result, expected)
        assert result.shape == expected.shape


@pytest.mark.parametrize("kind, tolerance", [("float32", 1e-5), ("float64", 1e-13)])
def test_in_floats_outputs_and_gradients_are_torch_s_up_to_rounding(kind, tolerance):
    @given(layers(kind))
    def agree(layer):
        for result, expected in zip(computed(*layer), by_torch(*layer), strict=True):
            assert result.dtype == kind
            assert result.shape == expected.shape
            np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)

    agree()


def test_the_gradients_are_the_sums_that_the_chapter_writes():
    random = np.random.default_rng(1)
    x, w, upstream = (random.integers(-9, 10, shape) for shape in ((4, 3), (3, 5), (4, 5)))
    d_inputs, d_weights, d_bias = dense_backward(upstream, x, w)
    for n, i in np.ndindex(4, 3):
        assert d_inputs[n, i] == sum(upstream[n, k] * w[i, k] for k in range(5))
    for i, k in np.ndindex(3, 5):
        assert d_weights[i, k] == sum(x[n, i] * upstream[n, k] for n in range(4))
    assert d_bias.tolist() == [sum(upstream[n, k] for n in range(4)) for k in range(5)]


def test_arrays_that_are_not_contiguous_give_the_same_result():
    random = np.random.default_rng(2)
    x = random.integers(-9, 10, (7, 8)).T[::2, ::-1]  # (4, 7)
    w = random.integers(-9, 10, (10, 14))[::-2, ::2].T  # (7, 5)
    upstream = random.integers(-9, 10, (5, 8)).T[::-2]  # (4, 5)
    assert not any(array.flags.c_contiguous for array in (x, w, upstream))
    copies = x.copy(), w.copy(), None, upstream.copy()
    for result, expected in zip(computed(x, w, None, upstream), by_torch(*copies), strict=True):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("kind", INTEGERS)
def test_every_integer_type_is_computed_exactly_in_int64(kind):
    x, w = np.array([[1, 100, 120]], kind), np.array([[100, 0], [120, 1], [7, 90]], kind)
    bias, upstream = np.array([127, 3], kind), np.array([[100, 127]], kind)
    wide = [array.astype("int64") for array in (x, w, bias, upstream)]
    for result, expected in zip(computed(x, w, bias, upstream), by_torch(*wide), strict=True):
        assert result.dtype == np.int64
        np.testing.assert_array_equal(result, expected)


def test_a_mixture_becomes_what_numpy_makes_of_it():
    single, double = np.ones((2, 3), "float32"), np.ones((3, 4), "float64")
    assert dense(single, single.T).dtype == "float32"
    assert dense(single, double).dtype == dense(single, single.T, [1, 2]).dtype == "float64"
    kinds = {array.dtype for array in dense_backward(np.ones((2, 4), "float32"), single, double)}
    assert kinds == {np.dtype("float64")}


def test_arguments_are_not_changed_and_results_share_no_memory_with_them():
    arrays = [np.ones((1, 1)), np.ones((1, 1)), np.ones(1), np.ones((1, 1))]
    for array in arrays:
        array.setflags(write=False)
    for result in computed(*arrays):
        result += 1
        assert not any(np.shares_memory(result, array) for array in arrays)


def test_nan_reaches_what_the_docstrings_say_and_nothing_else():
    x, w, upstream = np.ones((4, 3)), np.ones((3, 5)), np.ones((4, 5))
    x[1, 2] = w[0, 4] = np.nan
    lost = np.zeros((4, 5), bool)
    lost[1] = lost[:, 4] = True
    assert np.array_equal(np.isnan(dense(x, w)), lost)
    bias = np.array([0, 0, np.nan, 0, 0])
    assert np.isnan(dense(np.ones((4, 3)), np.ones((3, 5)), bias)).sum() == 4
    d_inputs, d_weights, d_bias = dense_backward(upstream, x, w)
    assert np.argwhere(np.isnan(d_inputs)).tolist() == [[n, 0] for n in range(4)]
    assert np.argwhere(np.isnan(d_weights)).tolist() == [[2, k] for k in range(5)]
    assert not np.isnan(d_bias).any()
    upstream[3, 1] = np.nan
    d_inputs, d_weights, d_bias = dense_backward(upstream, np.ones((4, 3)), np.ones((3, 5)))
    assert np.argwhere(np.isnan(d_inputs)).tolist() == [[3, i] for i in range(3)]
    assert np.argwhere(np.isnan(d_weights)).tolist() == [[i, 1] for i in range(3)]
    assert np.argwhere(np.isnan(d_bias)).tolist() == [[1]]


X, W, B, U = np.ones((4, 3)), np.ones((3, 5)), np.ones(5), np.ones((4, 5))
DOES_NOT_FIT = {
    "weights of another width": (
        {"weights": np.ones((5, 3))},
        "weights was of shape (5, 3); its axis 0 was 5, it must be 3: the columns (axis 1) of "
        "inputs",
    ),
    "one row": ({"inputs": X[0]}, "inputs was of shape (3,); it must be of shape (N, in)"),
    "a vector of weights": (
        {"weights": W[:, 0]},
        "weights was of shape (3,); it must be of shape (in, out)",
    ),
    "no columns": (
        {"inputs": X[:, :0]},
        "inputs was of shape (4, 0); its axis 1 (in) was 0, it must be at least 1",
    ),
    "no outputs": (
        {"weights": W[:, :0]},
        "weights was of shape (3, 0); its axis 1 (out) was 0, it must be at least 1",
    ),
}
FORWARD = {
    "bias of another width": (
        {"bias": np.ones(1)},
        "bias was of shape (1,); its axis 0 was 1, it must be 5: the outputs (axis 1) of weights",
    ),
    "a row as bias": ({"bias": B[None]}, "bias was of shape (1, 5); it must be of shape (out)"),
}
BACKWARD = {
    "upstream of other rows": (
        {"upstream": U[:1]},
        "upstream was of shape (1, 5); it must be (4, 5), the shape of the outputs",
    ),
    "upstream of one output": (
        {"upstream": U[:, :1]},
        "upstream was of shape (4, 1); it must be (4, 5), the shape of the outputs",
    ),
    "upstream with one axis": (
        {"upstream": U[0]},
        "upstream was of shape (5,); it must be of shape (N, out)",
    ),
}


@pytest.mark.parametrize("case", DOES_NOT_FIT | FORWARD)
def test_what_does_not_fit_the_layer_is_named(case):
    changed, message = (DOES_NOT_FIT | FORWARD)[case]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        dense(**({"inputs": X, "weights": W, "bias": B} | changed))


@pytest.mark.parametrize("case", DOES_NOT_FIT | BACKWARD)
def test_what_does_not_fit_the_backward_pass_is_named(case):
    changed, message = (DOES_NOT_FIT | BACKWARD)[case]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        dense_backward(**({"upstream": U, "inputs": X, "weights": W} | changed))


@pytest.mark.parametrize("value", [1j * np.ones((2, 2)), "abc", [[1, 2], [3]], None])
def test_what_is_no_array_of_real_numbers_is_named(value):
    with pytest.raises(ValueError, match="^inputs was "):
        dense(value, W)
    with pytest.raises(ValueError, match="^weights was "):
        dense(X, value)
    if value is not None:
        with pytest.raises(ValueError, match="^bias was "):
            dense(X, W, value)
    with pytest.raises(ValueError, match="^upstream was "):
        dense_backward(value, X, W)


def test_sums_that_might_pass_the_largest_int64_are_refused_and_all_others_are_exact():
    x, w = np.full((1, 4), 2**60), np.ones((4, 1), int)
    most = 2**63 - 1 - 4 * 2**60
    assert dense(x, w, [most]).item() == 2**63 - 1
    with pytest.raises(ValueError, match=f"^inputs and weights were whole numbers up to {2**60} "):
        dense(x, w, [most + 1])
    up, one = np.full((1, 7), 2**60), np.ones((1, 7), int)
    assert dense_backward(up, [[1]], one)[0].item() == 7 * 2**60
    with pytest.raises(ValueError, match="^upstream and weights .* a sum of 8 products might"):
        dense_backward(np.full((1, 8), 2**60), [[1]], np.ones((1, 8), int))
    with pytest.raises(ValueError, match="^upstream and inputs .* a sum of 8 products might"):
        dense_backward(np.full((8, 1), 2**60), np.ones((8, 1), int), [[1]])
    with pytest.raises(ValueError, match=f"^upstream held whole numbers up to {2**60}: a sum of 8"):
        dense_backward(np.full((8, 1), 2**60), np.zeros((8, 1), int), [[0]])


@pytest.mark.parametrize("function", [dense, dense_backward], ids=lambda one: one.__name__)
def test_the_docstrings_say_what_is_raised_and_where_it_comes_from(function):
    text = inspect.getdoc(function)
    assert "ValueError" in text and "Source: " in text and "NaN" in text
