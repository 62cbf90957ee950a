"""Dropout drops the share that it says, keeps the mean, and sends gradients where it let values."""

import inspect
import re

import numpy as np
import pytest
import torch

from cnnbook import layers
from cnnbook.layers import Dense, Dropout, Network, ReLU, dropout, dropout_backward, set_training


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_each_input_is_dropped_with_the_rate_and_the_others_keep_the_mean(rate):
    inputs = generator(1).uniform(1, 2, (400, 300))
    outputs, factors = dropout(inputs, rate, generator(2))
    np.testing.assert_array_equal(outputs, inputs * factors)
    assert set(np.unique(factors)) <= {0, 1 / (1 - rate)}
    spread = np.sqrt(rate * (1 - rate) / factors.size)
    assert abs((factors == 0).mean() - rate) <= 4 * spread
    assert abs(outputs.mean() - inputs.mean()) <= 4 * spread * 2 / (1 - rate)
    rows, columns = (factors == 0).mean(0), (factors == 0).mean(1)
    for shares, count in ((rows, 400), (columns, 300)):
        assert np.abs(shares - rate).max() <= 5 * np.sqrt(rate * (1 - rate) / count)


def test_inputs_are_dropped_independently_of_each_other():
    _, factors = dropout(np.ones((2, 200_000)), 0.5, generator(3))
    kept = factors > 0
    assert abs((kept[0] & kept[1]).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 200_000)
    assert abs((kept[0, 1:] & kept[0, :-1]).mean() - 0.25) < 0.01


def test_with_torch_s_mask_the_outputs_and_gradients_are_torch_s():
    class Drawn(np.random.Generator):
        """Draw what keeps exactly the inputs that torch kept."""

        def random(self, shape):
            return np.where(mask, 1 - 1e-9, 0.0).reshape(shape)

    inputs, upstream = generator(4).normal(size=(2, 5, 7))
    given = torch.tensor(inputs, requires_grad=True)
    torch.manual_seed(0)
    expected = torch.nn.functional.dropout(given, 0.3)
    mask = (expected != 0).numpy()
    assert 0 < mask.mean() < 1
    (wanted,) = torch.autograd.grad(expected, given, torch.from_numpy(upstream))
    outputs, factors = dropout(inputs, 0.3, Drawn(np.random.PCG64()))
    np.testing.assert_allclose(outputs, expected.detach().numpy(), rtol=1e-14)
    np.testing.assert_allclose(dropout_backward(upstream, factors), wanted.numpy(), rtol=1e-14)


def test_a_rate_of_zero_changes_nothing():
    inputs = generator(5).normal(size=(3, 4))
    outputs, factors = dropout(inputs, 0, generator())
    np.testing.assert_array_equal(outputs, inputs)
    assert (factors == 1).all()


def test_types_are_kept_and_whole_numbers_become_float64():
    for kind in ("float32", "float64"):
        outputs, factors = dropout(np.ones((3, 4), kind), 0.3, generator())
        assert outputs.dtype == factors.dtype == dropout_backward(outputs, factors).dtype == kind
    assert dropout(np.arange(6), 0.3, generator())[0].dtype == "float64"
    assert dropout(np.empty((0, 4)), 0.3, generator())[0].shape == (0, 4)


def test_nan_stays_and_infinity_becomes_nan_where_it_is_dropped():
    inputs = np.full(200, np.nan)
    assert np.isnan(dropout(inputs, 0.5, generator())[0]).all()
    with np.errstate(invalid="ignore"):
        outputs, factors = dropout(np.full(200, np.inf), 0.5, generator())
    assert np.array_equal(np.isnan(outputs), factors == 0) and (factors == 0).any()


def test_a_layer_draws_anew_in_training_and_hands_on_in_evaluation():
    inputs, upstream = generator(6).normal(size=(2, 40, 30))
    layer, same = Dropout(0.4, generator(7)), Dropout(0.4, generator(7))
    first = layer.forward(inputs)
    np.testing.assert_array_equal(first, same.forward(inputs))
    np.testing.assert_array_equal(layer.backward(upstream), upstream * layer.factors)
    np.testing.assert_array_equal(first, inputs * layer.factors)
    assert (layer.forward(inputs) != first).any()
    set_training(layer, False)
    assert layer.parameters == layer.gradients == []
    np.testing.assert_array_equal(layer.forward(inputs), inputs)
    np.testing.assert_array_equal(layer.backward(upstream), upstream)


def test_the_backward_pass_belongs_to_the_last_forward_pass():
    inputs, upstream = np.ones((2, 40, 30))
    layer = Dropout(0.4, generator(7))
    layer.forward(inputs)
    last = layer.forward(inputs)
    set_training(layer, False)
    np.testing.assert_array_equal(layer.backward(upstream), last)


def test_the_gradient_of_a_network_with_dropout_is_that_of_its_drawn_factors():
    random = generator(8)
    network = Network(Dense(5, 6, random=random), ReLU(), Dropout(0.5, random))
    inputs, upstream = random.normal(size=(4, 5)), random.normal(size=(4, 6))
    network.forward(inputs)
    d_inputs = network.backward(upstream)
    weights, bias = network.parameters
    given = torch.tensor(inputs, requires_grad=True)
    hidden = torch.relu(given @ torch.from_numpy(weights).double() + torch.from_numpy(bias))
    outputs = hidden * torch.from_numpy(network.layers[2].factors)
    (wanted,) = torch.autograd.grad(outputs, given, torch.from_numpy(upstream))
    np.testing.assert_allclose(d_inputs, wanted.numpy(), atol=1e-12)
    assert np.abs(d_inputs).max() > 0.01


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: dropout(np.ones(3), 1, generator()), "rate was 1; it must be a number of at "),
        (lambda: dropout(np.ones(3), -0.1, generator()), "rate was -0.1; it must be a number"),
        (lambda: dropout(np.ones(3), np.nan, generator()), "rate was nan; it must be a number"),
        (lambda: dropout(np.ones(3), True, generator()), "rate was True; it must be a number"),
        (lambda: dropout(np.ones(3), 0.5, 0), "random was a int; it must be a NumPy Generator"),
        (lambda: dropout("abc", 0.5, generator()), "inputs was of dtype <U3; it must hold "),
        (lambda: dropout_backward(np.ones((2, 3)), np.ones(3)), "upstream was of shape (2, 3); it"),
        (lambda: Dropout(1.0, generator()), "rate was 1.0; it must be a number of at least 0 "),
        (lambda: Dropout(0.5, np.random), "random was a module; it must be a NumPy Generator"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()


def test_backward_before_forward_says_so():
    with pytest.raises(RuntimeError, match=r"^backward was called before forward"):
        Dropout(0.5, generator()).backward(np.ones(3))


@pytest.mark.parametrize("name", ["dropout", "dropout_backward", "Dropout"])
def test_every_name_is_documented_and_exported(name):
    text = inspect.getdoc(getattr(layers, name))
    assert name in layers.__all__ and "NaN" in text and "ValueError" in text
    assert "Source: " in text or name == "Dropout"
