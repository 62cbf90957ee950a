"""Checks of arguments for convolution: each returns arrays and ints, or raises ValueError."""

import numpy as np

from cnnbook import checks

MODES = ("full", "same", "valid")
BOUNDARIES = {"zero": "constant", "replicate": "edge", "reflect": "reflect", "circular": "wrap"}
AXES = ("vertical", "horizontal")


def check_signals(signal, kernel, mode):
    """Return signal and kernel as arrays of int64 or floats, or raise ValueError saying why not."""
    signal, kernel = _vector("signal", signal), _vector("kernel", kernel)
    check_lengths(len(signal), len(kernel), mode)
    checks.sums_fit(signal, kernel, min(len(signal), len(kernel)), "signal and kernel")
    return signal, kernel


def check_matrix(kernel, signal_length, mode):
    """Return kernel (an array) and signal length (an int), or raise ValueError saying why not."""
    kernel = _vector("kernel", kernel)
    signal_length, _ = check_lengths(signal_length, len(kernel), mode)
    return kernel, signal_length


def check_lengths(signal_length, kernel_length, mode):
    """Return both lengths as ints, or raise ValueError saying why not."""
    kernel_length = check_window(kernel_length, mode)
    signal_length = checks.whole("signal_length", signal_length, 1)
    if mode == "valid" and kernel_length > signal_length:
        raise ValueError(
            f"kernel was of length {kernel_length}; with mode 'valid' it must be at most as long "
            f"as signal, {signal_length}"
        )
    return signal_length, kernel_length


def check_window(kernel_length, mode):
    """Return the kernel's length as an int, or raise ValueError about it or the mode."""
    if not isinstance(mode, str) or mode not in MODES:
        raise ValueError(f"mode was {mode!r}; it must be 'full', 'same' or 'valid'")
    return checks.whole("kernel_length", kernel_length, 1)


def check_padding(signal, before, after, boundary):
    """Return signal (an array), before and after (ints), or raise ValueError saying why not."""
    signal = _vector("signal", signal)
    if not isinstance(boundary, str) or boundary not in BOUNDARIES:
        raise ValueError(f"boundary was {boundary!r}; it must be one of {', '.join(BOUNDARIES)}")
    widths = {
        name: checks.whole(name, width, 0) for name, width in (("before", before), ("after", after))
    }
    for name, width in widths.items():
        if boundary == "reflect" and width > len(signal) - 1:
            raise ValueError(
                f"{name} was {width}; it must be at most {len(signal) - 1}, because a signal of "
                f"{len(signal)} samples has no more to reflect"
            )
    return signal, widths["before"], widths["after"]


def _vector(name, values):
    return checks.real_array(name, values, ndim=1, shape="one-dimensional")


def check_size(size, kernel_size, stride, padding, dilation):
    """Return all as ints, padding as (before, after), or raise ValueError saying why not."""
    size = checks.whole("size", size, 1)
    kernel_size = checks.whole("kernel_size", kernel_size, 1)
    stride = checks.whole("stride", stride, 1)
    before, after = whole_pair("padding", padding, 0, ("before", "after"))
    dilation = checks.whole("dilation", dilation, 1)
    _spans_at_most("kernel_size", kernel_size, dilation, before + size + after, "the padded size")
    return size, kernel_size, stride, (before, after), dilation


def check_padding2d(image, padding, boundary):
    """Return image (an array) and two pairs of ints, or raise ValueError saying why not."""
    image = _pictures("image", image)
    if 0 in image.shape[-2:]:
        raise ValueError(
            f"image was of shape {image.shape}; its height and width must be at least 1"
        )
    if not isinstance(boundary, str) or boundary not in BOUNDARIES:
        raise ValueError(f"boundary was {boundary!r}; it must be one of {', '.join(BOUNDARIES)}")
    widths = []
    padding = _two("padding", padding, 0, AXES)
    for axis, width, length in zip(AXES, padding, image.shape[-2:], strict=True):
        widths.append(whole_pair(f"{axis} padding", width, 0, ("before", "after")))
        if boundary == "reflect" and max(widths[-1]) > length - 1:
            raise ValueError(
                f"{axis} padding was {width!r}; it must be at most {length - 1}, because an axis "
                f"of {length} samples has no more to reflect"
            )
    return checks.widen("image", image), *widths


