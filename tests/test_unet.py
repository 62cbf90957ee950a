"""U-Net has the shapes and the count of its paper, and computes what its definition says."""

import ast
import json

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
from conftest import ROOT
from torch.nn import functional as F

from cnnbook.inspection import multiply_adds, parameter_count
from cnnbook.models import UNet
from cnnbook.models.unet import crop
from tools import notebooks


def small(padding=False, skips=True):
    return UNet(3, levels=2, padding=padding, skips=skips, channels=2, classes=4)


def count(width, levels, channels, classes, skips=True):
    """Return parameters by the widths alone: 3×3 and 2×2 kernels, all with biases."""
    total, inputs = 0, channels
    for level in range(levels + 1):
        outputs = width * 2**level
        total += (9 * inputs + 1) * outputs + (9 * outputs + 1) * outputs
        inputs = outputs
    for level in reversed(range(levels)):
        outputs = width * 2**level
        total += 4 * inputs * outputs + outputs
        total += (9 * (outputs + skips * outputs) + 1) * outputs + (9 * outputs + 1) * outputs
        inputs = outputs
    return total + (inputs + 1) * classes


def test_the_network_of_the_paper_has_31_030_658_parameters_derived_from_its_widths():
    with torch.device("meta"):
        assert parameter_count(UNet()) == count(64, 4, 1, 2) == 31_030_658


def test_the_sizes_are_those_of_figure_1():
    with torch.device("meta"):
        names = [f"down.{level}" for level in range(5)]
        names += [f"{part}.{level}" for level in range(4) for part in ("up", "join")]
        found = shapes_of(UNet(), torch.zeros(1, 1, 572, 572), [*names, "answer"])
    assert found == {
        "down.0": (64, 568, 568),
        "down.1": (128, 280, 280),
        "down.2": (256, 136, 136),
        "down.3": (512, 64, 64),
        "down.4": (1024, 28, 28),
        "up.0": (512, 56, 56),
        "join.0": (512, 52, 52),
        "up.1": (256, 104, 104),
        "join.1": (256, 100, 100),
        "up.2": (128, 200, 200),
        "join.2": (128, 196, 196),
        "up.3": (64, 392, 392),
        "join.3": (64, 388, 388),
        "answer": (2, 388, 388),
    }


def test_it_has_23_convolutions_as_the_paper_says():
    """The transposed ones among them."""
    parts = [part for part in UNet(1).modules() if type(part).__name__.startswith("Conv")]
    assert len(parts) == 23


def enlarged(x, kernel, bias):
    """Return a transposed 2×2 convolution of stride 2: each number becomes a block of 2×2."""
    blocks = torch.einsum("nchw,copq->nohpwq", x, kernel)
    return blocks.flatten(4, 5).flatten(2, 3) + bias[:, None, None]


def written_out(weights, images, levels, padding, skips):
    def double(x, name):
        for place in (0, 2):
            kernel, bias = weights[f"{name}.{place}.weight"], weights[f"{name}.{place}.bias"]
            x = F.conv2d(F.pad(x, 4 * [int(padding)]), kernel, bias).clamp(min=0)
        return x

    kept, x = [], images
    for level in range(levels + 1):
        if level:
            x = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax(dim=(3, 5))
        x = double(x, f"down.{level}")
        kept.append(x)
    for place in range(levels):
        x = enlarged(x, weights[f"up.{place}.weight"], weights[f"up.{place}.bias"])
        left = kept[levels - 1 - place]
        border = (left.shape[2] - x.shape[2]) // 2, (left.shape[3] - x.shape[3]) // 2
        left = F.pad(left, (-border[1], -border[1], -border[0], -border[0]))
        x = double(torch.cat([left, x], 1) if skips else x, f"join.{place}")
    answers = torch.einsum("oc,nchw->nohw", weights["answer.weight"][..., 0, 0], x)
    return answers + weights["answer.bias"][:, None, None]


@pytest.mark.parametrize("padding, size", [(False, (48, 52)), (True, (16, 12))])
@pytest.mark.parametrize("skips", [True, False])
def test_the_outputs_are_those_of_the_definition_written_out(padding, size, skips):
    model, images = prepared(lambda: small(padding, skips)), normal(2, 2, *size)
    expected = written_out(model.state_dict(), images, 2, padding, skips)
    assert torch.allclose(model(images), expected, atol=1e-10)
    assert parameter_count(model) == count(3, 2, 2, 4, skips)


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_pictures_of_the_promised_sizes_fit_and_all_others_are_named(levels):
    """Every pooling gets an even number of rows; 4 answers are the least."""
    with torch.device("meta"):
        model, step = UNet(1, levels), 2**levels
        for size in range(model.smallest - 3, model.smallest + 2 * step + 1):
            images = torch.zeros(1, 1, size, model.smallest)
            if size < model.smallest:
                text = f"images were of shape (1, 1, {size}, {model.smallest}); they must be"
                assert_refused(lambda images=images: model(images), text)
            elif (size - model.smallest) % step:
                text = f"images were of {size}×{model.smallest}; height and width must be"
                assert_refused(lambda images=images: model(images), text)
            else:
                rows = size - 12 * 2**levels + 8
                assert model(images).shape == (1, 2, rows, 4)
    assert model.smallest == 12 * 2**levels - 4


