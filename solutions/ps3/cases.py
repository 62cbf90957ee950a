"""Wrong answers that people give to problem set 3, and right answers written another way."""

import numpy as np

from referee.cases import misconception, variant

# Checks of arguments, as the docstrings of the questions ask for them.


def _floats(*values):
    return [np.array(value, dtype=float) for value in values]


def _check_columns(inputs, weights, decay):
    if np.shape(weights)[1] != len(inputs) + 1:
        raise ValueError("weights must have one column more than inputs have rows")
    if decay < 0:
        raise ValueError("decay must not be negative")


def _check_slope(slope):
    if slope <= 0:
        raise ValueError("slope must be positive")


def _check_loss(scores, labels, temperature):
    if min(labels) < -1 or max(labels) >= np.shape(scores)[1]:
        raise ValueError("labels must be classes or -1")
    if temperature <= 0:
        raise ValueError("temperature must be positive")


def _check_causal(upstream, signal, stride):
    if len(upstream) != len(range(0, len(signal), stride)):
        raise ValueError("upstream has a wrong length")


def _check_max(upstream, maps, strides):
    rows, columns = _counts(np.shape(maps)[1:], strides)
    if np.shape(upstream) != (len(maps), rows, columns):
        raise ValueError("upstream has a wrong shape")


def _check_measured(upstream, mask, strides):
    if np.shape(upstream)[1:] != tuple(_counts(np.shape(mask), strides)):
        raise ValueError("upstream has a wrong shape")


def _check_claim(point, claimed):
    if np.shape(point) != np.shape(claimed):
        raise ValueError("claimed must have the shape of the point")


def _counts(sizes, strides):
    return [len(range(0, size, step)) for size, step in zip(sizes, strides, strict=True)]


# Question 1: examples in columns


def _columns(upstream, inputs, weights, decay):
    upstream, inputs, weights = _floats(upstream, inputs, weights)
    ones = np.ones((1, inputs.shape[1]))
    d_weights = upstream @ np.concatenate([inputs, ones]).T
    d_weights[:, :-1] += decay * weights[:, :-1]
    return weights[:, :-1].T @ upstream, d_weights


@misconception(
    "q1-columns-basic",
    "The biases are looked for in the first column of the weights. Here they are the last one.",
)
def columns_backward(upstream, inputs, weights, decay):
    _check_columns(inputs, weights, decay)
    upstream, inputs, weights = _floats(upstream, inputs, weights)
    d_bias = upstream.sum(axis=1, keepdims=True)
    d_weights = np.concatenate([d_bias, upstream @ inputs.T + decay * weights[:, 1:]], axis=1)
    return weights[:, 1:].T @ upstream, d_weights


@misconception(
    "q1-columns-basic",
    "The gradient is divided by the number of examples. If the loss is a mean, the upstream "
    "gradient has that division in it already: it must not be made twice.",
)
def columns_backward(upstream, inputs, weights, decay):
    _check_columns(inputs, weights, decay)
    d_inputs, d_weights = _columns(upstream, inputs, weights, 0)
    d_weights /= d_inputs.shape[1]
    d_weights[:, :-1] += decay * np.array(weights, dtype=float)[:, :-1]
    return d_inputs, d_weights


@misconception(
    "q1-columns-decay",
    "The biases are pulled toward 0 as well. The sum of squares does not hold them, so the "
    "last column of the gradient takes nothing from decay.",
)
def columns_backward(upstream, inputs, weights, decay):
    _check_columns(inputs, weights, decay)
    d_inputs, d_weights = _columns(upstream, inputs, weights, 0)
    return d_inputs, d_weights + decay * np.array(weights, dtype=float)


@misconception(
    "q1-columns-decay",
    "The derivative of half a square is the number itself: decay / 2 * w ** 2 gives decay * w, "
    "not half of it.",
)
def columns_backward(upstream, inputs, weights, decay):
    _check_columns(inputs, weights, decay)
    return _columns(upstream, inputs, weights, decay / 2)


@misconception(
    "q1-columns-decay",
    "The derivative of half a square is the number itself: the 2 of the square and the half "
    "cancel, so decay / 2 * w ** 2 gives decay * w, not twice that.",
)
def columns_backward(upstream, inputs, weights, decay):
    _check_columns(inputs, weights, decay)
    return _columns(upstream, inputs, weights, decay * 2)


@misconception(
    "q1-columns-decay",
    "Decay does not enter the gradient. The loss has two parts, and the gradient of the second, "
    "decay times the weights, is added.",
)
def columns_backward(upstream, inputs, weights, decay):
    _check_columns(inputs, weights, decay)
    return _columns(upstream, inputs, weights, 0)


@misconception(
    "q1-columns-basic",
    "The column of biases is used for the inputs, too, so d_inputs has a row too many. No input "
    "is multiplied by a bias: leave out that column.",
)
def columns_backward(upstream, inputs, weights, decay):
    _check_columns(inputs, weights, decay)
    d_weights = _columns(upstream, inputs, weights, decay)[1]
    return np.array(weights, dtype=float).T @ np.array(upstream, dtype=float), d_weights


@misconception(
    "q1-columns-shapes",
    "The gradient has the type of the weights, so for whole numbers fractions are cut off. "
    "Begin with np.zeros(weights.shape), which holds float64.",
)
def columns_backward(upstream, inputs, weights, decay):
    _check_columns(inputs, weights, decay)
    d_weights = np.zeros_like(np.array(weights))
    d_inputs, d_weights[:] = _columns(upstream, inputs, weights, decay)
    return d_inputs, d_weights.astype(float)


@misconception(
    "q1-columns-shapes",
    "Products are made in the type of the arguments, and in uint8 numbers go round at 256. A "
    "float afterwards is too late: turn the arguments into float64 first.",
)
def columns_backward(upstream, inputs, weights, decay):
    _check_columns(inputs, weights, decay)
    upstream, inputs, weights = map(np.asarray, (upstream, inputs, weights))
    d_weights = np.column_stack([upstream @ inputs.T, upstream.sum(axis=1)]).astype(float)
    d_weights[:, :-1] += decay * weights[:, :-1]
    return (weights[:, :-1].T @ upstream).astype(float), d_weights


@misconception(
    "q1-columns-errors",
    "Weights of a wrong shape and a negative decay get an answer, or an error of NumPy that "
    "names neither. Compare both first.",
)
def columns_backward(upstream, inputs, weights, decay):
    upstream, inputs, weights = _floats(upstream, inputs, weights)
    d_weights = np.hstack([upstream @ inputs.T, upstream.sum(axis=1)[:, None]])
    d_weights[:, :-1] += decay * weights[:, :-1]
    return weights[:, :-1].T @ upstream, d_weights


@variant("q1-columns")
def columns_backward(upstream, inputs, weights, decay):
    _check_columns(inputs, weights, decay)
    return _columns(upstream, inputs, weights, decay)


@variant("q1-columns")
def columns_backward(upstream, inputs, weights, decay):
    _check_columns(inputs, weights, decay)
    upstream, inputs, weights = _floats(upstream, inputs, weights)
    d_inputs = np.einsum("oi,on->in", weights[:, :-1], upstream)
    d_kernel = np.einsum("on,in->oi", upstream, inputs) + weights[:, :-1] * decay
    return d_inputs, np.column_stack([d_kernel, np.einsum("on->o", upstream)])


@variant("q1-columns")
def columns_backward(upstream, inputs, weights, decay):
    if len(weights[0]) - len(inputs) != 1:
        raise ValueError("weights do not fit the inputs")
    if not decay >= 0:
        raise ValueError("decay is negative")
    upstream, inputs, weights = _floats(upstream, inputs, weights)
    d_inputs, d_weights = np.zeros(np.shape(inputs)), np.zeros(np.shape(weights))
    for (o, i), weight in np.ndenumerate(weights):
        if i < len(inputs):
            d_weights[o, i] += decay * weight
        for n, delta in enumerate(upstream[o]):
            if i == len(inputs):
                d_weights[o, i] += delta
            else:
                d_weights[o, i] += delta * inputs[i][n]
                d_inputs[i, n] += delta * weight
    return d_inputs, d_weights


