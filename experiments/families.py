"""Which learning rate suits each family of networks, and how long one of its steps takes.

Ten families, from dense layers to ConvNeXt, have about as many parameters as LeNet, 61,706, and
eight of them also have a version of 14,700 to 21,000, which takes the rate of the large one. They
learn one of two tasks for 60 steps of 50 pictures: 10,000 digits of MNIST with a border of zeros,
32×32, and patches of 32×32 of three photographed textures. The patches to learn from lie in the
left half of each photograph, those for validation in the third quarter of its columns, and those
for a test in the last, so that no pixel of one is in another.

All use Adam and one cycle of learning rates. Networks that do not bring first weights of their own
and have no normalization get those of He. ConvNeXt's residuals begin with the factor 1, since the
paper's 1e-6 is meant for hundreds of epochs. No test picture is read here, but in
`experiments.same_budget`, which takes rates and seconds from here.
"""

import functools
import time
from itertools import product

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.data import load_mnist, texture_patches
from cnnbook.inspection import multiply_adds, parameter_count
from cnnbook.models import (
    VGG,
    ConvNeXt,
    DenseNet,
    MobileNet,
    ModernLeNet,
    SENet,
    SmallAlexNet,
    SmallInception,
    SmallResNet,
)
from cnnbook.training import one_cycle, predict, set_seed, train_step
from experiments import record

SEEDS = (100,)
TASKS = ("digits", "textures")
RATES = (0.001, 0.003, 0.01, 0.03)
BATCH = 50
SEPARABLE = ((2, 2), (4, 1), (4, 2), (8, 1), (8, 1), (8, 1))


def dense_layers(hidden):
    """Return a network of two hidden dense layers for pictures (N, 1, 32, 32)."""
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(32 * 32, hidden), nn.ReLU()),
        *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10)),
    )


LARGE = {
    "dense layers": lambda: dense_layers(56),
    "LeNet": ModernLeNet,
    "AlexNet": lambda: SmallAlexNet(3, towers=1),
    "VGG-11": lambda: VGG(11, 10, 5, hidden=None, channels=1, size=32),
    "Inception": lambda: SmallInception(heads=False, width=8),
    "ResNet-14": lambda: SmallResNet(14, 10),
    "DenseNet": lambda: DenseNet((1, 3, 8), 9, 18, 1, 10, small_pictures=True),
    "MobileNet": lambda: MobileNet(17, SEPARABLE, 1, 1, 10),
    "SENet": lambda: SENet(14, reduction=7),
    "ConvNeXt": lambda: ConvNeXt((1, 1, 1), 16, 2, 1.0, 1, 10),
}
SMALL = {
    "dense layers": lambda: dense_layers(14),
    "VGG-11": lambda: VGG(11, 10, 3, hidden=None, channels=1, size=32),
    "Inception": lambda: SmallInception(heads=False, width=4),
    "ResNet-14": lambda: SmallResNet(14, 5),
    "DenseNet": lambda: DenseNet((1, 3, 8), 5, 8, 1, 10, small_pictures=True),
    "MobileNet": lambda: MobileNet(8, SEPARABLE, 1, 1, 10),
    "SENet": lambda: SENet(8, reduction=4),
    "ConvNeXt": lambda: ConvNeXt((1, 1, 1), 8, 2, 1.0, 1, 10),
}
RECIPES = {
    f"{task}, {name}, rate {rate}": {"task": task, "name": name, "rate": rate}
    for task, name, rate in product(TASKS, LARGE, RATES)
}
SOURCES = (
    "experiments/families.py",
    "cnnbook/data/textures.py",
    "cnnbook/training.py",
    *(
        f"cnnbook/models/{name}.py"
        for name in (
            *("convnext", "densenet", "mobilenet", "modern_lenet", "small_alexnet"),
            *("small_inception", "small_resnet", "squeeze_excitation", "vgg"),
        )
    ),
)


def make(name, seed, families=LARGE):
    """Return a network of the family with first weights from `seed`."""
    set_seed(seed)
    model = families[name]()
    if not any("Norm" in type(part).__name__ for part in model.modules()):
        for part in model.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                nn.init.zeros_(part.bias)
    return model


@functools.cache
def digits():
    """Return by part the pictures (N, 1, 32, 32) and labels of digits with a border of zeros."""
    data = load_mnist(10_000, 2_000, scale=True, tensors=True)
    mean, deviation = data.train_images.mean(), data.train_images.std()
    found = {}
    for part, count in (("train", 10_000), ("validation", 2_000), ("test", 2_000)):
        images, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
        found[part] = (F.pad(images[:count], (2, 2, 2, 2)) - mean) / deviation, labels[:count]
    return found


@functools.cache
def textures(seed):
    """Return by part patches and labels, drawn anew for each seed."""
    places = {
        "train": (1_000, (0, 256)),
        "validation": (1_000, (256, 384)),
        "test": (1_500, (384, 512)),
        "same columns": (1_500, (0, 256)),
    }
    found = {}
    for number, (part, (count, columns)) in enumerate(places.items()):
        images, labels = texture_patches(count, columns, seed=10 * seed + number)
        found[part] = torch.from_numpy(images), torch.from_numpy(labels)
    return found


def load(task, seed):
    return digits() if task == "digits" else textures(seed)


def train(model, images, labels, rate, steps, seed):
    """Train in place; return the CPU seconds that it took, and the mean of the last 20 losses."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule, order = one_cycle(optimizer, steps), torch.Generator().manual_seed(seed)
    losses, batches, start = [], [], time.process_time()
    model.train()
    while len(losses) < steps:
        batches = batches or list(torch.randperm(len(images), generator=order).split(BATCH))
        batch = batches.pop()
        loss, _ = train_step(model, images[batch], labels[batch], F.cross_entropy, optimizer)
        losses.append(loss)
        schedule.step()
    return time.process_time() - start, torch.stack(losses[-20:]).mean().item()


def score(model, images, labels):
    """Return the loss and, of each picture, whether the answer is right."""
    outputs = predict(model, images, 250)
    return F.cross_entropy(outputs, labels).item(), outputs.argmax(1) == labels


def run(settings, seed, quick):
    """Run one recipe; see `record.main`."""
    model, data = make(settings["name"], seed), load(settings["task"], seed)
    steps, count = (1, 10) if quick else (60, None)
    images, labels = (part[:count] for part in data["train"])
    seconds, train_loss = train(model, images, labels, settings["rate"], steps, seed)
    loss, right = score(model, *(part[:count] for part in data["validation"]))
    found = {"train_loss": round(train_loss, 5), "validation_loss": round(loss, 5)}
    if quick:
        return found
    return found | {
        "parameters": parameter_count(model),
        "multiply_adds": multiply_adds(model, (1, 1, 32, 32)),
        "validation_accuracy": round(right.float().mean().item(), 6),
        "step_seconds": round(seconds / steps, 4),
    }


if __name__ == "__main__":
    record.main(
        "families",
        "Which learning rate suits each family of networks, and how long does a step take?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
