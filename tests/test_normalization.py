"""Normalization and its gradients are torch's, in both modes; misuse is named.

Shapes are never square, gradients are taken with random upstream gradients, and scale and shift
differ in every channel.
"""

import inspect
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from cnnbook import layers
from cnnbook.layers import (
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    LayerNorm,
    Network,
    ReLU,
    batch_norm,
    batch_norm_backward,
    layer_norm,
    layer_norm_backward,
    set_training,
    standardize,
    standardize_backward,
)


def generator(seed=0):
    return np.random.default_rng(seed)


def tensors(*arrays):
    return [torch.tensor(array, requires_grad=True) for array in arrays]


def close(ours, theirs, tolerance=1e-10):
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=tolerance, strict=True)


@st.composite
def batches(draw):
    """Draw inputs (N, C, ...), scale and shift (C,), and an upstream gradient."""
    shape = draw(st.sampled_from([(2, 3), (7, 1), (5, 4), (2, 3, 4, 5), (1, 2, 3, 7), (6, 2, 3)]))
    random = generator(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([0.1, 1, 30]))
    inputs = random.normal(draw(st.sampled_from([0, -3, 20])), size, shape)
    scale, shift = random.normal(size=(2, shape[1]))
    return inputs, scale, shift, random.normal(size=shape)


@settings(deadline=None)
@given(batches(), st.sampled_from([1e-5, 0.1]))
def test_batch_norm_and_its_three_gradients_are_torch_s_in_training(batch, epsilon):
    inputs, scale, shift, upstream = batch
    given = tensors(inputs, scale, shift)
    expected = F.batch_norm(given[0], None, None, *given[1:], training=True, eps=epsilon)
    close(batch_norm(inputs, scale, shift, epsilon=epsilon), expected)
    wanted = torch.autograd.grad(expected, given, torch.from_numpy(upstream))
    gradients = batch_norm_backward(upstream, inputs, scale, epsilon=epsilon)
    for ours, theirs in zip(gradients, wanted, strict=True):
        close(ours, theirs, 1e-8)


@settings(deadline=None)
@given(batches())
def test_batch_norm_and_its_three_gradients_are_torch_s_with_given_statistics(batch):
    inputs, scale, shift, upstream = batch
    random = generator(5)
    mean, variance = random.normal(size=len(scale)), random.uniform(0.5, 3, len(scale))
    given = tensors(inputs, scale, shift)
    running = torch.from_numpy(mean), torch.from_numpy(variance)
    expected = F.batch_norm(given[0], *running, *given[1:], training=False)
    close(batch_norm(inputs, scale, shift, mean, variance), expected)
    wanted = torch.autograd.grad(expected, given, torch.from_numpy(upstream))
    gradients = batch_norm_backward(upstream, inputs, scale, mean, variance)
    for ours, theirs in zip(gradients, wanted, strict=True):
        close(ours, theirs)


@settings(deadline=None)
@given(batches(), st.integers(1, 3))
def test_layer_norm_and_its_three_gradients_are_torch_s_over_any_last_axes(batch, last):
    inputs, _, _, upstream = batch
    shape = inputs.shape[-min(last, inputs.ndim) :]
    scale, shift = generator(6).normal(size=(2, *shape))
    given = tensors(inputs, scale, shift)
    expected = F.layer_norm(given[0], shape, *given[1:])
    close(layer_norm(inputs, scale, shift), expected)
    wanted = torch.autograd.grad(expected, given, torch.from_numpy(upstream))
    for ours, theirs in zip(layer_norm_backward(upstream, inputs, scale), wanted, strict=True):
        close(ours, theirs, 1e-8)


@pytest.mark.parametrize(
    "axes, module",
    [
        ((0, 2, 3), nn.BatchNorm2d(6, affine=False)),
        ((1, 2, 3), nn.LayerNorm((6, 4, 7), elementwise_affine=False)),
        ((-1, 2), nn.InstanceNorm2d(6)),
        (-1, nn.LayerNorm(7, elementwise_affine=False)),
    ],
)
def test_standardizing_over_other_axes_gives_the_relatives_of_batch_norm(axes, module):
    inputs, upstream = generator(1).normal(3, 2, (2, 5, 6, 4, 7))
    (given,) = tensors(inputs)
    expected = module.double()(given)
    close(standardize(inputs, axes), expected)
    (wanted,) = torch.autograd.grad(expected, given, torch.from_numpy(upstream))
    close(standardize_backward(upstream, inputs, axes), wanted)


def test_group_norm_is_standardizing_groups_of_channels():
    inputs = generator(1).normal(3, 2, (5, 6, 4, 7))
    grouped = standardize(inputs.reshape(5, 2, 3, 4, 7), (2, 3, 4)).reshape(inputs.shape)
    close(grouped, F.group_norm(torch.from_numpy(inputs), 2))


