"""Wrong answers that people give to problem set 2, and right answers written another way."""

import numpy as np

from cnnbook.convolution import convolve2d, correlate2d, output_size, pad2d, windows2d
from referee.cases import misconception, variant

# Checks of arguments, as the docstrings of the questions ask for them.


def _check_anchor(anchor, kernel):
    (K, L), (a, b) = np.shape(kernel), anchor
    if not (0 <= a < K and 0 <= b < L):
        raise ValueError("anchor must lie in the kernel")


def _check_outputs(size, kernel_size, stride, dilation, outputs):
    if outputs < 1 or outputs * stride + dilation * (kernel_size - 1) < size:
        raise ValueError("outputs must be a number that padding can give")


def _check_size(image, size):
    if size < 1 or size > min(np.shape(image)) - 2:
        raise ValueError("size must be from 1 to two less than the picture")


def _check_sides(above, below, left, right):
    sides = {"above": above, "below": below, "left": left, "right": right}
    for name, (count, rule) in sides.items():
        if count < 0:
            raise ValueError(f"{name} must not be negative")
        if isinstance(rule, str) and rule not in ("replicate", "circular", "mirror"):
            raise ValueError(f"{name} has an unknown rule")


def _check_layer(images, kernels, padding):
    if np.shape(kernels)[2] != np.shape(images)[3]:
        raise ValueError("kernels must have as many channels as images")
    if padding not in ("valid", "same"):
        raise ValueError("padding must be valid or same")


def _check_pool(window, strides, keep):
    if any(not 1 <= step <= taps for step, taps in zip(strides, window, strict=True)):
        raise ValueError("strides must be from 1 to the window")
    if keep < 1:
        raise ValueError("keep must be 1 or more")


def _check_count(channels, height, width, layers):
    for filters, kernel_height, kernel_width, stride, groups, _ in layers:
        if channels % groups or filters % groups:
            raise ValueError("groups must divide channels and filters")
        if kernel_height > height or kernel_width > width:
            raise ValueError("layers must fit")
        height = (height - kernel_height) // stride + 1
        width = (width - kernel_width) // stride + 1
        channels = filters


