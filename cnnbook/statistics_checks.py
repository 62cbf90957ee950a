"""Checks of arguments for `cnnbook.statistics`: each returns them converted or says why not."""

import numbers

import numpy as np

from cnnbook import checks

MOST_RUNS = 20  # 2**20 patterns of signs fill 8 MB


def check_accuracy(accuracy, count):
    """Return accuracy (a float) and count (an int), or raise ValueError saying why not."""
    number = isinstance(accuracy, numbers.Real) and not isinstance(accuracy, bool)
    if not number or not 0 <= accuracy <= 1:
        raise ValueError(
            f"accuracy was {accuracy!r}; it must be a number from 0 to 1, no percentage"
        )
    return float(accuracy), checks.whole("count", count, 1)


def check_level(level):
    """Return level as a float, or raise ValueError saying why not."""
    if not isinstance(level, numbers.Real) or not 0 < level < 1:
        raise ValueError(f"level was {level!r}; it must be a number between 0 and 1, such as 0.95")
    return float(level)


def check_right(right_a, right_b):
    """Return both as bool arrays of one length, or raise ValueError saying why not."""
    arrays = [_right("right_a", right_a), _right("right_b", right_b)]
    lengths = [len(array) for array in arrays]
    if lengths[0] != lengths[1]:
        raise ValueError(
            f"right_a and right_b were of lengths {lengths[0]} and {lengths[1]}; "
            "they must be equal, one entry for each picture of the same set"
        )
    return arrays


def check_draws(draws, seed):
    """Return draws and seed as ints, or raise ValueError saying why not."""
    return checks.whole("draws", draws, 1), checks.whole("seed", seed, 0)


def check_values(values):
    """Return values as a float64 array of at least two, or raise ValueError saying why not."""
    return _finite("values", values, 2)


def check_differences(differences):
    """Return differences as a float64 array of 1 to 20, or raise ValueError saying why not."""
    array = _finite("differences", differences, 1)
    if len(array) > MOST_RUNS:
        raise ValueError(
            f"differences were {len(array)}; they must be at most {MOST_RUNS}, "
            "because all patterns of their signs are tried"
        )
    return array


def check_patterns(level, count):
    """Return how many of the 2**count patterns lie outside on each side, or raise ValueError.

    `count` differences exclude nothing at a level above 1 - 2 / 2**count.
    """
    level = check_level(level)
    if count < 2:
        raise ValueError(f"differences were {count}; they must be at least 2 for an interval")
    outside = int((1 - level) / 2 * 2**count)
    if outside < 1:
        raise ValueError(
            f"level was {level:g}; with {count} differences it must be at most {1 - 2 / 2**count:g}"
        )
    return outside


def _right(name, right):
    array = checks.real_array(name, right, ndim=1, shape="one-dimensional")
    if not np.isin(array, (0, 1)).all():
        other = array[~np.isin(array, (0, 1))][0]
        raise ValueError(f"{name} held {other:g}; it must hold only True (read rightly) and False")
    return array.astype(bool)


def _finite(name, values, least):
    array = checks.real_array(name, values, ndim=1, shape="one-dimensional").astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} held {array[~np.isfinite(array)][0]}; they must be finite")
    if len(array) < least:
        raise ValueError(f"{name} were {len(array)}; they must be at least {least}")
    return array
