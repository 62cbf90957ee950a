"""What a small student learns from a teacher that it does not learn from labels.

The teacher of each seed is `OneEpochNet` (29,178 parameters), trained for two epochs on 20,000
digits, or for ten on the first 1,000 of them. The student has 3,946 parameters and takes 600 steps
of 64 pictures with Adam and one cycle of the learning rate. With the same seed and the same set of
pictures, all students have the same first weights and the same order of the pictures.

Temperature, weight, and learning rate were chosen with 5,000 validation digits. The 10,000 test
digits are read once a run, at its end. What the teacher says about a set is computed once a seed.
Eight and sixteen were equally good temperatures; the smaller was taken.

Controls put other scores in the teacher's place. "smoothing": one score for the label and 0 for
the rest, so that the softened entropy is the teacher's mean; "shuffled": in each picture the
teacher's scores of the wrong classes change places at random, so that the entropy stays exactly
where it was; "class means": the mean soft target of the digit's class.
"""

import functools
import time

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.data import load_mnist
from cnnbook.distillation import distillation_loss, soften
from cnnbook.models import OneEpochNet
from cnnbook.training import evaluate, fit, one_cycle, predict, set_seed
from experiments import record

SEEDS = (0, 1, 2, 3, 4, 5, 6, 7)
TEMPERATURE, WEIGHT = 8.0, 0.9
COUNTS = (100, 300, 1000, 5000, 20_000)
SOFT = {"temperature": TEMPERATURE, "weight": WEIGHT}
SILENT = {"temperature": TEMPERATURE, "weight": 1.0}  # without labels
RECIPES = {
    "teacher": {"teacher": 20_000},
    "teacher of 1000": {"teacher": 1000},
    **{f"alone, {count}": {"pictures": count} for count in COUNTS},
    **{f"distilled, {count}": {"pictures": count, **SOFT} for count in COUNTS},
    "alone, 1000, rate 0.01": {"pictures": 1000, "rate": 0.01},
    "alone, 1000, rate 0.04": {"pictures": 1000, "rate": 0.04},
    "alone, 1000, 200 steps": {"pictures": 1000, "steps": 200},
    "alone, 20000, 2400 steps": {"pictures": 20_000, "steps": 2400},
    "distilled, 20000, 2400 steps": {"pictures": 20_000, "steps": 2400, **SOFT},
    **{
        f"distilled, 1000, T = {temperature}": {
            **{"pictures": 1000, "temperature": float(temperature), "weight": WEIGHT},
        }
        for temperature in (1, 2, 4, 16)
    },
    "distilled, 1000, weight 0.5": {"pictures": 1000, "temperature": TEMPERATURE, "weight": 0.5},
    "distilled, 1000, weight 1": {"pictures": 1000, **SILENT},
    **{
        f"{control}, {count}": {"pictures": count, "control": control, **SOFT}
        for count in (1000, 20_000)
        for control in ("smoothing", "shuffled", "class means")
    },
    "no labels, teacher's digits": {"pictures": 20_000, **SILENT},
    "no labels, other digits": {"pictures": 20_000, "kind": "other digits", **SILENT},
    "no labels, halves": {"pictures": 20_000, "kind": "halves", **SILENT},
    "no labels, scattered pixels": {"pictures": 20_000, "kind": "scattered pixels", **SILENT},
    "teacher of 1000, its digits": {"pictures": 1000, "by": 1000, **SOFT},
    "teacher of 1000, no labels": {"pictures": 20_000, "by": 1000, **SILENT},
    "alone, no 3": {"pictures": 20_000, "leave_out": 3},
    "distilled, no 3": {"pictures": 20_000, "leave_out": 3, **SILENT},
    "shuffled, no 3": {"pictures": 20_000, "leave_out": 3, "control": "shuffled", **SILENT},
}
SOURCES = (
    "experiments/distillation.py",
    "cnnbook/data/mnist.py",
    "cnnbook/distillation.py",
    "cnnbook/models/one_epoch.py",
    "cnnbook/training.py",
)


