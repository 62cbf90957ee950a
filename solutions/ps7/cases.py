"""Wrong answers that people give to problem set 7, and right answers written another way."""

import itertools
import math

import numpy as np
import torch
from torch.nn import functional as F

from cnnbook.convolution import output_size
from cnnbook.layers import conv2d
from referee.cases import misconception, variant


def _float(*tables):
    return [np.array(table, dtype=float) for table in tables]


# Question 1: predict

_RIGHT = {
    "line": [1, -4, 3, 8, -6],
    "back": [18, 20, 1, 24],
    "matrix": [6, 35, 36, 7, 8],
    "overlaps": [3, 2, 2, 9, 4],
    "grid": [13, 5, 3, 11, 9],
    "dense": [1, 1, 2, 2, 4, 18],
}


@misconception(
    "q1-predict-sizes",
    '"line": the taps were turned around. A transposed convolution lays the kernel down as it is: '
    "tap 0 comes first.",
)
def predict_layers():
    return _RIGHT | {"line": [2, -9, 0, 16, 2]}


@misconception(
    "q1-predict-sizes",
    '"line": where two kernels overlap the later one was kept. What falls on the same place is '
    "added.",
)
def predict_layers():
    return _RIGHT | {"line": [1, -6, -2, 12, 4]}


@misconception(
    "q1-predict-sizes",
    '"line": two places were cut off in front and one at the end. It is one in front and two at '
    "the end.",
)
def predict_layers():
    return _RIGHT | {"line": [-4, 3, 8, -6, 8]}


@misconception(
    "q1-predict-sizes",
    '"back": only the smallest size was found. The floor drops a remainder of up to 2, so 18, 19 '
    "and 20 samples give 6 outputs.",
)
def predict_layers():
    return _RIGHT | {"back": [18, 18, 1, 24]}


@misconception(
    "q1-predict-sizes",
    '"back": the padding was taken off at one end only. It is added, and cut off, at both.',
)
def predict_layers():
    return _RIGHT | {"back": [19, 21, 0, 25]}


@misconception(
    "q1-predict-sizes",
    '"back": the dilation was applied to the stride, or left out. It stretches the kernel: '
    "D (K - 1) + 1 places.",
)
def predict_layers():
    return _RIGHT | {"back": [18, 20, 1, 20]}


@misconception(
    "q1-predict-matrix",
    '"matrix": rows and columns are exchanged. W takes 35 pixels to 6 outputs, so it has 6 rows.',
)
def predict_layers():
    return _RIGHT | {"matrix": [35, 6, 36, 7, 8]}


@misconception(
    "q1-predict-matrix",
    '"matrix": pixels that no window reads were overlooked. The last of the five columns is not '
    "reached: windows of 2 begin at 0 and 2.",
)
def predict_layers():
    return _RIGHT | {"matrix": [6, 35, 36, 0, 8]}


@misconception(
    "q1-predict-matrix",
    '"matrix": the rows of the picture that two windows read were counted, and not their pixels. '
    "There are four in each of the two rows.",
)
def predict_layers():
    return _RIGHT | {"matrix": [6, 35, 36, 7, 2]}


@misconception(
    "q1-predict-matrix",
    '"overlaps": 7 taps at stride 3 were taken to lie 7 / 3 times everywhere. Tap 0, 3 and 6 fall '
    "on one phase, two taps on each of the others.",
)
def predict_layers():
    return _RIGHT | {"overlaps": [3, 3, 3, 9, 9]}


@misconception(
    "q1-predict-matrix",
    '"overlaps": in two dimensions the counts of rows and columns were added. They are multiplied.',
)
def predict_layers():
    return _RIGHT | {"overlaps": [3, 2, 2, 6, 4]}


@misconception(
    "q1-predict-dilated",
    '"grid": all samples of the field were taken as read. Two layers with dilation 3 read every '
    "third one.",
)
def predict_layers():
    return _RIGHT | {"grid": [13, 13, 3, 11, 11]}


@misconception(
    "q1-predict-dilated",
    '"grid": each way was counted as a sample of its own. Nine ways lead to five samples.',
)
def predict_layers():
    return _RIGHT | {"grid": [13, 9, 3, 11, 9]}


@misconception(
    "q1-predict-dilated",
    '"dense": the pooling that lost its stride was dilated itself. Only what stands behind it is.',
)
def predict_layers():
    return _RIGHT | {"dense": [1, 2, 2, 4, 4, 21]}


@misconception(
    "q1-predict-dilated",
    '"dense": the two strides were not multiplied. Behind both of them the dilation is 2 times 2.',
)
def predict_layers():
    return _RIGHT | {"dense": [1, 1, 2, 2, 2, 14]}


@misconception(
    "q1-predict-dilated",
    '"dense": the pooling behind the first stride was not dilated. It is a window like the others.',
)
def predict_layers():
    return _RIGHT | {"dense": [1, 1, 2, 1, 4, 17]}


@variant("q1-predict")
def predict_layers():
    return {name: np.array(numbers) for name, numbers in _RIGHT.items()}


@variant("q1-predict")
def predict_layers():
    line = np.zeros(8)
    for i, sample in enumerate((1, -2, 4)):
        line[2 * i : 2 * i + 4] += sample * np.array([3, 1, 2, 5])
    least = 3 * (6 - 1) + 5 - 2
    rows, columns = (7 - 3) // 2 + 1, (5 - 2) // 2 + 1
    counts = [math.ceil((7 - phase) / 3) for phase in range(3)]
    two, mixed = (
        {a * i + b * j for i in (-1, 0, 1) for j in (-1, 0, 1)} for a, b in ((3, 3), (2, 3))
    )
    rates = [1, 1, 2, 2, 4]
    return {
        "dense": [*rates, 1 + int(np.dot(rates, (2, 1, 2, 1, 2)))],
        "grid": [max(two) - min(two) + 1, len(two), 3, max(mixed) - min(mixed) + 1, len(mixed)],
        "overlaps": [*counts, max(counts) ** 2, min(counts) ** 2],
        "matrix": [rows * columns, 35, rows * columns * 6, 35 - 7 * 4, 2 * 4],
        "back": [least, least + 2, 19 - least, 15 + 2 * 4 + 1 - 2 + 2],
        "line": line[1:-2],
    }


@variant("q1-predict")
def predict_layers():
    return {name: tuple(float(number) for number in _RIGHT[name]) for name in sorted(_RIGHT)}


# Question 2: a matrix by its entries


