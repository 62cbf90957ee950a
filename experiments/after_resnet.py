"""What the skip connections of a U-Net, and squeeze-and-excitation, do on small tasks.

U-Net: fields of 40×40 pixels hold one whole digit among pieces of others, in noise; the network
says for each pixel whether it belongs to the whole digit. It learns 300 fields for 6 epochs, with
skip connections, without them, and without them but with more channels, so that it has at least
as many parameters. The measure is the intersection over union with the true mask, all pixels of
300 new fields together, made of validation digits. The probability above which a pixel counts as
found is chosen on the fields of the training, and so is the brightness of the baseline.

Squeeze-and-excitation: a small residual network with and without it learns 2,000 digits for two
epochs and reads 2,000 validation digits. No test digit is read. The same seed gives the same data
and the same order in all recipes of a task.
"""

import functools
import math
import time

import numpy as np
import torch
from torch.nn import functional as F

from cnnbook.data import load_mnist
from cnnbook.inspection import parameter_count
from cnnbook.models import SENet, UNet
from cnnbook.training import evaluate, fit, one_cycle, predict, set_seed, train_step
from experiments import record

SEEDS = (0, 1, 2, 3, 4, 5)
RECIPES = {
    "U-Net": {"width": 8, "skips": True},
    "U-Net without skips": {"width": 8, "skips": False},
    "wider without skips": {"width": 9, "skips": False},
    "with squeeze-and-excitation": {"squeeze": True},
    "without squeeze-and-excitation": {"squeeze": False},
}
SOURCES = (
    "experiments/after_resnet.py",
    "cnnbook/models/squeeze_excitation.py",
    "cnnbook/models/unet.py",
    "cnnbook/training.py",
)


def cluttered_field(digits, random, size=40, pieces=10):
    """Return a field with one whole digit among pieces of others, and the mask of the digit."""
    field = np.zeros((size, size))
    for digit in digits[random.integers(len(digits), size=pieces)]:
        top, left = random.integers(4, 16, size=2)
        row, column = random.integers(size - 7, size=2)
        target = field[row : row + 8, column : column + 8]
        np.maximum(target, digit[top : top + 8, left : left + 8], out=target)
    digit = digits[random.integers(len(digits))]
    row, column = random.integers(size - 27, size=2)
    target = field[row : row + 28, column : column + 28]
    np.maximum(target, digit, out=target)
    mask = np.zeros((size, size), bool)
    mask[row : row + 28, column : column + 28] = digit > 0.5
    return field + random.normal(0, 0.2, field.shape), mask


def make_fields(digits, count, seed):
    """Return `count` fields (count, 1, 40, 40) and the classes of their pixels."""
    random = np.random.default_rng(seed)
    fields, masks = zip(*(cluttered_field(digits, random) for _ in range(count)), strict=True)
    fields = torch.tensor(np.stack(fields), dtype=torch.float32)[:, None]
    return fields, torch.tensor(np.stack(masks)).long()


def overlap(found, masks):
    """Return intersection over union of two sets of pixels."""
    found, masks = found.bool(), masks.bool()
    return ((found & masks).sum() / (found | masks).sum()).item()


def best_cut(scores, masks):
    """Return the cut above which scores agree best with the masks."""
    return max(np.linspace(0.05, 0.95, 19), key=lambda cut: overlap(scores > cut, masks))


def train_unet(model, fields, masks, epochs, seed):
    """Train in place, ten fields at a time."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    schedule = one_cycle(optimizer, epochs * math.ceil(len(fields) / 10))
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in torch.randperm(len(fields), generator=order).split(10):
            train_step(model.train(), fields[batch], masks[batch], F.cross_entropy, optimizer)
            schedule.step()


@functools.cache
def digits(quick):
    """Return MNIST, scaled to 0 to 1, as arrays."""
    return load_mnist(200 if quick else 2000, 500 if quick else 2000, scale=True)


def run_unet(width, skips, seed, quick):
    data, count = digits(quick), 40 if quick else 300
    fields, masks = make_fields(data.train_images, count, 2 * seed)
    new_fields, new_masks = make_fields(data.validation_images, count, 2 * seed + 1)
    set_seed(seed)
    model = UNet(width, levels=3, padding=True, skips=skips)
    start = time.perf_counter()
    train_unet(model, fields, masks, 2 if quick else 6, seed)
    seconds = time.perf_counter() - start
    answers = [predict(model, part, 100) for part in (fields, new_fields)]
    scores = [answer.softmax(1)[:, 1] for answer in answers]
    found = scores[1] > best_cut(scores[0], masks)
    ink = new_fields[:, 0] > best_cut(fields[:, 0], masks)
    return {
        "parameters": parameter_count(model),
        "train_loss": round(F.cross_entropy(answers[0], masks).item(), 5),
        "validation_loss": round(F.cross_entropy(answers[1], new_masks).item(), 5),
        "overlap": round(overlap(found, new_masks), 5),
        "pixel_accuracy": round((found == new_masks.bool()).float().mean().item(), 6),
        "threshold_overlap": round(overlap(ink, new_masks), 5),
        "seconds": round(seconds, 2),
    }


def run_senet(squeeze, seed, quick):
    data = digits(quick)
    deviation, mean = data.train_images.std(), data.train_images.mean()
    images, new_images = (
        torch.from_numpy((part - mean) / deviation)[:, None]
        for part in (data.train_images, data.validation_images)
    )
    labels, new_labels = (
        torch.from_numpy(part.astype("int64"))
        for part in (data.train_labels, data.validation_labels)
    )
    set_seed(seed)
    model = SENet(width=8, squeeze=squeeze)
    history = fit(
        model,
        images,
        labels,
        epochs=1 if quick else 2,
        learning_rate=0.01,
        schedule=one_cycle,
        seed=seed,
        progress=False,
    )
    score = evaluate(model, new_images, new_labels)
    return {
        "parameters": parameter_count(model),
        "train_loss": round(history.train_loss[-1], 5),
        "validation_loss": round(score.loss, 5),
        "validation_accuracy": round(score.accuracy, 6),
        "seconds": round(sum(history.seconds), 2),
    }


def run(settings, seed, quick):
    """Run one recipe; see `record.main`."""
    result = (run_unet if "skips" in settings else run_senet)(**settings, seed=seed, quick=quick)
    if quick:
        return {name: result[name] for name in ("parameters", "train_loss", "validation_loss")}
    return result


if __name__ == "__main__":
    record.main(
        "after_resnet",
        "Do skip connections help a small U-Net, and squeeze-and-excitation a small network?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
