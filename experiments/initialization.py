"""How far 200 steps train 20 dense layers from several first weights, each at its best rate.

Layers of 100 units with ReLU, mini-batches of 64, and each of the rates below; the validation
digits say which rate is best. One recipe has 4 layers, and one trains with Adam; the others train
by plain gradient descent. Biases begin at 0, except in torch's default. Which weights are drawn,
and the order of the digits, depend on the seed. No test digit is read.
"""

import functools
import itertools
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.data import load_mnist
from cnnbook.initializers import glorot_normal, he_normal
from cnnbook.training import evaluate, fit, set_seed
from experiments import record

SEEDS = (0, 1, 2)
RATES = (1e-5, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1)
RECIPES = {
    "too small": {"weights": "0.05", "depth": 20, "optimizer": "SGD"},
    "torch's default": {"weights": "torch", "depth": 20, "optimizer": "SGD"},
    "Glorot": {"weights": "Glorot", "depth": 20, "optimizer": "SGD"},
    "He": {"weights": "He", "depth": 20, "optimizer": "SGD"},
    "too large": {"weights": "0.2", "depth": 20, "optimizer": "SGD"},
    "torch's default, 4 layers": {"weights": "torch", "depth": 4, "optimizer": "SGD"},
    "torch's default, Adam": {"weights": "torch", "depth": 20, "optimizer": "Adam"},
}
RULES = {
    "0.05": lambda shape, random: random.normal(0, 0.05, shape),
    "0.2": lambda shape, random: random.normal(0, 0.2, shape),
    "Glorot": glorot_normal,
    "He": he_normal,
}
SOURCES = ("experiments/initialization.py", "cnnbook/initializers.py", "cnnbook/training.py")


@functools.cache
def digits(quick):
    """Return pairs (digits, labels) to train and validate with, normalized."""
    data = load_mnist(320 if quick else 12_800, 2000, scale=True, tensors=True)
    deviation, mean = torch.std_mean(data.train_images)
    return (
        (((data.train_images - mean) / deviation).flatten(1), data.train_labels),
        (((data.validation_images - mean) / deviation).flatten(1), data.validation_labels),
    )


def network(weights, depth, seed):
    set_seed(seed)
    widths = [784, *[100] * (depth - 1), 10]
    layers = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    if weights != "torch":
        random = np.random.default_rng(seed)
        with torch.no_grad():
            for layer in model[::2]:
                drawn = RULES[weights](tuple(layer.weight.T.shape), random)
                layer.weight.copy_(torch.from_numpy(drawn.T))
                layer.bias.zero_()
    return model


def log_gradient(model, images, labels):
    """Return log10 of the root mean square of the loss's gradient for the first weights."""
    F.cross_entropy(model(images), labels).backward()
    size = model[0].weight.grad.double().square().mean().sqrt().item()
    model.zero_grad()
    return round(math.log10(size), 4)


def run(settings, seed, quick):
    """Train once with each rate; leave out those with which the loss became infinite or NaN.

    The quick version takes five steps, with one rate.
    """
    training, validation = digits(quick)
    optimizer = getattr(torch.optim, settings["optimizer"])
    start = network(settings["weights"], settings["depth"], seed)
    result = {"log_gradient": log_gradient(start, *(part[:320] for part in training))}
    for rate in (1e-4,) if quick else RATES:
        model = network(settings["weights"], settings["depth"], seed)
        try:
            history = fit(model, *training, 1, learning_rate=rate, optimizer=optimizer, seed=seed)
        except FloatingPointError:
            continue
        if quick:
            return {**result, "log_loss": round(math.log10(history.train_loss[0]), 6)}
        score = evaluate(model, *validation)
        if not math.isfinite(score.loss):
            continue
        steps = np.reshape(history.step_loss, (10, 20)).mean(axis=1)
        result[str(rate)] = {
            "validation_loss": round(score.loss, 4),
            "validation_accuracy": score.accuracy,
            "curve": [float(f"{loss:.4g}") for loss in steps],
        }
    return result


if __name__ == "__main__":
    record.main(
        "initialization",
        "How far do 200 steps train 20 layers from several first weights?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
