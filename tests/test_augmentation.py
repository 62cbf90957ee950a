"""Pictures move as they are told, each by its own amount, and in training mode only."""

import inspect
import re

import numpy as np
import pytest
import torch
from torch import nn

from cnnbook import augmentation
from cnnbook.augmentation import (
    RandomFlip,
    RandomShift,
    RandomTurn,
    flip_images,
    shift_images,
    turn_images,
)
from cnnbook.training import fit, predict


def pictures(count=5, channels=2, height=6, width=9, kind=torch.float32):
    return torch.from_numpy(
        np.random.default_rng(0).normal(size=(count, channels, height, width))
    ).to(kind)


@pytest.mark.parametrize("fill", [0.0, -0.5])
def test_each_picture_is_shifted_by_its_own_pixels_and_the_rest_is_filled(fill):
    images = pictures(6)
    down, right = torch.tensor([0, 2, -3, 0, 5, 9]), torch.tensor([0, -1, 4, -8, 20, 0])
    moved = shift_images(images, down, right, fill)
    expected = torch.full_like(images, fill)
    for n, c, i, k in np.ndindex(*images.shape):
        row, column = i - down[n], k - right[n]
        if 0 <= row < 6 and 0 <= column < 9:
            expected[n, c, i, k] = images[n, c, row, column]
    assert torch.equal(moved, expected) and moved.is_contiguous()
    assert (moved[5] == fill).all() and torch.equal(moved[0], images[0])


def test_quarter_and_half_turns_are_those_of_rot90():
    square = pictures(4, height=7, width=7, kind=torch.float64)
    turned = turn_images(square, torch.tensor([0, 90, -90, 180]))
    for n, quarters in enumerate((0, 1, -1, 2)):
        torch.testing.assert_close(turned[n], torch.rot90(square[n], quarters, (1, 2)))
    oblong = pictures(1, kind=torch.float64)
    half = turn_images(oblong, torch.tensor([180.0]))
    torch.testing.assert_close(half[0], torch.rot90(oblong[0], 2, (1, 2)))


def test_a_turn_is_counterclockwise_and_keeps_distances_in_a_picture_that_is_not_square():
    image = torch.zeros(1, 1, 41, 61, dtype=torch.float64)
    image[0, 0, 20, 40] = 1  # 10 pixels to the right of the middle
    rows, columns = torch.meshgrid(torch.arange(41.0), torch.arange(61.0), indexing="ij")
    for degrees in (30, 90, -45):
        turned = turn_images(image, torch.tensor([float(degrees)]))[0, 0]
        total = turned.sum()
        angle = np.deg2rad(degrees)
        assert abs((turned * rows).sum() / total - (20 - 10 * np.sin(angle))) < 0.1
        assert abs((turned * columns).sum() / total - (30 + 10 * np.cos(angle))) < 0.1


def test_corners_that_come_in_have_the_fill():
    images = torch.full((1, 1, 9, 9), 0.75)
    turned = turn_images(images, torch.tensor([45.0]), fill=-2.0)
    assert turned[0, 0, 0, 0] == -2 and turned[0, 0, 4, 4] == 0.75
    assert torch.equal(
        turn_images(torch.full_like(images, -2), torch.ones(1), -2.0), images * 0 - 2
    )


def test_only_chosen_pictures_are_mirrored():
    images, chosen = pictures(3), torch.tensor([True, False, True])
    for direction, axis in (("horizontal", 2), ("vertical", 1)):
        mirrored = flip_images(images, chosen, direction)
        assert torch.equal(mirrored[1], images[1])
        for n in (0, 2):
            assert torch.equal(mirrored[n], images[n].flip(axis))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_types_are_kept_and_pictures_are_not_changed(kind):
    images = pictures(kind=kind)
    before, five = images.clone(), torch.arange(5)
    moved = shift_images(images, five, -five, 1.0)
    turned = turn_images(images, 20 * five, 1.0)
    mirrored = flip_images(images, five > 2)
    assert moved.dtype == turned.dtype == mirrored.dtype == kind
    assert torch.equal(images, before)


MODULES = [RandomShift(3), RandomTurn(30), RandomFlip(), RandomFlip("vertical")]
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda one: type(one).__name__)


@each_module
def test_a_module_acts_in_training_mode_only_and_anew_each_time(module):
    images = pictures(50)
    assert module.eval()(images) is images
    module.train()
    torch.manual_seed(0)
    first, second = module(images), module(images)
    assert not torch.equal(first, second) and not torch.equal(first, images)
    torch.manual_seed(0)
    assert torch.equal(module(images), first)


def test_all_shifts_up_to_the_largest_occur_equally_often():
    images = torch.zeros(9000, 1, 7, 7)
    images[:, 0, 3, 3] = 1
    torch.manual_seed(0)
    counts = RandomShift(1)(images).sum(dim=(0, 1)).numpy()
    expected = np.zeros((7, 7))
    expected[2:5, 2:5] = 1000
    assert np.abs(counts - expected).max() < 4 * np.sqrt(1000)
    assert ((counts > 0) == (expected > 0)).all()


