"""Wrong answers that people give to problem set 5, and right answers written another way."""

import math
from fractions import Fraction

import numpy as np
import torch
from torch.nn import functional as F

from referee.cases import misconception, variant


def _float(tables):
    return [np.array(table, dtype=float) for table in tables]


# Question 1: predict

_RIGHT = {
    "momentum": [0, -0.5, -0.25],
    "adam": [-0.01, 0.01, 0],
    "average": [3, 7, 7],
    "spread": [0.125, 0.04],
    "batch": [7, 7, 13, 13, 0, 4, 0],
    "dropout": [12, 56],
}


@misconception(
    "q1-predict-steps",
    '"momentum": these are steps along the gradient alone. The velocity keeps half of what it was, '
    "so the second step moves although the gradient is 0.",
)
def predict_steps():
    return _RIGHT | {"momentum": [0, 0, 0]}


@misconception(
    "q1-predict-steps",
    '"momentum": the gradient was multiplied by 1 − 0.5. In this form it is added as a whole.',
)
def predict_steps():
    return _RIGHT | {"momentum": [0.5, 0, -0.25]}


@misconception(
    "q1-predict-steps",
    '"adam": the step was taken in proportion to the gradient. At the first step Adam divides the '
    "gradient by its own size: only the sign is left.",
)
def predict_steps():
    return _RIGHT | {"adam": [-2.5, 0.00003, 0]}


@misconception(
    "q1-predict-steps",
    '"adam": without the corrections the first step would be 0.1 / √0.001 = 3.16 times the rate. '
    "Adam divides both averages by what they lack.",
)
def predict_steps():
    return _RIGHT | {"adam": [-0.0316228, 0.0316228, 0]}


@misconception(
    "q1-predict-spread",
    '"average": these averages are not corrected. Divide by 1 − 0.5 to the power of the number of '
    "values.",
)
def predict_steps():
    return _RIGHT | {"average": [1.5, 5.25, 6.125]}


@misconception(
    "q1-predict-spread",
    '"spread": ReLU was left out. It sets half of the sums to 0, and with them half of the mean '
    "square.",
)
def predict_steps():
    return _RIGHT | {"spread": [1, 0.02]}


@misconception(
    "q1-predict-layers",
    '"batch": the variance was taken with the divisor 3. Batch normalization divides by the number '
    "of values, 4.",
)
def predict_steps():
    far = 3 * 2 / math.sqrt(16 / 3)
    return _RIGHT | {"batch": [10 - far, 10 - far, 10 + far, 10 + far, 0, 4, 0]}


@misconception(
    "q1-predict-layers",
    '"batch": the gradient of the first value was taken as γ / deviation. But it moves the '
    "mean and the deviation, too: a constant added to all values changes nothing.",
)
def predict_steps():
    return _RIGHT | {"batch": [7, 7, 13, 13, 0, 4, 1.5]}


@misconception(
    "q1-predict-layers",
    '"dropout": the variance is that of units which are not doubled. Doubling makes it four times '
    "as large.",
)
def predict_steps():
    return _RIGHT | {"dropout": [12, 14]}


@variant("q1-predict")
def predict_steps():
    return {name: np.array(numbers, dtype=float) for name, numbers in _RIGHT.items()}


@variant("q1-predict")
def predict_steps():
    w, v, path = Fraction(1), Fraction(0), []
    for _ in range(3):
        v = v / 2 + 4 * w
        w -= v / 4
        path.append(float(w))
    average, corrected = Fraction(0), []
    for number, value in enumerate((3, 9, 7), start=1):
        average = (average + value) / 2
        corrected.append(float(average / (1 - Fraction(1, 2) ** number)))
    return _RIGHT | {"momentum": path, "average": corrected}


@variant("q1-predict")
def predict_steps():
    return {
        "dropout": (12.0, 56.0),
        "batch": (7.0, 7.0, 13.0, 13.0, 0.0, 4.0, 0.0),
        "spread": ((50 * 0.02 / 2) ** 3, 2 / 50),
        "average": (1.5 / 0.5, 5.25 / 0.75, 6.125 / 0.875),
        "adam": (-0.0099999, 0.0099999, -0.0),
        "momentum": (0.0, -1 / 2, -1 / 4),
    }


# Question 2: momentum without a velocity


def _momentum(weights, before, gradients, rate, rate_before, momentum, step, refuses=True):
    if refuses and rate_before <= 0:
        raise ValueError(f"rate_before is {rate_before}")
    if refuses and not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum}")
    tables = zip(_float(weights), _float(before), _float(gradients), strict=True)
    return [w + step(w - past, g, rate, rate_before, momentum) for w, past, g in tables]


def _right_step(moved, slope, rate, rate_before, momentum):
    return momentum * rate / rate_before * moved - rate * slope


@misconception(
    "q2-momentum-constant",
    "The sign of the memory is turned. The weights went from `before` to `weights`, and momentum "
    "goes on in that direction.",
)
def momentum_step(weights, before, gradients, rate, rate_before, momentum):
    given = weights, before, gradients, rate, rate_before, momentum
    return _momentum(*given, lambda moved, g, r, rb, m: -m * r / rb * moved - r * g)


@misconception(
    "q2-momentum-constant",
    "The gradient is multiplied by 1 − momentum, as in an average. In this form it is added to the "
    "velocity as a whole.",
)
def momentum_step(weights, before, gradients, rate, rate_before, momentum):
    given = weights, before, gradients, rate, rate_before, momentum
    return _momentum(*given, lambda moved, g, r, rb, m: m * r / rb * moved - r * (1 - m) * g)


@misconception(
    "q2-momentum-constant",
    "This is Nesterov's step: it looks ahead along the new velocity. Here the weights move by the "
    "velocity itself.",
)
def momentum_step(weights, before, gradients, rate, rate_before, momentum):
    def ahead(moved, slope, rate, rate_before, momentum):
        velocity = slope - momentum * moved / rate_before
        return -rate * (slope + momentum * velocity)

    return _momentum(weights, before, gradients, rate, rate_before, momentum, ahead)


@misconception(
    "q2-momentum-constant",
    "The memory is left out: these are steps along the gradient alone.",
)
def momentum_step(weights, before, gradients, rate, rate_before, momentum):
    given = weights, before, gradients, rate, rate_before, momentum
    return _momentum(*given, lambda moved, g, r, rb, m: -r * g)


@misconception(
    "q2-momentum-changing",
    "The last move is taken over as it is. It is the velocity times the rate of the step before: "
    "divide by that rate, and multiply by the new one.",
)
def momentum_step(weights, before, gradients, rate, rate_before, momentum):
    given = weights, before, gradients, rate, rate_before, momentum
    return _momentum(*given, lambda moved, g, r, rb, m: m * moved - r * g)


@misconception(
    "q2-momentum-changing",
    "The last move is multiplied by the old rate and divided by the new one. It is the other way "
    "round.",
)
def momentum_step(weights, before, gradients, rate, rate_before, momentum):
    def turned(moved, slope, rate, rate_before, momentum):
        return momentum * rate_before / max(rate, 1e-300) * moved - rate * slope

    return _momentum(weights, before, gradients, rate, rate_before, momentum, turned)


@misconception(
    "q2-momentum-errors",
    "A momentum of 1 is let through. Then a velocity never fades: it must be less than 1.",
)
def momentum_step(weights, before, gradients, rate, rate_before, momentum):
    if momentum > 1 or momentum < 0:
        raise ValueError("momentum")
    if rate_before <= 0:
        raise ValueError("rate_before")
    given = weights, before, gradients, rate, rate_before, momentum
    return _momentum(*given, _right_step, refuses=False)


@variant("q2-momentum")
def momentum_step(weights, before, gradients, rate, rate_before, momentum):
    return _momentum(weights, before, gradients, rate, rate_before, momentum, _right_step)


