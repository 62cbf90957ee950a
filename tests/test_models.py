"""The networks of `cnnbook.models` have the shapes, the counts and the functions they promise."""

import ast
import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn
from torch.nn import functional as F

from cnnbook import models
from cnnbook.models import OneConvNet, OneEpochNet, SmallNet, ThreeConvNet
from tools import notebooks

# Each layer by name: the shape of what it gives for one picture, and its number of parameters.
LAYERS = {
    "SmallNet": {
        "conv1": ((2, 26, 26), 20),
        "conv2": ((3, 24, 24), 57),
        "pool": ((3, 12, 12), 0),
        "dense1": ((16,), 6_928),
        "dense2": ((10,), 170),
    },
    "OneConvNet": {
        "conv": ((128, 26, 26), 1_280),
        "pool": ((128, 13, 13), 0),
        "dense": ((10,), 216_330),
    },
    "OneConvNet of 4×4": {
        "conv": ((128, 25, 25), 2_176),
        "pool": ((128, 12, 12), 0),
        "dense": ((10,), 184_330),
    },
    "OneEpochNet": {
        "convolutions.0": ((16, 26, 26), 144),
        "convolutions.1": ((16, 13, 13), 0),
        "convolutions.2": ((16, 13, 13), 32),
        "convolutions.4": ((32, 11, 11), 4_608),
        "convolutions.5": ((32, 5, 5), 0),
        "convolutions.6": ((32, 5, 5), 64),
        "convolutions.8": ((64, 3, 3), 18_432),
        "convolutions.9": ((64, 3, 3), 128),
        "dense": ((10,), 5_770),
    },
    "ThreeConvNet": {
        "convolutions.0": ((32, 26, 26), 320),
        "convolutions.2": ((32, 13, 13), 0),
        "convolutions.3": ((64, 11, 11), 18_496),
        "convolutions.5": ((64, 5, 5), 0),
        "convolutions.6": ((64, 3, 3), 36_928),
        "dense1": ((64,), 36_928),
        "dense2": ((10,), 650),
    },
    "ThreeConvNet without pooling": {
        "convolutions.0": ((32, 26, 26), 320),
        "convolutions.2": ((32, 26, 26), 0),
        "convolutions.3": ((64, 24, 24), 18_496),
        "convolutions.5": ((64, 24, 24), 0),
        "convolutions.6": ((64, 22, 22), 36_928),
        "dense1": ((64,), 1_982_528),
        "dense2": ((10,), 650),
    },
}
TOTALS = {
    "SmallNet": 7_175,
    "OneConvNet": 217_610,
    "OneConvNet of 4×4": 186_506,
    "OneEpochNet": 29_178,
    "ThreeConvNet": 93_322,
    "ThreeConvNet without pooling": 2_038_922,
}
MAKERS = {
    "SmallNet": SmallNet,
    "OneConvNet": OneConvNet,
    "OneConvNet of 4×4": lambda: OneConvNet(kernel_size=4),
    "OneEpochNet": OneEpochNet,
    "ThreeConvNet": ThreeConvNet,
    "ThreeConvNet without pooling": lambda: ThreeConvNet(pooling=False),
}
# The side of the square of pixels, from the upper left corner, that the network reads.
READ = {"OneConvNet of 4×4": 27, "OneEpochNet": 26, "ThreeConvNet": 26}

each_network = pytest.mark.parametrize("name", MAKERS)


