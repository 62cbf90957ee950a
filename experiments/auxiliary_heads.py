"""What auxiliary heads do for a small Inception network, early and late in training.

Seven Inception modules of 32 maps learn 1,000 digits with Adam, 25 digits at a time. Heads stand
on the maps of the third and the sixth module and count 0.3 each in the loss. First weights are
torch's or He's; with the same seed, networks with and without heads begin with the same weights
and see the digits in the same order. For comparison, a plain stack of 3×3 convolutions with about
as many parameters. The training loss is that of the network's end alone, as met. At the end 2,000
validation digits are read; no test digit is.
"""

import functools
import time

import torch
from torch import nn

from cnnbook.data import load_mnist
from cnnbook.models.googlenet import loss_with_heads
from cnnbook.models.small_inception import SmallInception
from cnnbook.training import evaluate, set_seed
from experiments import record

SEEDS = (0, 1, 2, 3, 4, 5)
RECIPES = {
    "torch's weights": {"net": "inception", "heads": False, "weights": "torch"},
    "torch's weights, heads": {"net": "inception", "heads": True, "weights": "torch"},
    "He's weights": {"net": "inception", "heads": False, "weights": "he"},
    "He's weights, heads": {"net": "inception", "heads": True, "weights": "he"},
    "plain 3×3, He's weights": {"net": "plain", "heads": False, "weights": "he"},
}
SOURCES = (
    "experiments/auxiliary_heads.py",
    "cnnbook/models/googlenet.py",
    "cnnbook/models/small_inception.py",
)
WIDTH, EPOCHS, RATE = 4, 7, 0.003


@functools.cache
def digits(quick):
    """Return pairs (pictures, labels) to train with and to validate with, normalized."""
    data = load_mnist(100 if quick else 1000, 200 if quick else 2000, scale=True, tensors=True)
    deviation, mean = torch.std_mean(data.train_images)
    return (
        ((data.train_images - mean) / deviation, data.train_labels),
        ((data.validation_images - mean) / deviation, data.validation_labels),
    )


class Plain(nn.Sequential):
    """The small Inception with one 3×3 convolution of 16 maps in place of each module."""

    def __init__(self):
        maps = 4 * WIDTH
        layers = [nn.Conv2d(1, maps, 3, padding=1), nn.ReLU()]
        for place in range(7):
            if place in (0, 2):
                layers.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
            layers += [nn.Conv2d(maps, maps, 3, padding=1), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(maps, 10))

    def with_heads(self, images):
        return (self(images),)


def network(settings):
    """Return an untrained network and its first convolution."""
    if settings["net"] == "plain":
        model = Plain()
        stem = model[0]
    else:
        model = SmallInception(heads=settings["heads"], width=WIDTH)
        stem = model.stem
    if settings["weights"] == "he":
        for part in model.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                nn.init.zeros_(part.bias)
    model.to(memory_format=torch.channels_last)  # twice as fast here, and the same but for rounding
    return model, stem


def run(settings, seed, quick):
    """Train one network; return curves, the stem's first gradients, and what stands at the end."""
    (images, labels), validation = digits(quick)
    set_seed(seed)
    model, stem = network(settings)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    order = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # of dropout
    result = {"gradients": [], "train_loss": [], "seconds": 0.0}
    for epoch in range(2 if quick else EPOCHS):
        start, losses = time.perf_counter(), []
        for batch in torch.randperm(len(images), generator=order).split(25):
            outputs = model.train().with_heads(images[batch])
            loss = loss_with_heads(outputs, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            if epoch == 0:
                result["gradients"].append(round(stem.weight.grad.norm().item(), 6))
            optimizer.step()
            losses.append(nn.functional.cross_entropy(outputs[0], labels[batch]).item())
        result["seconds"] += time.perf_counter() - start
        result["train_loss"].append(round(sum(losses) / len(losses), 5))
    score = evaluate(model, *validation)
    if quick:
        return {"train_loss": result["train_loss"][-1], "validation_loss": round(score.loss, 5)}
    return result | {
        "validation_loss": round(score.loss, 5),
        "validation_accuracy": round(score.accuracy, 6),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(result["seconds"], 2),
    }


if __name__ == "__main__":
    record.main(
        "auxiliary_heads",
        "Do auxiliary heads help a deep Inception network to start, to end better, or neither?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
