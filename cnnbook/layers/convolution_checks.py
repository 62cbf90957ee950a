"""Checks of the arguments of a convolution's backward pass: ready for use, or ValueError."""

import numpy as np

from cnnbook import checks
from cnnbook.convolution import output_size
from cnnbook.layers.checks import array_with_axes, check_conv2d

MAPS = ("N", "out_channels", "out_height", "out_width")


def check_conv2d_backward(
    upstream, images, kernels, stride, padding, dilation, groups, image_gradient
):
    """Return the arguments of `conv2d_backward`: arrays of one type, pairs of ints, and groups.

    Padding comes back as ((above, below), (left, right)). ValueError says which argument does not
    fit, what it was, and what it must be.
    """
    if not isinstance(image_gradient, bool):
        raise ValueError(f"image_gradient was {image_gradient!r}; it must be True or False")
    images, kernels, _, stride, padding, dilation, groups = check_conv2d(
        images, kernels, None, stride, padding, dilation, groups
    )
    upstream = array_with_axes("upstream", upstream, MAPS, least=(0, 1, 1, 1))
    settings = zip(images.shape[2:], kernels.shape[2:], stride, padding, dilation, strict=True)
    shape = (len(images), len(kernels), *(output_size(*setting) for setting in settings))
    if upstream.shape != shape:
        raise ValueError(
            f"upstream was of shape {upstream.shape}; it must be of shape {shape}, as the output "
            f"of the layer is"
        )
    kind = np.result_type(upstream, images, kernels)
    if kind == np.int64 and upstream.size:
        _check_sums(upstream, images, kernels, groups)
    arrays = [array.astype(kind, copy=False) for array in (upstream, images, kernels)]
    return *arrays, stride, padding, dilation, groups


def _check_sums(upstream, images, kernels, groups):
    error = checks.magnitude(upstream)
    places = upstream.size // len(kernels)
    pixel = max(checks.magnitude(images), 1)  # at least the 1 that a bias is multiplied by
    taps = kernels[:, 0].size // groups
    for name, terms, factor in (
        ("images", places, pixel),
        ("kernels", taps, checks.magnitude(kernels)),
    ):
        if terms * error * factor > checks.LARGEST:
            raise ValueError(
                f"upstream and {name} were whole numbers up to {error} and {factor}: a sum of "
                f"{terms} products might pass the largest int64; they must be smaller, or floats"
            )
