"""The autoencoder has the shapes that it promises and computes what its four upsamplings mean."""

import ast
import json
import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn
from torch.nn import functional as F

from cnnbook.inspection import parameter_count
from cnnbook.models import Autoencoder, Decoder, Encoder
from cnnbook.models.decoder import UPSAMPLINGS, doubler, start_as_resize
from experiments import checkerboards
from tools import notebooks

each_kind = pytest.mark.parametrize("kind", UPSAMPLINGS)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pictures(count=3, seed=0):
    return torch.sigmoid(normal(count, 1, 28, 28, seed=seed))


def made(kind="transposed 4", seed=0, **arguments):
    torch.manual_seed(seed)
    return Autoencoder(upsampling=kind, **arguments).double()


def shapes(model, images):
    """Return the shapes of one picture's outputs of all layers that have weights, in order."""
    found = {}
    for name, part in model.named_modules():
        if next(part.children(), None) is None:
            part.register_forward_hook(
                lambda _, inputs, output, name=name: found.update({name: tuple(output.shape[1:])})
            )
    model(images)
    return found


def test_the_sizes_are_14_and_7_on_the_way_down_and_14_and_28_on_the_way_up():
    assert shapes(made(width=5, code=3), pictures()) == {
        "encoder.conv1": (5, 14, 14),
        "encoder.conv2": (10, 7, 7),
        "encoder.fc": (3,),
        "decoder.fc": (490,),
        "decoder.up1": (5, 14, 14),
        "decoder.up2": (1, 28, 28),
    }


@each_kind
def test_parameters_are_counted_by_the_widths(kind):
    for width, code in ((12, 16), (5, 3)):
        taps, copies = {"transposed 3": (9, 1), "transposed 4": (16, 1)}.get(kind, (9, 1))
        copies = 4 if kind == "subpixel" else copies
        encoder = 10 * width + (9 * width + 1) * 2 * width + (98 * width + 1) * code
        decoder = (code + 1) * 98 * width
        decoder += copies * ((2 * width * taps + 1) * width + width * taps + 1)
        assert parameter_count(made(kind, width=width, code=code)) == encoder + decoder


def test_the_usual_one_has_46_373_parameters():
    assert parameter_count(Autoencoder()) == 46_373


def taps_laid_down(x, weight, bias, padding, left_over):
    """Return a transposed convolution of stride 2, one tap at a time."""
    N, _, H, W = x.shape
    K = weight.shape[2]
    full = x.new_zeros(N, weight.shape[1], 2 * (H - 1) + K + left_over, 2 * (W - 1) + K + left_over)
    for p in range(K):
        for q in range(K):
            part = torch.einsum("nchw,co->nohw", x, weight[:, :, p, q])
            full[:, :, p : p + 2 * H - 1 : 2, q : q + 2 * W - 1 : 2] += part
    end = -padding or None
    return full[:, :, padding:end, padding:end] + bias[:, None, None]


def doubled(weights, name, x, kind):
    """Return what a doubling layer gives, by its definition."""
    if kind.startswith("transposed"):
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return taps_laid_down(x, weight, bias, 1, 4 - weight.shape[2])
    if kind == "resize":
        enlarged = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        return F.conv2d(enlarged, weights[f"{name}.1.weight"], weights[f"{name}.1.bias"], padding=1)
    maps = F.conv2d(x, weights[f"{name}.0.weight"], weights[f"{name}.0.bias"], padding=1)
    N, channels, H, W = maps.shape
    blocks = maps.reshape(N, channels // 4, 2, 2, H, W).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(N, channels // 4, 2 * H, 2 * W)


@each_kind
def test_the_outputs_are_those_of_the_definition_written_out(kind):
    model, images = made(kind, width=5, code=3), pictures()
    weights = model.state_dict()

    def layer(name, x):
        x = F.pad(x, (1, 1, 1, 1)).unfold(2, 3, 2).unfold(3, 3, 2)
        x = torch.einsum("nchwpq,ocpq->nohw", x, weights[f"{name}.weight"])
        return (x + weights[f"{name}.bias"][:, None, None]).clamp(min=0)

    x = layer("encoder.conv2", layer("encoder.conv1", images)).reshape(3, -1)
    codes = x @ weights["encoder.fc.weight"].T + weights["encoder.fc.bias"]
    assert torch.allclose(model.encoder(images), codes, atol=1e-12)
    x = (codes @ weights["decoder.fc.weight"].T + weights["decoder.fc.bias"]).clamp(min=0)
    x = doubled(weights, "decoder.up1", x.reshape(3, 10, 7, 7), kind).clamp(min=0)
    x = doubled(weights, "decoder.up2", x, kind)
    assert torch.allclose(model(images), 1 / (1 + torch.exp(-x)), atol=1e-12)


@each_kind
def test_a_doubler_doubles_any_height_and_width(kind):
    layer = doubler(kind, 3, 5)
    for size in ((1, 1), (2, 5), (7, 4)):
        assert layer(torch.zeros(2, 3, *size)).shape == (2, 5, 2 * size[0], 2 * size[1])


def test_a_subpixel_layer_starts_as_a_convolution_that_is_enlarged_and_training_ends_that():
    torch.manual_seed(1)
    layer = doubler("subpixel", 3, 5).double()
    images = normal(2, 3, 4, 6)
    before = layer(images)
    first = before[:, :, ::2, ::2]
    assert torch.equal(before, first.repeat_interleave(2, 2).repeat_interleave(2, 3))
    weights = layer[0].weight[::4], layer[0].bias[::4]
    assert torch.allclose(first, F.conv2d(images, *weights, padding=1), atol=1e-12)
    (before * normal(*before.shape)).sum().backward()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter -= 0.1 * parameter.grad
    after = layer(images)
    assert not torch.allclose(after[:, :, 1::2], after[:, :, ::2])


def test_start_as_resize_holds_for_other_factors_and_refuses_channels_that_do_not_divide():
    layer = nn.Conv2d(2, 18, 3, padding=1, bias=False)
    start_as_resize(layer, 3)
    images = normal(1, 2, 4, 5).float()
    large = F.pixel_shuffle(layer(images), 3)
    small = F.conv2d(images, layer.weight[::9], padding=1)
    assert torch.allclose(large, F.interpolate(small, scale_factor=3), atol=1e-6)
    assert not torch.equal(layer.weight[0], layer.weight[9])
    with pytest.raises(ValueError, match="had 18 output channels; they must be a multiple of"):
        start_as_resize(layer, 2)
    with pytest.raises(ValueError, match="factor was 0; it must be a whole number of at least 1"):
        start_as_resize(layer, 0)


@each_kind
def test_gradients_reach_every_parameter(kind):
    model = made(kind)
    outputs = model(pictures(8))
    outputs.backward(normal(*outputs.shape, seed=2))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
        assert parameter.grad.isfinite().all(), name


@each_kind
def test_pictures_do_not_meet_and_both_modes_are_one(kind):
    model, images = made(kind), pictures()
    together = model.eval()(images)
    apart = torch.cat([model.train()(picture[None]) for picture in images])
    assert torch.allclose(together, apart, atol=1e-12)
    assert together.min() > 0 and together.max() < 1


@each_kind
def test_a_state_dict_carries_everything(kind):
    first, second, images = made(kind, seed=0), made(kind, seed=1), pictures()
    assert not torch.allclose(first(images), second(images))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(images), second(images))


