"""VGG has the layers, the counts and the function of its paper."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.models.vgg import STAGES, VGG

COUNTS = {11: 132_863_336, 13: 133_047_848, 16: 138_357_544, 19: 143_667_240}
PAPER = {11: 133, 13: 133, 16: 138, 19: 144}  # its table 2, in millions

every_depth = pytest.mark.parametrize("layers", COUNTS)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def small(seed=0, **settings):
    torch.manual_seed(seed)
    settings = {"layers": 11, "classes": 5, "width": 3, "hidden": 7, "size": 64} | settings
    return VGG(**settings).eval()


def pictures(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def formula(layers, classes=1000, width=64, hidden=4096, channels=3, side=7):
    """Return the number of parameters, from the paper's table 1."""
    total = 0
    for repeats, factor in zip(STAGES[layers], (1, 2, 4, 8, 8), strict=True):
        for _ in range(repeats):
            total += factor * width * (9 * channels + 1)
            channels = factor * width
    if hidden is None:
        return total + classes * (channels + 1)
    total += hidden * (channels * side * side + 1) + hidden * (hidden + 1)
    return total + classes * (hidden + 1)


@every_depth
def test_the_counts_are_the_published_ones_and_follow_from_the_table(layers):
    with torch.device("meta"):
        found = count(VGG(layers))
    assert found == formula(layers) == COUNTS[layers]
    assert round(found / 1e6) == PAPER[layers]


@every_depth
def test_a_net_has_as_many_layers_with_weights_as_its_name_says(layers):
    with torch.device("meta"):
        parts = list(VGG(layers).modules())
    assert sum(isinstance(part, nn.Conv2d | nn.Linear) for part in parts) == layers


@pytest.mark.parametrize("settings", [{"width": 5}, {"hidden": None}, {"channels": 1, "size": 96}])
def test_other_widths_and_dense_parts_have_the_counts_of_the_formula(settings):
    with torch.device("meta"):
        found = count(VGG(13, 7, **settings))
    sides = {"side": settings["size"] // 32} if "size" in settings else {}
    rest = {name: value for name, value in settings.items() if name != "size"}
    assert found == formula(13, 7, **rest, **sides)


def test_every_stage_halves_the_maps_and_ends_with_the_channels_of_the_paper():
    with torch.device("meta"):
        model, x = VGG(16), torch.zeros(2, 3, 224, 224)
        found = {}
        for name, part in model.stages.named_children():
            x = part(x)
            found[name] = tuple(x.shape[1:])
        assert model.dense(x).shape == (2, 1000)
    assert found["conv1_2"] == (64, 224, 224) and found["pool1"] == (64, 112, 112)
    assert found["conv2_2"] == (128, 112, 112) and found["pool2"] == (128, 56, 56)
    assert found["conv3_3"] == (256, 56, 56) and found["pool3"] == (256, 28, 28)
    assert found["conv4_3"] == (512, 28, 28) and found["pool4"] == (512, 14, 14)
    assert found["conv5_3"] == (512, 14, 14) and found["pool5"] == (512, 7, 7)
    convolutions = [name for name in found if name.startswith("conv")]
    assert len(convolutions) == 13 and "conv3_4" not in found


def written_out(model, layers, x):
    """Compute the outputs from the parameters alone, convolutions as nine shifted products."""
    weights = model.state_dict()
    for stage, repeats in enumerate(STAGES[layers], 1):
        for number in range(1, repeats + 1):
            name = f"stages.conv{stage}_{number}"
            kernels, height, width = weights[f"{name}.weight"], *x.shape[2:]
            padded, x = F.pad(x, (1, 1, 1, 1)), weights[f"{name}.bias"][:, None, None]
            for i in range(3):
                for j in range(3):
                    part = padded[..., i : i + height, j : j + width]
                    x = x + torch.einsum("oc,nchw->nohw", kernels[..., i, j], part)
            x = x.clamp(min=0)
        rows, columns = x.shape[2] // 2, x.shape[3] // 2
        x = x[..., : 2 * rows, : 2 * columns]
        x = x.unflatten(3, (columns, 2)).unflatten(2, (rows, 2)).amax(dim=(3, 5))
    x = x.flatten(1) if "dense.fc6.weight" in weights else x.mean(dim=(2, 3))
    for name in ("fc6", "fc7"):
        if f"dense.{name}.weight" in weights:
            x = (x @ weights[f"dense.{name}.weight"].T + weights[f"dense.{name}.bias"]).clamp(min=0)
    return x @ weights["dense.fc8.weight"].T + weights["dense.fc8.bias"]


@pytest.mark.parametrize("layers", [11, 16])
@pytest.mark.parametrize("hidden", [7, None])
def test_the_outputs_are_those_of_the_layers_written_out(layers, hidden):
    model = small(layers=layers, hidden=hidden)
    for parameter in model.parameters():
        parameter.data.mul_(2)  # else 16 layers of default weights leave next to nothing
    images = pictures(3, 3, 64, 70)  # the last 6 columns are not read beyond the fifth pooling
    result = model(images)
    assert result.std() > 1e-4
    assert torch.allclose(result, written_out(model, layers, images), rtol=1e-3, atol=1e-6)


@every_depth
def test_a_random_upstream_gradient_reaches_every_parameter(layers):
    model = small(layers=layers)
    outputs = model(pictures(4, 3, 64, 64))
    outputs.backward(pictures(*outputs.shape, seed=2))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
        assert parameter.grad.isfinite().all(), name


def test_half_of_the_units_of_both_hidden_layers_are_dropped_in_training_only():
    model, seen = small(hidden=2000, width=1), []
    for name in ("fc6", "fc7"):
        nn.init.zeros_(model.dense.get_submodule(name).weight)
        nn.init.ones_(model.dense.get_submodule(name).bias)
    for name in ("fc7", "fc8"):
        part = model.dense.get_submodule(name)
        part.register_forward_pre_hook(lambda _, inputs: seen.append((inputs[0] == 0).float()))
    torch.manual_seed(0)
    model.train()(pictures(1, 3, 64, 64))
    assert len(seen) == 2 and all(abs(zeros.mean() - 0.5) < 0.05 for zeros in seen)
    seen.clear()
    model.eval()(pictures(1, 3, 64, 64))
    assert len(seen) == 2 and not any(zeros.any() for zeros in seen)
    assert not any(isinstance(part, nn.Dropout) for part in small(hidden=None).modules())


def test_a_state_dict_makes_another_net_the_same():
    one, other, images = small(0), small(1), pictures(2, 3, 64, 64)
    assert not torch.equal(one(images), other(images))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(images), other(images))


