"""Checks of arguments for `cnnbook.initializers`: each returns them converted or says why not."""

import numpy as np

from cnnbook import checks

KINDS = "(inputs, outputs) or (out_channels, in_channels, height, width)"


def check_shape(shape):
    """Return the shape of weights as a tuple of ints, or raise ValueError saying why not."""
    try:
        lengths = tuple(shape)
    except TypeError:
        lengths = ()
    if len(lengths) not in (2, 4):
        raise ValueError(f"shape was {shape!r}; it must be {KINDS}")
    return tuple(checks.whole(f"shape[{axis}]", n, 1) for axis, n in enumerate(lengths))


def check_draw(shape, random):
    """Return the shape of weights and the generator, or raise ValueError saying why not."""
    if not isinstance(random, np.random.Generator):
        raise ValueError(
            f"random was a {type(random).__name__}; it must be a NumPy Generator, such as "
            f"np.random.default_rng(0)"
        )
    return check_shape(shape), random
