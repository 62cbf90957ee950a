"""Wrong answers that people give to problem set 1, and right answers written another way."""

import numpy as np

from cnnbook.convolution import convolution_matrix, convolve1d, correlate1d
from referee.cases import misconception, variant

# Checks of arguments, as the docstrings of the questions ask for them.


def _check_echo(delays, gains):
    if len(gains) != len(delays):
        raise ValueError("gains must be as many as delays")
    if min(delays) < 0:
        raise ValueError("delays must be 0 or more")


def _check_max_lag(max_lag):
    if max_lag < 0:
        raise ValueError("max_lag must be 0 or more")


def _check_center(center, kernel):
    if center < 0 or center >= len(kernel):
        raise ValueError("center must be an index of the kernel")


def _check_weights(weights):
    if len(weights) % 2 == 0:
        raise ValueError("weights must be odd in number")
    if min(weights) < 0:
        raise ValueError("weights must not be negative")


def _check_period(period):
    if period < 1:
        raise ValueError("period must be 1 or more")


def _check_tail(tail, kernel):
    if len(tail) != len(kernel) - 1:
        raise ValueError("tail must have one sample less than the kernel has taps")


def _check_undo(recorded, kernel, missing):
    if missing < 0 or missing >= len(kernel):
        raise ValueError("missing must be from 0 to one less than the kernel has taps")
    if kernel[-1] == 0:
        raise ValueError("kernel must not end in 0")
    if len(recorded) + missing < len(kernel):
        raise ValueError("kernel must not be longer than the whole output")


def _check_recorded(recorded, signal, kernel, missing):
    if np.abs(np.convolve(signal, kernel)[missing:] - recorded).max() > 1e-6:
        raise ValueError("recorded is not the end of a full convolution")


def _check_template(template, signal):
    if len(template) > len(signal):
        raise ValueError("template must not be longer than the signal")
    if np.linalg.norm(template - np.mean(template)) < 1e-6:
        raise ValueError("template must not be flat")


# Question 1: echoes


@misconception(
    "q1-echo-basic",
    "Two echoes with the same delay overwrite each other: an assignment keeps only the last gain. "
    "Try echo([1], [2, 2], [1, 1]), where 2 must come out at sample 2, and add instead.",
)
def echo(signal, delays, gains):
    _check_echo(delays, gains)
    kernel = np.zeros(max(delays) + 1)
    kernel[delays] = gains
    return np.convolve(signal, kernel)


@misconception(
    "q1-echo-basic",
    "The signal itself is added although no delay of 0 asks for it. "
    "Try echo([1], [1], [1]): sample 0 must be 0.",
)
def echo(signal, delays, gains):
    _check_echo(delays, gains)
    signal = np.asarray(signal, dtype=float)
    output = np.zeros(len(signal) + max(delays))
    output[: len(signal)] = signal
    for delay, gain in zip(delays, gains, strict=True):
        output[delay : delay + len(signal)] += gain * signal
    return output


@misconception(
    "q1-echo-basic",
    "The output ends when the signal ends, and the echoes are cut off. "
    "The last echo begins at sample max(delays) and needs M samples from there.",
)
def echo(signal, delays, gains):
    _check_echo(delays, gains)
    signal = np.asarray(signal, dtype=float)
    output = np.zeros(len(signal))
    for delay, gain in zip(delays, gains, strict=True):
        for n in range(delay, len(signal)):
            output[n] += gain * signal[n - delay]
    return output


@misconception(
    "q1-echo-basic",
    "The output has the integer type of the signal, so fractions are cut off as they are stored. "
    "Try echo([1], [0], [0.5]), which must give 0.5, and begin with np.zeros(length).",
)
def echo(signal, delays, gains):
    _check_echo(delays, gains)
    signal = np.asarray(signal)
    output = np.zeros(len(signal) + max(delays), dtype=signal.dtype)
    for delay, gain in zip(delays, gains, strict=True):
        for n in range(len(signal)):
            output[n + delay] += gain * signal[n]
    return output


@misconception(
    "q1-echo-errors",
    "zip stops at the shorter list without a word, and a negative index counts from the end. "
    "Check both before the sum, and raise a ValueError that names the argument.",
)
def echo(signal, delays, gains):
    signal = np.asarray(signal, dtype=float)
    output = np.zeros(len(signal) + max(delays))
    for delay, gain in zip(delays, gains, strict=False):
        for n in range(len(signal)):
            output[n + delay] += gain * signal[n]
    return output


@misconception(
    "q1-echo-basic",
    "Each delay is counted from the echo before it. "
    "Every delay counts from the beginning: echo([1], [1, 2], [1, 1]) is 0, 1, 1.",
)
def echo(signal, delays, gains):
    _check_echo(delays, gains)
    kernel = np.zeros(sum(delays) + 1)
    position = 0
    for delay, gain in zip(delays, gains, strict=True):
        position += delay
        kernel[position] += gain
    return np.convolve(signal, kernel)


@misconception(
    "q1-echo-basic",
    "kernel[delays] += gains reads, adds and writes once for each place, so of two echoes with "
    "the same delay only one stays. Add in a loop, or with np.add.at.",
)
def echo(signal, delays, gains):
    _check_echo(delays, gains)
    kernel = np.zeros(max(delays) + 1)
    kernel[delays] += gains
    return convolve1d(signal, kernel)


@misconception(
    "q1-echo-unusual",
    "The output begins with the first echo, and the silence before it is lost. "
    "Time is counted from the first sample of the signal: echo([1], [1], [1]) is 0, 1.",
)
def echo(signal, delays, gains):
    _check_echo(delays, gains)
    kernel = np.zeros(max(delays) - min(delays) + 1)
    for delay, gain in zip(delays, gains, strict=True):
        kernel[delay - min(delays)] += gain
    return np.convolve(signal, kernel)


@variant("q1-echo")
def echo(signal, delays, gains):
    if len(delays) != len(gains):
        raise ValueError("delays and gains must be equally many")
    if any(delay < 0 for delay in delays):
        raise ValueError("delays must not be negative")
    signal = np.asarray(signal, dtype=float)
    output = np.zeros(len(signal) + max(delays))
    for delay, gain in zip(delays, gains, strict=True):
        output[delay : delay + len(signal)] += gain * signal
    return output


@variant("q1-echo")
def echo(signal, delays, gains):
    _check_echo(delays, gains)
    end = max(delays)
    return sum(
        np.pad(gain * np.asarray(signal, dtype=float), (delay, end - delay))
        for delay, gain in zip(delays, gains, strict=True)
    )