@variant("q2-momentum")
def momentum_step(weights, before, gradients, rate, rate_before, momentum):
    if not (momentum >= 0 and momentum < 1):
        raise ValueError("momentum out of range")
    if not rate_before > 0:
        raise ValueError("rate_before out of range")
    results = []
    for number, table in enumerate(weights):
        now = torch.tensor(np.array(table, dtype=float))
        past = torch.tensor(np.array(before[number], dtype=float))
        velocity = (past - now) / rate_before
        velocity.mul_(momentum).add_(torch.tensor(np.array(gradients[number], dtype=float)))
        results.append((now - rate * velocity).numpy())
    return results


@variant("q2-momentum")
def momentum_step(weights, before, gradients, rate, rate_before, momentum):
    if momentum < 0 or 1 <= momentum:
        raise ValueError("momentum must be from 0 to 1")
    if 0 >= rate_before:
        raise ValueError("rate_before must be positive")
    share, results = momentum * (rate / rate_before), []
    for k in range(len(weights)):
        w, p, g = (np.asarray(t[k], dtype=np.float64) for t in (weights, before, gradients))
        results.append((1 + share) * w - share * p - rate * g)
    return results


# Question 3: one memory a row


def _rows(table, sums, rows, gradients, rate, floor, size=np.mean, merge=sum, root=None, refuse=0):
    table, sums = np.array(table, dtype=float), np.array(sums, dtype=float)
    if max(rows, default=0) >= len(table) or (min(rows, default=0) < 0 and not refuse):
        raise ValueError(f"rows: {rows}")
    for row in sorted(set(rows)):
        parts = [np.array(one, float) for k, one in zip(rows, gradients, strict=True) if k == row]
        together = merge(parts)
        old = sums[row]
        sums[row] += size(together**2)
        root_of = root or (lambda old, new, floor: np.sqrt(new) + floor)
        table[row] -= rate * together / root_of(old, sums[row], floor)
    return table, sums


@misconception(
    "q3-rows-once",
    "The squares of a row are added up. The sum of a row grows by their mean over the columns.",
)
def row_step(table, sums, rows, gradients, rate, floor):
    return _rows(table, sums, rows, gradients, rate, floor, size=np.sum)


@misconception(
    "q3-rows-once",
    "The floor stands inside the root. It is added to the root.",
)
def row_step(table, sums, rows, gradients, rate, floor):
    def inside(old, new, floor):
        return np.sqrt(new + floor)

    return _rows(table, sums, rows, gradients, rate, floor, root=inside)


@misconception(
    "q3-rows-once",
    "The step is divided by the root of the old sum. First the sum grows, then comes the step.",
)
def row_step(table, sums, rows, gradients, rate, floor):
    def early(old, new, floor):
        return np.sqrt(old) + floor

    return _rows(table, sums, rows, gradients, rate, floor, root=early)


@misconception(
    "q3-rows-once",
    "The root is missing: the step is divided by the sum itself.",
)
def row_step(table, sums, rows, gradients, rate, floor):
    return _rows(
        table, sums, rows, gradients, rate, floor, root=lambda old, new, floor: new + floor
    )


@misconception(
    "q3-rows-again",
    "Of a row that occurs several times, only the last gradient counts. `table[rows] -= ...` does "
    "that: with indexes that repeat, one value is written. np.add.at adds all of them.",
)
def row_step(table, sums, rows, gradients, rate, floor):
    return _rows(table, sums, rows, gradients, rate, floor, merge=lambda parts: parts[-1])


@misconception(
    "q3-rows-again",
    "The gradients of a row that occurs several times are averaged. They add up.",
)
def row_step(table, sums, rows, gradients, rate, floor):
    def middle(parts):
        return sum(parts) / len(parts)

    return _rows(table, sums, rows, gradients, rate, floor, merge=middle)


@misconception(
    "q3-rows-again",
    "A row that occurs several times makes several steps, one after the other. Its gradients add "
    "up first, then there is one step.",
)
def row_step(table, sums, rows, gradients, rate, floor):
    for row in rows:
        if not 0 <= row < len(table):
            raise ValueError("rows")
    table, sums = np.array(table, dtype=float), np.array(sums, dtype=float)
    for row, gradient in zip(rows, gradients, strict=True):
        table, sums = _rows(table, sums, [row], [gradient], rate, floor)
    return table, sums


@misconception(
    "q3-rows-errors",
    "A negative row number is let through. NumPy would count from the end; here it is a mistake.",
)
def row_step(table, sums, rows, gradients, rate, floor):
    return _rows(
        table, sums, [r % len(table) if r < 0 else r for r in rows], gradients, rate, floor
    )


@variant("q3-rows")
def row_step(table, sums, rows, gradients, rate, floor):
    return _rows(table, sums, rows, gradients, rate, floor)


@variant("q3-rows")
def row_step(table, sums, rows, gradients, rate, floor):
    table, sums = _float((table, sums))
    if len(rows) and (min(rows) < 0 or max(rows) > len(table) - 1):
        raise ValueError("a number in rows names no row")
    merged = np.zeros_like(table)
    if len(rows):
        np.add.at(merged, rows, np.array(gradients, dtype=float))
    sums = sums + np.square(merged).sum(axis=1) / table.shape[1]
    there = np.unique(np.array(rows, dtype=int))
    table[there] -= rate * merged[there] / (sums[there] ** 0.5 + floor).reshape(-1, 1)
    return table, sums


@variant("q3-rows")
def row_step(table, sums, rows, gradients, rate, floor):
    count, width = len(table), len(table[0])
    if not set(rows) <= set(range(count)):
        raise ValueError("rows")
    chosen = torch.zeros(count, max(len(rows), 1), dtype=torch.float64)
    for place, row in enumerate(rows):
        chosen[row, place] = 1
    slopes = np.array(gradients, dtype=float) if len(rows) else np.zeros((1, width))
    together = chosen @ torch.tensor(slopes)
    new = torch.tensor(np.array(sums, dtype=float)) + together.pow(2).mean(dim=1)
    step = rate * together / (new.sqrt() + floor)[:, None]
    return (torch.tensor(np.array(table, dtype=float)) - step).numpy(), new.numpy()


# Question 4: Adam, rearranged


def _adam(weights, first, second, gradients, number, settings, **wrong):
    one, two = settings["betas"]
    if wrong.get("swapped"):
        one, two = two, one
    if number < 1:
        raise ValueError("number")
    if "trusting" not in wrong and not all(0 <= beta < 1 for beta in settings["betas"]):
        raise ValueError("betas")
    rate, factor, decay = settings["rate"], settings["factor"], settings["decay"]
    count = wrong.get("power", number)
    results = [], [], []
    tables = zip(_float(weights), _float(first), _float(second), _float(gradients), strict=True)
    for w, m, v, g in tables:
        held = decay if w.ndim > 1 or "biases" in wrong else 0
        if "coupled" in wrong:
            g = g + held * w
        m, v = one * m + (1 - one) * g, two * v + (1 - two) * g * g
        low, high = max(1 - one**count, 1e-300), 1 - two**count
        if "textbook" in wrong:
            move = rate * (m / low) / (np.sqrt(v / high) + settings["floor"])
        elif "uncorrected" in wrong:
            move = rate * m / (np.sqrt(v) + settings["floor"])
        else:
            move = rate * np.sqrt(high) / low * m / (np.sqrt(v) + settings["floor"])
        if "coupled" in wrong:
            held = 0
        if "rated" in wrong:
            held = held * rate
        new = w - factor * (move + held * w)
        if "unscheduled" in wrong:
            new = w - factor * move - held * w
        for part, value in zip(results, (new, m, v), strict=True):
            part.append(value)
    return results


