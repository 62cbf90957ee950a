"""What hand-made features are worth on MNIST, as the training digits become more.

Three classifiers read the same digits: a linear one on raw pixels, the same on histograms of
oriented gradients, and a small convolutional network on raw pixels. Batch, epochs and learning
rate depend on how many digits there are; the rates were chosen on the validation digits. Below
55,000, each seed trains on digits of its own. The test set is read once for each training.
"""

import functools

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn

from cnnbook.data import load_mnist
from cnnbook.training import evaluate, fit, one_cycle, set_seed
from experiments import record

SEEDS = (0, 1, 2, 3, 4)
RATES = {
    "pixels": {"250": 0.01, "1000": 0.01, "5000": 0.03, "55000": 0.01},
    "gradients": {"250": 0.03, "1000": 0.03, "5000": 0.03, "55000": 0.01},
    "network": {"250": 0.01, "1000": 0.01, "5000": 0.02, "55000": 0.01},
}
RECIPES = {kind: {"kind": kind, "learning_rate": rates} for kind, rates in RATES.items()}
TRAINING = {250: (32, 30), 1000: (32, 20), 5000: (128, 5), 55000: (128, 4)}  # batch, epochs
SOURCES = ("experiments/features.py", "cnnbook/training.py", "cnnbook/data/mnist.py")


def gradient_histograms(pictures, cell=4, bins=9):
    pictures = np.asarray(pictures, np.float32)
    right, down = np.zeros_like(pictures), np.zeros_like(pictures)
    right[:, :, 1:-1] = pictures[:, :, 2:] - pictures[:, :, :-2]
    down[:, 1:-1] = pictures[:, 2:] - pictures[:, :-2]
    strength = np.hypot(right, down)
    angle = np.degrees(np.arctan2(down, right)) % 180
    number = (angle // (180 / bins)).astype(int)
    side = pictures.shape[1] // cell
    cells = [
        np.where(number == b, strength, 0).reshape(-1, side, cell, side, cell).mean((2, 4))
        for b in range(bins)
    ]
    blocks = sliding_window_view(np.stack(cells, -1), (2, 2), axis=(1, 2))
    blocks = blocks.transpose(0, 1, 2, 4, 5, 3)  # (N, side - 1, side - 1, 2, 2, bins)
    length = np.sqrt((blocks**2).sum((3, 4, 5), keepdims=True) + 1e-10)
    return (blocks / length).reshape(len(pictures), -1)


def linear(inputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 10))


def small_cnn():
    return nn.Sequential(
        nn.Conv2d(1, 4, kernel_size=5),  # (N, 4, 24, 24)
        nn.MaxPool2d(2),  # (N, 4, 12, 12)
        nn.ReLU(),
        nn.Conv2d(4, 16, kernel_size=3),  # (N, 16, 10, 10)
        nn.MaxPool2d(2),  # (N, 16, 5, 5)
        nn.ReLU(),
        nn.Flatten(),  # (N, 400)
        nn.Linear(400, 50),
        nn.ReLU(),
        nn.Linear(50, 10),
    )


@functools.cache
def digits(kind, quick):
    """Return three pairs (inputs, labels): training, validation, test."""
    data = load_mnist(subset=500 if quick else 55_000, validation=5000)
    pairs = []
    for part in ("train", "validation", "test"):
        pictures, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
        if kind == "gradients":
            chunks = [gradient_histograms(chunk) for chunk in np.array_split(pictures, 10)]
            inputs = torch.from_numpy(np.concatenate(chunks))
        else:
            inputs = torch.from_numpy(pictures[:, None]).float() / 255
        pairs.append((inputs, torch.from_numpy(labels.astype(np.int64))))
    return pairs


def train(settings, seed, size, quick=False):
    """Return the trained model, and the loss of its last epoch."""
    images, labels = digits(settings["kind"], quick)[0]
    start = seed * size if size < len(images) else 0
    part = slice(start, start + size)
    batch_size, epochs = TRAINING[size]
    set_seed(seed)
    model = small_cnn() if settings["kind"] == "network" else linear(images[0].numel())
    history = fit(
        model,
        images[part],
        labels[part],
        epochs=2 if quick else epochs,
        batch_size=batch_size,
        learning_rate=settings["learning_rate"][str(size)],
        schedule=one_cycle,
        seed=seed,
        progress=False,
    )
    return model, history.train_loss[-1]


def run(settings, seed, quick):
    """Train once for each size. The quick version is two epochs of 250, and reads no test set."""
    _, validation, test = digits(settings["kind"], quick)
    if quick:
        model, loss = train(settings, seed, 250, quick)
        accuracy = evaluate(model, *validation).accuracy
        return {"train_loss": round(loss, 6), "validation_accuracy": accuracy}
    found = {"train_loss": {}, "validation_accuracy": {}, "test_accuracy": {}}
    for size in TRAINING:
        model, loss = train(settings, seed, size)
        found["train_loss"][str(size)] = round(loss, 6)
        found["validation_accuracy"][str(size)] = evaluate(model, *validation).accuracy
        found["test_accuracy"][str(size)] = evaluate(model, *test).accuracy
    return found


if __name__ == "__main__":
    record.main(
        "features",
        "What are hand-made features worth on MNIST, as the training digits become more?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