@pytest.fixture
def pictures():
    return torch.randn(5, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def made(name, seed=0):
    """Return a network in evaluation mode, with statistics as a training might leave them."""
    torch.manual_seed(seed)
    model = MAKERS[name]().eval()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values in (part.weight.data, part.running_var):
                values.uniform_(0.5, 2)
            for values in (part.bias.data, part.running_mean):
                values.normal_()
    return model


def written_out(name, model, images):
    """Compute a network's outputs from its parameters alone, without its `forward`."""
    weights = model.state_dict()

    def norm(x, layer):
        names = ("running_mean", "running_var", "weight", "bias")
        mean, variance, scale, shift = (weights[f"{layer}.{name}"][:, None, None] for name in names)
        return ((x - mean) / (variance + 1e-5).sqrt() * scale + shift).clamp(min=0)

    def conv(x, layer):
        return F.conv2d(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"]).clamp(min=0)

    def dense(x, layer):
        return x.flatten(1) @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]

    def halved(x):  # the largest of each 2×2 block; an odd last row or column is left out
        rows, columns = (2 * (size // 2) for size in x.shape[2:])
        x = x[..., :rows, :columns]
        return x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax(dim=(3, 5))

    if name == "SmallNet":
        x = halved(conv(conv(images, "conv1"), "conv2"))
        scores = dense(dense(x, "dense1").clamp(min=0), "dense2")
        return scores - scores.logsumexp(dim=1, keepdim=True)
    if name.startswith("OneConvNet"):
        return dense(halved(conv(images, "conv")), "dense")
    if name == "OneEpochNet":
        x = halved(F.conv2d(images, weights["convolutions.0.weight"]))
        x = halved(F.conv2d(norm(x, "convolutions.2"), weights["convolutions.4.weight"]))
        x = F.conv2d(norm(x, "convolutions.6"), weights["convolutions.8.weight"])
        return dense(norm(x, "convolutions.9"), "dense")
    between = (lambda x: x) if name.endswith("without pooling") else halved
    x = between(conv(images, "convolutions.0"))
    x = conv(between(conv(x, "convolutions.3")), "convolutions.6")
    return dense(dense(x, "dense1").clamp(min=0), "dense2")


def test_every_network_of_the_package_is_tested_here_or_in_a_file_of_its_own():
    public = {value.__name__ for value in vars(models).values() if inspect.isclass(value)}
    assert sorted(models.__all__) == sorted(public)
    tested = {type(made(name)).__name__ for name in MAKERS}
    for path in set(ROOT.glob("tests/test_*.py")) - {Path(__file__)}:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("cnnbook.models"):
                tested |= {name.name for name in node.names}
    assert public <= tested


@each_network
def test_every_layer_gives_the_shape_and_has_the_parameters_of_the_table(name, pictures):
    model, found = made(name), {}
    for layer, module in model.named_modules():
        if not isinstance(module, type(model) | nn.Sequential | nn.ReLU):
            count = sum(parameter.numel() for parameter in module.parameters())
            module.register_forward_hook(
                lambda _, inputs, output, layer=layer, count=count: found.update(
                    {layer: (tuple(output.shape[1:]), count)}
                )
            )
    assert model(pictures).shape == (5, 10)
    assert found == LAYERS[name]
    assert sum(parameter.numel() for parameter in model.parameters()) == TOTALS[name]


@each_network
def test_the_outputs_are_those_of_the_layers_written_out(name, pictures):
    model = made(name)
    assert torch.allclose(model(pictures), written_out(name, model, pictures), atol=1e-5)


@each_network
def test_a_random_upstream_gradient_reaches_every_parameter(name, pictures):
    model = made(name)
    outputs = model(pictures)
    outputs.backward(torch.randn(outputs.shape, generator=torch.Generator().manual_seed(2)))
    for layer, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), layer
        assert parameter.grad.isfinite().all(), layer


@each_network
def test_exactly_the_pixels_that_are_read_pass_nan_on_to_their_picture(name):
    """A network that drops rows at a pooling does not see a NaN in the pixels beneath."""
    side = READ.get(name, 28)
    for place in ((0, 0), (side - 1, side - 1), (side - 1, 3)):
        pictures = torch.zeros(2, 1, 28, 28)
        pictures[1, 0][place] = torch.nan
        assert made(name)(pictures).isnan().all(dim=1).tolist() == [False, True], place
    pictures = torch.zeros(1, 1, 28, 28)
    pictures[..., side:, :] = torch.nan
    pictures[..., side:] = torch.nan
    assert made(name)(pictures).isfinite().all()


@each_network
def test_torch_refuses_maps_of_another_size_and_pictures_in_color(name):
    for shape in ((2, 1, 32, 32), (2, 1, 28, 24), (2, 3, 28, 28)):
        with pytest.raises(RuntimeError):
            made(name)(torch.zeros(shape))


@pytest.mark.parametrize("kernel_size", range(1, 28))
def test_the_one_convolution_takes_every_kernel_that_leaves_a_pooling_window(kernel_size, pictures):
    model, side = OneConvNet(kernel_size), (29 - kernel_size) // 2
    assert model(pictures).shape == (5, 10)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == 128 * (kernel_size**2 + 1) + 10 * (128 * side**2 + 1)


@pytest.mark.parametrize("wrong", [0, 28, -3, 3.0, (3, 3), "3", None, True])
def test_a_wrong_kernel_size_is_named(wrong):
    text = f"kernel_size was {wrong!r}; it must be a whole number from 1 to 27"
    with pytest.raises(ValueError, match=re.escape(text)):
        OneConvNet(wrong)


@pytest.mark.parametrize("wrong", [0, 1, "max", None])
def test_a_wrong_switch_for_pooling_is_named(wrong):
    text = f"pooling was {wrong!r}; it must be True or False"
    with pytest.raises(ValueError, match=re.escape(text)):
        ThreeConvNet(pooling=wrong)


# The chapter that introduces them


def stored(name):
    """Return, by recipe, the accuracies in percent, their median seconds and the losses."""
    found = {}
    for run in json.loads((ROOT / f"experiments/results/{name}.json").read_text("utf-8"))["runs"]:
        row = found.setdefault(run["recipe"], ([], [], []))
        row[0].append(round(100 * run["validation_accuracy"], 2))
        row[1].append(run["seconds"])
        row[2].append(round(run["validation_loss"], 2))
    return {
        name: (accuracies, round(float(np.median(seconds)), 2), losses)
        for name, (accuracies, seconds, losses) in found.items()
    }


def test_the_chapter_on_pytorch_prints_the_stored_figures_all_of_them():
    names = {"STORED_NETS", "STORED_SIZES", "STORED_ORDERS", "SORTED_LOSSES"}
    written = {}
    for cell in notebooks.read(ROOT / "chapters/45-the-same-in-pytorch.ipynb").cells:
        if any(f"{name} = " in cell.source for name in names):
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in names:
                    written[ast.unparse(node.targets[0])] = ast.literal_eval(node.value)
    nets, orders = stored("three_nets"), stored("shuffling")
    sizes = {name: row[:2] for name, row in orders.items() if name.startswith("batches")}
    assert written == {
        "STORED_NETS": {name: row[:2] for name, row in nets.items()},
        "STORED_SIZES": sizes,
        "STORED_ORDERS": {name: row[0] for name, row in orders.items() if name not in sizes},
        "SORTED_LOSSES": orders["sorted by label"][2],
    }


def test_the_chapter_on_optimizers_prints_the_stored_figures_all_of_them():
    """By recipe: validation and test accuracies in percent, and seconds, of all seeds in order."""
    found = {}
    for run in json.loads((ROOT / "experiments/results/one_epoch.json").read_text("utf-8"))["runs"]:
        row = found.setdefault(run["recipe"], ([], [], []))
        row[0].append(round(100 * run["validation_accuracy"], 2))
        row[1].append(round(100 * run["test_accuracy"], 2))
        row[2].append(run["seconds"])
    cells = notebooks.read(ROOT / "chapters/52-optimizers.ipynb").cells
    source = next(cell.source for cell in cells if cell.source.startswith("STORED ="))
    assert ast.literal_eval(ast.parse(source).body[0].value) == found


def test_every_stored_run_of_the_one_epoch_recipe_reads_99_percent_of_the_test_digits():
    result = json.loads((ROOT / "experiments/results/one_epoch.json").read_text("utf-8"))
    runs = [run for run in result["runs"] if run["recipe"] == "one cycle"]
    assert len(runs) == 5
    assert all(run["test_accuracy"] >= 0.99 and run["parameters"] < 30_000 for run in runs)


def test_the_network_of_the_recipe_gives_the_same_outputs_with_channels_first(pictures):
    model = made("OneEpochNet")
    last = model(pictures)
    for kernels in (model.convolutions[place].weight for place in (4, 8)):
        assert kernels.is_contiguous(memory_format=torch.channels_last)
    model.to(memory_format=torch.contiguous_format)
    assert torch.allclose(model(pictures), last, atol=1e-5)