def test_the_numbers_of_the_chapter_come_out():
    x, upstream = np.array([1, 3, 3, 9]), np.array([1, 0, 0, 0])
    np.testing.assert_allclose(3 * standardize(x, 0, epsilon=0), [-3, -1, -1, 5])
    np.testing.assert_allclose(18 * standardize_backward(upstream, x, 0, epsilon=0), [3, -2, -2, 1])
    assert batch_norm(x[:, None], [3], [4], epsilon=0).ravel().tolist() == [1, 3, 3, 9]


TOGETHER = {
    "BatchNorm": (lambda: BatchNorm(3), lambda: nn.BatchNorm2d(3)),
    "BatchNorm, other numbers": (
        lambda: BatchNorm(3, momentum=0.3, epsilon=0.01),
        lambda: nn.BatchNorm2d(3, momentum=0.3, eps=0.01),
    ),
    "LayerNorm": (lambda: LayerNorm((3, 4, 5)), lambda: nn.LayerNorm((3, 4, 5))),
    "LayerNorm, one axis": (lambda: LayerNorm(5, 0.01), lambda: nn.LayerNorm(5, eps=0.01)),
}


@pytest.mark.parametrize("ours, theirs", TOGETHER.values(), ids=TOGETHER)
def test_a_layer_is_torch_s_through_several_batches_and_changes_of_the_mode(ours, theirs):
    layer, module, random = ours(), theirs().double(), generator(2)
    for ours, theirs in zip(layer.parameters, module.parameters(), strict=True):
        ours[:] = random.normal(size=ours.shape)
        theirs.data = torch.from_numpy(ours.astype("float64"))
    for step, training in enumerate((True, True, False, True, False, False)):
        inputs, upstream = random.normal(step, 2, (2, 2 + step, 3, 4, 5))
        (given,) = tensors(inputs)
        set_training(layer, training)
        module.train(training)
        expected = module(given)
        close(layer.forward(inputs), expected)
        wanted = torch.autograd.grad(
            expected, [given, *module.parameters()], torch.from_numpy(upstream)
        )
        for mine, other in zip([layer.backward(upstream), *layer.gradients], wanted, strict=True):
            close(mine, other)
        if isinstance(layer, BatchNorm):
            close(layer.running_mean, module.running_mean)
            close(layer.running_variance, module.running_var)


def test_the_running_variance_divides_by_one_less_than_the_variance_of_the_batch():
    layer = BatchNorm(1, momentum=1, epsilon=0)
    outputs = layer.forward(np.array([[1.0], [3], [3], [9]]))
    assert layer.running_mean == 4 and layer.running_variance == 12
    np.testing.assert_allclose(outputs.var(), 1)


def test_the_backward_pass_belongs_to_the_mode_of_the_last_forward_pass():
    inputs, upstream = generator(3).normal(size=(2, 6, 2))
    layer = BatchNorm(2)
    layer.forward(inputs)
    expected = layer.backward(upstream)
    set_training(layer, False)
    np.testing.assert_array_equal(layer.backward(upstream), expected)
    layer.forward(inputs)
    evaluated = layer.backward(upstream)
    assert np.abs(evaluated - expected).max() > 0.01
    set_training(layer, True)
    layer.momentum = 1.0
    np.testing.assert_array_equal(layer.backward(upstream), evaluated)


def test_evaluation_leaves_the_running_statistics_alone_and_examples_apart():
    inputs = generator(4).normal(size=(6, 2, 3, 5))
    layer = BatchNorm(2)
    layer.forward(inputs + 1)
    set_training(layer, False)
    before = layer.running_mean.copy(), layer.running_variance.copy()
    together = layer.forward(inputs)
    alone = np.concatenate([layer.forward(inputs[n : n + 1]) for n in range(6)])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(before, (layer.running_mean, layer.running_variance))


def test_a_mode_reaches_every_layer_of_a_network_however_deep():
    norm, drop, inner = BatchNorm(3), Dropout(0.5, generator()), LayerNorm(2)
    network = Network(norm, ReLU(), Network(Flatten(), Network(drop, inner)))
    set_training(network, False)
    assert norm.training is drop.training is False
    assert not hasattr(inner, "training") and not hasattr(network, "training")
    set_training(network, True)
    assert norm.training is drop.training is True


