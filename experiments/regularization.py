"""What dropout and weight decay do to the speed of training and to the gap to new digits.

A dense network, 784-128-128-10, learns 1,000 digits for 15 epochs with AdamW, 50 digits at a time.
After each epoch both losses are taken in evaluation mode: of the training digits, and of 2,000
validation digits. No test digit is read. The same seed gives the same first weights and the same
order of the digits.
"""

import functools
import time

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.data import load_mnist
from cnnbook.training import evaluate, set_seed, train_step
from experiments import record

SEEDS = (0, 1, 2, 3, 4, 5)
RATES = [0.001, 0.003]
RECIPES = {  # one training for each of the learning rates and decays
    "plain": {"dropout": 0.0, "rates": RATES, "decays": [0.0]},
    "dropout": {"dropout": 0.5, "rates": RATES, "decays": [0.0]},
    "weight decay": {"dropout": 0.0, "rates": [0.001], "decays": [1.0, 3.0]},
}
SOURCES = ("experiments/regularization.py", "cnnbook/training.py")
EPOCHS = 15


@functools.cache
def digits(quick):
    """Return pairs (pictures, labels) to train and validate with, normalized."""
    data = load_mnist(200 if quick else 1000, 500 if quick else 2000, scale=True, tensors=True)
    deviation, mean = torch.std_mean(data.train_images)
    return (
        ((data.train_images - mean) / deviation, data.train_labels),
        ((data.validation_images - mean) / deviation, data.validation_labels),
    )


def network(rate):
    """Return an untrained network with dropout after both hidden layers."""
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Dropout(rate)),
        *(nn.Linear(128, 128), nn.ReLU(), nn.Dropout(rate)),
        nn.Linear(128, 10),
    )


def train(dropout, learning_rate, decay, seed, quick):
    """Train once; return both losses after each epoch, and what stands at the end."""
    (images, labels), validation = digits(quick)
    set_seed(seed)
    model = network(dropout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=decay)
    order = torch.Generator().manual_seed(seed)
    train_loss, validation_loss, seconds = [], [], 0.0
    for _ in range(3 if quick else EPOCHS):
        start = time.perf_counter()
        for batch in torch.randperm(len(images), generator=order).split(50):
            train_step(model.train(), images[batch], labels[batch], F.cross_entropy, optimizer)
        seconds += time.perf_counter() - start
        training_score = evaluate(model, images, labels)
        validation_score = evaluate(model, *validation)
        train_loss.append(round(training_score.loss, 5))
        validation_loss.append(round(validation_score.loss, 5))
    squares = sum(part.square().sum() for part in model.parameters() if part.ndim == 2)
    return {
        "train_loss": train_loss,
        "validation_loss": validation_loss,
        "train_accuracy": round(training_score.accuracy, 6),
        "validation_accuracy": round(validation_score.accuracy, 6),
        "weight_norm": round(squares.sqrt().item(), 4),
        "seconds": round(seconds, 2),
    }


def run(settings, seed, quick):
    """Train with each learning rate and decay; a list of results for each figure."""
    rates = settings["rates"][:1] if quick else settings["rates"]
    decays = settings["decays"][:1] if quick else settings["decays"]
    results = [
        train(settings["dropout"], rate, decay, seed, quick) for rate in rates for decay in decays
    ]
    if quick:
        return {
            "train_loss": results[0]["train_loss"][-1],
            "validation_loss": results[0]["validation_loss"][-1],
        }
    return {name: [result[name] for result in results] for name in results[0]}


if __name__ == "__main__":
    record.main(
        "regularization",
        "Does dropout speed training up, and what do dropout and weight decay do to the gap?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
