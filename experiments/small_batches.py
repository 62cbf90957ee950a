"""How batch normalization and layer normalization bear small mini-batches.

A network of two convolutions learns 500 digits in one epoch, by stochastic gradient descent with
momentum 0.9. The learning rate is the size of the mini-batch times a rate per picture, of which
two are tried; 2,000 validation digits are read at the end of each training. No test digit is
read. Layer normalization has one scale and shift a channel here, as batch normalization has.
"""

import functools

import torch
from torch import nn

from cnnbook.data import load_mnist
from cnnbook.training import evaluate, fit, set_seed
from experiments import record

SEEDS = (0, 1, 2, 3, 4)
RECIPES = {
    "none": {"norm": "none"},
    "batch norm": {"norm": "batch"},
    "layer norm": {"norm": "layer"},
}
SOURCES = ("experiments/small_batches.py", "cnnbook/training.py")
SIZES = (2, 4, 16)
RATES = (0.001, 0.003)  # for each picture of a mini-batch


@functools.cache
def digits(quick):
    """Return pairs (pictures, labels) to train and validate with, normalized."""
    data = load_mnist(200 if quick else 500, 500 if quick else 2000, scale=True, tensors=True)
    deviation, mean = torch.std_mean(data.train_images)
    return (
        ((data.train_images - mean) / deviation, data.train_labels),
        ((data.validation_images - mean) / deviation, data.validation_labels),
    )


def norm_of(kind, channels):
    """Return the normalization of so many channels, as a list of one layer or none."""
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.GroupNorm(1, channels)] if kind == "layer" else []


def network(kind):
    """Return an untrained network."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5, stride=2), *norm_of(kind, 8), nn.ReLU()),
        *(nn.Conv2d(8, 16, 3), *norm_of(kind, 16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 10)),
    )


def momentum(parameters, lr):
    """Return the optimizer."""
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9)


def score(kind, size, rate, seed, quick):
    """Train once; return loss and accuracy of the validation digits."""
    training, validation = digits(quick)
    set_seed(seed)
    model = network(kind)
    settings = {"batch_size": size, "learning_rate": rate * size, "optimizer": momentum}
    fit(model, *training, epochs=1, seed=seed, **settings)
    return evaluate(model, *validation, batch_size=500)


def run(settings, seed, quick):
    """Return a table of validation accuracies: a row for each size, a column for each rate."""
    kind = settings["norm"]
    if quick:
        return {"validation_loss": round(score(kind, 8, RATES[0], seed, True).loss, 6)}
    table = [[score(kind, size, rate, seed, False).accuracy for rate in RATES] for size in SIZES]
    return {"validation_accuracy": [[round(value, 6) for value in row] for row in table]}


if __name__ == "__main__":
    record.main(
        "small_batches",
        "How do batch normalization and layer normalization bear small mini-batches?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
