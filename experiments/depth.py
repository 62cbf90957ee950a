"""What more layers do to the training loss of plain and of residual networks.

Networks of 6n + 2 layers, with 8 channels in the first stage, learn 3,000 digits, shrunk to 9×9,
for 120 steps of 75 digits each: gradient descent with momentum and one cycle of the learning rate.
Losses and gradients are taken in training mode, the gradients with the first 100 digits. From some
trained networks blocks are deleted, one at a time, and 500 validation digits judge what is left.
No test digit is read. The same seed gives the same order of the digits.
"""

import copy
import functools
import math

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.data import load_mnist
from cnnbook.models.small_resnet import SmallResNet
from cnnbook.training import evaluate, one_cycle, set_seed, train_step
from experiments import record

SEEDS = (0, 1, 2, 3, 4)
THREE = [{"depth": depth, "rate": 0.1} for depth in (8, 20, 44)]
RECIPES = {  # the networks of a recipe are trained one after another
    "plain": {
        "residual": False,
        "normalization": True,
        "networks": [*THREE, {"depth": 44, "rate": 0.02}],
    },
    "residual": {
        "residual": True,
        "normalization": True,
        "networks": [*THREE, {"depth": 44, "rate": 0.1, "preactivation": True}],
    },
    "plain, no batch norm": {"residual": False, "normalization": False, "networks": THREE},
    "residual, no batch norm": {
        "residual": True,
        "normalization": False,
        "networks": [*THREE, {"depth": 44, "rate": 0.03, "zero_start": True}],
    },
}
SOURCES = (
    "experiments/depth.py",
    "cnnbook/models/resnet.py",
    "cnnbook/models/small_resnet.py",
    "cnnbook/training.py",
)
DIGITS, BATCH, EPOCHS = 3_000, 75, 3


@functools.cache
def digits():
    """Return pairs (pictures, labels) to train and validate with, shrunk and normalized."""
    data = load_mnist(DIGITS, 500, scale=True, tensors=True)
    pictures, others = (
        F.avg_pool2d(images, 3) for images in (data.train_images, data.validation_images)
    )
    deviation, mean = torch.std_mean(pictures)
    return (
        ((pictures - mean) / deviation, data.train_labels),
        ((others - mean) / deviation, data.validation_labels),
    )


def blocks_of(model):
    return [*model.stage1, *model.stage2, *model.stage3]


def network(residual, normalization, depth, preactivation=False, zero_start=False):
    """Return an untrained network; with `zero_start` all branches give 0 at first."""
    model = SmallResNet(depth, 8, residual, normalization, preactivation)
    if zero_start:
        for block in blocks_of(model):
            nn.init.zeros_(block.conv2.weight)
    return model


def log_gradients(model):
    """Return, layer by layer, log10 of the norm of the gradient of each convolution's kernels."""
    model = copy.deepcopy(model).train()
    images, labels = digits()[0]
    F.cross_entropy(model(images[:100]), labels[:100]).backward()
    norms = [
        part.weight.grad.double().norm().item()
        for part in model.modules()
        if isinstance(part, nn.Conv2d)
    ]
    return [round(math.log10(norm), 3) if 0 < norm < math.inf else None for norm in norms]


def without_each_block(model):
    """Return a network's validation accuracy, and that without each block that keeps the shape."""
    accuracies = [evaluate(model, *digits()[1]).accuracy]
    for stage in (model.stage1, model.stage2, model.stage3):
        for place, block in enumerate(stage):
            if block.conv1.in_channels == block.conv1.out_channels:
                stage[place] = nn.Identity()
                accuracies.append(evaluate(model, *digits()[1]).accuracy)
                stage[place] = block
    return accuracies


def train(settings, seed, steps, **options):
    """Train once. A loss that is not finite ends the training."""
    images, labels = digits()[0]
    set_seed(seed)
    rate = options.pop("rate")
    model = network(settings["residual"], settings["normalization"], **options)
    gradients = [log_gradients(model)]
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    schedule = one_cycle(optimizer, steps)
    order, batches, losses = torch.Generator().manual_seed(seed), [], []
    while len(losses) < steps:
        batches = batches or list(torch.randperm(len(images), generator=order).split(BATCH))
        batch = batches.pop()
        loss, _ = train_step(model, images[batch], labels[batch], F.cross_entropy, optimizer)
        if not loss.isfinite():
            return model, gradients, losses
        losses.append(loss.item())
        schedule.step()
        if len(losses) in (1, steps):
            gradients.append(log_gradients(model))
    return model, gradients, losses


def run(settings, seed, quick):
    """Train the recipe's networks; a list of results for each figure.

    The quick version takes three steps, with the first network.
    """
    if quick:
        _, gradients, losses = train(settings, seed, 3, **settings["networks"][0])
        return {"losses": [round(loss, 5) for loss in losses], "log_gradients": gradients[0][:3]}
    steps = EPOCHS * DIGITS // BATCH
    result = {"first_loss": [], "train_loss": [], "curve": [], "gradients": [], "without": []}
    for options in settings["networks"]:
        model, gradients, losses = train(settings, seed, steps, **options)
        tens = [losses[start : start + 10] for start in range(0, len(losses), 10)]
        last = losses[-DIGITS // BATCH :]
        result["first_loss"].append(float(f"{losses[0]:.5g}") if losses else None)
        result["train_loss"].append(
            round(sum(last) / len(last), 5) if len(losses) == steps else None
        )
        result["curve"].append([float(f"{sum(ten) / len(ten):.4g}") for ten in tens])
        result["gradients"].append(gradients)
        whole = settings["normalization"] and options in THREE
        result["without"].append(without_each_block(model) if whole else [])
    return result


if __name__ == "__main__":
    record.main(
        "depth",
        "What do more layers do to the training loss of plain and of residual networks?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