@variant("q1-echo")
def echo(signal, delays, gains):
    _check_echo(delays, gains)
    pairs = list(zip(delays, gains, strict=True))
    return np.array(
        [
            sum(float(g * signal[n - d]) for d, g in pairs if 0 <= n - d < len(signal))
            for n in range(len(signal) + max(delays))
        ],
        dtype=float,
    )


@variant("q1-echo")
def echo(signal, delays, gains):
    _check_echo(delays, gains)
    kernel = np.bincount(delays, weights=gains)
    size = len(signal) + len(kernel) - 1
    return np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(kernel, size), size)


# Question 2: the closed box


def _predictions(**changes):
    right = {
        "impulse": [3, 2, -1],
        "step": [3, 5, 4, 4, 4, 4],
        "twice": [9, 12, -2, -4, 1],
        "layer": [-1, 2, 3],
    }
    return right | changes


@misconception(
    "q2-box-impulse",
    "Half of the input does not mean half of the answer: 1, 1 is two impulses at different times. "
    "The first number, 3, belongs to the first impulse alone.",
)
def predict_box():
    return _predictions(impulse=[1.5, 2.5, 0.5])


@misconception(
    "q2-box-impulse",
    "The differences of neighboring numbers of the measurement are not the impulse response. "
    "Take from each number what the impulse before it still adds: 3, then 5 − 3, then 1 − 2.",
)
def predict_box():
    return _predictions(impulse=[3, 2, -4])


@misconception(
    "q2-box-impulse",
    "The impulse response is written backward. The box gives its first number, 3, at once: "
    "before the second 1 arrives nothing else can come out.",
)
def predict_box():
    return _predictions(impulse=[-1, 2, 3])


@misconception(
    "q2-box-step",
    "After the second 1 further ones arrive, and each adds its own answer. "
    "The numbers settle at the sum of the impulse response and do not fall to 0.",
)
def predict_box():
    return _predictions(step=[3, 5, 1, -1, 0, 0])


@misconception(
    "q2-box-step",
    "The impulse response goes on by repetition here. Instead, impulse responses that start one "
    "sample apart overlap: from the third sample on, 3 + 2 − 1 comes out.",
)
def predict_box():
    return _predictions(step=[3, 2, -1, 3, 2, -1])


@misconception(
    "q2-box-twice",
    "Two boxes in a row do not square each number. The second box hears 3, 2, −1 and answers each "
    "of them with three numbers, shifted and scaled.",
)
def predict_box():
    return _predictions(twice=[9, 4, 1, 0, 0])


@misconception(
    "q2-box-twice",
    "Doubling is what two boxes side by side do, when their answers are added. "
    "In a row, the second box hears 3, 2, −1.",
)
def predict_box():
    return _predictions(twice=[6, 4, -2, 0, 0])


@misconception(
    "q2-box-layer",
    "A layer cross-correlates: it does not flip its kernel. The first window, 0, 0, 1, "
    "meets the 1 with its last tap, so the kernel comes out backward.",
)
def predict_box():
    return _predictions(layer=[3, 2, -1])


@variant("q2-box")
def predict_box():
    impulse = [3, 5 - 3, 1 - 2]
    return {
        "impulse": impulse,
        "step": list(np.cumsum(impulse + [0] * 3)),
        "twice": list(np.convolve(impulse, impulse)),
        "layer": impulse[::-1],
    }


@variant("q2-box")
def predict_box():
    measured = np.array([3.0, 5.0, 1.0, -1.0])
    both = np.eye(4, 3) + np.eye(4, 3, -1)
    h = np.linalg.lstsq(both, measured)[0]
    return {
        "impulse": h.tolist(),
        "step": np.convolve(h, np.ones(6))[:6].tolist(),
        "twice": np.convolve(h, h).tolist(),
        "layer": np.correlate([0, 0, 1, 0, 0], h, "valid").tolist(),
    }


@variant("q2-box")
def predict_box():
    def box(samples, count):
        answer = []
        for n in range(count):
            now = samples[n] if n < len(samples) else 0
            before = samples[n - 1] if 1 <= n <= len(samples) else 0
            long_before = samples[n - 2] if 2 <= n <= len(samples) + 1 else 0
            answer.append(3 * now + 2 * before - long_before)
        return answer

    first = box([1], 3)
    return dict(
        impulse=first,
        step=box([1] * 6, 6),
        twice=box(first, 5),
        layer=list(reversed(first)),
    )


# Question 3: lags


@misconception(
    "q3-lags-basic",
    "The lags have the wrong sign: a positive lag must mean that second is late, so the shift "
    "goes into the index of second. Try [1, 0] and [0, 1]: the 1 belongs to lag 1.",
)
def lag_values(first, second, max_lag):
    _check_max_lag(max_lag)
    lags = np.arange(-max_lag, max_lag + 1)
    values = np.zeros(len(lags))
    for i, lag in enumerate(lags):
        for n in range(len(second)):
            if 0 <= n + lag < len(first):
                values[i] += first[n + lag] * second[n]
    return lags, values


@misconception(
    "q3-lags-basic",
    "This is a convolution: one of the recordings runs backward. In a cross-correlation both "
    "indexes rise together, first[n] * second[n + d].",
)
def lag_values(first, second, max_lag):
    _check_max_lag(max_lag)
    lags = np.arange(-max_lag, max_lag + 1)
    values = np.zeros(len(lags))
    for i, lag in enumerate(lags):
        for n in range(len(first)):
            if 0 <= lag - n < len(second):
                values[i] += first[n] * second[lag - n]
    return lags, values


@misconception(
    "q3-lags-basic",
    "A negative index does not lie outside: Python counts it from the end. "
    "Check that n + d is at least 0 as well.",
)
def lag_values(first, second, max_lag):
    _check_max_lag(max_lag)
    lags = np.arange(-max_lag, max_lag + 1)
    values = np.zeros(len(lags))
    for i, lag in enumerate(lags):
        for n in range(len(first)):
            if -len(second) <= n + lag < len(second):
                values[i] += first[n] * second[n + lag]
    return lags, values


@misconception(
    "q3-lags-basic",
    "Each value is a mean over the samples that overlap. The definition asks for the sum: "
    "divide by nothing.",
)
def lag_values(first, second, max_lag):
    _check_max_lag(max_lag)
    lags = np.arange(-max_lag, max_lag + 1)
    values = np.zeros(len(lags))
    for i, lag in enumerate(lags):
        products = [
            first[n] * second[n + lag] for n in range(len(first)) if 0 <= n + lag < len(second)
        ]
        if products:
            values[i] = sum(products) / len(products)
    return lags, values