def test_all_angles_up_to_the_largest_occur_on_both_sides():
    image = torch.zeros(3000, 1, 41, 41, dtype=torch.float64)
    image[:, 0, 20, 35] = 1
    torch.manual_seed(0)
    turned = RandomTurn(60)(image)[:, 0]
    rows = torch.arange(41.0)
    height = (turned.sum(2) * (20 - rows)).sum(1) / turned.sum((1, 2))
    across = (turned.sum(1) * (rows - 20)).sum(1) / turned.sum((1, 2))
    angles = torch.rad2deg(torch.atan2(height, across)).numpy()
    counts, _ = np.histogram(angles, bins=6, range=(-61, 61))
    assert np.abs(angles).max() < 61 and counts.sum() == 3000
    assert np.abs(counts - 500).max() < 5 * np.sqrt(500)


def test_the_share_of_mirrored_pictures_is_the_one_asked_for():
    images = pictures(1).expand(4000, -1, -1, -1)
    torch.manual_seed(0)
    for share in (0.0, 0.25, 1.0):
        mirrored = RandomFlip(share=share)(images)
        changed = (mirrored != images).flatten(1).any(1).double().mean().item()
        assert abs(changed - share) <= 4 * np.sqrt(share * (1 - share) / 4000)


def test_fit_needs_no_change_and_evaluation_sees_the_pictures_themselves():
    images, labels = pictures(40, 1), torch.arange(40) % 3
    seen = []

    class Spy(nn.Module):
        def forward(self, batch):
            seen.append((self.training, batch.clone()))
            return batch

    def train():
        torch.manual_seed(0)
        model = nn.Sequential(RandomShift(2, fill=9.0), Spy(), nn.Flatten(), nn.Linear(54, 3))
        fit(model, images, labels, epochs=1, batch_size=20, seed=1, progress=False)
        return predict(model, images)

    first = train()
    for training, batch in seen:
        assert (batch == 9).any() == training
    assert {training for training, _ in seen} == {True, False}
    assert torch.equal(first, train())


def test_nan_moves_with_its_pixel():
    images = pictures(1)
    images[0, 0, 2, 3] = np.nan
    moved = shift_images(images, torch.tensor([1]), torch.tensor([2]))
    assert torch.isnan(moved).nonzero().tolist() == [[0, 0, 3, 5]]
    mirrored = flip_images(images, torch.tensor([True]))
    assert torch.isnan(mirrored).nonzero().tolist() == [[0, 0, 2, 5]]
    near = torch.isnan(turn_images(images, torch.tensor([10.0]))).nonzero()
    assert len(near) and ((near - torch.tensor([0, 0, 2, 3])).abs() <= 2).all()


X, ZEROS = pictures(4), torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: shift_images(X.numpy(), ZEROS, ZEROS), "images was ndarray; it must be a torch "),
        (lambda: shift_images(X.int(), ZEROS, ZEROS), "images was torch.int32; it must be a torch"),
        (lambda: shift_images(X[0], ZEROS, ZEROS), "images was of shape (2, 6, 9); it must be of "),
        (lambda: shift_images(X[:0], ZEROS, ZEROS), "images was of shape (0, 2, 6, 9); it must "),
        (lambda: shift_images(X, 1, ZEROS), "down was a int; it must be a torch tensor"),
        (
            lambda: shift_images(X, ZEROS, ZEROS[:3]),
            "right was of shape (3,); it must be (4,), one",
        ),
        (
            lambda: shift_images(X, ZEROS / 2, ZEROS),
            "down was of torch.float32; it must hold ",
        ),
        (lambda: shift_images(X, ZEROS, ZEROS, np.nan), "fill was nan; it must be a finite number"),
        (lambda: turn_images(X, ZEROS / 0), "degrees was of torch.float32 or held NaN or infinity"),
        (lambda: turn_images(X, ZEROS > 0), "degrees was of torch.bool or held NaN or infinity"),
        (lambda: turn_images(X, ZEROS, None), "fill was None; it must be a finite number"),
        (lambda: flip_images(X, ZEROS), "chosen was of torch.int64; it must be of torch.bool"),
        (lambda: flip_images(X, ZEROS > 0, "left"), "direction was 'left'; it must be "),
        (lambda: RandomShift(-1), "most was -1; it must be a whole number of at least 0"),
        (lambda: RandomShift(1.5), "most was 1.5; it must be a whole number of at least 0"),
        (lambda: RandomTurn(181), "most was 181; it must be a finite number from 0 to 180"),
        (lambda: RandomTurn(True), "most was True; it must be a finite number from 0 to 180"),
        (lambda: RandomFlip("both"), "direction was 'both'; it must be "),
        (lambda: RandomFlip(share=2), "share was 2; it must be a finite number from 0 to 1"),
        (lambda: RandomShift(1)(X[0]), "images was of shape (2, 6, 9); it must be of shape (N, C"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()


NAMES = ["shift_images", "turn_images", "flip_images", "RandomShift", "RandomTurn", "RandomFlip"]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_documented(name):
    text = inspect.getdoc(getattr(augmentation, name))
    assert "NaN" in text and "ValueError" in text and ("Source: " in text or name[0] == "R")