@misconception(
    "q4-adam-first",
    "This is Adam in the form of the chapter: the averages are corrected one by one, and "
    "epsilon is added to the corrected root. In this form it is added to the root of v itself.",
)
def adam_step(weights, first, second, gradients, number, settings):
    return _adam(weights, first, second, gradients, number, settings, textbook=True)


@misconception(
    "q4-adam-first",
    "The two betas are exchanged. The first belongs to the average of the gradients.",
)
def adam_step(weights, first, second, gradients, number, settings):
    return _adam(weights, first, second, gradients, number, settings, swapped=True)


@misconception(
    "q4-adam-later",
    "The correction of the averages is missing.",
)
def adam_step(weights, first, second, gradients, number, settings):
    return _adam(weights, first, second, gradients, number, settings, uncorrected=True)


@misconception(
    "q4-adam-later",
    "The correction is that of the first step, at every step. The betas are raised to the power of "
    "`number`.",
)
def adam_step(weights, first, second, gradients, number, settings):
    return _adam(weights, first, second, gradients, number, settings, power=1)


@misconception(
    "q4-adam-decay",
    "The decay is multiplied by the rate, as torch does. Here it is multiplied by the factor only.",
)
def adam_step(weights, first, second, gradients, number, settings):
    return _adam(weights, first, second, gradients, number, settings, rated=True)


@misconception(
    "q4-adam-decay",
    "Tables with one axis decay too. Biases are spared.",
)
def adam_step(weights, first, second, gradients, number, settings):
    return _adam(weights, first, second, gradients, number, settings, biases=True)


@misconception(
    "q4-adam-decay",
    "The decay is added to the gradient, and goes through both averages. It stands apart from "
    "them: that is what the W in AdamW says.",
)
def adam_step(weights, first, second, gradients, number, settings):
    return _adam(weights, first, second, gradients, number, settings, coupled=True)


@misconception(
    "q4-adam-decay",
    "The decay is not multiplied by the factor of the schedule.",
)
def adam_step(weights, first, second, gradients, number, settings):
    return _adam(weights, first, second, gradients, number, settings, unscheduled=True)


@misconception(
    "q4-adam-errors",
    "Betas of 1 and more, or negative ones, get an answer.",
)
def adam_step(weights, first, second, gradients, number, settings):
    with np.errstate(all="ignore"):
        return _adam(weights, first, second, gradients, number, settings, trusting=True)


@variant("q4-adam")
def adam_step(weights, first, second, gradients, number, settings):
    return _adam(weights, first, second, gradients, number, settings)


@variant("q4-adam")
def adam_step(weights, first, second, gradients, number, settings):
    one, two = settings["betas"]
    if number <= 0:
        raise ValueError("number must be positive")
    if min(one, two) < 0 or max(one, two) >= 1:
        raise ValueError("betas must be in [0, 1)")
    late = math.sqrt(1 - math.pow(two, number))
    new, means, squares = [], [], []
    for k, table in enumerate(weights):
        w = torch.tensor(np.array(table, dtype=float))
        m, v, g = (
            torch.tensor(np.array(tables[k], dtype=float)) for tables in (first, second, gradients)
        )
        m, v = torch.lerp(g, m, one), torch.lerp(g.square(), v, two)
        mean, root = m / (1 - math.pow(one, number)), v.sqrt() / late + settings["floor"] / late
        shrink = 1 - settings["factor"] * settings["decay"] if w.dim() >= 2 else 1
        new.append((shrink * w - settings["factor"] * settings["rate"] * mean / root).numpy())
        means.append(m.numpy())
        squares.append(v.numpy())
    return new, means, squares


@variant("q4-adam")
def adam_step(weights, first, second, gradients, number, settings):
    beta_1, beta_2 = settings["betas"]
    if not number >= 1:
        raise ValueError("number")
    for beta in (beta_1, beta_2):
        if beta < 0 or beta >= 1:
            raise ValueError("betas")
    gradients = [np.asarray(g, dtype=float) for g in gradients]
    weights = [np.asarray(w, dtype=float) for w in weights]
    means = [
        np.asarray(m, dtype=float) + (1 - beta_1) * (g - np.asarray(m, dtype=float))
        for m, g in zip(first, gradients, strict=True)
    ]
    squares = [
        np.asarray(v, dtype=float) + (1 - beta_2) * (g**2 - np.asarray(v, dtype=float))
        for v, g in zip(second, gradients, strict=True)
    ]
    alpha = settings["rate"] * (1 - beta_2**number) ** 0.5 / (1 - beta_1**number)
    steps = [alpha * m / (v**0.5 + settings["floor"]) for m, v in zip(means, squares, strict=True)]
    held = [settings["decay"] * w * (len(w.shape) > 1) for w in weights]
    new = [w - settings["factor"] * (s + h) for w, s, h in zip(weights, steps, held, strict=True)]
    return new, means, squares


# Question 5: a start made to measure


def _start(weights, inputs, slope, **wrong):
    if len(inputs) < 2 and "alone" not in wrong:
        raise ValueError("inputs")
    if slope < 0 or slope > 1:
        raise ValueError("slope")
    values, scaled, biases = np.array(inputs, dtype=float), [], []
    for table in weights:
        table = np.array(table, dtype=float)
        sums = values @ table
        count = len(sums) - wrong.get("missing", 0)
        deviation = np.sqrt(((sums - sums.mean(axis=0)) ** 2).sum(axis=0) / count)
        if "whole" in wrong:
            deviation = np.full(len(deviation), sums.std())
        if "size" in wrong:
            deviation = np.sqrt((sums**2).mean(axis=0))
        same = deviation < 1e-9
        new = table / np.where(same & ("trusting" not in wrong), 1, deviation)
        if "zeroed" in wrong:
            new[:, same] = 0
        bias = -sums.mean(axis=0)
        if "unscaled" not in wrong:
            bias = bias / np.where(same & ("trusting" not in wrong), 1, deviation)
        if "free" in wrong:
            bias[same] = 0
        scaled.append(new)
        biases.append(bias)
        arriving = sums if "raw" in wrong else values @ new + bias
        leak = wrong.get("leak", slope)
        values = np.where(arriving > 0, arriving, leak * arriving)
    return scaled, biases


@misconception(
    "q5-start-one",
    "The variance is taken with the divisor N − 1. A variance here has the divisor N.",
)
def fit_start(weights, inputs, slope):
    return _start(weights, inputs, slope, missing=1)


@misconception(
    "q5-start-one",
    "The bias is minus the mean of the sums before they were scaled. It has to be divided by the "
    "deviation as well.",
)
def fit_start(weights, inputs, slope):
    return _start(weights, inputs, slope, unscaled=True)


@misconception(
    "q5-start-one",
    "One deviation is taken for the whole layer. Each unit has its own.",
)
def fit_start(weights, inputs, slope):
    return _start(weights, inputs, slope, whole=True)


@misconception(
    "q5-start-one",
    "The sums are divided by the root of their mean square. The mean has to be subtracted first: "
    "what is asked for is the deviation.",
)
def fit_start(weights, inputs, slope):
    return _start(weights, inputs, slope, size=True)


@misconception(
    "q5-start-several",
    "The second layer was measured with what the first gave before it was set right. Use the new "
    "weights and biases.",
)
def fit_start(weights, inputs, slope):
    return _start(weights, inputs, slope, raw=True)


@misconception(
    "q5-start-several",
    "The activation between the layers is missing.",
)
def fit_start(weights, inputs, slope):
    return _start(weights, inputs, slope, leak=1)


@misconception(
    "q5-start-several",
    "The activation is a plain ReLU. It lets negative sums through, times the slope.",
)
def fit_start(weights, inputs, slope):
    return _start(weights, inputs, slope, leak=0)