@misconception(
    "q3-lags-lengths",
    "The middle of the full cross-correlation is lag 0 only if both recordings are equally long. "
    "Lag 0 stands at index len(first) - 1.",
)
def lag_values(first, second, max_lag):
    _check_max_lag(max_lag)
    padded = np.pad(np.correlate(second, first, "full").astype(float), max_lag)
    middle = len(padded) // 2
    values = padded[middle - max_lag : middle + max_lag + 1]
    return np.arange(-max_lag, max_lag + 1), values


@misconception(
    "q3-lags-types",
    "Integers in, integers out: the values take the type of the recordings, and with a second "
    "recording of fractions they would be cut. Make them float64.",
)
def lag_values(first, second, max_lag):
    _check_max_lag(max_lag)
    lags = np.arange(-max_lag, max_lag + 1)
    values = np.zeros(len(lags), dtype=np.asarray(first).dtype)
    for i, lag in enumerate(lags):
        for n in range(len(first)):
            if 0 <= n + lag < len(second):
                values[i] += first[n] * second[n + lag]
    return lags, values


@misconception(
    "q3-lags-types",
    "A negative max_lag gives empty arrays instead of an error. "
    "Whoever called the function by mistake should learn it there, from a ValueError.",
)
def lag_values(first, second, max_lag):
    lags = np.arange(-max_lag, max_lag + 1)
    values = np.zeros(len(lags))
    for i, lag in enumerate(lags):
        for n in range(len(first)):
            if 0 <= n + lag < len(second):
                values[i] += first[n] * second[n + lag]
    return lags, values


@misconception(
    "q3-lags-basic",
    "correlate1d(first, second) slides second along first, so its outputs rise with the lag of "
    "first, and every lag has the wrong sign. Exchange the two, or turn the result around.",
)
def lag_values(first, second, max_lag):
    _check_max_lag(max_lag)
    lags = np.arange(-max_lag, max_lag + 1)
    full = correlate1d(first, second, "full").astype(float)
    padded = np.pad(full, max_lag)
    start = len(second) - 1
    return lags, padded[start : start + len(lags)]


@variant("q3-lags")
def lag_values(first, second, max_lag):
    if max_lag < 0:
        raise ValueError(f"max_lag was {max_lag}")
    full = np.correlate(np.asarray(second, float), np.asarray(first, float), "full")
    by_lag = dict(zip(range(1 - len(first), len(second)), full, strict=True))
    lags = np.arange(-max_lag, max_lag + 1)
    return lags, np.array([by_lag.get(int(lag), 0.0) for lag in lags])


@variant("q3-lags")
def lag_values(first, second, max_lag):
    _check_max_lag(max_lag)
    M = len(first)
    padded = np.zeros(2 * max_lag + M + len(second))
    padded[max_lag : max_lag + len(second)] = second
    values = [padded[start : start + M] @ np.asarray(first) for start in range(2 * max_lag + 1)]
    return np.arange(2 * max_lag + 1) - max_lag, np.array(values)


@variant("q3-lags")
def lag_values(first, second, max_lag):
    _check_max_lag(max_lag)
    products = np.outer(np.asarray(first, dtype=float), second)
    lags = np.arange(-max_lag, max_lag + 1)
    inside = (lags > -len(first)) & (lags < len(second))
    values = [np.trace(products, lag) if ok else 0.0 for lag, ok in zip(lags, inside, strict=True)]
    return lags, np.array(values, dtype=float)


@variant("q3-lags")
def lag_values(first, second, max_lag):
    _check_max_lag(max_lag)
    size = len(first) + len(second) + 2 * max_lag
    spectrum = np.conj(np.fft.fft(first, size)) * np.fft.fft(second, size)
    lags = np.arange(-max_lag, max_lag + 1)
    return lags, np.fft.ifft(spectrum).real[lags]


# Question 4: the tap on the sample


@misconception(
    "q4-width-basic",
    "The kernel is flipped: this is a convolution. In a cross-correlation the first tap meets the "
    "earliest sample of the window; try kernel [1, 10] on a single 1.",
)
def equal_width(signal, kernel, center):
    _check_center(center, kernel)
    padded = np.pad(np.asarray(signal, dtype=float), (center, len(kernel) - 1 - center))
    return np.array(
        [kernel[::-1] @ padded[i : i + len(kernel)] for i in range(len(signal))], dtype=float
    )


@misconception(
    "q4-width-basic",
    "The zeros stand on the wrong sides. Before the first sample there must be room for the "
    "`center` taps that come before the one on the sample.",
)
def equal_width(signal, kernel, center):
    _check_center(center, kernel)
    padded = np.pad(np.asarray(signal, dtype=float), (len(kernel) - 1 - center, center))
    return np.array([np.dot(kernel, padded[i : i + len(kernel)]) for i in range(len(signal))])


@misconception(
    "q4-width-basic",
    "The middle tap always sits on the sample, whatever `center` says. "
    "Compare equal_width([1, 2, 3], [1, 10], 0) with center 1: they must differ.",
)
def equal_width(signal, kernel, center):
    _check_center(center, kernel)
    half = len(kernel) // 2
    padded = np.pad(np.asarray(signal, dtype=float), (half, len(kernel) - 1 - half))
    return np.array([np.dot(kernel, padded[i : i + len(kernel)]) for i in range(len(signal))])


@misconception(
    "q4-width-kernels",
    "np.correlate in mode 'same' is as long as the longer of its two arguments, "
    "so the output is too long when the kernel is longer than the signal.",
)
def equal_width(signal, kernel, center):
    _check_center(center, kernel)
    taps = len(kernel)
    around = np.zeros(2 * max(center, taps - 1 - center) + 1)
    start = len(around) // 2 - center
    around[start : start + taps] = kernel
    return np.correlate(np.asarray(signal, dtype=float), around, "same")


@misconception(
    "q4-width-basic",
    "Where the window sticks out of the signal the output is left at 0. "
    "Only the samples outside count as 0; the taps inside the signal still count.",
)
def equal_width(signal, kernel, center):
    _check_center(center, kernel)
    output = np.zeros(len(signal))
    for i in range(center, len(signal) - len(kernel) + 1 + center):
        output[i] = np.dot(kernel, signal[i - center : i - center + len(kernel)])
    return output


@misconception(
    "q4-width-basic",
    "The output takes the type of the signal: integers stay integers, and fractions are cut off. "
    "Begin with np.zeros(len(signal)), which holds float64.",
)
def equal_width(signal, kernel, center):
    _check_center(center, kernel)
    output = np.zeros_like(signal)
    for i in range(len(signal)):
        for k, tap in enumerate(kernel):
            if 0 <= i + k - center < len(signal):
                output[i] += tap * signal[i + k - center]
    return output


