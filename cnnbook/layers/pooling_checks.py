"""Checks of arguments for pooling. Each returns them ready for use, or raises ValueError."""

import numpy as np

from cnnbook import checks
from cnnbook.convolution import output_size
from cnnbook.convolution.checks import AXES, whole_pair
from cnnbook.layers.checks import IMAGES, array_with_axes

SIDES = ("height", "width")


def check_images(images):
    """Return images as an array (N, C, H, W) of int64 or floats, or raise ValueError."""
    return array_with_axes("images", images, IMAGES, least=(0, 0, 1, 1))


def check_pool2d(images, window, stride, padding=0, ceil_mode=False):
    """Return images, window, stride, frame and sizes, or raise ValueError saying why not.

    `frame` is ((above, below), (left, right)), the cells around the picture that windows reach
    into, and `sizes` is the number of windows down and across.
    """
    images = check_images(images)
    window = whole_pair("window", window, 1, SIDES)
    stride = window if stride is None else whole_pair("stride", stride, 1, AXES)
    padding = whole_pair("padding", padding, 0, AXES)
    if not isinstance(ceil_mode, bool | np.bool_):
        raise ValueError(f"ceil_mode was {ceil_mode!r}; it must be True or False")
    frame, sizes = [], []
    for axis in range(2):
        length, size, step = images.shape[2 + axis], window[axis], stride[axis]
        checks.whole(
            f"padding ({AXES[axis]}), at most half the window,", padding[axis], 0, size // 2
        )
        before, ragged = padding[axis], step - 1 if ceil_mode else 0
        room = length + 2 * before + ragged
        if size > room:
            raise ValueError(
                f"window ({SIDES[axis]}) was {size}; it must be at most {room}: the {SIDES[axis]} "
                f"of images (axis {2 + axis}), {length}, {2 * before} of padding and {ragged} for "
                f"ceil_mode"
            )
        count = output_size(length, size, step, (before, before + ragged))
        if (count - 1) * step >= before + length:  # the last window would hold no cell at all
            count -= 1
        reached = (count - 1) * step + size
        frame.append((before, max(0, reached - before - length)))
        sizes.append(count)
    return images, window, stride, frame, sizes


def check_blur(images, stride):
    """Return images and stride, a pair of ints, or raise ValueError saying why not."""
    images = check_images(images)
    stride = whole_pair("stride", stride, 1, AXES)
    return images if images.dtype.kind == "f" else images.astype(np.float64), stride


def check_max_backward(upstream, images, window, stride, padding, ceil_mode):
    """Return upstream and images as arrays, or raise ValueError saying which does not fit."""
    images, window, stride, _, sizes = check_pool2d(images, window, stride, padding, ceil_mode)
    upstream = _upstream(upstream, (*images.shape[:2], *sizes))
    if upstream.dtype == np.int64 and upstream.size:
        error, terms = checks.magnitude(upstream), 1
        for size, step in zip(window, stride, strict=True):
            terms *= -(-size // step)  # so many windows may hold one cell
        if terms * error > checks.LARGEST:
            raise ValueError(
                f"upstream held whole numbers up to {error}: a sum of {terms} of them might pass "
                f"the largest int64; they must be smaller, or floats"
            )
    return upstream, images


def check_mean_backward(upstream, image_shape, window, stride, ceil_mode):
    """Return upstream, image_shape, window, stride and sizes, or raise ValueError."""
    image_shape = _image_shape(image_shape)
    images = np.broadcast_to(0.0, image_shape)
    _, window, stride, _, sizes = check_pool2d(images, window, stride, 0, ceil_mode)
    upstream = _upstream(upstream, (*image_shape[:2], *sizes))
    if upstream.dtype.kind != "f":
        upstream = upstream.astype(np.float64)
    return upstream, image_shape, window, stride, sizes


def check_global_mean_backward(upstream, image_shape):
    """Return upstream and image_shape, or raise ValueError saying which does not fit."""
    image_shape = _image_shape(image_shape)
    return _upstream(upstream, image_shape[:2]), image_shape


def _upstream(upstream, shape):
    """Return upstream as an array of int64 or floats of this shape, that of the layer's result."""
    wanted = f"of shape {shape}, that of the result"
    array = checks.numbers("upstream", upstream, f"an array of real numbers {wanted}")
    if array.shape != shape:
        raise ValueError(f"upstream was of shape {array.shape}; it must be {wanted}")
    return checks.widen("upstream", array)


def _image_shape(image_shape):
    """Return the shape of pictures as four ints."""
    try:
        lengths = tuple(image_shape)
    except TypeError:
        lengths = ()
    if len(lengths) != len(IMAGES):
        raise ValueError(f"image_shape was {image_shape!r}; it must be ({', '.join(IMAGES)})")
    return tuple(
        checks.whole(f"image_shape, axis {axis} ({IMAGES[axis]}),", length, int(axis > 1))
        for axis, length in enumerate(lengths)
    )
