"""Time the layers in NumPy against torch's: `python -m benchmarks.layers`.

Each layer computes the same numbers as torch's before it is timed. A time is the median of several
runs; a run repeats the call until a clock can measure it, and the two take turns. Forward, and
forward with the gradients of pictures, kernels and bias.
"""

import statistics

import numpy as np
import torch
from torch.nn import functional

from benchmarks.timing import RUNS, machine, seconds
from cnnbook.layers import conv2d, conv2d_backward

LARGEST_ERROR = 1e-5  # as a share of the largest number of the array
# What it is, shape of the pictures, shape of the kernels, settings that are not the default.
LAYERS = [
    ("first of a digit net", (64, 1, 28, 28), (32, 1, 3, 3), {}),
    ("its second", (64, 32, 13, 13), (64, 32, 3, 3), {}),
    ("LeNet's first", (64, 1, 32, 32), (6, 1, 5, 5), {}),
    ("wide maps", (64, 32, 28, 28), (64, 32, 3, 3), {}),
    ("one picture", (1, 32, 28, 28), (64, 32, 3, 3), {}),
    ("large maps", (8, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    ("not square", (16, 12, 47, 83), (20, 12, 2, 5), {"padding": (1, 2)}),
    ("stem, stride 2", (4, 3, 128, 96), (32, 3, 7, 7), {"stride": 2, "padding": 3}),
    ("stride 2", (8, 128, 14, 14), (256, 128, 3, 3), {"stride": 2, "padding": 1}),
    ("dilation 2", (16, 32, 30, 30), (32, 32, 3, 3), {"dilation": 2, "padding": 2}),
    ("pointwise", (16, 64, 28, 28), (128, 64, 1, 1), {}),
    ("8 groups", (16, 64, 28, 28), (64, 8, 3, 3), {"groups": 8, "padding": 1}),
    ("depthwise", (16, 64, 28, 28), (64, 1, 3, 3), {"groups": 64, "padding": 1}),
]


def arguments(images_shape, kernels_shape):
    """Return random pictures, kernels and bias in float32, as arrays and as tensors."""
    random = np.random.default_rng(0)
    shapes = (images_shape, kernels_shape, kernels_shape[:1])
    arrays = [random.normal(size=shape).astype("float32") for shape in shapes]
    return arrays, [torch.from_numpy(array) for array in arrays]


def refuse_errors(results, expected, name):
    """Raise ArithmeticError if arrays are not those expected, up to rounding."""
    for result, wanted in zip(results, expected, strict=True):
        error = np.abs(result - wanted).max() / np.abs(wanted).max()
        if error > LARGEST_ERROR:
            raise ArithmeticError(f"{name} is wrong by {error}")


def forward(images_shape, kernels_shape, settings):
    """Return {"torch": seconds, "NumPy": seconds} for a layer with a bias, forward."""
    arrays, tensors = arguments(images_shape, kernels_shape)
    ways = {
        "torch": lambda: functional.conv2d(*tensors, **settings),
        "NumPy": lambda: conv2d(*arrays, **settings),
    }
    name = f"conv2d for {images_shape}, {kernels_shape}"
    refuse_errors([ways["NumPy"]()], [ways["torch"]().numpy()], name)
    return seconds(ways)


def forward_and_backward(images_shape, kernels_shape, settings):
    """Return {"torch": seconds, "NumPy": seconds} for a layer and all its gradients.

    The upstream gradient is random, and the same for both.
    """
    arrays, tensors = arguments(images_shape, kernels_shape)
    for tensor in tensors:
        tensor.requires_grad_()
    shape = functional.conv2d(*tensors, **settings).shape
    upstream = np.random.default_rng(1).normal(size=shape).astype("float32")
    given = torch.from_numpy(upstream)

    def by_torch():
        maps = functional.conv2d(*tensors, **settings)
        return [maps.detach(), *torch.autograd.grad(maps, tensors, given)]

    def by_numpy():
        maps = conv2d(*arrays, **settings)
        return [maps, *conv2d_backward(upstream, *arrays[:2], **settings)]

    name = f"conv2d_backward for {images_shape}, {kernels_shape}"
    refuse_errors(by_numpy(), [result.numpy() for result in by_torch()], name)
    return seconds({"torch": by_torch, "NumPy": by_numpy})


def table(what, times):
    """Print torch's time for each layer, and NumPy's as a multiple of it."""
    print(f"\n{what}, float32, with a bias; × is a multiple of torch's time")
    print(f"{'':22}{'pictures':>18}{'kernels':>18}{'torch':>11}{'NumPy':>9}  settings")
    ratios = []
    for name, images_shape, kernels_shape, settings in LAYERS:
        row = times(images_shape, kernels_shape, settings)
        ratios.append(row["NumPy"] / row["torch"])
        shapes = ["×".join(map(str, shape)) for shape in (images_shape, kernels_shape)]
        given = ", ".join(f"{key} {value}" for key, value in settings.items())
        line = f"{name:22}{shapes[0]:>18}{shapes[1]:>18}{1e3 * row['torch']:8.2f} ms"
        print(f"{line}{ratios[-1]:8.2f}×  {given}".rstrip())
    print(f"median of the {len(ratios)} layers: {statistics.median(ratios):.2f}×")


def show():
    """Print the times forward, and those forward and backward together."""
    table("conv2d", forward)
    table("conv2d and conv2d_backward", forward_and_backward)


def main():
    torch.set_num_threads(1)
    print(machine(np, torch))
    print(f"median of {RUNS} runs")
    show()


if __name__ == "__main__":
    main()