@misconception(
    "q4-width-errors",
    "An index equal to the number of taps is already one too many: the last tap is K - 1.",
)
def equal_width(signal, kernel, center):
    if not 0 <= center <= len(kernel):
        raise ValueError("center must be an index of the kernel")
    output = np.zeros(len(signal))
    for i in range(len(signal)):
        for k, tap in enumerate(kernel):
            if 0 <= i + k - center < len(signal):
                output[i] += tap * signal[i + k - center]
    return output


@variant("q4-width")
def equal_width(signal, kernel, center):
    if center < 0 or center > len(kernel) - 1:
        raise ValueError(f"center was {center}")
    output = np.zeros(len(signal))
    for i in range(len(signal)):
        for k in range(len(kernel)):
            j = i + k - center
            if j >= 0 and j < len(signal):
                output[i] += kernel[k] * signal[j]
    return output


@variant("q4-width")
def equal_width(signal, kernel, center):
    _check_center(center, kernel)
    full = np.convolve(np.asarray(signal, dtype=float), kernel[::-1])
    start = len(kernel) - 1 - center
    return full[start : start + len(signal)]


@variant("q4-width")
def equal_width(signal, kernel, center):
    _check_center(center, kernel)
    M = len(signal)
    band = np.zeros((M, M))
    for k, tap in enumerate(kernel):
        band += tap * np.eye(M, k=k - center)
    return band @ np.asarray(signal)


@variant("q4-width")
def equal_width(signal, kernel, center):
    _check_center(center, kernel)
    padded = np.concatenate([np.zeros(center), signal, np.zeros(len(kernel) - 1 - center)])
    return np.lib.stride_tricks.sliding_window_view(padded, len(kernel)) @ np.array(kernel)


# Question 5: gaps


@misconception(
    "q5-gaps-basic",
    "A gap counts as a sample of 0, and the mean is pulled toward 0. "
    "Leave its weight out of the sum below the fraction too.",
)
def mean_with_gaps(signal, weights):
    _check_weights(weights)
    filled = np.nan_to_num(np.asarray(signal, dtype=float))
    weights = np.asarray(weights, dtype=float)
    half = len(weights) // 2
    padded = np.pad(filled, half)
    there = np.pad(np.ones(len(filled)), half)
    sums = np.correlate(padded, weights, "valid")
    totals = np.correlate(there, weights, "valid")
    return np.where(totals > 0, sums / np.where(totals > 0, totals, 1), np.nan)


@misconception(
    "q5-gaps-basic",
    "Gaps are skipped, but the places beyond the ends still count as samples of 0. "
    "A constant signal shows it: its mean must be that constant at the ends too.",
)
def mean_with_gaps(signal, weights):
    _check_weights(weights)
    half = len(weights) // 2
    padded = np.pad(np.asarray(signal, dtype=float), half)
    output = np.full(len(signal), np.nan)
    for i in range(len(output)):
        pairs = [
            (w, x)
            for w, x in zip(weights, padded[i : i + len(weights)], strict=True)
            if not np.isnan(x)
        ]
        total = sum(w for w, _ in pairs)
        if total > 0:
            output[i] = sum(w * x for w, x in pairs) / total
    return output


@misconception(
    "q5-gaps-untouched",
    "np.asarray hands back the very array that was passed in, so filling the gaps changes the "
    "caller's recording. Take a copy first.",
)
def mean_with_gaps(signal, weights):
    _check_weights(weights)
    signal = np.asarray(signal, dtype=float)
    present = ~np.isnan(signal)
    signal[~present] = 0
    half = len(weights) // 2
    sums = np.correlate(np.pad(signal, half), weights, "valid")
    totals = np.correlate(np.pad(present.astype(float), half), weights, "valid")
    return np.where(totals > 0, sums / np.where(totals > 0, totals, 1), np.nan)


@misconception(
    "q5-gaps-basic",
    "The weights are flipped, as np.convolve does. Symmetric weights hide it: "
    "try [1, 0, 0], which must give the sample before.",
)
def mean_with_gaps(signal, weights):
    _check_weights(weights)
    signal = np.asarray(signal, dtype=float)
    present = ~np.isnan(signal)
    half = len(weights) // 2
    sums = np.convolve(np.where(present, signal, 0), weights)[half : half + len(signal)]
    totals = np.convolve(present, weights)[half : half + len(signal)]
    return np.where(totals > 0, sums / np.where(totals > 0, totals, 1), np.nan)


@misconception(
    "q5-gaps-basic",
    "The weighted sum is divided by the number of samples that are there. "
    "Divide by the sum of their weights, or a constant signal does not stay constant.",
)
def mean_with_gaps(signal, weights):
    _check_weights(weights)
    weights = np.asarray(weights, dtype=float)
    half = len(weights) // 2
    padded = np.pad(np.asarray(signal, dtype=float), half, constant_values=np.nan)
    output = np.full(len(signal), np.nan)
    for i in range(len(signal)):
        window = padded[i : i + len(weights)]
        present = ~np.isnan(window)
        if weights[present].sum() > 0:
            output[i] = (weights * window)[present].mean()
    return output


@misconception(
    "q5-gaps-windows",
    "A sample that is 0 is taken for a gap. Ask np.isnan which samples are missing, "
    "before anything is filled with 0.",
)
def mean_with_gaps(signal, weights):
    _check_weights(weights)
    weights = np.asarray(weights, dtype=float)
    half = len(weights) // 2
    padded = np.pad(np.nan_to_num(np.asarray(signal, dtype=float)), half)
    output = np.full(len(signal), np.nan)
    for i in range(len(signal)):
        window = padded[i : i + len(weights)]
        total = weights[window != 0].sum()
        if total > 0:
            output[i] = weights @ window / total
    return output


@misconception(
    "q5-gaps-basic",
    "Where nothing is known the answer is 0, which looks like a measurement. It must be nan there.",
)
def mean_with_gaps(signal, weights):
    _check_weights(weights)
    signal = np.asarray(signal, dtype=float)
    present = ~np.isnan(signal)
    half = len(weights) // 2
    sums = np.correlate(np.pad(np.where(present, signal, 0), half), weights, "valid")
    totals = np.correlate(np.pad(present.astype(float), half), weights, "valid")
    return sums / np.where(totals > 0, totals, 1)


@misconception(
    "q5-gaps-errors",
    "Negative weights pass unnoticed, and the weights that are there may then add up to 0 or less. "
    "Check each weight, not only how many there are.",
)
def mean_with_gaps(signal, weights):
    if len(weights) % 2 == 0:
        raise ValueError("weights must be odd in number")
    signal = np.asarray(signal, dtype=float)
    present = ~np.isnan(signal)
    half = len(weights) // 2
    sums = np.correlate(np.pad(np.where(present, signal, 0), half), weights, "valid")
    totals = np.correlate(np.pad(present.astype(float), half), weights, "valid")
    return np.where(totals > 0, sums / np.where(totals > 0, totals, 1), np.nan)


