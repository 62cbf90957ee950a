"""What the order of the digits and the size of the mini-batch do to a training.

The digits are the first 2,000 of MNIST that are not held out for validation, in the order of the
file, which is mixed, or sorted by label. Adam at a constant 0.001, as Keras has it by default. The
same seed starts recipes of the same network from the same weights. The 3,000 validation digits are
read once a run, at its end, and no test digit is.

The recipes on order take the network of three convolutions, three epochs and mini-batches of 64;
those on size the network of one convolution, as their source does, and shuffle.
"""

import functools
import time

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from cnnbook.data import load_mnist
from cnnbook.models import OneConvNet, ThreeConvNet
from cnnbook.training import evaluate, set_seed, train_step
from experiments import record

SEEDS = (0, 1, 2, 3, 4, 5)
ORDERED = {"network": "ThreeConvNet", "batch_size": 64, "epochs": 3}
SIZED = {"network": "OneConvNet", "order": "file", "shuffle": True}
RECIPES = {
    "shuffled": {**ORDERED, "order": "file", "shuffle": True},
    "order of the file": {**ORDERED, "order": "file", "shuffle": False},
    "sorted by label": {**ORDERED, "order": "sorted", "shuffle": False},
    "batches of 1": {**SIZED, "batch_size": 1, "epochs": 1},
    "batches of 8": {**SIZED, "batch_size": 8, "epochs": 1},
    "batches of 64": {**SIZED, "batch_size": 64, "epochs": 1},
    "batches of 64, twice": {**SIZED, "batch_size": 64, "epochs": 2},
}
NETWORKS = {"OneConvNet": OneConvNet, "ThreeConvNet": ThreeConvNet}
SOURCES = (
    "experiments/shuffling.py",
    "cnnbook/data/mnist.py",
    "cnnbook/models/one_conv.py",
    "cnnbook/models/three_conv.py",
    "cnnbook/training.py",
)


@functools.cache
def digits(order, quick):
    """Return pairs (pictures, labels) to train and validate with, normalized."""
    data = load_mnist(validation=3000, scale=True, tensors=True)
    count, held_out = (320, 500) if quick else (2000, 3000)
    images, labels = data.train_images[:count], data.train_labels[:count]
    deviation, mean = torch.std_mean(images)
    if order == "sorted":
        places = labels.argsort(stable=True)
        images, labels = images[places], labels[places]
    return (
        ((images - mean) / deviation, labels),
        (
            (data.validation_images[:held_out] - mean) / deviation,
            data.validation_labels[:held_out],
        ),
    )


def run(settings, seed, quick):
    """Train once. The quick version is one epoch of 320 digits."""
    training, validation = digits(settings["order"], quick)
    set_seed(seed)
    model = NETWORKS[settings["network"]]()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    loader = DataLoader(
        TensorDataset(*training),
        batch_size=settings["batch_size"],
        shuffle=settings["shuffle"],
        generator=torch.Generator().manual_seed(seed),
    )
    start, losses = time.perf_counter(), []
    for _ in range(1 if quick else settings["epochs"]):
        losses.append(0.0)
        for images, labels in loader:
            loss, _ = train_step(model, images, labels, F.cross_entropy, optimizer)
            losses[-1] += loss.item() * len(labels) / len(training[1])
    seconds = time.perf_counter() - start
    score = evaluate(model, *validation, batch_size=200)
    result = {
        "train_loss": [round(value, 6) for value in losses],
        "validation_loss": round(score.loss, 6),
    }
    if quick:
        return {**result, "train_loss": result["train_loss"][0]}
    return {**result, "validation_accuracy": score.accuracy, "seconds": round(seconds, 2)}


if __name__ == "__main__":
    record.main(
        "shuffling",
        "What do the order of the digits and the size of the mini-batch do to a training?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
