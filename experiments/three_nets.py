"""What the three networks of the sources learn from the same 5,000 digits in one epoch.

One recipe for all, tuned for none: Adam with one cycle up to 0.003, mini-batches of 64. The same
seed shows every network the digits in the same order. The 3,000 validation digits are read once a
run, at its end, and no test digit is.
"""

import functools

import torch

from cnnbook.data import load_mnist
from cnnbook.models import OneConvNet, SmallNet, ThreeConvNet
from cnnbook.training import evaluate, fit, one_cycle, set_seed
from experiments import record

SEEDS = (0, 1, 2, 3, 4, 5)
RECIPES = {
    "small net": {"network": "SmallNet", "settings": {}},
    "one convolution": {"network": "OneConvNet", "settings": {}},
    "three convolutions": {"network": "ThreeConvNet", "settings": {}},
    "three, no pooling": {"network": "ThreeConvNet", "settings": {"pooling": False}},
}
NETWORKS = {"OneConvNet": OneConvNet, "SmallNet": SmallNet, "ThreeConvNet": ThreeConvNet}
SOURCES = (
    "experiments/three_nets.py",
    "cnnbook/models/one_conv.py",
    "cnnbook/models/small.py",
    "cnnbook/models/three_conv.py",
    "cnnbook/training.py",
)


@functools.cache
def digits(quick):
    """Return pairs (pictures, labels) to train and validate with, normalized."""
    data = load_mnist(320 if quick else 5000, 500 if quick else 3000, scale=True, tensors=True)
    deviation, mean = torch.std_mean(data.train_images)
    return (
        ((data.train_images - mean) / deviation, data.train_labels),
        ((data.validation_images - mean) / deviation, data.validation_labels),
    )


def run(settings, seed, quick):
    """Train once. The quick version takes 320 digits."""
    training, validation = digits(quick)
    set_seed(seed)
    model = NETWORKS[settings["network"]](**settings["settings"])
    history = fit(model, *training, epochs=1, learning_rate=0.003, schedule=one_cycle, seed=seed)
    score = evaluate(model, *validation, batch_size=200)
    if quick:
        return {
            "train_loss": round(history.train_loss[0], 6),
            "validation_loss": round(score.loss, 6),
        }
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "validation_accuracy": score.accuracy,
        "validation_loss": round(score.loss, 6),
        "train_loss": round(history.train_loss[0], 6),
        "seconds": round(history.seconds[0], 1),
    }


if __name__ == "__main__":
    record.main(
        "three_nets",
        "What do the three networks of the sources learn from the same digits?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
