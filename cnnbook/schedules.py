"""Schedules: by what the learning rate of a training is multiplied at each of its steps.

The chapter "Optimizers" introduces the functions of this module. A training of `steps` steps sets

    optimizer.learning_rate = rate * cosine_factor(step, steps)

before each of them, `step` running from 0 to steps - 1. Factors may be multiplied with each other,
such as a warm-up with a cosine. They are those of torch's schedulers, which are named below.

Each function returns a float and raises ValueError if an argument is not as described; NaN is no
number here.
"""

import math

from cnnbook.schedules_checks import check_factor, check_schedule, check_shares


def constant_factor(step, steps):
    """Return 1: the learning rate stays as it is.

    Parameters
    ----------
    step : int, from 0 to steps - 1
    steps : int, at least 1
    """
    check_schedule(step, steps)
    return 1.0


def step_factor(step, steps, drops=(0.5, 0.75), factor=0.1):
    """Return `factor` to the power of the drops passed: torch's `MultiStepLR`.

    Parameters
    ----------
    step, steps
        As in `constant_factor`.
    drops : sequence of float, from 0 to 1
        When the rate falls, as shares of the steps, rounded to whole steps.
    factor : float, from 0 to 1
    """
    step, steps = check_schedule(step, steps)
    drops, factor = check_shares("drops", drops), check_factor("factor", factor)
    return factor ** sum(step >= round(share * steps) for share in drops)


def cosine_factor(step, steps, lowest=0.0):
    """Return the factor that falls from 1 along half a cosine: torch's `CosineAnnealingLR`.

    It would reach `lowest` at step `steps`, which a training does not take any more.

    Parameters
    ----------
    step, steps
        As in `constant_factor`.
    lowest : float, from 0 to 1

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017),
    equation 5, without restarts.
    """
    step, steps = check_schedule(step, steps)
    lowest = check_factor("lowest", lowest)
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * step / steps)) / 2


def warmup_factor(step, steps, share=0.1, start=0.01):
    """Return the factor that rises along a line to 1 and stays there: torch's `LinearLR`.

    Parameters
    ----------
    step, steps
        As in `constant_factor`.
    share : float, from 0 to 1
        The part of the steps that the rise takes, rounded to whole steps.
    start : float, from 0 to 1
        The factor of step 0.
    """
    step, steps = check_schedule(step, steps)
    (share,), start = check_shares("share", (share,)), check_factor("start", start)
    length = round(share * steps)
    return 1.0 if step >= length else start + (1 - start) * step / length


def one_cycle_factor(step, steps, share=0.3):
    """Return the factor that rises from 1/25 to 1 and falls to 1/250,000: torch's `OneCycleLR`.

    Both along half a cosine. torch's scheduler also moves the momentum, which this does not.

    Parameters
    ----------
    step, steps
        As in `constant_factor`.
    share : float, from 0 to below 1
        The part of the steps that the rise takes.

    Source: Smith and Topin, "Super-convergence: very fast training of neural networks using large
    learning rates" (2018), in torch's form.
    """
    step, steps = check_schedule(step, steps)
    peak = check_factor("share", share, below=True) * steps - 1
    if step < peak:
        first, last, part = 1 / 25, 1.0, step / peak
    else:
        first, last, part = 1.0, 1 / 250_000, (step - peak) / (steps - 1 - peak)
    return last + (first - last) * (1 + math.cos(math.pi * part)) / 2