@functools.cache
def digits(quick):
    """Return pairs (pictures, labels) to train, validate and test with, normalized."""
    counts = (1280, 200) if quick else (40_000, 5000)
    data = load_mnist(*counts, scale=True, tensors=True)
    deviation, mean = torch.std_mean(data.train_images)
    return tuple(
        ((getattr(data, f"{part}_images") - mean) / deviation, getattr(data, f"{part}_labels"))
        for part in ("train", "validation", "test")
    )


def make_student():
    """Return an untrained student: 3,946 parameters, 49,792 multiply-adds a picture."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5, stride=2), nn.MaxPool2d(2), nn.ReLU()),  # (N, 8, 6, 6)
        *(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten()),  # (N, 256)
        nn.Linear(256, 10),
    )


@functools.cache
def make_teacher(count, seed, quick):
    """Return a teacher that has learned the first `count` digits, for 20 steps if `quick`."""
    (images, labels), _, _ = digits(quick)
    if quick:
        count, epochs = {20_000: (320, 4), 1000: (256, 5)}[count]
    else:
        epochs = {20_000: 2, 1000: 10}[count]
    set_seed(seed)
    model = OneEpochNet()
    fit(
        model,
        images[:count],
        labels[:count],
        epochs,
        learning_rate=0.008,
        optimizer=functools.partial(torch.optim.Adam, fused=True),
        schedule=one_cycle,
        seed=seed,
        progress=False,
    )
    return model


@functools.cache
def pictures(kind, seed, quick):
    """Return the 20,000 pictures of a kind, 640 if `quick`."""
    (images, _), _, _ = digits(quick)
    count = len(images) // 2
    first = images[:count]
    random = torch.Generator().manual_seed(seed)
    if kind == "other digits":
        return images[count:]
    if kind == "halves":
        left, right = (first[torch.randperm(count, generator=random)] for _ in range(2))
        return torch.cat([left[..., :14], right[..., 14:]], dim=3)
    if kind == "scattered pixels":
        places = torch.rand(count, 784, generator=random).argsort(1)
        return first.flatten(1).gather(1, places).reshape(-1, 1, 28, 28)
    return first


@functools.cache
def answers(by, kind, seed, quick):
    """Return what the teacher of `by` digits says about the pictures of a kind."""
    return predict(make_teacher(by, seed, quick), pictures(kind, seed, quick))


def entropy(probabilities):
    """Return the entropy of each row, in nats."""
    return torch.special.entr(probabilities).sum(1)


def smoothing(scores, labels, temperature):
    """Return scores of smoothed labels whose softened entropy is the mean of `scores`."""
    target, low, high = entropy(soften(scores, temperature)).mean(), 0.0, 50 * temperature
    labels = F.one_hot(labels, 10).to(scores.dtype)
    for _ in range(60):
        middle = (low + high) / 2
        too_soft = entropy(soften(middle * labels[:1], temperature)) > target
        low, high = (middle, high) if too_soft else (low, middle)
    return middle * labels


def shuffled(scores, labels, random):
    """Return `scores` with those of the wrong classes at random places, row by row."""
    wrong = F.one_hot(labels, 10) == 0
    places = torch.rand(len(scores), 9, generator=random).argsort(1)
    result = scores.clone()
    result[wrong] = scores[wrong].reshape(-1, 9).gather(1, places).flatten()
    return result


def class_means(scores, labels, temperature):
    """Return scores whose softened rows are the mean soft targets of the rows' classes."""
    soft = soften(scores, temperature)
    means = torch.stack([soft[labels == digit].mean(0) for digit in range(10)])
    return temperature * means[labels].log()