# Question 2: a layer that forgot its inputs


def _leaky(upstream, outputs, slope, ceiling, at_zero=None, at_ceiling=0):
    upstream, outputs = _floats(upstream, outputs)
    derivative = np.where(outputs < 0, slope, 1.0)
    derivative[outputs == 0] = (1 + slope) / 2 if at_zero is None else at_zero
    derivative[outputs == ceiling] = at_ceiling
    return upstream * derivative


@misconception(
    "q2-leaky-basic",
    "At an output of 0 the derivative is that of the right side. Here the convention is the mean "
    "of both sides, (1 + slope) / 2.",
)
def leaky_backward(upstream, outputs, slope, ceiling):
    _check_slope(slope)
    return _leaky(upstream, outputs, slope, ceiling, at_zero=1)


@misconception(
    "q2-leaky-basic",
    "At an output of 0 nothing comes back, as in a plain ReLU. Here the convention is the mean of "
    "both sides, (1 + slope) / 2.",
)
def leaky_backward(upstream, outputs, slope, ceiling):
    _check_slope(slope)
    return _leaky(upstream, outputs, slope, ceiling, at_zero=0)


@misconception(
    "q2-leaky-basic",
    "The ceiling is forgotten: an output that was cut off does not change when its input does, so "
    "its derivative is 0.",
)
def leaky_backward(upstream, outputs, slope, ceiling):
    _check_slope(slope)
    return _leaky(upstream, outputs, slope, ceiling, at_ceiling=1)


@misconception(
    "q2-leaky-basic",
    "The activation is applied to the upstream gradient: its sign decides. What decides is the "
    "sign of the output; the upstream gradient may have any.",
)
def leaky_backward(upstream, outputs, slope, ceiling):
    _check_slope(slope)
    upstream, outputs = _floats(upstream, outputs)
    return np.where(outputs == ceiling, 0, np.where(upstream < 0, slope * upstream, upstream))


@misconception(
    "q2-leaky-basic",
    "The derivative alone is returned. The chain rule multiplies it by the upstream gradient.",
)
def leaky_backward(upstream, outputs, slope, ceiling):
    _check_slope(slope)
    return _leaky(np.ones(np.shape(upstream)), outputs, slope, ceiling)


@misconception(
    "q2-leaky-basic",
    "The upstream gradient is multiplied by the outputs, in place of the derivative of the outputs "
    "with respect to the inputs.",
)
def leaky_backward(upstream, outputs, slope, ceiling):
    _check_slope(slope)
    upstream, outputs = _floats(upstream, outputs)
    return upstream * np.where(outputs < 0, slope * outputs, outputs) * (outputs != ceiling)


@misconception(
    "q2-leaky-others",
    "Outputs close to a kink are treated as if they were on it. Only an output of exactly 0, or of "
    "exactly the ceiling, is on one: compare with ==.",
)
def leaky_backward(upstream, outputs, slope, ceiling):
    _check_slope(slope)
    upstream, outputs = _floats(upstream, outputs)
    outputs[np.isclose(outputs, 0)] = 0
    outputs[np.isclose(outputs, ceiling)] = ceiling
    return _leaky(upstream, outputs, slope, ceiling)


@misconception(
    "q2-leaky-others",
    "The result is written into the upstream gradient, which belongs to whoever called. "
    "np.asarray makes no copy of an array of float64; np.array does.",
)
def leaky_backward(upstream, outputs, slope, ceiling):
    _check_slope(slope)
    upstream = np.asarray(upstream, dtype=float)
    upstream *= _leaky(np.ones(upstream.shape), outputs, slope, ceiling)
    return upstream


@misconception(
    "q2-leaky-errors",
    "A slope of 0 or less gets an answer. Then negative inputs cannot be told from 0 by their "
    "outputs: refuse it with a ValueError.",
)
def leaky_backward(upstream, outputs, slope, ceiling):
    return _leaky(upstream, outputs, slope, ceiling)


@variant("q2-leaky")
def leaky_backward(upstream, outputs, slope, ceiling):
    if not slope > 0:
        raise ValueError("slope too small")
    outputs = np.asarray(outputs, dtype=float)
    choices = [np.zeros(outputs.shape), slope + 0 * outputs, (slope + 1) / 2 + 0 * outputs]
    conditions = [outputs >= ceiling, outputs < 0, outputs == 0]
    return np.select(conditions, choices, 1.0) * np.asarray(upstream, dtype=float)


@variant("q2-leaky")
def leaky_backward(upstream, outputs, slope, ceiling):
    _check_slope(slope)
    result = np.zeros(np.shape(outputs))
    for place, y in np.ndenumerate(np.array(outputs)):
        if y < 0:
            derivative = slope
        elif y == 0:
            derivative = 0.5 * (slope + 1)
        else:
            derivative = 0 if y == ceiling else 1
        result[place] = float(np.array(upstream)[place]) * derivative
    return result


@variant("q2-leaky")
def leaky_backward(upstream, outputs, slope, ceiling):
    _check_slope(slope)
    upstream, outputs = _floats(upstream, outputs)
    right = (outputs >= 0) & (outputs < ceiling)
    left = outputs <= 0
    return upstream * (right + slope * left) / np.maximum(right.astype(float) + left, 1)


# Question 3: five samples, one loss


def _net(**changes):
    right = {
        "pool": [1, 0, 12, 0],
        "kernel": [75, 25],
        "bias": [13],
        "signal": [1, -1, 12, -12, 0],
        "dead": [0],
        "moved": [0, 20],
    }
    return right | changes


@misconception(
    "q3-net-pool",
    "Cell 2 wins two windows, and gets the gradient of one only. Gradients of overlapping windows "
    "add: 2 + 10.",
)
def predict_net():
    return _net(pool=[1, 0, 10, 0])


@misconception(
    "q3-net-pool",
    "The gradient of a window goes to both of its cells. That is a sum; of a maximum, only the "
    "larger cell gets it.",
)
def predict_net():
    return _net(pool=[1, 3, 12, 10])


@misconception(
    "q3-net-pool",
    "The gradient of a window is shared by its two cells. That is mean pooling; of a maximum, only "
    "the larger cell gets it.",
)
def predict_net():
    return _net(pool=[0.5, 1.5, 6, 5])


@misconception(
    "q3-net-kernel",
    "The kernel is turned around. In z_i tap 0 lies on sample i and tap 1 on sample i + 1.",
)
def predict_net():
    return _net(kernel=[25, 75])


@misconception(
    "q3-net-kernel",
    "The taps stand where the samples belong. The derivative of w * x with respect to w is x: "
    "weigh the samples that a tap lies on by the gradient of z.",
)
def predict_net():
    return _net(kernel=[13, -13])


@misconception(
    "q3-net-kernel",
    "A mean over the places is taken for the bias. It stands in every z, and gradients of one "
    "number used several times add: 1 + 12.",
)
def predict_net():
    return _net(bias=[3.25])


@misconception(
    "q3-net-signal",
    "The kernel is not turned on the way back. Sample m stands in z_m under tap 0, and in z_(m-1) "
    "under tap 1: d_x[m] = w[0] d_z[m] + w[1] d_z[m - 1].",
)
def predict_net():
    return _net(signal=[-1, 1, -12, 12, 0])


@misconception(
    "q3-net-signal",
    "Only tap 0 sends something back. Every sample but the first stands in a z under tap 1 as "
    "well.",
)
def predict_net():
    return _net(signal=[1, 0, 12, 0, 0])


@misconception(
    "q3-net-moved",
    "The gradient of the last sample is 0, and 0 is predicted for every step. A gradient speaks of "
    "small steps: with -4 the last z becomes 7, opens the ReLU and wins its window.",
)
def predict_net():
    return _net(moved=[0, 0])


@misconception(
    "q3-net-moved",
    "With all ReLUs shut, the bias still gets a gradient here. It stands before the ReLU: what "
    "does not pass the ReLU does not reach it.",
)
def predict_net():
    return _net(dead=[1])


