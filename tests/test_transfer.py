"""The chapter on transfer shows the stored figures, and the code that gave them."""

import ast
import json

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn

from experiments import transfer, transfer_digits
from tools import notebooks

CHAPTER = ROOT / "chapters/71-transfer.ipynb"


def sources():
    return [cell.source for cell in notebooks.read(CHAPTER).cells if cell.cell_type == "code"]


def literal(name):
    """Return the value of a literal of the chapter, and count that there is one."""
    (tree,) = (
        node.value
        for source in sources()
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    )
    return ast.literal_eval(tree)


def stored(name):
    """Return test accuracies in percent by recipe and size, in the order of the seeds."""
    result = json.loads((ROOT / f"experiments/results/{name}.json").read_text("utf-8"))
    found = {}
    for run in result["runs"]:
        for part, ending in (("accuracy", ""), ("refreshed_accuracy", ", refreshed")):
            for size, accuracy in run.get(part, {}).items():
                rows = found.setdefault(run["recipe"] + ending, {})
                rows.setdefault(int(size), []).append(round(100 * accuracy, 2))
    return found


def test_the_chapter_shows_the_stored_figures_of_the_materials_all_of_them():
    expected, shown = stored("transfer"), literal("STORED")
    for name, row in literal("TUNED").items():
        recipe = name.replace("the same, statistics", "batch norm in training mode,")
        shown[recipe] = {5: row}
    del expected["same network from scratch, refreshed"]  # not of interest to the chapter
    assert shown == expected


def test_the_chapter_shows_the_stored_figures_of_the_digits_all_of_them():
    expected = stored("transfer_digits")
    shown = literal("DIGITS") | literal("OTHERS") | literal("PIXELS")
    shown |= {f"{name}, permuted": rows for name, rows in literal("PERMUTED").items()}
    assert shown == expected


def functions(tree):
    """Return the functions of a module by name, without docstrings and decorators, as text."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
            found[node.name] = ast.unparse(node)
    return found


def test_the_functions_of_the_chapter_are_those_of_the_experiment():
    shown = functions(ast.parse("\n".join(sources())))
    run = functions(ast.parse((ROOT / "experiments/transfer.py").read_text("utf-8")))
    shared = set(shown) & set(run)
    assert shared == {
        "cut_patch",
        "features_of",
        "load_materials",
        "make_patches",
        "randomize",
        "symmetries",
        "train_head",
        "train_whole",
    }
    for name in shared:
        assert shown[name] == run[name], name
    for name in ("MATERIALS", "REGIONS"):
        assert literal(name) == getattr(transfer, name)


@pytest.mark.parametrize("part", transfer.REGIONS)
def test_patches_read_nothing_outside_their_region(part):
    top, left, bottom, right = transfer.REGIONS[part]
    photograph = np.full((512, 512), np.nan)
    photograph[top:bottom, left:right] = np.random.default_rng(0).random((512, 512))[
        top:bottom, left:right
    ]
    random = np.random.default_rng(1)
    for _ in range(300):
        assert np.isfinite(transfer.cut_patch(photograph, (top, left, bottom, right), random)).all()


def test_no_two_regions_share_a_pixel_and_together_they_are_the_photograph():
    counts = np.zeros((512, 512), int)
    for top, left, bottom, right in transfer.REGIONS.values():
        counts[top:bottom, left:right] += 1
    assert (counts == 1).all()


def test_patches_of_a_smaller_size_are_the_first_of_a_larger_one_and_classes_take_turns():
    few, few_labels = transfer.make_patches("train", 2, 3)
    many, labels = transfer.make_patches("train", 5, 3)
    assert torch.equal(many[:12], few) and torch.equal(labels[:12], few_labels)
    assert labels.tolist() == 5 * [0, 1, 2, 3, 4, 5]


def test_the_eight_symmetries_are_eight_pictures_and_the_first_is_the_picture():
    picture = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    turned = transfer.symmetries(picture)
    assert torch.equal(turned[0], picture)
    assert len({tuple(one.flatten().tolist()) for one in turned}) == 8


def norm_net():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(400, 3))
    return net, torch.rand(7, 3, 12, 12), torch.arange(7) % 3


@pytest.mark.parametrize("norm, moves", [("evaluation", False), ("training", True)])
def test_training_moves_running_statistics_in_training_mode_only(norm, moves):
    net, images, labels = norm_net()
    before = net[1].running_mean.clone()
    transfer.train_whole(net, net[3], images, labels, 4, (0.01, 0.01), norm, seed=0)
    assert torch.equal(net[1].running_mean, before) != moves
    assert not net.training and not net[1].training


def test_the_rates_of_head_and_body_are_their_own():
    net, images, labels = norm_net()
    before = {name: value.clone() for name, value in net.named_parameters()}
    transfer.train_whole(net, net[3], images, labels, 4, (0.01, 1e-12), "evaluation", seed=0)
    for name, value in net.named_parameters():
        assert torch.allclose(value, before[name], atol=1e-6) == (not name.startswith("3."))


def test_seeds_share_no_new_digit_and_judging_digits_are_5_to_9():
    chosen = [transfer_digits.new_digits(seed, 250, False) for seed in transfer_digits.SEEDS]
    digits = torch.cat([images for images, _ in chosen]).flatten(1)
    assert len(torch.unique(digits, dim=0)) == len(digits) == 6 * 5 * 250
    for _, labels in chosen:
        assert torch.bincount(labels).tolist() == 5 * [250]
    for part, count in (("test", 4_861), ("validation", 2_500)):
        images, labels = transfer_digits.judging_digits(part, False)
        assert len(images) == count and labels.unique().tolist() == [0, 1, 2, 3, 4]


def test_permuting_moves_pixels_and_changes_none():
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    moved = transfer_digits.permute(images)
    assert moved.shape == images.shape and not torch.equal(moved, images)
    assert torch.equal(moved.flatten(1).sort().values, images.flatten(1).sort().values)
    assert torch.equal(transfer_digits.permute(images[:2]), moved[:2])