@misconception(
    "q5-gaps-basic",
    "np.correlate in mode 'same' is as long as the longer of its two arguments, so there are too "
    "many outputs when there are more weights than samples.",
)
def mean_with_gaps(signal, weights):
    _check_weights(weights)
    signal = np.asarray(signal, dtype=float)
    present = ~np.isnan(signal)
    sums = np.correlate(np.where(present, signal, 0), weights, "same")
    totals = np.correlate(present.astype(float), weights, "same")
    return np.where(totals > 0, sums / np.where(totals > 0, totals, 1), np.nan)


@variant("q5-gaps")
def mean_with_gaps(signal, weights):
    if len(weights) % 2 != 1:
        raise ValueError("weights must be odd in number")
    if any(weight < 0 for weight in weights):
        raise ValueError("weights must not be negative")
    half = (len(weights) - 1) // 2
    means = []
    for i in range(len(signal)):
        above = below = 0.0
        for k, weight in enumerate(weights):
            j = i + k - half
            if 0 <= j < len(signal) and not np.isnan(signal[j]):
                above += weight * signal[j]
                below += weight
        means.append(above / below if below > 0 else np.nan)
    return np.array(means)


@variant("q5-gaps")
def mean_with_gaps(signal, weights):
    _check_weights(weights)
    x = np.array(signal, dtype=float)
    known = np.isfinite(x)
    x[~known] = 0.0
    start = len(weights) // 2
    taps = np.array(weights, dtype=float)[::-1]
    inside = slice(start, start + len(x))
    with np.errstate(invalid="ignore"):
        return np.convolve(x, taps)[inside] / np.convolve(known, taps)[inside]


@variant("q5-gaps")
def mean_with_gaps(signal, weights):
    _check_weights(weights)
    M, half = len(signal), len(weights) // 2
    band = sum(float(weight) * np.eye(M, k=k - half) for k, weight in enumerate(weights))
    there = ~np.isnan(np.asarray(signal, dtype=float))
    totals = band @ there
    means = np.full(M, np.nan)
    np.divide(band[:, there] @ np.asarray(signal)[there], totals, out=means, where=totals > 0)
    return means


@variant("q5-gaps")
def mean_with_gaps(signal, weights):
    _check_weights(weights)
    half = len(weights) // 2
    beyond = np.full(half, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.concatenate([beyond, signal, beyond]), len(weights)
    )
    masked = np.ma.masked_invalid(windows)
    mean = np.ma.average(masked, axis=1, weights=np.broadcast_to(weights, windows.shape))
    return np.ma.filled(mean.astype(float), np.nan)


# Question 6: the ring


@misconception(
    "q6-circular-basic",
    "np.fft.fft(x, n) cuts off what is longer than n instead of winding it around. "
    "Fold signal and kernel onto the ring before the transform.",
)
def circular(signal, kernel, period):
    _check_period(period)
    spectrum = np.fft.fft(signal, period) * np.fft.fft(kernel, period)
    return np.fft.ifft(spectrum).real


@misconception(
    "q6-circular-basic",
    "What reaches beyond the ring is cut off. It must come around again: "
    "sample n of the straight result is added to place n mod period.",
)
def circular(signal, kernel, period):
    _check_period(period)
    full = np.convolve(signal, kernel).astype(float)
    return np.pad(full, (0, period))[:period]


@misconception(
    "q6-circular-basic",
    "The result goes around the ring only once. On a small ring it goes around several times: "
    "take the remainder for every sample.",
)
def circular(signal, kernel, period):
    _check_period(period)
    full = np.pad(np.convolve(signal, kernel).astype(float), (0, 2 * period))
    return full[:period] + full[period : 2 * period]


@misconception(
    "q6-circular-basic",
    "The indexes are subtracted, as in a cross-correlation. In a convolution the product of "
    "signal[i] and kernel[j] belongs to place i + j.",
)
def circular(signal, kernel, period):
    _check_period(period)
    output = np.zeros(period)
    for i, sample in enumerate(signal):
        for j, tap in enumerate(kernel):
            output[(i - j) % period] += sample * tap
    return output


@misconception(
    "q6-circular-basic",
    "With repeated indexes, output[index] += values adds only the last of them. "
    "Use np.add.at, or a loop.",
)
def circular(signal, kernel, period):
    _check_period(period)
    full = np.convolve(signal, kernel)
    output = np.zeros(period)
    output[np.arange(len(full)) % period] += full
    return output


@misconception(
    "q6-circular-errors",
    "A ring of no places is not refused. Check the period first, "
    "and name it in the message of the ValueError.",
)
def circular(signal, kernel, period):
    output = np.zeros(abs(period))
    for n, value in enumerate(np.convolve(signal, kernel)):
        if period:
            output[n % period] += value
    return output


@misconception(
    "q6-circular-winding",
    "The signal is wound around the ring, but the kernel is cut off at its end: np.fft.fft(x, n) "
    "keeps n samples. Fold both.",
)
def circular(signal, kernel, period):
    _check_period(period)
    folded = np.zeros(period)
    for n, sample in enumerate(signal):
        folded[n % period] += sample
    return np.fft.ifft(np.fft.fft(folded) * np.fft.fft(kernel, period)).real


@variant("q6-circular")
def circular(signal, kernel, period):
    if period <= 0:
        raise ValueError(f"period was {period}")
    output = np.zeros(period)
    for i in range(len(signal)):
        for j in range(len(kernel)):
            output[(i + j) % period] += signal[i] * kernel[j]
    return output


