"""Checks of arguments for `cnnbook.schedules`: each returns them ready or raises ValueError."""

import numbers

from cnnbook import checks


def check_schedule(step, steps):
    """Return step and steps as ints; ValueError unless step is one of the steps, from 0."""
    steps = checks.whole("steps", steps, 1)
    return checks.whole("step", step, 0, steps - 1), steps


def check_factor(name, value, below=False):
    """Return a number from 0 to 1, or to below 1, as a float."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1 or (below and value == 1):
        limits = "from 0 to below 1" if below else "from 0 to 1"
        raise ValueError(f"{name} was {value!r}; it must be a number {limits}")
    return float(value)


def check_shares(name, values):
    """Return numbers from 0 to 1 as a tuple of floats."""
    if not isinstance(values, (tuple, list)):
        raise ValueError(f"{name} was {values!r}; it must be a sequence of numbers from 0 to 1")
    return tuple(check_factor(name, value) for value in values)
