"""Which movements of 1,000 training digits help a network to read new ones, and which harm it.

A network of two convolutions trains for 20 epochs in mini-batches of 50, with Adam and one cycle up
to 0.005, a setting that was not tuned. Each epoch moves every digit anew. The same seed gives the
same first weights and the same order of the digits. The 10,000 test digits, which nobody moves, are
read once a run, at its end.
"""

import functools

import torch
from torch import nn

from cnnbook.augmentation import RandomFlip, RandomShift, RandomTurn
from cnnbook.data import load_mnist
from cnnbook.training import fit, one_cycle, predict, set_seed
from experiments import record

SEEDS = (0, 1, 2, 3, 4, 5)
RECIPES = {
    "none": {"shift": 0, "turn": 0, "flip": None},
    "shifts": {"shift": 2, "turn": 0, "flip": None},
    "turns": {"shift": 0, "turn": 15, "flip": None},
    "shifts and turns": {"shift": 2, "turn": 15, "flip": None},
    "mirror images": {"shift": 0, "turn": 0, "flip": "horizontal"},
    "any turn": {"shift": 0, "turn": 180, "flip": None},
}
SOURCES = (
    "experiments/augmentation.py",
    "cnnbook/augmentation.py",
    "cnnbook/training.py",
)


@functools.cache
def digits(quick):
    """Return training and test data, normalized, and the value of the background."""
    data = load_mnist(100 if quick else 1000, scale=True, tensors=True)
    deviation, mean = torch.std_mean(data.train_images)
    return (
        ((data.train_images - mean) / deviation, data.train_labels),
        ((data.test_images - mean) / deviation, data.test_labels),
        (-mean / deviation).item(),
    )


def movements(shift, turn, flip, fill):
    """Return the modules that move pictures, in order."""
    modules = [RandomFlip(flip)] if flip else []
    modules += [RandomTurn(turn, fill)] if turn else []
    return modules + ([RandomShift(shift, fill)] if shift else [])


def network(moves):
    """Return an untrained network that moves its pictures first, in training."""
    return nn.Sequential(
        *moves,
        *(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU()),
        *(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 10)),
    )


def run(settings, seed, quick):
    """Train once. The quick version takes 100 digits for two epochs and reads no test set."""
    training, (test_images, test_labels), fill = digits(quick)
    set_seed(seed)
    model = network(movements(**settings, fill=fill))
    recipe = {"batch_size": 50, "learning_rate": 0.005, "schedule": one_cycle, "seed": seed}
    history = fit(model, *training, epochs=2 if quick else 20, **recipe)
    if quick:
        return {"train_loss": [round(loss, 6) for loss in history.train_loss]}
    answers = predict(model, test_images, 200).argmax(dim=1)
    counts = torch.bincount(10 * test_labels + answers, minlength=100).reshape(10, 10)
    return {
        "test_accuracy": round((answers == test_labels).double().mean().item(), 6),
        "train_loss": round(history.train_loss[-1], 6),
        "answers_by_digit": counts.tolist(),
        "seconds": round(sum(history.seconds), 1),
    }


if __name__ == "__main__":
    record.main(
        "augmentation",
        "Which movements of the training digits help, and which harm?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