def train_student(images, labels, scores, temperature, weight, steps, rate, seed):
    """Return a student; without `scores` it learns the labels alone."""
    set_seed(seed)
    model = make_student().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    schedule = one_cycle(optimizer, steps)
    order, taken = torch.Generator().manual_seed(seed), 0
    while taken < steps:
        for batch in torch.randperm(len(images), generator=order).split(64)[: steps - taken]:
            outputs, given = model(images[batch]), None if labels is None else labels[batch]
            if scores is None:
                loss = F.cross_entropy(outputs, given)
            else:
                loss = distillation_loss(outputs, scores[batch], given, temperature, weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            taken += 1
    return model


def best_bias(scores, labels, digit):
    """Return what to add to the scores of `digit` so that most labels are read rightly.

    Of equals it is the one nearest to 0.
    """
    unit = F.one_hot(torch.tensor(digit), scores.shape[1])

    def right(bias):
        return ((scores + bias * unit).argmax(1) == labels).sum().item()

    return max((step / 4 for step in range(-40, 401)), key=lambda bias: (right(bias), -abs(bias)))


def absent(model, digit, validation, test):
    """Return accuracies without and with a correction of the bias of a digit left out."""
    bias = best_bias(predict(model, validation[0]), validation[1], digit)
    scores, labels = predict(model, test[0]), test[1]
    corrected = scores + bias * F.one_hot(torch.tensor(digit), 10)
    there = labels == digit
    return {
        "bias": bias,
        "test_absent": (scores.argmax(1) == labels)[there].float().mean().item(),
        "test_accuracy_corrected": (corrected.argmax(1) == labels).float().mean().item(),
        "test_absent_corrected": (corrected.argmax(1) == labels)[there].float().mean().item(),
    }


def run_teacher(count, seed, quick):
    """Judge the teacher; the entropy is that of its soft targets for its first 1,000 digits."""
    _, validation, test = digits(quick)
    start = time.process_time()
    model = make_teacher(count, seed, quick)
    seconds = time.process_time() - start
    if quick:
        score = evaluate(model, *validation)
        return {"validation_loss": round(score.loss, 6)}
    soft = soften(answers(count, "teacher's digits", seed, quick)[:1000], TEMPERATURE)
    return {
        "entropy": round(entropy(soft).mean().item(), 5),
        "validation_accuracy": evaluate(model, *validation).accuracy,
        "test_accuracy": evaluate(model, *test).accuracy,
        "seconds": round(seconds, 1),
    }


def run(settings, seed, quick):
    """Train and judge one network. The quick version trains for 20 and 5 steps."""
    if "teacher" in settings:
        return run_teacher(settings["teacher"], seed, quick)
    kind, weight = settings.get("kind", "teacher's digits"), settings.get("weight")
    images = pictures(kind, seed, quick)[: settings["pictures"]]
    (_, labels), validation, test = digits(quick)
    labels, scores = labels[: len(images)], None
    if weight is not None:
        scores = answers(settings.get("by", 20_000), kind, seed, quick)[: len(images)]
    if "control" in settings:
        scores = {
            "smoothing": lambda: smoothing(scores, labels, TEMPERATURE),
            "shuffled": lambda: shuffled(scores, labels, torch.Generator().manual_seed(seed)),
            "class means": lambda: class_means(scores, labels, TEMPERATURE),
        }[settings["control"]]()
    if "leave_out" in settings:
        kept = labels != settings["leave_out"]
        images, labels, scores = (
            part if part is None else part[kept] for part in (images, labels, scores)
        )
    start = time.process_time()
    model = train_student(
        images,
        None if weight == 1 else labels,
        scores,
        settings.get("temperature"),
        weight,
        5 if quick else settings.get("steps", 600),
        settings.get("rate", 0.02),
        seed,
    )
    seconds = time.process_time() - start
    if quick:
        score = evaluate(model, *validation)
        return {"validation_loss": round(score.loss, 6)}
    score = evaluate(model, *validation)
    result = {
        "validation_loss": round(score.loss, 5),
        "validation_accuracy": score.accuracy,
        "test_accuracy": evaluate(model, *test).accuracy,
    }
    if "leave_out" in settings:
        result |= absent(model, settings["leave_out"], validation, test)
    return result | {"seconds": round(seconds, 2)}


if __name__ == "__main__":
    record.main(
        "distillation",
        "What does a small student learn from a teacher that it does not learn from labels?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