@variant("q6-circular")
def circular(signal, kernel, period):
    _check_period(period)
    full = np.convolve(np.asarray(signal, dtype=float), kernel)
    turns = -(-len(full) // period)
    return np.pad(full, (0, turns * period - len(full))).reshape(turns, period).sum(axis=0)


@variant("q6-circular")
def circular(signal, kernel, period):
    _check_period(period)

    def spectrum(values):
        places = np.arange(len(values)) % period
        return np.fft.rfft(np.bincount(places, weights=values, minlength=period))

    return np.fft.irfft(spectrum(signal) * spectrum(kernel), period)


@variant("q6-circular")
def circular(signal, kernel, period):
    _check_period(period)
    full = np.convolve(signal, kernel)
    return np.array([full[n::period].sum() for n in range(period)], dtype=float)


# Question 7: blocks


@misconception(
    "q7-block-basic",
    "The tail that comes in is forgotten: what earlier blocks still add is lost, "
    "and every cut can be heard. Add it to the first samples.",
)
def convolve_block(block, kernel, tail):
    _check_tail(tail, kernel)
    full = np.zeros(len(block) + len(tail))
    if len(block):
        full += np.convolve(block, kernel)
    return full[: len(block)], full[len(block) :]


@misconception(
    "q7-block-stream",
    "With a kernel of one tap the tail is empty, but [-0:] takes the whole array. "
    "Count from the front: the tail begins after the finished samples.",
)
def convolve_block(block, kernel, tail):
    _check_tail(tail, kernel)
    full = np.zeros(len(block) + len(tail))
    if len(block):
        full += np.convolve(block, kernel)
    full[: len(tail)] += tail
    return full[: len(block)], full[-len(tail) :]


@misconception(
    "q7-block-basic",
    "When a block is shorter than the tail, part of the old tail is still to come. "
    "It must go on into the new tail: add the old tail before the cut.",
)
def convolve_block(block, kernel, tail):
    _check_tail(tail, kernel)
    full = np.zeros(len(block) + len(tail))
    if len(block):
        full += np.convolve(block, kernel)
    finished, new_tail = full[: len(block)], full[len(block) :]
    shared = min(len(block), len(tail))
    finished[:shared] += tail[:shared]
    return finished, new_tail


@misconception(
    "q7-block-basic",
    "The tail that is handed on holds old samples of the signal. "
    "It must hold what they still add to the output: the end of the convolution.",
)
def convolve_block(block, kernel, tail):
    _check_tail(tail, kernel)
    history = np.concatenate([tail, block]).astype(float)
    finished = np.convolve(history, kernel)[len(tail) : len(tail) + len(block)]
    return finished, history[len(block) :]


@misconception(
    "q7-block-untouched",
    "The sum is stored in the array that came in as tail, so the caller's tail changes. "
    "Add into an array of your own.",
)
def convolve_block(block, kernel, tail):
    _check_tail(tail, kernel)
    tail = np.asarray(tail, dtype=float)
    full = np.zeros(len(block) + len(tail))
    if len(block):
        full += np.convolve(block, kernel)
    tail += full[: len(tail)]
    full[: len(tail)] = tail
    return full[: len(block)], full[len(block) :]


@misconception(
    "q7-block-basic",
    "The kernel is flipped once too often. A lone 1 must come out as the kernel, first tap first.",
)
def convolve_block(block, kernel, tail):
    _check_tail(tail, kernel)
    full = np.zeros(len(block) + len(tail))
    if len(block):
        full += np.convolve(block, kernel[::-1])
    full[: len(tail)] += tail
    return full[: len(block)], full[len(block) :]


@misconception(
    "q7-block-errors",
    "A tail of the wrong length is cut or filled up without a word. It comes from another kernel "
    "or another stream, and the caller should hear of it.",
)
def convolve_block(block, kernel, tail):
    full = np.zeros(len(block) + len(kernel) - 1)
    if len(block):
        full += np.convolve(block, kernel)
    for n, value in enumerate(tail[: len(kernel) - 1]):
        full[n] += value
    return full[: len(block)], full[len(block) :]


@misconception(
    "q7-block-basic",
    "np.convolve of whole numbers gives whole numbers, to which a tail of fractions cannot be "
    "added in place. Make floats of them first.",
)
def convolve_block(block, kernel, tail):
    _check_tail(tail, kernel)
    full = np.convolve(block, kernel) if len(block) else np.zeros(len(tail))
    full[: len(tail)] += tail
    return full[: len(block)], full[len(block) :]


@misconception(
    "q7-block-basic",
    "An empty block is refused by np.convolve, but it is no error: nothing is finished, and the "
    "whole tail is still to come.",
)
def convolve_block(block, kernel, tail):
    _check_tail(tail, kernel)
    full = np.convolve(block, kernel).astype(float)
    full[: len(tail)] += tail
    return full[: len(block)], full[len(block) :]


@variant("q7-block")
def convolve_block(block, kernel, tail):
    if len(kernel) != len(tail) + 1:
        raise ValueError(f"tail had {len(tail)} samples")
    B, T = len(block), len(tail)
    full = np.convolve(block, kernel).astype(float) if B else np.zeros(T)
    carried = np.zeros(B + T)
    carried[:T] = tail
    finished, new_tail = np.split(full + carried, [B])
    return finished, new_tail


@variant("q7-block")
def convolve_block(block, kernel, tail):
    _check_tail(tail, kernel)
    state, finished = [float(value) for value in tail], []
    for sample in block:
        state = [s + sample * tap for s, tap in zip([*state, 0.0], kernel, strict=True)]
        finished.append(state.pop(0))
    return np.array(finished, dtype=float), np.array(state, dtype=float)


@variant("q7-block")
def convolve_block(block, kernel, tail):
    _check_tail(tail, kernel)
    B, K = len(block), len(kernel)
    band = np.zeros((B + K - 1, B))
    for k in range(K):
        band[np.arange(B) + k, np.arange(B)] = kernel[k]
    ringing = band @ np.asarray(block, dtype=float) + np.pad(np.asarray(tail, dtype=float), (0, B))
    return ringing[:B], ringing[B:]


@variant("q7-block")
def convolve_block(block, kernel, tail):
    _check_tail(tail, kernel)
    size = len(block) + len(kernel) - 1
    total = np.pad(np.array(tail, dtype=float), (0, len(block)))
    if len(block) > 0:
        total += np.fft.irfft(np.fft.rfft(block, size) * np.fft.rfft(kernel, size), size)
    return total[: len(block)], total[len(block) :]


# Question 8: the late recorder


@misconception(
    "q8-undo-basic",
    "This begins with the first recorded sample. When outputs are missing, that one contains more "
    "than one unknown: begin with the last output and the last tap.",
)
def undo(recorded, kernel, missing):
    _check_undo(recorded, kernel, missing)
    rest = np.append(np.array(recorded, dtype=float), np.zeros(missing))
    signal = np.zeros(len(rest) - len(kernel) + 1)
    for n in range(len(signal)):
        signal[n] = rest[n] / kernel[0] if kernel[0] else 0.0
        rest[n : n + len(kernel)] -= signal[n] * np.asarray(kernel)
    if missing == 0 and np.abs(rest).max() > 1e-6:
        raise ValueError("recorded is not a full convolution")
    if missing and np.abs(rest[: len(rest) - missing]).max() > 1e-6:
        raise ValueError("recorded is not the end of a full convolution")
    return signal


@misconception(
    "q8-undo-basic",
    "The missing outputs are taken for silence, as if zeros had been recorded in their place. "
    "Nothing is known about them: leave their equations out.",
)
def undo(recorded, kernel, missing):
    _check_undo(recorded, kernel, missing)
    output = np.append(np.zeros(missing), recorded)
    M = len(output) - len(kernel) + 1
    band = np.zeros((len(output), M))
    for column in range(M):
        band[column : column + len(kernel), column] = kernel
    signal = np.linalg.lstsq(band, output)[0]
    if missing == 0 or len(recorded) > M:
        _check_recorded(recorded, signal, kernel, missing)
    return signal


@misconception(
    "q8-undo-basic",
    "The last tap is taken for 1. In the last output it is a factor: divide by it.",
)
def undo(recorded, kernel, missing):
    _check_undo(recorded, kernel, missing)
    rest = np.append(np.zeros(missing), recorded)
    signal = np.zeros(len(rest) - len(kernel) + 1)
    for n in reversed(range(len(signal))):
        signal[n] = rest[n + len(kernel) - 1]
        rest[n : n + len(kernel)] -= signal[n] / kernel[-1] * np.asarray(kernel)
    if np.abs(rest[missing:]).max() > 1e-6:
        raise ValueError("recorded is not the end of a full convolution")
    return signal


@misconception(
    "q8-undo-errors",
    "The equations to spare are never looked at, so any recording gets an answer. "
    "Convolve what you found and compare it with what was recorded.",
)
def undo(recorded, kernel, missing):
    _check_undo(recorded, kernel, missing)
    rest = np.append(np.zeros(missing), recorded)
    signal = np.zeros(len(rest) - len(kernel) + 1)
    for n in reversed(range(len(signal))):
        signal[n] = rest[n + len(kernel) - 1] / kernel[-1]
        rest[n : n + len(kernel)] -= signal[n] * np.asarray(kernel)
    return signal


@misconception(
    "q8-undo-basic",
    "Outputs are missing, not samples of the signal: all of it can be found. "
    "Recorded and missing outputs together number M + K - 1.",
)
def undo(recorded, kernel, missing):
    _check_undo(recorded, kernel, missing)
    rest = np.append(np.zeros(missing), recorded)
    signal = np.zeros(len(rest) - len(kernel) + 1)
    for n in reversed(range(len(signal))):
        signal[n] = rest[n + len(kernel) - 1] / kernel[-1]
        rest[n : n + len(kernel)] -= signal[n] * np.asarray(kernel)
    _check_recorded(recorded, signal, kernel, missing)
    return signal[missing:]


@misconception(
    "q8-undo-basic",
    "The signal comes out backward: its last sample is found first, and must be stored last.",
)
def undo(recorded, kernel, missing):
    _check_undo(recorded, kernel, missing)
    rest = np.append(np.zeros(missing), recorded)
    samples = []
    while len(samples) < len(recorded) + missing - len(kernel) + 1:
        end = len(rest) - len(samples)
        samples.append(rest[end - 1] / kernel[-1])
        rest[end - len(kernel) : end] -= samples[-1] * np.asarray(kernel)
    if np.abs(rest[missing:]).max() > 1e-6:
        raise ValueError("recorded is not the end of a full convolution")
    return np.array(samples)


@misconception(
    "q8-undo-kernels",
    "np.asarray does not copy an array of floats, so the division eats up what the caller "
    "recorded. Use np.array.",
)
def undo(recorded, kernel, missing):
    _check_undo(recorded, kernel, missing)
    rest = np.asarray(recorded, dtype=float)
    signal = np.zeros(len(rest) + missing - len(kernel) + 1)
    for n in reversed(range(len(signal))):
        signal[n] = rest[n + len(kernel) - 1 - missing] / kernel[-1]
        for k, tap in enumerate(kernel):
            if n + k >= missing:
                rest[n + k - missing] -= signal[n] * tap
    if np.abs(rest).max() > 1e-6:
        raise ValueError("recorded is not the end of a full convolution")
    return signal


@variant("q8-undo")
def undo(recorded, kernel, missing):
    K = len(kernel)
    if not 0 <= missing <= K - 1:
        raise ValueError(f"missing was {missing}")
    M = len(recorded) + missing - K + 1
    if M < 1 or kernel[K - 1] == 0:
        raise ValueError("kernel is too long, or ends in 0")
    padded = np.zeros(M + K - 1)
    for n in range(M - 1, -1, -1):
        known = sum(kernel[k] * padded[n + K - 1 - k] for k in range(K - 1))
        padded[n] = (recorded[n + K - 1 - missing] - known) / kernel[K - 1]
    signal = padded[:M]
    if not np.allclose(np.convolve(signal, kernel)[missing:], recorded, rtol=0, atol=1e-6):
        raise ValueError("recorded cannot be undone")
    return signal


@variant("q8-undo")
def undo(recorded, kernel, missing):
    _check_undo(recorded, kernel, missing)
    band = convolution_matrix(kernel, len(recorded) + missing - len(kernel) + 1)[missing:]
    signal = np.linalg.lstsq(band, np.asarray(recorded, dtype=float))[0]
    if max(abs(band @ signal - recorded)) > 1e-6:
        raise ValueError("recorded cannot be undone")
    return signal


@variant("q8-undo")
def undo(recorded, kernel, missing):
    _check_undo(recorded, kernel, missing)
    backward = np.concatenate([recorded[::-1], np.zeros(missing)])
    signal = np.polydiv(backward, kernel[::-1])[0][::-1]
    _check_recorded(recorded, signal, kernel, missing)
    return signal


@variant("q8-undo")
def undo(recorded, kernel, missing):
    _check_undo(recorded, kernel, missing)
    taps = np.asarray(kernel, dtype=float)[::-1]

    def divide(rest, count):
        if count == 0:
            return []
        sample = rest[0] / taps[0]
        rest = rest - np.pad(sample * taps, (0, len(rest) - len(taps)))
        return [*divide(rest[1:], count - 1), sample]

    backward = np.pad(np.asarray(recorded, dtype=float)[::-1], (0, missing))
    signal = np.array(divide(backward, len(backward) - len(taps) + 1))
    _check_recorded(recorded, signal, kernel, missing)
    return signal


@variant("q8-undo")
def undo(recorded, kernel, missing):
    _check_undo(recorded, kernel, missing)
    samples = len(recorded) + missing - len(kernel) + 1
    last = convolution_matrix(kernel, samples)[-samples:]
    signal = np.linalg.solve(last, np.asarray(recorded, dtype=float)[-samples:])
    _check_recorded(recorded, signal, kernel, missing)
    return signal


# Question 9: the template


@misconception(
    "q9-match-basic",
    "The means are not subtracted, so a high window scores well whatever its shape. "
    "Windows [3, 5] and [5, 1] must get 1 and −1 with the template [0, 1].",
)
def match(signal, template):
    _check_template(template, signal)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.asarray(signal, dtype=float), len(template)
    )
    norms = np.linalg.norm(windows, axis=1)
    scores = windows @ np.asarray(template) / np.linalg.norm(template)
    return np.where(norms < 1e-6, 0, scores / np.maximum(norms, 1e-6))