def test_nan_in_a_pixel_stays_in_its_picture():
    images = pictures()
    images[1, 0, 3, 4] = torch.nan
    outputs = made()(images)
    assert outputs[1].isnan().all() and not outputs[[0, 2]].isnan().any()


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: Autoencoder(width=0), "width was 0; it must be a whole number of at least 1"),
        (lambda: Autoencoder(code=1.5), "code was 1.5; it must be a whole number of at least 1"),
        (lambda: Decoder(width=True), "width was True; it must be a whole number of at least 1"),
        (lambda: Encoder(code=0), "code was 0; it must be a whole number of at least 1"),
        (
            lambda: Autoencoder(upsampling="transposed"),
            "upsampling was 'transposed'; it must be one of 'transposed 3', 'transposed 4', "
            "'resize', 'subpixel'",
        ),
        (lambda: doubler(3, 1, 1), "upsampling was 3; it must be one of 'transposed 3'"),
        (
            lambda: Autoencoder()(torch.zeros(2, 1, 27, 28)),
            "images were of shape (2, 1, 27, 28); they must be (N, 1, height, width) with at",
        ),
        (
            lambda: Autoencoder()(torch.zeros(2, 1, 28, 32)),
            "images were of shape (2, 1, 28, 32); they must be (N, 1, 28, 28)",
        ),
        (
            lambda: Autoencoder()(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)),
            "images were torch.uint8; they must be a tensor of floats",
        ),
        (
            lambda: Decoder()(torch.zeros(2, 15)),
            "codes were of shape (2, 15); they must be (N, 16)",
        ),
        (lambda: Decoder()(np.zeros((2, 16))), "codes were float64; they must be a tensor of"),
        (lambda: Decoder()([1.0]), "codes were list; they must be a tensor of floats (N, 16)"),
    ],
)
def test_what_does_not_fit_is_named(call, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        call()


def test_the_chapter_shows_the_stored_figures_of_the_experiment_all_of_them():
    result = json.loads((ROOT / "experiments/results/checkerboards.json").read_text("utf-8"))
    expected = {kind: [[], [], []] for kind in UPSAMPLINGS}
    for run in result["runs"]:
        figures = run["untrained_grid"], run["grid"], round(1e4 * run["mse"], 1)
        for figure, row in zip(figures, expected[run["recipe"]], strict=True):
            row.append(figure)
    cells = notebooks.read(ROOT / "chapters/66-transposed-and-atrous.ipynb").cells
    source = next(cell.source for cell in cells if cell.source.startswith("STORED ="))
    assert ast.literal_eval(ast.parse(source).body[0].value) == expected


def test_the_chapter_measures_the_grid_as_the_experiment_does():
    cells = notebooks.read(ROOT / "chapters/66-transposed-and-atrous.ipynb").cells
    source = next(cell.source for cell in cells if cell.source.startswith("def grid_power"))
    scope = {"np": np}
    exec(compile(source.split("\n\n\n")[0], "cell", "exec"), scope)
    random = np.random.default_rng(0)
    images = random.random((5, 28, 28))
    assert scope["grid_power"](images) == checkerboards.grid_power(images)


def test_the_power_at_the_grid_rises_with_each_pattern_of_two_pixels_and_with_no_other():
    random = np.random.default_rng(1)
    images, (rows, columns) = random.normal(size=(400, 28, 28)), np.indices((28, 28))
    plain = checkerboards.grid_power(images)
    assert plain == pytest.approx(1, abs=0.2)
    for pattern in (rows % 2, columns % 2, (rows + columns) % 2):
        assert checkerboards.grid_power(images + 0.5 * pattern) > 5 * plain
    for pattern in (rows % 4 // 2, rows % 7 // 4, 0 * rows + 1):
        assert checkerboards.grid_power(images + 0.5 * pattern) < 1.3
