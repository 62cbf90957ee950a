"""What each change between LeNet-5 of 1998 and today's LeNet brings, on 4,000 digits.

Each recipe makes one change, or all four, and trains two epochs with Adam at each of two learning
rates. The rate that reads most of 2,000 validation digits is taken, and that network reads the test
digits, once. The same seed gives every recipe the same order of the digits.
"""

import functools

from torch.nn import functional as F

from cnnbook.data import load_mnist
from cnnbook.models.lenet5 import LeNet5, frame_digits, map_loss
from cnnbook.training import evaluate, fit, set_seed
from experiments import record

SEEDS = (0, 1, 2, 3, 4, 5)
RECIPES = {
    "1998": {},
    "ReLU": {"activation": "relu"},
    "max pooling": {"pooling": "max"},
    "dense C3": {"c3": "dense"},
    "linear output": {"output": "linear"},
    "all four": {"activation": "relu", "pooling": "max", "c3": "dense", "output": "linear"},
}
RATES = (0.002, 0.006)
SOURCES = (
    "experiments/lenet.py",
    "cnnbook/models/lenet5.py",
    "cnnbook/training.py",
)


@functools.cache
def digits(quick):
    """Return pairs (pictures, labels) to train, validate and test with."""
    data = load_mnist(600 if quick else 4_000, 2_000, scale=True, tensors=True)
    return (
        (frame_digits(data.train_images), data.train_labels),
        (frame_digits(data.validation_images), data.validation_labels),
        (frame_digits(data.test_images), data.test_labels),
    )


def run(settings, seed, quick):
    """Train with each learning rate; the quick version has one rate, one epoch and no test."""
    train, validation, test = digits(quick)
    loss = F.cross_entropy if settings.get("output") == "linear" else map_loss
    trained, seconds = [], 0.0
    for rate in RATES[:1] if quick else RATES:
        set_seed(seed)
        model = LeNet5(**settings)
        history = fit(
            model, *train, epochs=1 if quick else 2, learning_rate=rate, loss=loss, seed=seed
        )
        seconds += sum(history.seconds)
        trained.append((round(evaluate(model, *validation).accuracy, 6), rate, model))
    if quick:
        return {"train_loss": round(history.train_loss[0] / history.step_loss[0], 5)}
    _, rate, model = max(trained, key=lambda each: each[0])
    return {
        "validation_accuracy": [accuracy for accuracy, *_ in trained],
        "rate": rate,
        "test_accuracy": round(evaluate(model, *test).accuracy, 6),
        "seconds": round(seconds, 2),
    }


if __name__ == "__main__":
    record.main(
        "lenet",
        "What does each change from LeNet-5 of 1998 to today's LeNet bring?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
