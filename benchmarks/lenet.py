"""Time training of a LeNet-like network in NumPy against torch's: `python -m benchmarks.lenet`.

Both take the same steps on the same digits: forward, loss, backward, and a step of stochastic
gradient descent with momentum. The two take turns; a time is the median of several runs of a part
of an epoch each, and before it is taken, both must reach the same loss.
"""

import numpy as np
import torch

from benchmarks.timing import RUNS, machine, seconds
from experiments.numpy_lenet import BATCH, digits, in_torch, lenet, steps, train_numpy, train_torch

LARGEST_ERROR = 1e-3  # of the loss after a part of an epoch
PART = 20  # steps
RATE = 0.05


def times():
    """Return {"torch": seconds, "NumPy": seconds} for a part of an epoch."""
    (pictures, labels), _, _ = digits(True)
    pictures, labels = pictures[: PART * BATCH], labels[: PART * BATCH]
    random = np.random.default_rng(0)
    network = lenet(random)
    model = in_torch(network)
    batches = list(steps(pictures, labels, RATE, random))
    ways = {
        "torch": lambda: train_torch(model, batches),
        "NumPy": lambda: train_numpy(network, batches),
    }
    theirs, ours = (way()[-1] for way in ways.values())
    if abs(theirs - ours) > LARGEST_ERROR:
        raise ArithmeticError(f"the losses after {PART} steps were {theirs} and {ours}")
    return seconds(ways)


def show():
    """Print both times a step and an epoch, and NumPy's as a multiple of torch's."""
    result = times()
    print(f"\nLeNet-like network, float32, mini-batches of {BATCH}, {PART} steps a run")
    for name, duration in result.items():
        step = duration / PART
        epoch = step * -(-60_000 // BATCH)
        print(f"{name:6}{1e3 * step:7.2f} ms a step, {epoch:5.1f} s for 60,000 pictures")
    print(f"NumPy takes {result['NumPy'] / result['torch']:.2f} times as long")


def main():
    torch.set_num_threads(1)
    print(machine(np, torch))
    print(f"median of {RUNS} runs")
    show()


if __name__ == "__main__":
    main()
