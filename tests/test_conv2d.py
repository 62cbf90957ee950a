"""The convolution layer is torch's, exact on whole numbers, and refuses what does not fit.

Random shapes are drawn so that pictures and kernels are seldom square, strides and dilations differ
by direction, and sizes need not divide.
"""

import inspect
import re
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from cnnbook.convolution import correlate2d, output_size
from cnnbook.layers import conv2d

INTEGERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
FLOATS = ("float32", "float64", "longdouble")


def pair(numbers):
    return st.tuples(numbers, numbers)


@st.composite
def layers(draw, kind="int64"):
    """Draw the arguments of a layer; padding may differ at all four edges."""
    groups, share, filters = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(pair(WIDTH))
    kernel, dilation, stride = draw(pair(WIDTH)), draw(pair(WIDTH)), draw(pair(WIDTH))
    padding = [draw(pair(st.integers(0, taps - 1))) for taps in kernel]
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    sizes = [
        max(1, span - sum(widths)) + draw(st.integers(0, 6))
        for span, widths in zip(spans, padding, strict=True)
    ]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = {
        "images": (draw(st.sampled_from([0, 1, 1, 2, 3])), groups * share, *sizes),
        "kernels": (groups * filters[0], share, *kernel),
        "bias": (groups * filters[0],),
    }
    arrays = {name: random.integers(-9, 10, shape) for name, shape in shapes.items()}
    if np.dtype(kind).kind == "f":
        arrays = {name: random.normal(size=shape).astype(kind) for name, shape in shapes.items()}
    if not draw(st.booleans()):
        arrays["bias"] = None
    return {
        **arrays,
        "stride": stride,
        "padding": tuple(padding),
        "dilation": dilation,
        "groups": groups,
    }


WIDTH = st.integers(1, 4)


def by_torch(images, kernels, bias, stride, padding, dilation, groups):
    """Compute the layer in torch, with zeros put around the pictures beforehand."""
    images, kernels = torch.tensor(images), torch.tensor(kernels)
    (above, below), (left, right) = padding
    padded = functional.pad(images, (left, right, above, below))
    bias = None if bias is None else torch.tensor(bias)
    return functional.conv2d(padded, kernels, bias, stride, 0, dilation, groups).numpy()


@given(layers())
def test_in_whole_numbers_the_layer_is_torch_s(layer):
    result = conv2d(**layer)
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, by_torch(**layer), strict=True)


@pytest.mark.parametrize("kind", ("float32", "float64"))
def test_in_floats_the_layer_is_torch_s_up_to_rounding(kind):
    @given(layers(kind))
    def agrees(layer):
        result, expected = conv2d(**layer), by_torch(**layer)
        assert result.dtype == kind
        assert result.shape == expected.shape
        positive = {
            name: None if layer[name] is None else np.abs(layer[name])
            for name in ("images", "kernels", "bias")
        }
        scale = conv2d(**{**layer, **positive})
        terms = layer["kernels"][0].size + 1
        assert (np.abs(result - expected) <= 2 * terms * np.finfo(kind).eps * scale).all()

    agrees()


@given(layers())
def test_output_size_gives_height_and_width(layer):
    sizes = [
        output_size(*arguments)
        for arguments in zip(
            layer["images"].shape[2:],
            layer["kernels"].shape[2:],
            layer["stride"],
            layer["padding"],
            layer["dilation"],
            strict=True,
        )
    ]
    expected = (len(layer["images"]), len(layer["kernels"]), *sizes)
    assert conv2d(**layer).shape == expected


