"""Gradients by finite differences, to check formulas with.

The chapter "Backpropagation through dense layers" introduces the functions of this module, and
shows how they mislead: at kinks, in float32, and with an upstream gradient of ones.
"""

import numpy as np

from cnnbook.gradcheck_checks import check_claim, check_function


def numerical_gradient(function, array, step=1e-5):
    """Return the slopes of a function by central differences, one entry at a time.

    Entry by entry, the function is computed at `step` to either side, and the difference is divided
    by the distance of the two sides as it came out after rounding.

    Parameters
    ----------
    function : callable
        Takes a float64 array, its own to change, and returns one real number, the same one
        whenever it is called with the same array. It should compute in float64 too.
    array : array_like of real numbers, any shape
        Where the slopes are wanted.
    step : float, greater than 0
        In the unit of the array. Around 1e-5 suits entries and results around 1.

    Returns
    -------
    array of float64, of that shape
        NaN where the function returned NaN, or where the step was lost in rounding.

    Raises
    ------
    ValueError
        An argument is not as above, or the function returned something else than one real number.

    Source: Nocedal and Wright, Numerical Optimization (2006), section 8.1.
    """
    function, array, step = check_function(function, array, step)
    gradient = np.empty_like(array)
    for place in np.ndindex(array.shape):
        above, below = array.copy(), array.copy()
        above[place] += step
        below[place] -= step
        distance = above[place] - below[place]  # 2 * step, but for rounding
        gradient[place] = (function(above) - function(below)) / distance
    return gradient


def check_gradient(function, gradient, array, step=1e-5):
    """Compare a gradient with central differences; return the greatest relative error and where.

    The error of an entry is the difference of the two values, divided by the larger of them. Beside
    the largest of all, values below a thousandth of it count as a thousandth: finite differences
    cannot tell tiny slopes from zero.

    Parameters
    ----------
    function, array, step
        As in `numerical_gradient`; the array must not be empty.
    gradient : array_like of real numbers, of the shape of array
        What is claimed to be the gradient of the function there.

    Returns
    -------
    error : float
        From 0 to 2. Around 1e-9 for a right gradient in float64, NaN if either gradient has one.
    place : tuple of ints
        The index of the entry with that error; the first, if several have it.

    Raises
    ------
    ValueError
        An argument is not as above, or the function returned something else than one real number.

    Source: Bottou, Stochastic gradient descent tricks (2012), section 4.2, names the method.
    """
    numerical = numerical_gradient(function, array, step)
    gradient, numerical = check_claim(gradient, numerical)
    scale = np.maximum(np.abs(gradient), np.abs(numerical))
    scale = np.maximum(scale, np.nanmax(scale) / 1000)
    difference = np.abs(gradient - numerical)
    errors = np.divide(difference, scale, out=np.zeros_like(scale), where=difference != 0)
    place = np.unravel_index(errors.argmax(), errors.shape)
    return float(errors[place]), tuple(map(int, place))
