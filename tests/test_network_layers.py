"""Layers that remember, and networks of them, agree with torch's modules; misuse is named.

Shapes are never square, strides never equal windows where they can differ, and gradients are
taken with random upstream gradients.
"""

import inspect
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cnnbook import layers
from cnnbook.layers import (
    Conv2d,
    Dense,
    Flatten,
    MaxPool2d,
    MeanPool2d,
    Network,
    ReLU,
    cross_entropy,
    cross_entropy_backward,
)


def generator(seed=0):
    return np.random.default_rng(seed)


def in_torch(network, *modules):
    """Return torch's modules as one, with the network's weights in float64."""
    model = nn.Sequential(*modules).double()
    with torch.no_grad():
        for theirs, ours in zip(model.parameters(), network.parameters, strict=True):
            theirs.copy_(torch.from_numpy(ours.T if ours.ndim == 2 else ours))
    return model


SETTINGS = {"stride": (2, 1), "padding": (1, 3), "dilation": (1, 2), "groups": 2}
PAIRS = {
    "Conv2d": (
        Conv2d(4, 6, (3, 2), **SETTINGS, random=generator()),
        nn.Conv2d(4, 6, (3, 2), **SETTINGS),
    ),
    "Conv2d, defaults": (Conv2d(4, 3, 3, random=generator()), nn.Conv2d(4, 3, 3)),
    "ReLU": (ReLU(), nn.ReLU()),
    "MaxPool2d": (
        MaxPool2d((3, 2), (2, 1), (1, 0), ceil_mode=True),
        nn.MaxPool2d((3, 2), (2, 1), (1, 0), ceil_mode=True),
    ),
    "MaxPool2d, defaults": (MaxPool2d(2), nn.MaxPool2d(2)),
    "MeanPool2d": (MeanPool2d((3, 2), (2, 1)), nn.AvgPool2d((3, 2), (2, 1))),
    "MeanPool2d, ragged": (
        MeanPool2d(4, 3, ceil_mode=True),
        nn.AvgPool2d(4, 3, ceil_mode=True, count_include_pad=False),
    ),
    "Flatten": (Flatten(), nn.Flatten()),
    "Flatten, Dense": (
        Network(Flatten(), Dense(4 * 7 * 9, 5, random=generator())),
        nn.Sequential(nn.Flatten(), nn.Linear(4 * 7 * 9, 5)),
    ),
}


@pytest.mark.parametrize("layer, module", PAIRS.values(), ids=PAIRS.keys())
def test_each_layer_and_its_gradients_are_torch_s(layer, module):
    model = in_torch(layer, module)
    inputs = generator(1).normal(size=(3, 4, 7, 9))
    given = torch.tensor(inputs, requires_grad=True)
    expected = model(given)
    upstream = generator(2).normal(size=tuple(expected.shape))
    wanted = torch.autograd.grad(expected, [given, *model.parameters()], torch.from_numpy(upstream))
    np.testing.assert_allclose(layer.forward(inputs), expected.detach(), atol=1e-12, strict=True)
    np.testing.assert_allclose(layer.backward(upstream), wanted[0], atol=1e-12, strict=True)
    assert len(layer.gradients) == len(layer.parameters) == len(wanted) - 1
    for ours, parameter, theirs in zip(layer.gradients, layer.parameters, wanted[1:], strict=True):
        assert ours.shape == parameter.shape
        theirs = theirs.numpy().T if ours.ndim == 2 else theirs.numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def small_network(seed=0):
    random = generator(seed)
    return Network(
        Conv2d(2, 3, (3, 2), padding=(1, 0), random=random),
        ReLU(),
        MaxPool2d((2, 3), (1, 2)),
        Network(Conv2d(3, 4, 2, stride=(1, 2), random=random), ReLU(), MeanPool2d((2, 1))),
        Flatten(),
        Dense(4 * 3 * 2, 7, random=random),
        ReLU(),
        Dense(7, 5, random=random),
    )


def small_model(network):
    return in_torch(
        network,
        nn.Conv2d(2, 3, (3, 2), padding=(1, 0)),
        nn.ReLU(),
        nn.MaxPool2d((2, 3), (1, 2)),
        nn.Conv2d(3, 4, 2, stride=(1, 2)),
        nn.ReLU(),
        nn.AvgPool2d((2, 1)),
        nn.Flatten(),
        nn.Linear(24, 7),
        nn.ReLU(),
        nn.Linear(7, 5),
    )


def batch(seed=0, count=6):
    random = generator(seed)
    return random.normal(size=(count, 2, 8, 11)), random.integers(0, 5, count)