def test_nan_in_a_pixel_that_is_read_gives_nan_in_its_picture_only():
    images = torch.zeros(2, 3, 64, 64)
    images[1, 2, 63, 5] = torch.nan
    assert small()(images).isnan().all(dim=1).tolist() == [False, True]


@pytest.mark.parametrize("wrong", [(2, 3, 63, 64), (2, 3, 64, 33), (2, 1, 64, 64), (3, 64, 64)])
def test_pictures_too_small_or_of_other_channels_are_named(wrong):
    text = f"images were of shape {wrong}; they must be (N, 3, height, width) with at least 64"
    with pytest.raises(ValueError, match=re.escape(text)):
        small()(torch.zeros(wrong))


def test_bytes_are_refused_and_torch_refuses_pictures_too_large():
    with pytest.raises(ValueError, match=r"images were torch\.uint8"):
        small()(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(RuntimeError):
        small()(torch.zeros(2, 3, 64, 96))


def test_without_dense_layers_any_picture_from_32_pixels_is_taken():
    model = small(hidden=None)
    assert model(torch.zeros(2, 3, 32, 100)).shape == (2, 5)
    with pytest.raises(ValueError, match="at least 32"):
        model(torch.zeros(2, 3, 31, 100))


@pytest.mark.parametrize(
    "name, wrong, wanted",
    [
        ("layers", 12, "one of 11, 13, 16, 19"),
        ("layers", 16.0, "one of 11, 13, 16, 19"),
        ("layers", True, "one of 11, 13, 16, 19"),
        ("classes", 0, "a whole number of at least 1"),
        ("width", 1.5, "a whole number of at least 1"),
        ("hidden", 0, "None or a whole number of at least 1"),
        ("hidden", "4096", "None or a whole number of at least 1"),
        ("channels", -1, "a whole number of at least 1"),
        ("size", 31, "a whole number of at least 32"),
    ],
)
def test_a_wrong_argument_is_named(name, wrong, wanted):
    with pytest.raises(ValueError, match=re.escape(f"{name} was {wrong!r}; it must be {wanted}")):
        VGG(**{name: wrong})