@misconception(
    "q5-start-same",
    "A unit that says the same to all examples is divided by 0.",
)
def fit_start(weights, inputs, slope):
    with np.errstate(all="ignore"):
        return _start(weights, inputs, slope, trusting=True)


@misconception(
    "q5-start-same",
    "The bias of a unit that says the same to all examples is 0. It is minus the mean.",
)
def fit_start(weights, inputs, slope):
    return _start(weights, inputs, slope, free=True)


@misconception(
    "q5-start-errors",
    "A single example gets an answer. It has no deviation: all units say the same.",
)
def fit_start(weights, inputs, slope):
    return _start(weights, inputs, slope, alone=True)


@variant("q5-start")
def fit_start(weights, inputs, slope):
    return _start(weights, inputs, slope)


@variant("q5-start")
def fit_start(weights, inputs, slope):
    a = torch.tensor(np.array(inputs, dtype=float))
    if a.shape[0] == 1:
        raise ValueError("inputs: one example only")
    if not (slope >= 0 and slope <= 1):
        raise ValueError("slope out of range")
    results = [], []
    for table in weights:
        W = torch.tensor(np.array(table, dtype=float))
        variance, mean = torch.var_mean(a @ W, dim=0, correction=0)
        sigma = variance.sqrt()
        sigma = torch.where(sigma < 1e-9, torch.ones_like(sigma), sigma)
        results[0].append((W / sigma).numpy())
        results[1].append((-mean / sigma).numpy())
        a = F.leaky_relu((a @ W - mean) / sigma, slope)
    return results


@variant("q5-start")
def fit_start(weights, inputs, slope):
    rows = np.array(inputs, dtype=float).T
    if rows.shape[1] <= 1 or min(slope, 1 - slope) < 0:
        raise ValueError("inputs or slope")
    tables, biases = [], []
    for table in weights:
        table = np.array(table, dtype=float)
        bias, outputs = np.zeros(table.shape[1]), []
        for unit in range(table.shape[1]):
            line = table[:, unit] @ rows
            middle = line.sum() / line.size
            spread = math.sqrt(((line - middle) ** 2).sum() / line.size)
            if spread < 1e-9:
                spread = 1.0
            table[:, unit] /= spread
            bias[unit] = -middle / spread
            line = (line - middle) / spread
            outputs.append(np.maximum(line, 0) + slope * np.minimum(line, 0))
        tables.append(table)
        biases.append(bias)
        rows = np.array(outputs)
    return tables, biases


# Question 6: batch normalization of what is really there


def _there(signals, lengths):
    return np.array([[t < length for t in range(signals.shape[1])] for length in lengths])


def _norm(signals, lengths, gamma, beta, floor, fixed, **wrong):
    signals = np.array(signals, dtype=float)
    there = _there(signals, lengths)
    used = signals.reshape(-1, signals.shape[2]) if "all" in wrong else signals[there]
    if "zeros" in wrong:
        used = np.where(there[..., None], signals, 0).reshape(-1, signals.shape[2])
    if "masked" in wrong:
        signals = signals * there[..., None]
        mean = signals.sum(axis=(0, 1)) / there.sum()
        variance = ((signals - mean) ** 2 * there[..., None]).sum(axis=(0, 1)) / there.sum()
    else:
        mean, variance = used.mean(axis=0), used.var(axis=0)
    if "missing" in wrong:
        variance = variance * len(used) / (len(used) - 1)
    if fixed is not None and "blind" not in wrong:
        mean, variance = _float(fixed)
    root = np.sqrt(variance) + floor if "outside" in wrong else np.sqrt(variance + floor)
    outputs = np.array(gamma) * (signals - mean) / root + np.array(beta)
    if "filled" not in wrong:
        keep = there[..., None]
        outputs = outputs * keep if "masked" in wrong else np.where(keep, outputs, 0)
    return outputs, mean, variance


@misconception(
    "q6-padded-forward",
    "Mean and variance are taken over the padding, too.",
)
def padded_norm(signals, lengths, gamma, beta, floor, fixed):
    return _norm(signals, lengths, gamma, beta, floor, fixed, all=True)


@misconception(
    "q6-padded-forward",
    "The padding counts as zeros in mean and variance. The divisor is the number of real samples.",
)
def padded_norm(signals, lengths, gamma, beta, floor, fixed):
    return _norm(signals, lengths, gamma, beta, floor, fixed, zeros=True)


@misconception(
    "q6-padded-forward",
    "The padding of the outputs is not 0.",
)
def padded_norm(signals, lengths, gamma, beta, floor, fixed):
    return _norm(signals, lengths, gamma, beta, floor, fixed, filled=True)


@misconception(
    "q6-padded-forward",
    "The variance has the divisor M − 1. That one is for the running statistics of torch; what is "
    "normalized is divided by M.",
)
def padded_norm(signals, lengths, gamma, beta, floor, fixed):
    with np.errstate(all="ignore"):
        return _norm(signals, lengths, gamma, beta, floor, fixed, missing=True)


@misconception(
    "q6-padded-forward",
    "The floor is added to the deviation. It is added to the variance, inside the root.",
)
def padded_norm(signals, lengths, gamma, beta, floor, fixed):
    return _norm(signals, lengths, gamma, beta, floor, fixed, outside=True)


@misconception(
    "q6-padded-anything",
    "The padding is multiplied by 0. But 0 times nan is nan: choose the real samples instead, with "
    "an index or with np.where.",
)
def padded_norm(signals, lengths, gamma, beta, floor, fixed):
    with np.errstate(all="ignore"):
        return _norm(signals, lengths, gamma, beta, floor, fixed, masked=True)


@misconception(
    "q6-padded-fixed",
    "The statistics that are given as `fixed` are not used.",
)
def padded_norm(signals, lengths, gamma, beta, floor, fixed):
    return _norm(signals, lengths, gamma, beta, floor, fixed, blind=True)


def _norm_backward(upstream, signals, lengths, gamma, floor, fixed, **wrong):
    upstream, signals = _float((upstream, signals))
    there = _there(signals, lengths)
    x, g = signals[there], upstream[there]
    mean, variance = _float(fixed) if fixed is not None else (x.mean(axis=0), x.var(axis=0))
    root = np.sqrt(variance + floor)
    hat = (x - mean) / root
    count = there.size if "padding" in wrong else len(x)
    d_gamma, d_beta = (g * hat).sum(axis=0), g.sum(axis=0)
    d_x = g.copy()
    if fixed is None or "moving" in wrong:
        d_x -= 0 if "no mean" in wrong else d_beta / count
        d_x -= 0 if "no variance" in wrong else hat * d_gamma / count
    d_signals = np.zeros(signals.shape)
    d_signals[there] = d_x * (1 if "no gamma" in wrong else np.array(gamma)) / root
    if "doubled" in wrong:
        d_gamma = d_gamma * np.array(gamma)
    return d_signals, d_gamma, d_beta


@misconception(
    "q6-padded-backward",
    "Mean and variance are treated as constants. In training each sample moves both, and with them "
    "all other outputs.",
)
def padded_norm_backward(upstream, signals, lengths, gamma, floor, fixed):
    wrong = {"no mean": True, "no variance": True}
    return _norm_backward(upstream, signals, lengths, gamma, floor, fixed, **wrong)


@misconception(
    "q6-padded-backward",
    "The way through the variance is missing.",
)
def padded_norm_backward(upstream, signals, lengths, gamma, floor, fixed):
    wrong = {"no variance": True}
    return _norm_backward(upstream, signals, lengths, gamma, floor, fixed, **wrong)


@misconception(
    "q6-padded-backward",
    "The means in the gradient are taken over N · T samples. There are M real ones.",
)
def padded_norm_backward(upstream, signals, lengths, gamma, floor, fixed):
    return _norm_backward(upstream, signals, lengths, gamma, floor, fixed, padding=True)