@misconception(
    "q9-match-basic",
    "The template is flipped: np.convolve does that. Likeness is measured without a flip, "
    "first sample on first sample.",
)
def match(signal, template):
    _check_template(template, signal)
    t = np.asarray(template, dtype=float)[::-1]
    t = t - t.mean()
    scores = []
    for i in range(len(signal) - len(t) + 1):
        window = signal[i : i + len(t)] - np.mean(signal[i : i + len(t)])
        norm = np.linalg.norm(window)
        scores.append(window @ t / norm / np.linalg.norm(t) if norm >= 1e-6 else 0.0)
    return np.array(scores)


@misconception(
    "q9-match-basic",
    "Mean and norm are those of the whole recording. Each window has its own: "
    "otherwise a drift of the recording changes the scores.",
)
def match(signal, template):
    _check_template(template, signal)
    x = np.asarray(signal, dtype=float) - np.mean(signal)
    t = np.asarray(template, dtype=float) - np.mean(template)
    spread = np.std(x) * np.sqrt(len(t))
    scores = np.correlate(x, t, "valid")
    return scores / (spread * np.linalg.norm(t)) if spread >= 1e-6 else 0 * scores


@misconception(
    "q9-match-flat",
    "A window such as [0.3, 0.3, 0.1 + 0.2] is flat but for rounding: its norm is tiny and not 0, "
    "and the score is an accident. Compare with the limit in the statement.",
)
def match(signal, template):
    _check_template(template, signal)
    t = np.asarray(template, dtype=float) - np.mean(template)
    scores = np.zeros(len(signal) - len(t) + 1)
    for i in range(len(scores)):
        window = signal[i : i + len(t)] - np.mean(signal[i : i + len(t)])
        norm = np.linalg.norm(window)
        if norm != 0:
            scores[i] = window @ t / (norm * np.linalg.norm(t))
    return scores