def test_a_convolution_network_with_batch_norm_trains_as_torch_s_does():
    random = generator(5)
    network = Network(Conv2d(2, 3, (3, 2), random=random), BatchNorm(3), ReLU(), Flatten())
    network.layers[0].parameters[:] = [a.astype("float64") for a in network.layers[0].parameters]
    network.layers[1].parameters[:] = [a.astype("float64") for a in network.layers[1].parameters]
    model = nn.Sequential(nn.Conv2d(2, 3, (3, 2)), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten())
    model.double()
    with torch.no_grad():
        for theirs, ours in zip(model.parameters(), network.parameters, strict=True):
            theirs.copy_(torch.from_numpy(ours))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(10):
        inputs = random.normal(size=(4, 2, 5, 6))
        outputs = network.forward(inputs)
        network.backward(outputs - 1)
        for parameter, gradient in zip(network.parameters, network.gradients, strict=True):
            parameter -= 0.1 * gradient
        optimizer.zero_grad()
        (0.5 * (model(torch.from_numpy(inputs)) - 1) ** 2).sum().backward()
        optimizer.step()
    for ours, theirs in zip(network.parameters, model.parameters(), strict=True):
        close(ours, theirs, 1e-8)
    close(network.layers[1].running_mean, model[1].running_mean)
    inputs = random.normal(size=(4, 2, 5, 6))
    set_training(network, False)
    close(network.forward(inputs), model.eval()(torch.from_numpy(inputs)), 1e-8)


def test_float32_stays_float32_and_is_torch_s_up_to_rounding():
    random = generator(7)
    inputs, upstream = random.normal(5, 2, (2, 9, 3, 8, 7)).astype("float32")
    for layer, module in ((BatchNorm(3), nn.BatchNorm2d(3)), (LayerNorm(7), nn.LayerNorm(7))):
        (given,) = tensors(inputs)
        expected = module(given)
        (wanted,) = torch.autograd.grad(expected, given, torch.from_numpy(upstream))
        close(layer.forward(inputs), expected, 1e-5)
        close(layer.backward(upstream), wanted, 1e-4)
        assert {array.dtype for array in layer.gradients} == {np.dtype("float32")}
        if isinstance(layer, BatchNorm):
            assert layer.running_mean.dtype == layer.running_variance.dtype == "float32"
            close(layer.running_variance, module.running_var, 1e-5)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64"])
