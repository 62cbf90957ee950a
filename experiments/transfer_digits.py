"""What a network that learned the digits 0 to 4 is worth on few digits 5 to 9, and when nothing.

Sources: the digits 0 to 4, only the digits 0 and 1 (4,000 pictures each time), ImageNet, random
weights, and the pixels themselves. The body of the network is frozen, or all of it is trained
further. With `permuted`, one fixed shuffle of the pixels is applied to the new digits, but not to
those of the source. Rates and steps were chosen on validation digits with other seeds than those
of the runs; here the test digits 5 to 9 are read once for each training. The same seed gives the
same digits to all recipes, and the digits of a smaller size are the first of those of a larger one.
"""

import copy
import functools

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.data import load_mnist
from cnnbook.models import OneEpochNet
from cnnbook.training import evaluate, fit, one_cycle, predict, set_seed
from experiments import record
from experiments.transfer import features_of, pretrained, train_head, train_whole

SEEDS = (0, 1, 2, 3, 4, 5)
STEPS = {"2": 60, "10": 60, "50": 100, "250": 200}  # by new digits a class
FEW, MANY, ALIKE = [0.003, 0.001], [0.01, 0.003], [0.01, 0.01]  # rates of head and body
DIGITS = "digits 0 to 4"
FROZEN = {"mode": "frozen", "source": DIGITS}
WHOLE = {"mode": "whole", "source": DIGITS, "rates": dict.fromkeys(STEPS, MANY)}
SCRATCH = {"mode": "whole", "source": "none", "rates": dict.fromkeys(STEPS, ALIKE)}
RECIPES = {
    "digits 0 to 4, frozen": FROZEN,
    "digits 0 to 4, fine-tuned": WHOLE | {"rates": {"2": FEW, "10": FEW, "50": FEW, "250": MANY}},
    "from scratch": SCRATCH,
    "random weights, frozen": FROZEN | {"source": "none"},
    "digits 0 and 1, frozen": FROZEN | {"source": "digits 0 and 1"},
    "ImageNet, frozen": FROZEN | {"source": "ImageNet"},
    "pixels": FROZEN | {"source": "pixels"},
    "digits 0 to 4, fine-tuned, permuted": WHOLE | {"permuted": True},
    "from scratch, permuted": SCRATCH | {"permuted": True},
    "ImageNet, frozen, permuted": FROZEN | {"source": "ImageNet", "permuted": True},
}
SOURCES = (
    "experiments/transfer_digits.py",
    "experiments/transfer.py",
    "cnnbook/data/mnist.py",
    "cnnbook/models/one_epoch.py",
    "cnnbook/models/pretrained.py",
    "cnnbook/training.py",
)


@functools.cache
def digits():
    return load_mnist(30_000, validation=5_000, scale=True, tensors=True)


def choose(images, labels, classes, count):
    """Return the first `count` pictures of each of these classes, which take turns."""
    rows = torch.stack([(labels == digit).nonzero()[:count, 0] for digit in classes], 1).flatten()
    return images[rows], labels[rows]


def permute(images):
    order = torch.randperm(784, generator=torch.Generator().manual_seed(71))
    return images.flatten(1)[:, order].reshape(images.shape)


def new_digits(seed, count, permuted):
    """Return `count` digits of each class 5 to 9, of this seed only, as classes 0 to 4."""
    data, start = digits(), 2_500 * (seed % 12)
    part = slice(start, start + 2_500)
    images, labels = choose(data.train_images[part], data.train_labels[part], range(5, 10), count)
    return permute(images) if permuted else images, labels - 5


@functools.cache
def judging_digits(part, permuted, count=None):
    data = digits()
    images, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
    images, labels = images[labels >= 5][:count], labels[labels >= 5][:count] - 5
    return permute(images) if permuted else images, labels


@functools.cache
def source_network(source, seed, count=4_000):
    """Return the network after its first task."""
    set_seed(seed)
    model = OneEpochNet()
    if source == "none":
        return model.eval()
    classes = (0, 1) if source == "digits 0 and 1" else range(5)
    data = digits()
    images, labels = choose(data.train_images, data.train_labels, classes, count // len(classes))
    settings = {"learning_rate": 0.01, "schedule": one_cycle, "seed": seed, "progress": False}
    fit(model, images, labels, epochs=2, **settings)
    return model.eval()


def photograph_features(images):
    """Return what the pretrained network makes of digits of 28×28, enlarged to 64×64."""
    found = [
        F.interpolate(batch, size=64, mode="bilinear").repeat(1, 3, 1, 1)
        for batch in images.split(60)
    ]
    return torch.cat([features_of(pretrained(), batch) for batch in found])


@functools.cache
def cached_features(seed, part, permuted, count):
    """Return ImageNet features of the new digits, or with no seed of those that judge."""
    if seed is None:
        return photograph_features(judging_digits(part, permuted, count)[0])
    return photograph_features(new_digits(seed, count, permuted)[0])


def run_frozen(source, seed, size, part, permuted, judged, quick):
    images, labels = new_digits(seed, size, permuted)
    new_images, new_labels = judging_digits(part, permuted, judged)
    if source == "ImageNet":
        most = size if quick else 250
        found = cached_features(seed, part, permuted, most)[: 5 * size]
        new = cached_features(None, part, permuted, judged)
    elif source == "pixels":
        found, new = images.flatten(1), new_images.flatten(1)
    else:
        model = source_network(source, seed, 250 if quick else 4_000)
        body = nn.Sequential(model.convolutions, nn.Flatten())
        found, new = predict(body, images), predict(body, new_images)
    mean, deviation = found.mean(0), found.std(0) + 0.03
    head = train_head((found - mean) / deviation, labels)
    return evaluate(head, (new - mean) / deviation, new_labels)


def run_whole(source, seed, size, steps, rates, part, permuted, judged, quick):
    images, labels = new_digits(seed, size, permuted)
    model = copy.deepcopy(source_network(source, seed, 250 if quick else 4_000))
    set_seed(seed)
    model.dense = nn.Linear(576, 5)
    norm = "training" if source == "none" else "evaluation"
    train_whole(model, model.dense, images, labels, steps, rates, norm, seed, 32, turned=False)
    return evaluate(model, *judging_digits(part, permuted, judged))


def run(settings, seed, quick, part="test", judged=None):
    """Run one recipe with all its sizes; see `record.main`. The quick version reads no test set."""
    common = {"source": settings["source"], "seed": seed, "quick": quick}
    common |= {"permuted": settings.get("permuted", False), "part": part, "judged": judged}
    accuracies = {}
    for size, steps in STEPS.items():
        if quick:
            common |= {"part": "validation", "judged": 20}
            size, steps = "2", 5
        if settings["mode"] == "frozen":
            score = run_frozen(size=int(size), **common)
        else:
            score = run_whole(size=int(size), steps=steps, rates=settings["rates"][size], **common)
        if quick:
            return {"validation_loss": round(score.loss, 5)}
        accuracies[size] = round(score.accuracy, 5)
    return {"accuracy": accuracies}


if __name__ == "__main__":
    record.main(
        "transfer_digits",
        "What is a network that learned the digits 0 to 4 worth on few digits 5 to 9?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
