"""Softmax, the losses, the ReLU and their gradients are torch's, and stay finite where it matters.

Rows and classes differ; scores reach far beyond what an exponential can hold.
"""

import inspect
import re
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from cnnbook.layers import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
    nll_loss,
    nll_loss_backward,
    relu,
    relu_backward,
    softmax,
)

KINDS = pytest.mark.parametrize("kind, tolerance", [("float32", 2e-6), ("float64", 1e-14)])
FUNCTIONS = [
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
    nll_loss,
    nll_loss_backward,
    relu,
    relu_backward,
    softmax,
]


@st.composite
def batches(draw, kind, least=1):
    """Draw scores of small or huge spread, labels and an upstream gradient."""
    rows = draw(st.sampled_from([0, 1, 1, 2, 3, 7]).filter(lambda number: number >= least))
    classes = draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spread = draw(st.sampled_from([0, 0.1, 1, 30, 3000]))
    scores = (spread * random.normal(size=(rows, classes))).astype(kind)
    labels = random.integers(0, classes, rows).astype(draw(st.sampled_from(["uint8", "int64"])))
    return scores, labels, random.normal(size=scores.shape).astype(kind)


def gradient(function, array, upstream=None):
    """Return value and gradient by autograd in float64."""
    tensor = torch.tensor(array, dtype=torch.float64, requires_grad=True)
    value = function(tensor)
    value.backward(None if upstream is None else torch.tensor(upstream, dtype=torch.float64))
    return value.detach().numpy(), tensor.grad.numpy()


def close(result, expected, kind, tolerance):
    """Tell whether a result has the type and is near; what is large may be off in proportion."""
    assert result.dtype == kind and result.shape == expected.shape
    scale = np.maximum(1, np.abs(expected))
    return (np.abs(result - expected) <= 8 * tolerance * scale).all()


@KINDS
def test_softmax_and_log_softmax_and_its_gradient_are_torch_s(kind, tolerance):
    @given(batches(kind, least=0))
    def agree(batch):
        scores, _, upstream = batch
        expected, _ = gradient(lambda z: torch.softmax(z, 1), scores, upstream)
        assert close(softmax(scores), expected, kind, tolerance)
        expected, slopes = gradient(lambda z: torch.log_softmax(z, 1), scores, upstream)
        assert close(log_softmax(scores), expected, kind, tolerance)
        assert close(log_softmax_backward(upstream, scores), slopes, kind, tolerance)

    agree()


@KINDS
def test_the_negative_log_likelihood_and_its_gradient_are_torch_s(kind, tolerance):
    @given(batches(kind))
    def agree(batch):
        values, labels, _ = batch
        right = torch.tensor(labels.astype("int64"))
        expected, slopes = gradient(lambda z: functional.nll_loss(z, right), values)
        assert close(nll_loss(values, labels), expected, kind, tolerance)
        assert close(nll_loss_backward(values, labels), slopes, kind, tolerance)

    agree()


@KINDS
def test_cross_entropy_and_its_gradient_are_torch_s_also_for_huge_scores(kind, tolerance):
    @given(batches(kind))
    def agree(batch):
        scores, labels, _ = batch
        right = torch.tensor(labels.astype("int64"))
        expected, slopes = gradient(lambda z: functional.cross_entropy(z, right), scores)
        assert close(cross_entropy(scores, labels), expected, kind, tolerance)
        assert close(cross_entropy_backward(scores, labels), slopes, kind, tolerance)

    agree()


@given(batches("float64"))
def test_the_gradient_of_cross_entropy_is_that_of_nll_carried_through_log_softmax(batch):
    scores, labels, _ = batch
    in_two_steps = log_softmax_backward(nll_loss_backward(log_softmax(scores), labels), scores)
    np.testing.assert_allclose(cross_entropy_backward(scores, labels), in_two_steps, atol=1e-15)