def check_windows(images, kernel_shape, stride, dilation):
    """Return images (an array) and three pairs of ints, or raise ValueError saying why not."""
    images = _pictures("images", images)
    kernel_shape = whole_pair("kernel_shape", kernel_shape, 1, ("height", "width"))
    stride = whole_pair("stride", stride, 1, AXES)
    dilation = whole_pair("dilation", dilation, 1, AXES)
    for part, size, step, length in zip(
        ("height", "width"), kernel_shape, dilation, images.shape[-2:], strict=True
    ):
        _spans_at_most(f"kernel_shape ({part})", size, step, length, f"the {part} of images")
    return images, kernel_shape, stride, dilation


def whole_pair(name, value, least, parts):
    """Return two ints of at least `least`; one number stands for both. ValueError if it is neither.

    `parts` says what the two are, as in ("before", "after").
    """
    first, second = (
        checks.whole(f"{name} ({part})", number, least)
        for part, number in zip(parts, _two(name, value, least, parts), strict=True)
    )
    return first, second


def _two(name, value, least, parts):
    pair = f"a pair ({', '.join(parts)})"
    if not isinstance(value, tuple | list):
        return [checks.whole(name, value, least, otherwise=f"{pair} or ")] * 2
    if len(value) != 2:
        raise ValueError(f"{name} was {value!r}; it must be a whole number or {pair}")
    return value


def _spans_at_most(name, kernel_size, dilation, length, limit):
    span = dilation * (kernel_size - 1) + 1
    if span > length:
        raise ValueError(
            f"{name} was {kernel_size}, which with dilation {dilation} spans {span} samples; it "
            f"must span at most {length}, {limit}"
        )


def _pictures(name, values):
    array = checks.numbers(name, values, "an array of real numbers with at least two axes")
    if array.ndim < 2:
        raise ValueError(f"{name} was of shape {array.shape}; it must have at least two axes")
    return array


def check_image_and_kernel(image, kernel, mode):
    """Return image and kernel as arrays of int64 or floats, or raise ValueError saying why not."""
    image, kernel = _table("image", image), _table("kernel", kernel)
    check_window(len(kernel), mode)
    if mode == "valid":
        _fits(image, "kernel", kernel, "; with mode 'valid' it")
    terms = np.minimum(image.shape, kernel.shape).prod()
    checks.sums_fit(image, kernel, int(terms), "image and kernel")
    return image, kernel


def check_finite_kernel(kernel):
    """Return a kernel as an array of float32 or float64, or raise ValueError saying why not."""
    kernel = _table("kernel", kernel)
    _finite("kernel", kernel)
    return kernel if kernel.dtype == np.float32 else kernel.astype(np.float64)


def check_template(image, template):
    """Return image and template as arrays of float64, or raise ValueError saying why not."""
    image, template = _table("image", image), _table("template", template)
    _finite("image", image)
    _finite("template", template)
    _fits(image, "template", template, "; it")
    if template.min() == template.max():
        raise ValueError(
            f"template was {template.min()} at every pixel; it must hold different numbers"
        )
    return image.astype(np.float64), template.astype(np.float64)


def _table(name, values):
    return checks.real_array(name, values, ndim=2, shape="two-dimensional")


def _finite(name, values):
    if not np.isfinite(values).all():
        raise ValueError(f"{name} held NaN or infinity; it must hold finite numbers")


def _fits(image, name, window, must):
    words = (("height", "high"), ("width", "wide"))
    for (size, adjective), most, length in zip(words, image.shape, window.shape, strict=True):
        if length > most:
            raise ValueError(
                f"{name} was of {size} {length}{must} must be at most as {adjective} as image, "
                f"{most}"
            )
