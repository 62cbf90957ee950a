"""Checks of arguments that several modules share. Each names the argument in its error."""

import operator

import numpy as np

LARGEST = np.iinfo(np.int64).max


def whole(name, number, least, most=None, otherwise=""):
    """Return a whole number as an int; ValueError if it is none or outside `least` to `most`.

    A bool is no number here. `otherwise` names what else the caller accepts, as in "None or ".
    """
    try:
        accepted = None if isinstance(number, bool) else operator.index(number)
    except TypeError:
        accepted = None
    if accepted is None or accepted < least or (most is not None and accepted > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} was {number!r}; it must be {otherwise}a whole number {limits}")
    return accepted


def real_array(name, values, ndim, shape):
    """Return real numbers as an array of int64 or floats, with `ndim` axes and none of length 0.

    ValueError if the values are no such array, or hold whole numbers beyond int64. `shape` is the
    word for `ndim` axes in the error.
    """
    array = numbers(name, values, f"a {shape} array of real numbers")
    if array.ndim != ndim:
        raise ValueError(f"{name} was of shape {array.shape}; it must be {shape}")
    if array.size == 0:
        raise ValueError(f"{name} was empty; it must hold at least one number")
    return widen(name, array)


def numbers(name, values, wanted):
    """Return bool, integers or floats as an array; ValueError if they are none.

    `wanted` says in the error what the values must be.
    """
    try:
        array = np.asarray(values)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name} was a {type(values).__name__} that is no array ({error}); it must be {wanted}"
        ) from None
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} was of dtype {array.dtype}; it must hold bool, integers or floats"
        )
    return array


def widen(name, array):
    """Return floats as they are and whole numbers in int64; ValueError if they do not fit there."""
    if array.dtype.kind == "f":
        return array
    if array.size and magnitude(array) > LARGEST:
        raise ValueError(
            f"{name} held {magnitude(array)} or its negative; it must be at most {LARGEST}"
        )
    return array.astype(np.int64)


def sums_fit(first, second, terms, names):
    """Raise ValueError if a sum of `terms` products of two int64 arrays might pass int64."""
    if first.dtype == second.dtype == np.int64:
        largest, tap = magnitude(first), magnitude(second)
        if terms * largest * tap > LARGEST:
            raise ValueError(
                f"{names} were whole numbers up to {largest} and {tap}: a sum of {terms} "
                f"products might pass the largest int64; they must be smaller, or floats"
            )


def magnitude(array):
    """Return the largest absolute value of an array of whole numbers, as an int."""
    return max(abs(int(array.min())), abs(int(array.max())))
