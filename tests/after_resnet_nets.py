"""What the tests of several networks share."""

import re

import pytest
import torch
from torch import nn


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def prepared(make, seed=0):
    """Return a network of float64 in evaluation mode, with statistics as a training leaves them."""
    torch.manual_seed(seed)
    model = make().double().eval()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.normal_(part.bias)
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.normal_(part.running_mean)
    return model


def norm_of(weights, name, maps):
    """Return batch norm in evaluation mode, by its formula."""
    names = ("running_mean", "running_var", "weight", "bias")
    mean, variance, scale, shift = (weights[f"{name}.{part}"][:, None, None] for part in names)
    return (maps - mean) / (variance + 1e-5).sqrt() * scale + shift


def assert_gradients_reach_every_parameter(model, images):
    for mode in (False, True):
        model.train(mode).zero_grad()
        outputs = model(images)
        outputs.backward(normal(*outputs.shape, seed=2))
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.any(), name
            assert parameter.grad.isfinite().all(), name


def assert_state_dict_carries_everything(make, images):
    first, second = prepared(make, seed=0), prepared(make, seed=1)
    assert not torch.allclose(first(images), second(images))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(images), second(images))


def assert_pictures_do_not_meet_in_evaluation(model, images):
    together = model.eval()(images)
    apart = torch.cat([model(picture[None]) for picture in images])
    assert torch.allclose(together, apart, atol=1e-10)


def assert_refused(call, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        call()


def shapes_of(model, images, names):
    """Return {name: shape of one picture's output} of the named layers in a real pass."""
    found, parts = {}, dict(model.named_modules())
    hooks = [
        parts[name].register_forward_hook(
            lambda _, inputs, output, name=name: found.update({name: tuple(output.shape[1:])})
        )
        for name in names
    ]
    model(images)
    for hook in hooks:
        hook.remove()
    return found
