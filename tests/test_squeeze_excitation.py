"""Squeeze-and-excitation computes what its definition says, and costs what its formula says."""

import numpy as np
import pytest
import torch
from after_resnet_nets import (
    assert_gradients_reach_every_parameter,
    assert_pictures_do_not_meet_in_evaluation,
    assert_refused,
    assert_state_dict_carries_everything,
    norm_of,
    normal,
    prepared,
    shapes_of,
)
from torch import nn
from torch.nn import functional as F

from cnnbook.inspection import multiply_adds, parameter_count
from cnnbook.models import SENet
from cnnbook.models.squeeze_excitation import SEBlock, SqueezeExcitation

# The blocks of ResNet-50: how many, and the channels that each gives.
RESNET_50 = ((3, 256), (4, 512), (6, 1024), (3, 2048))


def small(squeeze=True):
    return SENet(4, stages=3, reduction=2, squeeze=squeeze, channels=2, classes=5)


def count(width, stages, reduction, channels, classes, squeeze):
    """Return parameters by the widths alone."""
    total, inputs = 9 * channels * width + 2 * width, width
    for stage in range(stages):
        outputs = width * 2**stage
        total += 9 * inputs * outputs + 9 * outputs**2 + 4 * outputs
        total += (inputs * outputs + 2 * outputs) if stage else 0
        if squeeze:
            total += 2 * outputs**2 // reduction + outputs // reduction + outputs
        inputs = outputs
    return total + (inputs + 1) * classes


@pytest.mark.parametrize("channels, reduction", [(6, 2), (48, 16), (10, 1), (7, 7)])
def test_a_block_has_2_c_squared_over_r_weights_and_c_over_r_plus_c_biases(channels, reduction):
    block = SqueezeExcitation(channels, reduction)
    weights = sum(p.numel() for p in block.parameters() if p.ndim == 2)
    biases = sum(p.numel() for p in block.parameters() if p.ndim == 1)
    assert weights == 2 * channels**2 // reduction and biases == channels // reduction + channels
    assert multiply_adds(block, (3, channels, 5, 4)) == 3 * weights