def test_each_output_is_the_sum_that_the_docstring_names():
    random = np.random.default_rng(5)
    images, kernels = random.integers(-9, 10, (2, 4, 7, 9)), random.integers(-9, 10, (6, 2, 3, 2))
    bias, stride, dilation = random.integers(-9, 10, 6), (2, 3), (1, 4)
    result = conv2d(images, kernels, bias, stride, ((1, 2), (0, 3)), dilation, groups=2)
    padded = np.zeros((2, 4, 10, 12), int)
    padded[:, :, 1:8, 0:9] = images
    assert result.shape == (2, 6, 4, 3)
    for n, o, i, j in np.ndindex(result.shape):
        total = bias[o]
        for c, p, q in np.ndindex(kernels.shape[1:]):
            row, column = 2 * i + 1 * p, 3 * j + 4 * q
            total += kernels[o, c, p, q] * padded[n, (o // 3) * 2 + c, row, column]
        assert result[n, o, i, j] == total


def test_one_channel_and_one_filter_are_a_cross_correlation():
    random = np.random.default_rng(6)
    image, kernel = random.integers(-9, 10, (7, 5)), random.integers(-9, 10, (2, 3))
    result = conv2d(image[None, None], kernel[None, None])
    np.testing.assert_array_equal(result[0, 0], correlate2d(image, kernel))


def test_one_number_stands_for_both_directions_and_all_edges():
    images, kernels = np.arange(120).reshape(1, 2, 6, 10), np.arange(24).reshape(3, 2, 2, 2)
    once = conv2d(images, kernels, None, 2, 1, 3)
    spelled = conv2d(images, kernels, None, (2, 2), ((1, 1), (1, 1)), (3, 3))
    np.testing.assert_array_equal(once, spelled)
    mixed = conv2d(images, kernels, padding=(1, (0, 2)))
    np.testing.assert_array_equal(mixed, conv2d(images, kernels, padding=((1, 1), (0, 2))))


@pytest.mark.parametrize("images_type", INTEGERS)
@pytest.mark.parametrize("kernels_type", INTEGERS)
def test_every_integer_type_is_computed_exactly_in_int64(images_type, kernels_type):
    images = np.array([[[[1, 100, 0, 120], [120, 7, 90, 3]]]], dtype=images_type)
    kernels = np.array([[[[100, 0, 127]]]], dtype=kernels_type)
    result = conv2d(images, kernels, np.array([120], dtype=images_type))
    wide = by_torch(
        *(array.astype("int64") for array in (images, kernels, np.array([120], images_type))),
        1,
        ((0, 0), (0, 0)),
        1,
        1,
    )
    np.testing.assert_array_equal(result, wide, strict=True)


@pytest.mark.parametrize("kind", FLOATS)
def test_floats_keep_their_type_and_a_mixture_becomes_what_numpy_makes_of_it(kind):
    ones = np.ones((1, 2, 3, 4), kind)
    assert conv2d(ones, ones, np.ones(1, kind)).dtype == kind
    assert conv2d(ones, ones.astype("int8")).dtype == np.result_type(kind, "int64")
    assert conv2d(ones, ones.astype("float32")).dtype == np.result_type(kind, "float32")
    bias = np.ones(1, "float64")
    assert conv2d(ones, ones, bias).dtype == np.result_type(kind, "float64")


def test_pictures_and_kernels_that_are_not_contiguous_give_the_same_result():
    random = np.random.default_rng(7)
    images, kernels = random.normal(size=(5, 9, 11, 6)), random.normal(size=(7, 4, 3, 5))
    pictures = images.transpose(0, 3, 1, 2)[::2, :, ::-1, 1:]  # (3, 6, 9, 10)
    filters = kernels.transpose(0, 3, 2, 1)[::-1, 1:4, :, ::2]  # (7, 3, 3, 2)
    assert not pictures.flags.c_contiguous and not filters.flags.c_contiguous
    for groups, some in ((2, filters[:6]), (1, np.concatenate([filters, filters], axis=1))):
        expected = conv2d(pictures.copy(), some.copy(), groups=groups, stride=2)
        result = conv2d(pictures, some, groups=groups, stride=2)
        np.testing.assert_array_equal(result, expected)
        assert not np.allclose(result, 0)


def test_an_empty_batch_gives_an_empty_batch_of_maps():
    result = conv2d(np.empty((0, 3, 8, 5), "float32"), np.ones((4, 3, 2, 3), "float32"), stride=2)
    assert result.shape == (0, 4, 4, 2)
    assert result.dtype == np.float32


@pytest.mark.parametrize("kind", ("int64", "float64"))
def test_arguments_are_not_changed_and_results_share_no_memory_with_them(kind):
    images, kernels, bias = np.ones((2, 1, 3, 4), kind), np.ones((1, 1, 1, 1), kind), np.ones(1)
    bias = bias.astype(kind)
    for array in (images, kernels, bias):
        array.setflags(write=False)
    result = conv2d(images, kernels, bias)
    result += 1
    assert not any(np.shares_memory(result, array) for array in (images, kernels, bias))
    assert (images == 1).all() and (kernels == 1).all() and (bias == 1).all()


def test_groups_are_the_layer_whose_kernels_across_groups_are_zero():
    random = np.random.default_rng(8)
    images, kernels = random.integers(-9, 10, (2, 6, 5, 7)), random.integers(-9, 10, (9, 2, 2, 3))
    dense = np.zeros((9, 6, 2, 3), int)
    for group in range(3):
        rows, columns = slice(3 * group, 3 * group + 3), slice(2 * group, 2 * group + 2)
        dense[rows, columns] = kernels[rows]
    np.testing.assert_array_equal(conv2d(images, kernels, groups=3), conv2d(images, dense))


def test_nan_in_a_picture_reaches_the_outputs_whose_window_holds_it_and_no_others():
    images = np.ones((3, 4, 6, 7))
    images[1, 2, 3, 4] = np.nan
    kernels = np.ones((6, 2, 3, 2))
    kernels[:, :, 1] = 0
    result = conv2d(images, kernels, groups=2, padding=1)
    windows = conv2d(
        (np.isnan(images)).astype(int), np.ones((6, 2, 3, 2), int), groups=2, padding=1
    )
    np.testing.assert_array_equal(np.isnan(result), windows > 0)
    assert np.isnan(result).sum() == 3 * 3 * 2


def test_nan_in_a_filter_or_its_bias_reaches_all_outputs_of_that_filter_and_no_others():
    kernels, bias = np.ones((4, 2, 3, 2)), np.zeros(4)
    kernels[1, 0, 2, 1] = bias[3] = np.nan
    result = conv2d(np.ones((2, 2, 5, 4)), kernels, bias, padding=1)
    assert np.isnan(result).all(axis=(0, 2, 3)).tolist() == [False, True, False, True]
    assert np.isnan(result).any(axis=(0, 2, 3)).tolist() == [False, True, False, True]


def test_an_infinity_of_a_filter_meets_the_zeros_of_the_padding_as_nan():
    kernels = np.array([[[[np.inf, 1.0]]]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result = conv2d(np.ones((1, 1, 1, 3)), kernels, padding=(0, (1, 0)))
    assert np.isnan(result[0, 0, 0]).tolist() == [True, False, False]


IMAGES, KERNELS, BIAS = np.ones((2, 6, 7, 9)), np.ones((4, 3, 3, 2)), np.ones(4)
TWO = {"images": IMAGES, "kernels": KERNELS, "bias": BIAS, "groups": 2}
DOES_NOT_FIT = {
    "channels": (
        {"groups": 1},
        "kernels was of shape (4, 3, 3, 2); its axis 1 was 3, it must be 6: the channels of "
        "images (axis 1), 6",
    ),
    "channels of a group": (
        {"kernels": np.ones((4, 2, 3, 2))},
        "kernels was of shape (4, 2, 3, 2); its axis 1 was 2, it must be 3: the channels of "
        "images (axis 1), 6, divided by groups, 2",
    ),
    "groups of channels": (
        {"groups": 4},
        "groups was 4; it must divide the channels of images (axis 1), 6",
    ),
    "groups of filters": (
        {"kernels": np.ones((5, 3, 3, 2))},
        "groups was 2; it must divide the output channels of kernels (axis 0), 5",
    ),
    "bias": (
        {"bias": np.ones(6)},
        "bias was of shape (6,); its axis 0 was 6, it must be 4: the output channels of kernels "
        "(axis 0)",
    ),
    "height": (
        {"dilation": (5, 1), "padding": ((0, 3), 4)},
        "kernels was of shape (4, 3, 3, 2); its axis 2 was 3, which with dilation 5 spans 11 "
        "rows, it must span at most 10: the rows of images (axis 2), 7, and 3 of padding",
    ),
    "width": (
        {"dilation": (1, 12), "padding": (4, (2, 0))},
        "kernels was of shape (4, 3, 3, 2); its axis 3 was 2, which with dilation 12 spans 13 "
        "columns, it must span at most 11: the columns of images (axis 3), 9, and 2 of padding",
    ),
    "three axes": (
        {"images": IMAGES[0]},
        "images was of shape (6, 7, 9); it must be of shape (N, C, H, W)",
    ),
    "one kernel": (
        {"kernels": KERNELS[0, 0]},
        "kernels was of shape (3, 2); it must be of shape (out_channels, in_channels // groups, "
        "kernel_height, kernel_width)",
    ),
    "one number as bias": (
        {"bias": 1.0},
        "bias was of shape (); it must be of shape (out_channels)",
    ),
    "no rows": (
        {"images": IMAGES[:, :, :0]},
        "images was of shape (2, 6, 0, 9); its axis 2 (H) was 0, it must be at least 1",
    ),
    "no channels": (
        {"images": IMAGES[:, :0]},
        "images was of shape (2, 0, 7, 9); its axis 1 (C) was 0, it must be at least 1",
    ),
    "no filters": (
        {"kernels": KERNELS[:0]},
        "kernels was of shape (0, 3, 3, 2); its axis 0 (out_channels) was 0, it must be at least 1",
    ),
}


@pytest.mark.parametrize("case", DOES_NOT_FIT)
def test_what_does_not_fit_is_named_with_its_axis_what_it_was_and_what_it_must_be(case):
    changed, message = DOES_NOT_FIT[case]
    assert conv2d(**TWO).shape == (2, 4, 5, 8)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        conv2d(**{**TWO, **changed})


@pytest.mark.parametrize("changed", ("images", "kernels", "bias"))
@pytest.mark.parametrize(
    "value, message",
    (
        (1j * np.ones((2, 2)), "was of dtype complex128; it must hold bool, integers or floats"),
        ("abc", "was of dtype <U3; it must hold bool, integers or floats"),
        ([[1, 2], [3]], "was a list that is no array "),
        (torch.ones(3, requires_grad=True), "was a Tensor that is no array "),
    ),
)
def test_what_is_no_array_of_real_numbers_is_named(changed, value, message):
    with pytest.raises(ValueError, match=f"^{changed} {message}"):
        conv2d(**{**TWO, changed: value})


@pytest.mark.parametrize("name", ("stride", "dilation", "groups"))
def test_a_stride_a_dilation_or_groups_below_one_or_not_whole_is_named(name):
    for value in (0, -1, 1.0, "1", None, True):
        with pytest.raises(ValueError, match=f"^{name} was {re.escape(repr(value))}; it must be "):
            conv2d(**{**TWO, name: value})


def test_a_bad_padding_is_named():
    for padding, message in (
        (-1, "padding was -1; it must be a pair (vertical, horizontal) or a whole number"),
        ((1, 2, 3), "padding was (1, 2, 3); it must be a whole number or a pair"),
        ((0, (1, -2)), "horizontal padding (after) was -2; it must be a whole number of at least"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            conv2d(**TWO, padding=padding)


def test_sums_that_might_pass_the_largest_int64_are_refused_and_all_others_are_exact():
    images, kernels = np.full((1, 1, 1, 4), 2**60), np.ones((1, 1, 1, 4), int)
    most = 2**63 - 1 - 4 * 2**60
    assert conv2d(images, kernels, [most]).item() == 2**63 - 1
    message = f"^images and kernels were whole numbers up to {2**60} and 1: a sum of 4 products"
    with pytest.raises(ValueError, match=message):
        conv2d(images, kernels, [most + 1])
    with pytest.raises(ValueError, match=f"^kernels held {2**63} or its negative; it "):
        conv2d(images, np.full((1, 1, 1, 4), 2**63, "uint64"))


def test_the_docstring_says_what_it_raises_and_where_it_comes_from():
    text = inspect.getdoc(conv2d)
    assert "ValueError" in text and "Source: " in text and "NaN" in text
