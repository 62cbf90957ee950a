"""A LeNet-like network, one epoch of MNIST, in NumPy and in PyTorch.

Both start from the same weights and see the same 55,000 pictures in the same order, in mini-batches
of 64. Stochastic gradient descent with momentum; the learning rate falls along a straight line to
almost nothing. Three rates are compared in PyTorch; the one with the best mean on the 5,000
validation pictures is the one of the run in NumPy. The test set is read once a run, at its end.
"""

import functools
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.data import load_mnist
from cnnbook.layers import (
    Conv2d,
    Dense,
    Flatten,
    MaxPool2d,
    Network,
    ReLU,
    cross_entropy,
    cross_entropy_backward,
)
from experiments import record

SEEDS = (0, 1, 2, 3, 4)
RECIPES = {
    "NumPy, 0.05": {"library": "NumPy", "rate": 0.05},
    "PyTorch, 0.02": {"library": "PyTorch", "rate": 0.02},
    "PyTorch, 0.05": {"library": "PyTorch", "rate": 0.05},
    "PyTorch, 0.1": {"library": "PyTorch", "rate": 0.1},
}
LAYERS = ("activations", "convolution", "dense", "losses", "network", "pooling")
SOURCES = (
    "experiments/numpy_lenet.py",
    "cnnbook/data/mnist.py",
    *(f"cnnbook/layers/{name}.py" for name in LAYERS),
)
BATCH = 64
MOMENTUM = 0.9


def lenet(random):
    network = Network(
        *(Conv2d(1, 6, 5, random=random), ReLU(), MaxPool2d(2)),
        *(Conv2d(6, 16, 5, random=random), ReLU(), MaxPool2d(2)),
        *(Flatten(), Dense(256, 120, random=random), ReLU()),
        *(Dense(120, 84, random=random), ReLU(), Dense(84, 10, random=random)),
    )
    network.layers[0].input_gradient = False
    return network


def in_torch(network):
    """Return the network in PyTorch, with copies of its weights."""
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(256, 120), nn.ReLU()),
        *(nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    with torch.no_grad():
        for theirs, ours in zip(model.parameters(), network.parameters, strict=True):
            theirs.copy_(torch.from_numpy(ours.T if ours.ndim == 2 else ours))
    return model


def steps(pictures, labels, rate, random):
    """Yield the mini-batches of an epoch, each with the learning rate of its step."""
    starts = range(0, len(labels), BATCH)
    order = random.permutation(len(labels))
    for step, start in enumerate(starts):
        batch = order[start : start + BATCH]
        yield pictures[batch], labels[batch], rate * (1 - step / len(starts))


def train_numpy(network, batches):
    velocities = [np.zeros_like(parameter) for parameter in network.parameters]
    losses = []
    for images, labels, rate in batches:
        scores = network.forward(images)
        losses.append(cross_entropy(scores, labels))
        network.backward(cross_entropy_backward(scores, labels))
        triples = zip(network.parameters, network.gradients, velocities, strict=True)
        for parameter, gradient, velocity in triples:
            velocity *= MOMENTUM
            velocity += gradient
            parameter -= rate * velocity
    return losses


def train_torch(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=0, momentum=MOMENTUM)
    losses = []
    for images, labels, rate in batches:
        optimizer.param_groups[0]["lr"] = rate
        loss = F.cross_entropy(model(torch.from_numpy(images)), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def accuracy(answer, pictures, labels):
    """Return the share of pictures that are read rightly; `answer` gives the scores."""
    parts = [answer(pictures[start : start + 1000]) for start in range(0, len(labels), 1000)]
    return float(np.mean(np.concatenate(parts).argmax(1) == labels))


@functools.cache
def digits(quick):
    """Return pairs (pictures, labels) to train, validate and test with, normalized."""
    data = load_mnist(6000 if quick else None, validation=5000, scale=True)
    mean, deviation = data.train_images.mean(), data.train_images.std()
    pairs = []
    for part in ("train", "validation", "test"):
        pictures = (getattr(data, f"{part}_images") - mean) / deviation
        labels = getattr(data, f"{part}_labels").astype(np.int64)
        pairs.append((pictures[:, None], labels))
    return pairs


def run(settings, seed, quick):
    """Train once. The quick version takes 6,000 pictures and reads no test set."""
    training, validation, test = digits(quick)
    random = np.random.default_rng(seed)
    network = lenet(random)
    batches = steps(*training, settings["rate"], random)
    start = time.perf_counter()
    if settings["library"] == "NumPy":
        losses, answer = train_numpy(network, batches), network.forward
    else:
        model = in_torch(network)
        losses = train_torch(model, batches)

        def answer(pictures):
            return model(torch.from_numpy(pictures)).detach().numpy()

    seconds = time.perf_counter() - start
    if quick:
        return {
            "train_loss": round(float(np.mean(losses)), 6),
            "validation_accuracy": accuracy(answer, *validation),
        }
    return {
        "test_accuracy": accuracy(answer, *test),
        "validation_accuracy": accuracy(answer, *validation),
        "mean_loss_of_each_20_steps": [
            round(float(np.mean(losses[first : first + 20])), 4)
            for first in range(0, len(losses), 20)
        ],
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    record.main(
        "numpy_lenet",
        "Does a LeNet-like network in NumPy learn what the same network in PyTorch learns?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