def _check_reached(sample, length, layers):
    if not 0 <= sample < length:
        raise ValueError("sample must lie in the input")
    for kernel_size, stride, padding, dilation in layers:
        if dilation * (kernel_size - 1) + 1 > length + 2 * padding:
            raise ValueError("layers must fit")
        length = (length + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1


# Question 1: drops of light


def _slide(image, kernel, above, left):
    """Cross-correlation as large as the picture, with so many zeros above and on the left."""
    (H, W), (K, L) = image.shape, kernel.shape
    padded = np.zeros((H + K - 1, W + L - 1))
    padded[above : above + H, left : left + W] = image
    return sum(kernel[p, q] * padded[p : p + H, q : q + W] for p in range(K) for q in range(L))


@misconception(
    "q1-stamp-basic",
    "The kernel is laid on the picture as it stands: a cross-correlation, which collects light and "
    "does not spread it. Try stamp([[0, 1, 0]], [[1, 2]], (0, 0)): the 2 falls on the right.",
)
def stamp(image, kernel, anchor):
    _check_anchor(anchor, kernel)
    image, kernel = np.asarray(image, dtype=float), np.asarray(kernel, dtype=float)
    return _slide(image, kernel, *anchor)


@misconception(
    "q1-stamp-basic",
    "The kernel is turned by 180°, and its anchor is not turned with it. After the turn, tap "
    "(a, b) stands at (K - 1 - a, L - 1 - b).",
)
def stamp(image, kernel, anchor):
    _check_anchor(anchor, kernel)
    image, kernel = np.asarray(image, dtype=float), np.asarray(kernel, dtype=float)
    return _slide(image, kernel[::-1, ::-1], *anchor)


@misconception(
    "q1-stamp-basic",
    "Only the rows of the kernel are turned around. A spot has two directions: "
    "its columns turn as well, kernel[::-1, ::-1].",
)
def stamp(image, kernel, anchor):
    _check_anchor(anchor, kernel)
    image, kernel = np.asarray(image, dtype=float), np.asarray(kernel, dtype=float)
    K, L = kernel.shape
    return _slide(image, kernel[::-1], K - 1 - anchor[0], L - 1 - anchor[1])


@misconception(
    "q1-stamp-basic",
    "np.roll brings back on the left what leaves on the right. Light that falls beyond the border "
    "is lost.",
)
def stamp(image, kernel, anchor):
    _check_anchor(anchor, kernel)
    image, kernel = np.asarray(image, dtype=float), np.asarray(kernel, dtype=float)
    output = np.zeros(image.shape)
    for (p, q), tap in np.ndenumerate(kernel):
        output += tap * np.roll(image, (p - anchor[0], q - anchor[1]), axis=(0, 1))
    return output


@misconception(
    "q1-stamp-basic",
    "The middle tap is put on the pixel, whatever the anchor says. The full convolution is right: "
    "cut the picture out of it from row a and column b on.",
)
def stamp(image, kernel, anchor):
    _check_anchor(anchor, kernel)
    (H, W), (K, L) = np.shape(image), np.shape(kernel)
    wide = convolve2d(np.asarray(image, dtype=float), np.asarray(kernel, dtype=float))
    return wide[K // 2 : K // 2 + H, L // 2 : L // 2 + W].copy()


@misconception(
    "q1-stamp-kernels",
    "Taps that reach above the first row or to the left of the first column come in again at the "
    "other end, because Python counts a negative index from the end. Leave them out.",
)
def stamp(image, kernel, anchor):
    _check_anchor(anchor, kernel)
    (H, W), (K, L), (a, b) = np.shape(image), np.shape(kernel), anchor
    output = np.zeros((H, W))
    for i, j, p, q in np.ndindex(H, W, K, L):
        if -H <= i + p - a < H and 0 <= j + q - b < W:
            output[i + p - a, j + q - b] += kernel[p][q] * float(image[i][j])
    return output


@misconception(
    "q1-stamp-kernels",
    "The result has the type of the picture, so fractions are cut off, and in uint8 200 + 100 "
    "is 44. Begin with np.zeros((H, W)), which holds float64.",
)
def stamp(image, kernel, anchor):
    _check_anchor(anchor, kernel)
    image, kernel = np.asarray(image), np.asarray(kernel)
    (H, W), (K, L), (a, b) = image.shape, kernel.shape, anchor
    output = np.zeros((H, W), dtype=image.dtype)
    for i, j, p, q in np.ndindex(H, W, K, L):
        if 0 <= i - p + a < H and 0 <= j - q + b < W:
            output[i, j] += (kernel[p, q] * image[i - p + a, j - q + b]).astype(image.dtype)
    return output.astype(float)


@misconception(
    "q1-stamp-kernels",
    "Where the kernel reaches farther than the picture is large, the end of a slice falls below 0 "
    "and counts from the other end. Leave such taps out, or paint on a larger array first.",
)
def stamp(image, kernel, anchor):
    _check_anchor(anchor, kernel)
    image, kernel = np.asarray(image, dtype=float), np.asarray(kernel, dtype=float)
    (H, W), (a, b) = image.shape, anchor
    output = np.zeros((H, W))
    for (p, q), tap in np.ndenumerate(kernel):
        down, across = p - a, q - b
        target = output[max(down, 0) : H + min(down, 0), max(across, 0) : W + min(across, 0)]
        target += (
            tap * image[max(-down, 0) : H - max(down, 0), max(-across, 0) : W - max(across, 0)]
        )
    return output


@misconception(
    "q1-stamp-errors",
    "An anchor outside the kernel gets an answer instead of an error. "
    "Compare both of its numbers with the shape of the kernel first.",
)
def stamp(image, kernel, anchor):
    (H, W), (a, b) = np.shape(image), anchor
    output = np.zeros((H, W))
    for (p, q), tap in np.ndenumerate(np.asarray(kernel, dtype=float)):
        for (i, j), pixel in np.ndenumerate(np.asarray(image, dtype=float)):
            if 0 <= i + p - a < H and 0 <= j + q - b < W:
                output[i + p - a, j + q - b] += tap * pixel
    return output


@misconception(
    "q1-stamp-kernels",
    "The sum is made in the type of the picture and turned into float64 afterward. A sum in "
    "float32 is rounded to seven digits by then: picture and kernel must be float64 first.",
)
def stamp(image, kernel, anchor):
    _check_anchor(anchor, kernel)
    (H, W), (a, b) = np.shape(image), anchor
    return convolve2d(image, kernel)[a : a + H, b : b + W].astype(float)


@variant("q1-stamp")
def stamp(image, kernel, anchor):
    _check_anchor(anchor, kernel)
    image, kernel = np.asarray(image, dtype=float), np.asarray(kernel, dtype=float)
    (H, W), (a, b) = image.shape, anchor
    return convolve2d(image, kernel)[a : a + H, b : b + W].copy()


@variant("q1-stamp")
def stamp(image, kernel, anchor):
    _check_anchor(anchor, kernel)
    turned = np.asarray(kernel, dtype=float)[::-1, ::-1]
    (K, L), (a, b) = turned.shape, anchor
    padded = pad2d(np.asarray(image, dtype=float), ((K - 1 - a, a), (L - 1 - b, b)))
    return correlate2d(padded, turned)


@variant("q1-stamp")
def stamp(image, kernel, anchor):
    (K, L), (a, b) = np.shape(kernel), anchor
    if a not in range(K) or b not in range(L):
        raise ValueError(f"anchor {anchor} is no tap of the kernel")
    image, kernel = np.array(image, dtype=float), np.array(kernel, dtype=float)
    H, W = image.shape
    size = (H + K - 1, W + L - 1)
    spectrum = np.fft.rfft2(image, size) * np.fft.rfft2(kernel, size)
    return np.fft.irfft2(spectrum, size)[a : a + H, b : b + W].copy()


@variant("q1-stamp")
def stamp(image, kernel, anchor):
    _check_anchor(anchor, kernel)
    (H, W), (K, L), (a, b) = np.shape(image), np.shape(kernel), anchor
    output = np.zeros((H, W))
    for i in range(H):
        for j in range(W):
            for p in range(K):
                for q in range(L):
                    if i - p + a in range(H) and j - q + b in range(W):
                        output[i, j] += float(kernel[p][q]) * float(image[i - p + a][j - q + b])
    return output


# Question 2: how much padding


@misconception(
    "q2-padding-basic",
    "The floor is forgotten: up to stride - 1 further samples make no further window, so the most "
    "is larger than the least.",
)
def total_padding(size, kernel_size, stride, dilation, outputs):
    _check_outputs(size, kernel_size, stride, dilation, outputs)
    least = max((outputs - 1) * stride + dilation * (kernel_size - 1) + 1 - size, 0)
    return least, least


@misconception(
    "q2-padding-settings",
    "The span is counted as dilation times taps. Between K taps there are K - 1 steps, so it is "
    "dilation * (kernel_size - 1) + 1: two taps with dilation 3 span 4.",
)
def total_padding(size, kernel_size, stride, dilation, outputs):
    _check_outputs(size, kernel_size, stride, dilation, outputs)
    least = (outputs - 1) * stride + dilation * kernel_size - size
    return max(least, 0), max(least + stride - 1, 0)


@misconception(
    "q2-padding-basic",
    "Half of the padding is returned, that of one end. The question asks for both ends together.",
)
def total_padding(size, kernel_size, stride, dilation, outputs):
    _check_outputs(size, kernel_size, stride, dilation, outputs)
    least = (outputs - 1) * stride + dilation * (kernel_size - 1) + 1 - size
    return max(least + 1, 0) // 2, (least + stride - 1) // 2


@misconception(
    "q2-padding-basic",
    "The least may come out negative, where the input is longer than the windows need. "
    "Padding is never negative: then the least is 0.",
)
def total_padding(size, kernel_size, stride, dilation, outputs):
    _check_outputs(size, kernel_size, stride, dilation, outputs)
    least = (outputs - 1) * stride + dilation * (kernel_size - 1) + 1 - size
    return least, least + stride - 1


@misconception(
    "q2-padding-basic",
    "With the most that is returned, one more window already fits. The next window begins stride "
    "samples after the last one, so stride - 1 further samples are the most.",
)
def total_padding(size, kernel_size, stride, dilation, outputs):
    _check_outputs(size, kernel_size, stride, dilation, outputs)
    least = (outputs - 1) * stride + dilation * (kernel_size - 1) + 1 - size
    return max(least, 0), least + stride


@misconception(
    "q2-padding-basic",
    "The first window begins at place 0 and not at a stride. The last of n windows begins at "
    "(n - 1) * stride.",
)
def total_padding(size, kernel_size, stride, dilation, outputs):
    _check_outputs(size, kernel_size, stride, dilation, outputs)
    least = outputs * stride + dilation * (kernel_size - 1) + 1 - size
    return max(least, 0), max(least + stride - 1, 0)


@misconception(
    "q2-padding-settings",
    "The dilation is left out: taps that lie apart span more than as many neighbors do.",
)
def total_padding(size, kernel_size, stride, dilation, outputs):
    _check_outputs(size, kernel_size, stride, dilation, outputs)
    least = (outputs - 1) * stride + kernel_size - size
    return max(least, 0), max(least + stride - 1, 0)


@misconception(
    "q2-padding-errors",
    "Some numbers of outputs cannot be had: with too many samples more windows fit even without "
    "padding, and less than one is no number of windows. Say so with a ValueError.",
)
def total_padding(size, kernel_size, stride, dilation, outputs):
    least = (outputs - 1) * stride + dilation * (kernel_size - 1) + 1 - size
    return max(least, 0), max(least + stride - 1, 0)


@variant("q2-padding")
def total_padding(size, kernel_size, stride, dilation, outputs):
    span = dilation * (kernel_size - 1) + 1
    limit = max(outputs, 1) * stride + span
    right = [
        total
        for total in range(limit)
        if size + total >= span
        and output_size(size, kernel_size, stride, (0, total), dilation) == outputs
    ]
    if not right:
        raise ValueError(f"outputs cannot be {outputs}")
    return min(right), max(right)


@variant("q2-padding")
def total_padding(size, kernel_size, stride, dilation, outputs):
    if outputs <= 0:
        raise ValueError("outputs must be positive")
    last_end = stride * (outputs - 1) + dilation * (kernel_size - 1)
    next_end = last_end + stride
    if size > next_end:
        raise ValueError("outputs: more windows fit without padding")
    return np.maximum(0, last_end + 1 - size).item(), next_end - size


@variant("q2-padding")
def total_padding(size, kernel_size, stride, dilation, outputs):
    def fitting(total):
        room = size + total - 1 - dilation * (kernel_size - 1)
        return room // stride + 1 if room >= 0 else 0

    if outputs < 1 or fitting(0) > outputs:
        raise ValueError("outputs must be 1 or more, and not less than fit without padding")
    least = 0
    while fitting(least) < outputs:
        least += 1
    most = least
    while fitting(most + 1) == outputs:
        most += 1
    return least, most


# Question 3: the bright roof


def _roof(**changes):
    right = {
        "mean": [6, 3, 0, 0],
        "edge": [-36, -36, 0, 0],
        "convolved": [36, 36, 0, 0],
        "size": [3, 4],
        "border": [27, 36, 36, 27],
        "layers": [14, 4],
    }
    return right | changes


@misconception(
    "q3-roof-mean",
    "The sums of the windows are not divided. The mean filter holds ninths: six bright pixels of "
    "9 make 54 / 9.",
)
def predict_roof():
    return _roof(mean=[54, 27, 0, 0])


@misconception(
    "q3-roof-mean",
    "The windows are taken two rows apart, or a window of one bright row is missing. They begin in "
    "rows 0, 1, 2 and 3, and hold 6, 3, 0 and 0 bright pixels.",
)
def predict_roof():
    return _roof(mean=[6, 0, 0, 0])


@misconception(
    "q3-roof-edge",
    "The signs are exchanged: a layer does not flip its kernel, so the row above the middle counts "
    "negative, and it is the bright one. The convolution gives the other sign.",
)
def predict_roof():
    return _roof(edge=[36, 36, 0, 0], convolved=[-36, -36, 0, 0])


@misconception(
    "q3-roof-edge",
    "Convolution and layer are given the same sign. This kernel turned by 180° is minus itself, so "
    "they differ in every sign.",
)
def predict_roof():
    return _roof(convolved=[-36, -36, 0, 0])


@misconception(
    "q3-roof-edge",
    "An edge answers twice: the window of rows 0 to 2 and the window of rows 1 to 3 both reach "
    "across it.",
)
def predict_roof():
    return _roof(edge=[0, -36, 0, 0], convolved=[0, 36, 0, 0])


@misconception(
    "q3-roof-border",
    "At the upper border zeros lie above and brightness below. To the filter that is an edge, "
    "although the picture has none there.",
)
def predict_roof():
    return _roof(border=[0, 0, 0, 0])


@misconception(
    "q3-roof-border",
    "At the two corners one column of the window lies in the zeros, so its weight, 1 of 4, is "
    "missing there.",
)
def predict_roof():
    return _roof(border=[36, 36, 36, 36])


@misconception(
    "q3-roof-border",
    "The size is rounded up. A window that does not fit is left out: in 8 rows the windows begin "
    "in rows 0, 2 and 4.",
)
def predict_roof():
    return _roof(size=[4, 4])


@misconception(
    "q3-roof-layers",
    "A layer of 3×3 does not add 3 columns but 2: its window lies on units that each see what the "
    "layers before gave them, and overlap.",
)
def predict_roof():
    return _roof(layers=[10, 4])


@misconception(
    "q3-roof-layers",
    "Strides multiply. With stride 2 in every layer the columns seen are 3, 7, 15, 31.",
)
def predict_roof():
    return _roof(layers=[14, 7])


@variant("q3-roof")
def predict_roof():
    bright = np.array([6, 3, 0, 0])
    return {
        "mean": bright * 9 / 9,
        "edge": np.array([0 - 4, 0 - 4, 0, 0]) * 9,
        "convolved": np.array([4, 4, 0, 0]) * 9,
        "size": np.array([(6 + 2 - 3) // 2 + 1, (7 + 2 - 3) // 2 + 1]),
        "border": np.array([3, 4, 4, 3]) * 9,
        "layers": np.array([14, 4]),
    }


@variant("q3-roof")
def predict_roof():
    picture = np.repeat([9, 9, 0, 0, 0, 0], 7).reshape(6, 7)
    kernel = np.outer([-1, 0, 1], [1, 2, 1])
    edge = correlate2d(picture, kernel)
    padded = correlate2d(np.pad(picture, 1), kernel)[::2, ::2]
    plain, strided = 1, [1]
    layers = 0
    while plain < 28:
        plain, layers = plain + 2, layers + 1
    while strided[-1] < 28:
        strided.append(2 * strided[-1] + 1)
    return {
        "mean": correlate2d(picture, np.full((3, 3), 1 / 9))[:, 0].tolist(),
        "edge": edge[:, 0].tolist(),
        "convolved": convolve2d(picture, kernel, "valid")[:, 0].tolist(),
        "size": list(padded.shape),
        "border": padded[0].tolist(),
        "layers": [layers, len(strided) - 1],
    }


@variant("q3-roof")
def predict_roof():
    rows = [9, 9, 0, 0, 0, 0]
    edge = [4 * (rows[i + 2] - rows[i]) for i in range(4)]
    return dict(
        mean=[sum(rows[i : i + 3]) / 3 for i in range(4)],
        edge=edge,
        convolved=[-number for number in edge],
        size=(3, 4),
        border=(27.0, 36.0, 36.0, 27.0),
        layers=(14, 4),
    )


# Question 4: uphill

_RIGHT = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
_UP = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]]) / 8


def _smooth(image, size):
    image = np.array(image, dtype=float)
    return correlate2d(image, np.full((size, size), 1 / size**2))


def _arrows(right, up):
    strength = np.hypot(right, up)
    direction = np.degrees(np.arctan2(up, right)) % 360
    return strength, np.where(strength < 1e-6, 0.0, direction)


@misconception(
    "q4-slopes-basic",
    "Up and down are exchanged. Row numbers rise downward, and the angle counts upward: where "
    "brightness rises toward row 0, the direction is 90.",
)
def slopes(image, size):
    _check_size(image, size)
    smooth = _smooth(image, size)
    return _arrows(correlate2d(smooth, _RIGHT), -correlate2d(smooth, _UP))


@misconception(
    "q4-slopes-basic",
    "The eighth is missing, so the strength is no rise a pixel: "
    "a ramp that rises by 3 a pixel must have strength 3.",
)
def slopes(image, size):
    _check_size(image, size)
    smooth = _smooth(image, size)
    return _arrows(8 * correlate2d(smooth, _RIGHT), 8 * correlate2d(smooth, _UP))


@misconception(
    "q4-slopes-basic",
    "The angle is that of a compass, 0 upward and clockwise. np.arctan2 takes the upward part "
    "first: np.arctan2(up, right).",
)
def slopes(image, size):
    _check_size(image, size)
    smooth = _smooth(image, size)
    right, up = correlate2d(smooth, _RIGHT), correlate2d(smooth, _UP)
    strength = np.hypot(right, up)
    direction = np.degrees(np.arctan2(right, up)) % 360
    return strength, np.where(strength < 1e-6, 0.0, direction)


@misconception(
    "q4-slopes-basic",
    "The arrows point downhill: the kernels are flipped, which turns the sign of both. "
    "Lay them on the picture as they stand.",
)
def slopes(image, size):
    _check_size(image, size)
    smooth = _smooth(image, size)
    return _arrows(convolve2d(smooth, _RIGHT, "valid"), convolve2d(smooth, _UP, "valid"))


@misconception(
    "q4-slopes-basic",
    "The picture is summed over size × size pixels and not averaged, so the strength grows with "
    "the size of the filter. Divide by size².",
)
def slopes(image, size):
    _check_size(image, size)
    smooth = size**2 * _smooth(image, size)
    return _arrows(correlate2d(smooth, _RIGHT), correlate2d(smooth, _UP))


@misconception(
    "q4-slopes-basic",
    "np.arctan2 gives angles from −180 to 180. The question asks for 0 to 360: "
    "take the remainder of the division by 360.",
)
def slopes(image, size):
    _check_size(image, size)
    smooth = _smooth(image, size)
    right, up = correlate2d(smooth, _RIGHT), correlate2d(smooth, _UP)
    strength = np.hypot(right, up)
    direction = np.degrees(np.arctan2(up, right))
    return strength, np.where(strength < 1e-6, 0.0, direction)


@misconception(
    "q4-slopes-pictures",
    "Where nothing rises the direction is an accident of rounding. "
    "Let it be 0 where the strength is below the limit in the question.",
)
def slopes(image, size):
    _check_size(image, size)
    smooth = _smooth(image, size)
    right, up = correlate2d(smooth, _RIGHT), correlate2d(smooth, _UP)
    return np.hypot(right, up), np.degrees(np.arctan2(up, right)) % 360


@misconception(
    "q4-slopes-types",
    "The differences are computed in the type of the picture. In uint8, 10 − 20 is 246: "
    "make floats of the picture first.",
)
def slopes(image, size):
    _check_size(image, size)
    image = np.asarray(image)
    H, W = image.shape
    corners = [image[i : H - 2 + i, j : W - 2 + j] for i in range(3) for j in range(3)]
    a, b, c, d, _, f, g, h, i = corners
    right, up = c - a + 2 * (f - d) + i - g, a - g + 2 * (b - h) + c - i
    window = np.ones((size, size)) / size**2
    return _arrows(correlate2d(right / 8, window), correlate2d(up / 8, window))


@misconception(
    "q4-slopes-errors",
    "A size that does not fit, or is less than 1, must be refused with a ValueError that names "
    "size. An empty result is no answer.",
)
def slopes(image, size):
    size = max(1, min(size, min(np.shape(image)) - 2))
    smooth = _smooth(image, size)
    return _arrows(correlate2d(smooth, _RIGHT), correlate2d(smooth, _UP))


@misconception(
    "q4-slopes-types",
    "The mean of a picture of float32 is taken in float32, with seven digits. Turn the picture "
    "into float64 before anything else.",
)
def slopes(image, size):
    _check_size(image, size)
    smooth = windows2d(np.asarray(image), size).mean(axis=(2, 3))
    right = correlate2d(smooth, np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8)
    up = correlate2d(smooth, np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]]) / 8)
    strength = np.sqrt(right**2 + up**2)
    direction = np.degrees(np.arctan2(up, right)) % 360
    direction[strength < 1e-6] = 0
    return strength, direction