def _entries(shape, kernel, strides, padding, **wrong):
    (H, W), (S, T) = shape, strides
    if "exchanged" in wrong:
        S, T = T, S
    order = {"sides": (0, 2, 1, 3), "columns": (2, 3, 0, 1)}.get(wrong.get("order"), range(4))
    above, below, left, right = (padding[number] for number in order)
    taps = np.array(kernel, dtype=float)
    if "flipped" in wrong:
        taps = taps[::-1, ::-1]
    room = H + above + below - len(taps), W + left + right - taps.shape[1]
    if min(room[: wrong.get("checked", 2)]) < 0:
        raise ValueError("kernel does not fit")
    rows, columns = (m // s + 1 for m, s in zip(room, (S, T), strict=True))
    if "ragged" in wrong:
        rows, columns = (-(-m // s) + 1 for m, s in zip(room, (S, T), strict=True))
    found = []
    for m, n, p, q in itertools.product(range(rows), range(columns), *map(range, taps.shape)):
        i, j = S * m - above + p, T * n - left + q
        if "clipped" in wrong:
            i, j = min(max(i, 0), H - 1), min(max(j, 0), W - 1)
        if "wrapped" in wrong:
            i, j = i % H, j % W
        if not (0 <= i < H and 0 <= j < W) or (taps[p, q] == 0 and "zeros" not in wrong):
            continue
        output = m + (H if "picture" in wrong else rows) * n
        pixel = i * W + j if "pixels" in wrong else i + H * j
        if "outputs" in wrong:
            output = m * columns + n
        found.append((output, pixel, float(taps[p, q])))
    if "unsorted" in wrong:
        return found
    return sorted(found, key=lambda one: one[1::-1] if "by column" in wrong else one[:2])


@misconception(
    "q2-entries-plain",
    "Pixels and outputs are numbered row by row. Here it is column by column: pixel (i, j) is "
    "i + H j.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, pixels=True, outputs=True)


@misconception(
    "q2-entries-plain",
    "The pixels are numbered column by column, but the outputs row by row. Both go column by "
    "column.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, outputs=True)


@misconception(
    "q2-entries-plain",
    "The outputs are numbered with the rows of the picture. Their map has fewer rows: count with "
    "its own.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, picture=True)


@misconception(
    "q2-entries-plain",
    "The kernel is flipped. A convolution of deep learning takes it as it is.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, flipped=True)


@misconception(
    "q2-entries-plain",
    "Taps that are 0 get triples. Only numbers other than 0 are kept.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, zeros=True)


@misconception(
    "q2-entries-plain",
    "The triples are sorted by column. They go by row, and within a row by column.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, **{"by column": True})


@misconception(
    "q2-entries-plain",
    "The triples come in the order of the loops. Sort them by row, then by column.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, unsorted=True)


@misconception(
    "q2-entries-plain",
    "The strides are exchanged. The first one is for rows, the second for columns.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, exchanged=True)


@misconception(
    "q2-entries-plain",
    "Windows that stick out of the picture are kept. They are dropped.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, ragged=True)


@misconception(
    "q2-entries-padding",
    "The four numbers of the padding are read as above, left, below, right. They are above, below, "
    "left, right.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, order="sides")


@misconception(
    "q2-entries-padding",
    "The four numbers of the padding are read as left, right, above, below, as torch's pad does. "
    "Here they are above, below, left, right.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, order="columns")


@misconception(
    "q2-entries-padding",
    "Taps that fall on the padding meet the nearest pixel of the border. They meet zeros, and have "
    "no triples.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, clipped=True)


@misconception(
    "q2-entries-padding",
    "Taps that fall on the padding meet a pixel on the other side: negative places count from the "
    "end. They meet zeros, and have no triples.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, wrapped=True)


@misconception(
    "q2-entries-padding",
    "The pixels are numbered in the padded picture. Number those of the picture itself.",
)
def entries(shape, kernel, strides, padding):
    above, below, left, right = padding
    H, W = shape[0] + above + below, shape[1] + left + right
    inside = {i + H * j for i in range(above, H - below) for j in range(left, W - right)}
    found = _entries((H, W), kernel, strides, (0, 0, 0, 0))
    return [one for one in found if one[1] in inside]


@misconception(
    "q2-entries-errors",
    "A kernel with more columns than the padded picture gets an answer. It fits nowhere: refuse.",
)
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding, checked=1)


@misconception(
    "q2-entries-padding",
    "A kernel that is taller than the picture is refused, though it fits with the padding. Compare "
    "it with the padded picture.",
)
def entries(shape, kernel, strides, padding):
    if np.shape(kernel)[0] > shape[0]:
        raise ValueError("kernel does not fit")
    return _entries(shape, kernel, strides, padding)


def _transpose_times(triples, columns, outputs, **wrong):
    outputs = np.array(outputs) if "small" in wrong else np.array(outputs, dtype=float)
    result = np.zeros((len(outputs), columns), outputs.dtype)
    rows = outputs.shape[1]
    for row, column, weight in triples:
        if row >= rows or column >= columns or (min(row, column) < 0 and "negative" not in wrong):
            raise ValueError("triples hold a wrong place")
        if "one" in wrong:
            result[:, column] += weight * outputs[0, row]
        else:
            result[:, column] += (weight * outputs[:, row]).astype(outputs.dtype)
    return result


@misconception(
    "q2-entries-product",
    "Triples with the same row and the same column are taken for one, as if the last were meant. "
    "Their weights add up.",
)
def transpose_times(triples, columns, outputs):
    kept = {(row, column): weight for row, column, weight in triples}
    return _transpose_times([(*place, weight) for place, weight in kept.items()], columns, outputs)


@misconception(
    "q2-entries-product",
    "Of several triples in the same column only the last one stays: it is assigned, or added by a "
    "list of places, which NumPy does at once. All of them add up: use np.add.at, or a loop.",
)
def transpose_times(triples, columns, outputs):
    outputs = np.array(outputs, dtype=float)
    _transpose_times(triples, columns, outputs)
    result = np.zeros((len(outputs), columns))
    if triples:
        rows, places, weights = (list(part) for part in zip(*triples, strict=True))
        result[:, places] += outputs[:, rows] * np.array(weights)
    return result


@misconception(
    "q2-entries-product",
    "Triples that are equal are taken for one, as in a set. Each of them adds its weight.",
)
def transpose_times(triples, columns, outputs):
    return _transpose_times(dict.fromkeys(triples), columns, outputs)


@misconception(
    "q2-entries-product",
    "Only the first row of outputs is used. There are N of them, and each has its own product.",
)
def transpose_times(triples, columns, outputs):
    return _transpose_times(triples, columns, outputs, one=True)


@misconception(
    "q2-entries-product",
    "The products are kept in the type of the outputs: uint8 wraps around at 256, and fractions of "
    "weights are cut off. Turn the outputs into floats first.",
)
def transpose_times(triples, columns, outputs):
    return _transpose_times(triples, columns, outputs, small=True).astype(float)


@misconception(
    "q2-entries-errors",
    "Negative rows and columns get an answer. In Python they count from the end, in a triple they "
    "are no places: refuse.",
)
def transpose_times(triples, columns, outputs):
    return _transpose_times(triples, columns, outputs, negative=True)


@variant("q2-entries")
def entries(shape, kernel, strides, padding):
    return _entries(shape, kernel, strides, padding)


@variant("q2-entries")
def entries(shape, kernel, strides, padding):
    (H, W), (above, below, left, right) = shape, padding
    taps = np.array(kernel, dtype=float)
    if H + above + below < len(taps) or W + left + right < len(taps[0]):
        raise ValueError("the kernel is larger than the padded picture")
    units = np.zeros((H * W, 1, H, W))
    for number in range(H * W):
        units[number, 0, number % H, number // H] = 1
    pads = (above, below), (left, right)
    maps = conv2d(units, taps[None, None], stride=strides, padding=pads)
    matrix = maps[:, 0].transpose(2, 1, 0).reshape(-1, H * W)
    return [(r, c, float(matrix[r, c])) for r, c in np.argwhere(matrix).tolist()]


@variant("q2-entries")
def entries(shape, kernel, strides, padding):
    above, below, left, right = padding
    numbers = np.full((shape[0] + above + below, shape[1] + left + right), -1)
    inside = np.arange(shape[0] * shape[1]).reshape(shape, order="F")
    numbers[above : above + shape[0], left : left + shape[1]] = inside
    taps = np.array(kernel, dtype=float)
    if any(side > whole for side, whole in zip(taps.shape, numbers.shape, strict=True)):
        raise ValueError(f"kernel of {taps.shape}")
    windows = np.lib.stride_tricks.sliding_window_view(numbers, taps.shape)
    windows = windows[:: strides[0], :: strides[1]]
    result = []
    for row, window in enumerate(windows.swapaxes(0, 1).reshape(-1, taps.size)):
        pairs = zip(window.tolist(), taps.ravel().tolist(), strict=True)
        result += [(row, pixel, tap) for pixel, tap in sorted(pairs) if pixel >= 0 and tap]
    return result


@variant("q2-entries")
def transpose_times(triples, columns, outputs):
    outputs = np.array(outputs, dtype=float)
    matrix = np.zeros((outputs.shape[1], columns))
    for row, column, weight in triples:
        if row not in range(len(matrix)) or column not in range(columns):
            raise ValueError("the place of one of the triples")
        matrix[row, column] += weight
    return outputs @ matrix


@variant("q2-entries")
def transpose_times(triples, columns, outputs):
    result = []
    for numbers in np.array(outputs, dtype=float).tolist():
        sums = [0.0] * columns
        for row, column, weight in triples:
            if min(row, column) < 0 or row >= len(numbers) or column >= len(sums):
                raise ValueError(f"{(row, column)} in triples")
            sums[column] += numbers[row] * weight
        result.append(sums)
    return np.array(result)


# Question 3: laid on a canvas


def _oriented(kernels, layout, channels, **wrong):
    kernels = np.array(kernels, dtype=float)
    if layout not in ("in first", "out first") and "any" not in wrong:
        raise ValueError("layout is unknown")
    turned = layout == "out first"
    if "guessed" in wrong:
        turned = kernels.shape[0] != channels
    if "reversed" in wrong and kernels.shape[0] == kernels.shape[1]:
        turned = not turned
    return kernels.swapaxes(0, 1) if turned else kernels


def _lay(signals, kernels, bias, stride, start, length, layout, **wrong):
    signals, bias = _float(signals, bias)
    kernels = _oriented(kernels, layout, signals.shape[1], **wrong)
    if kernels.shape[0] != signals.shape[1]:
        raise ValueError("kernels do not fit")
    if "flipped" in wrong:
        kernels = kernels[:, :, ::-1]
    N, _, M = signals.shape
    O, K = kernels.shape[1:]  # noqa: E741
    start = -start if "sign" in wrong else start
    maps, touched = np.zeros((N, O, length)), np.zeros(length)
    for i in range(M):
        for k in range(K):
            place = start + stride * i + k
            if "spread" in wrong:
                place = start + i + stride * k
            if "wrapped" in wrong and -length <= place < 0:
                place += length
            if "circle" in wrong:
                place %= length
            if "shifted" in wrong and start < 0:
                place -= start
            if not 0 <= place < length:
                continue
            part = np.einsum("nc,co->no", signals[:, :, i], kernels[:, :, k])
            maps[:, :, place] = part + ("last" not in wrong) * maps[:, :, place]
            touched[place] += 1
    if "added" in wrong:
        return maps + bias[:, None] * (touched if wrong["added"] == "each" else touched > 0)
    if "mean" in wrong:
        maps /= np.maximum(touched, 1)
    return maps + bias[:, None]


@misconception(
    "q3-lay-sums",
    "Where kernels overlap the last one stays. What falls on the same place is added.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    return _lay(signals, kernels, bias, stride, start, length, layout, last=True)


@misconception(
    "q3-lay-sums",
    "The kernel is turned around. It is laid down as it is: tap k falls k places after the start.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    return _lay(signals, kernels, bias, stride, start, length, layout, flipped=True)


@misconception(
    "q3-lay-sums",
    "The stride lies between the taps. It lies between the samples: stride times i, plus k.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    return _lay(signals, kernels, bias, stride, start, length, layout, spread=True)


@misconception(
    "q3-lay-sums",
    "The layout is guessed from the shape of the kernels. With as many outputs as inputs the shape "
    "does not tell: go by the layout.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    _oriented(kernels, layout, np.shape(signals)[1])
    if np.shape(kernels)[layout == "out first"] != np.shape(signals)[1]:
        raise ValueError("kernels do not fit")
    return _lay(signals, kernels, bias, stride, start, length, layout, guessed=True)


@misconception(
    "q3-lay-sums",
    "Where kernels overlap their mean is taken. They are added.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    return _lay(signals, kernels, bias, stride, start, length, layout, mean=True)


@misconception(
    "q3-lay-sums",
    "The bias is added with every kernel that falls on a place. It is added once, at last.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    return _lay(signals, kernels, bias, stride, start, length, layout, added="each")


@misconception(
    "q3-lay-canvas",
    "Places that nothing falls on get no bias. It is added to every place.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    return _lay(signals, kernels, bias, stride, start, length, layout, added="touched")


@misconception(
    "q3-lay-canvas",
    "start is subtracted. Sample i falls on start + stride i: a negative start cuts off in front.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    return _lay(signals, kernels, bias, stride, start, length, layout, sign=True)


@misconception(
    "q3-lay-canvas",
    "What falls before the canvas comes in at its end: in Python a negative place counts from the "
    "end. It is lost.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    return _lay(signals, kernels, bias, stride, start, length, layout, wrapped=True)


@misconception(
    "q3-lay-canvas",
    "What falls beyond the canvas comes in on the other side, as on a ring. It is lost.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    return _lay(signals, kernels, bias, stride, start, length, layout, circle=True)


@misconception(
    "q3-lay-canvas",
    "A negative start is treated as 0. What falls before the canvas is lost.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    return _lay(signals, kernels, bias, stride, start, length, layout, shifted=True)


def _lay_backward(upstream, signals, kernels, stride, start, layout, **wrong):
    upstream, signals = _float(upstream, signals)
    kernels = _oriented(kernels, layout, signals.shape[1], **wrong)
    d_signals, d_kernels = np.zeros_like(signals), np.zeros_like(kernels)
    length = upstream.shape[2]
    for i in range(signals.shape[2]):
        for k in range(kernels.shape[2]):
            place = start + stride * i + k
            if "sign" in wrong:
                place = stride * i + k - start
            if not (-length if "wrapped" in wrong else 0) <= place < length:
                continue
            arriving, tap = upstream[:, :, place], k
            if "flipped" in wrong:
                tap = kernels.shape[2] - 1 - k
            d_signals[:, :, i] += np.einsum("no,co->nc", arriving, kernels[:, :, tap])
            d_kernels[:, :, k] += np.einsum("nc,no->co", signals[:, :, i], arriving)
    if layout == "out first" and "unturned" not in wrong:
        d_kernels = d_kernels.swapaxes(0, 1)
    elif layout == "out first" and d_kernels.shape[0] != d_kernels.shape[1]:
        d_kernels = d_kernels.reshape(d_kernels.shape[1], d_kernels.shape[0], -1)
    d_bias = upstream.sum(axis=2).sum(axis=0)
    if "mean" in wrong:
        d_kernels, d_bias = d_kernels / len(signals), d_bias / len(signals)
    if "touched" in wrong:
        sizes = signals.shape[2], kernels.shape[2]
        reach = {start + stride * i + k for i, k in np.ndindex(*sizes)}
        inside = [place for place in range(length) if place in reach]
        d_bias = upstream[:, :, inside].sum(axis=(0, 2))
    return d_signals, d_kernels, d_bias


@misconception(
    "q3-lay-backward",
    "In the gradient of the signals the kernel is turned around. A sample went out by tap k to "
    "place start + stride i + k, and its gradient comes back by the same tap.",
)
def lay_backward(upstream, signals, kernels, stride, start, layout):
    return _lay_backward(upstream, signals, kernels, stride, start, layout, flipped=True)


@misconception(
    "q3-lay-backward",
    "The gradient of the kernels comes back in the order in first, whatever the layout. It must "
    "have the layout of the kernels.",
)
def lay_backward(upstream, signals, kernels, stride, start, layout):
    return _lay_backward(upstream, signals, kernels, stride, start, layout, unturned=True)


@misconception(
    "q3-lay-backward",
    "The gradients of kernels and bias are means over the pictures. They are sums.",
)
def lay_backward(upstream, signals, kernels, stride, start, layout):
    return _lay_backward(upstream, signals, kernels, stride, start, layout, mean=True)


@misconception(
    "q3-lay-backward",
    "The gradient of the bias is summed over the places that kernels fall on. The bias is added to "
    "every place, so all of upstream comes back.",
)
def lay_backward(upstream, signals, kernels, stride, start, layout):
    return _lay_backward(upstream, signals, kernels, stride, start, layout, touched=True)


@misconception(
    "q3-lay-backward",
    "What fell before the canvas gets a gradient from its end: in Python a negative place counts "
    "from the end. What was lost has no influence.",
)
def lay_backward(upstream, signals, kernels, stride, start, layout):
    return _lay_backward(upstream, signals, kernels, stride, start, layout, wrapped=True)


@misconception(
    "q3-lay-backward",
    "On the way back start is subtracted. It is the same place as on the way out: "
    "start + stride i + k.",
)
def lay_backward(upstream, signals, kernels, stride, start, layout):
    return _lay_backward(upstream, signals, kernels, stride, start, layout, sign=True)


@misconception(
    "q3-lay-backward",
    "The layout is guessed from the shape of the kernels. With as many outputs as inputs the shape "
    "does not tell: go by the layout.",
)
def lay_backward(upstream, signals, kernels, stride, start, layout):
    if np.shape(kernels)[0] == np.shape(kernels)[1]:
        layout = "in first"
    return _lay_backward(upstream, signals, kernels, stride, start, layout)


@misconception(
    "q3-lay-types",
    "Signals and kernels of uint8 are multiplied as they are, and their products wrap around at "
    "256. Turn them into floats first.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    signals, kernels, bias = np.array(signals), np.array(kernels), np.array(bias)
    if layout not in ("in first", "out first"):
        raise ValueError("layout")
    if kernels.shape[layout == "out first"] != signals.shape[1]:
        raise ValueError("kernels")
    if layout == "out first":
        kernels = kernels.swapaxes(0, 1)
    maps = np.zeros((len(signals), kernels.shape[1], length)) + bias[:, None]
    for i, k in np.ndindex(signals.shape[2], kernels.shape[2]):
        if 0 <= start + stride * i + k < length:
            maps[:, :, start + stride * i + k] += signals[:, :, i] @ kernels[:, :, k]
    return maps


@misconception(
    "q3-lay-types",
    "The result holds whole numbers, or float32, where the signals do. It must hold float64.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    result = _lay(signals, kernels, bias, stride, start, length, layout)
    return result.astype(getattr(signals, "dtype", float))


@misconception(
    "q3-lay-errors",
    "A layout of another name gets an answer. There are two, and all others are to be refused.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    return _lay(signals, kernels, bias, stride, start, length, layout, any=True)


@misconception(
    "q3-lay-errors",
    "Kernels for another number of channels get an answer, or are laid down the other way round. "
    "Refuse what does not fit the layout.",
)
def lay(signals, kernels, bias, stride, start, length, layout):
    turned = np.array(kernels, dtype=float)
    wanted = 0 if layout == "in first" else 1
    channels = np.shape(signals)[1]
    if turned.shape[wanted] != channels and turned.shape[1 - wanted] == channels:
        turned = turned.swapaxes(0, 1)
        bias = np.resize(bias, turned.shape[1 - wanted])
    return _lay(signals, turned, bias, stride, start, length, layout)


@variant("q3-lay")
def lay(signals, kernels, bias, stride, start, length, layout):
    return _lay(signals, kernels, bias, stride, start, length, layout)


@variant("q3-lay")
def lay(signals, kernels, bias, stride, start, length, layout):
    signals, kernels, bias = (
        torch.tensor(np.array(one, dtype=float)) for one in (signals, kernels, bias)
    )
    if layout == "out first":
        kernels = kernels.transpose(0, 1)
    elif layout != "in first":
        raise ValueError("no such layout")
    if kernels.shape[0] != signals.shape[1]:
        raise ValueError("the channels of kernels")
    laid = F.conv_transpose1d(signals, kernels, stride=stride)
    around = abs(start) + length
    wide = F.pad(laid, (around, around))[:, :, around - start : around - start + length]
    return (wide + bias[:, None]).numpy()


@variant("q3-lay")
def lay(signals, kernels, bias, stride, start, length, layout):
    axes = {"in first": "cok", "out first": "ock"}
    if layout not in axes:
        raise ValueError(f"layout {layout}")
    signals, kernels = np.array(signals, dtype=float), np.array(kernels, dtype=float)
    if kernels.shape[axes[layout].index("c")] != len(signals[0]):
        raise ValueError("kernels and signals")
    products = np.einsum(f"nci,{axes[layout]}->noik", signals, kernels)
    hits = np.zeros((*products.shape[2:], length))
    for place in range(length):
        for i in range(len(hits)):
            if 0 <= place - start - stride * i < hits.shape[1]:
                hits[i, place - start - stride * i, place] = 1
    return np.tensordot(products, hits, axes=2) + np.array(bias, dtype=float)[None, :, None]


@variant("q3-lay")
def lay_backward(upstream, signals, kernels, stride, start, layout):
    return _lay_backward(upstream, signals, kernels, stride, start, layout)


@variant("q3-lay")
def lay_backward(upstream, signals, kernels, stride, start, layout):
    x, w = (
        torch.tensor(np.array(one, dtype=float), requires_grad=True) for one in (signals, kernels)
    )
    g = torch.tensor(np.array(upstream, dtype=float))
    b = torch.zeros(g.shape[1], dtype=torch.float64, requires_grad=True)
    laid = F.conv_transpose1d(x, w.swapaxes(0, 1) if layout == "out first" else w, stride=stride)
    maps = F.pad(laid, (start, g.shape[2] - start - laid.shape[2])) + b[None, :, None]
    (maps * g).sum().backward()
    return tuple(one.grad.numpy() for one in (x, w, b))


@variant("q3-lay")
def lay_backward(upstream, signals, kernels, stride, start, layout):
    upstream, signals, kernels = _float(upstream, signals, kernels)
    axes = "cok" if layout == "in first" else "ock"
    M, K = signals.shape[2], kernels.shape[2]
    wide = np.zeros((*upstream.shape[:2], M, K))
    for i in range(M):
        for k in range(K):
            if 0 <= (place := start + stride * i + k) < upstream.shape[2]:
                wide[:, :, i, k] = upstream[:, :, place]
    d_signals = np.einsum(f"noik,{axes}->nci", wide, kernels)
    return d_signals, np.einsum(f"noik,nci->{axes}", wide, signals), upstream.sum(2).sum(0)


# Question 4: zeros that are worked for


def _insert(maps, axis, step, phase, **wrong):
    if not (0 <= phase < step or "trusting" in wrong):
        raise ValueError("phase does not fit")
    maps = np.array(maps, dtype=float)
    if "between" in wrong:
        wide = _insert(maps, axis, step, phase)
        last = phase + step * (maps.shape[2 if axis == "rows" else 3] - 1) + 1
        return wide[:, :, phase:last] if axis == "rows" else wide[..., phase:last]
    if "both" in wrong:
        phase = min(phase, step - 1)
        wide = _insert(maps, "rows", step, phase)
        return _insert(wide, "columns", step, phase)
    if "exchanged" in wrong:
        axis = "columns" if axis == "rows" else "rows"
    if "behind" in wrong:
        phase = step - 1 - phase
    phase %= step
    wide = np.kron(maps, np.ones((step, 1) if axis == "rows" else (1, step)))
    if "repeated" in wrong:
        return wide
    places = np.arange(wide.shape[2 if axis == "rows" else 3]) % step == phase
    return wide * (places[:, None] if axis == "rows" else places)


@misconception(
    "q4-zeros-insert",
    "Zeros stand between the rows only, as in the chapter. Here each row brings step - 1 of them "
    "with it, also the first and the last.",
)
def insert(maps, axis, step, phase):
    return _insert(maps, axis, step, phase, between=True)


@misconception(
    "q4-zeros-insert",
    "Zeros are put between rows and between columns. It is one axis that gets them.",
)
def insert(maps, axis, step, phase):
    return _insert(maps, axis, step, phase, both=True)


@misconception(
    "q4-zeros-insert",
    "Rows and columns are exchanged. With rows, there come to be more rows.",
)
def insert(maps, axis, step, phase):
    return _insert(maps, axis, step, phase, exchanged=True)


@misconception(
    "q4-zeros-insert",
    "phase counts the zeros behind a row. It counts those before it: row i goes to step i + phase.",
)
def insert(maps, axis, step, phase):
    return _insert(maps, axis, step, phase, behind=True)


@misconception(
    "q4-zeros-insert",
    "Rows are repeated. Those that are added hold zeros.",
)
def insert(maps, axis, step, phase):
    return _insert(maps, axis, step, phase, repeated=True)


@misconception(
    "q4-zeros-insert",
    "The phase is passed over, and each row comes first among its zeros.",
)
def insert(maps, axis, step, phase):
    return _insert(maps, axis, step, phase * 0 if 0 <= phase < step else phase)


@misconception(
    "q4-zeros-errors",
    "A phase outside 0 to step - 1 gets an answer. Refuse it.",
)
def insert(maps, axis, step, phase):
    return _insert(maps, axis, step, phase, trusting=True)


@misconception(
    "q4-zeros-errors",
    "A phase that equals step gets an answer. Row i would lie among the zeros of the next: refuse.",
)
def insert(maps, axis, step, phase):
    if phase == step:
        return _insert(maps, axis, step, 0)
    return _insert(maps, axis, step, phase)


def _phase_parts(signal, kernel, step, **wrong):
    signal, taps = _float(signal, kernel)
    parts = []
    for phase in range(step):
        mine = taps[phase::step]
        if "flipped" in wrong:
            mine = mine[::-1]
        if "blocks" in wrong:
            size = -(-len(taps) // step)
            mine = taps[phase * size : (phase + 1) * size]
        if len(mine) == 0:
            mine = np.zeros(0 if "missing" in wrong else 1)
        if "valid" in wrong and len(mine) <= len(signal):
            parts.append(np.convolve(signal, mine, "valid") if len(mine) else np.zeros(0))
            continue
        whole = np.convolve(signal, mine) if len(mine) else np.zeros(0)
        count = -(-(step * (len(signal) - 1) + len(taps) - phase) // step)
        parts.append(whole[: max(count, 0)] if "long" not in wrong else whole)
    return parts


@misconception(
    "q4-zeros-phases",
    "The taps of a phase are turned around. They are laid down in their order.",
)
def phase_parts(signal, kernel, step):
    return _phase_parts(signal, kernel, step, flipped=True)


@misconception(
    "q4-zeros-phases",
    "The kernel is cut into blocks of neighbors. A phase takes every S-th tap.",
)
def phase_parts(signal, kernel, step):
    return _phase_parts(signal, kernel, step, blocks=True)


@misconception(
    "q4-zeros-phases",
    "Phases that no tap falls on come back empty. They have places, and hold zeros there, as long "
    "as there is a sample behind.",
)
def phase_parts(signal, kernel, step):
    return _phase_parts(signal, kernel, step, missing=True)


@misconception(
    "q4-zeros-phases",
    "Phases that no tap falls on get a zero for each sample. Behind the last sample there is no "
    "place for it: count the places r, r + S, ... below S (M - 1) + K.",
)
def phase_parts(signal, kernel, step):
    return _phase_parts(signal, kernel, step, long=True)


@misconception(
    "q4-zeros-phases",
    "Only places that all taps of a phase reach are kept. Nothing is cut off here.",
)
def phase_parts(signal, kernel, step):
    return _phase_parts(signal, kernel, step, valid=True)


@misconception(
    "q4-zeros-phases",
    "The result is cut into blocks of neighbors. Part r holds the places r, r + S, r + 2 S, ...",
)
def phase_parts(signal, kernel, step):
    parts = _phase_parts(signal, kernel, step)
    laid = np.zeros(sum(map(len, parts)))
    for phase, part in enumerate(parts):
        laid[phase::step] = part
    return np.array_split(laid, step)


def _work(size, kernel, strides, crop, **wrong):
    pairs = (crop[0], crop[1]), (crop[2], crop[3])
    if "sides" in wrong:
        pairs = (crop[0], crop[2]), (crop[1], crop[3])
    if "exchanged" in wrong:
        strides = strides[::-1]
    outputs, useful = [], 1
    for n, taps, step, (before, after) in zip(size, kernel, strides, pairs, strict=True):
        count = step * (n - 1) + taps
        kept = range(before, count - after)
        useful *= sum(step * i + k in kept for i in range(n) for k in range(taps))
        outputs.append(count if "uncut" in wrong else len(kept))
    every = math.prod(outputs) * math.prod(kernel)
    if "whole" in wrong:
        useful = math.prod(size) * math.prod(kernel)
    if "overlapped" in wrong:
        useful = math.prod(outputs)
    if "waste" in wrong:
        useful = every - useful
    if "map" in wrong:
        every = math.prod(kernel) * math.prod(size)
    return every, useful


@misconception(
    "q4-zeros-work",
    "Each number of the map counts all its taps as useful. Those that fall on places which are cut "
    "off do nothing.",
)
def work(size, kernel, strides, crop):
    return _work(size, kernel, strides, crop, whole=True)


@misconception(
    "q4-zeros-work",
    "The multiply-adds of places that are cut off are counted. They are not computed.",
)
def work(size, kernel, strides, crop):
    return _work(size, kernel, strides, crop, uncut=True)


@misconception(
    "q4-zeros-work",
    "The second number counts the multiply-adds that meet zeros. Asked are those that meet a "
    "number of the map.",
)
def work(size, kernel, strides, crop):
    return _work(size, kernel, strides, crop, waste=True)


@misconception(
    "q4-zeros-work",
    "Each output is taken to have one useful multiply-add. Where kernels overlap there are more, "
    "where none falls there is none.",
)
def work(size, kernel, strides, crop):
    return _work(size, kernel, strides, crop, overlapped=True)


@misconception(
    "q4-zeros-work",
    "The multiply-adds are counted at the numbers of the map. With zeros in between, each output "
    "takes as many as there are taps.",
)
def work(size, kernel, strides, crop):
    return _work(size, kernel, strides, crop, map=True)


@misconception(
    "q4-zeros-work",
    "The four numbers of crop are read as above, left, below, right. They are above, below, left, "
    "right.",
)
def work(size, kernel, strides, crop):
    return _work(size, kernel, strides, crop, sides=True)


@misconception(
    "q4-zeros-work",
    "The strides are exchanged. The first one is for rows, the second for columns.",
)
def work(size, kernel, strides, crop):
    return _work(size, kernel, strides, crop, exchanged=True)


@variant("q4-zeros")
def insert(maps, axis, step, phase):
    return _insert(maps, axis, step, phase)


@variant("q4-zeros")
def insert(maps, axis, step, phase):
    if phase not in range(step):
        raise ValueError(f"phase {phase}")
    maps = np.array(maps, dtype=float)
    along = ["rows", "columns"].index(axis) + 2
    parts = [maps if number == phase else 0 * maps for number in range(step)]
    return np.stack(parts, axis=along + 1).reshape(
        [size * step if number == along else size for number, size in enumerate(maps.shape)]
    )


@variant("q4-zeros")
def phase_parts(signal, kernel, step):
    return _phase_parts(signal, kernel, step)


@variant("q4-zeros")
def phase_parts(signal, kernel, step):
    signal, kernel = [float(one) for one in signal], [float(one) for one in kernel]
    total = step * (len(signal) - 1) + len(kernel)
    parts = []
    for phase in range(step):
        numbers = []
        for place in range(phase, total, step):
            found = 0.0
            for i, sample in enumerate(signal):
                if 0 <= place - step * i < len(kernel):
                    found += sample * kernel[place - step * i]
            numbers.append(found)
        parts.append(np.array(numbers, dtype=float))
    return parts


@variant("q4-zeros")
def work(size, kernel, strides, crop):
    laid = np.zeros([s * (n - 1) + k for n, k, s in zip(size, kernel, strides, strict=True)], int)
    for i, j in np.ndindex(*size):
        row, column = strides[0] * i, strides[1] * j
        laid[row : row + kernel[0], column : column + kernel[1]] += 1
    above, below, left, right = crop
    kept = laid[above : len(laid) - below, left : laid.shape[1] - right]
    return kept.size * kernel[0] * kernel[1], int(kept.sum())


@variant("q4-zeros")
def work(size, kernel, strides, crop):
    def along(n, taps, step, before, after):
        last = step * (n - 1) + taps - after
        met = 0
        for i in range(n):
            met += max(min(step * i + taps, last) - max(step * i, before), 0)
        return (last - before) * taps, met

    rows = along(size[0], kernel[0], strides[0], *crop[:2])
    columns = along(size[1], kernel[1], strides[1], *crop[2:])
    return rows[0] * columns[0], rows[1] * columns[1]


# Question 5: from this size to that


def _same_back(size, kernel_size, stride, dilation, **wrong):
    outputs = math.floor(size / stride) if "floor" in wrong else math.ceil(size / stride)
    outputs = max(outputs, 1)
    span = dilation * (kernel_size - 1) + 1
    if "taps" in wrong:
        span = kernel_size
    total = (outputs - 1) * stride + span
    added = max(total - size, 0)
    if "stride one" in wrong:
        added = span - 1
    before = added // 2
    if "front" in wrong:
        before = added - before
    extra = size - (total - added)
    if "never" in wrong:
        extra = 0
    if "rest" in wrong:
        extra = (size + added - span) % stride
    return outputs, before, added - before, extra


@misconception(
    "q5-sizes-same",
    "Of an odd number of zeros the larger half stands in front. It stands behind.",
)
def same_back(size, kernel_size, stride, dilation):
    return _same_back(size, kernel_size, stride, dilation, front=True)


@misconception(
    "q5-sizes-same",
    "The dilation is passed over. K taps span D (K - 1) + 1 samples.",
)
def same_back(size, kernel_size, stride, dilation):
    return _same_back(size, kernel_size, stride, dilation, taps=True)


@misconception(
    "q5-sizes-same",
    "The quotient of size and stride is rounded down. It is rounded up.",
)
def same_back(size, kernel_size, stride, dilation):
    return _same_back(size, kernel_size, stride, dilation, floor=True)


@misconception(
    "q5-sizes-same",
    "No place is ever added. Where the windows end before the last sample, some are missing on the "
    "way back.",
)
def same_back(size, kernel_size, stride, dilation):
    return _same_back(size, kernel_size, stride, dilation, never=True)


@misconception(
    "q5-sizes-same",
    "As many zeros are added as with stride 1. It takes only as many as the windows need.",
)
def same_back(size, kernel_size, stride, dilation):
    return _same_back(size, kernel_size, stride, dilation, **{"stride one": True})


def _output_padding(small, large, kernel, strides, paddings, dilations, **wrong):
    found = []
    for n, m, k, s, p, d in zip(small, large, kernel, strides, paddings, dilations, strict=True):
        span = k if "taps" in wrong else d * (k - 1) + 1
        laid = s * (n if "all" in wrong else n - 1) + span - (1 if "one end" in wrong else 2) * p
        most = max(s, d) if wrong.get("most", "both") == "both" else s
        extra = m - laid
        if "forward" in wrong:
            extra = (m + 2 * p - d * (k - 1) - 1) % s
            if (m + 2 * p - d * (k - 1) - 1) // s + 1 != n:
                extra = m - laid
        if "modulo" in wrong:
            extra %= most
        if "any" in wrong:
            most = math.inf
        if "equal" in wrong:
            most += 1
        if extra >= most or (extra < 0 and "negative" not in wrong):
            raise ValueError("large cannot be reached")
        found.append(extra)
    return tuple(found[::-1]) if "reversed" in wrong else tuple(found)


@misconception(
    "q5-sizes-padding",
    "The padding is cut off at one end. It is cut off at both: twice.",
)
def output_padding(small, large, kernel, strides, paddings, dilations):
    given = small, large, kernel, strides, paddings, dilations
    return _output_padding(*given, **{"one end": True, "modulo": True})


@misconception(
    "q5-sizes-padding",
    "The dilation is passed over. The kernel spans D (K - 1) + 1 places.",
)
def output_padding(small, large, kernel, strides, paddings, dilations):
    given = small, large, kernel, strides, paddings, dilations
    if any(far > step for far, step in zip(dilations, strides, strict=True)):
        return _output_padding(*given, taps=True, any=True, negative=True)
    return _output_padding(*given)


@misconception(
    "q5-sizes-padding",
    "The output padding is refused from the stride on. Where taps are dilated, torch permits it up "
    "to the larger of stride and dilation, less 1.",
)
def output_padding(small, large, kernel, strides, paddings, dilations):
    given = small, large, kernel, strides, paddings, dilations
    return _output_padding(*given, most="stride")


@misconception(
    "q5-sizes-padding",
    "The pair comes back as (columns, rows). It is (rows, columns).",
)
def output_padding(small, large, kernel, strides, paddings, dilations):
    given = small, large, kernel, strides, paddings, dilations
    return _output_padding(*given, reversed=True)


@misconception(
    "q5-sizes-padding",
    "The output padding is taken as the rest of the layer below, by its stride. With a dilation "
    "larger than the stride it may be more.",
)
def output_padding(small, large, kernel, strides, paddings, dilations):
    given = small, large, kernel, strides, paddings, dilations
    _output_padding(*given)
    rests = zip(large, kernel, strides, paddings, dilations, strict=True)
    return tuple((m + 2 * p - d * (k - 1) - 1) % s for m, k, s, p, d in rests)


@misconception(
    "q5-sizes-errors",
    "Sizes that are too small get a negative output padding. Nothing can be taken away by it: "
    "refuse.",
)
def output_padding(small, large, kernel, strides, paddings, dilations):
    given = small, large, kernel, strides, paddings, dilations
    return _output_padding(*given, negative=True)


@misconception(
    "q5-sizes-errors",
    "Sizes that are too large get any output padding. It is less than the larger of stride and "
    "dilation: refuse.",
)
def output_padding(small, large, kernel, strides, paddings, dilations):
    given = small, large, kernel, strides, paddings, dilations
    return _output_padding(*given, any=True)


@misconception(
    "q5-sizes-errors",
    "An output padding that equals the stride gets an answer. One input more would give that size: "
    "refuse.",
)
def output_padding(small, large, kernel, strides, paddings, dilations):
    given = small, large, kernel, strides, paddings, dilations
    return _output_padding(*given, equal=True)


@misconception(
    "q5-sizes-errors",
    "Only the rows are looked at. Both directions must fit.",
)
def output_padding(small, large, kernel, strides, paddings, dilations):
    given = [one[:1] for one in (small, large, kernel, strides, paddings, dilations)]
    _output_padding(*given)
    whole = small, large, kernel, strides, paddings, dilations
    return _output_padding(*whole, negative=True, any=True)


def _all_layers(small, large, most, even, **wrong):
    found = []
    limits = most[0] + 1, most[1] + 1
    for k, s in itertools.product(range(1, limits[0]), range(1, limits[1])):
        for p in range(1 if "bare" in wrong else (k + 1) // 2 if "half" in wrong else k):
            for r in range(s + ("stride" in wrong)):
                size = s * (small - 1) + k - (1 if "one end" in wrong else 2) * p + r
                uneven = s % k if "exchanged" in wrong else k % s
                if size == large and not (even and "uneven" not in wrong and uneven):
                    found.append((k, s, p, r))
    if "by stride" in wrong:
        found.sort(key=lambda one: (one[1], *one))
    return found


@misconception(
    "q5-sizes-all",
    "Output paddings as large as the stride are listed. They go from 0 to S - 1.",
)
def all_layers(small, large, most, even):
    return _all_layers(small, large, most, even, stride=True)


@misconception(
    "q5-sizes-all",
    "Layers with a padding are missing. P goes from 0 to K - 1.",
)
def all_layers(small, large, most, even):
    return _all_layers(small, large, most, even, bare=True)


@misconception(
    "q5-sizes-all",
    "Paddings beyond half of the kernel are missing. P goes up to K - 1.",
)
def all_layers(small, large, most, even):
    return _all_layers(small, large, most, even, half=True)


@misconception(
    "q5-sizes-all",
    "The padding is cut off at one end. It is cut off at both: twice.",
)
def all_layers(small, large, most, even):
    return _all_layers(small, large, most, even, **{"one end": True})


@misconception(
    "q5-sizes-all",
    "Overlaps are taken as even where K divides S. They are if S divides K.",
)
def all_layers(small, large, most, even):
    return _all_layers(small, large, most, even, exchanged=True)


@misconception(
    "q5-sizes-all",
    "The list is not made shorter by even. Layers that overlap unevenly are to be left out.",
)
def all_layers(small, large, most, even):
    return _all_layers(small, large, most, even, uneven=True)


@misconception(
    "q5-sizes-all",
    "The list is sorted by the stride. It goes by K first, then S, P and R.",
)
def all_layers(small, large, most, even):
    return _all_layers(small, large, most, even, **{"by stride": True})


@misconception(
    "q5-sizes-all",
    "The largest number of taps, or the largest stride, is missing. Both may be reached.",
)
def all_layers(small, large, most, even):
    return _all_layers(small, large, (most[0] - 1, most[1]), even)


@variant("q5-sizes")
def same_back(size, kernel_size, stride, dilation):
    return _same_back(size, kernel_size, stride, dilation)


@variant("q5-sizes")
def same_back(size, kernel_size, stride, dilation):
    begins = list(range(0, size, stride))
    end = begins[-1] + dilation * (kernel_size - 1) + 1
    if end <= size:
        return len(begins), 0, 0, size - end
    before, more = divmod(end - size, 2)
    return len(begins), before, before + more, 0


@variant("q5-sizes")
def output_padding(small, large, kernel, strides, paddings, dilations):
    return _output_padding(small, large, kernel, strides, paddings, dilations)


@variant("q5-sizes")
def output_padding(small, large, kernel, strides, paddings, dilations):
    result = ()
    for axis in (0, 1):
        last = (small[axis] - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis]
        sizes = [
            last + 1 - 2 * paddings[axis] + extra
            for extra in range(max(strides[axis], dilations[axis]))
        ]
        if large[axis] not in sizes:
            raise ValueError(f"large must be among {sizes} along axis {axis}")
        result += (sizes.index(large[axis]),)
    return result


@variant("q5-sizes")
def all_layers(small, large, most, even):
    return _all_layers(small, large, most, even)


@variant("q5-sizes")
def all_layers(small, large, most, even):
    found = set()
    for stride in range(1, most[1] + 1):
        for taps in range(stride if even else 1, most[0] + 1, stride if even else 1):
            for extra in range(stride):
                twice = stride * (small - 1) + taps + extra - large
                if twice % 2 == 0 and 0 <= twice // 2 < taps:
                    found.add((taps, stride, twice // 2, extra))
    return sorted(found)


# Question 6: each filter its own dilation


def _places(places, count, **wrong):
    kind = wrong.get("border", "mirror")
    if kind == "edge":
        return np.clip(places, 0, count - 1)
    if kind == "ring":
        return places % count
    if kind == "repeat":
        inside = places % (2 * count)
        return np.minimum(inside, 2 * count - 1 - inside)
    if kind == "once":
        once = np.where(places < 0, -places, places)
        return np.clip(np.where(once >= count, 2 * count - 2 - once, once), 0, count - 1)
    if kind == "then ring":
        once = np.where(places < 0, -places, places)
        return np.where(once >= count, 2 * count - 2 - once, once) % count
    period = max(2 * count - 2, 1)
    return np.minimum(places % period, -places % period)


def _atrous(images, kernels, bias, dilations, **wrong):
    images, kernels, bias = _float(images, kernels, bias)
    sides = kernels.shape[2:]
    if not all(side % 2 for side in sides[: wrong.get("checked", 2)]):
        raise ValueError("kernels have an even side")
    fits = len(dilations) == len(kernels)
    if not fits and ("trusting" not in wrong or len(dilations) < len(kernels)):
        raise ValueError("dilations do not fit")
    if "flipped" in wrong:
        kernels = kernels[:, :, ::-1, ::-1]
    maps = []
    for taps, shift, pair in zip(kernels, bias, dilations, strict=False):
        pair = dilations[0] if "first" in wrong else pair
        down, right = pair[::-1] if "swapped" in wrong else pair
        total = np.zeros((len(images), *images.shape[2:])) + ("unbiased" not in wrong) * shift
        for p, q in itertools.product(*map(range, sides)):
            offsets = down * (p - sides[0] // 2), right * (q - sides[1] // 2)
            if "corner" in wrong:
                offsets = down * p, right * q
            grids = [
                np.arange(count) + offset
                for count, offset in zip(images.shape[2:], offsets, strict=True)
            ]
            within = [
                (0 <= grid) & (grid < count)
                for grid, count in zip(grids, images.shape[2:], strict=True)
            ]
            rows, columns = (
                _places(grid, count, **wrong)
                for grid, count in zip(grids, images.shape[2:], strict=True)
            )
            part = np.einsum("nchw,c->nhw", images[:, :, rows][..., columns], taps[:, p, q])
            if wrong.get("border") == "zero":
                part = part * np.outer(*within)
            total += part
        maps.append(total)
    return np.stack(maps, axis=1)


@misconception(
    "q6-atrous-layer",
    "There are zeros beyond the border. The picture is mirrored there.",
)
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations, border="zero")


@misconception(
    "q6-atrous-layer",
    "The outermost pixel is repeated in the mirror. Beyond 1, 2, 3 come 2, 1, and not 3, 2.",
)
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations, border="repeat")


@misconception(
    "q6-atrous-layer",
    "The border is continued with the outermost pixel. It is mirrored.",
)
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations, border="edge")


@misconception(
    "q6-atrous-layer",
    "The picture begins again beyond its border, as on a ring. It is mirrored.",
)
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations, border="ring")


@misconception(
    "q6-atrous-layer",
    "All filters have the dilation of the first. Each has its own.",
)
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations, first=True)


@misconception(
    "q6-atrous-layer",
    "The dilations are exchanged. The first number of a pair is for rows, the second for columns.",
)
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations, swapped=True)


@misconception(
    "q6-atrous-layer",
    "The kernels are flipped. A convolution of deep learning takes them as they are.",
)
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations, flipped=True)


@misconception(
    "q6-atrous-layer",
    "The first tap sits on the pixel that is computed. It is the middle one.",
)
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations, corner=True)


@misconception(
    "q6-atrous-layer",
    "The biases are missing.",
)
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations, unbiased=True)


@misconception(
    "q6-atrous-far",
    "A place beyond the mirror of the other border takes the outermost pixel. It is mirrored "
    "again, as often as it takes.",
)
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations, border="once")


@misconception(
    "q6-atrous-far",
    "A place is mirrored once, and what is still outside counts from the other end, as negative "
    "places do in Python. It is mirrored again, as often as it takes.",
)
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations, border="then ring")


@misconception(
    "q6-atrous-errors",
    "Kernels with an even number of columns get an answer. They have no middle tap: refuse.",
)
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations, checked=1)


@misconception(
    "q6-atrous-errors",
    "More dilations than filters get an answer. Some would be for nothing: refuse.",
)
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations, trusting=True)


def _strides_out(layers, keep, **wrong):
    result, product, rate, closed = [], 1, 1, False
    for layer in layers:
        kernel, stride, padding, dilation = (
            layer[name] for name in ("kernel", "stride", "padding", "dilation")
        )
        whole = product * stride
        removed = whole > keep or ("below" in wrong and whole == keep and stride > 1)
        if "closed" in wrong:
            removed = (removed or closed) and stride > 1
            closed = closed or removed
        if "own" in wrong and removed:
            rate *= stride
        result.append(
            {
                "kernel": kernel,
                "stride": 1 if removed else stride,
                "padding": padding if "padding" in wrong else padding * rate,
                "dilation": rate if "set" in wrong else dilation * rate,
            }
        )
        if removed and "own" not in wrong:
            rate = stride if "last" in wrong else rate * stride
        elif "next" in wrong:
            rate = 1
        if not removed:
            product *= stride
    return result


@misconception(
    "q6-atrous-strides",
    "The layer that loses its stride is dilated itself. Only those behind it are.",
)
def strides_out(layers, keep):
    return _strides_out(layers, keep, own=True)


@misconception(
    "q6-atrous-strides",
    "The padding stays as it was. Taps that lie further apart reach further beyond the border: it "
    "is multiplied, too.",
)
def strides_out(layers, keep):
    return _strides_out(layers, keep, padding=True)


@misconception(
    "q6-atrous-strides",
    "A dilation that a layer had is replaced. It is multiplied.",
)
def strides_out(layers, keep):
    return _strides_out(layers, keep, set=True)


@misconception(
    "q6-atrous-strides",
    "Only the last stride that was taken out counts. Several of them multiply.",
)
def strides_out(layers, keep):
    return _strides_out(layers, keep, last=True)


@misconception(
    "q6-atrous-strides",
    "Only the next layer is dilated. All layers behind are.",
)
def strides_out(layers, keep):
    return _strides_out(layers, keep, next=True)


@misconception(
    "q6-atrous-strides",
    "A stride with which the product equals keep is taken out. It may be at most keep: that much, "
    "too.",
)
def strides_out(layers, keep):
    return _strides_out(layers, keep, below=True)


@misconception(
    "q6-atrous-strides",
    "Once a stride was taken out, all later ones are, too. The product is that of the strides "
    "which are kept: a later layer keeps its own if that allows it.",
)
def strides_out(layers, keep):
    return _strides_out(layers, keep, closed=True)


@variant("q6-atrous")
def atrous(images, kernels, bias, dilations):
    return _atrous(images, kernels, bias, dilations)


@variant("q6-atrous")
def atrous(images, kernels, bias, dilations):
    images, kernels = np.array(images, dtype=float), np.array(kernels, dtype=float)
    rows, columns = kernels.shape[2:]
    if rows % 2 + columns % 2 < 2:
        raise ValueError("sides of kernels")
    if len(kernels) != len(dilations):
        raise ValueError("number of dilations")
    maps = []
    for taps, (down, right) in zip(kernels, dilations, strict=True):
        pads = [(0, 0), (0, 0), (down * (rows // 2),) * 2, (right * (columns // 2),) * 2]
        wide = np.pad(images, pads, mode="reflect")
        maps.append(conv2d(wide, taps[None], dilation=(down, right)))
    return np.concatenate(maps, axis=1) + np.array(bias, dtype=float)[:, None, None]


@variant("q6-atrous")
def atrous(images, kernels, bias, dilations):
    images, kernels, bias = _float(images, kernels, bias)
    N, _, H, W = images.shape
    if not all(side % 2 for side in kernels.shape[2:]):
        raise ValueError("kernels")
    if len(dilations) != len(bias):
        raise ValueError("dilations")

    def folded(place, count):
        while not 0 <= place < count:
            place = -place if place < 0 else 2 * count - 2 - place
        return place

    result = np.empty((N, len(kernels), H, W))
    for o, i, j in np.ndindex(len(kernels), H, W):
        K, L = kernels.shape[2:]
        rows = [folded(i + dilations[o][0] * (p - K // 2), H) for p in range(K)]
        columns = [folded(j + dilations[o][1] * (q - L // 2), W) for q in range(L)]
        window = images[:, :, rows][:, :, :, columns]
        result[:, o, i, j] = (window * kernels[o]).sum(axis=(1, 2, 3)) + bias[o]
    return result


@variant("q6-atrous")
def strides_out(layers, keep):
    return _strides_out(layers, keep)


@variant("q6-atrous")
def strides_out(layers, keep):
    if not layers:
        return []
    first, *others = ({**layer} for layer in layers)
    stride = first["stride"]
    if stride <= keep:
        return [first, *_behind(others, keep // stride)]
    for layer in others:
        layer["padding"], layer["dilation"] = stride * layer["padding"], stride * layer["dilation"]
    return [first | {"stride": 1}, *_behind(others, keep)]


def _behind(layers, keep):
    kept = []
    for number, layer in enumerate(layers):
        if layer["stride"] > keep:
            for later in layers[number + 1 :]:
                later["padding"] *= layer["stride"]
                later["dilation"] *= layer["stride"]
            layer["stride"] = 1
        keep //= layer["stride"]
        kept.append(layer)
    return kept


# Question 7: larger without a checkerboard


def _overlaps(kernel, strides, crop, **wrong):
    lines = []
    for k, s, c in zip(kernel, strides, crop, strict=True):
        line = [sum(tap % s == phase for tap in range(k)) for phase in range(s)]
        cut = {"never": 0, "back": -c}.get(wrong.get("cut"), c)
        lines.append([line[(phase + cut) % s] for phase in range(s)])
        if "most" in wrong:
            lines[-1] = [-(-k // s)] * s
        if "least" in wrong:
            lines[-1] = [max(one, 1) for one in lines[-1]]
    if "transposed" in wrong:
        return [[row * column for row in lines[0]] for column in lines[1]]
    if "added" in wrong:
        return [[row + column for column in lines[1]] for row in lines[0]]
    return [[row * column for column in lines[1]] for row in lines[0]]


@misconception(
    "q7-larger-overlaps",
    "The crop is passed over. After the cut, row 0 is the old row above.",
)
def overlaps(kernel, strides, crop):
    return _overlaps(kernel, strides, crop, cut="never")


@misconception(
    "q7-larger-overlaps",
    "The crop moves the pattern in the wrong direction. Row 0 after the cut is the old row with "
    "the number of rows that were cut off.",
)
def overlaps(kernel, strides, crop):
    return _overlaps(kernel, strides, crop, cut="back")


@misconception(
    "q7-larger-overlaps",
    "Rows and columns of the table are exchanged. It has S lists of T numbers.",
)
def overlaps(kernel, strides, crop):
    return _overlaps(kernel, strides, crop, transposed=True)


@misconception(
    "q7-larger-overlaps",
    "The counts of rows and columns are added. They are multiplied.",
)
def overlaps(kernel, strides, crop):
    return _overlaps(kernel, strides, crop, added=True)


@misconception(
    "q7-larger-overlaps",
    "All phases get as many kernels as the fullest. If S does not divide K some get fewer.",
)
def overlaps(kernel, strides, crop):
    return _overlaps(kernel, strides, crop, most=True)


@misconception(
    "q7-larger-overlaps",
    "Each phase gets at least one kernel. If the stride exceeds the kernel some get none.",
)
def overlaps(kernel, strides, crop):
    return _overlaps(kernel, strides, crop, least=True)


def _resize(images, size, **wrong):
    images = np.array(images, dtype=float)
    tables = []
    for old, new in zip(images.shape[2:], size, strict=True):
        m = np.arange(new)
        places = (m + 0.5) * old / new - 0.5
        if wrong.get("centers") == "corners":
            places = m * old / new
        if wrong.get("centers") == "ends":
            places = m * (old - 1) / max(new - 1, 1)
        if wrong.get("centers") == "whole":
            places = m * (old // new or 1) if old >= new else m / (new // old)
        if "nearest" in wrong:
            places = np.floor(places + 0.5)
        if "outward" not in wrong:
            places = np.clip(places, 0, old - 1)
        low = np.clip(np.floor(places), 0, max(old - 2, 0)).astype(int)
        high, part = np.minimum(low + 1, old - 1), places - low
        table = np.zeros((new, old))
        np.add.at(table, (m, low), 1 - part)
        np.add.at(table, (m, high), part)
        if "zero" in wrong:
            raw = (m + 0.5) * old / new - 0.5
            table *= np.where(raw < 0, 1 + raw, np.where(raw > old - 1, old - raw, 1))[:, None]
        if "averaged" in wrong and new < old:
            at = (np.arange(old) + 0.5) * new / old
            table = np.array([np.floor(at) == one for one in m], float)
            table /= table.sum(axis=1, keepdims=True)
        tables.append(table)
    return np.einsum("nchw,ih,jw->ncij", images, *tables)


@misconception(
    "q7-larger-resize",
    "Row m is taken from place m H / H'. With half-pixel centers it is (m + 1/2) H / H' - 1/2.",
)
def resize(images, size):
    return _resize(images, size, centers="corners")


@misconception(
    "q7-larger-resize",
    "The first and the last pixel keep their places, as with align_corners=True in torch. Here the "
    "borders of the pictures agree, and not the centers of the outermost pixels.",
)
def resize(images, size):
    return _resize(images, size, centers="ends")


@misconception(
    "q7-larger-resize",
    "Beyond the first and the last row the values go on in a line. They take that row's value.",
)
def resize(images, size):
    return _resize(images, size, outward=True)


@misconception(
    "q7-larger-resize",
    "Beyond the first and the last row there are zeros. A place there takes that row's value.",
)
def resize(images, size):
    return _resize(images, size, zero=True)


@misconception(
    "q7-larger-resize",
    "The nearest pixel is taken. Between two pixels the value changes linearly.",
)
def resize(images, size):
    return _resize(images, size, nearest=True)


@misconception(
    "q7-larger-resize",
    "Where the picture becomes smaller, pixels are averaged. The same formula holds as for larger "
    "ones.",
)
def resize(images, size):
    return _resize(images, size, averaged=True)


def _shuffle_up(maps, factors, order, **wrong):
    maps = np.array(maps, dtype=float)
    N, C, H, W = maps.shape
    sizes = {"a": factors[0], "b": factors[1], "n": N, "i": H, "j": W}
    if C % (sizes["a"] * sizes["b"]):
        raise ValueError("factors do not divide")
    sizes["o"] = C // (sizes["a"] * sizes["b"])
    split = maps.reshape(N, *(sizes[one] for one in order), H, W)
    target = wrong.get("target", "noiajb")
    result = np.einsum(f"n{order}ij->{target}", split)
    return result.reshape(N, sizes["o"], sizes["a"] * H, sizes["b"] * W).copy()


@misconception(
    "q7-larger-shuffle",
    "The channels are in torch's order, with the output channel first. Here it changes fastest: "
    "channel (b r + a) O + o.",
)
def shuffle_up(maps, factors):
    return _shuffle_up(maps, factors, "oab")


@misconception(
    "q7-larger-shuffle",
    "The row and the column in the block are exchanged. Channel (b r + a) O + o goes to row a and "
    "column b.",
)
def shuffle_up(maps, factors):
    return _shuffle_up(maps, factors, "abo")


@misconception(
    "q7-larger-shuffle",
    "The output channel changes slowest. It changes fastest: channel (b r + a) O + o.",
)
def shuffle_up(maps, factors):
    return _shuffle_up(maps, factors, "oba")


@misconception(
    "q7-larger-shuffle",
    "The maps of the phases stand side by side as whole pictures. Their pixels alternate: row a "
    "of each block of r rows.",
)
def shuffle_up(maps, factors):
    return _shuffle_up(maps, factors, "bao", target="noaibj")


@misconception(
    "q7-larger-shuffle",
    "The factors are exchanged. r is for rows, s for columns.",
)
def shuffle_up(maps, factors):
    return _shuffle_up(maps, factors[::-1], "bao")


@misconception(
    "q7-larger-errors",
    "Factors of which each divides the channels get an answer. Their product must divide.",
)
def shuffle_up(maps, factors):
    r, s = factors
    C = np.shape(maps)[1]
    if C % r or C % s:
        raise ValueError("factors do not divide")
    whole = max(C // (r * s), 1) * r * s
    return _shuffle_up(np.array(maps, dtype=float)[:, :whole], factors, "bao")


@misconception(
    "q7-larger-errors",
    "Channels that are left over are dropped. Refuse factors that do not divide them.",
)
def shuffle_up(maps, factors):
    maps = np.array(maps, dtype=float)
    whole = factors[0] * factors[1]
    maps = np.concatenate([maps] * (1 + (maps.shape[1] < whole)), axis=1)
    return _shuffle_up(maps[:, : maps.shape[1] // whole * whole], factors, "bao")


@variant("q7-larger")
def overlaps(kernel, strides, crop):
    return _overlaps(kernel, strides, crop)


@variant("q7-larger")
def overlaps(kernel, strides, crop):
    (K, L), (S, T), (above, left) = kernel, strides, crop
    laid = np.zeros((S * (2 * K + above + 4), T * (2 * L + left + 4)), dtype=int)
    for i, j in np.ndindex(2 * K + above + 4, 2 * L + left + 4):
        laid[S * i : S * i + K, T * j : T * j + L] += 1
    row, column = S * (K + 1) + above, T * (L + 1) + left
    return laid[row : row + S, column : column + T].tolist()


@variant("q7-larger")
def resize(images, size):
    return _resize(images, size)


@variant("q7-larger")
def resize(images, size):
    given = torch.tensor(np.array(images, dtype=float))
    return F.interpolate(given, tuple(size), mode="bilinear", align_corners=False).numpy().copy()


@variant("q7-larger")
def resize(images, size):
    images = np.array(images, dtype=float)
    N, C, H, W = images.shape
    result = np.zeros((N, C, *size))
    for m in range(size[0]):
        for n in range(size[1]):
            y = min(max((m + 0.5) * H / size[0] - 0.5, 0), H - 1)
            x = min(max((n + 0.5) * W / size[1] - 0.5, 0), W - 1)
            for i in range(H):
                for j in range(W):
                    weight = max(1 - abs(y - i), 0) * max(1 - abs(x - j), 0)
                    result[:, :, m, n] += weight * images[:, :, i, j]
    return result


@variant("q7-larger")
def shuffle_up(maps, factors):
    return _shuffle_up(maps, factors, "bao")


@variant("q7-larger")
def shuffle_up(maps, factors):
    maps, (r, s) = np.array(maps, dtype=float), factors
    outputs, rest = divmod(maps.shape[1], r * s)
    if rest:
        raise ValueError(f"the factors {r} and {s}")
    larger = np.empty((len(maps), outputs, maps.shape[2] * r, maps.shape[3] * s))
    for channel in range(maps.shape[1]):
        phase, o = divmod(channel, outputs)
        larger[:, o, phase % r :: r, phase // r :: s] = maps[:, channel]
    return larger


# Question 8: a decoder for an encoder


def _mirror(layers, shape, **wrong):
    decoder = []
    for layer in layers:
        C, H, W = shape
        if "relu" in layer:
            new = [{"relu": True}]
        elif "dense" in layer:
            read = {"reshape": (C, H, W)}
            new = [{"dense": layer["dense"] if "units" in wrong else C * H * W}, read]
            if "flat" in wrong:
                new = new[:1]
            if "early" in wrong:
                new = new[::-1]
            shape = layer["dense"], 1, 1
        else:
            window = layer["kernel"] if "conv" in layer else layer["pool"]
            usual = (1, 1) if "conv" in layer or "pool one" in wrong else window
            stride, padding = layer.get("stride", usual), layer.get("padding", (0, 0))
            room = [H + 2 * padding[0] - window[0], W + 2 * padding[1] - window[1]]
            if min(room[: wrong.get("checked", 2)]) < 0:
                raise ValueError("layers hold a window that does not fit")
            left = tuple(rest % step for rest, step in zip(room, stride, strict=True))
            if "nothing" in wrong:
                left = 0, 0
            if "always" in wrong:
                left = tuple(step - 1 for step in stride)
            if "bare" in wrong:
                left = (H - window[0]) % stride[0], (W - window[1]) % stride[1]
            if "even" in wrong:
                left = H % stride[0], W % stride[1]
            out = layer.get("conv", C)
            if "reversed pairs" in wrong:
                left = left[::-1]
            pairs = window, stride, padding, left
            names = "kernel", "stride", "padding", "output padding"
            new = [{"up": out if "out" in wrong else C, **dict(zip(names, pairs, strict=True))}]
            if "sparse" in wrong:
                new = [{key: value for key, value in new[0].items() if value != (0, 0)}]
            after = [rest // step + 1 for rest, step in zip(room, stride, strict=True)]
            shape = out, *after
        decoder.append(new)
    if "same order" not in wrong:
        decoder.reverse()
    return [one for part in decoder for one in part]


@misconception(
    "q8-mirror-conv",
    "The transposed convolution gives as many channels as the mirrored layer gave. It gives as "
    "many as went into it.",
)
def mirror(layers, shape):
    return _mirror(layers, shape, out=True)


@misconception(
    "q8-mirror-conv",
    "There is no output padding. Where the floor has dropped a remainder the size does not come "
    "back.",
)
def mirror(layers, shape):
    return _mirror(layers, shape, nothing=True)


@misconception(
    "q8-mirror-conv",
    "The output padding is always the stride less 1. It is the remainder that the floor has "
    "dropped.",
)
def mirror(layers, shape):
    return _mirror(layers, shape, always=True)


@misconception(
    "q8-mirror-conv",
    "The output padding is the remainder of the size by the stride. Kernel and padding have their "
    "part in it: (size + 2 padding - kernel) mod stride.",
)
def mirror(layers, shape):
    return _mirror(layers, shape, even=True)


@misconception(
    "q8-mirror-conv",
    "The padding is missing in the output padding: (size + 2 padding - kernel) mod stride.",
)
def mirror(layers, shape):
    return _mirror(layers, shape, bare=True)


@misconception(
    "q8-mirror-conv",
    "The layers stand in the order of the encoder. The way back is in reverse.",
)
def mirror(layers, shape):
    return _mirror(layers, shape, **{"same order": True})


@misconception(
    "q8-mirror-conv",
    "Settings of 0 are left out. All five entries are always given.",
)
def mirror(layers, shape):
    return _mirror(layers, shape, sparse=True)


@misconception(
    "q8-mirror-conv",
    "The output padding is (for columns, for rows). All pairs are (for rows, for columns).",
)
def mirror(layers, shape):
    return _mirror(layers, shape, **{"reversed pairs": True})


@misconception(
    "q8-mirror-layers",
    "A dense layer is mirrored with as many units as it had. It gives back as many numbers as the "
    "mirrored layer read.",
)
def mirror(layers, shape):
    return _mirror(layers, shape, units=True)


@misconception(
    "q8-mirror-layers",
    "The reshape behind a dense layer is missing.",
)
def mirror(layers, shape):
    return _mirror(layers, shape, flat=True)


@misconception(
    "q8-mirror-layers",
    "The reshape stands before the dense layer. It comes behind: first the numbers, then their "
    "shape.",
)
def mirror(layers, shape):
    return _mirror(layers, shape, early=True)


@misconception(
    "q8-mirror-layers",
    "A pooling without a stride is taken to have stride 1. Its stride is its window.",
)
def mirror(layers, shape):
    return _mirror(layers, shape, **{"pool one": True})


@misconception(
    "q8-mirror-layers",
    "Each ReLU follows the layer that mirrors the one before it. In reverse order it stands before "
    "that layer.",
)
def mirror(layers, shape):
    parts = []
    for number, layer in enumerate(layers):
        if "relu" in layer and number and "relu" not in layers[number - 1]:
            parts.insert(-1, layer)
        else:
            parts.append(layer)
    found = _mirror([one for one in layers if "relu" not in one], shape)
    for layer in reversed(parts):
        if "relu" in layer:
            found.append({"relu": True})
    return found


@misconception(
    "q8-mirror-errors",
    "A window with more columns than the padded map gets an answer. It fits nowhere: refuse.",
)
def mirror(layers, shape):
    return _mirror(layers, shape, checked=1)


def _sizes_back(down, up, largest, **wrong):
    found = []
    for size in range(1, largest + ("below" not in wrong)):
        there, fits = size, True
        for kernel, stride, padding in down:
            room = there + (1 if "one end" in wrong else 2) * padding - kernel
            fits = fits and (room >= 0 or "trusting" in wrong)
            there = (math.ceil(room / stride) if "ceil" in wrong else room // stride) + 1
        for kernel, stride, padding, extra in reversed(up) if "reversed" in wrong else up:
            extra = 0 if "no extra" in wrong else extra
            ends = 1 if "one end" in wrong else 2
            there = stride * (there - 1) + kernel - ends * padding + extra
            fits = fits and (there >= 1 or "negative" in wrong)
        if there == size and fits:
            found.append(size)
    return found


@misconception(
    "q8-mirror-sizes",
    "Sizes count although a window does not fit on the way down. They are left out.",
)
def sizes_back(down, up, largest):
    return _sizes_back(down, up, largest, trusting=True, negative=True)


@misconception(
    "q8-mirror-sizes",
    "Sizes count although a layer on the way up would have less than one output. They are left "
    "out.",
)
def sizes_back(down, up, largest):
    return _sizes_back(down, up, largest, negative=True)


@misconception(
    "q8-mirror-sizes",
    "The output paddings are passed over. Each adds its places at the end.",
)
def sizes_back(down, up, largest):
    return _sizes_back(down, up, largest, **{"no extra": True})


@misconception(
    "q8-mirror-sizes",
    "The layers of the way up are taken in reverse. They stand in the order in which they work.",
)
def sizes_back(down, up, largest):
    return _sizes_back(down, up, largest, reversed=True)


@misconception(
    "q8-mirror-sizes",
    "On the way down the number of windows is rounded up. Windows that stick out are dropped.",
)
def sizes_back(down, up, largest):
    return _sizes_back(down, up, largest, ceil=True)


@misconception(
    "q8-mirror-sizes",
    "The largest size is missing. It may be reached.",
)
def sizes_back(down, up, largest):
    return _sizes_back(down, up, largest, below=True)


@misconception(
    "q8-mirror-sizes",
    "The padding is counted at one end only. It is added, and cut off, at both.",
)
def sizes_back(down, up, largest):
    return _sizes_back(down, up, largest, **{"one end": True})


@variant("q8-mirror")
def mirror(layers, shape):
    return _mirror(layers, shape)


@variant("q8-mirror")
def mirror(layers, shape):
    return _way_back(layers, shape)


def _way_back(layers, shape):
    if not layers:
        return []
    first, *others = layers
    C, H, W = shape
    if "relu" in first:
        return [*_way_back(others, shape), {"relu": True}]
    if "dense" in first:
        ends = [{"dense": C * H * W}, {"reshape": (C, H, W)}]
        return _way_back(others, (first["dense"], 1, 1)) + ends
    window = first.get("kernel") or first["pool"]
    stride = first.get("stride") or (window if "pool" in first else (1, 1))
    padding = first.get("padding") or (0, 0)
    try:
        rows, columns = (
            output_size(*setting) for setting in zip((H, W), window, stride, padding, strict=True)
        )
    except ValueError as error:
        raise ValueError(f"layers: {error}") from None
    bare = [
        step * (n - 1) + k - 2 * p
        for n, k, step, p in zip((rows, columns), window, stride, padding, strict=True)
    ]
    up = {
        "output padding": (H - bare[0], W - bare[1]),
        "padding": tuple(padding),
        "stride": tuple(stride),
        "kernel": tuple(window),
        "up": C,
    }
    return [*_way_back(others, (first.get("conv", C), rows, columns)), up]


@variant("q8-mirror")
def sizes_back(down, up, largest):
    return _sizes_back(down, up, largest)


@variant("q8-mirror")
def sizes_back(down, up, largest):
    def back(size):
        for kernel, stride, padding in down:
            begins = range(-padding, size + padding - kernel + 1, stride)
            size = len(begins)
            if not begins:
                return None
        for kernel, stride, padding, extra in up:
            size = stride * (size - 1) + kernel - 2 * padding + extra
            if size <= 0:
                return None
        return size

    return [size for size in range(1, largest + 1) if back(size) == size]
