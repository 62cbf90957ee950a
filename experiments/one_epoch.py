"""MNIST in one epoch with 29,178 parameters, with one cycle of the learning rate and without.

Both recipes train on 55,000 digits. The rate of one cycle is that of an older recipe, the constant
one is a quarter of it; neither was searched for. The test digits are read once a run, at its end.
`seconds` is the CPU time of the training alone.
"""

import functools
import time

import torch

from cnnbook.data import load_mnist
from cnnbook.models import OneEpochNet
from cnnbook.training import evaluate, fit, one_cycle, set_seed
from experiments import record

SEEDS = (0, 1, 2, 3, 4)
RECIPES = {
    "one cycle": {"learning_rate": 0.008, "schedule": "one cycle"},
    "constant rate": {"learning_rate": 0.002, "schedule": "constant"},
}
SOURCES = (
    "experiments/one_epoch.py",
    "cnnbook/data/mnist.py",
    "cnnbook/models/one_epoch.py",
    "cnnbook/training.py",
)


@functools.cache
def digits():
    """Return pairs (pictures, labels) to train, validate and test with, normalized."""
    data = load_mnist(validation=5000, scale=True, tensors=True)
    deviation, mean = torch.std_mean(data.train_images)
    return tuple(
        ((getattr(data, f"{part}_images") - mean) / deviation, getattr(data, f"{part}_labels"))
        for part in ("train", "validation", "test")
    )


def run(settings, seed, quick):
    """Train for one epoch, and evaluate. The quick version takes 1,280 digits."""
    (images, labels), validation, test = digits()
    if quick:
        images, labels = images[:1280], labels[:1280]
    set_seed(seed)
    model = OneEpochNet()
    start = time.process_time()
    history = fit(
        model,
        images,
        labels,
        epochs=1,
        learning_rate=settings["learning_rate"],
        optimizer=functools.partial(torch.optim.Adam, fused=True),
        schedule=one_cycle if settings["schedule"] == "one cycle" else None,
        seed=seed,
    )
    seconds = time.process_time() - start
    if quick:
        return {"train_loss": round(history.train_loss[0], 6)}
    score = evaluate(model, *validation)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "train_loss": round(history.train_loss[0], 6),
        "validation_loss": round(score.loss, 6),
        "validation_accuracy": score.accuracy,
        "test_accuracy": evaluate(model, *test).accuracy,
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    record.main(
        "one_epoch",
        "How many test digits are read after one epoch, with fewer than 30,000 parameters?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