def test_whole_numbers_are_computed_in_float64(kind):
    inputs, ones = generator(8).integers(0, 2, (6, 3)).astype(kind), np.ones(3, "float32")
    wide = inputs.astype("float64")
    results = standardize(inputs, 0), batch_norm(inputs, ones, ones), layer_norm(inputs, ones, ones)
    expected = standardize(wide, 0), batch_norm(wide, ones, ones), layer_norm(wide, ones, ones)
    for ours, theirs in zip(results, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)
        assert ours.dtype == "float64"
    gradients = batch_norm_backward(inputs, inputs, ones)
    for ours, theirs in zip(gradients, batch_norm_backward(wide, wide, ones), strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


def test_nan_reaches_what_shares_its_mean_and_nothing_else():
    inputs, ones = generator(9).normal(size=(4, 3, 2, 5)), np.ones(3)
    inputs[1, 2, 0, 3] = np.nan
    channel, example, place = np.zeros((3, 4, 3, 2, 5), bool)
    channel[:, 2], example[1], place[1, 2, 0, 3] = True, True, True
    whole = np.ones(inputs.shape[1:])
    assert np.array_equal(np.isnan(batch_norm(inputs, ones, ones)), channel)
    assert np.array_equal(np.isnan(batch_norm(inputs, ones, ones, ones, ones)), place)
    assert np.array_equal(np.isnan(layer_norm(inputs, whole, whole)), example)
    d_inputs, d_scale, d_shift = batch_norm_backward(np.ones_like(inputs), inputs, ones)
    assert np.array_equal(np.isnan(d_inputs), channel)
    assert np.isnan(d_scale).tolist() == [False, False, True] and not np.isnan(d_shift).any()
    d_inputs, d_scale, d_shift = layer_norm_backward(np.ones_like(inputs), inputs, whole)
    assert np.array_equal(np.isnan(d_inputs), example) and np.isnan(d_scale).all()


def test_arguments_are_not_changed():
    inputs, ones = generator(10).normal(size=(4, 3)), np.ones(3)
    arrays = inputs, ones
    for array in arrays:
        array.setflags(write=False)
    batch_norm(inputs, ones, ones, ones, ones)
    batch_norm_backward(inputs, inputs, ones)
    layer_norm(inputs, ones, ones)
    layer_norm_backward(inputs, inputs, ones)
    BatchNorm(3).forward(inputs)


def test_an_empty_batch_passes_with_given_statistics_and_through_layer_norm():
    empty, ones = np.empty((0, 3, 2, 5)), np.ones(3)
    assert batch_norm(empty, ones, ones, ones, ones).shape == empty.shape
    d_inputs, d_scale, _ = batch_norm_backward(empty, empty, ones, ones, ones)
    assert d_inputs.shape == empty.shape and not d_scale.any()
    assert LayerNorm((3, 2, 5)).forward(empty).shape == empty.shape


X, ONES = np.ones((4, 3)), np.ones(3)
FOUR = np.ones((4, 3, 2, 5))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: standardize(X, ()), "axes was (); it must name at least one axis of inputs, "),
        (lambda: standardize(X, 2), "axes was 2; it must name "),
        (lambda: standardize(X, (0, -2)), "axes was (0, -2); it must name "),
        (lambda: standardize(X, 0.0), "axes was 0.0; it must name "),
        (lambda: standardize(X, True), "axes was True; it must name "),
        (lambda: standardize(np.ones((0, 3)), 0), "inputs was of shape (0, 3); its axis 0, over "),
        (lambda: standardize("abc", 0), "inputs was of dtype <U3; it must hold "),
        (lambda: standardize(X, 0, -1), "epsilon was -1; it must be a finite number of at least 0"),
        (lambda: standardize(X, 0, np.nan), "epsilon was nan; it must be "),
        (lambda: standardize_backward(X[0], X, 0), "upstream was of shape (3,); it must be (4, 3)"),
        (lambda: batch_norm(ONES, ONES, ONES), "inputs was of shape (3,); it must be of shape (N,"),
        (lambda: batch_norm(X[:, :0], ONES, ONES), "inputs was of shape (4, 0); all its axes but "),
        (lambda: batch_norm(X, ONES[:1], ONES), "scale was of shape (1,); its axis 0 was 1, it "),
        (lambda: batch_norm(FOUR, ONES, np.ones(4)), "shift was of shape (4,); its axis 0 was 4, "),
        (lambda: batch_norm(X, 1, ONES), "scale was of shape (); it must be of shape (C)"),
        (lambda: batch_norm(X, ONES, ONES, ONES), "variance was None; with mean given, it must "),
        (lambda: batch_norm(X, ONES, ONES, None, ONES), "mean was None; with variance given, it "),
        (lambda: batch_norm(X, ONES, ONES, ONES, -ONES), "variance held -1.0; it must be at least"),
        (
            lambda: batch_norm(X[:1], ONES, ONES),
            "inputs was of shape (1, 3), with 1 values in ",
        ),
        (
            lambda: batch_norm(X[:0], ONES, ONES),
            "inputs was of shape (0, 3), with 0 values in ",
        ),
        (lambda: batch_norm_backward(X[:2], X, ONES), "upstream was of shape (2, 3); it must be "),
        (lambda: layer_norm(X, np.ones(4), np.ones(4)), "scale was of shape (4,); it must be that"),
        (lambda: layer_norm(ONES, X, X), "scale was of shape (4, 3); it must be that of the last "),
        (lambda: layer_norm(X, 1, 1), "scale was of shape (); it must have at least one axis"),
        (lambda: layer_norm(X, ONES, X), "shift was of shape (4, 3); it must be (3,), the shape "),
        (lambda: layer_norm_backward(ONES, X, ONES), "upstream was of shape (3,); it must be "),
        (lambda: BatchNorm(0), "channels was 0; it must be a whole number of at least 1"),
        (lambda: BatchNorm(3, 1.5), "momentum was 1.5; it must be a number from 0 to 1"),
        (lambda: BatchNorm(3, True), "momentum was True; it must be a number from 0 to 1"),
        (lambda: BatchNorm(3, epsilon="x"), "epsilon was 'x'; it must be "),
        (lambda: LayerNorm(()), "shape was empty; it must name at least one axis"),
        (lambda: LayerNorm((3, 0)), "shape was 0; it must be a whole number of at least 1"),
        (lambda: LayerNorm(3, np.inf), "epsilon was inf; it must be a finite number"),
        (lambda: set_training(BatchNorm, True), "network was <class "),
        (lambda: set_training(np.ones(3), True), "network was array("),
        (lambda: set_training(ReLU(), 1), "training was 1; it must be True or False"),
        (lambda: BatchNorm(3).forward(X[:1]), "inputs was of shape (1, 3), with 1 values in "),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()


@pytest.mark.parametrize("layer", [BatchNorm(3), LayerNorm(3)], ids=lambda one: type(one).__name__)
def test_backward_before_forward_says_so(layer):
    with pytest.raises(RuntimeError, match=r"^backward was called before forward"):
        layer.backward(X)


NAMES = "standardize standardize_backward batch_norm batch_norm_backward layer_norm"
NAMES += " layer_norm_backward BatchNorm LayerNorm set_training"


@pytest.mark.parametrize("name", NAMES.split())
def test_every_name_is_documented_and_exported(name):
    text = inspect.getdoc(getattr(layers, name))
    assert name in layers.__all__ and "NaN" in text and "ValueError" in text
    assert "Source: " in text or name in ("BatchNorm", "LayerNorm", "set_training")