@variant("q3-net")
def predict_net():
    return {
        "moved": (0.0, 20.0),
        "dead": (0,),
        "signal": (1.0, -1.0, 12.0, -12.0, 0.0),
        "bias": (13.0,),
        "kernel": (75.0, 25.0),
        "pool": (1.0, 0.0, 12.0, 0.0),
    }


@variant("q3-net")
def predict_net():
    d_z = np.array([1, 0, 2 + 10, 0])
    x = np.array([3, 1, 6, 2, 5])
    return {
        "pool": d_z,
        "kernel": np.array([d_z @ x[:-1], d_z @ x[1:]]),
        "bias": np.array([d_z.sum()]),
        "signal": np.convolve(d_z, [1, -1]),
        "dead": np.array([0]),
        "moved": np.array([0, 10 * (7 - 5)]),
    }


@variant("q3-net")
def predict_net():
    return dict(
        pool=[1, 0, 2 + 10, 0],
        kernel=[1 * 3 + 12 * 6, 1 * 1 + 12 * 2],
        bias=[1 + 12],
        signal=[1, -1, 12, -12, 0],
        dead=[0],
        moved=[0, 10 * 7 - 10 * 5],
    )


# Question 4: not quite sure


def _log_softmax(scores):
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def _targets(labels, classes, smoothing, others):
    targets = np.full((len(labels), classes), float(others))
    targets[np.arange(len(labels)), labels] = 1 - smoothing
    return targets


def _soft(scores, labels, temperature, smoothing, count=None, others=None):
    """Loss and gradient; `count` and `others` replace the number of labels, the other targets."""
    scores, labels = np.array(scores, dtype=float), np.array(labels)
    gradient, known = np.zeros(scores.shape), labels >= 0
    count = known.sum() if count is None else count
    if not known.any():
        return 0.0, gradient
    classes = scores.shape[1]
    others = smoothing / (classes - 1) if others is None else others
    targets = _targets(labels[known], classes, smoothing, others)
    logarithms = _log_softmax(scores[known] / temperature)
    gradient[known] = (np.exp(logarithms) - targets) / (temperature * count)
    return -(targets * logarithms).sum() / count, gradient


@misconception(
    "q4-loss-basic",
    "The mean is taken over all examples. Those without a label take no part, so they do not count "
    "in the denominator.",
)
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    return _soft(scores, labels, temperature, smoothing, count=len(labels))


@misconception(
    "q4-loss-basic",
    "A label of -1 is taken for the last class, because Python counts a negative index from the "
    "end. Leave such examples out first.",
)
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    classes = np.shape(scores)[1]
    return _soft(scores, np.array(labels) % classes, temperature, smoothing)


@misconception(
    "q4-loss-basic",
    "The gradient is that with respect to s / T. One factor 1 / T is missing: the scores are "
    "divided by T before the softmax.",
)
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    loss, gradient = _soft(scores, labels, temperature, smoothing)
    return loss, gradient * temperature


@misconception(
    "q4-loss-basic",
    "Smoothing is spread over all classes, the right one included. Here the label has 1 - "
    "smoothing, and each other class smoothing / (C - 1).",
)
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    classes = np.shape(scores)[1]
    return _soft(scores, labels, temperature, smoothing * (classes - 1) / classes)


@misconception(
    "q4-loss-basic",
    "The gradient has the wrong sign: it is q - t. Where the target is larger than the "
    "probability, a larger score makes the loss smaller.",
)
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    loss, gradient = _soft(scores, labels, temperature, smoothing)
    return loss, 0 - gradient


@misconception(
    "q4-loss-basic",
    "The gradients of the examples are not divided by the number of labels. The loss is a mean, so "
    "its gradient is.",
)
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    loss, gradient = _soft(scores, labels, temperature, smoothing)
    return loss, gradient * max(sum(label >= 0 for label in labels), 1)


@misconception(
    "q4-loss-settings",
    "The scores are multiplied by the temperature. A high temperature makes probabilities more "
    "equal, so it divides.",
)
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    return _soft(scores, labels, 1 / temperature, smoothing)


@misconception(
    "q4-loss-large",
    "exp of a large score is inf, and inf / inf is nan. Subtract the largest score of the row "
    "first: the probabilities do not change.",
)
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    scores, labels = np.array(scores, dtype=float) / temperature, np.array(labels)
    known = labels >= 0
    gradient = np.zeros(scores.shape)
    if not known.any():
        return 0.0, gradient
    with np.errstate(all="ignore"):
        powers = np.exp(scores[known])
        q = powers / powers.sum(axis=1, keepdims=True)
        targets = _targets(labels[known], scores.shape[1], smoothing, smoothing / (len(q[0]) - 1))
        gradient[known] = (q - targets) / (temperature * len(q))
        return -(targets * np.log(q)).sum() / len(q), gradient


@misconception(
    "q4-loss-large",
    "A probability that is too small for float64 is lifted to 1e-12 before its logarithm, and so "
    "a large loss is wrong. Compute the logarithm from the scores: s - max - log(sum(exp(...))).",
)
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    _, gradient = _soft(scores, labels, temperature, smoothing)
    labels = np.array(labels)
    known = labels >= 0
    if not known.any():
        return 0.0, gradient
    q = np.exp(_log_softmax(np.array(scores, dtype=float)[known] / temperature))
    targets = _targets(labels[known], len(q[0]), smoothing, smoothing / (len(q[0]) - 1))
    return -(targets * np.log(np.maximum(q, 1e-12))).sum() / len(q), gradient


def _clipped(scores, labels, temperature, smoothing, least):
    """Loss and gradient where no score lies below the largest one by more than `least`."""
    _, gradient = _soft(scores, labels, temperature, smoothing)
    labels = np.array(labels)
    known = labels >= 0
    if not known.any():
        return 0.0, gradient
    scores = np.array(scores, dtype=float)[known] / temperature
    scores = np.maximum(scores - scores.max(axis=1, keepdims=True), -least)
    targets = _targets(labels[known], len(scores[0]), smoothing, smoothing / (len(scores[0]) - 1))
    return -(targets * _log_softmax(scores)).sum() / len(scores), gradient


@misconception(
    "q4-loss-large",
    "Differences of scores are cut off at -700, where exp is nearly 0. The probability may be "
    "0, but its logarithm goes on: the loss grows with the scores without end.",
)
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    return _clipped(scores, labels, temperature, smoothing, 700)


@misconception(
    "q4-loss-large",
    "Differences of scores are cut off at -10,000, where exp is 0. The probability may be "
    "0, but its logarithm goes on: the loss grows with the scores without end.",
)
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    return _clipped(scores, labels, temperature, smoothing, 10_000)


@misconception(
    "q4-loss-errors",
    "Labels that are no class get an answer or an error of NumPy, and so does a temperature of 0. "
    "Compare both first.",
)
def soft_loss(scores, labels, temperature, smoothing):
    with np.errstate(all="ignore"):
        return _soft(scores, labels, temperature, smoothing)


@variant("q4-loss")
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    return _soft(scores, labels, temperature, smoothing)


@variant("q4-loss")
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    scores, labels = np.array(scores, dtype=float), np.array(labels)
    weights = (labels != -1) / max((labels != -1).sum(), 1)
    classes = np.arange(scores.shape[1])
    right = classes == labels[:, None]
    targets = np.where(right, 1 - smoothing, smoothing / (len(classes) - 1))
    logarithms = _log_softmax(scores / temperature)
    loss = -(weights[:, None] * targets * logarithms).sum()
    return float(loss), weights[:, None] * (np.exp(logarithms) - targets) / temperature


@variant("q4-loss")
def soft_loss(scores, labels, temperature, smoothing):
    _check_loss(scores, labels, temperature)
    gradient = np.zeros(np.shape(scores))
    count = sum(label != -1 for label in labels)
    loss = 0.0
    for n, label in enumerate(labels):
        if label == -1:
            continue
        row = [float(score) / temperature for score in scores[n]]
        top = max(row)
        total = np.log(sum(np.exp(score - top) for score in row)) + top
        for c, score in enumerate(row):
            target = 1 - smoothing if c == label else smoothing / (len(row) - 1)
            loss += target * (total - score) / count
            gradient[n, c] = (np.exp(score - total) - target) / temperature / count
    return float(loss), gradient


