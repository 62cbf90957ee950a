"""Wrong answers that people give to problem set 6, and right answers written another way."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.convolution import windows2d
from cnnbook.layers import conv2d
from referee.cases import misconception, variant


def _float(tables):
    return [np.array(table, dtype=float) for table in tables]


# Question 1: predict

_RIGHT = {
    "stem": [24, 23, 16, 24, 11, 7],
    "groups": [1980, 149_688],
    "module": [33, 2436, 5400],
    "field": [35, 19, 4],
    "blocks": [7200, 6800],
    "shortcut": [7, 5, 784_000],
    "paths": [32, 10, 16],
}


@misconception(
    "q1-predict-shapes",
    '"stem": the pooling keeps the window that the border cuts off. It is dropped: 16 columns take '
    "windows that begin at 0, 2, ... 12, which are 7.",
)
def predict_net():
    return _RIGHT | {"stem": [24, 23, 16, 24, 11, 8]}


@misconception(
    "q1-predict-shapes",
    '"stem": 45 rows were halved to 22. With padding 3 there are 51 rows, in which windows of 7 '
    "begin at 0, 2, ... 44.",
)
def predict_net():
    return _RIGHT | {"stem": [24, 22, 16, 24, 10, 7]}


@misconception(
    "q1-predict-shapes",
    '"groups": each filter was given all 24 channels. In 4 groups it reads 6 of them.',
)
def predict_net():
    return _RIGHT | {"groups": [7812, 598_752]}


@misconception(
    "q1-predict-shapes",
    '"groups": the biases were counted as multiply-adds. They are added, not multiplied.',
)
def predict_net():
    return _RIGHT | {"groups": [1980, 152_460]}


@misconception(
    "q1-predict-shapes",
    '"groups": both the channels and the filters were divided by 4. Each filter reads fewer '
    "channels, but there are still 36 filters.",
)
def predict_net():
    return _RIGHT | {"groups": [522, 37_422]}


@misconception(
    "q1-predict-module",
    '"module": the channels of the reductions were counted. They stay inside: only the last layer '
    "of each branch goes into the concatenation.",
)
def predict_net():
    return _RIGHT | {"module": [45, 2436, 5400]}


@misconception(
    "q1-predict-module",
    '"module": the weights of the two reductions are missing: 36 times 8, and 36 times 4.',
)
def predict_net():
    return _RIGHT | {"module": [33, 2004, 5400]}


@misconception(
    "q1-predict-module",
    '"field": the windows were added without regard to the strides. Behind a stride of 2 the next '
    "output lies 2 rows further in the picture, behind two of them 4.",
)
def predict_net():
    return _RIGHT | {"field": [15, 11, 4]}


@misconception(
    "q1-predict-module",
    '"field": the stride of a layer was applied to its own window. It moves only what comes after: '
    "the first window has 7 rows.",
)
def predict_net():
    return _RIGHT | {"field": [45, 29, 4]}


@misconception(
    "q1-predict-blocks",
    '"blocks": a basic block has two convolutions of 3 by 3, and one was counted.',
)
def predict_net():
    return _RIGHT | {"blocks": [3600, 6800]}


@misconception(
    "q1-predict-blocks",
    '"shortcut": the first convolution was counted at all places of its input. With stride 2 it '
    "has an output at 7 times 5 of them only.",
)
def predict_net():
    return _RIGHT | {"shortcut": [7, 5, 1_374_400]}


@misconception(
    "q1-predict-blocks",
    '"shortcut": the projection is missing. It has 20 times 40 weights, at 35 places.',
)
def predict_net():
    return _RIGHT | {"shortcut": [7, 5, 756_000]}


@misconception(
    "q1-predict-blocks",
    '"paths": the two ways of each block were added. They are multiplied: each way through the '
    "first block can be followed by each way through the second.",
)
def predict_net():
    return _RIGHT | {"paths": [10, 10, 8]}


@misconception(
    "q1-predict-blocks",
    '"paths": one path was taken away. All paths that go through the third F are gone: half of '
    "them.",
)
def predict_net():
    return _RIGHT | {"paths": [32, 10, 31]}


@variant("q1-predict")
def predict_net():
    return {name: np.array(numbers) for name, numbers in _RIGHT.items()}


@variant("q1-predict")
def predict_net():
    sides = [(45 + 6 - 7) // 2 + 1, (32 + 6 - 7) // 2 + 1]
    small = [(side - 3) // 2 + 1 for side in sides]
    weights = 36 * (24 // 4) * 3 * 3
    basic, narrow = 20 * 20 * 9, 20 * 80
    block = 20 * 40 * 9 + 40 * 40 * 9 + 20 * 40
    return {
        "paths": [2**5, math.comb(5, 2), 2**4],
        "shortcut": [math.ceil(13 / 2), math.ceil(9 / 2), block * 7 * 5],
        "blocks": [2 * basic, narrow + basic + narrow],
        "field": [7 + 2 * 2 + 2 * 4 + 4 * 4, 7 + 2 * 2 + 2 * 4, 2 * 2],
        "module": [10 + 12 + 6 + 5, 36 * 27 + 8 * 12 * 9 + 4 * 6 * 25, 36 * 6 * 25],
        "groups": [weights + 36, weights * small[0] * small[1]],
        "stem": [24, *sides, 24, *small],
    }


@variant("q1-predict")
def predict_net():
    return {name: tuple(float(number) for number in _RIGHT[name]) for name in sorted(_RIGHT)}


# Question 2: kernels by a table


@misconception(
    "q2-table-cost",
    "Each output map is counted as if it read all channels. It reads those of its entry.",
)
def table_cost(table, shape, kernel):
    weights = len(table) * shape[0] * kernel[0] * kernel[1]
    places = (shape[1] - kernel[0] + 1) * (shape[2] - kernel[1] + 1)
    return weights, len(table), weights * places


@misconception(
    "q2-table-cost",
    "Biases are counted as multiply-adds. They are added, not multiplied.",
)
def table_cost(table, shape, kernel):
    weights = kernel[0] * kernel[1] * sum(map(len, table))
    places = (shape[1] - kernel[0] + 1) * (shape[2] - kernel[1] + 1)
    return weights, len(table), (weights + len(table)) * places


@misconception(
    "q2-table-cost",
    "There is a bias for each connection. An output map has one, however many maps it reads.",
)
def table_cost(table, shape, kernel):
    connections = sum(map(len, table))
    weights = kernel[0] * kernel[1] * connections
    places = (shape[1] - kernel[0] + 1) * (shape[2] - kernel[1] + 1)
    return weights, connections, weights * places


@misconception(
    "q2-table-cost",
    "The windows are counted at all pixels. They stay inside the picture: H - K + 1 rows of them.",
)
def table_cost(table, shape, kernel):
    weights = kernel[0] * kernel[1] * sum(map(len, table))
    return weights, len(table), weights * shape[1] * shape[2]


@misconception(
    "q2-table-errors",
    "An entry with the same map twice gets an answer. A map is connected or not: refuse.",
)
def table_cost(table, shape, kernel):
    for entry in table:
        if any(not 0 <= number < shape[0] for number in entry):
            raise ValueError("table holds a number that is no channel")
    weights = kernel[0] * kernel[1] * sum(map(len, table))
    places = (shape[1] - kernel[0] + 1) * (shape[2] - kernel[1] + 1)
    return weights, len(table), weights * places


@misconception(
    "q2-table-errors",
    "Negative numbers of maps get an answer. In Python they count from the end, here they are no "
    "channels: refuse.",
)
def table_cost(table, shape, kernel):
    for entry in table:
        if len(set(entry)) < len(entry) or any(number >= shape[0] for number in entry):
            raise ValueError("table is wrong")
    weights = kernel[0] * kernel[1] * sum(map(len, table))
    places = (shape[1] - kernel[0] + 1) * (shape[2] - kernel[1] + 1)
    return weights, len(table), weights * places


def _table_conv(images, table, kernels, bias, **wrong):
    if "small" not in wrong:
        images, kernels = _float([images, kernels])
    images, kernels = np.asarray(images), np.asarray(kernels)
    C = images.shape[1]
    for entry in table:
        if not set(entry) <= set(range(C)) or len(set(entry)) < len(entry):
            raise ValueError("table is wrong")
    if len(kernels) != sum(map(len, table)) and "trusting" not in wrong:
        raise ValueError("kernels are too many or too few")
    if "flipped" in wrong:
        kernels = kernels[:, ::-1, ::-1]
    maps, start = [], 0
    K, L = kernels.shape[1:]
    rows, columns = images.shape[2] - K + 1, images.shape[3] - L + 1
    for entry, shift in zip(table, bias, strict=True):
        if "restarts" in wrong:
            start = 0
        total = np.zeros((len(images), rows, columns))
        for c in sorted(entry) if "sorted" in wrong else entry:
            taps = kernels[c % len(kernels)] if "by channel" in wrong else kernels[start]
            for p in range(K):
                for q in range(L):
                    total += images[:, c, p : p + rows, q : q + columns] * taps[p, q]
            start += 1
        maps.append(total + (shift if entry or "empty" not in wrong else 0))
    return np.stack(maps, axis=1)


@misconception(
    "q2-table-layer",
    "The entries are sorted, so kernels meet the wrong maps. They are stored in the order of the "
    "entry: in [2, 0] the first one reads map 2.",
)
def table_conv(images, table, kernels, bias):
    return _table_conv(images, table, kernels, bias, sorted=True)


@misconception(
    "q2-table-layer",
    "For each output map the kernels are taken from the beginning again. They stand one behind the "
    "other: those of output 1 come after all of output 0.",
)
def table_conv(images, table, kernels, bias):
    return _table_conv(images, table, kernels, bias, restarts=True)


@misconception(
    "q2-table-layer",
    "A kernel is chosen by the number of the map that it reads. Each connection has a kernel of "
    "its own: count the connections.",
)
def table_conv(images, table, kernels, bias):
    return _table_conv(images, table, kernels, bias, **{"by channel": True})


@misconception(
    "q2-table-layer",
    "The kernels are flipped. A convolution of deep learning takes them as they are.",
)
def table_conv(images, table, kernels, bias):
    return _table_conv(images, table, kernels, bias, flipped=True)


@misconception(
    "q2-table-layer",
    "An output map that reads nothing is left at 0. It is its bias everywhere.",
)
def table_conv(images, table, kernels, bias):
    return _table_conv(images, table, kernels, bias, empty=True)


@misconception(
    "q2-table-types",
    "Images and kernels of uint8 are multiplied as they are, and their products wrap around at "
    "256. Turn them into floats first.",
)
def table_conv(images, table, kernels, bias):
    return _table_conv(images, table, kernels, bias, small=True)


@misconception(
    "q2-table-errors",
    "More kernels than connections get an answer. Some of them would read nothing: refuse.",
)
def table_conv(images, table, kernels, bias):
    if len(kernels) < sum(map(len, table)):
        raise ValueError("kernels are too few")
    return _table_conv(images, table, kernels, bias, trusting=True)


@variant("q2-table")
def table_conv(images, table, kernels, bias):
    return _table_conv(images, table, kernels, bias)


@variant("q2-table")
def table_conv(images, table, kernels, bias):
    images, kernels = _float([images, kernels])
    pairs = [(o, c) for o, entry in enumerate(table) for c in entry]
    if len(set(pairs)) < len(pairs) or any(not -1 < c < images.shape[1] for _, c in pairs):
        raise ValueError("bad table")
    if len(pairs) != len(kernels):
        raise ValueError("bad kernels")
    single = conv2d(images[:, [c for _, c in pairs]], kernels[:, None], groups=len(pairs))
    connect = np.array([[o == other for other, _ in pairs] for o in range(len(table))], float)
    sums = np.einsum("oe,neij->noij", connect, single)
    return sums + np.array(bias, dtype=float)[:, None, None]


@variant("q2-table")
def table_cost(table, shape, kernel):
    links = np.zeros((len(table), shape[0]), dtype=int)
    for o, entry in enumerate(table):
        for number in entry:
            if number < 0 or number >= shape[0] or links[o, number]:
                raise ValueError(f"table: {number} in {entry}")
            links[o, number] = 1
    taps = kernel[0] * kernel[1]
    rows, columns = (side + 1 - reach for side, reach in zip(shape[1:], kernel, strict=True))
    return int(links.sum()) * taps, len(links), int(links.sum()) * taps * rows * columns


@variant("q2-table")
def table_conv(images, table, kernels, bias):
    given = torch.tensor(np.array(images, dtype=float))
    taps = torch.tensor(np.array(kernels, dtype=float))
    flat = [number for entry in table for number in entry]
    if [n for n in flat if n not in range(given.shape[1])]:
        raise ValueError("a number in table")
    if any(sorted(set(entry)) != sorted(entry) for entry in table):
        raise ValueError("a number twice in table")
    if len(flat) != len(taps):
        raise ValueError("the number of kernels")
    ends = np.cumsum([len(entry) for entry in table])
    maps = []
    for end, entry, shift in zip(ends, table, np.array(bias, dtype=float), strict=True):
        part = taps[end - len(entry) : end][None]
        if entry:
            maps.append(F.conv2d(given[:, entry], part)[:, 0].numpy() + shift)
        else:
            sides = [
                one - two + 1 for one, two in zip(given.shape[2:], taps.shape[1:], strict=True)
            ]
            maps.append(np.full((len(given), *sides), shift))
    return np.array(maps).swapaxes(0, 1).copy()


# Question 3: groups that differ, and a shuffle


def _mixed(images, kernels, **wrong):
    images, kernels = np.array(images, dtype=float), _float(kernels)
    fits = sum(table.shape[1] for table in kernels) == images.shape[1]
    if not fits and "trusting" not in wrong:
        raise ValueError("kernels do not fit")
    maps, start = [], 0
    for table in kernels:
        sides = table.shape[2:]
        if not all(side % 2 for side in sides[: wrong.get("checked", 2)]):
            raise ValueError("kernels have an even side")
        pads = [(side // 2, (side - 1) // 2) for side in sides]
        if "flipped" in wrong:
            table = table[:, :, ::-1, ::-1]
        part = images[:, start : start + table.shape[1]]
        if "edge" in wrong:
            part, pads = np.pad(part, [(0, 0), (0, 0), *pads], mode="edge"), 0
        maps.append(conv2d(part, table, padding=pads))
        start += 0 if "first" in wrong else table.shape["outputs" not in wrong]
        if "outputs" in wrong and start + table.shape[1] > images.shape[1]:
            start = images.shape[1] - table.shape[1]
    if "dealt" in wrong:
        longest = max(one.shape[1] for one in maps)
        maps = [one[:, n : n + 1] for n in range(longest) for one in maps if one.shape[1] > n]
    return np.concatenate(maps, axis=1)


@misconception(
    "q3-groups-mixed",
    "Every group reads the first channels. Group 1 begins where group 0 ends.",
)
def mixed_groups(images, kernels):
    kernels = [np.array(table, dtype=float) for table in kernels]
    if sum(table.shape[1] for table in kernels) != np.shape(images)[1]:
        raise ValueError("kernels do not fit")
    return _mixed(images, kernels, first=True)


@misconception(
    "q3-groups-mixed",
    "The outputs of the groups are dealt out in turn. Here they stand behind one another: the "
    "shuffle is a function of its own.",
)
def mixed_groups(images, kernels):
    return _mixed(images, kernels, dealt=True)


@misconception(
    "q3-groups-mixed",
    "The kernels are flipped. A convolution of deep learning takes them as they are.",
)
def mixed_groups(images, kernels):
    return _mixed(images, kernels, flipped=True)


@misconception(
    "q3-groups-mixed",
    "The border is continued instead of filled with zeros.",
)
def mixed_groups(images, kernels):
    return _mixed(images, kernels, edge=True)


@misconception(
    "q3-groups-shuffle",
    "The channels are dealt out the other way around: every G-th channel goes to one group. That "
    "undoes a shuffle. Take the first channel of each group, then the second of each.",
)
def shuffle(maps, groups):
    maps = np.array(maps, dtype=float)
    if maps.shape[1] % groups:
        raise ValueError("groups do not divide")
    order = np.arange(maps.shape[1]).reshape(-1, groups).T.ravel()
    return maps[:, order]


@misconception(
    "q3-groups-shuffle",
    "The order of the groups is turned around, and their channels stay together.",
)
def shuffle(maps, groups):
    maps = np.array(maps, dtype=float)
    if maps.shape[1] % groups:
        raise ValueError("groups do not divide")
    order = np.arange(maps.shape[1]).reshape(groups, -1)[::-1].ravel()
    return maps[:, order]


def _sources(layers, channels, **wrong):
    seen = [{channel} for channel in range(channels)]
    for kind, *_, groups in layers:
        size = len(seen) // groups
        shares = [seen[g * size : (g + 1) * size] for g in range(groups)]
        if kind == "shuffle":
            if "inverse" in wrong:
                shares = [seen[g::size] for g in range(size)]
                seen = [seen[k * groups + g] for g in range(groups) for k in range(size)]
            elif "unshuffled" not in wrong:
                seen = [share[k] for k in range(size) for share in shares]
            continue
        outputs = _[0]
        whole = [set().union(*share) for share in shares]
        if "dense" in wrong:
            whole = [set().union(*whole)] * groups
        if "own" in wrong:
            seen = [seen[o * len(seen) // outputs] for o in range(outputs)]
        elif "turns" in wrong:
            seen = [whole[o % groups] for o in range(outputs)]
        else:
            seen = [whole[o // (outputs // groups)] for o in range(outputs)]
    return [sorted(one) for one in seen]


@misconception(
    "q3-groups-sources",
    "Every filter reads all channels. With groups it reads those of its group.",
)
def sources(layers, channels):
    return _sources(layers, channels, dense=True)


@misconception(
    "q3-groups-sources",
    "A filter depends on one channel only. It reads all channels of its group.",
)
def sources(layers, channels):
    return _sources(layers, channels, own=True)


@misconception(
    "q3-groups-sources",
    "The shuffles are passed over. They move channels to other groups.",
)
def sources(layers, channels):
    return _sources(layers, channels, unshuffled=True)


@misconception(
    "q3-groups-sources",
    "The shuffle goes the other way around. With 3 groups of 2 the channels 0 to 5 become "
    "0, 2, 4, 1, 3, 5.",
)
def sources(layers, channels):
    return _sources(layers, channels, inverse=True)


@misconception(
    "q3-groups-sources",
    "The filters are given to the groups in turn. The first filters all belong to the first group.",
)
def sources(layers, channels):
    return _sources(layers, channels, turns=True)


@misconception(
    "q3-groups-errors",
    "Kernels with an even number of columns get an answer. Their maps would not keep the size with "
    "equal zeros on both sides: refuse.",
)
def mixed_groups(images, kernels):
    return _mixed(images, kernels, checked=1)


@misconception(
    "q3-groups-errors",
    "Channels that no group reads are passed over. All channels must be read: refuse.",
)
def mixed_groups(images, kernels):
    kernels = [np.array(table, dtype=float) for table in kernels]
    if sum(table.shape[1] for table in kernels) > np.shape(images)[1]:
        raise ValueError("kernels read too many channels")
    return _mixed(images, kernels, trusting=True)


@variant("q3-groups")
def mixed_groups(images, kernels):
    return _mixed(images, kernels)


@variant("q3-groups")
def mixed_groups(images, kernels):
    images = torch.tensor(np.array(images, dtype=float))
    kernels = [torch.tensor(np.array(table, dtype=float)) for table in kernels]
    if any(side % 2 == 0 for table in kernels for side in table.shape[2:]):
        raise ValueError("an even side in kernels")
    widths = [table.shape[1] for table in kernels]
    if sum(widths) != images.shape[1]:
        raise ValueError("the channels of kernels")
    parts = zip(images.split(widths, dim=1), kernels, strict=True)
    return torch.cat([F.conv2d(part, table, padding="same") for part, table in parts], 1).numpy()


@variant("q3-groups")
def shuffle(maps, groups):
    maps = np.array(maps, dtype=float)
    size, rest = divmod(maps.shape[1], groups)
    if rest:
        raise ValueError("groups: a remainder")
    return np.concatenate([maps[:, first::size] for first in range(size)], axis=1)


@variant("q3-groups")
def shuffle(maps, groups):
    maps = np.array(maps, dtype=float)
    if len(maps[0]) % groups > 0:
        raise ValueError(f"{groups} groups")
    split = maps.reshape(len(maps), groups, -1, *maps.shape[2:])
    return split.swapaxes(1, 2).reshape(maps.shape).copy()


@variant("q3-groups")
def sources(layers, channels):
    links = np.eye(channels, dtype=int)
    for layer in layers:
        groups = layer[-1]
        if layer[0] == "conv":
            step = np.kron(np.eye(groups), np.ones((layer[1] // groups, len(links) // groups)))
        else:
            order = np.arange(len(links)).reshape(groups, -1).T.ravel()
            step = np.eye(len(links))[order]
        links = (step @ links > 0).astype(int)
    return [np.flatnonzero(row).tolist() for row in links]


@variant("q3-groups")
def sources(layers, channels):
    def back(depth, channel):
        if depth == 0:
            return {channel}
        *_, groups = layer = layers[depth - 1]
        widths = [one[1] for one in layers[: depth - 1] if one[0] == "conv"]
        reads = ([channels, *widths][-1]) // groups
        if layer[0] == "shuffle":
            return back(depth - 1, channel % groups * reads + channel // groups)
        group = channel // (layer[1] // groups)
        return set().union(*(back(depth - 1, group * reads + k) for k in range(reads)))

    count = [channels, *(one[1] for one in layers if one[0] == "conv")][-1]
    return [sorted(back(len(layers), channel)) for channel in range(count)]


# Question 4: a module of branches


def _inception(images, branches, **wrong):
    results, maps = [], np.array(images, dtype=float)
    for branch in branches:
        x = results[-1] if "chained" in wrong and results else maps
        for number, layer in enumerate(branch):
            pooling = "pool" in layer
            taps = None if pooling else np.array(layer["kernels"], dtype=float)
            sides = layer["pool"] if pooling else taps.shape[2:]
            pads = [(side - 1 - side // 2, side // 2) for side in sides]
            if "front" in wrong:
                pads = [pair[::-1] for pair in pads]
            if "flipped" in wrong and not pooling:
                taps = taps[:, :, ::-1, ::-1]
            if pooling:
                outside = wrong.get("outside", -np.inf)
                wide = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=outside)
                reduce = np.mean if "means" in wrong else np.max
                x = reduce(windows2d(wide, sides), axis=(4, 5))
            else:
                x = conv2d(x, taps, np.array(layer["bias"], dtype=float), padding=pads)
            last = number == len(branch) - 1
            if ("always" in wrong or not pooling) and (last or "late" not in wrong):
                x = x if "linear" in wrong else np.maximum(x, 0)
        results.append(np.array(x))
    return np.concatenate(results, axis=1)


@misconception(
    "q4-module-odd",
    "There is no ReLU. One follows each convolution.",
)
def inception(images, branches):
    return _inception(images, branches, linear=True)


@misconception(
    "q4-module-odd",
    "There is one ReLU at the end of a branch. One follows each convolution, also the reductions.",
)
def inception(images, branches):
    return _inception(images, branches, late=True)


@misconception(
    "q4-module-odd",
    "The kernels are flipped. A convolution of deep learning takes them as they are.",
)
def inception(images, branches):
    return _inception(images, branches, flipped=True)


@misconception(
    "q4-module-odd",
    "Each branch reads what the branch before it gave. All branches read the images.",
)
def inception(images, branches):
    try:
        return _inception(images, branches, chained=True)
    except ValueError:
        return _inception(images, branches)


@misconception(
    "q4-module-even",
    "An even window has its extra row above, and its extra column on the left. Here it reaches "
    "further down and to the right.",
)
def inception(images, branches):
    return _inception(images, branches, front=True)


@misconception(
    "q4-module-pool",
    "The pooling sees zeros around the map. Among negative numbers a zero is the largest: fill "
    "with minus infinity, or cut the windows off.",
)
def inception(images, branches):
    return _inception(images, branches, outside=0)


@misconception(
    "q4-module-pool",
    "ReLU follows the pooling, too. It follows convolutions only.",
)
def inception(images, branches):
    return _inception(images, branches, always=True)


def _widest(channels, places, outputs, budget, **wrong):
    n1, n3, n5, pooled = outputs
    fixed = channels * (n1 + ("unpooled" not in wrong) * pooled)
    inside = wrong.get("inside", 1)
    first, second = channels + inside * 9 * n3, channels + inside * 25 * n5
    pairs = [
        (r3, r5)
        for r3 in range(1, n3 + 1)
        for r5 in range(1, n5 + 1)
        if places * (fixed + r3 * first + r5 * second) <= budget - ("below" in wrong)
    ]
    tie = 0 if "three" in wrong else 1
    return max(pairs, key=lambda pair: (sum(pair), pair[tie]), default=wrong.get("none"))


@misconception(
    "q4-module-widths",
    "Of pairs with the same sum the one with the larger r3 is taken. It is the one with the larger "
    "r5.",
)
def widest(channels, places, outputs, budget):
    return _widest(channels, places, outputs, budget, three=True)


@misconception(
    "q4-module-widths",
    "A module that takes exactly the budget is refused. It may take at most so many: that many, "
    "too.",
)
def widest(channels, places, outputs, budget):
    return _widest(channels, places, outputs, budget, below=True)


@misconception(
    "q4-module-widths",
    "The 1 by 1 convolution after the pooling is missing from the cost.",
)
def widest(channels, places, outputs, budget):
    return _widest(channels, places, outputs, budget, unpooled=True)


@misconception(
    "q4-module-widths",
    "The places are missing: each weight works at all of them.",
)
def widest(channels, places, outputs, budget):
    return _widest(channels, 1, outputs, budget)


@misconception(
    "q4-module-widths",
    "Where even the narrowest module takes more than the budget, (1, 1) is returned. Return None.",
)
def widest(channels, places, outputs, budget):
    return _widest(channels, places, outputs, budget, none=(1, 1))


@variant("q4-module")
def inception(images, branches):
    return _inception(images, branches)


@variant("q4-module")
def inception(images, branches):
    given = torch.tensor(np.array(images, dtype=float))
    parts = []
    for branch in branches:
        x = given.clone()
        for layer in branch:
            if "pool" in layer:
                rows, columns = layer["pool"]
                pads = (columns - 1) // 2, columns // 2, (rows - 1) // 2, rows // 2
                x = F.max_pool2d(F.pad(x, pads, value=-math.inf), (rows, columns), stride=1)
                continue
            taps, bias = (torch.tensor(np.array(layer[n], float)) for n in ("kernels", "bias"))
            rows, columns = taps.shape[2:]
            pads = (columns - 1) // 2, columns // 2, (rows - 1) // 2, rows // 2
            x = F.conv2d(F.pad(x, pads), taps, bias).clamp(min=0)
        parts.append(x)
    return torch.cat(parts, dim=1).numpy()


@variant("q4-module")
def inception(images, branches):
    def layer_of(x, layer):
        height, width = x.shape[2:]
        rows, columns = layer["pool"] if "pool" in layer else np.shape(layer["kernels"])[2:]
        results = []
        for i in range(height):
            for j in range(width):
                top, left = i - (rows - 1) // 2, j - (columns - 1) // 2
                a, b = max(top, 0), max(left, 0)
                window = x[:, :, a : max(0, top + rows), b : max(0, left + columns)]
                if "pool" in layer:
                    results.append(window.max(axis=(2, 3)))
                    continue
                taps = np.array(layer["kernels"], dtype=float)[:, :, a - top :, b - left :]
                taps = taps[:, :, : window.shape[2], : window.shape[3]]
                sums = np.einsum("ncpq,ocpq->no", window, taps) + np.array(layer["bias"])
                results.append(np.where(sums < 0, 0, sums))
        return np.stack(results, axis=-1).reshape(len(x), -1, height, width)

    results = []
    for branch in branches:
        x = np.array(images, dtype=float)
        for layer in branch:
            x = layer_of(x, layer)
        results.append(x)
    return np.concatenate(results, axis=1)


@variant("q4-module")
def widest(channels, places, outputs, budget):
    n1, n3, n5, pooled = outputs
    best = None
    for r3 in range(1, n3 + 1):
        left = budget // places - channels * (n1 + pooled) - r3 * (channels + 9 * n3)
        r5 = min(n5, left // (channels + 25 * n5))
        if r5 >= 1 and (best is None or r3 + r5 > sum(best)):
            best = r3, r5
    return best


@variant("q4-module")
def widest(channels, places, outputs, budget):
    n1, n3, n5, pooled = outputs
    for total in range(n3 + n5, 1, -1):
        for r5 in range(min(n5, total - 1), 0, -1):
            r3 = total - r5
            weights = channels * (n1 + pooled + total) + 9 * r3 * n3 + 25 * r5 * n5
            if r3 <= n3 and weights * places <= budget:
                return r3, r5
    return None


# Question 5: norm, convolution, shortcut


def _fold(kernels, bias, gamma, beta, mean, variance, floor, **wrong):
    kernels, bias, gamma, beta, mean, variance = _float(
        [kernels, bias, gamma, beta, mean, variance]
    )
    if (gamma == 0).any() and "trusting" not in wrong:
        raise ValueError("gamma holds 0")
    spread = variance + floor
    scale = gamma / (spread if "square" in wrong else np.sqrt(spread))
    shift = beta + (scale if "sign" in wrong else -scale) * mean
    if "taps" in wrong:
        more = shift.sum()
    else:
        more = (kernels.sum(axis=(2, 3)) * shift).sum(axis=1)
    if "old" in wrong:
        more = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        border = {"shift": shift, "mean": mean, "zero": 0 * mean}.get(
            wrong.get("border"), -shift / scale
        )
    return kernels * scale[None, :, None, None], bias + more, border


@misconception(
    "q5-shortcut-fold",
    "The biases stay as they were. What the norm adds to a channel meets all taps that read it: "
    "their sum times b comes to the bias.",
)
def fold_before(kernels, bias, gamma, beta, mean, variance, floor):
    return _fold(kernels, bias, gamma, beta, mean, variance, floor, old=True)


@misconception(
    "q5-shortcut-fold",
    "What the norm adds is added to the bias without the taps. Each tap multiplies it: take the "
    "sum of the taps of the channel times b.",
)
def fold_before(kernels, bias, gamma, beta, mean, variance, floor):
    return _fold(kernels, bias, gamma, beta, mean, variance, floor, taps=True)


@misconception(
    "q5-shortcut-fold",
    "The scale is gamma divided by the variance. It is divided by the root.",
)
def fold_before(kernels, bias, gamma, beta, mean, variance, floor):
    return _fold(kernels, bias, gamma, beta, mean, variance, floor, square=True)


@misconception(
    "q5-shortcut-fold",
    "The border is what the norm adds. It is the number that the norm turns into 0: a x + b = 0.",
)
def fold_before(kernels, bias, gamma, beta, mean, variance, floor):
    return _fold(kernels, bias, gamma, beta, mean, variance, floor, border="shift")


@misconception(
    "q5-shortcut-fold",
    "The border is the mean. That becomes beta, not 0.",
)
def fold_before(kernels, bias, gamma, beta, mean, variance, floor):
    return _fold(kernels, bias, gamma, beta, mean, variance, floor, border="mean")


@misconception(
    "q5-shortcut-fold",
    "The border stays 0. The norm would make b of it, where zeros stood before.",
)
def fold_before(kernels, bias, gamma, beta, mean, variance, floor):
    return _fold(kernels, bias, gamma, beta, mean, variance, floor, border="zero")


def _join(images, branch, stride, **wrong):
    images, branch = _float([images, branch])
    start = stride - 1 if "late" in wrong and images.shape[2] >= stride else 0
    thin = images[:, :, ::stride, ::stride]
    if "means" in wrong:
        thin = F.avg_pool2d(torch.tensor(images), stride, ceil_mode=True).numpy()
    if start:
        later = np.zeros_like(thin)
        found = images[:, :, ::stride, start::stride]
        later[..., : found.shape[3]] = found
        thin = later
    more = branch.shape[1] - images.shape[1]
    if (more < 0 and "trusting" not in wrong) or branch.shape[2:] != thin.shape[2:]:
        raise ValueError("branch does not fit")
    front = {"behind": 0, "front": more}.get(wrong.get("zeros"), max(more, 0) // 2)
    wide = np.zeros(branch.shape)
    wide[:, front : front + images.shape[1]] = thin[:, : branch.shape[1]]
    if "early" in wrong:
        return np.maximum(branch, 0) + wide
    return branch + wide if "linear" in wrong else np.maximum(branch + wide, 0)


@misconception(
    "q5-shortcut-sum",
    "All zero channels stand behind. Half of them, rounded down, stand in front.",
)
def join(images, branch, stride):
    return _join(images, branch, stride, zeros="behind")


@misconception(
    "q5-shortcut-sum",
    "ReLU acts on the branch, and then the shortcut is added. It acts on the sum.",
)
def join(images, branch, stride):
    return _join(images, branch, stride, early=True)


@misconception(
    "q5-shortcut-sum",
    "There is no ReLU after the sum.",
)
def join(images, branch, stride):
    return _join(images, branch, stride, linear=True)


@misconception(
    "q5-shortcut-sum",
    "The shortcut takes means of the pixels that it skips. It takes every s-th row and column.",
)
def join(images, branch, stride):
    return _join(images, branch, stride, means=True)


def _join_backward(upstream, images, branch, stride, **wrong):
    upstream, images, branch = _float([upstream, images, branch])
    slope = _join(images, branch, stride) > 0
    if "branch" in wrong:
        slope = branch > 0
    if "equal" in wrong:
        slope = _join(images, branch, stride, linear=True) >= 0
    d_branch = upstream * (1 if "all" in wrong else slope)
    d_images = np.zeros(images.shape)
    C = images.shape[1]
    front = 0 if "first" in wrong else (branch.shape[1] - C) // 2
    part = (upstream if "bare" in wrong else d_branch)[:, front : front + C]
    if "spread" in wrong:
        wide = part.repeat(stride, axis=2).repeat(stride, axis=3)
        d_images = wide[:, :, : images.shape[2], : images.shape[3]].copy()
    else:
        d_images[:, :, ::stride, ::stride] = part
    return d_images, d_branch


@misconception(
    "q5-shortcut-backward",
    "The gradient passes where the branch is positive. ReLU acts on the sum: ask the sum.",
)
def join_backward(upstream, images, branch, stride):
    return _join_backward(upstream, images, branch, stride, branch=True)


@misconception(
    "q5-shortcut-backward",
    "ReLU is passed over: all of the gradient comes back. Where the sum is not positive nothing "
    "does.",
)
def join_backward(upstream, images, branch, stride):
    return _join_backward(upstream, images, branch, stride, all=True)


@misconception(
    "q5-shortcut-backward",
    "The gradient of the branch goes through ReLU, that of the images does not. Both come from the "
    "same sum.",
)
def join_backward(upstream, images, branch, stride):
    return _join_backward(upstream, images, branch, stride, bare=True)


@misconception(
    "q5-shortcut-backward",
    "Pixels that the shortcut skips get a gradient, too. They have no influence: theirs is 0.",
)
def join_backward(upstream, images, branch, stride):
    return _join_backward(upstream, images, branch, stride, spread=True)


@misconception(
    "q5-shortcut-backward",
    "The gradient of the images is taken from the first channels. In front of the shortcut's "
    "channels there stand half of the zero channels.",
)
def join_backward(upstream, images, branch, stride):
    return _join_backward(upstream, images, branch, stride, first=True)


@misconception(
    "q5-shortcut-backward",
    "Where the sum is exactly 0 the gradient passes. There the slope of ReLU is 0 here.",
)
def join_backward(upstream, images, branch, stride):
    return _join_backward(upstream, images, branch, stride, equal=True)


@misconception(
    "q5-shortcut-errors",
    "A branch with fewer channels than the images gets an answer. Channels of the shortcut would "
    "be lost: refuse.",
)
def join(images, branch, stride):
    return _join(images, branch, stride, trusting=True)


@misconception(
    "q5-shortcut-errors",
    "A gamma of 0 gets an answer. The norm then turns no number into 0: refuse.",
)
def fold_before(kernels, bias, gamma, beta, mean, variance, floor):
    return _fold(kernels, bias, gamma, beta, mean, variance, floor, trusting=True)


@variant("q5-shortcut")
def fold_before(kernels, bias, gamma, beta, mean, variance, floor):
    return _fold(kernels, bias, gamma, beta, mean, variance, floor)


@variant("q5-shortcut")
def fold_before(kernels, bias, gamma, beta, mean, variance, floor):
    new, biases, border = [], [float(one) for one in bias], []
    for c, (g, b, m, v) in enumerate(zip(gamma, beta, mean, variance, strict=True)):
        if float(g) == 0:
            raise ValueError("a gamma is 0")
        root = math.sqrt(float(v) + floor)
        taps = np.array([one[c] for one in np.array(kernels, dtype=float)])
        new.append(taps * float(g) / root)
        added = float(b) - float(g) / root * float(m)
        biases = [one + added * part.sum() for one, part in zip(biases, taps, strict=True)]
        border.append(float(m) - float(b) * root / float(g))
    return np.stack(new, axis=1), np.array(biases), np.array(border)


@variant("q5-shortcut")
def join(images, branch, stride):
    images, branch = (torch.tensor(np.array(one, dtype=float)) for one in (images, branch))
    short = F.max_pool2d(images, 1, stride)
    zeros = branch.shape[1] - short.shape[1]
    if zeros < 0 or short.shape[2:] != branch.shape[2:]:
        raise ValueError("the shape of branch")
    short = F.pad(short, (0, 0, 0, 0, zeros // 2, zeros - zeros // 2))
    return F.relu(short + branch).numpy()


@variant("q5-shortcut")
def join_backward(upstream, images, branch, stride):
    return _join_backward(upstream, images, branch, stride)


@variant("q5-shortcut")
def join_backward(upstream, images, branch, stride):
    x, f = (
        torch.tensor(np.array(one, dtype=float), requires_grad=True) for one in (images, branch)
    )
    zeros = f.shape[1] - x.shape[1]
    pads = 0, 0, 0, 0, zeros // 2, zeros - zeros // 2
    sums = F.pad(x[:, :, ::stride, ::stride], pads) + f
    F.relu(sums).backward(torch.tensor(np.array(upstream, dtype=float)))
    return x.grad.numpy(), f.grad.numpy()


# Question 6: what a stage costs


def _stage(block, shape, width, count, stride, **wrong):
    parameters = work = 0
    basic = block["kind"] == "basic"
    groups = 1 if basic else block["groups"]
    if width % groups and "trusting" not in wrong:
        raise ValueError("block has groups that do not divide")
    for number in range(count):
        step = stride if number == 0 or "everywhere" in wrong else 1
        C, H, W = shape
        small = [wrong.get("rounded", math.ceil)(side / step) for side in (H, W)]
        after = small[0] * small[1]
        if basic:
            places = H * W if "late" in wrong else after
            layers = [(9 * C, width, places), (9 * width, width, after)]
        else:
            first = block["stride at"] == "1x1" and "middle" not in wrong
            first = first or "first" in wrong
            early = after if first else H * W
            taps = 9 * width if "ungrouped" in wrong else 9 * width // groups
            filters = width // groups if "thin" in wrong else width
            out = wrong.get("expansion", block["expansion"]) * width
            layers = [(C, width, early), (taps, filters, after), (width, out, after)]
        out = layers[-1][1]
        changes = out != C or ((H, W) != tuple(small) and "channels" not in wrong)
        if (changes and "identity" not in wrong) or "always" in wrong:
            layers.append((C, out, after))
        norms = 0 if "bare" in wrong else wrong.get("norm", 2)
        parameters += sum(filters * (reads + norms) for reads, filters, _ in layers)
        if "projection" in wrong and len(layers) == 4 - basic:
            parameters -= norms * layers[-1][1]
        work += sum(math.prod(layer) for layer in layers)
        shape = out, *small
    return parameters, work, tuple(shape)


@misconception(
    "q6-stage-basic",
    "Each block has a projection. Where the shape stays the same the shortcut costs nothing.",
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, always=True)


@misconception(
    "q6-stage-basic",
    "There is no projection. A shortcut cannot be added where the shape changes.",
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, identity=True)


@misconception(
    "q6-stage-basic",
    "A projection is counted only where the number of channels changes. With a stride the size "
    "changes, too.",
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, channels=True)


@misconception(
    "q6-stage-basic",
    "The norms are missing from the parameters: two numbers for each filter.",
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, bare=True)


@misconception(
    "q6-stage-basic",
    "The norm of the projection is missing.",
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, projection=True)


@misconception(
    "q6-stage-basic",
    "All blocks have the stride. Only the first one has.",
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, everywhere=True)


@misconception(
    "q6-stage-basic",
    "Odd sides are rounded down. With padding 1 a window begins in the last row, too: 5 rows with "
    "stride 2 give 3.",
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, rounded=math.floor)


@misconception(
    "q6-stage-basic",
    "The first convolution is counted at all places of its input. It has the stride.",
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, late=True)


@misconception(
    "q6-stage-bottleneck",
    "The last convolution has as many filters as the others. It has `expansion` times as many.",
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, expansion=1)


@misconception(
    "q6-stage-bottleneck",
    "The stride sits in the first convolution. Here it sits in the 3 by 3, and the first one works "
    "at all places.",
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, first=True)


@misconception(
    "q6-stage-place",
    'The stride always sits in the 3 by 3. With "1x1" the first convolution has fewer places, too.',
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, middle=True)


@misconception(
    "q6-stage-place",
    "The groups are ignored: a filter of the 3 by 3 reads one share of the channels.",
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, ungrouped=True)


@misconception(
    "q6-stage-place",
    "The groups divide the filters, too. There are `width` of them, with any number of groups.",
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, thin=True)


@misconception(
    "q6-stage-errors",
    "Groups that do not divide the width get an answer. No such layer can be built: refuse.",
)
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride, trusting=True)


@variant("q6-stage")
def stage_cost(block, shape, width, count, stride):
    return _stage(block, shape, width, count, stride)


@variant("q6-stage")
def stage_cost(block, shape, width, count, stride):
    if count > 1:
        first = stage_cost(block, shape, width, 1, stride)
        rest = stage_cost(block, first[2], width, count - 1, 1)
        return first[0] + rest[0], first[1] + rest[1], rest[2]
    channels, rows, columns = shape
    places = rows * columns
    small = (rows + stride - 1) // stride, (columns + stride - 1) // stride
    fewer = small[0] * small[1]
    if block["kind"] == "basic":
        out = width
        weights = 9 * width * (channels + width)
        norms, work = 4 * width, weights * fewer
    else:
        if width / block["groups"] != width // block["groups"]:
            raise ValueError("the groups of block")
        out = block["expansion"] * width
        reduce, middle, widen = channels * width, 9 * width**2 // block["groups"], width * out
        weights, norms = reduce + middle + widen, 2 * (2 * width + out)
        work = fewer * (middle + widen)
        work += reduce * {"1x1": fewer, "3x3": places}[block["stride at"]]
    if (channels, rows, columns) != (out, *small):
        weights, norms, work = (
            weights + channels * out,
            norms + 2 * out,
            work + channels * out * fewer,
        )
    return weights + norms, work, (out, *small)


@variant("q6-stage")
def stage_cost(block, shape, width, count, stride):
    plan = [(width, 3, stride, 1), (width, 3, 1, 1)]
    if block["kind"] == "bottleneck":
        if width % block["groups"] != 0:
            raise ValueError("block: groups")
        at = [stride if block["stride at"] == place else 1 for place in ("1x1", "3x3")]
        wide = width * block["expansion"]
        plan = [(width, 1, at[0], 1), (width, 3, at[1], block["groups"]), (wide, 1, 1, 1)]
    counts = [0, 0]

    def layer(maps, filters, side, step, groups):
        pads = side // 2
        part = nn.Conv2d(maps.shape[1], filters, side, step, pads, groups=groups, bias=False)
        maps = part(maps)
        counts[0] += part.weight.numel() + 2 * filters
        counts[1] += part.weight[0].numel() * maps.numel()
        return maps

    maps = torch.zeros(1, *shape)
    for _ in range(count):
        before = maps
        for settings in plan:
            maps = layer(maps, *settings)
        if before.shape != maps.shape:
            layer(before, plan[-1][0], 1, stride, 1)
        plan = [(filters, side, 1, groups) for filters, side, _, groups in plan]
    return *counts, tuple(maps.shape[1:])


# Question 7: what a net with branches sees


def _field(graph, name, **wrong):
    known = {"picture": (0, 0, 1)}

    def look(at):
        if at in known:
            return known[at]
        node = graph[at]
        seen = [look(source) for source in node["from"]]
        if len({one[2] for one in seen}) > 1 and "trusting" not in wrong:
            raise ValueError("graph has a node with two jumps")
        if "one" in wrong:
            seen = seen[:1]
        if "widest" in wrong:
            seen = [max(seen, key=lambda one: one[1] - one[0])]
        jump = max(one[2] for one in seen)
        ends = (max, min) if "shared" in wrong else (min, max)
        first, last = (end(one[k] for one in seen) for k, end in enumerate(ends))
        kernel, stride = node.get("kernel", 1), node.get("stride", 1)
        before = 0 if "unpadded" in wrong else node.get("padding", 0)
        if "centered" in wrong:
            before = (kernel - 1) // 2
        reach = (kernel - 1) * (1 if "dense" in wrong else node.get("dilation", 1))
        if "sizes" in wrong:
            reach = kernel * node.get("dilation", 1) - 1
        step = jump * stride if "own" in wrong else 1 if "flat" in wrong else jump
        known[at] = first - before * step, last + (reach - before) * step, jump * stride
        return known[at]

    if "all" in wrong:
        for one in graph:
            look(one)
    return look(name)


@misconception(
    "q7-field-chain",
    "The padding is left aside. It moves the window: output 0 begins that many places before the "
    "first.",
)
def field(graph, name):
    return _field(graph, name, unpadded=True)


@misconception(
    "q7-field-chain",
    "The dilation is left aside. The taps of a window stand that far apart.",
)
def field(graph, name):
    return _field(graph, name, dense=True)


@misconception(
    "q7-field-chain",
    "A dilated window was given the size dilation times kernel. From its first tap to its last "
    "there are dilation times (kernel - 1) places.",
)
def field(graph, name):
    return _field(graph, name, sizes=True)


@misconception(
    "q7-field-chain",
    "The windows are added without regard to the strides before them. One place of a map is `jump` "
    "pixels of the picture.",
)
def field(graph, name):
    return _field(graph, name, flat=True)


@misconception(
    "q7-field-chain",
    "The stride of a node acts on its own window. It moves what comes after.",
)
def field(graph, name):
    return _field(graph, name, own=True)


@misconception(
    "q7-field-chain",
    "Each window is taken to be centered, whatever the padding. Look at what the graph says.",
)
def field(graph, name):
    return _field(graph, name, centered=True)


@misconception(
    "q7-field-branches",
    "Only the first source is looked at. A node sees what any of its sources sees.",
)
def field(graph, name):
    return _field(graph, name, one=True)


@misconception(
    "q7-field-branches",
    "Only the source with the widest window is looked at. Another may reach further to one side: "
    "take the smallest first and the largest last.",
)
def field(graph, name):
    return _field(graph, name, widest=True)


@misconception(
    "q7-field-branches",
    "What all sources see in common is taken. A node sees what any of its sources sees.",
)
def field(graph, name):
    return _field(graph, name, shared=True)


@misconception(
    "q7-field-errors",
    "Sources with different jumps get an answer. Their places drift apart: refuse.",
)
def field(graph, name):
    return _field(graph, name, trusting=True)


@misconception(
    "q7-field-errors",
    "A fault in a node on which this one does not depend is refused. Such nodes are of no account.",
)
def field(graph, name):
    return _field(graph, name, all=True)


@variant("q7-field")
def field(graph, name):
    return _field(graph, name)


@variant("q7-field")
def field(graph, name):
    wanted, waiting = set(), [name]
    while waiting:
        at = waiting.pop()
        if at != "picture" and at not in wanted:
            wanted.add(at)
            waiting += graph[at]["from"]
    seen = {"picture": (0, 0, 1)}
    while name not in seen:
        ready = [at for at in wanted - set(seen) if all(one in seen for one in graph[at]["from"])]
        for at in ready:
            starts, ends, jumps = zip(*(seen[one] for one in graph[at]["from"]), strict=True)
            if min(jumps) != max(jumps):
                raise ValueError(f"graph: {at}")
            settings = {"kernel": 1, "stride": 1, "padding": 0, "dilation": 1} | graph[at]
            start = min(starts) - jumps[0] * settings["padding"]
            end = max(ends) - jumps[0] * settings["padding"]
            end += jumps[0] * settings["dilation"] * (settings["kernel"] - 1)
            seen[at] = start, end, jumps[0] * settings["stride"]
    return seen[name]


@variant("q7-field")
def field(graph, name):
    def reach(at, side, memory):
        """How far `at` sees to one side (-1 or 1), and its jump."""
        if at == "picture":
            return 0, 1
        if at not in memory:
            node = graph[at]
            found = {reach(source, side, memory) for source in node["from"]}
            (jump,) = {one for _, one in found} if len({one for _, one in found}) == 1 else (None,)
            if jump is None:
                raise ValueError("different jumps in graph")
            tap = 0 if side < 0 else node.get("dilation", 1) * (node.get("kernel", 1) - 1)
            far = max(side * place for place, _ in found) * side
            place = far + (tap - node.get("padding", 0)) * jump
            memory[at] = place, jump * node.get("stride", 1)
        return memory[at]

    first, jump = reach(name, -1, {})
    return first, reach(name, 1, {})[0], jump


# Question 8: work and traffic


def _traffic(layers, shape, **wrong):
    pairs = []
    for layer in layers:
        C, H, W = shape
        read = C * H * W
        if "add" in layer:
            pairs.append((0, read * (2 if "once" in wrong else 3)))
            continue
        if "dense" in layer:
            units = layer["dense"]
            weights, biases, shape = read * units, units, (units, 1, 1)
            taps = read
        else:
            side = layer.get("kernel", layer.get("depthwise", layer.get("pool")))
            usual = side if "pool" in layer and "windows" in wrong else 1
            stride, padding = layer.get("stride", usual), layer.get("padding", 0)
            dilation = 1 if "dense" in wrong else layer.get("dilation", 1)
            sides = [
                (one + 2 * padding - dilation * (side - 1) - 1) // stride + 1 for one in (H, W)
            ]
            groups = layer.get("groups", 1)
            if "depthwise" in layer:
                groups = 1 if "mixed" in wrong else C
            out = layer.get("conv", C)
            reads = C if "ungrouped" in wrong and "conv" in layer else C // groups
            taps = reads * side**2
            weights, biases, shape = taps * out, out, (out, *sides)
            if "padded" in wrong:
                read = C * (H + 2 * padding) * (W + 2 * padding)
            if "window" in wrong and "pool" not in layer:
                read = taps * sides[0] * sides[1]
        if "pool" in layer:
            weights = biases = 0
        places = shape[1] * shape[2]
        given = 0 if "lost" in wrong else shape[0] * places
        work = (weights + (biases if "biased" in wrong else 0)) * places
        biases = 0 if "unbiased" in wrong else biases
        pairs.append((work, read + (0 if "maps" in wrong else weights + biases) + given))
    return pairs


@misconception(
    "q8-traffic-work",
    "A filter of a depthwise convolution is counted as if it read all channels. It reads one.",
)
def traffic(layers, shape):
    return _traffic(layers, shape, mixed=True)


@misconception(
    "q8-traffic-work",
    "Biases are counted as multiply-adds. They are added, not multiplied.",
)
def traffic(layers, shape):
    return _traffic(layers, shape, biased=True)


@misconception(
    "q8-traffic-work",
    "The groups are left aside: a filter reads one share of the channels.",
)
def traffic(layers, shape):
    return _traffic(layers, shape, ungrouped=True)


@misconception(
    "q8-traffic-work",
    "The dilation is left aside, so there are too many places. A dilated window spans "
    "dilation * (kernel - 1) + 1.",
)
def traffic(layers, shape):
    return _traffic(layers, shape, dense=True)


@misconception(
    "q8-traffic-work",
    "The stride of a pooling that names none is taken to be its window. In this table it is 1.",
)
def traffic(layers, shape):
    return _traffic(layers, shape, windows=True)


@misconception(
    "q8-traffic-moved",
    "The biases are missing from the numbers that are moved.",
)
def traffic(layers, shape):
    return _traffic(layers, shape, unbiased=True)


@misconception(
    "q8-traffic-moved",
    "What the layer gives is missing from the numbers that are moved: it is written to memory.",
)
def traffic(layers, shape):
    return _traffic(layers, shape, lost=True)


@misconception(
    "q8-traffic-moved",
    "Weights and biases are missing from the numbers that are moved.",
)
def traffic(layers, shape):
    return _traffic(layers, shape, maps=True)


@misconception(
    "q8-traffic-moved",
    "An addition reads one map. It reads two and writes one.",
)
def traffic(layers, shape):
    return _traffic(layers, shape, once=True)


@misconception(
    "q8-traffic-moved",
    "The zeros of the padding are counted as moved. They are not in memory.",
)
def traffic(layers, shape):
    return _traffic(layers, shape, padded=True)


@misconception(
    "q8-traffic-moved",
    "A number is counted as often as a window holds it. Each is moved once.",
)
def traffic(layers, shape):
    return _traffic(layers, shape, window=True)


def _seconds(pairs, speed, bandwidth, **wrong):
    times = []
    for work, moved in pairs:
        one, two = work / speed, moved / bandwidth
        time = {"sum": one + two, "min": min(one, two)}.get(wrong.get("time"), max(one, two))
        memory = two >= one if "tie" in wrong else two > one
        if "counts" in wrong:
            memory = moved > work
        times.append((time, "memory" if memory else "work"))
    return times


@misconception(
    "q8-traffic-seconds",
    "The two times are added. Computing and moving go on at the same time: the longer one counts.",
)
def seconds(pairs, speed, bandwidth):
    return _seconds(pairs, speed, bandwidth, time="sum")


@misconception(
    "q8-traffic-seconds",
    "The shorter of the two times is taken. The layer is done when both are.",
)
def seconds(pairs, speed, bandwidth):
    return _seconds(pairs, speed, bandwidth, time="min")


@misconception(
    "q8-traffic-seconds",
    'Where both times are equal the reason is "memory". It is to be "work".',
)
def seconds(pairs, speed, bandwidth):
    return _seconds(pairs, speed, bandwidth, tie=True)


@misconception(
    "q8-traffic-seconds",
    "The reason is found from the counts. It depends on speed and bandwidth: compare the times.",
)
def seconds(pairs, speed, bandwidth):
    return _seconds(pairs, speed, bandwidth, counts=True)


@variant("q8-traffic")
def traffic(layers, shape):
    return _traffic(layers, shape)


@variant("q8-traffic")
def traffic(layers, shape):
    if not layers:
        return []
    layer, *rest = layers
    channels, height, width = shape
    size = channels * height * width
    if "add" in layer:
        return [(0, 2 * size + size), *traffic(rest, shape)]
    if "dense" in layer:
        work = layer["dense"] * size
        moved = size + work + layer["dense"] + layer["dense"]
        return [(work, moved), *traffic(rest, (layer["dense"], 1, 1))]
    (name,) = {"conv", "depthwise", "pool"} & set(layer)
    kernel = layer["kernel"] if name == "conv" else layer[name]
    span = 1 + layer.get("dilation", 1) * (kernel - 1)
    new = []
    for side in (height, width):
        last = side + 2 * layer.get("padding", 0) - span
        new.append(len(range(0, last + 1, layer.get("stride", 1))))
    filters = layer["conv"] if name == "conv" else channels
    groups = {"conv": layer.get("groups", 1)}.get(name, channels)
    numbers = 0 if name == "pool" else filters * (channels // groups * kernel * kernel + 1)
    work = (numbers - filters) * new[0] * new[1] if numbers else 0
    moved = size + numbers + filters * new[0] * new[1]
    return [(work, moved), *traffic(rest, (filters, *new))]


@variant("q8-traffic")
def traffic(layers, shape):
    pairs, x = [], torch.zeros(1, *shape)
    for layer in layers:
        kept = {name: layer[name] for name in ("stride", "padding", "dilation") if name in layer}
        before, part = x.numel(), nn.Identity()
        if "conv" in layer:
            kept["groups"] = layer.get("groups", 1)
            part = nn.Conv2d(x.shape[1], layer["conv"], layer["kernel"], **kept)
        elif "depthwise" in layer:
            part = nn.Conv2d(*[x.shape[1]] * 2, layer["depthwise"], groups=x.shape[1], **kept)
        elif "pool" in layer:
            part = nn.MaxPool2d(layer["pool"], **({"stride": 1} | kept))
        elif "dense" in layer:
            part = nn.Conv2d(x.shape[1], layer["dense"], x.shape[2:])
        else:
            before *= 2
        x = part(x)
        held = [one.numel() for one in part.parameters()]
        work = held[0] * x.shape[2] * x.shape[3] if held else 0
        pairs.append((work, before + sum(held) + x.numel()))
    return pairs


@variant("q8-traffic")
def seconds(pairs, speed, bandwidth):
    needs = np.array(pairs, dtype=float).reshape(-1, 2) / [speed, bandwidth]
    reasons = [("work", "memory")[number] for number in needs.argmax(axis=1)] if len(needs) else []
    longest = needs.max(axis=1).tolist() if len(needs) else []
    return list(zip(longest, reasons, strict=True))


# Question 9: the best net under a budget


def _layers(*parts):
    """Layers from short forms: a pair of filters and kernel, a name, or a dictionary."""
    names = {"relu": {"relu": True}, "norm": {"norm": True}, "half": {"max": 2}}
    names |= {"mean": {"mean": True}, "end": {"dense": 10}}
    layers = []
    for part in parts:
        if isinstance(part, tuple):
            filters, kernel, settings = part
            layers.append({"conv": filters, "kernel": kernel} | settings)
        else:
            layers.append(part if isinstance(part, dict) else dict(names[part]))
    return layers


_BARE = {"bias": False}


@misconception(
    "q9-net-first",
    "The mean over the whole map comes right after the first convolution. It tells which strokes "
    "there are, but not where: let further layers see how they stand to one another first.",
)
def design():
    return _layers((16, 5, {"stride": 2, "padding": 2}), "relu", "mean", "end")


@misconception(
    "q9-net-third",
    "The first convolution skips four pixels at a time, and little is left of the strokes. Go down "
    "in smaller steps.",
)
def design():
    return _layers((10, 3, {"stride": 4}), "relu", (8, 3, {}), "relu", "half", "end")


@misconception(
    "q9-net-third",
    "All convolutions behind the first are depthwise, so channels never meet before the end. Let a "
    "1 by 1 convolution follow each of them.",
)
def design():
    first = (8, 5, {"stride": 2, "padding": 2})
    apart = (8, 3, {"groups": 8})
    return _layers(first, "relu", apart, "relu", "half", apart, "relu", "half", "end")


@misconception(
    "q9-net-second",
    "There is no ReLU. Convolutions one behind the other are a single one: put a ReLU after each.",
)
def design():
    first, second = (6, 5, {"stride": 2, "padding": 2}), (8, 3, {"stride": 2})
    return _layers(first, second, (7, 3, {"stride": 2}), "end")


@variant("q9-net")
def design():
    first = (6, 5, {"stride": 2, "padding": 2} | _BARE)
    block = "norm", "relu", "half"
    return _layers(first, "norm", "relu", (8, 3, _BARE), *block, (7, 3, _BARE), *block, "end")


@variant("q9-net")
def design():
    layers = _layers((7, 5, {"stride": 2, "padding": 2} | _BARE), "norm", "relu")
    start = len(layers) - 1
    layers += _layers((7, 3, {"padding": 1} | _BARE), "norm", {"add": start}, "relu", "half")
    return layers + _layers((7, 3, _BARE), "norm", "relu", "half", "end")


@variant("q9-net")
def design():
    layers = [{"conv": 6, "kernel": 5, "stride": 2, "padding": 2, "bias": False}, {"norm": True}]
    layers += [{"relu": True}, {"conv": 5, "kernel": 3, "padding": 1, "bias": False}]
    layers += [{"norm": True}, {"relu": True}, {"join": 2}, {"max": 2}]
    layers += [{"conv": 7, "kernel": 3, "bias": False}, {"norm": True}, {"relu": True}]
    return [*layers, {"max": 2}, {"dense": 10}]
