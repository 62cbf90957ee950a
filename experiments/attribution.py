"""Do attribution maps depend on the weights, point at the class, and find what the score needs?

Four photographs of scikit-image whose content EfficientNet-Lite0 can name, and four methods:
Grad-CAM, saliency, guided backpropagation, and an edge detector, which knows of no network.

*Shuffled*: the numbers of each parameter are mixed, stage by stage from the classifier down, and
each map is compared with the one of the intact network by Spearman's rank correlation; the seed
chooses the order of the numbers. Grad-CAM has 7×7 places, so the other methods are compared both
pixel by pixel and as means of 7×7 cells.

*Pairs*: two photographs side by side, and the share of a class's map on the class's own side; with
the classifier intact, and shuffled. *Deletion*: square cells are covered in the order of the map,
and the probability of what is seen, all classes that name it together, is followed as a share of
that of the whole picture; the figure is the area under this curve, photograph by photograph.
Orders to compare with: at random, from the center outward, and Grad-CAM's map displaced at random
on a torus. In both tasks the seed chooses the crops, so that the photographs stay the same four.
"""

import functools
from itertools import combinations
from pathlib import Path

import numpy as np
import skimage
import torch
from scipy.stats import spearmanr
from skimage import filters, io, transform
from torch.nn import functional as F

from cnnbook.inspection import (
    grad_cam,
    guided_backpropagation,
    occlusion,
    saliency,
    shuffle_weights,
)
from cnnbook.models.pretrained import efficientnet_lite0
from experiments import record

SEEDS = (0, 1, 2, 3, 4, 5)
RECIPES = {
    "shuffled": {"task": "shuffled"},
    "pairs": {"task": "pairs", "shuffled": False},
    "pairs, classifier shuffled": {"task": "pairs", "shuffled": True},
    "deletion, 32 pixels, gray": {"task": "deletion", "cell": 32, "fill": "gray"},
    "deletion, 32 pixels, blurred": {"task": "deletion", "cell": 32, "fill": "blurred"},
    "deletion, 16 pixels, gray": {"task": "deletion", "cell": 16, "fill": "gray"},
}
SOURCES = (
    "experiments/attribution.py",
    "cnnbook/inspection/activations.py",
    "cnnbook/inspection/attribution.py",
    "cnnbook/models/pretrained.py",
)
# The classes that name what each photograph shows; the first is the one whose score is explained.
PHOTOGRAPHS = {
    "chelsea.png": (285, 281, 282),  # Egyptian cat, tabby, tiger cat
    "coffee.png": (967, 968, 504),  # espresso, cup, coffee mug
    "rocket.jpg": (657, 744, 812),  # missile, projectile, space shuttle
    "motorcycle_left.png": (665, 670),  # moped, motor scooter
}
# What is shuffled, from the top, and after how many parts the maps are compared: stage by stage.
PARTS = ["classifier", *(f"features.{place}" for place in reversed(range(18)))]
DEPTHS = (1, 2, 3, 7, 10, 13, 15, 17, 18, 19)


@functools.cache
def network():
    return efficientnet_lite0()


@functools.cache
def photograph(name):
    return io.imread(Path(skimage.__file__).parent / "data" / name)


def crop(name, size, seed=None):
    """Return the middle square of a photograph, or one a little off, as a picture (1, 3, H, W)."""
    pixels = photograph(name)
    height, width = pixels.shape[:2]
    side, down, right, mirrored = min(height, width), 0.5, 0.5, False
    if seed is not None:
        random = np.random.default_rng([seed, *name.encode()])
        side = int(side * random.uniform(0.85, 1))
        down, right = random.uniform(0.35, 0.65, size=2)
        mirrored = random.random() < 0.5
    top, left = int(down * (height - side)), int(right * (width - side))
    square = pixels[top : top + side, left : left + side]
    square = square[:, ::-1] if mirrored else square
    small = transform.resize(square, (size, size), anti_aliasing=True)
    return torch.tensor(small, dtype=torch.float32).permute(2, 0, 1)[None]


def edges(model, images, target):
    """Return Sobel's edges (N, H, W): a map that no weight and no class has a part in."""
    gray = images.mean(dim=1).numpy()
    return torch.tensor(np.stack([filters.sobel(picture) for picture in gray]))


def last_maps(model, images, target):
    return grad_cam(model, images, target, "features")


PIXEL_METHODS = {"saliency": saliency, "guided": guided_backpropagation, "edges": edges}
METHODS = {"grad_cam": last_maps, **PIXEL_METHODS}


def cells(maps, shape):
    """Return maps (N, H, W) as means of cells, or enlarged, in a grid of `shape`."""
    if maps.shape[-1] > shape[-1]:
        return F.adaptive_avg_pool2d(maps, shape)
    return F.interpolate(maps[:, None], shape, mode="bilinear")[:, 0]


def agreement(first, second):
    """Return the rank correlation of two maps; 0 if one of them is flat."""
    if first.unique().numel() == 1 or second.unique().numel() == 1:
        return 0.0
    return float(spearmanr(first.flatten(), second.flatten()).statistic)