# Question 5: only the past


def _taps(signal, kernel, stride, dilation):
    """For each tap the outputs that read a sample, and the samples that they read."""
    outputs = np.arange(len(range(0, len(signal), stride)))
    for k in range(len(kernel)):
        places = outputs * stride - k * dilation
        yield k, outputs[places >= 0], places[places >= 0]


def _causal(upstream, signal, kernel, stride, dilation):
    upstream, signal, kernel = _floats(upstream, signal, kernel)
    d_signal, d_kernel = np.zeros(len(signal)), np.zeros(len(kernel))
    for k, i, m in _taps(signal, kernel, stride, dilation):
        d_signal[m] += kernel[k] * upstream[i]
        d_kernel[k] = (upstream[i] * signal[m]).sum()
    return d_signal, d_kernel


@misconception(
    "q5-causal-signal",
    "The filter looks forward: tap k is taken to lie on sample i * stride + k * dilation, as in a "
    "layer of a framework. A convolution looks back.",
)
def causal_backward(upstream, signal, kernel, stride, dilation):
    _check_causal(upstream, signal, stride)
    upstream, signal, kernel = _floats(upstream, signal, kernel)
    d_signal, d_kernel = np.zeros(len(signal)), np.zeros(len(kernel))
    for i, delta in enumerate(upstream):
        for k, tap in enumerate(kernel):
            m = i * stride + k * dilation
            if m < len(signal):
                d_signal[m] += delta * tap
                d_kernel[k] += delta * signal[m]
    return d_signal, d_kernel


@misconception(
    "q5-causal-signal",
    "d_signal[places] += ... keeps one of several values for a place, where windows overlap. "
    "Gradients of all outputs that read a sample add: use np.add.at, or one tap at a time.",
)
def causal_backward(upstream, signal, kernel, stride, dilation):
    _check_causal(upstream, signal, stride)
    d_kernel = _causal(upstream, signal, kernel, stride, dilation)[1]
    upstream, kernel = _floats(upstream, kernel)
    d_signal = np.zeros(len(signal))
    starts = np.arange(len(upstream))[:, None] * stride
    places = starts - np.arange(len(kernel)) * dilation
    shares = np.outer(upstream, kernel)
    d_signal[places[places >= 0]] += shares[places >= 0]
    return d_signal, d_kernel


@misconception(
    "q5-causal-signal",
    "Places before the first sample are read from the end of the signal, because Python counts a "
    "negative index from there. Those samples are 0 and get no gradient.",
)
def causal_backward(upstream, signal, kernel, stride, dilation):
    _check_causal(upstream, signal, stride)
    upstream, signal, kernel = _floats(upstream, signal, kernel)
    d_signal, d_kernel = np.zeros(len(signal)), np.zeros(len(kernel))
    for i, delta in enumerate(upstream):
        for k, tap in enumerate(kernel):
            m = (i * stride - k * dilation) % len(signal)
            d_signal[m] += delta * tap
            d_kernel[k] += delta * signal[m]
    return d_signal, d_kernel


@misconception(
    "q5-causal-kernel",
    "The gradient of the kernel comes out turned around. d_kernel[k] belongs to the samples "
    "k * dilation back.",
)
def causal_backward(upstream, signal, kernel, stride, dilation):
    _check_causal(upstream, signal, stride)
    d_signal, d_kernel = _causal(upstream, signal, kernel, stride, dilation)
    return d_signal, d_kernel[::-1].copy()


@misconception(
    "q5-causal-kernel",
    "The gradient of a tap is a mean over the outputs. A tap is used once for each output, and the "
    "gradients of all uses add.",
)
def causal_backward(upstream, signal, kernel, stride, dilation):
    _check_causal(upstream, signal, stride)
    d_signal, d_kernel = _causal(upstream, signal, kernel, stride, dilation)
    return d_signal, d_kernel / len(upstream)


@misconception(
    "q5-causal-kernel",
    "The stride is left out of the gradient of the kernel. Output i reads around sample "
    "i * stride, backward as well as forward.",
)
def causal_backward(upstream, signal, kernel, stride, dilation):
    _check_causal(upstream, signal, stride)
    d_signal = _causal(upstream, signal, kernel, stride, dilation)[0]
    padded = np.zeros(len(signal))
    padded[: len(upstream)] = upstream
    return d_signal, _causal(padded, signal, kernel, 1, dilation)[1]


@misconception(
    "q5-causal-signal",
    "The dilation is left out: the taps lie dilation samples apart.",
)
def causal_backward(upstream, signal, kernel, stride, dilation):
    _check_causal(upstream, signal, stride)
    return _causal(upstream, signal, kernel, stride, 1)


