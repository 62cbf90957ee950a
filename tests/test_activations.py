"""Recorded activations are what the layers return, and recording leaves nothing behind."""

import re

import pytest
import torch
from torch import nn

from cnnbook.inspection import record_activations, recording


def network():
    """Return a net whose ReLU works in place on what the convolution before it returned."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 5, (3, 2), stride=(1, 2)), nn.ReLU(inplace=True)),
        nn.Conv2d(5, 3, 2),
        nn.Flatten(),
        nn.Linear(3 * 4 * 3, 4),
    ).eval()


def pictures(count=3):
    return torch.randn(count, 2, 7, 9, generator=torch.Generator().manual_seed(1))


def hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def test_each_named_layer_is_recorded_as_if_the_layers_were_called_one_by_one():
    model, images = network(), pictures()
    first = model[0][0](images)
    expected = {"0.0": first, "0": first.relu(), "1": model[1](first.relu()), "": model(images)}
    found = record_activations(model, images, ["1", "", "0.0", "0"])
    assert list(found) == ["0.0", "0", "1", ""]
    for name, output in found.items():
        assert torch.equal(output, expected[name]) and not output.requires_grad, name
    assert found["0.0"].shape == (3, 5, 5, 4) and (found["0.0"] < 0).any()
    assert record_activations(model, images, []) == {}


def test_recording_changes_neither_the_answer_nor_its_gradients():
    model, images = network(), pictures()
    upstream = torch.randn(3, 4, generator=torch.Generator().manual_seed(2))
    model(images).backward(upstream)
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    with recording(model, ["0.0", "0"]) as outputs:
        answer = model(images)
    answer.backward(upstream)
    assert torch.equal(answer, model(images))
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        assert torch.equal(parameter.grad, gradient)
    assert set(outputs) == {"0.0", "0"}


def test_what_is_recorded_has_the_gradient_of_that_layer():
    model, images = network(), pictures()
    with recording(model, ["0"]) as outputs:
        total = model(images)[:, 2].sum()
    (gradient,) = torch.autograd.grad(total, outputs["0"])
    maps = outputs["0"].detach().requires_grad_()
    (expected,) = torch.autograd.grad(model[1:](maps)[:, 2].sum(), maps)
    assert torch.equal(gradient, expected) and gradient.any()


def test_a_layer_that_runs_twice_leaves_its_last_output():
    half = nn.Linear(3, 3, bias=False)
    half.weight.data = torch.eye(3) / 2
    twice = nn.Sequential(nn.Sequential(half, half), nn.Flatten())
    with recording(twice, ["0.0"]) as outputs:
        twice(torch.full((2, 3), 8.0))
    assert torch.equal(outputs["0.0"], torch.full((2, 3), 2.0))


def test_hooks_are_gone_afterwards_and_after_an_error_too():
    model = network()
    record_activations(model, pictures(), ["0", "1"])
    assert hooks(model) == 0
    with pytest.raises(RuntimeError):
        record_activations(model, torch.zeros(1, 3, 7, 9), ["0", "1"])
    assert hooks(model) == 0
    with pytest.raises(KeyError), recording(model, ["0"]):
        assert hooks(model) == 1
        raise KeyError
    assert hooks(model) == 0


def test_modes_gradients_and_pictures_are_left_as_they_were():
    model, images = network(), pictures()
    model(images).sum().backward()
    before = [parameter.grad.clone() for parameter in model.parameters()]
    copy = images.clone()
    record_activations(model, images, ["1"])
    assert not any(module.training for module in model.modules())
    assert torch.equal(images, copy) and not images.requires_grad
    for parameter, gradient in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter.grad, gradient) and parameter.requires_grad


class Odd(nn.Module):
    """A module with a part that it does not call, and one that returns no tensor."""

    def __init__(self):
        super().__init__()
        self.unused, self.pair = nn.ReLU(), Pair()

    def forward(self, images):
        return self.pair(images)[0]


class Pair(nn.Module):
    def forward(self, images):
        return images, images


@pytest.mark.parametrize(
    "call, text",
    [
        (
            lambda: record_activations(network(), pictures(), ["0", "7"]),
            "names held '7'; they must be in model.named_modules(), as are '0', '0.0', '0.1'",
        ),
        (
            lambda: record_activations(network(), pictures(), [0]),
            "names held 0; they must be in model.named_modules()",
        ),
        (
            lambda: recording(network(), "0").__enter__(),
            "names was the text '0'; it must be a list",
        ),
        (
            lambda: record_activations(network(), pictures(), "0.1"),
            "names was the text '0.1'; it must be a list",
        ),
        (
            lambda: record_activations(network(), pictures(), 3),
            "names was 3; it must be a list of names",
        ),
        (
            lambda: recording(torch.relu, ["0"]).__enter__(),
            "model was a builtin_function_or_method; it must be a torch.nn.Module",
        ),
        (
            lambda: record_activations(network().train(), pictures(), ["0"]),
            "model was in training mode",
        ),
        (
            lambda: record_activations(network(), pictures()[0], ["0"]),
            "images was of shape (2, 7, 9)",
        ),
        (
            lambda: record_activations(Odd().eval(), pictures(), ["unused"]),
            "names held 'unused', which did not run",
        ),
        (
            lambda: record_activations(Odd().eval(), pictures(), ["pair"]),
            "the layer 'pair' returned a tuple; it must return a tensor",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        call()