def test_resnet_50_gets_2_514_944_weights_and_16_048_biases_more():
    """28,088,024 parameters in all, 25,557,032 of them ResNet-50's."""
    weights = sum(number * 2 * channels**2 // 16 for number, channels in RESNET_50)
    with torch.device("meta"):
        blocks = nn.ModuleList(
            SqueezeExcitation(c) for number, c in RESNET_50 for _ in range(number)
        )
    assert weights == 2_514_944 and parameter_count(blocks) == weights + 16_048
    assert 25_557_032 + parameter_count(blocks) == 28_088_024


def test_two_channels_by_hand():
    """Means 2 and 4; inner unit 4 - 2 = 2; logits 2 · 2 - 4 = 0 and log 3: scales 1/2 and 3/4."""
    block = SqueezeExcitation(2, reduction=2)
    block.dense1.weight.data[:] = torch.tensor([[-1.0, 1.0]])
    block.dense2.weight.data[:] = torch.tensor([[2.0], [0.0]])
    block.dense1.bias.data.zero_()
    block.dense2.bias.data[:] = torch.tensor([-4.0, np.log(3.0)])
    maps = torch.tensor([[[[1.0, 3.0]], [[0.0, 8.0]]]])
    expected = torch.tensor([[[[0.5, 1.5]], [[0.0, 6.0]]]])
    assert torch.allclose(block(maps), expected)


def test_a_block_computes_its_definition_in_numpy():
    block, maps = prepared(lambda: SqueezeExcitation(6, 3)), normal(4, 6, 5, 3)
    w1, b1, w2, b2 = (p.detach().numpy() for p in block.parameters())
    means = maps.numpy().mean((2, 3))
    scales = 1 / (1 + np.exp(-(np.maximum(means @ w1.T + b1, 0) @ w2.T + b2)))
    expected = maps.numpy() * scales[:, :, None, None]
    assert np.allclose(block(maps).detach(), expected, atol=1e-12)


def written_out(weights, images, squeeze):
    x = norm_of(weights, "stem.1", F.conv2d(images, weights["stem.0.weight"], padding=1)).clamp(0)
    for place in range(3):
        name, stride = f"blocks.{place}", 1 + (place > 0)
        y = F.conv2d(x, weights[f"{name}.residual.0.weight"], stride=stride, padding=1)
        y = norm_of(weights, f"{name}.residual.1", y).clamp(min=0)
        y = F.conv2d(y, weights[f"{name}.residual.3.weight"], padding=1)
        y = norm_of(weights, f"{name}.residual.4", y)
        if squeeze:
            w1, b1, w2, b2 = (
                weights[f"{name}.residual.5.dense{n}.{part}"]
                for n in (1, 2)
                for part in ("weight", "bias")
            )
            inner = (torch.einsum("nchw->nc", y) / y[0, 0].numel() @ w1.T + b1).clamp(min=0)
            y = torch.einsum("nchw,nc->nchw", y, 1 / (1 + (-(inner @ w2.T + b2)).exp()))
        if place:
            x = F.conv2d(x[:, :, ::2, ::2], weights[f"{name}.shortcut.0.weight"])
            x = norm_of(weights, f"{name}.shortcut.1", x)
        x = (x + y).clamp(min=0)
    return x.flatten(2).mean(2) @ weights["classifier.weight"].T + weights["classifier.bias"]


@pytest.mark.parametrize("squeeze", [True, False])
def test_the_network_computes_its_definition_and_has_the_parameters_of_its_widths(squeeze):
    model, images = prepared(lambda: small(squeeze)), normal(3, 2, 9, 14)
    expected = written_out(model.state_dict(), images, squeeze)
    assert torch.allclose(model(images), expected, atol=1e-10)
    assert parameter_count(model) == count(4, 3, 2, 2, 5, squeeze)


def test_the_default_network_has_80_582_parameters_and_its_shapes():
    model = SENet()
    names = ["stem", "blocks.0", "blocks.1", "blocks.2", "classifier"]
    found = shapes_of(model, torch.zeros(2, 1, 28, 28), names)
    assert list(found.values()) == [(16, 28, 28), (16, 28, 28), (32, 14, 14), (64, 7, 7), (10,)]
    assert parameter_count(model) == count(16, 3, 4, 1, 10, True) == 80_582
    assert parameter_count(SENet(squeeze=False)) == count(16, 3, 4, 1, 10, False) == 77_754


@pytest.mark.parametrize("squeeze", [True, False])
def test_gradients_reach_every_parameter_and_a_state_dict_carries_everything(squeeze):
    images = normal(5, 2, 9, 6)
    assert_gradients_reach_every_parameter(prepared(lambda: small(squeeze)), images)
    assert_state_dict_carries_everything(lambda: small(squeeze), images)
    assert_pictures_do_not_meet_in_evaluation(prepared(lambda: small(squeeze)), images)


def test_a_far_pixel_changes_every_place_through_the_scales_and_only_through_them():
    images = normal(1, 8, 40, 40).requires_grad_()
    for squeeze in (True, False):
        block = prepared(lambda squeeze=squeeze: SEBlock(8, 8, 1, 2, squeeze))
        (gradient,) = torch.autograd.grad(block.residual(images)[0, :, 0, 0].sum(), images)
        assert bool(gradient[0, :, 30:, 30:].any()) == squeeze


def test_nan_makes_its_whole_picture_nan():
    maps = normal(3, 6, 4, 5)
    maps[1, 2, 0, 0] = torch.nan
    found = prepared(lambda: SqueezeExcitation(6, 2))(maps).isnan()
    assert found[1].all() and not found[[0, 2]].any()


@pytest.mark.parametrize(
    "make, text",
    [
        (
            lambda: SqueezeExcitation(10, 4),
            "reduction was 4; it must divide channels, which was 10",
        ),
        (lambda: SqueezeExcitation(0), "channels was 0; it must be a whole number of at least 1"),
        (lambda: SqueezeExcitation(4, 0), "reduction was 0; it must be"),
        (lambda: SENet(10), "reduction was 4; it must divide width, which was 10"),
        (lambda: SENet(width=True), "width was True; it must be"),
        (lambda: SENet(stages=0), "stages was 0; it must be"),
        (lambda: SENet(squeeze=None), "squeeze was None; it must be True or False"),
        (lambda: SENet(channels=0), "channels was 0; it must be"),
        (lambda: SENet(classes=0), "classes was 0; it must be"),
        (lambda: SENet()(torch.zeros(1, 3, 8, 8)), "images were of shape (1, 3, 8, 8); they must"),
    ],
)
def test_what_is_wrong_is_named(make, text):
    assert_refused(make, text)