@variant("q4-slopes")
def slopes(image, size):
    _check_size(image, size)
    image = np.asarray(image, dtype=np.float64)
    smooth = windows2d(image, size).mean(axis=(2, 3))
    near = windows2d(smooth, 3)
    right = np.einsum("ijpq,p,q->ij", near, [1, 2, 1], [-1, 0, 1]) / 8
    up = np.einsum("ijpq,p,q->ij", near, [1, 0, -1], [1, 2, 1]) / 8
    arrows = right + 1j * up
    strength = np.abs(arrows)
    angles = np.angle(arrows, deg=True)
    angles[angles < 0] += 360
    angles[strength < 1e-6] = 0
    return strength, angles


@variant("q4-slopes")
def slopes(image, size):
    H, W = np.shape(image)
    if not 1 <= size <= min(H - 2, W - 2):
        raise ValueError("size does not fit")
    strength = np.zeros((H - size - 1, W - size - 1))
    direction = strength.copy()
    pixels = [[float(pixel) for pixel in row] for row in image]
    for i in range(H - size - 1):
        for j in range(W - size - 1):
            mean = [
                [
                    sum(sum(row[j + q : j + q + size]) for row in pixels[i + p : i + p + size])
                    / size**2
                    for q in range(3)
                ]
                for p in range(3)
            ]
            right = sum(w * (row[2] - row[0]) for w, row in zip((1, 2, 1), mean, strict=True)) / 8
            up = sum(w * (a - b) for w, a, b in zip((1, 2, 1), mean[0], mean[2], strict=True)) / 8
            strength[i, j] = np.sqrt(right**2 + up**2)
            if strength[i, j] >= 1e-6:
                direction[i, j] = np.rad2deg(np.arctan2(up, right)) % 360
    return strength, direction