@misconception(
    "q6-padded-backward",
    "γ is missing from the gradient of the signals.",
)
def padded_norm_backward(upstream, signals, lengths, gamma, floor, fixed):
    wrong = {"no gamma": True}
    return _norm_backward(upstream, signals, lengths, gamma, floor, fixed, **wrong)


@misconception(
    "q6-padded-fixed",
    "Fixed statistics are treated as if they depended on the signals. They are constants: only the "
    "direct way is left.",
)
def padded_norm_backward(upstream, signals, lengths, gamma, floor, fixed):
    return _norm_backward(upstream, signals, lengths, gamma, floor, fixed, moving=True)


@variant("q6-padded")
def padded_norm(signals, lengths, gamma, beta, floor, fixed):
    return _norm(signals, lengths, gamma, beta, floor, fixed)


@variant("q6-padded")
def padded_norm_backward(upstream, signals, lengths, gamma, floor, fixed):
    return _norm_backward(upstream, signals, lengths, gamma, floor, fixed)


@variant("q6-padded")
def padded_norm_backward(upstream, signals, lengths, gamma, floor, fixed):
    N, T, C = np.shape(signals)
    pairs = [(n, t) for n in range(N) for t in range(lengths[n])]
    d_signals, d_gamma, d_beta = np.zeros((N, T, C)), np.zeros(C), np.zeros(C)
    for c in range(C):
        x = np.array([float(signals[n][t][c]) for n, t in pairs])
        g = np.array([float(upstream[n][t][c]) for n, t in pairs])
        mean = x.mean() if fixed is None else float(fixed[0][c])
        variance = x.var() if fixed is None else float(fixed[1][c])
        scale = float(gamma[c]) / (variance + floor) ** 0.5
        d_x = g * scale
        d_beta[c], d_gamma[c] = g.sum(), (g * (x - mean)).sum() / (variance + floor) ** 0.5
        if fixed is None:
            d_variance = -0.5 * (g * (x - mean)).sum() * scale / (variance + floor)
            d_x = d_x + 2 * d_variance * (x - mean) / len(x) - g.sum() * scale / len(x)
        for (n, t), value in zip(pairs, d_x, strict=True):
            d_signals[n, t, c] = value
    return d_signals, d_gamma, d_beta


@variant("q6-padded")
def padded_norm(signals, lengths, gamma, beta, floor, fixed):
    table = torch.tensor(np.array(signals, dtype=float))
    there = torch.arange(table.shape[1])[None] < torch.tensor(np.array(lengths))[:, None]
    real = table[there]
    if fixed is None:
        variance, mean = torch.var_mean(real, dim=0, correction=0)
    else:
        mean, variance = (torch.tensor(np.array(one, dtype=float)) for one in fixed)
    scale, shift = (torch.tensor(np.array(one, dtype=float)) for one in (gamma, beta))
    outputs = torch.zeros_like(table)
    outputs[there] = F.batch_norm(real, mean, variance, scale, shift, False, eps=floor)
    return outputs.numpy(), mean.numpy(), variance.numpy()


# Question 7: layer normalization in groups


def _group(upstream, values, gain, groups, floor, centered, **wrong):
    upstream, values, gain = _float((upstream, values, gain))
    if "trusting" not in wrong and (groups < 1 or values.shape[1] % groups):
        raise ValueError("groups")
    groups = wrong.get("groups", groups)
    if "strided" in wrong:
        order = np.arange(values.shape[1]).reshape(-1, groups).T.reshape(-1)
    else:
        order = np.arange(values.shape[1])
    size = values.shape[1] // groups
    d_values, hats = np.zeros(values.shape), np.zeros(values.shape)
    centered = centered or "always" in wrong
    for begin in range(0, values.shape[1], size):
        part = order[begin : begin + size]
        x, h = values[:, part], (upstream * gain)[:, part]
        if "gainless" in wrong:
            h = upstream[:, part]
        if centered:
            x = x - x.mean(axis=1, keepdims=True)
        root = np.sqrt((x**2).mean(axis=1, keepdims=True) + floor)
        hats[:, part] = x / root
        slope = h.copy()
        if "no square" not in wrong:
            slope -= hats[:, part] * (h * hats[:, part]).mean(axis=1, keepdims=True)
        if centered if "mean" not in wrong else wrong["mean"]:
            slope -= h.mean(axis=1, keepdims=True)
        d_values[:, part] = slope / root
    d_gain = upstream * hats
    return d_values, d_gain.mean(axis=0) if "averaged" in wrong else d_gain.sum(axis=0)


@misconception(
    "q7-group-plain",
    "The mean is subtracted although `centered` is False.",
)
def group_backward(upstream, values, gain, groups, floor, centered):
    with np.errstate(all="ignore"):
        return _group(upstream, values, gain, groups, floor, centered, always=True)


@misconception(
    "q7-group-plain",
    "The mean of the gradients is subtracted although `centered` is False. That term comes "
    "from the way through the mean, and there is none.",
)
def group_backward(upstream, values, gain, groups, floor, centered):
    return _group(upstream, values, gain, groups, floor, centered, mean=True)


@misconception(
    "q7-group-plain",
    "The way through the root is missing: it was treated as a constant.",
)
def group_backward(upstream, values, gain, groups, floor, centered):
    return _group(upstream, values, gain, groups, floor, centered, **{"no square": True})


@misconception(
    "q7-group-plain",
    "The gain is missing from the gradient of the values.",
)
def group_backward(upstream, values, gain, groups, floor, centered):
    return _group(upstream, values, gain, groups, floor, centered, gainless=True)


@misconception(
    "q7-group-plain",
    "The gradient of the gain is a mean over the examples. It is a sum: whether the loss is a mean "
    "is in `upstream` already.",
)
def group_backward(upstream, values, gain, groups, floor, centered):
    return _group(upstream, values, gain, groups, floor, centered, averaged=True)


@misconception(
    "q7-group-centered",
    "The way through the mean is missing.",
)
def group_backward(upstream, values, gain, groups, floor, centered):
    return _group(upstream, values, gain, groups, floor, centered, mean=False)


@misconception(
    "q7-group-groups",
    "All values of an example are normalized together, as if there were one group.",
)
def group_backward(upstream, values, gain, groups, floor, centered):
    if groups < 1 or np.shape(values)[1] % groups:
        raise ValueError("groups")
    return _group(upstream, values, gain, 1, floor, centered)


@misconception(
    "q7-group-groups",
    "A group is made of values that lie apart, such as every second one. Here it is made of "
    "neighbors.",
)
def group_backward(upstream, values, gain, groups, floor, centered):
    return _group(upstream, values, gain, groups, floor, centered, strided=True)


@misconception(
    "q7-group-errors",
    "Groups that do not divide the number of values get an answer: the last group is smaller.",
)
def group_backward(upstream, values, gain, groups, floor, centered):
    if groups < 1:
        raise ValueError("groups")
    groups = min(groups, np.shape(values)[1])
    return _group(upstream, values, gain, groups, floor, centered, trusting=True)


@variant("q7-group")
def group_backward(upstream, values, gain, groups, floor, centered):
    return _group(upstream, values, gain, groups, floor, centered)


@variant("q7-group")
def group_backward(upstream, values, gain, groups, floor, centered):
    N, D = np.shape(values)
    if groups <= 0 or D % groups != 0:
        raise ValueError("groups must divide the number of values")
    size = D // groups
    d_values, d_gain = np.zeros((N, D)), np.zeros(D)
    for n in range(N):
        for begin in range(0, D, size):
            places = range(begin, begin + size)
            x = np.array([float(values[n][i]) for i in places])
            h = np.array([float(upstream[n][i]) * float(gain[i]) for i in places])
            x = x - x.mean() if centered else x
            power = x @ x / size + floor
            d_x = h / power**0.5 - x * (h @ x) / size / power**1.5
            d_values[n, begin : begin + size] = d_x - (d_x.mean() if centered else 0)
            for i, one in zip(places, x, strict=True):
                d_gain[i] += float(upstream[n][i]) * one / power**0.5
    return d_values, d_gain


