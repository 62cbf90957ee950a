"""How a network should downsample, and how it should end: accuracy, and what a shift does to it.

Digits of 28×28 stand in the middle of a black canvas of 32×32. Every recipe trains for three epochs
on 4,000 of them with mini-batches of 64. The same seed shows every recipe the pictures in the same
order; recipes with the same parameters start from the same weights. The first 5,000
test digits are read at the end of a run, in the middle, and 1,000 of them moved sideways as well.
"""

import functools
import itertools

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.data import load_mnist
from cnnbook.training import evaluate, fit, one_cycle, predict, set_seed
from experiments import record

SEEDS = (0, 1, 2, 3, 4, 5)
RECIPES = {
    "dense": {"down": None, "head": "dense"},
    "max, flatten": {"down": "max", "head": "flatten"},
    "mean, flatten": {"down": "mean", "head": "flatten"},
    "overlapping max, flatten": {"down": "overlapping max", "head": "flatten"},
    "blurred max, flatten": {"down": "blurred max", "head": "flatten"},
    "stride, flatten": {"down": "stride", "head": "flatten"},
    "own convolution, flatten": {"down": "own convolution", "head": "flatten"},
    "max, global mean": {"down": "max", "head": "global mean"},
    "max, global max": {"down": "max", "head": "global max"},
    "blurred max, global max": {"down": "blurred max", "head": "global max"},
    "stride, global max": {"down": "stride", "head": "global max"},
}
SOURCES = ("experiments/pooling.py", "cnnbook/training.py")
MARGIN = 2  # black pixels added on each side
SHIFTS = range(-6, 7)
CHANNELS = (1, 4, 8, 32)


class Blur(nn.Module):
    """Average with weights 1, 2, 1 in both directions and keep every second cell."""

    def forward(self, maps):
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4
        kernel = torch.outer(taps, taps).expand(maps.shape[1], 1, 3, 3)
        padded = F.pad(maps, (1, 1, 1, 1), "replicate")
        return F.conv2d(padded, kernel, stride=2, groups=len(kernel))


def downsampling(down, channels):
    """Return the layers that halve the maps after a convolution and its ReLU."""
    if down == "max":
        return [nn.MaxPool2d(2)]
    if down == "mean":
        return [nn.AvgPool2d(2)]
    if down == "overlapping max":
        return [nn.MaxPool2d(3, stride=2, padding=1)]
    if down == "blurred max":
        return [nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, stride=1), Blur()]
    if down == "own convolution":
        return [nn.Conv2d(channels, channels, 3, stride=2, padding=1), nn.ReLU()]
    return []


def network(down, head):
    """Return an untrained network for pictures (N, 1, 32, 32)."""
    side = 28 + 2 * MARGIN
    if head == "dense":
        return nn.Sequential(nn.Flatten(), nn.Linear(side**2, 32), nn.ReLU(), nn.Linear(32, 10))
    layers = []
    for number, (before, after) in enumerate(itertools.pairwise(CHANNELS)):
        size = 3 if number < 2 else 5
        stride = 2 if down == "stride" and number < 2 else 1
        layers += [nn.Conv2d(before, after, size, stride, padding=size // 2), nn.ReLU()]
        layers += downsampling(down, after) if number < 2 else []
    if head != "flatten":
        layers += [nn.AdaptiveAvgPool2d(1) if head == "global mean" else nn.AdaptiveMaxPool2d(1)]
    cells = (side // 4) ** 2 if head == "flatten" else 1
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(CHANNELS[-1] * cells, 10))


def placed(pictures, shift=0):
    """Return pictures on the canvas, moved right by so many pixels; what falls off is cut."""
    return F.pad(pictures, (MARGIN + shift, MARGIN - shift, MARGIN, MARGIN))


@functools.cache
def pictures(quick):
    """Return training, validation and test data. The mean is not taken out: black must stay 0."""
    count = 1000 if quick else 4000
    data = load_mnist(count, validation=1000, scale=True, tensors=True)
    return (
        (placed(data.train_images), data.train_labels),
        (placed(data.validation_images), data.validation_labels),
        (data.test_images, data.test_labels),
    )


def run(settings, seed, quick):
    """Train once. The quick version is one epoch of 1,000 pictures and reads no test set."""
    train, validation, (test_images, test_labels) = pictures(quick)
    set_seed(seed)
    model = network(**settings)
    history = fit(
        model,
        *train,
        epochs=1 if quick else 3,
        learning_rate=0.01,
        schedule=one_cycle,
        validation=validation if quick else None,
        seed=seed,
    )
    if quick:
        return {
            "train_loss": round(history.train_loss[0], 6),
            "validation_loss": round(history.validation_loss[0], 6),
            "validation_accuracy": history.validation_accuracy[0],
        }
    test_images, test_labels = test_images[:5000], test_labels[:5000]
    few, labels = test_images[:1000], test_labels[:1000]
    answers = torch.stack([predict(model, placed(few, d), 200).argmax(dim=1) for d in SHIFTS])
    near = answers[2:11]  # moved by at most 4 pixels
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "train_accuracy": round(history.train_accuracy[-1], 6),
        "test_accuracy": evaluate(model, placed(test_images), test_labels, 200).accuracy,
        "accuracy_of_each_shift": [
            round((row == labels).float().mean().item(), 6) for row in answers
        ],
        "changed_by_one_pixel": round((near[1:] != near[:-1]).float().mean().item(), 6),
        "seconds": round(sum(history.seconds), 1),
    }


if __name__ == "__main__":
    record.main(
        "pooling",
        "How should a network downsample, how should it end, and what does a shift do to it?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
