"""How much of a checkerboard four ways to double a map leave in digits that a network rebuilds.

An autoencoder with 16 numbers a digit learns 5,000 digits for three epochs with Adam, 32 digits at
a time; the learning rate rises to 0.005 and falls again. Its loss is the cross-entropy of gray
values. The figures are those of 2,000 validation digits, before and after the training. No test
digit is read.
"""

import functools
import time

import numpy as np
import torch
from torch.nn import functional as F

from cnnbook.data import load_mnist
from cnnbook.models.decoder import UPSAMPLINGS, Autoencoder
from cnnbook.training import one_cycle, predict, set_seed
from experiments import record

SEEDS = (0, 1, 2, 3, 4)
RECIPES = {kind: {"upsampling": kind} for kind in UPSAMPLINGS}
SOURCES = (
    "experiments/checkerboards.py",
    "cnnbook/models/decoder.py",
    "cnnbook/training.py",
)
EPOCHS, BATCH, RATE = 3, 32, 0.005


@functools.cache
def digits(quick):
    """Return pictures to train with and to judge with, gray values from 0 to 1."""
    data = load_mnist(320 if quick else 5000, 100 if quick else 2000, scale=True, tensors=True)
    return data.train_images, data.validation_images


def grid_power(images):
    """Return the power at the grid's frequencies, 14 cycles a side, over that at 13 cycles.

    Of pictures (N, 28, 28): mean power at 14 cycles down, across, and both, over the same at 13.
    A spectrum without a grid goes on falling there; a pattern that returns every second pixel
    raises the ratio.
    """
    power = np.mean(np.abs(np.fft.fft2(images)) ** 2, axis=0)
    at, beside = (power[f, 0] + power[0, f] + power[f, f] for f in (14, 13))
    return float(at / beside)


def figures(model, images, prefix):
    """Return the mean squared error, the same by phase, and the power at the grid."""
    rebuilt = predict(model, images)[:, 0].double().numpy()
    errors = np.square(rebuilt - images[:, 0].double().numpy())
    phases = [errors[:, row::2, column::2].mean() for row in (0, 1) for column in (0, 1)]
    return {
        f"{prefix}mse": round(errors.mean(), 6),
        f"{prefix}phases": [round(phase, 6) for phase in phases],
        f"{prefix}grid": round(grid_power(rebuilt), 3),
    }


def run(settings, seed, quick):
    """Train once; return the figures before and after."""
    train_images, validation_images = digits(quick)
    set_seed(seed)
    model = Autoencoder(upsampling=settings["upsampling"])
    before = figures(model, validation_images, "untrained_")
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    epochs = 1 if quick else EPOCHS
    schedule = one_cycle(optimizer, epochs * -(-len(train_images) // BATCH))
    order = torch.Generator().manual_seed(seed)
    start = time.perf_counter()
    for _ in range(epochs):
        for batch in torch.randperm(len(train_images), generator=order).split(BATCH):
            images = train_images[batch]
            loss = F.binary_cross_entropy(model(images), images)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    seconds = round(time.perf_counter() - start, 2)
    if quick:
        return {"train_loss": round(loss.item(), 5), "untrained_mse": before["untrained_mse"]}
    return {**before, **figures(model, validation_images, ""), "seconds": seconds}


if __name__ == "__main__":
    record.main(
        "checkerboards",
        "How much of a checkerboard do four ways to double a map leave in rebuilt digits?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