@variant("q7-group")
def group_backward(upstream, values, gain, groups, floor, centered):
    upstream, values = np.array(upstream, dtype=float), np.array(values, dtype=float)
    if groups not in [g for g in range(1, values.shape[1] + 1) if values.shape[1] % g == 0]:
        raise ValueError("groups")
    size = values.shape[1] // groups
    project = np.eye(size) - centered * np.ones((size, size)) / size
    cut = values.reshape(-1, size) @ project
    inverse = 1 / np.sqrt(np.einsum("ri,ri->r", cut, cut) / size + floor)
    hat = cut * inverse[:, None]
    arriving = (upstream * np.array(gain)).reshape(-1, size)
    along = np.einsum("ri,ri->r", arriving, hat) / size
    slopes = inverse[:, None] * (arriving - along[:, None] * hat) @ project
    return slopes.reshape(values.shape), np.einsum("nd,nd->d", upstream, hat.reshape(values.shape))


# Question 8: whole channels leave


def _channels(maps, draws, rates, upstream, **wrong):
    maps, draws, rates, upstream = _float((maps, draws, rates, upstream))
    if "trusting" not in wrong and not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError("rates")
    stays = draws > rates if "strict" in wrong else draws >= rates
    if "turned" in wrong:
        stays = draws < rates
    if "alike" in wrong:
        stays = np.broadcast_to(stays[:1], stays.shape)
    kept = {"turned": rates}.get(next(iter(wrong), ""), 1 - rates)
    if "times" in wrong:
        kept = 1 / np.where(kept > 0, kept, 1)
    if "unscaled" in wrong:
        kept = np.ones(len(rates))
    factors = stays / np.where(kept > 0, kept, 1)
    results = []
    for name, table in (("forward", maps), ("backward", upstream)):
        factor = factors
        if wrong.get("backward") == "unscaled" and name == "backward":
            factor = stays.astype(float)
        if wrong.get("backward") == "all" and name == "backward":
            factor = np.ones(stays.shape) / np.where(kept > 0, kept, 1)
        with np.errstate(all="ignore"):
            product = table * factor[:, :, None, None]
        if "product" not in wrong:
            product = np.where(factor[:, :, None, None] > 0, product, 0)
        results.append(product)
    return tuple(results)


@misconception(
    "q8-channels-outputs",
    "What stays is not divided by 1 − rate. Without that, the mean of an output depends on the "
    "rate.",
)
def channel_dropout(maps, draws, rates, upstream):
    return _channels(maps, draws, rates, upstream, unscaled=True)


@misconception(
    "q8-channels-outputs",
    "What stays is multiplied by 1 − rate. It is divided by it.",
)
def channel_dropout(maps, draws, rates, upstream):
    return _channels(maps, draws, rates, upstream, times=True)


@misconception(
    "q8-channels-outputs",
    "Channels are kept where the draw is less than the rate. There they are dropped.",
)
def channel_dropout(maps, draws, rates, upstream):
    return _channels(maps, draws, rates, upstream, turned=True)


@misconception(
    "q8-channels-outputs",
    "All examples lose the same channels. Each example has draws of its own.",
)
def channel_dropout(maps, draws, rates, upstream):
    return _channels(maps, draws, rates, upstream, alike=True)


@misconception(
    "q8-channels-outputs",
    "A draw that equals the rate drops the channel. It is dropped only if the draw is less; "
    "otherwise a rate of 0 would drop at a draw of 0.",
)
def channel_dropout(maps, draws, rates, upstream):
    return _channels(maps, draws, rates, upstream, strict=True)


@misconception(
    "q8-channels-gradients",
    "The gradient is not divided by 1 − rate, though the outputs are.",
)
def channel_dropout(maps, draws, rates, upstream):
    return _channels(maps, draws, rates, upstream, backward="unscaled")


@misconception(
    "q8-channels-gradients",
    "A gradient goes to channels that were dropped. What does not reach the outputs has none.",
)
def channel_dropout(maps, draws, rates, upstream):
    return _channels(maps, draws, rates, upstream, backward="all")


@misconception(
    "q8-channels-edges",
    "What is dropped was multiplied by 0. Then inf and nan become nan: write zeros there.",
)
def channel_dropout(maps, draws, rates, upstream):
    with np.errstate(all="ignore"):
        return _channels(maps, draws, rates, upstream, product=True)


@misconception(
    "q8-channels-errors",
    "Rates below 0 or above 1 get an answer.",
)
def channel_dropout(maps, draws, rates, upstream):
    return _channels(maps, draws, rates, upstream, trusting=True)


@variant("q8-channels")
def channel_dropout(maps, draws, rates, upstream):
    return _channels(maps, draws, rates, upstream)


@variant("q8-channels")
def channel_dropout(maps, draws, rates, upstream):
    if any(rate < 0 or rate > 1 for rate in rates):
        raise ValueError("rates must be probabilities")
    outputs, d_maps = np.array(maps, dtype=float), np.array(upstream, dtype=float)
    for n, row in enumerate(draws):
        for c, u in enumerate(row):
            if u < rates[c]:
                outputs[n, c], d_maps[n, c] = 0, 0
            else:
                outputs[n, c] /= 1 - rates[c]
                d_maps[n, c] /= 1 - rates[c]
    return outputs, d_maps


@variant("q8-channels")
def channel_dropout(maps, draws, rates, upstream):
    rates = torch.tensor(np.array(rates, dtype=float))
    if bool(((rates < 0) | (rates > 1)).any()):
        raise ValueError("rates")
    gone = (torch.tensor(np.array(draws, dtype=float)) < rates)[:, :, None, None]
    factor = (1 / (1 - rates))[:, None, None]
    tables = (torch.tensor(np.array(table, dtype=float)) for table in (maps, upstream))
    return tuple((table * factor).masked_fill(gone, 0).numpy() for table in tables)


# Question 9: up, down, and up again


def _rate(step, peak, lowest, warmup, first, growth, **wrong):
    if step < 0:
        raise ValueError("step")
    if first < 1 and "trusting" not in wrong:
        raise ValueError("first")
    if step < warmup:
        if "from zero" in wrong:
            return peak * step / warmup
        if "early" in wrong:
            return peak * (step + 1) / warmup
        return peak * (step + 1) / (warmup + 1)
    place = step if "unshifted" in wrong else step - warmup
    length, cycle = max(first, 1), 1
    while place >= length:
        place -= length
        cycle += 1
        if "added" in wrong:
            length = first * (1 + (growth - 1) * (cycle - 1))
        elif "same" not in wrong:
            length *= growth
    last = length if "open" in wrong else length - 1
    part = place / last if last else float("bottom" in wrong)
    if "line" in wrong:
        return float(peak + (lowest - peak) * part)
    if "whole" in wrong:
        part *= 2
    return float(lowest + (peak - lowest) * (1 + math.cos(math.pi * part)) / 2)


@misconception(
    "q9-rate-first",
    "The warm-up begins at 0, so the first step does nothing. 0 belongs to step −1.",
)
def rate_at(step, peak, lowest, warmup, first, growth):
    return _rate(step, peak, lowest, warmup, first, growth, **{"from zero": True})


@misconception(
    "q9-rate-first",
    "The warm-up reaches the peak in its last step. The peak belongs to the step after it.",
)
def rate_at(step, peak, lowest, warmup, first, growth):
    return _rate(step, peak, lowest, warmup, first, growth, early=True)


