"""Checks of arguments for pooling. Each returns them ready for use, or raises ValueError."""

import numpy as np

from cnnbook import checks
from cnnbook.convolution import output_size
from cnnbook.convolution.checks import AXES, whole_pair
from cnnbook.layers.checks import IMAGES, _array

SIDES = ("height", "width")


def check_images(images):
    """Return images as an array (N, C, H, W) of int64 or floats, or raise ValueError."""
    return _array("images", images, IMAGES, least=(0, 0, 1, 1))


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