@misconception(
    "q9-match-basic",
    "One part is divided by K and the other by K - 1, so a perfect likeness does not reach 1. "
    "Take plain sums in all three places.",
)
def match(signal, template):
    _check_template(template, signal)
    t = (np.asarray(template, dtype=float) - np.mean(template)) / np.std(template, ddof=1)
    scores = np.zeros(len(signal) - len(t) + 1)
    for i in range(len(scores)):
        window = np.asarray(signal[i : i + len(t)], dtype=float)
        if np.linalg.norm(window - window.mean()) >= 1e-6:
            scores[i] = np.mean((window - window.mean()) / np.std(window, ddof=1) * t)
    return scores


@misconception(
    "q9-match-basic",
    "The last window is left out. The windows begin at 0, ..., M - K, which are M - K + 1.",
)
def match(signal, template):
    _check_template(template, signal)
    t = np.asarray(template, dtype=float) - np.mean(template)
    scores = []
    for i in range(len(signal) - len(t)):
        window = signal[i : i + len(t)] - np.mean(signal[i : i + len(t)])
        norm = np.linalg.norm(window)
        scores.append(window @ t / norm / np.linalg.norm(t) if norm >= 1e-6 else 0.0)
    return np.array(scores)


@misconception(
    "q9-match-flat",
    "The mean is subtracted in place, so the caller's template changes. "
    "Write template = template - template.mean() instead of -=.",
)
def match(signal, template):
    _check_template(template, signal)
    template = np.asarray(template, dtype=float)
    template -= template.mean()
    scores = np.zeros(len(signal) - len(template) + 1)
    for i in range(len(scores)):
        window = signal[i : i + len(template)] - np.mean(signal[i : i + len(template)])
        norm = np.linalg.norm(window)
        if norm >= 1e-6:
            scores[i] = window @ template / (norm * np.linalg.norm(template))
    return scores


@misconception(
    "q9-match-basic",
    "The sum of squares minus K times the square of the mean may come out below 0 by rounding, and "
    "its root is nan. Subtract the mean from the window first, or raise what is below 0 to 0.",
)
def match(signal, template):
    _check_template(template, signal)
    t = np.asarray(template, dtype=float) - np.mean(template)
    scores = np.zeros(len(signal) - len(t) + 1)
    for i in range(len(scores)):
        window = np.asarray(signal[i : i + len(t)], dtype=float)
        norm = np.sqrt(np.sum(window**2) - len(t) * window.mean() ** 2)
        if not norm < 1e-6:
            scores[i] = (window - window.mean()) @ t / (norm * np.linalg.norm(t))
    return scores


@variant("q9-match")
def match(signal, template):
    if len(template) > len(signal):
        raise ValueError("template is longer than the signal")
    if np.std(template) * len(template) ** 0.5 < 1e-6:
        raise ValueError("template is flat")
    scores = []
    for i in range(len(signal) - len(template) + 1):
        window = signal[i : i + len(template)]
        flat = np.std(window) * len(template) ** 0.5 < 1e-6
        scores.append(0.0 if flat else np.corrcoef(window, template)[0, 1])
    return np.array(scores)


@variant("q9-match")
def match(signal, template):
    _check_template(template, signal)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.asarray(signal, dtype=float), len(template)
    )
    windows = windows - windows.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(windows, axis=1)
    flat = norms < 1e-6
    t = np.asarray(template, dtype=float) - np.mean(template)
    return np.where(flat, 0.0, windows @ t / np.where(flat, 1.0, norms) / np.linalg.norm(t))


@variant("q9-match")
def match(signal, template):
    _check_template(template, signal)
    x, K = np.asarray(signal, dtype=float), len(template)
    t = np.asarray(template, dtype=float) - sum(template) / K
    sums = np.convolve(x, np.ones(K), "valid")
    squares = np.convolve(x * x, np.ones(K), "valid")
    norms = np.sqrt(np.maximum(squares - sums**2 / K, 0))
    scores = np.correlate(x, t, "valid")
    scores[norms < 1e-6] = 0
    norms[norms < 1e-6] = 1
    return scores / norms / np.sqrt(np.sum(t * t))


@variant("q9-match")
def match(signal, template):
    _check_template(template, signal)
    K = len(template)
    remove_mean = np.eye(K) - 1 / K
    shape = remove_mean @ np.asarray(template, dtype=float)
    columns = np.array([signal[i : i + K] for i in range(len(signal) - K + 1)], dtype=float).T
    centered = remove_mean @ columns
    lengths = np.sqrt((centered**2).sum(axis=0))
    scores = np.zeros(len(lengths))
    np.divide(shape @ centered, lengths * np.sqrt(shape @ shape), out=scores, where=lengths >= 1e-6)
    return scores
