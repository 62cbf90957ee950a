"""ConvNeXt has the shapes and the count of its paper, and computes what its definition says."""

import pytest
import torch
from after_resnet_nets import (
    assert_gradients_reach_every_parameter,
    assert_pictures_do_not_meet_in_evaluation,
    assert_refused,
    assert_state_dict_carries_everything,
    normal,
    prepared,
    shapes_of,
)
from torch.nn import functional as F

from cnnbook.inspection import multiply_adds, parameter_count
from cnnbook.models import ConvNeXt
from cnnbook.models.convnext import ChannelNorm, ConvNeXtBlock


def small():
    return ConvNeXt((2, 1, 1), width=4, patch=2, scale=0.5, channels=2, classes=5)


def count(layers, width, patch=4, channels=3, classes=1000):
    """Return parameters by the widths alone: 8 C² + 58 C a block."""
    total = patch**2 * channels * width + width + 2 * width
    for stage, number in enumerate(layers):
        if stage:
            total += 2 * width + 4 * width * 2 * width + 2 * width
            width *= 2
        total += number * (8 * width**2 + 58 * width)
    return total + 2 * width + (width + 1) * classes


@pytest.mark.parametrize(
    "name, layers, width, published",
    [
        ("T", (3, 3, 9, 3), 96, 28_589_128),
        ("S", (3, 3, 27, 3), 96, 50_223_688),
        ("B", (3, 3, 27, 3), 128, 88_591_464),
    ],
)
def test_the_networks_of_the_paper_have_their_counts(name, layers, width, published):
    with torch.device("meta"):
        found = parameter_count(ConvNeXt(layers, width))
    assert found == count(layers, width) == published, name


def test_the_default_is_convnext_t():
    with torch.device("meta"):
        assert parameter_count(ConvNeXt()) == 28_589_128


@pytest.mark.parametrize("channels", [5, 96])
def test_a_block_has_8_c_squared_plus_58_c_parameters(channels):
    assert parameter_count(ConvNeXtBlock(channels, 1e-6)) == 8 * channels**2 + 58 * channels


def test_the_sizes_of_the_stages_are_those_of_the_paper_and_so_are_the_multiply_adds():
    """4.5 billion, which the paper calls FLOPs."""
    with torch.device("meta"):
        model = ConvNeXt()
        names = [f"stages.{stage}" for stage in range(4)]
        found = shapes_of(model, torch.zeros(1, 3, 224, 224), names)
        work = multiply_adds(model, (1, 3, 224, 224))
    assert list(found.values()) == [(96, 56, 56), (192, 28, 28), (384, 14, 14), (768, 7, 7)]
    expected, side = 48 * 96 * 56**2, 56
    for stage, number in enumerate((3, 3, 9, 3)):
        width = 96 * 2**stage
        if stage:
            side //= 2
            expected += 4 * (width // 2) * width * side**2
        expected += number * (49 * width + 8 * width**2) * side**2
    assert work == expected + 768 * 1000 and round(work / 1e9, 1) == 4.5


def test_channel_norm_is_layer_norm_of_every_place_by_its_formula():
    norm, maps = prepared(lambda: ChannelNorm(6)), normal(2, 6, 4, 3)
    mean = maps.mean(1, keepdim=True)
    variance = (maps - mean).square().mean(1, keepdim=True)
    expected = (maps - mean) / (variance + 1e-6).sqrt()
    expected = expected * norm.weight[:, None, None] + norm.bias[:, None, None]
    assert torch.allclose(norm(maps), expected, atol=1e-12)
    assert norm(maps).shape == maps.shape


def written_out(weights, images):
    """Compute the small network with channels last and dense layers instead of 1×1 convolutions."""

    def norm(x, name):
        return F.layer_norm(
            x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6
        )

    def conv(x, name, **settings):
        x = F.conv2d(
            x.movedim(3, 1), weights[f"{name}.weight"], weights[f"{name}.bias"], **settings
        )
        return x.movedim(1, 3)

    def dense(x, name):
        return x @ weights[f"{name}.weight"][..., 0, 0].T + weights[f"{name}.bias"]

    x = images.movedim(1, 3)
    for stage, number in enumerate((2, 1, 1)):
        name = f"stages.{stage}"
        if stage:
            x = conv(norm(x, f"{name}.0"), f"{name}.1", stride=2)
        else:
            x = norm(conv(x, f"{name}.0", stride=2), f"{name}.1")
        for block in range(2, 2 + number):
            inner = f"{name}.{block}.residual"
            y = norm(conv(x, f"{inner}.0", padding=3, groups=x.shape[3]), f"{inner}.1")
            y = dense(y, f"{inner}.2")
            y = dense(y * (1 + torch.erf(y / 2**0.5)) / 2, f"{inner}.4")
            x = x + weights[f"{name}.{block}.scale"].flatten() * y
    x = norm(x.mean((1, 2)), "norm")
    return x @ weights["classifier.weight"].T + weights["classifier.bias"]


@pytest.mark.parametrize("size", [(16, 24), (13, 19)])
def test_the_outputs_are_those_of_the_definition_written_out(size):
    model, images = prepared(small), normal(3, 2, *size)
    assert torch.allclose(model(images), written_out(model.state_dict(), images), atol=1e-10)


def test_a_fresh_block_is_nearly_the_identity():
    block, maps = ConvNeXtBlock(4, 1e-6).double(), normal(2, 4, 5, 6)
    change = (block(maps) - maps).abs().max().item()
    assert 0 < change < 1e-5 and torch.equal(block.scale.detach(), torch.full((4, 1, 1), 1e-6))


def test_gradients_reach_every_parameter_and_a_state_dict_carries_everything():
    images = normal(3, 2, 12, 17)
    assert_gradients_reach_every_parameter(prepared(small), images)
    assert_state_dict_carries_everything(small, images)
    assert_pictures_do_not_meet_in_evaluation(prepared(small), images)


def test_training_and_evaluation_give_the_same_and_nan_stays_in_its_picture_in_both():
    model, images = prepared(small), normal(3, 2, 8, 9)
    assert torch.equal(model(images), model.train()(images))
    images[1, 0, 3, 3] = torch.nan
    assert model(images).isnan().all(1).tolist() == [False, True, False]


def test_rows_that_the_patches_leave_over_are_not_read():
    model, images = prepared(small), normal(1, 2, 9, 11)
    images[..., 8:, :] = torch.nan
    images[..., 10:] = torch.nan
    assert model(images).isfinite().all()


def test_pictures_too_small_or_of_other_channels_are_named():
    model = small()
    assert model(torch.zeros(1, 2, 8, 8)).shape == (1, 5)
    for shape in ((1, 2, 7, 9), (1, 2, 9, 7), (1, 3, 9, 9)):
        text = f"images were of shape {shape}; they must be (N, 2, height, width) with at least 8"
        assert_refused(lambda shape=shape: model(torch.zeros(shape)), text)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"layers": 3}, "layers was 3; it must be a sequence of whole numbers of at least 1"),
        ({"layers": (3, 0)}, "layers[1] was 0; it must be a whole number of at least 1"),
        ({"width": 0}, "width was 0; it must be"),
        ({"patch": 0}, "patch was 0; it must be"),
        ({"scale": "1"}, "scale was '1'; it must be a finite number"),
        ({"scale": float("nan")}, "scale was nan; it must be a finite number"),
        ({"channels": 0}, "channels was 0; it must be"),
        ({"classes": 0}, "classes was 0; it must be"),
    ],
)
def test_a_wrong_argument_is_named(arguments, text):
    assert_refused(lambda: ConvNeXt(**arguments), text)