@misconception(
    "q5-causal-kernel",
    "A kernel that reaches farther back than the signal is long is cut off. Its gradient has as "
    "many numbers as it has taps; taps that meet no sample get 0.",
)
def causal_backward(upstream, signal, kernel, stride, dilation):
    _check_causal(upstream, signal, stride)
    kernel = kernel[: 1 + (len(signal) - 1) // dilation]
    return _causal(upstream, signal, kernel, stride, dilation)


@misconception(
    "q5-causal-errors",
    "An upstream gradient that does not fit the signal and the stride gets an answer. Count the "
    "outputs, and refuse another length.",
)
def causal_backward(upstream, signal, kernel, stride, dilation):
    d_signal, d_kernel = np.zeros(len(signal)), np.zeros(len(kernel))
    for i, delta in enumerate(upstream):
        for k, tap in enumerate(kernel):
            m = i * stride - k * dilation
            if 0 <= m < len(signal):
                d_signal[m] += delta * tap
                d_kernel[k] += delta * signal[m]
    return d_signal, d_kernel


@variant("q5-causal")
def causal_backward(upstream, signal, kernel, stride, dilation):
    _check_causal(upstream, signal, stride)
    upstream, signal, kernel = _floats(upstream, signal, kernel)
    places = np.arange(0, len(signal), stride)[:, None] - np.arange(len(kernel)) * dilation
    there = places >= 0
    shares = np.outer(upstream, kernel)[there]
    d_signal = np.bincount(places[there], weights=shares, minlength=len(signal))
    read = np.where(there, signal[np.maximum(places, 0)], 0)
    return d_signal, upstream @ read


@variant("q5-causal")
def causal_backward(upstream, signal, kernel, stride, dilation):
    _check_causal(upstream, signal, stride)
    M, K = len(signal), len(kernel)
    spread = np.zeros(M)  # the upstream gradient, with zeros where the stride makes no output
    spread[::stride] = upstream
    holes = np.zeros(dilation * (K - 1) + 1)
    holes[::dilation] = kernel
    d_signal = np.convolve(spread[::-1], holes)[:M][::-1].copy()
    past = np.concatenate([np.zeros(dilation * (K - 1)), np.asarray(signal, dtype=float)])
    d_kernel = np.correlate(past, spread, "valid")[::-1][::dilation].copy()
    return d_signal, d_kernel


@variant("q5-causal")
def causal_backward(upstream, signal, kernel, stride, dilation):
    upstream, signal, kernel = _floats(upstream, signal, kernel)
    starts = np.arange(0, len(signal), stride)
    if starts.shape != upstream.shape:
        raise ValueError("upstream does not fit")
    read = starts[:, None, None] - dilation * np.arange(len(kernel))[:, None]
    ways = (read == np.arange(len(signal))).astype(float)  # (outputs, taps, samples)
    d_signal = np.einsum("i,k,ikm->m", upstream, kernel, ways)
    return d_signal, np.einsum("i,m,ikm->k", upstream, signal, ways)


# Question 6: all the way round


def _panorama(upstream, images, kernels, strides, dilations, above, wrap=True):
    upstream, images, kernels = _floats(upstream, images, kernels)
    (_, H, W, _), (K, L, _, _) = images.shape, kernels.shape
    d_images, d_kernels = np.zeros(images.shape), np.zeros(kernels.shape)
    for p in range(K):
        for q in range(L):
            rows = np.arange(upstream.shape[1]) * strides[0] + p * dilations[0] - above
            columns = np.arange(upstream.shape[2]) * strides[1] + q * dilations[1]
            kept = (rows >= 0) & (rows < H)
            there = np.ones(len(columns), bool) if wrap else columns < W
            delta = upstream[:, kept][:, :, there]
            place = (slice(None), rows[kept][:, None], columns[there] % W)
            d_kernels[p, q] = np.einsum("nijc,nijf->cf", images[place], delta)
            d_images[place] += np.einsum("nijf,cf->nijc", delta, kernels[p, q])
    return d_images, d_kernels, upstream.sum(axis=(0, 1, 2))


@misconception(
    "q6-panorama-kernels",
    "The picture has zeros on its right, and does not go round. Column W is column 0 again: take "
    "columns modulo W.",
)
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    return _panorama(upstream, images, kernels, strides, dilations, above, wrap=False)


@misconception(
    "q6-panorama-kernels",
    "The kernel is turned around. Tap (p, q) lies p * dilation rows below and q * dilation columns "
    "to the right of the place where a window begins.",
)
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    d_images, d_kernels, d_bias = _panorama(upstream, images, kernels, strides, dilations, above)
    return d_images, d_kernels[::-1, ::-1].copy(), d_bias


@misconception(
    "q6-panorama-kernels",
    "The gradient of the bias is a mean. A bias is added at every place of every picture, and the "
    "gradients of all uses add.",
)
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    d_images, d_kernels, d_bias = _panorama(upstream, images, kernels, strides, dilations, above)
    return d_images, d_kernels, d_bias * d_bias.size / np.size(upstream)


@misconception(
    "q6-panorama-kernels",
    "Stride and dilation are exchanged for the gradient of the kernel, but the columns and rows "
    "are still those of the forward pass: window times stride plus tap times dilation.",
)
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    d_images, _, d_bias = _panorama(upstream, images, kernels, strides, dilations, above)
    _, d_kernels, _ = _panorama(upstream, images, kernels, dilations, strides, above)
    return d_images, d_kernels, d_bias


@misconception(
    "q6-panorama-images",
    "A window that goes round sends nothing back to the first columns. They are read there as "
    "well, so they get their share.",
)
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    d_images, _, _ = _panorama(upstream, images, kernels, strides, dilations, above, wrap=False)
    return d_images, *_panorama(upstream, images, kernels, strides, dilations, above)[1:]


@misconception(
    "q6-panorama-images",
    "Several taps meet the same pixel, and only the last one is kept: = in place of +=. The "
    "gradients of all uses of a pixel add.",
)
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    _, d_kernels, d_bias = _panorama(upstream, images, kernels, strides, dilations, above)
    upstream, kernels = _floats(upstream, kernels)
    d_images = np.zeros(np.shape(images))
    _, H, W, _ = d_images.shape
    for p, q in np.ndindex(kernels.shape[:2]):
        rows = np.arange(upstream.shape[1]) * strides[0] + p * dilations[0] - above
        columns = (np.arange(upstream.shape[2]) * strides[1] + q * dilations[1]) % W
        kept = (rows >= 0) & (rows < H)
        d_images[:, rows[kept][:, None], columns] = upstream[:, kept] @ kernels[p, q].T
    return d_images, d_kernels, d_bias


@misconception(
    "q6-panorama-images",
    "The kernel is turned around for the gradient of the pictures. If windows are walked through "
    "as in the forward pass, each tap sends back to the pixel that it lies on, as it stands.",
)
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    turned = np.array(kernels)[::-1, ::-1]
    d_images, _, _ = _panorama(upstream, images, turned, strides, dilations, above)
    return d_images, *_panorama(upstream, images, kernels, strides, dilations, above)[1:]


@misconception(
    "q6-panorama-images",
    "The rows of zeros above are left out for the gradient of the pictures: row i * stride of the "
    "padded picture is row i * stride - above of the picture.",
)
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    d_images, _, _ = _panorama(upstream, images, kernels, strides, dilations, 0)
    return d_images, *_panorama(upstream, images, kernels, strides, dilations, above)[1:]


@misconception(
    "q6-panorama-types",
    "The gradient of the kernels has their type, so fractions are cut off, and in uint8 numbers go "
    "round at 256. Begin with np.zeros(kernels.shape), which holds float64.",
)
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    exact = _panorama(upstream, images, kernels, strides, dilations, above)
    d_kernels = np.zeros_like(np.array(kernels))
    if d_kernels.dtype.kind in "iu":
        d_kernels[:] = exact[1].astype(int)
    else:
        d_kernels[:] = exact[1]
    return exact[0], d_kernels.astype(float), exact[2]


@misconception(
    "q6-panorama-loops",
    "The numbers are right, but Python walks through every place of the maps. Loop over the taps "
    "only, and let NumPy do all windows at once.",
)
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    upstream, images, kernels = _floats(upstream, images, kernels)
    _, H, W, _ = images.shape
    d_images, d_kernels = np.zeros(images.shape), np.zeros(kernels.shape)
    for i, j, p, q in np.ndindex(*upstream.shape[1:3], *kernels.shape[:2]):
        row = i * strides[0] + p * dilations[0] - above
        column = (j * strides[1] + q * dilations[1]) % W
        if 0 <= row < H:
            d_images[:, row, column] += upstream[:, i, j] @ kernels[p, q].T
            d_kernels[p, q] += images[:, row, column].T @ upstream[:, i, j]
    return d_images, d_kernels, upstream.sum(axis=(0, 1, 2))


@misconception(
    "q6-panorama-loops",
    "The numbers are right, but for each tap Python walks through the columns. All columns of a "
    "tap can go at once: one tap meets no pixel twice.",
)
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    upstream, images, kernels = _floats(upstream, images, kernels)
    N, H, W, _ = images.shape
    d_images, d_kernels = np.zeros(images.shape), np.zeros(kernels.shape)
    for p, q in np.ndindex(kernels.shape[:2]):
        rows = np.arange(upstream.shape[1]) * strides[0] + p * dilations[0] - above
        columns = (np.arange(upstream.shape[2]) * strides[1] + q * dilations[1]) % W
        kept = (rows >= 0) & (rows < H)
        delta, rows = upstream[:, kept], rows[kept]
        pixels = images[np.ix_(range(N), rows, columns)]
        d_kernels[p, q] = np.tensordot(pixels, delta, ((0, 1, 2), (0, 1, 2)))
        back = np.tensordot(delta, kernels[p, q], (3, 1))
        for j, column in enumerate(columns):
            d_images[:, rows, column] += back[:, :, j]
    return d_images, d_kernels, upstream.sum(axis=(0, 1, 2))


@variant("q6-panorama")
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    return _panorama(upstream, images, kernels, strides, dilations, above)


def _tables(upstream, images, kernels, strides, dilations, above):
    """For each axis a table (outputs, taps, pixels): 1 where an output reads a pixel by a tap."""
    tables = []
    for axis, before in ((0, above), (1, 0)):
        outputs = np.arange(upstream.shape[1 + axis])[:, None, None] * strides[axis]
        places = outputs + np.arange(kernels.shape[axis])[:, None] * dilations[axis] - before
        if axis == 1:
            places = places % images.shape[2]
        tables.append((places == np.arange(images.shape[1 + axis])).astype(float))
    return tables


@variant("q6-panorama")
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    upstream, images, kernels = _floats(upstream, images, kernels)
    down, across = _tables(upstream, images, kernels, strides, dilations, above)
    sums = {"optimize": True}
    d_images = np.einsum("nijf,pqcf,ipr,jqs->nrsc", upstream, kernels, down, across, **sums)
    d_kernels = np.einsum("nijf,nrsc,ipr,jqs->pqcf", upstream, images, down, across, **sums)
    return d_images, d_kernels, np.einsum("nijf->f", upstream)


@variant("q6-panorama")
def panorama_backward(upstream, images, kernels, strides, dilations, above):
    upstream, images, kernels = _floats(upstream, images, kernels)
    (N, H, W, C), (K, L, _, F) = images.shape, kernels.shape
    rows, columns = upstream.shape[1:3]
    reach = (columns - 1) * strides[1] + (L - 1) * dilations[1] + 1
    depth = max((rows - 1) * strides[0] + (K - 1) * dilations[0] + 1, above + H)
    padded = np.zeros((N, depth, reach, C))
    padded[:, above : above + H] = images[:, :, np.arange(reach) % W]
    d_padded, d_kernels = np.zeros(padded.shape), np.zeros(kernels.shape)
    for p, q in np.ndindex(K, L):
        down = slice(p * dilations[0], p * dilations[0] + (rows - 1) * strides[0] + 1, strides[0])
        left = q * dilations[1]
        across = slice(left, left + (columns - 1) * strides[1] + 1, strides[1])
        pixels = padded[:, down, across].reshape(-1, C)
        d_kernels[p, q] = pixels.T @ upstream.reshape(-1, F)
        d_padded[:, down, across] += upstream @ kernels[p, q].T
    d_images = np.zeros(images.shape)
    np.add.at(d_images, np.s_[:, :, np.arange(reach) % W], d_padded[:, above : above + H])
    return d_images, d_kernels, upstream.reshape(-1, F).sum(axis=0)


# Question 7: a prize is shared


def _share_max(upstream, maps, window, strides, share):
    """Gradient of pooling; `share` says what part of a window's gradient each of its cells gets."""
    upstream, maps = _floats(upstream, maps)
    d_maps = np.zeros(maps.shape)
    for (c, i, j), delta in np.ndenumerate(upstream):
        top, left = i * strides[0], j * strides[1]
        place = np.s_[c, top : top + window[0], left : left + window[1]]
        d_maps[place] += delta * share(maps[place])
    return d_maps


def _first(cells):
    return np.arange(cells.size).reshape(cells.shape) == cells.argmax()


def _equal(cells):
    return (cells == cells.max()) / (cells == cells.max()).sum()


@misconception(
    "q7-max-basic",
    "The first of the largest cells gets all, as in torch. Here all cells that equal the maximum "
    "share equally.",
)
def shared_max_backward(upstream, maps, window, strides):
    _check_max(upstream, maps, strides)
    return _share_max(upstream, maps, window, strides, _first)


@misconception(
    "q7-max-basic",
    "Each of several largest cells gets the whole gradient. Then more flows back than arrived: "
    "divide it by their number.",
)
def shared_max_backward(upstream, maps, window, strides):
    _check_max(upstream, maps, strides)
    return _share_max(upstream, maps, window, strides, lambda cells: cells == cells.max())


@misconception(
    "q7-max-basic",
    "A cell that is the largest of several windows keeps the gradient of the last one: = in place "
    "of +=. Gradients of overlapping windows add.",
)
def shared_max_backward(upstream, maps, window, strides):
    _check_max(upstream, maps, strides)
    upstream, maps = _floats(upstream, maps)
    d_maps = np.zeros(maps.shape)
    for (c, i, j), delta in np.ndenumerate(upstream):
        top, left = i * strides[0], j * strides[1]
        place = np.s_[c, top : top + window[0], left : left + window[1]]
        winners = maps[place] == maps[place].max()
        d_maps[place][winners] = delta / winners.sum()
    return d_maps


@misconception(
    "q7-max-basic",
    "All cells of a window share its gradient: that is mean pooling. Only the largest ones get "
    "something.",
)
def shared_max_backward(upstream, maps, window, strides):
    _check_max(upstream, maps, strides)
    return _share_max(
        upstream, maps, window, strides, lambda cells: np.full(cells.shape, 1 / cells.size)
    )


@misconception(
    "q7-max-windows",
    "Windows that the border cuts are left out. They have outputs of their own, so their gradient "
    "goes to the largest of the cells that they have.",
)
def shared_max_backward(upstream, maps, window, strides):
    _check_max(upstream, maps, strides)
    full = window[0] * window[1]
    return _share_max(
        upstream, maps, window, strides, lambda cells: _equal(cells) * (cells.size == full)
    )


@misconception(
    "q7-max-basic",
    "The maximum is looked for in all channels together. Each channel is pooled by itself.",
)
def shared_max_backward(upstream, maps, window, strides):
    _check_max(upstream, maps, strides)
    upstream, maps = _floats(upstream, maps)
    d_maps = np.zeros(maps.shape)
    for i, j in np.ndindex(upstream.shape[1:]):
        top, left = i * strides[0], j * strides[1]
        place = np.s_[:, top : top + window[0], left : left + window[1]]
        d_maps[place] += upstream[:, i, j].sum() * _equal(maps[place])
    return d_maps


@misconception(
    "q7-max-basic",
    "The map is continued by zeros where windows are cut. Where all cells are 0 or negative those "
    "zeros win or share, and their part of the gradient is lost.",
)
def shared_max_backward(upstream, maps, window, strides):
    _check_max(upstream, maps, strides)
    upstream, maps = _floats(upstream, maps)
    longer = np.pad(maps, ((0, 0), (0, window[0]), (0, window[1])))
    d_maps = _share_max(upstream, longer, window, strides, _equal)
    return d_maps[:, : maps.shape[1], : maps.shape[2]].copy()


@misconception(
    "q7-max-ties",
    "Cells that nearly equal the maximum get a share as well. A tie is an exact one: compare with "
    "==, not with np.isclose.",
)
def shared_max_backward(upstream, maps, window, strides):
    _check_max(upstream, maps, strides)

    def share(cells):
        near = np.isclose(cells, cells.max())
        return near / near.sum()

    return _share_max(upstream, maps, window, strides, share)


@misconception(
    "q7-max-errors",
    "An upstream gradient of another shape gets an answer. Count the windows of each axis, and "
    "refuse what does not fit.",
)
def shared_max_backward(upstream, maps, window, strides):
    d_maps = np.zeros(np.shape(maps))
    for c, channel in enumerate(np.array(upstream, dtype=float)[: len(maps)]):
        for (i, j), delta in np.ndenumerate(channel):
            top, left = i * strides[0], j * strides[1]
            cells = np.array(maps)[c, top : top + window[0], left : left + window[1]]
            if cells.size:
                d_maps[c, top : top + window[0], left : left + window[1]] += delta * _equal(cells)
    return d_maps


@variant("q7-max")
def shared_max_backward(upstream, maps, window, strides):
    _check_max(upstream, maps, strides)
    upstream, maps = _floats(upstream, maps)
    (C, H, W), (_, rows, columns) = maps.shape, upstream.shape
    size = (C, H + window[0] + strides[0], W + window[1] + strides[1])
    longer = np.full(size, -np.inf)
    longer[:, :H, :W] = maps
    numbers = np.arange(longer.size).reshape(size)
    cells, places = (
        np.lib.stride_tricks.sliding_window_view(array, window, axis=(1, 2))[
            :, :: strides[0], :: strides[1]
        ][:, :rows, :columns]
        for array in (longer, numbers)
    )
    winners = cells == cells.max(axis=(3, 4), keepdims=True)
    shares = upstream[..., None, None] * winners / winners.sum(axis=(3, 4), keepdims=True)
    sums = np.bincount(places.ravel(), weights=shares.ravel(), minlength=longer.size)
    return sums.reshape(size)[:, :H, :W].copy()


@variant("q7-max")
def shared_max_backward(upstream, maps, window, strides):
    upstream, maps = _floats(upstream, maps)
    (C, H, W), (rows, columns) = maps.shape, _counts(maps.shape[1:], strides)
    if upstream.shape != (C, rows, columns):
        raise ValueError(f"upstream is {upstream.shape}")
    longer = np.full((C, H + window[0] + strides[0], W + window[1] + strides[1]), -np.inf)
    longer[:, :H, :W] = maps
    shifts = [
        np.s_[:, p : p + rows * strides[0] : strides[0], q : q + columns * strides[1] : strides[1]]
        for p in range(window[0])
        for q in range(window[1])
    ]
    largest = np.max([longer[shift] for shift in shifts], axis=0)
    number = np.sum([longer[shift] == largest for shift in shifts], axis=0)
    gradient = np.zeros(longer.shape)
    for shift in shifts:
        gradient[shift] += np.where(longer[shift] == largest, upstream / number, 0)
    return gradient[:, :H, :W].copy()


@variant("q7-max")
def shared_max_backward(upstream, maps, window, strides):
    _check_max(upstream, maps, strides)
    gradient = [[[0.0] * len(row) for row in table] for table in maps]
    for c, table in enumerate(maps):
        H, W = len(table), len(table[0])
        for i, top in enumerate(range(0, H, strides[0])):
            for j, left in enumerate(range(0, W, strides[1])):
                cells = [
                    (table[row][column], row, column)
                    for row in range(top, min(top + window[0], H))
                    for column in range(left, min(left + window[1], W))
                ]
                top_value = max(value for value, _, _ in cells)
                winners = [cell for cell in cells if cell[0] == top_value]
                for _, row, column in winners:
                    gradient[c][row][column] += upstream[c][i][j] / len(winners)
    return np.array(gradient)


# Question 8: the mean of what was measured


def _measured(upstream, mask, window, strides, share):
    """Gradient of pooling; `share` says what part of a window's gradient each pixel gets."""
    upstream, mask = np.array(upstream, dtype=float), np.array(mask) != 0
    gradient = np.zeros((len(upstream), *mask.shape))
    for i, j in np.ndindex(upstream.shape[1:]):
        top, left = i * strides[0], j * strides[1]
        place = np.s_[top : top + window[0], left : left + window[1]]
        gradient[:, *place] += upstream[:, i, j, None, None] * share(mask[place])
    return gradient


@misconception(
    "q8-mean-basic",
    "The sum is divided by the size of the window. The mean is over the measured pixels, so it is "
    "divided by their number.",
)
def measured_mean_backward(upstream, mask, window, strides):
    _check_measured(upstream, mask, strides)
    size = window[0] * window[1]
    return _measured(upstream, mask, window, strides, lambda there: there / size)


@misconception(
    "q8-mean-basic",
    "The sum is divided by the number of pixels inside the picture, measured or not. Count the "
    "measured ones.",
)
def measured_mean_backward(upstream, mask, window, strides):
    _check_measured(upstream, mask, strides)
    return _measured(upstream, mask, window, strides, lambda there: there / there.size)


@misconception(
    "q8-mean-basic",
    "Pixels without a measurement get a share. The output does not depend on them, so their "
    "gradient is 0.",
)
def measured_mean_backward(upstream, mask, window, strides):
    _check_measured(upstream, mask, strides)
    return _measured(
        upstream,
        mask,
        window,
        strides,
        lambda there: np.full(there.shape, 1 / max(there.sum(), 1)) * there.any(),
    )


@misconception(
    "q8-mean-basic",
    "A window with nothing in it is divided by 0, and nan spreads. Its output is 0 whatever the "
    "picture, so its gradient goes nowhere.",
)
def measured_mean_backward(upstream, mask, window, strides):
    _check_measured(upstream, mask, strides)
    with np.errstate(invalid="ignore"):
        return _measured(upstream, mask, window, strides, lambda there: there / there.sum())


@misconception(
    "q8-mean-basic",
    "Where windows overlap, the last one wins: = in place of +=. Gradients of all windows that "
    "hold a pixel add.",
)
def measured_mean_backward(upstream, mask, window, strides):
    _check_measured(upstream, mask, strides)
    upstream, mask = np.array(upstream, dtype=float), np.array(mask) != 0
    gradient = np.zeros((len(upstream), *mask.shape))
    for i, j in np.ndindex(upstream.shape[1:]):
        for row in range(i * strides[0], min(i * strides[0] + window[0], len(mask))):
            for column in range(j * strides[1], min(j * strides[1] + window[1], len(mask[0]))):
                part = mask[i * strides[0] :, j * strides[1] :][: window[0], : window[1]]
                if mask[row, column]:
                    gradient[:, row, column] = upstream[:, i, j] / part.sum()
    return gradient


@misconception(
    "q8-mean-windows",
    "Windows that the border cuts are taken to be full, so their measured pixels get too little "
    "or nothing. They end where the picture ends.",
)
def measured_mean_backward(upstream, mask, window, strides):
    _check_measured(upstream, mask, strides)
    size = window[0] * window[1]
    return _measured(
        upstream,
        mask,
        window,
        strides,
        lambda there: there / max(there.sum() + size - there.size, 1),
    )


@misconception(
    "q8-mean-masks",
    "The numbers of the mask are added and multiplied as they are. With 255 for a measured pixel "
    "that gives other shares: compare with 0 first.",
)
def measured_mean_backward(upstream, mask, window, strides):
    _check_measured(upstream, mask, strides)
    upstream, mask = np.array(upstream, dtype=float), np.array(mask, dtype=float)
    gradient = np.zeros((len(upstream), *mask.shape))
    for i, j in np.ndindex(upstream.shape[1:]):
        top, left = i * strides[0], j * strides[1]
        place = np.s_[top : top + window[0], left : left + window[1]]
        number = np.count_nonzero(mask[place])
        gradient[:, *place] += upstream[:, i, j, None, None] * mask[place] / max(number, 1)
    return gradient


@misconception(
    "q8-mean-errors",
    "An upstream gradient of another shape gets an answer. Count the windows of each axis, and "
    "refuse what does not fit.",
)
def measured_mean_backward(upstream, mask, window, strides):
    mask = np.array(mask) != 0
    gradient = np.zeros((len(upstream), *mask.shape))
    for (c, i, j), delta in np.ndenumerate(np.array(upstream, dtype=float)):
        top, left = i * strides[0], j * strides[1]
        there = mask[top : top + window[0], left : left + window[1]]
        if there.any():
            place = np.s_[c, top : top + window[0], left : left + window[1]]
            gradient[place] += delta * there / there.sum()
    return gradient


@variant("q8-mean")
def measured_mean_backward(upstream, mask, window, strides):
    _check_measured(upstream, mask, strides)
    upstream, mask = np.array(upstream, dtype=float), np.array(mask) != 0
    gradient = np.zeros((len(upstream), *mask.shape))
    for row, column in np.argwhere(mask):
        for i, top in enumerate(range(0, row + 1, strides[0])):
            for j, left in enumerate(range(0, column + 1, strides[1])):
                if row < top + window[0] and column < left + window[1]:
                    part = mask[top : top + window[0], left : left + window[1]]
                    gradient[:, row, column] += upstream[:, i, j] / np.count_nonzero(part)
    return gradient


@variant("q8-mean")
def measured_mean_backward(upstream, mask, window, strides):
    _check_measured(upstream, mask, strides)
    upstream, mask = np.array(upstream, dtype=float), np.array(mask).astype(bool)
    reach = []
    for size, taps, step in zip(mask.shape, window, strides, strict=True):
        away = np.arange(size) - np.arange(0, size, step)[:, None]
        reach.append(((away >= 0) & (away < taps)).astype(float))
    number = reach[0] @ mask @ reach[1].T
    shares = np.divide(upstream, number, out=np.zeros(upstream.shape), where=number > 0)
    return (reach[0].T @ shares @ reach[1]) * mask


@variant("q8-mean")
def measured_mean_backward(upstream, mask, window, strides):
    H, W = len(mask), len(mask[0])
    rows, columns = -(-H // strides[0]), -(-W // strides[1])
    if any(np.shape(channel) != (rows, columns) for channel in upstream):
        raise ValueError("upstream has channels of another size")
    gradient = np.zeros((len(upstream), H, W))
    for i, top in enumerate(range(0, H, strides[0])):
        for j, left in enumerate(range(0, W, strides[1])):
            pixels = []
            for row in range(top, min(H, top + window[0])):
                for column in range(left, min(W, left + window[1])):
                    if mask[row][column]:
                        pixels.append((row, column))
            for c in range(len(upstream)):
                for row, column in pixels:
                    gradient[c, row, column] += upstream[c][i][j] / len(pixels)
    return gradient


# Question 9: which entries are wrong


def _moved(loss, point, place, step):
    moved = np.array(point, dtype=float)
    moved[place] += step
    return float(loss(moved))


def _suspects(loss, point, claimed, step, rounding, judge):
    """Places where `judge` finds the claim wrong, by left and right slope and slack."""
    claimed, found = np.array(claimed, dtype=float), []
    for place in np.ndindex(claimed.shape):
        values = [_moved(loss, point, place, move) for move in (-step, 0, step)]
        left, right = (values[1] - values[0]) / step, (values[2] - values[1]) / step
        slack = 0.001 * max(1, abs(left), abs(right))
        slack += 2 * rounding * max(map(abs, values)) / step
        if judge(claimed[place], left, right, slack):
            found.append(place)
    return found


def _outside(claim, left, right, slack):
    return not min(left, right) - slack <= claim <= max(left, right) + slack


@misconception(
    "q9-suspects-wolf",
    "A central difference is compared with the claim. At a kink it is the mean of two slopes, and "
    "right claims become suspects: compare with the slope on the left and on the right.",
)
def suspects(loss, point, claimed, step, rounding):
    _check_claim(point, claimed)

    def judge(claim, left, right, slack):
        return not abs(claim - (left + right) / 2) <= slack

    return _suspects(loss, point, claimed, step, rounding, judge)


@misconception(
    "q9-suspects-wolf",
    "Only the slope on the right is computed. At a kink every claim between both slopes is fair, "
    "so the one on the left counts as well.",
)
def suspects(loss, point, claimed, step, rounding):
    _check_claim(point, claimed)

    def judge(claim, left, right, slack):
        return not abs(claim - right) <= slack

    return _suspects(loss, point, claimed, step, rounding, judge)


@misconception(
    "q9-suspects-wolf",
    "The rounding of the loss is left out of the slack. In float32 the slopes are wrong by much "
    "more than a thousandth, and right claims become suspects.",
)
def suspects(loss, point, claimed, step, rounding):
    _check_claim(point, claimed)
    return _suspects(loss, point, claimed, step, 0, _outside)


@misconception(
    "q9-suspects-wolf",
    "The slack from rounding is half as large as it can be: both values of a difference may be "
    "wrong, so it is 2 * rounding * M / step.",
)
def suspects(loss, point, claimed, step, rounding):
    _check_claim(point, claimed)
    return _suspects(loss, point, claimed, step, rounding / 2, _outside)


@misconception(
    "q9-suspects-wolf",
    "The slack does not grow with the slopes. A steep slope has larger errors: "
    "0.001 * max(1, |left|, |right|).",
)
def suspects(loss, point, claimed, step, rounding):
    _check_claim(point, claimed)

    def judge(claim, left, right, slack):
        slack += 0.001 - 0.001 * max(1, abs(left), abs(right))
        return _outside(claim, left, right, slack)

    return _suspects(loss, point, claimed, step, rounding, judge)


@misconception(
    "q9-suspects-wolf",
    "At a kink every claim is let through that is no larger in size than the steeper slope. Signs "
    "count: a fair claim lies between both slopes, so of 0 and 3 it is not -2.",
)
def suspects(loss, point, claimed, step, rounding):
    _check_claim(point, claimed)

    def judge(claim, left, right, slack):
        if abs(left - right) > slack:
            return not abs(claim) <= max(abs(left), abs(right)) + slack
        return not abs(claim - (left + right) / 2) <= slack

    return _suspects(loss, point, claimed, step, rounding, judge)


@misconception(
    "q9-suspects-basic",
    "A claim of nan is never found: every comparison with nan is false, so ask whether the claim "
    "lies inside, and take it for a suspect if not.",
)
def suspects(loss, point, claimed, step, rounding):
    _check_claim(point, claimed)

    def judge(claim, left, right, slack):
        return claim < min(left, right) - slack or claim > max(left, right) + slack

    return _suspects(loss, point, claimed, step, rounding, judge)


@misconception(
    "q9-suspects-bugs",
    "All calls of the loss get the same array, and a loss that writes into it spoils the point. "
    "Hand over a copy each time.",
)
def suspects(loss, point, claimed, step, rounding):
    _check_claim(point, claimed)
    point, claimed = _floats(point, claimed)
    here, found = float(loss(point)), []
    for place in np.ndindex(point.shape):
        values = [_moved(loss, point, place, move) for move in (-step, step)]
        left, right = (here - values[0]) / step, (values[1] - here) / step
        slack = 0.001 * max(1, abs(left), abs(right))
        slack += 2 * rounding * max(abs(here), *map(abs, values)) / step
        if _outside(claimed[place], left, right, slack):
            found.append(place)
    return found


@misconception(
    "q9-suspects-basic",
    "A point of whole numbers stays one, and a step of 0.001 is cut off: both slopes are 0. "
    "Turn the point into float64 first.",
)
def suspects(loss, point, claimed, step, rounding):
    _check_claim(point, claimed)
    point, claimed, found = np.array(point), np.array(claimed, dtype=float), []
    for place in np.ndindex(point.shape):
        below, above = point.copy(), point.copy()
        below[place] = below[place] - step
        above[place] = above[place] + step
        values = [float(loss(array.astype(float))) for array in (below, point, above)]
        left, right = np.diff(values) / step
        slack = 0.001 * max(1, abs(left), abs(right))
        slack += 2 * rounding * max(map(abs, values)) / step
        if _outside(claimed[place], left, right, slack):
            found.append(place)
    return found


@misconception(
    "q9-suspects-errors",
    "Claims of another shape are judged all the same. NumPy stretches them to fit: "
    "compare the shapes first.",
)
def suspects(loss, point, claimed, step, rounding):
    stretched = np.resize(np.array(claimed, dtype=float), np.shape(point))
    return _suspects(loss, point, stretched, step, rounding, _outside)


@variant("q9-suspects")
def suspects(loss, point, claimed, step, rounding):
    _check_claim(point, claimed)
    return _suspects(loss, point, claimed, step, rounding, _outside)


@variant("q9-suspects")
def suspects(loss, point, claimed, step, rounding):
    point, claimed = _floats(point, claimed)
    if point.shape != claimed.shape:
        raise ValueError("claimed does not fit")
    values = np.zeros((3, *point.shape))
    for place in np.ndindex(point.shape):
        for row, move in enumerate((-step, 0, step)):
            values[row][place] = _moved(loss, point, place, move)
    slopes = np.diff(values, axis=0) / step
    steepest = np.maximum(np.abs(slopes).max(axis=0), 1)
    slack = 0.001 * steepest + 2 * rounding * np.abs(values).max(axis=0) / step
    inside = (claimed >= slopes.min(axis=0) - slack) & (claimed <= slopes.max(axis=0) + slack)
    return [tuple(place) for place in np.argwhere(~inside).tolist()]


@variant("q9-suspects")
def suspects(loss, point, claimed, step, rounding):
    point, claimed = _floats(point, claimed)
    if point.shape != claimed.shape:
        raise ValueError(f"claimed has the shape {claimed.shape}")
    flat, here = point.ravel(), float(loss(point.copy()))

    def wrong(index):
        moves = np.zeros(flat.size)
        moves[index] = step
        back = float(loss((flat - moves).reshape(point.shape)))
        on = float(loss((flat + moves).reshape(point.shape)))
        left, right = (here - back) / step, (on - here) / step
        middle, half = (left + right) / 2, abs(left - right) / 2
        slack = max(0.001, 0.001 * abs(left), 0.001 * abs(right))
        slack += 2 * rounding / step * max(abs(back), abs(here), abs(on))
        return not abs(claimed.ravel()[index] - middle) <= half + slack

    places = list(np.ndindex(point.shape))
    return [place for index, place in enumerate(places) if wrong(index)]