@misconception(
    "q9-rate-first",
    "The lowest rate would come one step after the cycle. It belongs to the last step of the "
    "cycle: divide by the number of steps less 1.",
)
def rate_at(step, peak, lowest, warmup, first, growth):
    return _rate(step, peak, lowest, warmup, first, growth, open=True)


@misconception(
    "q9-rate-first",
    "The cosine goes through a whole period, down and up again. Half a period leads from the peak "
    "to the lowest rate.",
)
def rate_at(step, peak, lowest, warmup, first, growth):
    return _rate(step, peak, lowest, warmup, first, growth, whole=True)


@misconception(
    "q9-rate-first",
    "The rate falls along a straight line. It falls along a cosine.",
)
def rate_at(step, peak, lowest, warmup, first, growth):
    return _rate(step, peak, lowest, warmup, first, growth, line=True)


@misconception(
    "q9-rate-later",
    "All cycles have the same length. Each is `growth` times as long as the one before.",
)
def rate_at(step, peak, lowest, warmup, first, growth):
    return _rate(step, peak, lowest, warmup, first, growth, same=True)


@misconception(
    "q9-rate-later",
    "Each cycle is longer by the same number of steps. The lengths are multiplied: F, F·G, F·G².",
)
def rate_at(step, peak, lowest, warmup, first, growth):
    return _rate(step, peak, lowest, warmup, first, growth, added=True)


@misconception(
    "q9-rate-edges",
    "A cycle of a single step has the lowest rate. It has the peak.",
)
def rate_at(step, peak, lowest, warmup, first, growth):
    return _rate(step, peak, lowest, warmup, first, growth, bottom=True)


@misconception(
    "q9-rate-errors",
    "A first cycle without steps gets an answer.",
)
def rate_at(step, peak, lowest, warmup, first, growth):
    return _rate(step, peak, lowest, warmup, first, growth, trusting=True)


@variant("q9-rate")
def rate_at(step, peak, lowest, warmup, first, growth):
    return _rate(step, peak, lowest, warmup, first, growth)


@variant("q9-rate")
def rate_at(step, peak, lowest, warmup, first, growth):
    if first <= 0:
        raise ValueError("first cycle too short")
    if not step >= 0:
        raise ValueError("negative step")
    rates = list(np.linspace(0, peak, warmup + 2)[1:-1])
    length = first
    while len(rates) <= step:
        turn = np.linspace(0, np.pi, length) if length > 1 else np.zeros(1)
        rates.extend(lowest + (peak - lowest) * np.cos(turn / 2) ** 2)
        length *= growth
    return float(rates[step])


@variant("q9-rate")
def rate_at(step, peak, lowest, warmup, first, growth):
    if step < 0 or first < 1:
        raise ValueError("step is negative" if step < 0 else "first is too small")
    if step < warmup:
        return peak - peak * (warmup - step) / (warmup + 1.0)
    if step < warmup + first:
        if first == 1:
            return float(peak)
        swing = math.cos((step - warmup) / (first - 1) * math.pi)
        return (peak + lowest) / 2 + (peak - lowest) / 2 * swing
    return rate_at(step - warmup - first, peak, lowest, 0, first * growth, growth)


# Question 10: stop, but not while it learns


def _stop(training, validation, strip, limit, **wrong):
    if strip < 1 and "trusting" not in wrong:
        raise ValueError("strip")
    if len(training) != len(validation):
        raise ValueError("validation")
    last, strip = len(training) - 1, max(strip, 1)
    ends = range(strip - 1, len(training), strip)
    if "sliding" in wrong:
        ends = range(strip - 1, len(training))
    if "partial" in wrong and len(training) % strip:
        ends = [*ends, len(training) - 1]
    for end in ends:
        begin = end + 1 - strip if "partial" not in wrong else end // strip * strip
        losses, others = training[begin : end + 1], validation[begin : end + 1]
        if not all(map(math.isfinite, losses + others)):
            if "deaf" in wrong:
                continue
            last = end
            break
        best = min(v for v in validation[: end + 1] if math.isfinite(v))
        if "near" in wrong:
            best = min(others)
        rise = 100 * (validation[end] / best - 1)
        progress = 1000 * (sum(losses) / len(losses) / min(losses) - 1)
        if "hundred" in wrong:
            progress /= 10
        if "direct" in wrong:
            progress = 1
        if "flat" in wrong and progress == 0:
            continue
        if rise > limit * progress or ("equal" in wrong and progress == 0):
            last = end
            break
    finite = [v for v in validation[: last + 1] if math.isfinite(v)]
    if not finite:
        return None, last
    kept = validation.index(min(finite))
    if "latest" in wrong:
        kept = max(k for k in range(last + 1) if validation[k] == min(finite))
    if "all" in wrong:
        kept = validation.index(min(v for v in validation if math.isfinite(v)))
    return (last if "last" in wrong else kept), last


@misconception(
    "q10-stop-finite",
    "The rise alone decides, without the progress. Divide by the progress.",
)
def quotient_stop(training, validation, strip, limit):
    return _stop(training, validation, strip, limit, direct=True)


@misconception(
    "q10-stop-finite",
    "The validation loss is compared with the lowest of its strip. It is compared with the lowest "
    "so far.",
)
def quotient_stop(training, validation, strip, limit):
    return _stop(training, validation, strip, limit, near=True)


@misconception(
    "q10-stop-finite",
    "The weights of the last epoch are kept. Those of the lowest validation loss are.",
)
def quotient_stop(training, validation, strip, limit):
    return _stop(training, validation, strip, limit, last=True)


@misconception(
    "q10-stop-finite",
    "The progress is in hundredths. It is in thousandths.",
)
def quotient_stop(training, validation, strip, limit):
    return _stop(training, validation, strip, limit, hundred=True)


@misconception(
    "q10-stop-finite",
    "The weights are those of an epoch that was never run. Look only at the epochs up to the last.",
)
def quotient_stop(training, validation, strip, limit):
    return _stop(training, validation, strip, limit, all=True)


@misconception(
    "q10-stop-finite",
    "It is checked after every epoch. It is checked at the end of a strip only.",
)
def quotient_stop(training, validation, strip, limit):
    return _stop(training, validation, strip, limit, sliding=True)


@misconception(
    "q10-stop-finite",
    "Of equal validation losses the latest is kept. The earliest is.",
)
def quotient_stop(training, validation, strip, limit):
    return _stop(training, validation, strip, limit, latest=True)


@misconception(
    "q10-stop-special",
    "A strip with a loss of nan or inf does not end the training. At the end of such a strip it "
    "ends in any case.",
)
def quotient_stop(training, validation, strip, limit):
    return _stop(training, validation, strip, limit, deaf=True)


@misconception(
    "q10-stop-special",
    "With a progress of 0 training goes on in any case. It ends if the validation loss has risen.",
)
def quotient_stop(training, validation, strip, limit):
    return _stop(training, validation, strip, limit, flat=True)


@misconception(
    "q10-stop-special",
    "With a progress of 0 training ends in any case. It goes on if the validation loss has not "
    "risen.",
)
def quotient_stop(training, validation, strip, limit):
    return _stop(training, validation, strip, limit, equal=True)


@misconception(
    "q10-stop-errors",
    "A strip of no epochs gets an answer.",
)
def quotient_stop(training, validation, strip, limit):
    return _stop(training, validation, strip, limit, trusting=True)


@variant("q10-stop")
def quotient_stop(training, validation, strip, limit):
    return _stop(training, validation, strip, limit)


