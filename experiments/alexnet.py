"""A small AlexNet on digits, with each of its ingredients switched off in turn.

`SmallAlexNet` learns 5,000 digits for 4 epochs with Adam and the one-cycle schedule, 50 digits at a
time, each shifted by up to 2 pixels. One recipe has every ingredient, each other one lacks one. The
recipe "first steps" is another training: plain gradient descent with momentum, without dropout and
shifts, with ReLU and with tanh at two learning rates each, to see how fast the training loss
falls. 5,000 validation digits, no test digit. The same seed gives the same order of the digits.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.augmentation import RandomShift
from cnnbook.data import load_mnist
from cnnbook.models.small_alexnet import SmallAlexNet
from cnnbook.training import evaluate, fit, one_cycle, set_seed, train_step
from experiments import record

SEEDS = (0, 1, 2, 3, 4, 5)
RATES = [0.01, 0.03]
RECIPES = {
    "all": {"net": {}, "shift": 2},
    "one tower": {"net": {"towers": 1}, "shift": 2},
    "one tower, half the kernels": {"net": {"towers": 1, "halved": True}, "shift": 2},
    "tanh for ReLU": {"net": {"relu": False}, "shift": 2},
    "no response normalization": {"net": {"response_norm": False}, "shift": 2},
    "no dropout": {"net": {"dropout": False}, "shift": 2},
    "pooling without overlap": {"net": {"overlapping": False}, "shift": 2},
    "no shifts": {"net": {}, "shift": 0},
    "first steps": {"activations": ["ReLU", "tanh"], "rates": RATES},
}
SOURCES = (
    "experiments/alexnet.py",
    "cnnbook/augmentation.py",
    "cnnbook/models/alexnet.py",
    "cnnbook/models/small_alexnet.py",
    "cnnbook/training.py",
)
EPOCHS = 4
STEPS = 150  # of the recipe "first steps"
BLOCK = 10  # steps over which its loss is averaged


@functools.cache
def digits(quick):
    """Return pairs (pictures, labels) to train and validate with, normalized, and the paper."""
    data = load_mnist(500 if quick else 5000, 500 if quick else 5000, scale=True, tensors=True)
    deviation, mean = torch.std_mean(data.train_images)
    return (
        ((data.train_images - mean) / deviation, data.train_labels),
        ((data.validation_images - mean) / deviation, data.validation_labels),
        (-mean / deviation).item(),
    )


def train(settings, seed, quick):
    """Train one network; return how well it reads, and the size of it."""
    training, validation, paper = digits(quick)
    set_seed(seed)
    net = SmallAlexNet(**settings["net"])
    model = nn.Sequential(RandomShift(settings["shift"], paper), net) if settings["shift"] else net
    history = fit(
        model,
        *training,
        epochs=1 if quick else EPOCHS,
        batch_size=50,
        learning_rate=0.003,
        schedule=one_cycle,
        seed=seed,
    )
    score = evaluate(model, *validation)
    if quick:
        return {"train_loss": history.train_loss[-1], "validation_loss": score.loss}
    return {
        "train_loss": round(history.train_loss[-1], 5),
        "validation_loss": round(score.loss, 5),
        "validation_accuracy": round(score.accuracy, 6),
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "seconds": round(sum(history.seconds), 2),
    }


def first_steps(activation, rate, seed, quick):
    """Return the training loss, averaged over blocks of steps."""
    (images, labels), _, _ = digits(quick)
    set_seed(seed)
    model = SmallAlexNet(relu=activation == "ReLU", dropout=False).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    order = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(BLOCK if quick else STEPS):
        batch = torch.randint(len(images), (50,), generator=order)
        loss, _ = train_step(model, images[batch], labels[batch], F.cross_entropy, optimizer)
        losses.append(loss.item())
    blocks = torch.tensor(losses).split(BLOCK)
    return [round(block.mean().item(), 4) for block in blocks]


def run(settings, seed, quick):
    """Train one network, or, in "first steps", one for each activation and learning rate."""
    if "net" in settings:
        return train(settings, seed, quick)
    if quick:
        return {
            f"{name}_loss": first_steps(name, 0.01, seed, quick)[-1]
            for name in settings["activations"]
        }
    return {
        name: [first_steps(name, rate, seed, quick) for rate in settings["rates"]]
        for name in settings["activations"]
    }


if __name__ == "__main__":
    record.main(
        "alexnet",
        "What does each ingredient of AlexNet bring to a small AlexNet on digits?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
