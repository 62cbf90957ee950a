"""Time pooling in NumPy against torch's: `python -m benchmarks.pooling`.

Each way computes the same numbers as torch's before it is timed. A time is the median of several
runs; a run repeats the call until a clock can measure it, and the ways take turns.
"""

import statistics

import numpy as np
import torch
from torch.nn import functional

from benchmarks.timing import RUNS, machine, seconds
from cnnbook.layers import max_pool2d, mean_pool2d

# What it is, shape of the pictures, window, stride.
LAYERS = [
    ("first of a digit net", (64, 32, 26, 26), 2, 2),
    ("its second, ragged", (64, 64, 11, 11), 2, 2),
    ("overlapping", (16, 96, 55, 55), 3, 2),
    ("not square", (16, 12, 47, 83), (2, 5), (3, 2)),
    ("every place", (16, 64, 28, 28), 3, 1),
]


def times(ways, shape, window, stride):
    """Return {name: seconds} of torch's and our way in float32."""
    images = np.random.default_rng(0).normal(size=shape).astype("float32")
    tensor = torch.from_numpy(images)
    theirs, ours = ways
    calls = {
        "torch": lambda: theirs(tensor, window, stride),
        "ours": lambda: ours(images, window, stride),
    }
    error = np.abs(calls["ours"]() - calls["torch"]().numpy()).max()
    if error > 1e-6:
        raise ArithmeticError(f"{ours.__name__} is wrong by {error} for {shape}, window {window}")
    return seconds(calls)


def show(ways):
    """Print torch's time for each layer, and ours as a multiple of it."""
    print(f"\n{ways[1].__name__}, float32; × is a multiple of torch's time")
    ratios = []
    for name, shape, window, stride in LAYERS:
        row = times(ways, shape, window, stride)
        ratios.append(row["ours"] / row["torch"])
        line = f"{name:22}{'×'.join(map(str, shape)):>16}  window {window!s:7} stride {stride!s:7}"
        print(f"{line}{1e3 * row['torch']:8.2f} ms{ratios[-1]:8.2f}×")
    print(f"median of the {len(ratios)} layers: {statistics.median(ratios):.2f}×")


def main():
    torch.set_num_threads(1)
    print(machine(np, torch))
    print(f"median of {RUNS} runs")
    show((functional.max_pool2d, max_pool2d))
    show((functional.avg_pool2d, mean_pool2d))


if __name__ == "__main__":
    main()
