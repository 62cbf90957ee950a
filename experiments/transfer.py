"""What a network that learned ImageNet is worth on few patches of six materials.

Patches of 64×64 pixels are cut at random places, sizes and turns from six gray photographs, given
another light and contrast, and noise. Training, validation and test patches come from regions of
a photograph that share no pixel. Rates and steps were chosen on validation patches with other
seeds than those of the runs. Here the 240 test patches, the same for every run, are read once for
each training. The same seed gives the same training patches in all recipes, and the patches of a
smaller size are the first of those of a larger one. Every recipe sees them in all eight symmetries.
"""

import copy
import functools

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from skimage import color, data
from torch import nn
from torch.nn import functional as F

from cnnbook.data import load_photograph
from cnnbook.models import SmallResNet
from cnnbook.models.pretrained import efficientnet_lite0
from cnnbook.training import evaluate, predict, set_seed
from experiments import record

SEEDS = (0, 1, 2, 3, 4, 5)
STEPS = {"2": 30, "5": 30, "10": 40, "20": 60}  # of a fine-tuning, by training patches a class
FINE = {"kind": "large", "rates": [0.01, 0.0003], "steps": {"5": 30}}  # of the head, of the body
RECIPES = {
    "frozen features": {"kind": "head", "steps": dict.fromkeys(STEPS, 100)},
    "fine-tuning": FINE | {"steps": STEPS},
    "small network from scratch": {
        "kind": "small",
        "rate": 0.01,
        "steps": {"2": 200, "5": 200, "10": 200, "20": 400},
    },
    "same network from scratch": {
        "kind": "large",
        "rates": [0.01, 0.01],
        "steps": {"20": 120},
        "norm": "training",
        "weights": False,
    },
    "body rate 0.00003": FINE | {"rates": [0.01, 0.00003]},
    "body rate 0.001": FINE | {"rates": [0.01, 0.001]},
    "body rate 0.01": FINE | {"rates": [0.01, 0.01]},
    "batch norm in training mode": FINE | {"norm": "training"},
}
SOURCES = (
    "experiments/transfer.py",
    "cnnbook/models/pretrained.py",
    "cnnbook/models/small_resnet.py",
    "cnnbook/training.py",
)
MATERIALS = ("brick", "grass", "gravel", "moon", "stars", "tissue")
REGIONS = {  # top, left, bottom, right
    "train": (0, 0, 512, 256),
    "validation": (0, 256, 256, 512),
    "test": (256, 256, 512, 512),
}


@functools.cache
def load_materials():
    """Return six gray photographs (512, 512), values 0 to 1."""
    photographs = {name: load_photograph(name) / 255 for name in ("brick", "grass", "gravel")}
    photographs["moon"] = data.moon() / 255
    photographs["stars"] = color.rgb2gray(data.hubble_deep_field())[:512, :512]
    photographs["tissue"] = color.rgb2gray(data.immunohistochemistry())
    return photographs


def cut_patch(photograph, region, random, size=64):
    top, left, bottom, right = region
    side, angle = random.uniform(40, 80), random.uniform(0, 2 * np.pi)
    reach = side / np.sqrt(2)  # from the center to a corner of the turned square
    y = random.uniform(top + reach, bottom - 1 - reach)
    x = random.uniform(left + reach, right - 1 - reach)
    steps = (np.arange(size) + 0.5) / size - 0.5
    down, across = np.meshgrid(steps, steps, indexing="ij")
    rows = y + side * (down * np.cos(angle) - across * np.sin(angle))
    columns = x + side * (down * np.sin(angle) + across * np.cos(angle))
    patch = map_coordinates(photograph, [rows, columns], order=1)
    patch = (patch - patch.mean()) / (patch.std() + 1e-6)
    contrast, light, angle = random.uniform(0.1, 0.2), random.uniform(0, 0.3), random.uniform(0, 7)
    patch = 0.5 + contrast * patch + light * (down * np.cos(angle) + across * np.sin(angle))
    return np.clip(patch + random.normal(0, 0.1, patch.shape), 0, 1)


def make_patches(part, count, seed, size=64):
    """Return `count` patches of each material (6 count, 3, size, size); materials take turns."""
    random, photographs = np.random.default_rng(seed), load_materials()
    patches = [
        cut_patch(photographs[name], REGIONS[part], random, size)
        for _ in range(count)
        for name in MATERIALS
    ]
    images = torch.tensor(np.stack(patches), dtype=torch.float32)[:, None]
    return images.repeat(1, 3, 1, 1), torch.arange(len(patches)) % len(MATERIALS)


def symmetries(images):
    """Return the four turns of the pictures, then those of their mirror images."""
    return [turned.rot90(k, (2, 3)) for turned in (images, images.flip(3)) for k in range(4)]


def randomize(model):
    """Give the network random weights, in place."""
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
        elif isinstance(part, nn.BatchNorm2d):
            part.reset_parameters()  # running statistics too
            part.momentum = 0.1
        elif isinstance(part, nn.Linear):
            part.reset_parameters()
    return model