def maps_to_compare(model, images, target):
    """Return the maps of the methods that read a network, pixel by pixel and in cells."""
    found = {"grad_cam": last_maps(model, images, target)}
    grid = found["grad_cam"].shape[-2:]
    for name in ("saliency", "guided"):
        found[name] = PIXEL_METHODS[name](model, images, target)
        found[f"{name}_cells"] = cells(found[name], grid)
    return found


def run_shuffled(seed, quick):
    names = list(PHOTOGRAPHS)[: 1 if quick else None]
    pictures = {name: crop(name, 96 if quick else 224) for name in names}
    intact = {
        name: maps_to_compare(network(), picture, PHOTOGRAPHS[name][0])
        for name, picture in pictures.items()
    }
    result = {method: [] for method in intact[names[0]]}
    for depth in (1, 7) if quick else DEPTHS:
        model = shuffle_weights(network(), PARTS[:depth], seed)
        found = {method: [] for method in result}
        for name, picture in pictures.items():
            for method, maps in maps_to_compare(model, picture, PHOTOGRAPHS[name][0]).items():
                found[method].append(agreement(intact[name][method], maps))
        for method, values in found.items():
            result[method].append(round(float(np.mean(values)), 4))
    return result


def run_pairs(shuffled, seed, quick):
    model = shuffle_weights(network(), ["classifier"], seed) if shuffled else network()
    pairs = list(combinations(PHOTOGRAPHS, 2))[: 1 if quick else None]
    result = {method: [] for method in METHODS}
    for pair in pairs:
        size = 96 if quick else 224
        wide = torch.cat([crop(name, size, seed) for name in pair], dim=3)
        for (side, name), (method, compute) in (
            (choice, entry) for choice in enumerate(pair) for entry in METHODS.items()
        ):
            maps = compute(model, wide, PHOTOGRAPHS[name][0])
            half = maps.shape[2] // 2
            own = maps[..., half * side : half * (side + 1)].sum() / maps.sum()
            result[method].append(round(own.item(), 4) if maps.any() else 0.5)
    return result


def deletion_curve(picture, classes, order, cell, fill):
    """Return the chance of some classes, as shares of the first, while cells are covered in turn.

    `order` holds the numbers of the cells, row by row; the result has 8 entries, from no cell
    covered to all.
    """
    side = picture.shape[-1] // cell
    covered, pictures = torch.zeros(side * side, dtype=torch.bool), [picture]
    for part in order.tensor_split(7):
        covered[part] = True
        mask = covered.reshape(side, side).repeat_interleave(cell, 0).repeat_interleave(cell, 1)
        pictures.append(torch.where(mask, fill, picture))
    with torch.no_grad():
        chances = [network()(one).softmax(dim=1)[0, classes].sum().item() for one in pictures]
    return np.array(chances) / chances[0]


def deletion_maps(picture, target, cell, seed, occluded):
    """Return what is covered first to last, as (kind, map in cells) in turn."""
    side = picture.shape[-1] // cell
    maps = {name: compute(network(), picture, target) for name, compute in METHODS.items()}
    if occluded:
        maps["occlusion"] = occlusion(network(), picture, target, 32, 32, 0.5)
    for name, one in maps.items():
        yield name, cells(one, (side, side))[0]
    places = torch.arange(side) - (side - 1) / 2
    yield "center", -(places[:, None] ** 2 + places**2)
    random = torch.Generator().manual_seed(seed)
    for _ in range(2):
        yield "random", torch.rand(side, side, generator=random)
        steps = torch.randint(1, side, (2,), generator=random).tolist()
        yield "displaced", cells(maps["grad_cam"], (side, side))[0].roll(steps, (0, 1))


def run_deletion(cell, fill, seed, quick):
    found = {}
    for name, (target, *others) in list(PHOTOGRAPHS.items())[: 1 if quick else None]:
        picture = crop(name, 96 if quick else 224, seed)
        filling = torch.full_like(picture, 0.5)
        if fill == "blurred":
            blurred = filters.gaussian(picture[0].numpy(), sigma=12, channel_axis=0)
            filling = torch.tensor(blurred, dtype=torch.float32)[None]
        occluded = (cell, fill, quick) == (32, "gray", False)
        for kind, one in deletion_maps(picture, target, cell, seed, occluded):
            order = one.flatten().argsort(descending=True, stable=True)
            curve = deletion_curve(picture, [target, *others], order, cell, filling)
            found.setdefault(kind, {}).setdefault(name, []).append(curve)
    result = {}
    for kind, by_name in found.items():
        curves = np.array([np.mean(curves, axis=0) for curves in by_name.values()])
        result[kind] = [round(float(area), 4) for area in np.trapezoid(curves, dx=1 / 7, axis=1)]
        result[f"{kind}_curve"] = [round(float(share), 4) for share in curves.mean(axis=0)]
    return result


def run(settings, seed, quick):
    """Run one recipe; see `record.main`."""
    settings = dict(settings)
    task = {"shuffled": run_shuffled, "pairs": run_pairs, "deletion": run_deletion}
    return task[settings.pop("task")](**settings, seed=seed, quick=quick)


if __name__ == "__main__":
    record.main(
        "attribution",
        "Do attribution maps depend on the weights, and find what a score depends on?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
