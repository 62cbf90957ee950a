"""How sure an accuracy is, and whether two of them differ.

The chapter "How to measure" introduces every function of this module. An accuracy is a share, from
0 to 1. `right_a` and `right_b` say of each picture of one and the same set whether two networks
read it rightly. NaN is refused everywhere.
"""

from math import sqrt
from statistics import NormalDist

import numpy as np

from cnnbook.statistics_checks import (
    check_accuracy,
    check_differences,
    check_draws,
    check_level,
    check_patterns,
    check_right,
    check_values,
)


def standard_error(accuracy, count):
    """Return the standard deviation of an accuracy over samples of `count` pictures.

    It covers the draw of the pictures, not that of the network's seed, and is 0 at an accuracy
    of 0 or 1, where `wilson_interval` still says something.

    Parameters
    ----------
    accuracy : float, 0 to 1
    count : int, at least 1

    Raises
    ------
    ValueError
        If an argument is not as described.

    Source: the variance of a binomial share, accuracy * (1 - accuracy) / count.
    """
    accuracy, count = check_accuracy(accuracy, count)
    return sqrt(accuracy * (1 - accuracy) / count)


def wilson_interval(accuracy, count, level=0.95):
    """Return the ends (low, high) of Wilson's interval for an accuracy of `count` pictures.

    It holds the accuracies p for which |accuracy - p| is at most z times the standard error at p,
    where z = 1.96 for a level of 0.95. Like the standard error it covers the draw of pictures only.

    Parameters
    ----------
    accuracy : float, 0 to 1
    count : int, at least 1
    level : float, between 0 and 1

    Raises
    ------
    ValueError
        If an argument is not as described.

    Source: Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    accuracy, count = check_accuracy(accuracy, count)
    z = NormalDist().inv_cdf((1 + check_level(level)) / 2)
    center = accuracy + z**2 / (2 * count)
    reach = z * sqrt(accuracy * (1 - accuracy) / count + z**2 / (4 * count**2))
    scale = 1 + z**2 / count
    return max(0.0, (center - reach) / scale), min(1.0, (center + reach) / scale)


def summarize_runs(values):
    """Return count, mean and sample standard deviation of the results of several runs.

    The deviation divides by count - 1 and has the unit of the values.

    Parameters
    ----------
    values : array_like of finite real numbers, shape (count,), at least two

    Raises
    ------
    ValueError
        If `values` is not as described.
    """
    values = check_values(values)
    return len(values), float(values.mean()), float(values.std(ddof=1))


def mcnemar(right_a, right_b):
    """Test whether two networks differ, by the pictures that exactly one of them reads rightly.

    Parameters
    ----------
    right_a, right_b : array_like of bool, shape (N,)
        Whether networks a and b read each picture rightly; the same pictures in the same order.

    Returns
    -------
    only_a, only_b : int
        How many pictures only a reads rightly, and only b.
    p : float
        Two-sided and exact: the chance that the counts are at least so unequal if a and b are
        equally likely to be the one that is right.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Source: McNemar, Note on the sampling error of the difference between correlated proportions
    or percentages (1947), here with the binomial distribution in place of its approximation.
    """
    right_a, right_b = check_right(right_a, right_b)
    only_a = int((right_a & ~right_b).sum())
    only_b = int((right_b & ~right_a).sum())
    count, fewer = only_a + only_b, min(only_a, only_b)
    ways = term = 1
    for k in range(fewer):
        term = term * (count - k) // (k + 1)  # of count things, k + 1 can be chosen in so many ways
        ways += term
    return only_a, only_b, min(1.0, 2 * ways / 2**count)


def bootstrap_difference(right_a, right_b, draws=2000, seed=0):
    """Return `draws` differences of accuracy, a minus b, each from pictures drawn anew.

    Each draw takes N pictures of the N, with replacement, the same for both networks. The
    quantiles 0.025 and 0.975 of the result are a 95 % interval, which covers the draw of pictures
    only.

    Parameters
    ----------
    right_a, right_b : array_like of bool, shape (N,)
        As in `mcnemar`.
    draws : int, at least 1
    seed : int, at least 0

    Returns
    -------
    array of float64, shape (draws,)

    Raises
    ------
    ValueError
        If an argument is not as described.

    Source: Efron, Bootstrap methods: another look at the jackknife (1979).
    """
    right_a, right_b = check_right(right_a, right_b)
    draws, seed = check_draws(draws, seed)
    difference = right_a.astype(int) - right_b.astype(int)
    random, count = np.random.default_rng(seed), len(difference)
    return np.array([difference[random.integers(count, size=count)].mean() for _ in range(draws)])


def sign_flip_test(differences):
    """Test whether the mean of paired differences, one for each seed, is other than 0.

    Parameters
    ----------
    differences : array_like of finite real numbers, shape (count,), count from 1 to 20

    Returns
    -------
    float
        The share of the 2**count patterns of signs that give a sum at least as far from 0 as the
        one observed: a two-sided, exact p-value if each difference is equally likely to come out
        with either sign. It is at least 2 / 2**count.

    Raises
    ------
    ValueError
        If `differences` is not as described.

    Source: Fisher, The Design of Experiments (1935), section 21.
    """
    differences = check_differences(differences)
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    rounding = 1e-9 * np.abs(differences).sum()  # equal sums may differ in their last digits
    return float(np.mean(np.abs(sums) >= abs(differences.sum()) - rounding))


def sign_flip_interval(differences, level=0.95):
    """Return the ends (low, high) of an interval for the mean difference between two recipes.

    It holds the numbers that, subtracted from every difference, leave a `sign_flip_test` with
    p > 1 - level. Its ends are means of subsets of the differences.

    Parameters
    ----------
    differences : array_like of finite real numbers, shape (count,), count from 2 to 20
    level : float, at most 1 - 2 / 2**count
        The chance to cover the center is this or a little more.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Source: Hartigan, Using subsample values as typical values (1969).
    """
    differences = check_differences(differences)
    outside = check_patterns(level, len(differences))
    sums, sizes = np.zeros(1), np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums, sums + difference])
        sizes = np.concatenate([sizes, sizes + 1])
    means = np.sort(sums[1:] / sizes[1:])
    return float(means[outside - 1]), float(means[-outside])