def refresh_statistics(model, images):
    """Set the running statistics of batch norm to those of these pictures."""
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over the batches
    with torch.no_grad():
        for batch in images.split(60):
            model.train()(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval()


@functools.cache
def pretrained():
    return efficientnet_lite0()


def make_network(weights):
    """Return the network, with its weights or random ones, and a new head of zeros."""
    model = copy.deepcopy(pretrained())
    if not weights:
        randomize(model)
    model.classifier = nn.Linear(1280, len(MATERIALS))
    nn.init.zeros_(model.classifier.weight)
    nn.init.zeros_(model.classifier.bias)
    return model.to(memory_format=torch.channels_last)


def train_head(features, labels, steps=100, rate=0.01, decay=0.1):
    """Return a linear head for features (N, D), learned with all of them in every step."""
    head = nn.Linear(features.shape[1], int(labels.max()) + 1)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=decay)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(head(features), labels).backward()
        optimizer.step()
    return head


def train_whole(model, head, images, labels, steps, rates, norm, seed, batch_size=12, turned=True):
    """Train in place: `rates` are those of the head and of all other parameters."""
    inside = {id(parameter) for parameter in head.parameters()}
    body = [parameter for parameter in model.parameters() if id(parameter) not in inside]
    groups = [{"params": list(head.parameters()), "lr": rates[0]}, {"params": body, "lr": rates[1]}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, list(rates), total_steps=steps)
    model.train()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.train(norm == "training")
    random, order = np.random.default_rng(seed), []
    for _ in range(steps):
        if len(order) < min(batch_size, len(labels)):
            order = random.permutation(len(labels))
        batch, order = order[:batch_size], order[batch_size:]
        seen = symmetries(images[batch])[random.integers(8)] if turned else images[batch]
        loss = F.cross_entropy(model(seen), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


class SmallForPatches(nn.Module):
    """A residual network of 8 layers that reads one channel, at half the size."""

    def __init__(self):
        super().__init__()
        self.network = SmallResNet(8, width=16, classes=len(MATERIALS))

    def forward(self, images):  # (N, 3, 64, 64)
        return self.network(5 * F.avg_pool2d(images[:, :1], 2) - 2.5)  # (N, 6)


@functools.cache
def training_patches(seed, quick):
    return make_patches("train", 1, seed, 32) if quick else make_patches("train", 20, seed)


@functools.cache
def judging_patches(part, quick):
    return make_patches(part, 3, 1000, 32) if quick else make_patches(part, 40, 1000)


def features_of(model, images):
    return predict(model[:4], images, 60)  # scale, features, pool, flatten: (N, 1280)


@functools.cache
def all_features(seed, part, quick):
    """Return features of the training patches in eight symmetries (8, N, D), and of the others."""
    images, _ = training_patches(seed, quick)
    found = torch.stack([features_of(pretrained(), turned) for turned in symmetries(images)])
    return found, features_of(pretrained(), judging_patches(part, quick)[0])


def run_head(size, seed, part, quick, steps):
    found, new = all_features(seed, part, quick)
    found, labels = found[:, : 6 * size], training_patches(seed, quick)[1][: 6 * size]
    mean, deviation = found.mean((0, 1)), found.std((0, 1)) + 1e-3
    head = train_head(((found - mean) / deviation).flatten(0, 1), labels.repeat(8), steps)
    return evaluate(head, (new - mean) / deviation, judging_patches(part, quick)[1])


def run_small(size, seed, part, quick, steps, rate):
    images, labels = (tensor[: 6 * size] for tensor in training_patches(seed, quick))
    set_seed(seed)
    model, rates = SmallForPatches(), (rate, rate)
    train_whole(model, model.network.fc, images, labels, steps, rates, "training", seed)
    return evaluate(model, *judging_patches(part, quick), 60)


def run_large(size, seed, part, quick, steps, rates, norm="evaluation", weights=True):
    """Return the score; with batch norm in training mode also the one with new statistics."""
    images, labels = (tensor[: 6 * size] for tensor in training_patches(seed, quick))
    set_seed(seed)
    model = make_network(weights)
    train_whole(model, model.classifier, images, labels, steps, rates, norm, seed)
    score = evaluate(model, *judging_patches(part, quick), 60)
    if norm == "evaluation":
        return score
    refresh_statistics(model, images)
    return score, evaluate(model, *judging_patches(part, quick), 60)


RUNNERS = {"head": run_head, "small": run_small, "large": run_large}


def run(settings, seed, quick, part="test"):
    """Run one recipe with all its sizes; see `record.main`. The quick version reads no test set."""
    settings, found = dict(settings), {"accuracy": {}, "loss": {}}
    runner = RUNNERS[settings.pop("kind")]
    for size, steps in settings.pop("steps").items():
        if quick:
            scores = runner(1, seed, "validation", quick, 2, **settings)
        else:
            scores = runner(int(size), seed, part, quick, steps, **settings)
        score, *refreshed = (scores,) if hasattr(scores, "loss") else scores
        if quick:
            return {"validation_loss": round(score.loss, 5)}
        found["accuracy"][size], found["loss"][size] = (
            round(score.accuracy, 5),
            round(score.loss, 5),
        )
        for other in refreshed:
            found.setdefault("refreshed_accuracy", {})[size] = round(other.accuracy, 5)
    return found


if __name__ == "__main__":
    record.main(
        "transfer",
        "What is a network that learned ImageNet worth on few patches of six materials?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