def test_by_hand():
    scores, labels = np.log([[1, 3, 4], [2, 1, 1]]), [1, 0]
    np.testing.assert_allclose(softmax(scores), [[1 / 8, 3 / 8, 4 / 8], [1 / 2, 1 / 4, 1 / 4]])
    assert np.isclose(cross_entropy(scores, labels), (np.log(8 / 3) + np.log(2)) / 2)
    expected = [[1 / 16, -5 / 16, 4 / 16], [-1 / 4, 1 / 8, 1 / 8]]
    np.testing.assert_allclose(cross_entropy_backward(scores, labels), expected)


def test_huge_scores_give_no_warning_and_the_exact_loss():
    scores = np.array([[0.0, -1e5], [1e5, 0.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cross_entropy(scores, [1, 1]) == 1e5
        assert cross_entropy_backward(scores, [1, 1]).tolist() == [[0.5, -0.5], [0.5, -0.5]]
        assert softmax(scores).tolist() == [[1, 0], [1, 0]]


def test_a_score_of_minus_infinity_has_the_probability_0():
    scores = np.array([[0.0, -np.inf, np.log(3)]])
    np.testing.assert_allclose(softmax(scores), [[1 / 4, 0, 3 / 4]])
    np.testing.assert_allclose(cross_entropy_backward(scores, [0]), [[-3 / 4, 0, 3 / 4]])
    assert cross_entropy(scores, [1]) == np.inf


@pytest.mark.parametrize("row", [[np.nan, 0], [np.inf, 0], [-np.inf, -np.inf]])
def test_a_row_without_a_softmax_becomes_nan_and_the_others_do_not(row):
    scores, upstream = np.array([[1.0, 2.0], row]), np.ones((2, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        results = [softmax(scores), log_softmax(scores), log_softmax_backward(upstream, scores)]
        results += [cross_entropy_backward(scores, [0, 1])]
        assert np.isnan(cross_entropy(scores, [0, 1]))
    for result in results:
        assert np.isnan(result).tolist() == [[False, False], [True, True]]


def test_nll_sees_the_right_classes_only_and_its_gradient_none_at_all():
    values = np.array([[np.nan, -1.0], [-3.0, np.nan]])
    assert nll_loss(values, [1, 0]) == 2
    assert np.isnan(nll_loss(values, [1, 1]))
    assert nll_loss_backward(values, [1, 1]).tolist() == [[0, -0.5], [0, -0.5]]


def test_nan_upstream_makes_its_row_nan_in_the_gradient_of_log_softmax():
    result = log_softmax_backward([[1, np.nan, 2], [1, 2, 3]], np.zeros((2, 3)))
    assert np.isnan(result).all(axis=1).tolist() == [True, False]


def test_whole_numbers_are_computed_in_float64_and_float32_stays():
    for kind, expected in (("bool", "float64"), ("uint8", "float64"), ("float32", "float32")):
        scores = np.array([[1, 0, 1]], kind)
        results = [softmax(scores), log_softmax(scores), cross_entropy_backward(scores, [2])]
        results += [cross_entropy(scores, [2]), nll_loss_backward(scores, [2])]
        assert {result.dtype for result in results} == {np.dtype(expected)}
        np.testing.assert_allclose(softmax(scores).sum(), 1, rtol=1e-6)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_the_relu_and_its_gradient_are_torch_s_also_at_0(kind):
    random = np.random.default_rng(3)
    for shape in ((), (0, 3), (5,), (4, 7), (2, 3, 5, 4)):
        inputs = random.integers(-3, 4, shape).astype(kind)
        upstream = random.normal(size=shape).astype(kind)
        expected, slopes = gradient(torch.relu, inputs, upstream)
        for result, other in ((relu(inputs), expected), (relu_backward(upstream, inputs), slopes)):
            np.testing.assert_array_equal(result, other.astype(kind))
            assert result.dtype == kind and result.shape == shape
    assert relu_backward([5.0, 5.0, 5.0], [-0.0, 0.0, 1e-300]).tolist() == [0, 0, 5]


def test_the_relu_keeps_whole_numbers_and_what_is_not_contiguous():
    inputs, upstream = np.arange(-12, 12).reshape(4, 6).T[::-1], np.arange(24).reshape(6, 4)
    assert relu(inputs).dtype == relu_backward(upstream, inputs).dtype == np.int64
    assert relu(np.array([-5, 100], "int8")).tolist() == [0, 100]
    np.testing.assert_array_equal(relu(inputs), np.where(inputs > 0, inputs, 0))
    np.testing.assert_array_equal(relu_backward(upstream, inputs), upstream * (inputs > 0))


def test_nan_passes_the_relu_and_stays_on_the_way_back():
    assert np.isnan(relu([np.nan, -1])).tolist() == [True, False]
    result = relu_backward([np.nan, np.nan, 7, 7], [1, -1, np.nan, -np.inf])
    np.testing.assert_array_equal(result, [np.nan, np.nan, 0, 0])


def test_arguments_are_not_changed_and_results_share_no_memory_with_them():
    scores, upstream = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
    for array in (scores, upstream):
        array.setflags(write=False)
    results = [relu(scores), relu_backward(upstream, scores), softmax(scores), log_softmax(scores)]
    results += [log_softmax_backward(upstream, scores), cross_entropy_backward(scores, [1])]
    for result in results:
        result += 1
        assert not any(np.shares_memory(result, array) for array in (scores, upstream))


S, L = np.ones((4, 3)), [0, 2, 1, 1]
BAD_LABELS = [
    (L[:3], "labels was of shape (3,); it must be (4,), one for each row of "),
    (np.eye(3, dtype=int)[L], "labels was of shape (4, 3); it must be (4,), one for each row of "),
    ([0, 3, 1, 1], "labels held 3; it must hold whole numbers from 0 to 2, the classes (axis 1)"),
    ([0, -1, 1, 1], "labels held -1; it must hold whole numbers from 0 to 2, the classes (axis 1)"),
    ([0.0, 2, 1, 1], "labels was of dtype float64; it must hold whole numbers from 0 to 2"),
    ([True, True, False, True], "labels was of dtype bool; it must hold whole numbers from 0 to 2"),
    ([[0], [1, 2]], "labels was a list that is no array"),
]


@pytest.mark.parametrize("labels, message", BAD_LABELS)
@pytest.mark.parametrize(
    "function, name",
    [
        (cross_entropy, "scores"),
        (cross_entropy_backward, "scores"),
        (nll_loss, "log_probabilities"),
        (nll_loss_backward, "log_probabilities"),
    ],
)
def test_labels_that_do_not_fit_are_named_and_so_are_scores(function, name, labels, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        function(S, labels)
    for bad, message in (
        (S[0], "was of shape (3,); it must be of shape (N, classes)"),
        (S[:, :0], "was of shape (4, 0); its axis 1 (classes) was 0, it must be at least 1"),
        (S[:0], "was of shape (0, 3); its axis 0 (N) was 0, it must be at least 1"),
        (S * 1j, "was of dtype complex128; it must hold bool, integers or floats"),
    ):
        with pytest.raises(ValueError, match=f"^{name} {re.escape(message)}$"):
            function(bad, L)


def test_scores_and_upstream_that_do_not_fit_are_named():
    for function in (softmax, log_softmax, lambda scores: log_softmax_backward(S, scores)):
        with pytest.raises(ValueError, match=r"^scores was of shape \(3,\); it must be of shape "):
            function(S[0])
    for function, name in ((log_softmax_backward, "(N, classes)"), (relu_backward, "(4, 3)")):
        with pytest.raises(ValueError, match=rf"^upstream .*{re.escape(name)}"):
            function(S[0], S)
        with pytest.raises(ValueError, match=r"^upstream was of shape \(1, 3\); it must be \(4, 3"):
            function(S[:1], S)
    for value in ("abc", 1j, None):
        with pytest.raises(ValueError, match="^inputs was "):
            relu(value)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_the_docstrings_say_what_is_raised_and_where_it_comes_from(function):
    text = inspect.getdoc(function)
    assert "ValueError" in text and "Source: " in text and "NaN" in text