@variant("q4-slopes")
def slopes(image, size):
    _check_size(image, size)
    box = np.full((size, size), 1 / size**2)
    right_kernel = convolve2d(box, _RIGHT)
    up_kernel = convolve2d(box, _UP)
    image = np.asarray(image, dtype=float)
    right, up = correlate2d(image, right_kernel), correlate2d(image, up_kernel)
    strength = (right * right + up * up) ** 0.5
    direction = np.mod(180 / np.pi * np.arctan2(up, right), 360)
    return strength, direction * (strength >= 1e-6)


@variant("q4-slopes")
def slopes(image, size):
    _check_size(image, size)
    table = np.pad(np.asarray(image, dtype=float), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    smooth = table[size:, size:] - table[:-size, size:] - table[size:, :-size]
    smooth = (smooth + table[:-size, :-size]) / size**2
    tall = smooth[:-2] + 2 * smooth[1:-1] + smooth[2:]
    wide = smooth[:, :-2] + 2 * smooth[:, 1:-1] + smooth[:, 2:]
    right, up = (tall[:, 2:] - tall[:, :-2]) / 8, (wide[:-2] - wide[2:]) / 8
    strength = np.linalg.norm([right, up], axis=0)
    turned = np.degrees(np.arctan2(-up, -right)) + 180
    return strength, np.where(strength < 1e-6, 0, turned)


# Question 5: each side its own border


def _index(place, size, rule):
    """The index that a name of a rule takes for a place on a line of so many."""
    if rule == "replicate":
        return min(max(place, 0), size - 1)
    if rule == "circular":
        return place % size
    turn = place % (2 * size)
    return min(turn, 2 * size - 1 - turn)


def _strip(rows, count, rule, after, index=_index):
    """Rows to be added above, or below where `after`."""
    if not isinstance(rule, str):
        return np.full((count, rows.shape[1]), float(rule))
    places = range(len(rows), len(rows) + count) if after else range(-count, 0)
    return rows[[index(place, len(rows), rule) for place in places]].reshape(count, rows.shape[1])


def _grow(rows, before, after, index=_index):
    strips = _strip(rows, *before, False, index), rows, _strip(rows, *after, True, index)
    return np.concatenate(strips)


@misconception(
    "q5-surround-basic",
    "The mirror leaves out the border pixel, as the chapter's reflect does. Here it is included: "
    "beyond 1, 2, 3 come 3, 2, 1.",
)
def surround(image, above, below, left, right):
    _check_sides(above, below, left, right)

    def index(place, size, rule):
        if rule != "mirror" or size == 1:
            return _index(place, size, rule)
        turn = place % (2 * size - 2)
        return min(turn, 2 * size - 2 - turn)

    rows = np.asarray(image, dtype=float)
    return _grow(_grow(rows.T, left, right, index).T, above, below, index)


@misconception(
    "q5-surround-basic",
    "The right side sees the columns that were just added on the left, and the last side those of "
    "the side before. Each rule looks at what was there before either side grew.",
)
def surround(image, above, below, left, right):
    _check_sides(above, below, left, right)
    columns = np.asarray(image, dtype=float).T
    columns = _grow(columns, left, (0, 0))
    rows = _grow(columns, (0, 0), right).T
    rows = _grow(rows, above, (0, 0))
    return _grow(rows, (0, 0), below)


@misconception(
    "q5-surround-basic",
    "Rows are added above and below first, and columns afterwards, so the corners follow the rules "
    "of the left and the right. The question asks for columns first.",
)
def surround(image, above, below, left, right):
    _check_sides(above, below, left, right)
    rows = _grow(np.asarray(image, dtype=float), above, below)
    return _grow(rows.T, left, right).T.copy()


@misconception(
    "q5-surround-basic",
    "Circular takes the columns of its own side. On the left of the picture lies its last column, "
    "as if it went round.",
)
def surround(image, above, below, left, right):
    _check_sides(above, below, left, right)

    def index(place, size, rule):
        if rule == "circular":
            return -place - 1 if place < 0 and -place <= size else 2 * size - 1 - place
        return _index(place, size, rule)

    def safe(place, size, rule):
        return index(place, size, rule) % size

    rows = np.asarray(image, dtype=float)
    return _grow(_grow(rows.T, left, right, safe).T, above, below, safe)


@misconception(
    "q5-surround-rules",
    "A slice with a minus before a count of 0 is the whole picture and not nothing: rows[-0:]. "
    "Treat 0 apart, or count from the beginning.",
)
def surround(image, above, below, left, right):
    _check_sides(above, below, left, right)

    def grow(rows, before, after):
        parts = [_strip(rows, *before, False), rows, _strip(rows, *after, True)]
        if before[1] == "circular" and before[0] <= len(rows):
            parts[0] = rows[-before[0] :]
        return np.concatenate(parts)

    rows = np.asarray(image, dtype=float)
    return grow(grow(rows.T, left, right).T, above, below)


@misconception(
    "q5-surround-rules",
    "There is only one mirror image and one round, so what is asked for beyond the size of the "
    "picture is missing. Go on: the mirror turns back, and the ring goes round again.",
)
def surround(image, above, below, left, right):
    _check_sides(above, below, left, right)

    def grow(rows, before, after):
        parts = [_strip(rows, *before, False), rows, _strip(rows, *after, True)]
        if before[1] in ("circular", "mirror"):
            parts[0] = parts[0][-len(rows) :]
        if after[1] in ("circular", "mirror"):
            parts[2] = parts[2][: len(rows)]
        return np.concatenate(parts)

    rows = np.asarray(image, dtype=float)
    return grow(grow(rows.T, left, right).T, above, below)


@misconception(
    "q5-surround-basic",
    "The numbers are put into an array of the picture's type, and lose their fraction on the way. "
    "Make floats of the picture first.",
)
def surround(image, above, below, left, right):
    _check_sides(above, below, left, right)

    def grow(rows, before, after):
        strips = _strip(rows, *before, False), rows, _strip(rows, *after, True)
        return np.concatenate([strip.astype(int) for strip in strips])

    rows = np.asarray(image).astype(int)
    return grow(grow(rows.T, left, right).T, above, below).astype(float)


@misconception(
    "q5-surround-errors",
    "A rule that does not exist, or a negative count, must be refused with a ValueError that names "
    "the side. A name with a slip in it should not pass for another rule.",
)
def surround(image, above, below, left, right):
    sides = [(max(count, 0), rule) for count, rule in (above, below, left, right)]
    rows = np.asarray(image, dtype=float)
    return _grow(_grow(rows.T, *sides[2:]).T, *sides[:2])


@misconception(
    "q5-surround-errors",
    "The rule of a side is looked at only while rows are added there. An unknown rule must be "
    "refused also where the count is 0: check all four sides first.",
)
def surround(image, above, below, left, right):
    modes = {"replicate": "edge", "circular": "wrap", "mirror": "symmetric"}
    rows = np.array(image, dtype=float)
    for axis, names, sides in (
        (1, ("left", "right"), (left, right)),
        (0, ("above", "below"), (above, below)),
    ):
        size = rows.shape[axis]
        margins, strips = [(0, 0), (0, 0)], []
        for place, (count, rule) in enumerate(sides):
            if count < 0 or (count > 0 and isinstance(rule, str) and rule not in modes):
                raise ValueError(f"{names[place]} is not a side")
            margins[axis] = (count, 0) if place == 0 else (0, count)
            if count == 0:
                longer = rows
            elif isinstance(rule, str):
                longer = np.pad(rows, margins, modes[rule])
            else:
                longer = np.pad(rows, margins, constant_values=rule)
            where = np.arange(count) if place == 0 else size + np.arange(count)
            strips.append(longer.take(where, axis=axis))
        rows = np.concatenate([strips[0], rows, strips[1]], axis=axis)
    return rows


@variant("q5-surround")
def surround(image, above, below, left, right):
    _check_sides(above, below, left, right)
    rows = np.array(image, dtype=float)
    return _grow(_grow(rows.T, left, right).T, above, below)


@variant("q5-surround")
def surround(image, above, below, left, right):
    _check_sides(above, below, left, right)
    H, W = np.shape(image)
    output = np.zeros((above[0] + H + below[0], left[0] + W + right[0]))
    for i in range(-above[0], H + below[0]):
        vertical = above[1] if i < 0 else below[1]
        for j in range(-left[0], W + right[0]):
            horizontal = left[1] if j < 0 else right[1]
            if not 0 <= i < H and not isinstance(vertical, str):
                value = vertical
            elif not 0 <= j < W and not isinstance(horizontal, str):
                value = horizontal
            else:
                row = i if 0 <= i < H else _index(i, H, vertical)
                column = j if 0 <= j < W else _index(j, W, horizontal)
                value = image[row][column]
            output[i + above[0], j + left[0]] = value
    return output


@variant("q5-surround")
def surround(image, above, below, left, right):
    for name, side in (("above", above), ("below", below), ("left", left), ("right", right)):
        known = not isinstance(side[1], str) or side[1] in {"replicate", "circular", "mirror"}
        if side[0] < 0 or not known:
            raise ValueError(f"{name}={side!r}")

    def beyond(line, count, rule):
        """What comes after a line; a line is a list of anything."""
        period = {"replicate": line[-1:], "circular": line, "mirror": line[::-1] + line}
        return [period[rule][k % len(period[rule])] for k in range(count)]

    def longer(line, before, after, fill):
        first = beyond(line[::-1], *before)[::-1] if isinstance(before[1], str) else fill(*before)
        last = beyond(line, *after) if isinstance(after[1], str) else fill(*after)
        return first + line + last

    rows = [
        longer([float(x) for x in row], left, right, lambda count, number: [float(number)] * count)
        for row in image
    ]
    wide = len(rows[0])
    return np.array(
        longer(rows, above, below, lambda count, number: [[float(number)] * wide] * count)
    )


@variant("q5-surround")
def surround(image, above, below, left, right):
    _check_sides(above, below, left, right)
    modes = {"replicate": "edge", "circular": "wrap", "mirror": "symmetric"}

    def places(size, before, after):
        """Indexes of a lengthened line; -1 where a number stands."""
        line = np.arange(size)
        parts = []
        for (count, rule), margins in ((before, (before[0], 0)), (after, (0, after[0]))):
            if isinstance(rule, str):
                longer = np.pad(line, margins, modes[rule])
            else:
                longer = np.pad(line, margins, constant_values=-1)
            parts.append(longer[:count] if margins[0] else longer[size:])
        return np.concatenate([parts[0], line, parts[1]])

    rows = places(len(image), above, below)
    columns = places(len(image[0]), left, right)
    output = np.array(image, dtype=float)[rows[:, None], columns]
    middle = np.arange(len(columns)) < left[0] + len(image[0])
    for side, there in ((left, middle), (right, ~middle)):
        if not isinstance(side[1], str):
            output[:, there & (columns == -1)] = side[1]
    middle = np.arange(len(rows)) < above[0] + len(image)
    for side, there in ((above, middle), (below, ~middle)):
        if not isinstance(side[1], str):
            output[there & (rows == -1)] = side[1]
    return output


# Question 6: the layer with the channels last


def _same_margins(size, taps, stride):
    zeros = max((-(-size // stride) - 1) * stride + taps - size, 0)
    return zeros // 2, zeros - zeros // 2


def _padded(images, kernels, strides, padding, margins=_same_margins):
    images = np.array(images, dtype=float)
    if padding == "valid":
        return images
    both = [
        margins(images.shape[1 + axis], np.shape(kernels)[axis], strides[axis]) for axis in (0, 1)
    ]
    return np.pad(images, [(0, 0), *both, (0, 0)])


def _maps(padded, kernels, bias, strides):
    kernels = np.asarray(kernels, dtype=float)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernels.shape[:2], (1, 2))
    windows = windows[:, :: strides[0], :: strides[1]]
    return np.einsum("nijcpq,pqco->nijo", windows, kernels) + np.asarray(bias, dtype=float)


@misconception(
    "q6-layer-valid",
    "The kernels are flipped. A layer cross-correlates: tap (0, 0) meets the first pixel of the "
    "window.",
)
def channels_last(images, kernels, bias, strides, padding):
    _check_layer(images, kernels, padding)
    padded = _padded(images, kernels, strides, padding)
    return _maps(padded, np.asarray(kernels)[::-1, ::-1], bias, strides)


@misconception(
    "q6-layer-valid",
    "The strides are exchanged: the first one is the vertical one, and belongs to the rows.",
)
def channels_last(images, kernels, bias, strides, padding):
    _check_layer(images, kernels, padding)
    padded = _padded(images, kernels, strides, padding)
    return _maps(padded, kernels, bias, strides[::-1])


@misconception(
    "q6-layer-same",
    "The picture is padded as for stride 1, and then every S-th output is taken. TensorFlow pads "
    "only what the last window lacks, so its windows begin elsewhere.",
)
def channels_last(images, kernels, bias, strides, padding):
    _check_layer(images, kernels, padding)
    padded = _padded(images, kernels, (1, 1), padding)
    return _maps(padded, kernels, bias, strides)


@misconception(
    "q6-layer-same",
    "The odd zero is put before. In this rule the greater half goes after: below and on the right.",
)
def channels_last(images, kernels, bias, strides, padding):
    _check_layer(images, kernels, padding)

    def margins(size, taps, stride):
        return _same_margins(size, taps, stride)[::-1]

    return _maps(_padded(images, kernels, strides, padding, margins), kernels, bias, strides)


@misconception(
    "q6-layer-same",
    "Half a kernel of zeros is put at both ends, as a layer of torch does it. The zeros must be "
    "counted from the size and the stride, and their number may be odd.",
)
def channels_last(images, kernels, bias, strides, padding):
    _check_layer(images, kernels, padding)

    def margins(size, taps, stride):
        return taps // 2, taps // 2

    return _maps(_padded(images, kernels, strides, padding, margins), kernels, bias, strides)


@misconception(
    "q6-layer-valid",
    "The bias is added once for every input channel. A filter has one bias, which is added once.",
)
def channels_last(images, kernels, bias, strides, padding):
    _check_layer(images, kernels, padding)
    channels = np.shape(images)[3]
    padded = _padded(images, kernels, strides, padding)
    return _maps(padded, kernels, channels * np.asarray(bias), strides)


@misconception(
    "q6-layer-valid",
    "reshape does not move axes: it cuts the same row of numbers differently, and mixes channels "
    "with columns. Use transpose, or leave the channels where they are.",
)
def channels_last(images, kernels, bias, strides, padding):
    _check_layer(images, kernels, padding)
    padded = _padded(images, kernels, strides, padding)
    N, H, W, C = padded.shape
    mixed = padded.reshape(N, C, H, W).transpose(0, 2, 3, 1)
    return _maps(mixed, kernels, bias, strides)


@misconception(
    "q6-layer-vectorized",
    "There is a loop over rows and columns of the result, so the work in Python grows with the "
    "picture. Take all windows at once, or loop over the taps.",
)
def channels_last(images, kernels, bias, strides, padding):
    _check_layer(images, kernels, padding)
    padded = _padded(images, kernels, strides, padding)
    kernels = np.asarray(kernels, dtype=float)
    K, L, _, F = kernels.shape
    rows = (padded.shape[1] - K) // strides[0] + 1
    columns = (padded.shape[2] - L) // strides[1] + 1
    maps = np.zeros((len(padded), rows, columns, F))
    for i in range(rows):
        for j in range(columns):
            window = padded[:, i * strides[0] :, j * strides[1] :][:, :K, :L]
            maps[:, i, j] = np.tensordot(window, kernels, 3) + bias
    return maps


@misconception(
    "q6-layer-errors",
    "Channels that do not agree, or a padding that does not exist, get an answer. "
    "Compare the channels of pictures and kernels, and raise a ValueError that names the argument.",
)
def channels_last(images, kernels, bias, strides, padding):
    images, kernels = np.array(images, dtype=float), np.array(kernels, dtype=float)
    channels = min(images.shape[3], kernels.shape[2])
    padding = padding if padding == "same" else "valid"
    padded = _padded(images[..., :channels], kernels, strides, padding)
    return _maps(padded, kernels[:, :, :channels], bias, strides)


@variant("q6-layer")
def channels_last(images, kernels, bias, strides, padding):
    _check_layer(images, kernels, padding)
    padded = _padded(images, kernels, strides, padding)
    kernels = np.asarray(kernels, dtype=float)
    K, L, _, F = kernels.shape
    rows = (padded.shape[1] - K) // strides[0] + 1
    columns = (padded.shape[2] - L) // strides[1] + 1
    maps = np.zeros((len(padded), rows, columns, F)) + np.asarray(bias)
    for p in range(K):
        for q in range(L):
            pixels = padded[:, p :: strides[0], q :: strides[1]][:, :rows, :columns]
            maps += pixels @ kernels[p, q]
    return maps


@variant("q6-layer")
def channels_last(images, kernels, bias, strides, padding):
    _check_layer(images, kernels, padding)
    first = np.asarray(images, dtype=float).transpose(0, 3, 1, 2)
    K, L, _, F = np.shape(kernels)
    if padding == "same":
        margins = [
            _same_margins(size, taps, step)
            for size, taps, step in zip(first.shape[2:], (K, L), strides, strict=True)
        ]
        first = pad2d(first, tuple(margins))
    windows = windows2d(first, (K, L), tuple(strides))
    N, _, rows, columns = windows.shape[:4]
    matrix = windows.transpose(0, 2, 3, 4, 5, 1).reshape(N * rows * columns, -1)
    maps = matrix @ np.asarray(kernels, dtype=float).reshape(-1, F)
    return maps.reshape(N, rows, columns, F) + bias


@variant("q6-layer")
def channels_last(images, kernels, bias, strides, padding):
    if np.shape(images)[-1] != np.shape(kernels)[-2]:
        raise ValueError("kernels and images have different numbers of channels")
    if padding == "same":
        begins = [
            _same_margins(np.shape(images)[1 + a], np.shape(kernels)[a], strides[a])[0]
            for a in (0, 1)
        ]
        sizes = [-(-np.shape(images)[1 + a] // strides[a]) for a in (0, 1)]
    elif padding == "valid":
        begins = [0, 0]
        sizes = [
            output_size(np.shape(images)[1 + a], np.shape(kernels)[a], strides[a]) for a in (0, 1)
        ]
    else:
        raise ValueError(f"padding {padding!r} is unknown")
    N, H, W, C = np.shape(images)
    K, L = np.shape(kernels)[:2]
    room = np.zeros((N, sizes[0] * strides[0] + K + H, sizes[1] * strides[1] + L + W, C))
    room[:, begins[0] : begins[0] + H, begins[1] : begins[1] + W] = images
    down = np.arange(sizes[0])[:, None] * strides[0] + np.arange(K)
    across = np.arange(sizes[1])[:, None] * strides[1] + np.arange(L)
    windows = room[:, down[:, None, :, None], across[None, :, None, :]]
    return np.einsum("nijpqc,pqco->nijo", windows, np.asarray(kernels, dtype=float)) + bias


@variant("q6-layer")
def channels_last(images, kernels, bias, strides, padding):
    _check_layer(images, kernels, padding)
    padded = _padded(images, kernels, strides, padding)
    kernels = np.asarray(kernels, dtype=float)
    K, L, C, F = kernels.shape
    rows, columns = padded.shape[1] - K + 1, padded.shape[2] - L + 1
    everywhere = sum(
        padded[:, p : p + rows, q : q + columns, c, None] * kernels[p, q, c]
        for p in range(K)
        for q in range(L)
        for c in range(C)
    )
    return (everywhere + np.reshape(bias, (1, 1, 1, F)))[:, :: strides[0], :: strides[1]].copy()


# Question 7: between max and mean


def _counts(maps, window, strides):
    return [
        1 + -(-max(size - taps, 0) // step)
        for size, taps, step in zip(np.shape(maps)[1:], window, strides, strict=True)
    ]


def _pool(maps, window, strides, counts, of_cells):
    """The list of each window's cells, handed to a function that gives one number."""
    maps = np.array(maps, dtype=float)
    pooled = np.zeros((len(maps), *counts))
    for c, i, j in np.ndindex(pooled.shape):
        top, left = i * strides[0], j * strides[1]
        cells = maps[c, top : top + window[0], left : left + window[1]]
        pooled[c, i, j] = of_cells(cells.ravel().tolist())
    return pooled


def _mean_of_largest(keep):
    def of_cells(cells):
        kept = sorted(cells)[-keep:]
        return sum(kept) / len(kept)

    return of_cells


@misconception(
    "q7-pool-basic",
    "The ragged windows are dropped, and with them the last rows or columns. Here they are kept: "
    "windows go on until one of them reaches the last cell.",
)
def pool(maps, window, strides, keep):
    _check_pool(window, strides, keep)
    sizes = np.shape(maps)[1:]
    counts = [
        max((size - taps) // step + 1, 1)
        for size, taps, step in zip(sizes, window, strides, strict=True)
    ]
    return _pool(maps, window, strides, counts, _mean_of_largest(keep))


@misconception(
    "q7-pool-ragged",
    "Ragged windows are filled up with zeros. Zeros are numbers: they win against negative ones, "
    "and pull a mean down.",
)
def pool(maps, window, strides, keep):
    _check_pool(window, strides, keep)
    counts = _counts(maps, window, strides)

    def of_cells(cells):
        return _mean_of_largest(keep)(cells + [0.0] * (window[0] * window[1] - len(cells)))

    return _pool(maps, window, strides, counts, of_cells)


@misconception(
    "q7-pool-values",
    "The numbers farthest from 0 are kept, whatever their sign. Largest means largest: −1 is "
    "larger than −5.",
)
def pool(maps, window, strides, keep):
    _check_pool(window, strides, keep)
    counts = _counts(maps, window, strides)

    def of_cells(cells):
        kept = sorted(cells, key=abs)[-keep:]
        return sum(kept) / len(kept)

    return _pool(maps, window, strides, counts, of_cells)


@misconception(
    "q7-pool-values",
    "Equal numbers are counted once, as a set or np.unique does it. Two cells that hold 4 are two "
    "numbers.",
)
def pool(maps, window, strides, keep):
    _check_pool(window, strides, keep)
    counts = _counts(maps, window, strides)
    return _pool(
        maps, window, strides, counts, lambda cells: _mean_of_largest(keep)(list(set(cells)))
    )


@misconception(
    "q7-pool-basic",
    "The largest numbers are added up and not averaged. Divide by how many they are.",
)
def pool(maps, window, strides, keep):
    _check_pool(window, strides, keep)
    counts = _counts(maps, window, strides)
    return _pool(maps, window, strides, counts, lambda cells: sum(sorted(cells)[-keep:]))


@misconception(
    "q7-pool-ragged",
    "The sum is divided by keep even where the window holds fewer numbers. The mean is over those "
    "that are there.",
)
def pool(maps, window, strides, keep):
    _check_pool(window, strides, keep)
    counts = _counts(maps, window, strides)
    taps = window[0] * window[1]
    return _pool(
        maps,
        window,
        strides,
        counts,
        lambda cells: sum(sorted(cells)[-keep:]) / min(keep, taps),
    )


@misconception(
    "q7-pool-basic",
    "The windows lie side by side, as far apart as they are long. They begin a stride apart, and "
    "may overlap.",
)
def pool(maps, window, strides, keep):
    _check_pool(window, strides, keep)
    counts = _counts(maps, window, window)
    return _pool(maps, window, window, counts, _mean_of_largest(keep))


@misconception(
    "q7-pool-ragged",
    "There is a window at every stride, even after one has reached the last cell. Such a window "
    "holds nothing new; stop before it.",
)
def pool(maps, window, strides, keep):
    _check_pool(window, strides, keep)
    sizes = np.shape(maps)[1:]
    counts = [-(-size // step) for size, step in zip(sizes, strides, strict=True)]
    return _pool(maps, window, strides, counts, _mean_of_largest(keep))


@misconception(
    "q7-pool-basic",
    "Height and width are exchanged: the first number of window and strides belongs to the rows.",
)
def pool(maps, window, strides, keep):
    _check_pool(window, strides, keep)
    window, strides = window[::-1], strides[::-1]
    counts = _counts(maps, window, strides)
    return _pool(maps, window, strides, counts, _mean_of_largest(keep))


@misconception(
    "q7-pool-errors",
    "Strides that are longer than the window lose cells, and keep less than 1 means nothing. "
    "Both must be refused with a ValueError that names the argument.",
)
def pool(maps, window, strides, keep):
    strides = tuple(min(max(step, 1), taps) for step, taps in zip(strides, window, strict=True))
    counts = _counts(maps, window, strides)
    return _pool(maps, window, strides, counts, _mean_of_largest(max(keep, 1)))


@misconception(
    "q7-pool-ragged",
    "A window that is larger than the map by more than a stride gets lost, because the number of "
    "windows is reckoned from the last full one. The first window always counts.",
)
def pool(maps, window, strides, keep):
    _check_pool(window, strides, keep)
    maps = np.array(maps, dtype=float)
    (C, H, W), (K, L), (S, T) = maps.shape, window, strides
    rows, columns = range(0, H - K + S, S), range(0, W - L + T, T)
    pooled = np.zeros((C, len(rows), len(columns)))
    for c in range(C):
        for i, top in enumerate(rows):
            for j, left in enumerate(columns):
                cells = np.sort(maps[c, top : top + K, left : left + L].ravel())[::-1]
                pooled[c, i, j] = cells[:keep].mean()
    return pooled


@variant("q7-pool")
def pool(maps, window, strides, keep):
    _check_pool(window, strides, keep)
    rows, columns = _counts(maps, window, strides)
    maps = np.asarray(maps, dtype=float)
    C, H, W = maps.shape
    padded = np.full(
        (C, (rows - 1) * strides[0] + window[0], (columns - 1) * strides[1] + window[1]), np.nan
    )
    padded[:, :H, :W] = maps
    windows = windows2d(padded, window, strides).reshape(C, rows, columns, -1)
    falling = -np.sort(-windows, axis=-1)  # nan comes last
    return np.nanmean(falling[..., :keep], axis=-1)


@variant("q7-pool")
def pool(maps, window, strides, keep):
    (K, L), (S, T) = window, strides
    if not (0 < S <= K and 0 < T <= L):
        raise ValueError("strides")
    if keep <= 0:
        raise ValueError("keep")
    tables = np.asarray(maps, dtype=float).tolist()
    H, W = len(tables[0]), len(tables[0][0])
    tops = [i for i in range(0, H, S) if i == 0 or i - S + K < H]
    lefts = [j for j in range(0, W, T) if j == 0 or j - T + L < W]
    result = []
    for table in tables:
        lines = []
        for i in tops:
            line = []
            for j in lefts:
                cells = [x for row in table[i : i + K] for x in row[j : j + L]]
                cells.sort(reverse=True)
                line.append(np.mean(cells[:keep]))
            lines.append(line)
        result.append(lines)
    return np.array(result)


@variant("q7-pool")
def pool(maps, window, strides, keep):
    _check_pool(window, strides, keep)
    rows, columns = _counts(maps, window, strides)
    maps = np.array(maps, dtype=float)
    C, H, W = maps.shape
    lowest = np.full((C, rows * strides[0] + window[0], columns * strides[1] + window[1]), -np.inf)
    lowest[:, :H, :W] = maps
    totals, numbers = np.zeros((C, rows, columns)), np.zeros((C, rows, columns))
    stack = np.stack(
        [
            lowest[
                :, p : p + rows * strides[0] : strides[0], q : q + columns * strides[1] : strides[1]
            ]
            for p in range(window[0])
            for q in range(window[1])
        ]
    )
    for _ in range(min(keep, len(stack))):
        best = stack.argmax(axis=0)[None]
        values = np.take_along_axis(stack, best, axis=0)[0]
        there = values > -np.inf
        totals[there] += values[there]
        numbers += there
        np.put_along_axis(stack, best, -np.inf, axis=0)
    return totals / numbers


# Question 8: what sharing saves


def _count(channels, height, width, layers, shared, dense):
    pairs = []
    start = channels * height * width
    for filters, kernel_height, kernel_width, stride, groups, bias in layers:
        before = channels, height, width
        height = (height - kernel_height) // stride + 1
        width = (width - kernel_width) // stride + 1
        taps = kernel_height * kernel_width
        pairs.append(
            (
                int(shared(channels, filters, taps, groups, bias)),
                int(dense(before, (filters, height, width), bias, start)),
            )
        )
        channels = filters
    return pairs


def _shared(channels, filters, taps, groups, bias):
    return filters * (channels // groups * taps + bias)


def _dense(before, after, bias, start):
    return np.prod(after) * (np.prod(before) + bias)


@misconception(
    "q8-count-basic",
    "Each filter is counted as if it saw one channel: the way to the number 3,400. A filter has a "
    "kernel for every channel that comes in.",
)
def count_parameters(channels, height, width, layers):
    _check_count(channels, height, width, layers)
    return _count(
        channels, height, width, layers, lambda c, f, taps, g, bias: f * (taps + bias), _dense
    )


@misconception(
    "q8-count-basic",
    "There is a bias for every kernel. A filter has one bias, however many channels it sees.",
)
def count_parameters(channels, height, width, layers):
    _check_count(channels, height, width, layers)
    return _count(
        channels,
        height,
        width,
        layers,
        lambda c, f, taps, g, bias: f * (c // g) * (taps + bias),
        _dense,
    )


@misconception(
    "q8-count-layers",
    "The groups are left out. With G groups a filter sees only one channel in G.",
)
def count_parameters(channels, height, width, layers):
    _check_count(channels, height, width, layers)
    return _count(
        channels, height, width, layers, lambda c, f, taps, g, bias: f * (c * taps + bias), _dense
    )


@misconception(
    "q8-count-layers",
    "The biases are divided by the groups as well. Every filter keeps its own bias; "
    "only its kernels become fewer.",
)
def count_parameters(channels, height, width, layers):
    _check_count(channels, height, width, layers)
    return _count(
        channels,
        height,
        width,
        layers,
        lambda c, f, taps, g, bias: f * (c * taps + bias) // g,
        _dense,
    )


@misconception(
    "q8-count-layers",
    "Both the channels and the filters are divided by the groups. There are as many filters as "
    "before; each of them sees fewer channels.",
)
def count_parameters(channels, height, width, layers):
    _check_count(channels, height, width, layers)
    return _count(
        channels,
        height,
        width,
        layers,
        lambda c, f, taps, g, bias: f // g * (c // g) * taps + bias * f,
        _dense,
    )


@misconception(
    "q8-count-basic",
    "Every dense layer is fed with the picture itself. The layers stand one behind the other: "
    "the second gets what the first gives.",
)
def count_parameters(channels, height, width, layers):
    _check_count(channels, height, width, layers)

    def dense(before, after, bias, start):
        return np.prod(after) * (start + bias)

    return _count(channels, height, width, layers, _shared, dense)


@misconception(
    "q8-count-basic",
    "The dense layer is counted for one map. Its inputs are the numbers of all channels, and its "
    "outputs those of all maps.",
)
def count_parameters(channels, height, width, layers):
    _check_count(channels, height, width, layers)

    def dense(before, after, bias, start):
        return np.prod(after[1:]) * (np.prod(before[1:]) + bias)

    return _count(channels, height, width, layers, _shared, dense)


@misconception(
    "q8-count-layers",
    "Biases are counted where the layer has none. Look at its last entry, for both numbers.",
)
def count_parameters(channels, height, width, layers):
    _check_count(channels, height, width, layers)
    return _count(
        channels, height, width, [(*layer[:5], True) for layer in layers], _shared, _dense
    )


@misconception(
    "q8-count-layers",
    "The stride is left out, so the maps are too large, and the dense layers with them.",
)
def count_parameters(channels, height, width, layers):
    _check_count(channels, height, width, layers)
    plain = []
    for filters, kernel_height, kernel_width, _, groups, bias in layers:
        plain.append((filters, kernel_height, kernel_width, 1, groups, bias))
    return _count(channels, height, width, plain, _shared, _dense)


@misconception(
    "q8-count-errors",
    "Layers that cannot be built are counted all the same: groups that do not divide, or a kernel "
    "larger than its input. Refuse them with a ValueError.",
)
def count_parameters(channels, height, width, layers):
    return _count(channels, height, width, layers, _shared, _dense)


@variant("q8-count")
def count_parameters(channels, height, width, layers):
    if not layers:
        return []
    (filters, K, L, stride, groups, bias), *rest = layers
    if channels % groups != 0 or filters % groups != 0:
        raise ValueError(f"groups {groups}")
    if K > height or L > width:
        raise ValueError("layers do not fit")
    rows, columns = output_size(height, K, stride), output_size(width, L, stride)
    outputs = filters * rows * columns
    convolutional = K * L * channels * filters // groups
    dense = outputs * channels * height * width
    if bias:
        convolutional, dense = convolutional + filters, dense + outputs
    return [(convolutional, dense), *count_parameters(filters, rows, columns, rest)]


@variant("q8-count")
def count_parameters(channels, height, width, layers):
    _check_count(channels, height, width, layers)
    shapes = [(channels, height, width)]
    for filters, K, L, stride, _, _ in layers:
        _, H, W = shapes[-1]
        shapes.append((filters, 1 + (H - K) // stride, 1 + (W - L) // stride))
    pairs = []
    for layer, before, after in zip(layers, shapes, shapes[1:], strict=False):
        filters, K, L, _, groups, bias = layer
        inputs, outputs = np.prod(before, dtype=np.int64), np.prod(after, dtype=np.int64)
        one_filter = before[0] // groups * K * L + int(bias)
        pairs.append((filters * one_filter, outputs * (inputs + int(bias))))
    return pairs


@variant("q8-count")
def count_parameters(channels, height, width, layers):
    _check_count(channels, height, width, layers)
    pairs = []
    for filters, K, L, stride, groups, bias in layers:
        weights = 0
        for _ in range(groups):
            weights += (filters // groups) * (channels // groups) * K * L
        inputs = height * width * channels
        height, width = len(range(K, height + 1, stride)), len(range(L, width + 1, stride))
        channels = filters
        outputs = height * width * channels
        extra = (filters, outputs) if bias else (0, 0)
        pairs.append((weights + extra[0], inputs * outputs + extra[1]))
    return pairs


# Question 9: who heard it


def _length_after(length, layer):
    kernel_size, stride, padding, dilation = layer
    return (length + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1


def _step(touched, layer):
    """The units of the next layer that read one of these places, in or out of its limits."""
    kernel_size, stride, padding, dilation = layer
    units = set()
    for place in touched:
        for tap in range(kernel_size):
            begin = place + padding - tap * dilation
            if begin % stride == 0:
                units.add(begin // stride)
    return units


@misconception(
    "q9-reached-basic",
    "The padding moves the units, and that is left out: unit i begins at place i * stride - "
    "padding.",
)
def reached(sample, length, layers):
    _check_reached(sample, length, layers)
    touched = {sample}
    for kernel_size, stride, padding, dilation in layers:
        new_length = _length_after(length, (kernel_size, stride, padding, dilation))
        touched = _step(touched, (kernel_size, stride, 0, dilation))
        touched, length = {unit for unit in touched if 0 <= unit < new_length}, new_length
    return sorted(touched)


@misconception(
    "q9-reached-basic",
    "All units between the first and the last are named. A kernel with holes skips some of them.",
)
def reached(sample, length, layers):
    _check_reached(sample, length, layers)
    touched = {sample}
    for layer in layers:
        touched, length = _step(touched, layer), _length_after(length, layer)
        touched = {unit for unit in touched if 0 <= unit < length}
    return list(range(min(touched), max(touched) + 1)) if touched else []


@misconception(
    "q9-reached-basic",
    "Units are named that do not exist: below 0, or beyond the last window that fits. "
    "Work out the length of each layer.",
)
def reached(sample, length, layers):
    _check_reached(sample, length, layers)
    touched = {sample}
    for layer in layers:
        touched = _step(touched, layer)
    return sorted(unit for unit in touched if unit >= 0)


@misconception(
    "q9-reached-basic",
    "This is the receptive field, the samples that a unit reads. The question goes the other way: "
    "the units that read a sample.",
)
def reached(sample, length, layers):
    _check_reached(sample, length, layers)
    read = {sample}
    for kernel_size, stride, padding, dilation in reversed(layers):
        read = {
            unit * stride + tap * dilation - padding for unit in read for tap in range(kernel_size)
        }
    return sorted(place for place in read if 0 <= place < length)


@misconception(
    "q9-reached-stacks",
    "All layers are melted into one window with one stride. Between layers, though, the padding is "
    "zeros and no units, and what a stride or a hole skips is lost.",
)
def reached(sample, length, layers):
    _check_reached(sample, length, layers)
    size, jump, start = 1, 1, 0
    for kernel_size, stride, padding, dilation in layers:
        length = _length_after(length, (kernel_size, stride, padding, dilation))
        size += jump * dilation * (kernel_size - 1)
        start -= jump * padding
        jump *= stride
    return [unit for unit in range(length) if 0 <= sample - start - unit * jump < size]


@misconception(
    "q9-reached-stacks",
    "The dilation is left out: the taps of a kernel lie dilation places apart.",
)
def reached(sample, length, layers):
    _check_reached(sample, length, layers)
    touched = {sample}
    for kernel_size, stride, padding, dilation in layers:
        length = _length_after(length, (kernel_size, stride, padding, dilation))
        touched = _step(touched, (kernel_size, stride, padding, 1))
        touched = {unit for unit in touched if 0 <= unit < length}
    return sorted(touched)


@misconception(
    "q9-reached-stacks",
    "The layers are gone through from the last to the first. The sample meets the first layer "
    "first.",
)
def reached(sample, length, layers):
    _check_reached(sample, length, layers)
    touched = {sample}
    for layer in reversed(layers):
        touched, length = _step(touched, layer), _length_after(length, layer)
        touched = {unit for unit in touched if 0 <= unit < length}
    return sorted(touched)


@misconception(
    "q9-reached-errors",
    "A sample outside the recording, or a kernel that does not fit, gets an answer. "
    "Refuse both with a ValueError that names the argument.",
)
def reached(sample, length, layers):
    touched = {sample}
    for layer in layers:
        touched, length = _step(touched, layer), _length_after(length, layer)
        touched = {unit for unit in touched if 0 <= unit < length}
    return sorted(touched)


@misconception(
    "q9-reached-stacks",
    "On the way back through the layers, places in the padding are kept as if they were units. "
    "A zero of the padding depends on nothing: drop the places that lie outside each map.",
)
def reached(sample, length, layers):
    _check_reached(sample, length, layers)
    last = length
    for kernel_size, stride, padding, dilation in layers:
        last = (last + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
    found = []
    for unit in range(last):
        read = {unit}
        for kernel_size, stride, padding, dilation in reversed(layers):
            read = {
                place * stride + k * dilation - padding
                for place in read
                for k in range(kernel_size)
            }
        if sample in read:
            found.append(unit)
    return found


@misconception(
    "q9-reached-errors",
    "As soon as no unit is left the answer is an empty list, and the layers that follow are never "
    "looked at. One of them may be too long: refuse it first.",
)
def reached(sample, length, layers):
    if not 0 <= sample < length:
        raise ValueError("sample must lie in the input")
    units = {sample}
    for kernel_size, stride, padding, dilation in layers:
        if dilation * (kernel_size - 1) + 1 > length + 2 * padding:
            raise ValueError("layers must fit")
        length = (length + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
        taps = range(0, dilation * kernel_size, dilation)
        units = {i for i in range(length) for k in taps if i * stride + k - padding in units}
        if not units:
            return []
    return sorted(units)


@variant("q9-reached")
def reached(sample, length, layers):
    _check_reached(sample, length, layers)
    touched = {sample}
    for layer in layers:
        touched, length = _step(touched, layer), _length_after(length, layer)
        touched = {unit for unit in touched if 0 <= unit < length}
    return sorted(touched)


@variant("q9-reached")
def reached(sample, length, layers):
    if sample < 0 or sample >= length:
        raise ValueError("sample is not in the recording")
    signal = np.zeros(length)
    signal[sample] = 1
    for kernel_size, stride, padding, dilation in layers:
        padded = np.pad(signal, padding)
        span = dilation * (kernel_size - 1) + 1
        if span > len(padded):
            raise ValueError("layers do not fit")
        windows = np.lib.stride_tricks.sliding_window_view(padded, span)
        signal = windows[::stride, ::dilation].any(axis=1).astype(float)
    return np.flatnonzero(signal).tolist()


@variant("q9-reached")
def reached(sample, length, layers):
    _check_reached(sample, length, layers)
    lengths = [length]
    for kernel_size, stride, padding, dilation in layers:
        lengths.append(output_size(lengths[-1], kernel_size, stride, padding, dilation))

    def depends(unit, depth):
        if depth == 0:
            return unit == sample
        kernel_size, stride, padding, dilation = layers[depth - 1]
        places = (unit * stride + k * dilation - padding for k in range(kernel_size))
        return any(
            0 <= place < lengths[depth - 1] and depends(place, depth - 1) for place in places
        )

    return [unit for unit in range(lengths[-1]) if depends(unit, len(layers))]
