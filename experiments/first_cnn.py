"""What a learning-rate schedule is worth to the small network on MNIST.

Every recipe trains for five epochs on 55,000 pictures with mini-batches of 64; 5,000 pictures,
balanced by class, are held out for validation. The same seed starts every recipe from the same
weights and shows it the pictures in the same order. The test set is read once a run, at its end.
"""

import functools

import torch
from torch.nn import functional as F

from cnnbook.data import load_mnist
from cnnbook.models import SmallNet
from cnnbook.training import evaluate, fit, one_cycle, set_seed
from experiments import record

SEEDS = (0, 1, 2, 3, 4)
RECIPES = {
    "one cycle": {"learning_rate": 0.006, "schedule": True, "normalized": True},
    "constant 0.006": {"learning_rate": 0.006, "schedule": False, "normalized": True},
    "constant 0.001": {"learning_rate": 0.001, "schedule": False, "normalized": True},
    "one cycle, not normalized": {"learning_rate": 0.006, "schedule": True, "normalized": False},
}
SOURCES = ("experiments/first_cnn.py", "cnnbook/models/small.py", "cnnbook/training.py")
STEPS_A_POINT = 43


@functools.cache
def pictures(normalized, quick):
    """Return the data with the mean and deviation of the training pictures taken out or not."""
    data = load_mnist(6000 if quick else None, validation=5000, scale=True, tensors=True)
    parts = (data.train_images, data.validation_images, data.test_images)
    if normalized:
        deviation, mean = torch.std_mean(data.train_images)
        parts = [(part - mean) / deviation for part in parts]
    return list(
        zip(parts, (data.train_labels, data.validation_labels, data.test_labels), strict=True)
    )


def run(settings, seed, quick):
    """Train once. The quick version is one epoch of 6,000 pictures and reads no test set."""
    train, validation, test = pictures(settings["normalized"], quick)
    set_seed(seed)
    model = SmallNet()
    history = fit(
        model,
        *train,
        epochs=1 if quick else 5,
        batch_size=64,
        learning_rate=settings["learning_rate"],
        schedule=one_cycle if settings["schedule"] else None,
        loss=F.nll_loss,
        validation=validation,
        seed=seed,
    )
    if quick:
        return {
            "train_loss": round(history.train_loss[0], 6),
            "validation_loss": round(history.validation_loss[0], 6),
            "validation_accuracy": history.validation_accuracy[0],
        }
    score = evaluate(model, *test, loss=F.nll_loss)
    curve = torch.tensor(history.step_loss).split(STEPS_A_POINT)
    return {
        "test_accuracy": score.accuracy,
        "test_loss": round(score.loss, 6),
        "validation_accuracy": history.validation_accuracy,
        "validation_loss": [round(value, 6) for value in history.validation_loss],
        "train_accuracy": [round(value, 6) for value in history.train_accuracy],
        "train_loss": [round(value, 6) for value in history.train_loss],
        "mean_loss_of_each_43_steps": [round(part.mean().item(), 4) for part in curve],
        "seconds": round(sum(history.seconds), 1),
    }


if __name__ == "__main__":
    record.main(
        "first_cnn",
        "What is a learning-rate schedule worth to the small network on MNIST?",
        SOURCES,
        RECIPES,
        SEEDS,
        run,
    )
