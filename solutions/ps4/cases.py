"""Wrong answers that people give to problem set 4, and right answers written another way."""

import math
import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from referee.cases import misconception, variant

# Question 1: what does it cost?


def _cost(layers, shape, **wrong):
    parameters = multiplications = 0
    for layer in layers:
        if "conv" in layer:
            filters, groups = layer["conv"], layer["groups"]
            fits = [
                s + 2 * p >= k
                for s, p, k in zip(shape[1:], layer["padding"], layer["kernel"], strict=True)
            ]
            divides = shape[0] % groups == 0 and filters % wrong.get("divisor", groups) == 0
            if not wrong.get("trusting") and not (divides and all(fits)):
                raise ValueError("layers do not fit")
            seen = filters * (shape[0] // groups if "ungrouped" not in wrong else shape[0])
            seen = seen // groups if "twice" in wrong else seen
            weights = seen * math.prod(layer["kernel"])
            names = ("padding", "kernel", "stride")
            sides = zip(shape[1:], *(layer[name] for name in names), strict=True)
            shape = (filters, *((s + 2 * p - k) // t + 1 for s, p, k, t in sides))
            places, biases = shape[1] * shape[2], filters * layer["bias"]
        elif "pool" in layer:
            sides = [one / two for one, two in zip(shape[1:], layer["pool"], strict=True)]
            shape = (shape[0], *map(wrong.get("rounded", math.ceil), sides))
            continue
        else:
            weights, places = layer["dense"] * math.prod(shape), 1
            biases = layer["dense"] * layer["bias"]
            shape = (layer["dense"],)
        parameters += weights + (0 if "unbiased" in wrong else biases)
        multiplications += places * (weights + (biases if "biased" in wrong else 0))
    return parameters, multiplications, tuple(shape)


@misconception(
    "q1-cost-one",
    "A window that the border cuts off is dropped. Here it is kept: divide and round up.",
)
def cost(layers, shape):
    return _cost(layers, shape, rounded=math.floor)


@misconception(
    "q1-cost-one",
    "Biases are counted as multiplications. A bias is added, not multiplied.",
)
def cost(layers, shape):
    return _cost(layers, shape, biased=True)


@misconception(
    "q1-cost-one",
    'The biases are missing from the parameters. A layer whose "bias" is true has one for each '
    "filter or unit.",
)
def cost(layers, shape):
    return _cost(layers, shape, unbiased=True)


@misconception(
    "q1-cost-groups",
    "Each filter is counted as if it read all channels. With g groups it reads one g-th of them.",
)
def cost(layers, shape):
    return _cost(layers, shape, ungrouped=True)


@misconception(
    "q1-cost-groups",
    "The weights are divided by the groups twice. Each filter reads one g-th of the channels, but "
    "there are as many filters as before.",
)
def cost(layers, shape):
    return _cost(layers, shape, twice=True)


@misconception(
    "q1-cost-errors",
    "Groups that do not divide and kernels that do not fit get an answer. No such layer can be "
    "built: refuse it.",
)
def cost(layers, shape):
    return _cost(layers, shape, trusting=True)


@misconception(
    "q1-cost-errors",
    "It is checked whether groups divide the channels, but not whether they divide the filters.",
)
def cost(layers, shape):
    return _cost(layers, shape, divisor=1)


@variant("q1-cost")
def cost(layers, shape):
    return _cost(layers, shape)


@variant("q1-cost")
def cost(layers, shape):
    if not layers:
        return 0, 0, tuple(shape)
    *before, last = layers
    parameters, multiplications, shape = cost(before, shape)
    if "dense" in last:
        inputs = int(np.prod(shape))
        shape, weights = (last["dense"],), last["dense"] * inputs
        return parameters + weights + last["bias"] * shape[0], multiplications + weights, shape
    channels, height, width = shape
    if "pool" in last:
        rows, columns = last["pool"]
        height, width = (height + rows - 1) // rows, (width + columns - 1) // columns
        return parameters, multiplications, (channels, height, width)
    filters, groups = last["conv"], last["groups"]
    if channels % groups > 0 or filters % groups > 0:
        raise ValueError("bad groups in layers")
    sizes = []
    for axis, size in enumerate((height, width)):
        room = size + 2 * last["padding"][axis] - last["kernel"][axis]
        if room < 0:
            raise ValueError("a kernel in layers is too large")
        sizes.append(len(range(0, room + 1, last["stride"][axis])))
    one = channels // groups * last["kernel"][0] * last["kernel"][1]
    parameters += filters * (one + 1 if last["bias"] else one)
    return parameters, multiplications + filters * one * sizes[0] * sizes[1], (filters, *sizes)


@variant("q1-cost")
def cost(layers, shape):
    values, counts = torch.zeros(1, *shape), [0, 0]
    for layer in layers:
        if "pool" in layer:
            values = F.max_pool2d(values, layer["pool"], ceil_mode=True)
            continue
        if "dense" in layer:
            values = values.flatten(1)
            part = nn.Linear(values.shape[1], layer["dense"], bias=layer["bias"])
        else:
            rest = {name: layer[name] for name in ("stride", "padding", "groups", "bias")}
            try:
                part = nn.Conv2d(values.shape[1], layer["conv"], layer["kernel"], **rest)
                part(values)
            except (RuntimeError, ValueError) as error:
                raise ValueError(f"layers cannot be built: {error}") from error
        values = part(values)
        counts[0] += sum(one.numel() for one in part.parameters())
        counts[1] += part.weight[0].numel() * values.numel()
    return counts[0], counts[1], tuple(values.shape[1:])


# Question 2: built to a table


class _Net(nn.Module):
    def __init__(self, colors, classes, relus=("stem", "mix", "wide"), **layers):
        super().__init__()
        self.stem = nn.Conv2d(colors, 12, 3, stride=2, padding=layers.get("stem", 1))
        self.depth = nn.Conv2d(12, 12, 3, padding=1, groups=layers.get("groups", 12))
        self.mix = nn.Conv2d(12, 20, 1, bias=layers.get("bias", False))
        self.pool = layers.get("pool", nn.MaxPool2d(3, ceil_mode=True))
        self.wide = nn.Conv2d(20, 8, (1, 3), padding=(0, 1), bias=layers.get("bias", False))
        self.head = nn.Linear(240, classes)
        self.relus = relus

    def forward(self, values):
        for name in ("stem", "depth", "mix", "pool", "wide", "head"):
            values = getattr(self, name)(values.flatten(1) if name == "head" else values)
            values = F.relu(values) if name in self.relus else values
        return values


@misconception(
    "q2-net-shapes",
    "The stem has no padding, so a row and a column are missing. 18 rows out of 36 take "
    "padding 1 on each side.",
)
def build_net(colors, classes):
    return _Net(colors, classes, stem=0)


@misconception(
    "q2-net-parameters",
    "All layers have biases. The counts say which have: 240 is 20 times 12, and leaves no room for "
    "20 biases; 480 neither.",
)
def build_net(colors, classes):
    return _Net(colors, classes, bias=True)


@misconception(
    "q2-net-parameters",
    "Each filter of `depth` reads all 12 channels. A depthwise convolution has as many groups as "
    "channels.",
)
def build_net(colors, classes):
    return _Net(colors, classes, groups=1)


@misconception(
    "q2-net-values",
    "There is a ReLU after `depth` too. The table names it only where it says so.",
)
def build_net(colors, classes):
    return _Net(colors, classes, relus=("stem", "depth", "mix", "wide"))


@misconception(
    "q2-net-values",
    "There is a ReLU after `head`. Scores may be negative: the last layer has none.",
)
def build_net(colors, classes):
    return _Net(colors, classes, relus=("stem", "mix", "wide", "head"))


@misconception(
    "q2-net-values",
    "There is no ReLU anywhere. The table has three.",
)
def build_net(colors, classes):
    return _Net(colors, classes, relus=())


@misconception(
    "q2-net-values",
    "The fifth column of the pooling comes from padding on both sides, which moves all windows. "
    "The padding should be as small as can be: with ceil_mode=True none is needed.",
)
def build_net(colors, classes):
    return _Net(colors, classes, pool=nn.MaxPool2d(3, padding=(0, 1)))


@misconception(
    "q2-net-values",
    "The pooling is adaptive, and its windows overlap. They are to stand side by side; with "
    "ceil_mode=True the last one may be cut off.",
)
def build_net(colors, classes):
    return _Net(colors, classes, pool=nn.AdaptiveMaxPool2d((6, 5)))


@misconception(
    "q2-net-values",
    "The pooling takes means. The table says max pooling.",
)
def build_net(colors, classes):
    return _Net(colors, classes, pool=nn.AvgPool2d(3, ceil_mode=True))


@misconception(
    "q2-net-others",
    "The net always has 7 classes, those of the table's example. Their number is an argument.",
)
def build_net(colors, classes):
    return _Net(colors, 7)


@variant("q2-net")
def build_net(colors, classes):
    return _Net(colors, classes)


@variant("q2-net")
def build_net(colors, classes):
    names = ["stem", "one", "depth", "mix", "two", "pool", "wide", "three", "flat", "head"]
    layers = [
        nn.Conv2d(colors, 12, (3, 3), (2, 2), (1, 1)),
        nn.ReLU(),
        nn.Conv2d(12, 12, (3, 3), padding="same", groups=12),
        nn.Conv2d(12, 20, (1, 1), bias=False),
        nn.ReLU(),
        nn.MaxPool2d((3, 3), ceil_mode=True),
        nn.Conv2d(20, 8, (1, 3), padding="same", bias=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(240, classes),
    ]
    net = nn.Sequential()
    for name, layer in zip(names, layers, strict=True):
        net.add_module(name, layer)
    return net


class _Pooled(nn.Module):
    def forward(self, maps):
        filled = F.pad(maps, (0, 1), value=-math.inf)
        return filled.unflatten(3, (5, 3)).amax(4).unflatten(2, (6, 3)).amax(3)


@variant("q2-net")
def build_net(colors, classes):
    return _Net(colors, classes, pool=_Pooled())


# Question 3: weights from elsewhere


def _moved_weights(kernels, dense, shape, turned=(0, 1), order=(0, 3, 2, 1), columns=True):
    channels, height, width = shape
    if np.shape(dense)[1] != math.prod(shape):
        raise ValueError("dense does not fit the map")
    kernels = np.flip(np.array(kernels, dtype=float), turned).transpose(3, 2, 0, 1)
    sizes = (width, height, channels) if columns else (height, width, channels)
    dense = np.array(dense, dtype=float).reshape(-1, *sizes).transpose(order)
    return kernels.copy(), dense.reshape(len(dense), -1)


@misconception(
    "q3-moved-kernels",
    "The kernels are not turned. The other library turns them before they slide, PyTorch does "
    "not: turn them once, by 180 degrees.",
)
def moved_weights(kernels, dense, shape):
    return _moved_weights(kernels, dense, shape, turned=())


@misconception(
    "q3-moved-kernels",
    "The kernels are turned upside down only. A turn by 180 degrees reverses rows and columns.",
)
def moved_weights(kernels, dense, shape):
    return _moved_weights(kernels, dense, shape, turned=(0,))


@misconception(
    "q3-moved-kernels",
    "The kernels are mirrored from left to right only. A turn by 180 degrees reverses rows and "
    "columns.",
)
def moved_weights(kernels, dense, shape):
    return _moved_weights(kernels, dense, shape, turned=(1,))


@misconception(
    "q3-moved-kernels",
    "The channels in come before the channels out. PyTorch's kernels begin with the channels out.",
)
def moved_weights(kernels, dense, shape):
    result = _moved_weights(kernels, dense, shape)
    return result[0].swapaxes(0, 1).copy(), result[1]


@misconception(
    "q3-moved-dense",
    "The dense weights stay in their order. They belong to values that PyTorch flattens in another "
    "order, so they must move along.",
)
def moved_weights(kernels, dense, shape):
    result = _moved_weights(kernels, dense, shape)
    return result[0], np.array(dense, dtype=float)


@misconception(
    "q3-moved-dense",
    "The dense weights are taken as if the map had been flattened row by row. The other library "
    "goes column by column.",
)
def moved_weights(kernels, dense, shape):
    return _moved_weights(kernels, dense, shape, order=(0, 3, 1, 2), columns=False)


@misconception(
    "q3-moved-dense",
    "The way back is taken: the weights are put from PyTorch's order into the other library's. "
    "Reshape to (width, height, channels) first, then exchange the axes.",
)
def moved_weights(kernels, dense, shape):
    channels, height, width = shape
    kernels, moved = _moved_weights(kernels, dense, shape)
    back = np.array(dense, dtype=float).reshape(-1, channels, height, width)
    return kernels, back.transpose(0, 3, 2, 1).reshape(moved.shape)


@misconception(
    "q3-moved-others",
    "The results have the type of the arguments. They are to hold float64.",
)
def moved_weights(kernels, dense, shape):
    result = _moved_weights(kernels, dense, shape)
    given = (kernels, dense)
    whole = [isinstance(one, np.ndarray) for one in given]
    return tuple(
        new.astype(old.dtype) if own else new
        for new, old, own in zip(result, given, whole, strict=True)
    )


@misconception(
    "q3-moved-errors",
    "A dense layer with too many inputs gets an answer, and with too few an error that does not "
    "name it. Compare the number of its inputs with C * H * W first.",
)
def moved_weights(kernels, dense, shape):
    channels, height, width = shape
    order = np.arange(math.prod(shape)).reshape(width, height, channels).transpose(2, 1, 0)
    kernels = np.array(kernels, dtype=float)[::-1, ::-1].transpose(3, 2, 0, 1)
    return kernels.copy(), np.array(dense, dtype=float)[:, order.ravel()]


@variant("q3-moved")
def moved_weights(kernels, dense, shape):
    return _moved_weights(kernels, dense, shape)


@variant("q3-moved")
def moved_weights(kernels, dense, shape):
    C, H, W = shape
    dense = np.array(dense, dtype=float)
    if dense.shape[1] != C * H * W:
        raise ValueError("dense has a wrong number of inputs")
    places = [(x * H + y) * C + c for c in range(C) for y in range(H) for x in range(W)]
    turned = np.rot90(np.array(kernels, dtype=float), 2, axes=(0, 1))
    return np.einsum("pqio->oipq", turned).copy(), dense[:, places]


@variant("q3-moved")
def moved_weights(kernels, dense, shape):
    kernels = torch.tensor(np.array(kernels, dtype=float)).flip(0, 1).permute(3, 2, 0, 1)
    if len(dense[0]) != shape[0] * shape[1] * shape[2]:
        raise ValueError("dense and shape do not fit")
    columns = torch.tensor(np.array(dense, dtype=float)).unflatten(1, shape[::-1])
    return kernels.contiguous().numpy(), columns.permute(0, 3, 2, 1).flatten(1).numpy()


# Question 4: nobody is left out


def _order(count, *seed):
    return np.random.default_rng(seed).permutation(count).tolist()


def _cut(order, size, joins=lambda rest, size: 2 * rest < size):
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    if len(batches) > 1 and len(batches[-1]) < size and joins(len(batches[-1]), size):
        batches[-2:] = [batches[-2] + batches[-1]]
    return batches


def _check_batches(size, epoch):
    if size < 1:
        raise ValueError("size must be at least 1")
    if epoch < 0:
        raise ValueError("epoch must not be negative")


@misconception(
    "q4-batches-sizes",
    "Pictures that are left are dropped. Here they make a batch of their own, or join the last.",
)
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    order = _order(count, seed, epoch)
    return [batch for batch in _cut(order, size, lambda *_: False) if len(batch) == size]


@misconception(
    "q4-batches-sizes",
    "Pictures that are left always make a batch of their own. If they are fewer than half of "
    "`size`, they join the last batch.",
)
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    return _cut(_order(count, seed, epoch), size, lambda *_: False)


@misconception(
    "q4-batches-sizes",
    "Pictures that are left always join the last batch. If they are at least half as many as "
    "`size`, they are a batch of their own.",
)
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    return _cut(_order(count, seed, epoch), size, lambda *_: True)


@misconception(
    "q4-batches-sizes",
    "Exactly half of `size` joins the last batch. Half is enough for a batch of their own.",
)
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    return _cut(_order(count, seed, epoch), size, lambda rest, size: 2 * rest <= size)


@misconception(
    "q4-batches-sizes",
    "Half of `size` is rounded down, so with an odd size a rest of less than half stays alone. "
    "Compare twice the rest with `size`.",
)
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    return _cut(_order(count, seed, epoch), size, lambda rest, size: rest < size // 2)


@misconception(
    "q4-batches-order",
    "The batches come in a random order, but each holds neighbors. Mix the pictures, then cut.",
)
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    batches = _cut(list(range(count)), size)
    return [batches[place] for place in _order(len(batches), seed, epoch)]


@misconception(
    "q4-batches-order",
    "Each number is drawn by itself, so that some come twice and some never. Put all numbers into "
    "a random order.",
)
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    return _cut(
        np.random.default_rng([seed, epoch]).integers(0, max(count, 1), count).tolist(), size
    )


@misconception(
    "q4-batches-order",
    "The numbers are NumPy's, of the type int64. Python's int is asked for: .tolist() makes them.",
)
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return _cut(list(order), size)


@misconception(
    "q4-batches-seeds",
    "The order does not depend on the epoch, so the same pictures meet in every one.",
)
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    return _cut(_order(count, seed), size)


@misconception(
    "q4-batches-seeds",
    "Seed and epoch are added, so seed 3 and epoch 1 give the order of seed 4 and epoch 0. Give "
    "both to the generator, as in default_rng([seed, epoch]).",
)
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    return _cut(_order(count, seed + epoch), size)


@misconception(
    "q4-batches-seeds",
    "The seed is 1000 times `seed` plus `epoch`, so seed 0 and epoch 1000 give the order of seed 1 "
    "and epoch 0. Give both to the generator, as in default_rng([seed, epoch]).",
)
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    return _cut(_order(count, 1000 * seed + epoch), size)


@misconception(
    "q4-batches-seeds",
    "The generator that all of NumPy shares is seeded, and whoever draws from it next gets other "
    "numbers. Make a generator of your own.",
)
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    np.random.seed(1000 * seed + epoch)
    return _cut(np.random.permutation(count).tolist(), size)


@misconception(
    "q4-batches-errors",
    "A size of 0 or less and a negative epoch get an answer, or an error that names neither.",
)
def make_batches(count, size, seed, epoch):
    return _cut(_order(count, seed, abs(epoch)), size or count)


@variant("q4-batches")
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    return _cut(_order(count, 17, seed, epoch), size)


@variant("q4-batches")
def make_batches(count, size, seed, epoch):
    _check_batches(size, epoch)
    mixed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    generator = torch.Generator().manual_seed(mixed)
    batches = [part.tolist() for part in torch.randperm(count, generator=generator).split(size)]
    batches = [batch for batch in batches if batch]
    if len(batches) >= 2 and len(batches[-1]) < size / 2:
        last = batches.pop()
        batches[-1].extend(last)
    return batches


@variant("q4-batches")
def make_batches(count, size, seed, epoch):
    if not size > 0:
        raise ValueError("size too small")
    if not epoch >= 0:
        raise ValueError("epoch too small")
    order = list(range(count))
    random.Random(f"{seed}, {epoch}").shuffle(order)
    ends = list(range(size, count, size))
    if ends and 2 * (count - ends[-1]) < size:
        ends.pop()
    return [order[a:b] for a, b in zip([0, *ends], [*ends, count], strict=True) if b > a]


# Question 5: a step in small pieces


def _trained(model, images, labels, steps, learning_rate, limit, **wrong):
    if "mode" not in wrong:
        model.train()
    if "left" not in wrong:
        model.zero_grad()
    losses = []
    for pieces in steps:
        if "whole" in wrong:
            pieces = [[number for piece in pieces for number in piece]]
        count, total = sum(map(len, pieces)), 0
        for piece in pieces:
            loss = F.cross_entropy(model(images[piece]), labels[piece])
            share = wrong.get("share", lambda piece, pieces, count: len(piece) / count)
            loss = loss * share(piece, pieces, count)
            loss.backward()
            told = wrong.get("told", lambda piece, pieces, count: 1)
            total += loss.item() * told(piece, pieces, count)
        trained = [one for one in model.parameters() if one.grad is not None]
        _stepped(trained, learning_rate, limit, wrong.get("clip", "norm"))
        if "kept" not in wrong:
            model.zero_grad()
        losses.append(total)
    if "mode" not in wrong:
        model.eval()
    return losses


def _stepped(trained, learning_rate, limit, clip):
    if clip == "norm":
        nn.utils.clip_grad_norm_(trained, limit)
    elif clip == "each":
        for one in trained:
            nn.utils.clip_grad_norm_([one], limit)
    elif clip == "values":
        nn.utils.clip_grad_value_(trained, limit)
    elif clip == "always":
        norm = torch.cat([one.grad.flatten() for one in trained]).norm()
        for one in trained:
            one.grad *= limit / norm
    with torch.no_grad():
        for one in trained:
            one -= learning_rate * one.grad


@misconception(
    "q5-train-pieces",
    "The mean of the pieces' means is taken, so pictures of a small piece count more. Weigh each "
    "piece by its number of pictures.",
)
def train(model, images, labels, steps, learning_rate, limit):
    return _trained(
        *(model, images, labels, steps, learning_rate, limit),
        share=lambda piece, pieces, count: 1 / len(pieces),
    )


@misconception(
    "q5-train-pieces",
    "The means of the pieces are added, so a step grows with the number of its pieces. The loss is "
    "the mean over all pictures of the step.",
)
def train(model, images, labels, steps, learning_rate, limit):
    return _trained(
        *(model, images, labels, steps, learning_rate, limit),
        share=lambda piece, pieces, count: 1,
    )


@misconception(
    "q5-train-plain",
    "The loss is the sum over the pictures. It should be their mean.",
)
def train(model, images, labels, steps, learning_rate, limit):
    return _trained(
        *(model, images, labels, steps, learning_rate, limit),
        share=lambda piece, pieces, count: len(piece),
    )


@misconception(
    "q5-train-plain",
    "The gradients are not set to zero after a step, so the next step goes along the old ones too.",
)
def train(model, images, labels, steps, learning_rate, limit):
    losses = _trained(model, images, labels, steps, learning_rate, limit, kept=True)
    model.zero_grad()
    return losses


@misconception(
    "q5-train-pieces",
    "The losses that are returned are means of the pieces' means. The loss of a step is the mean "
    "over all of its pictures.",
)
def train(model, images, labels, steps, learning_rate, limit):
    return _trained(
        *(model, images, labels, steps, learning_rate, limit),
        told=lambda piece, pieces, count: count / len(piece) / len(pieces),
    )


@misconception(
    "q5-train-clipping",
    "There is no clipping. If the norm of all gradients is greater than `limit`, multiply them by "
    "limit / norm.",
)
def train(model, images, labels, steps, learning_rate, limit):
    return _trained(model, images, labels, steps, learning_rate, limit, clip="not")


@misconception(
    "q5-train-clipping",
    "Each parameter's gradient is clipped by its own norm. The norm is that of all gradients "
    "together, as one long vector.",
)
def train(model, images, labels, steps, learning_rate, limit):
    return _trained(model, images, labels, steps, learning_rate, limit, clip="each")


@misconception(
    "q5-train-clipping",
    "Each number of the gradients is cut off at `limit`, which turns the direction. Multiply all "
    "by limit / norm.",
)
def train(model, images, labels, steps, learning_rate, limit):
    return _trained(model, images, labels, steps, learning_rate, limit, clip="values")


@misconception(
    "q5-train-clipping",
    "The learning rate times the norm is compared with `limit`. Clipping looks at the norm of the "
    "gradient; the learning rate comes afterwards.",
)
def train(model, images, labels, steps, learning_rate, limit):
    limit = limit / learning_rate
    return _trained(model, images, labels, steps, learning_rate, limit)


@misconception(
    "q5-train-clipping",
    "Small gradients are made larger until their norm is `limit`. Clipping makes gradients smaller "
    "only.",
)
def train(model, images, labels, steps, learning_rate, limit):
    limit = limit if limit < 50 else math.inf
    if limit == math.inf:
        return _trained(model, images, labels, steps, learning_rate, limit)
    return _trained(model, images, labels, steps, learning_rate, limit, clip="always")


@misconception(
    "q5-train-modes",
    "The modes stay as they were. Train in training mode, and leave the model in evaluation mode.",
)
def train(model, images, labels, steps, learning_rate, limit):
    return _trained(model, images, labels, steps, learning_rate, limit, mode=True)


@misconception(
    "q5-train-modes",
    "All pieces of a step go through the model at once. That is what the memory has no room for: "
    "send one piece at a time.",
)
def train(model, images, labels, steps, learning_rate, limit):
    return _trained(model, images, labels, steps, learning_rate, limit, whole=True)


@misconception(
    "q5-train-left",
    "Gradients that somebody has left in the model are added to those of the first step. Set them "
    "to zero before the first piece.",
)
def train(model, images, labels, steps, learning_rate, limit):
    return _trained(model, images, labels, steps, learning_rate, limit, left=True)


@variant("q5-train")
def train(model, images, labels, steps, learning_rate, limit):
    return _trained(model, images, labels, steps, learning_rate, limit)


@variant("q5-train")
def train(model, images, labels, steps, learning_rate, limit):
    trained = [one for one in model.parameters() if one.requires_grad]
    losses = []
    model.train()
    for pieces in steps:
        count = sum(len(piece) for piece in pieces)
        sums, loss = [torch.zeros_like(one) for one in trained], 0.0
        for piece in pieces:
            part = F.cross_entropy(model(images[piece]), labels[piece], reduction="sum")
            for total, slope in zip(sums, torch.autograd.grad(part, trained), strict=True):
                total += slope / count
            loss += part.item() / count
        norm = math.sqrt(sum((one * one).sum().item() for one in sums))
        for one, slope in zip(trained, sums, strict=True):
            one.data -= learning_rate * slope * (limit / norm if norm > limit else 1)
        losses.append(loss)
    for one in model.parameters():
        one.grad = None
    model.eval()
    return losses


@variant("q5-train")
def train(model, images, labels, steps, learning_rate, limit):
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    model.train(True)
    losses = []
    for pieces in steps:
        optimizer.zero_grad()
        pictures, loss = sum(len(piece) for piece in pieces), 0.0
        for piece in pieces:
            logarithms = model(images[piece]).log_softmax(dim=1)
            part = -logarithms[range(len(piece)), labels[piece]].sum() / pictures
            part.backward()
            loss += part.item()
        nn.utils.clip_grad_norm_(model.parameters(), limit)
        optimizer.step()
        losses.append(loss)
    optimizer.zero_grad(set_to_none=False)
    model.train(False)
    return losses


# Question 6: which ones, not how many


def _scores(model, images, size):
    modes = {part: part.training for part in model.modules()}
    model.eval()
    with torch.no_grad():
        parts = [model(images[start : start + size]) for start in range(0, len(images), size)]
    for part, mode in modes.items():
        part.training = mode
    return torch.cat(parts)


def _figures(scores, labels, classes, **wrong):
    if "unknown" not in wrong:
        scores, labels = scores[labels >= 0], labels[labels >= 0]
    elif wrong["unknown"] == "first":
        labels = labels.clamp(min=0)
    else:
        labels = labels.remainder(classes)
    table = np.zeros((classes, classes), dtype=int)
    np.add.at(table, (scores.argmax(1).numpy(), labels.numpy()), 1)
    seen = table.sum(axis=wrong.get("axis", 0))
    with np.errstate(all="ignore"):
        missed = 1 - np.diag(table) / seen
    if "absent" in wrong:
        missed = np.where(seen == 0, wrong["absent"], missed)
    order = scores.argsort(1, descending=True)[:, wrong.get("ranks", slice(0, 2))]
    return {
        "table": (table.T if "turned" in wrong else table).tolist(),
        "missed": missed.tolist(),
        "second": (order == labels[:, None]).any(1).double().mean().item(),
        "loss": F.cross_entropy(scores, labels).item(),
    }


@misconception(
    "q6-report-table",
    "The table is turned over: its rows are the labels. Here the rows are the answers.",
)
def report(model, images, labels, size, classes):
    return _figures(_scores(model, images, size), labels, classes, turned=True)


@misconception(
    "q6-report-table",
    'For "missed" the images that were read as a class are counted. Divide by the number of images '
    "that are of the class.",
)
def report(model, images, labels, size, classes):
    return _figures(_scores(model, images, size), labels, classes, axis=1)


@misconception(
    "q6-report-table",
    "A class that no image has gets 0. Nothing can be said of it: nan.",
)
def report(model, images, labels, size, classes):
    return _figures(_scores(model, images, size), labels, classes, absent=0.0)


@misconception(
    "q6-report-second",
    'Only second places count for "second". The highest score counts as well.',
)
def report(model, images, labels, size, classes):
    return _figures(_scores(model, images, size), labels, classes, ranks=slice(1, 2))


@misconception(
    "q6-report-second",
    'Only first places count for "second". The second highest score counts as well.',
)
def report(model, images, labels, size, classes):
    return _figures(_scores(model, images, size), labels, classes, ranks=slice(0, 1))


@misconception(
    "q6-report-second",
    'For "second" the images are counted whose class has not the lowest score. That is the same '
    "for three classes only.",
)
def report(model, images, labels, size, classes):
    return _figures(_scores(model, images, size), labels, classes, ranks=slice(0, classes - 1))


@misconception(
    "q6-report-second",
    "The mean of the batches' losses is taken, so images of a small last batch count more. Add up "
    "over images, and divide once.",
)
def report(model, images, labels, size, classes):
    scores = _scores(model, images, size)
    result = _figures(scores, labels, classes)
    losses = F.cross_entropy(scores, labels.clamp(min=0), reduction="none")
    known = [part[labels[place] >= 0] for part, place in _parts(losses, size)]
    result["loss"] = float(np.mean([part.mean().item() for part in known if len(part)]))
    return result


def _parts(values, size):
    return zip(values.split(size), torch.arange(len(values)).split(size), strict=True)


@misconception(
    "q6-report-unknown",
    "A label of -1 is taken as the last class: that is what -1 means as an index. Leave out these "
    "images first.",
)
def report(model, images, labels, size, classes):
    return _figures(_scores(model, images, size), labels, classes, unknown="last")


@misconception(
    "q6-report-unknown",
    "A label of -1 is taken as class 0. Leave out these images first.",
)
def report(model, images, labels, size, classes):
    return _figures(_scores(model, images, size), labels, classes, unknown="first")


@misconception(
    "q6-report-modes",
    "The model stays in evaluation mode. Each part is to have the mode that it had before.",
)
def report(model, images, labels, size, classes):
    scores = _scores(model, images, size)
    model.eval()
    return _figures(scores, labels, classes)


@misconception(
    "q6-report-modes",
    "All parts are put into training mode in the end. A part may have been in evaluation mode "
    "before, and the whole model too.",
)
def report(model, images, labels, size, classes):
    scores = _scores(model, images, size)
    model.train()
    return _figures(scores, labels, classes)


@misconception(
    "q6-report-modes",
    "The model's own mode is put back, and that changes all of its parts. Remember the mode of "
    "each of model.modules().",
)
def report(model, images, labels, size, classes):
    before = model.training
    scores = _scores(model, images, size)
    model.train(before)
    return _figures(scores, labels, classes)


@misconception(
    "q6-report-modes",
    "The model works in the mode that it is in. Put it into evaluation mode first.",
)
def report(model, images, labels, size, classes):
    with torch.no_grad():
        scores = torch.cat([model(part) for part in images.split(size)])
    return _figures(scores, labels, classes)


@misconception(
    "q6-report-modes",
    "Gradients are prepared while the model works. Put it under torch.no_grad().",
)
def report(model, images, labels, size, classes):
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    scores = torch.cat([model(part) for part in images.split(size)]).detach()
    for part, mode in modes:
        part.training = mode
    return _figures(scores, labels, classes)


@misconception(
    "q6-report-modes",
    "All images go through the model at once. At most `size` may at a time.",
)
def report(model, images, labels, size, classes):
    return _figures(_scores(model, images, len(images)), labels, classes)


@variant("q6-report")
def report(model, images, labels, size, classes):
    return _figures(_scores(model, images, size), labels, classes)


@variant("q6-report")
def report(model, images, labels, size, classes):
    kept = labels.ge(0).nonzero()[:, 0]
    scores, truths = _scores(model, images, size)[kept], labels[kept]
    pairs = scores.argmax(1) * classes + truths
    table = torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    own = scores[torch.arange(len(kept)), truths]
    ahead = (scores > own[:, None]).sum(1)
    missed = [
        float("nan") if seen == 0 else (seen - right) / seen
        for seen, right in zip(table.sum(0).tolist(), table.diagonal().tolist(), strict=True)
    ]
    losses = scores.logsumexp(1) - own
    return {
        "loss": float(losses.sum() / len(kept)),
        "second": int((ahead <= 1).sum()) / len(kept),
        "missed": missed,
        "table": table.tolist(),
    }


@variant("q6-report")
def report(model, images, labels, size, classes):
    trained = [part for part in model.modules() if part.training]
    model.eval()
    table, hits, loss, count = [[0] * classes for _ in range(classes)], 0, 0.0, 0
    for start in range(0, len(images), size):
        part = slice(start, start + size)
        with torch.inference_mode():
            rows = zip(model(images[part]).tolist(), labels[part].tolist(), strict=True)
        for row, label in rows:
            if label == -1:
                continue
            ranks = sorted(range(classes), key=row.__getitem__, reverse=True)
            table[ranks[0]][label] += 1
            hits += label in ranks[:2]
            top = max(row)
            loss += math.log(sum(math.exp(one - top) for one in row)) + top - row[label]
            count += 1
    for part in trained:
        part.training = True
    sums = [sum(row[t] for row in table) for t in range(classes)]
    missed = [1 - table[t][t] / sums[t] if sums[t] else math.nan for t in range(classes)]
    return {"table": table, "missed": missed, "second": hits / count, "loss": loss / count}


# Question 7: when to stop


def _stopped(losses, patience, least=0.0, **wrong):
    if patience < 1 and "trusting" not in wrong:
        raise ValueError("patience must be at least 1")
    record = kept = best = None
    waited = 0
    for epoch, loss in enumerate(losses):
        if not math.isfinite(loss):
            if "ends" in wrong:
                return kept, epoch
            waited += "patient" not in wrong
        else:
            if best is None or loss < best or ("latest" in wrong and loss == best):
                best, lowest = loss, epoch
            bound = math.inf if record is None else wrong.get("bound", _share)(record, least)
            if loss < bound or ("equal" in wrong and loss == bound):
                waited, kept = 0, epoch
                record = loss
            else:
                waited += 1
            if "last" in wrong:
                record = loss
            if "records" not in wrong:
                kept = lowest
        if waited == patience + ("late" in wrong):
            break
    return kept, epoch


def _share(record, least):
    return (1 - least) * record


@misconception(
    "q7-stopped-plain",
    "Training goes on for one epoch too many. It ends after the epoch that completes `patience` "
    "epochs without a record.",
)
def stopped(losses, patience, least):
    return _stopped(losses, patience, least, late=True)


@misconception(
    "q7-stopped-plain",
    "An epoch that is as good as the last record counts as one. A record must be better.",
)
def stopped(losses, patience, least):
    return _stopped(losses, patience, least, equal=True)


@misconception(
    "q7-stopped-plain",
    "Each loss is compared with that of the epoch before. Compare it with the last record.",
)
def stopped(losses, patience, least):
    return _stopped(losses, patience, least, last=True)


@misconception(
    "q7-stopped-plain",
    "The weights of the last epoch are kept. Keep those of the lowest loss.",
)
def stopped(losses, patience, least):
    last = _stopped(losses, patience, least)[1]
    return (last if any(map(math.isfinite, losses[: last + 1])) else None), last


@misconception(
    "q7-stopped-plain",
    "Of equal losses the latest is kept. Keep the earliest.",
)
def stopped(losses, patience, least):
    return _stopped(losses, patience, least, latest=True)


@misconception(
    "q7-stopped-least",
    "The weights of the last record are kept. A loss can be the lowest and yet no record, if it is "
    "better by less than `least`.",
)
def stopped(losses, patience, least):
    return _stopped(losses, patience, least, records=True)


@misconception(
    "q7-stopped-least",
    "`least` is subtracted from the last record. It is a part of it: (1 - least) * record.",
)
def stopped(losses, patience, least):
    return _stopped(losses, patience, least, bound=lambda record, least: record - least)


@misconception(
    "q7-stopped-least",
    "`least` has no effect. A record must be below (1 - least) times the last one.",
)
def stopped(losses, patience, least):
    return _stopped(losses, patience, 0)


@misconception(
    "q7-stopped-nan",
    "An epoch whose loss is nan or inf is passed over. It brings no record, so it counts for "
    "`patience`.",
)
def stopped(losses, patience, least):
    return _stopped(losses, patience, least, patient=True)


@misconception(
    "q7-stopped-nan",
    "Training ends at the first nan or inf. Here such an epoch is one without a record, no more.",
)
def stopped(losses, patience, least):
    return _stopped(losses, patience, least, ends=True)


@misconception(
    "q7-stopped-errors",
    "A patience of 0 or less gets an answer. There is no epoch that completes no epochs: refuse.",
)
def stopped(losses, patience, least):
    return _stopped(losses, patience, least, trusting=True)


@variant("q7-stopped")
def stopped(losses, patience, least):
    return _stopped(losses, patience, least)


@variant("q7-stopped")
def stopped(losses, patience, least):
    if patience <= 0:
        raise ValueError("patience is too small")
    since, bound, last = 0, math.inf, len(losses) - 1
    for epoch in range(len(losses)):
        if losses[epoch] < bound and losses[epoch] != math.inf:
            since, bound = 0, losses[epoch] * (1 - least)
            continue
        since += 1
        if since >= patience:
            last = epoch
            break
    finite = [n for n in range(last + 1) if not math.isnan(losses[n]) and losses[n] < math.inf]
    return min(finite, key=lambda n: losses[n], default=None), last


@variant("q7-stopped")
def stopped(losses, patience, least):
    if not patience >= 1:
        raise ValueError("bad patience")
    clean = np.where(np.isfinite(losses), losses, np.inf)
    records, last = [], 0
    while True:
        if clean[last] < np.inf and (
            not records or clean[last] < clean[records[-1]] - least * clean[records[-1]]
        ):
            records.append(last)
        if last - (records[-1] if records else -1) == patience or last == len(losses) - 1:
            break
        last += 1
    run = clean[: last + 1]
    return (int(run.argmin()) if np.isfinite(run).any() else None), last


# Question 8: predict, before anything is run


def _predicted(**changes):
    right = {
        "sizes": [60, 12, 30, 52],
        "steps": [20, 15],
        "start": [4, 2, 6],
        "zeroed": [0.6, 1.2],
        "mean": [2 / 3, 0.625],
    }
    return right | changes


@misconception(
    "q8-predict-sizes",
    "The map after the convolution is 4 by 3. With padding 1 a window begins in the last row and "
    "column too: (9 + 2 - 3) // 2 + 1 = 5, and 4.",
)
def predict_training():
    return _predicted(sizes=[36, 6, 30, 28])


@misconception(
    "q8-predict-sizes",
    "The pooling keeps windows that the border cuts off. PyTorch's does not, unless it is told to: "
    "5 by 4 becomes 2 by 2.",
)
def predict_training():
    return _predicted(sizes=[60, 18, 30, 76])


@misconception(
    "q8-predict-sizes",
    "The values of one map are counted. There are 3 of them.",
)
def predict_training():
    return _predicted(sizes=[20, 4, 30, 20])


@misconception(
    "q8-predict-sizes",
    "The biases are missing: one for each filter, one for each unit.",
)
def predict_training():
    return _predicted(sizes=[60, 12, 27, 48])


@misconception(
    "q8-predict-steps",
    "The batches of all epochs are cut from one long row of 150 pictures. Each epoch begins anew: "
    "4 batches, or 3.",
)
def predict_training():
    return _predicted(steps=[19, 18])


@misconception(
    "q8-predict-steps",
    "The steps of one epoch are counted. There are 5 epochs.",
)
def predict_training():
    return _predicted(steps=[4, 3])


@misconception(
    "q8-predict-start",
    "The losses are given. Asked for is 1 divided by the probability, e to the power of the loss.",
)
def predict_training():
    return _predicted(start=[math.log(4), math.log(2), math.log(6)])


@misconception(
    "q8-predict-start",
    "The probabilities are given. Asked for is 1 divided by them.",
)
def predict_training():
    return _predicted(start=[1 / 4, 1 / 2, 1 / 6])


@misconception(
    "q8-predict-means",
    "The gradients that are left are added only once. The second step goes along 4, the third "
    "along 6: 0.2 + 0.4 + 0.6.",
)
def predict_training():
    return _predicted(zeroed=[0.6, 1.0])


@misconception(
    "q8-predict-means",
    "The two accuracies are the same. The small batch counts as much as a large one in the mean of "
    "the batches: (1 + 0.5 + 1 + 0) / 4.",
)
def predict_training():
    return _predicted(mean=[2 / 3, 2 / 3])


@variant("q8-predict")
def predict_training():
    return _predicted(mean=[20 / 30, 5 / 8])


@variant("q8-predict")
def predict_training():
    conv, pool = 3 * 5 * 4, 3 * 2 * 2
    batches = [8, 8, 8, 6]
    right = [8, 4, 8, 0]
    return {
        "sizes": [conv, pool, 3 * (3 * 3 + 1), 4 * (pool + 1)],
        "steps": [5 * len(batches), 5 * (len(batches) - 1)],
        "start": [(1 + 1 + 1 + 1) / 1, (3 + 1 + 1 + 1) / 3, (3 + 1 + 1 + 1) / 1],
        "zeroed": [0.1 * (2 + 2 + 2), 0.1 * (2 + 4 + 6)],
        "mean": [
            sum(right) / sum(batches),
            sum(r / b for r, b in zip(right, batches, strict=True)) / len(batches),
        ],
    }


@variant("q8-predict")
def predict_training():
    return {
        "mean": np.array([0.6667, 0.625]),
        "zeroed": (0.6, 1.2),
        "start": np.array([4.0, 2.0, 6.0]),
        "steps": (20, 15),
        "sizes": np.array([60, 12, 30, 52]),
    }


# Question 9: digits that nobody has seen


def _moved(images, generator):
    turn, slant, tall, wide, down, right = 2 * torch.rand(6, len(images), generator=generator) - 1
    turn, tall, wide = 0.2618 * turn, 1 + 0.13 * tall, 1 + 0.13 * wide
    cos, sin = turn.cos(), turn.sin()
    rows = [cos * wide, 0.2 * slant - sin * tall, right / 7, sin * wide, cos * tall, down / 7]
    places = F.affine_grid(
        torch.stack(rows, 1).reshape(-1, 2, 3), images.shape, align_corners=False
    )
    return F.grid_sample(images, places, align_corners=False)


def _reader(wide=24):
    layers = [nn.Conv2d(1, 8, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(8, wide, 3), nn.ReLU()]
    layers += [nn.MaxPool2d(2), nn.Conv2d(wide, wide, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * wide, 10))


def _fitted(net, images, labels, seed, epochs=5, rate=0.015, size=60, change=_moved, zero=True):
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters())
    steps = epochs * -(-len(images) // size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(epochs):
        pictures = change(images, generator)
        for batch in torch.randperm(len(images), generator=generator).split(size):
            if zero:
                optimizer.zero_grad()
            F.cross_entropy(net(pictures[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    return net


@misconception(
    "q9-reader-fourth",
    "The net has seen upright, centered digits only, and the unseen ones are turned and moved. "
    "Give it pictures that `moved` has moved, anew in each epoch.",
)
def train_net(images, labels, seed):
    torch.manual_seed(seed)
    return _fitted(_reader(), images, labels, seed, 4, change=lambda pictures, generator: pictures)


@misconception(
    "q9-reader-first",
    "One dense layer reads all pixels. It cannot know a stroke that stands elsewhere: begin with "
    "convolutions.",
)
def train_net(images, labels, seed):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    return _fitted(net, images, labels, seed, 3, change=lambda pictures, generator: pictures)


@misconception(
    "q9-reader-first",
    "The gradients are never set to zero, so each step goes along the sum of all gradients so "
    "far. Call optimizer.zero_grad() once a step.",
)
def train_net(images, labels, seed):
    torch.manual_seed(seed)
    return _fitted(_reader(), images, labels, seed, 2, zero=False)


@misconception(
    "q9-reader-first",
    "One epoch of plain gradient descent with a small learning rate leaves the net half trained. "
    "Look at the loss: it is still falling. Take more epochs, or an optimizer such as Adam.",
)
def train_net(images, labels, seed):
    torch.manual_seed(seed)
    net = _reader()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for batch in torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).split(
        30
    ):
        optimizer.zero_grad()
        F.cross_entropy(net(images[batch]), labels[batch]).backward()
        optimizer.step()
    return net


@misconception(
    "q9-reader-first",
    "The pictures are multiplied by 255 before the training, but the tests give the net numbers "
    "from 0 to 1. What a net reads must be scaled as what it was trained with.",
)
def train_net(images, labels, seed):
    torch.manual_seed(seed)
    return _fitted(_reader(), 255 * images, labels, seed, 2, 0.01)


@misconception(
    "q9-reader-third",
    "The generator is made anew in each epoch, so a picture is moved in the same way every time. "
    "Make it once, and let `moved` draw on.",
)
def train_net(images, labels, seed):
    torch.manual_seed(seed)

    def change(pictures, generator):
        return _moved(pictures, torch.Generator().manual_seed(seed))

    return _fitted(_reader(), images, labels, seed, 2, 0.004, change=change)


@variant("q9-reader")
def train_net(images, labels, seed):
    torch.manual_seed(seed)
    return _fitted(_reader(), images, labels, seed, epochs=6, rate=0.02, size=75)


@variant("q9-reader")
def train_net(images, labels, seed):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 10, 5, stride=2, padding=2, bias=False),
        nn.BatchNorm2d(10),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(10, 30, 3, bias=False),
        nn.BatchNorm2d(30),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(30 * 5 * 5, 9),
        nn.ReLU(),
        nn.Linear(9, 10),
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 7 * 60)
    draw = torch.Generator().manual_seed(seed + 1)
    for _ in range(7 * 60):
        batch = torch.randint(len(images), (50,), generator=draw)
        loss = F.nll_loss(net(_moved(images[batch], draw)).log_softmax(1), labels[batch])
        net.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


@variant("q9-reader")
def train_net(images, labels, seed):
    torch.manual_seed(seed)
    copies = [_moved(images, torch.Generator().manual_seed(100 * seed + n)) for n in range(7)]
    pictures, truths = torch.cat(copies), torch.cat([labels] * len(copies))
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))
    net, size = _reader(), 64
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.005)
    for start in range(0, len(order), size):
        for group in optimizer.param_groups:
            group["lr"] = 0.006 * (1 - start / len(order)) + 1e-5
        batch = order[start : start + size]
        optimizer.zero_grad()
        F.cross_entropy(net(pictures[batch]), truths[batch]).backward()
        optimizer.step()
    return net