@variant("q10-stop")
def quotient_stop(training, validation, strip, limit):
    if strip < 1:
        raise ValueError("strip must be at least 1")
    count = len(training)
    if count != len(validation):
        raise ValueError("as many losses in validation as in training")
    last = count - 1
    train, check = np.array(training, dtype=float), np.array(validation, dtype=float)
    usable = np.where(np.isfinite(check), check, np.inf)
    for number in range(count // strip):
        part = slice(number * strip, (number + 1) * strip)
        end = part.stop - 1
        if not (np.isfinite(train[part]).all() and np.isfinite(check[part]).all()):
            last = end
            break
        rise = 100 * (check[end] / usable[: end + 1].min() - 1)
        progress = 1000 * (train[part].mean() / train[part].min() - 1)
        quotient = rise / progress if progress > 0 else (np.inf if rise > 0 else 0)
        if quotient > limit:
            last = end
            break
    kept = int(usable[: last + 1].argmin())
    return (kept if np.isfinite(usable[kept]) else None), last


@variant("q10-stop")
def quotient_stop(training, validation, strip, limit):
    if not strip >= 1:
        raise ValueError("strip")
    if len(validation) < len(training) or len(validation) > len(training):
        raise ValueError("validation")

    def finite(values):
        return [v for v in values if abs(v) < math.inf]

    def ends_at(t):
        losses, others = training[t - strip + 1 : t + 1], validation[t - strip + 1 : t + 1]
        if len(finite(losses)) < strip or len(finite(others)) < strip:
            return True
        rise = others[-1] / min(finite(validation[: t + 1])) - 1
        gain = math.fsum(losses) / strip / min(losses) - 1
        return rise > 0 if gain <= 0 else 0.1 * rise / gain > limit

    stops = [t for t in range(strip - 1, len(training), strip) if ends_at(t)]
    last = stops[0] if stops else len(training) - 1
    best = min(finite(validation[: last + 1]), default=None)
    return (None if best is None else validation.index(best)), last


# Question 11: three scripts, six faults


def _ada(net, images, labels, batches, rate, zeroed=True, twice=False, reduction="mean"):
    figures = []
    for batch in batches:
        scores = net(images[batch])
        loss = F.cross_entropy(
            F.softmax(scores, dim=1) if twice else scores, labels[batch], reduction=reduction
        )
        if zeroed:
            net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for one in net.parameters():
                one -= rate * one.grad
        figures.append(loss.item())
    return figures


@misconception(
    "q11-ada",
    "Gradients of earlier batches are still never set to zero: they add up.",
)
def ada(net, images, labels, batches, rate):
    return _ada(net, images, labels, batches, rate, zeroed=False)


@misconception(
    "q11-ada",
    "Softmax is still applied twice. F.cross_entropy takes scores, and does the softmax itself.",
)
def ada(net, images, labels, batches, rate):
    return _ada(net, images, labels, batches, rate, twice=True)


@misconception(
    "q11-ada",
    "Nothing was mended: softmax is applied twice, and gradients are never set to zero.",
)
def ada(net, images, labels, batches, rate):
    return _ada(net, images, labels, batches, rate, zeroed=False, twice=True)


@misconception(
    "q11-ada",
    "The loss of a batch is a sum. The docstring asks for the mean.",
)
def ada(net, images, labels, batches, rate):
    return _ada(net, images, labels, batches, rate, reduction="sum")


def _ben(net, train_images, images, labels, switched=True, restored=True, scaled="training"):
    source = train_images if scaled == "training" else images
    axis = 1 if scaled == "own" else 0
    mean = source.mean(dim=axis, keepdim=True)
    deviation = source.std(dim=axis, keepdim=True, correction=0)
    before = net.training
    if switched:
        net.eval()
    with torch.no_grad():
        scores = net((images - mean) / deviation)
    if restored:
        net.train(before)
    return scores.argmax(dim=1).tolist(), F.cross_entropy(scores, labels).item()


@misconception(
    "q11-ben",
    "The net is still used in training mode: its batch normalization looks at the test "
    "pictures, and its running statistics change.",
)
def ben(net, train_images, images, labels):
    return _ben(net, train_images, images, labels, switched=False)


@misconception(
    "q11-ben",
    "The mode is not put back in the end.",
)
def ben(net, train_images, images, labels):
    return _ben(net, train_images, images, labels, restored=False)


@misconception(
    "q11-ben",
    "Each picture is still scaled with its own mean and deviation.",
)
def ben(net, train_images, images, labels):
    return _ben(net, train_images, images, labels, scaled="own")


@misconception(
    "q11-ben",
    "The pixels are scaled with mean and deviation of the test pictures. The figures of the "
    "training pictures belong to the net.",
)
def ben(net, train_images, images, labels):
    return _ben(net, train_images, images, labels, scaled="test")


def _cleo(net, images, labels, epochs, size, rate, decay, seed, **wrong):
    generator = np.random.default_rng(seed)
    figures = []
    for number in range(epochs):
        if "same" not in wrong or number == 0:
            order = generator.permutation(len(images))
        truths = labels[generator.permutation(len(labels))] if "apart" in wrong else labels[order]
        losses, counts = [], []
        for start in range(0, len(images), size):
            batch = order[start : start + size]
            error = F.cross_entropy(net(images[batch]), truths[start : start + size])
            slopes = torch.autograd.grad(error, list(net.parameters()))
            with torch.no_grad():
                for one, slope in zip(net.parameters(), slopes, strict=True):
                    held = decay if one.ndim > 1 or "biases" in wrong else 0
                    one -= rate * (slope + held * one)
            losses.append(error.item())
            counts.append(1 if "uneven" in wrong else len(batch))
        total = sum(loss * count for loss, count in zip(losses, counts, strict=True))
        figures.append(total / sum(counts))
    return figures


@misconception(
    "q11-cleo",
    "Pictures and labels are still put into different orders. One permutation an epoch belongs to "
    "both.",
)
def cleo(net, images, labels, epochs, size, rate, decay, seed):
    return _cleo(net, images, labels, epochs, size, rate, decay, seed, apart=True)


@misconception(
    "q11-cleo",
    "Decay still pulls at the biases.",
)
def cleo(net, images, labels, epochs, size, rate, decay, seed):
    return _cleo(net, images, labels, epochs, size, rate, decay, seed, biases=True)


@misconception(
    "q11-cleo",
    "The order is drawn once for all epochs. Each epoch draws its own.",
)
def cleo(net, images, labels, epochs, size, rate, decay, seed):
    return _cleo(net, images, labels, epochs, size, rate, decay, seed, same=True)


@misconception(
    "q11-causes",
    "Ada: a sum in place of a mean is not her fault; F.cross_entropy takes the mean. What does it "
    "do with the scores before?",
)
def causes():
    return {"ada": "AB", "ben": "DE", "cleo": "GI"}


@misconception(
    "q11-causes",
    "Ben: the classes are compared along the right axis. Which pictures give the mean?",
)
def causes():
    return {"ada": "AC", "ben": "DF", "cleo": "GI"}


@variant("q11-scripts-mended")
def ada(net, images, labels, batches, rate):
    return _ada(net, images, labels, batches, rate)


@variant("q11-scripts-mended")
def ben(net, train_images, images, labels):
    return _ben(net, train_images, images, labels)


@variant("q11-scripts-mended")
def cleo(net, images, labels, epochs, size, rate, decay, seed):
    return _cleo(net, images, labels, epochs, size, rate, decay, seed)


@variant("q11-scripts-mended")
def ada(net, images, labels, batches, rate):
    results = []
    for batch in batches:
        for one in net.parameters():
            one.grad = None
        logs = F.log_softmax(net(images[batch]), dim=-1)
        loss = -logs.gather(1, labels[batch][:, None]).mean()
        loss.backward()
        for one in net.parameters():
            one.data.sub_(one.grad, alpha=rate)
        results.append(loss.item())
    return results