def test_a_network_trains_step_by_step_as_torch_s_does():
    network = small_network()
    for layer in (network, network.layers[3]):
        for part in layer.layers:
            part.parameters[:] = [array.astype("float64") for array in part.parameters]
    model = small_model(network)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    losses = []
    for step in range(20):
        images, labels = batch(step % 3)
        scores = network.forward(images)
        losses.append(cross_entropy(scores, labels))
        network.backward(cross_entropy_backward(scores, labels))
        for parameter, gradient in zip(network.parameters, network.gradients, strict=True):
            parameter -= 0.3 * gradient
        loss = functional.cross_entropy(model(torch.from_numpy(images)), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert abs(losses[-1] - loss.item()) < 1e-10
    for ours, theirs in zip(network.parameters, model.parameters(), strict=True):
        theirs = theirs.detach().numpy()
        np.testing.assert_allclose(ours, theirs.T if ours.ndim == 2 else theirs, atol=1e-10)
    assert losses[-1] < losses[0] - 0.5


def test_the_gradient_of_a_network_s_inputs_is_torch_s():
    network = small_network()
    model = small_model(network)
    images, labels = batch()
    given = torch.tensor(images, requires_grad=True)
    functional.cross_entropy(model(given), torch.from_numpy(labels)).backward()
    d_images = network.backward(cross_entropy_backward(network.forward(images), labels))
    np.testing.assert_allclose(d_images, given.grad, atol=1e-12, strict=True)


def test_a_first_layer_can_save_the_gradient_of_its_inputs():
    images = generator().normal(size=(3, 2, 7, 6))
    gradients = []
    for needed in (True, False):
        network = Network(Conv2d(2, 3, (3, 2), random=generator()), ReLU(), Flatten())
        network.layers[0].input_gradient = needed
        upstream = np.cos(network.forward(images))
        assert (network.backward(upstream) is None) == (not needed)
        gradients.append(network.gradients)
    assert all(map(np.array_equal, *gradients))


def test_float32_stays_float32_from_pictures_to_gradients():
    network = small_network()
    images, labels = batch()
    scores = network.forward(images.astype("float32"))
    d_images = network.backward(cross_entropy_backward(scores, labels))
    arrays = [scores, d_images, *network.parameters, *network.gradients]
    assert {array.dtype for array in arrays} == {np.dtype("float32")}
    assert d_images.shape == images.shape


def test_a_backward_pass_belongs_to_the_last_forward_pass_and_replaces_the_gradients():
    network, other = small_network(), small_network()
    (first, labels), (second, _) = batch(1), batch(2, count=4)
    upstream = generator(3).normal(size=(4, 5))
    network.forward(first)
    network.backward(cross_entropy_backward(network.forward(first), labels))
    for each in (network, other):
        each.forward(second)
    d_images = network.backward(upstream)
    np.testing.assert_array_equal(d_images, other.backward(upstream), strict=True)
    for one, two in zip(network.gradients, other.gradients, strict=True):
        np.testing.assert_array_equal(one, two, strict=True)
    again = [gradient.copy() for gradient in network.gradients]
    network.backward(upstream)
    for one, two in zip(network.gradients, again, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_network_lists_the_parameters_of_its_layers_themselves_in_order():
    network = small_network()
    shapes = [(3, 2, 3, 2), (3,), (4, 3, 2, 2), (4,), (24, 7), (7,), (7, 5), (5,)]
    assert [array.shape for array in network.parameters] == shapes
    assert network.gradients == []
    images, labels = batch()
    network.backward(cross_entropy_backward(network.forward(images), labels))
    assert [array.shape for array in network.gradients] == shapes
    before = network.forward(images)
    for parameter in network.parameters:
        parameter *= 0
    assert before.any() and not network.forward(images).any()


def test_a_step_before_the_first_backward_pass_is_refused():
    network = small_network()
    with pytest.raises(ValueError, match="zip"):
        list(zip(network.parameters, network.gradients, strict=True))


def test_one_seed_gives_one_network_and_another_seed_another():
    first, same, other = (small_network(seed).parameters for seed in (5, 5, 6))
    for one, two, three in zip(first, same, other, strict=True):
        np.testing.assert_array_equal(one, two, strict=True)
        assert one.ndim == 1 or not (one == three).any()


@pytest.mark.parametrize(
    "layer, products",
    [
        (Conv2d(10, 40, (5, 7), random=generator()), 10 * 5 * 7),
        (Conv2d(12, 90, 3, groups=3, random=generator()), 4 * 9),
        (Dense(50, 400, random=generator()), 50),
    ],
)
def test_weights_begin_normal_with_variance_one_over_the_products_of_a_sum(layer, products):
    weights, bias = layer.parameters
    scaled = weights.ravel() * np.sqrt(products)
    assert not bias.any() and len(bias) in weights.shape
    assert scaled.size > 3000
    assert abs(scaled.mean()) < 4 / np.sqrt(scaled.size)
    assert abs(scaled.var() - 1) < 4 * np.sqrt(2 / scaled.size)
    assert abs((scaled**4).mean() - 3) < 4 * np.sqrt(96 / scaled.size)  # uniform: 1.8


def test_an_empty_batch_passes_forward_and_backward():
    network = small_network()
    scores = network.forward(np.empty((0, 2, 8, 11), "float32"))
    assert scores.shape == (0, 5)
    assert network.backward(np.empty((0, 5), "float32")).shape == (0, 2, 8, 11)
    assert not any(gradient.any() for gradient in network.gradients)


def test_nan_in_one_picture_reaches_its_own_scores_only():
    network = small_network()
    images, _ = batch()
    images[3, 1, 4, 5] = np.nan
    assert np.isnan(network.forward(images)).any(axis=1).tolist() == [n == 3 for n in range(6)]


MAKERS = {
    "Conv2d": lambda: Conv2d(2, 3, 3, random=generator()),
    "ReLU": ReLU,
    "MaxPool2d": lambda: MaxPool2d(2),
    "MeanPool2d": lambda: MeanPool2d(2),
    "Flatten": Flatten,
    "Dense": lambda: Dense(2, 3, random=generator()),
    "Network": small_network,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_backward_before_forward_says_so(make):
    message = "backward was called before forward; it needs the inputs of the forward pass"
    with pytest.raises(RuntimeError, match=f"^{message}$"):
        make().backward(np.ones((2, 3)))


SHARED = ReLU()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Conv2d(0, 3, 3, random=generator()), "in_channels was 0; it must be a whole "),
        (lambda: Conv2d(2, 1.5, 3, random=generator()), "out_channels was 1.5; it must be a "),
        (lambda: Conv2d(2, 3, (3, 0), random=generator()), "kernel_size (width) was 0; it must"),
        (lambda: Conv2d(2, 3, 3, stride=0, random=generator()), "stride was 0; it must be "),
        (lambda: Conv2d(2, 3, 3, 1, -1, random=generator()), "padding was -1; it must be "),
        (lambda: Conv2d(2, 3, 3, dilation=0, random=generator()), "dilation was 0; it must be"),
        (lambda: Conv2d(3, 4, 3, groups=2, random=generator()), "groups was 2; it must divide in_"),
        (lambda: Conv2d(4, 3, 3, groups=2, random=generator()), "groups was 2; it must divide out"),
        (lambda: Conv2d(2, 3, 3, random=0), "random was a int; it must be a NumPy Generator"),
        (lambda: Dense(0, 3, random=generator()), "inputs was 0; it must be a whole number "),
        (lambda: Dense(3, -1, random=generator()), "outputs was -1; it must be a whole number "),
        (lambda: Dense(3, 1, random=None), "random was a NoneType; it must be a NumPy Generator"),
        (lambda: MaxPool2d(0), "window was 0; it must be "),
        (lambda: MaxPool2d(2, (1, 0)), "stride (horizontal) was 0; it must be "),
        (lambda: MaxPool2d(2, padding=2), "padding (vertical), at most half the window, was 2"),
        (lambda: MaxPool2d(2, ceil_mode=1), "ceil_mode was 1; it must be True or False"),
        (lambda: MeanPool2d((2, 0)), "window (width) was 0; it must be "),
        (lambda: Network(ReLU(), np.tanh), "layer 1 was <ufunc 'tanh'>; it must be an object "),
        (lambda: Network(ReLU), "layer 0 was <class 'cnnbook.layers.network.ReLU'>; it must be "),
        (lambda: Network(SHARED, Flatten(), SHARED), "layer 2 was an object that is a layer "),
    ],
)
def test_a_layer_that_cannot_be_made_says_what_was_wrong(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        make()


def test_a_layer_refuses_what_does_not_fit_as_its_function_does():
    with pytest.raises(ValueError, match=r"^kernels was of shape .* the channels of images"):
        Conv2d(2, 3, 3, random=generator()).forward(np.ones((1, 3, 8, 9)))
    network = small_network()
    network.forward(batch()[0])
    with pytest.raises(ValueError, match=r"^upstream was of shape \(6, 4\); it must be \(6, 5\)"):
        network.backward(np.ones((6, 4)))


@pytest.mark.parametrize("name", [*MAKERS, "Layer"])
def test_every_class_is_documented_and_exported(name):
    text = inspect.getdoc(getattr(layers, name))
    assert name in layers.__all__ and "NaN" in text