def test_with_padding_every_pixel_is_answered():
    model = UNet(1, levels=3, padding=True)
    assert model.smallest == 8
    for size in ((8, 8), (16, 24), (40, 8)):
        assert model(torch.zeros(1, 1, *size)).shape == (1, 2, *size)
    for size in ((9, 8), (8, 12)):
        text = f"images were of {size[0]}×{size[1]}; height and width must be 8, or more by a"
        assert_refused(lambda size=size: model(torch.zeros(1, 1, *size)), text)


def test_without_padding_a_pixel_is_answered_alike_wherever_its_tile_begins():
    """The overlap-tile strategy of the paper: tiles that begin 4 pixels apart agree."""
    model, images = prepared(small), normal(1, 2, 52, 60)
    whole = model(images)
    parts = [model(images[..., left : left + 48]) for left in (0, 4, 8, 12)]
    for left, part in zip((0, 4, 8, 12), parts, strict=True):
        width = part.shape[3]
        assert torch.allclose(part, whole[..., left : left + width], atol=1e-10)


def test_the_middle_is_taken():
    maps = torch.arange(35.0).reshape(1, 1, 5, 7)
    assert torch.equal(crop(maps, (3, 3)), maps[:, :, 1:4, 2:5])
    assert torch.equal(crop(maps, (4, 7)), maps[:, :, :4])
    assert torch.equal(crop(maps, (5, 7)), maps)


@pytest.mark.parametrize("skips", [True, False])
def test_gradients_reach_every_parameter_and_a_state_dict_carries_everything(skips):
    images = normal(2, 2, 16, 12)
    assert_gradients_reach_every_parameter(prepared(lambda: small(True, skips)), images)
    assert_state_dict_carries_everything(lambda: small(True, skips), images)
    assert_pictures_do_not_meet_in_evaluation(prepared(lambda: small(True, skips)), images)


def test_nan_reaches_its_field_and_no_other_picture():
    model, images = prepared(small), normal(2, 2, 48, 148)
    images[1, 0, 24, 5] = torch.nan
    found = model(images).isnan()
    assert found[1, :, :, 0].any() and not found[1, :, :, -1].any() and not found[0].any()


def test_multiply_adds_are_those_of_the_sizes():
    places = {0: (570, 568), 1: (282, 280), 2: (138, 136), 3: (66, 64), 4: (30, 28)}
    expected, inputs = 0, 1
    for level, (first, second) in places.items():
        width = 64 * 2**level
        expected += 9 * (inputs * first**2 + width * second**2) * width
        inputs = width
    for level, rows in ((3, 28), (2, 52), (1, 100), (0, 196)):
        width = 64 * 2**level
        expected += 4 * 2 * width * width * rows**2
        expected += 9 * width * (2 * width * (2 * rows - 2) ** 2 + width * (2 * rows - 4) ** 2)
    with torch.device("meta"):
        assert multiply_adds(UNet(), (1, 1, 572, 572)) == expected + 64 * 2 * 388**2


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"width": 0}, "width was 0; it must be a whole number of at least 1"),
        ({"levels": 0}, "levels was 0; it must be"),
        ({"padding": 1}, "padding was 1; it must be True or False"),
        ({"skips": None}, "skips was None; it must be True or False"),
        ({"channels": 0}, "channels was 0; it must be"),
        ({"classes": "2"}, "classes was '2'; it must be"),
    ],
)
def test_a_wrong_argument_is_named(arguments, text):
    assert_refused(lambda: UNet(**arguments), text)


def test_pictures_of_other_channels_are_named():
    text = (
        "images were of shape (1, 3, 48, 48); they must be (N, 2, height, width) with at least 44"
    )
    assert_refused(lambda: small()(torch.zeros(1, 3, 48, 48)), text)


# The chapter that introduces it


def chapter_code():
    cells = notebooks.read(ROOT / "chapters/65-after-resnet.ipynb").cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def test_the_chapter_prints_the_stored_figures_all_of_them():
    runs = json.loads((ROOT / "experiments/results/after_resnet.json").read_text("utf-8"))["runs"]
    unets, senets = {}, {}
    for entry in runs:
        name = entry["recipe"]
        if "overlap" in entry:
            _, overlaps = unets.setdefault(name, (entry["parameters"], []))
            overlaps.append(round(entry["overlap"], 3))
            if name == "U-Net":
                _, overlaps = unets.setdefault("threshold", (1, []))
                overlaps.append(round(entry["threshold_overlap"], 3))
        else:
            row = senets.setdefault(name, (entry["parameters"], [], []))
            row[1].append(round(100 * entry["validation_accuracy"], 2))
            row[2].append(entry["seconds"])
    written = {}
    for source in chapter_code():
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith("STORED"):
                written[ast.unparse(node.targets[0])] = ast.literal_eval(node.value)
    assert written == {"STORED_UNETS": unets, "STORED_SENETS": senets}


def test_the_chapter_and_the_experiment_make_and_learn_the_same_fields():
    def functions(source):
        found = {}
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef):
                node.body = node.body[bool(ast.get_docstring(node)) :]
                found[node.name] = ast.dump(node)
        return found

    stored = functions((ROOT / "experiments/after_resnet.py").read_text("utf-8"))
    shown = {}
    for source in chapter_code():
        shown |= functions(source)
    for name in ("cluttered_field", "make_fields", "overlap", "train_unet"):
        assert shown[name] == stored[name], name
