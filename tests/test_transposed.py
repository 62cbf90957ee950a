"""The transposed convolution is torch's, is the adjoint of `conv2d`, and refuses what does not fit.

Random shapes are drawn so that pictures and kernels are seldom square, and that strides, dilations
and paddings differ by direction.
"""

import inspect
import re
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional

from cnnbook.convolution import output_size
from cnnbook.layers import conv2d, conv2d_backward, conv_transpose2d, transposed_size

WIDTH = st.integers(1, 4)


def pair(numbers):
    return st.tuples(numbers, numbers)


@st.composite
def layers(draw, kind="int64", both_ends=False):
    """Draw the arguments of a layer; padding may differ at all four edges, unless `both_ends`."""
    groups, share, some = (draw(st.integers(1, 3)) for _ in range(3))
    kernel, dilation, stride = draw(pair(WIDTH)), draw(pair(WIDTH)), draw(pair(WIDTH))
    size, left_over = draw(pair(st.integers(1, 5))), [draw(st.integers(0, s - 1)) for s in stride]
    padding = []
    for n, k, s, d, r in zip(size, kernel, stride, dilation, left_over, strict=True):
        before = draw(st.integers(0, 5))
        padding.append((before, before if both_ends else draw(st.integers(0, 5))))
        assume(s * (n - 1) + d * (k - 1) + 1 + r > sum(padding[-1]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = {
        "images": (draw(st.sampled_from([0, 1, 1, 2, 3])), groups * share, *size),
        "kernels": (groups * share, some, *kernel),
        "bias": (groups * some,),
    }
    arrays = {name: random.integers(-9, 10, shape) for name, shape in shapes.items()}
    if np.dtype(kind).kind == "f":
        arrays = {name: random.normal(size=shape).astype(kind) for name, shape in shapes.items()}
    if not draw(st.booleans()):
        arrays["bias"] = None
    setting = {"stride": stride, "padding": tuple(padding), "output_padding": tuple(left_over)}
    return {**arrays, **setting, "dilation": dilation, "groups": groups}


def by_torch(images, kernels, bias, padding, **setting):
    """Compute the layer in torch, which cuts as much at both ends."""
    images, kernels = torch.tensor(images), torch.tensor(kernels)
    bias = None if bias is None else torch.tensor(bias)
    both = [before for before, _ in padding]
    return functional.conv_transpose2d(images, kernels, bias, padding=both, **setting).numpy()


@given(layers("float64", both_ends=True))
def test_whole_numbers_held_as_floats_give_torch_s_outputs_exactly(layer):
    for name in ("images", "kernels", "bias"):
        layer[name] = None if layer[name] is None else np.round(3 * layer[name])
    np.testing.assert_array_equal(conv_transpose2d(**layer), by_torch(**layer), strict=True)


@pytest.mark.parametrize("kind", ("float32", "float64"))
def test_in_floats_the_layer_is_torch_s_up_to_rounding(kind):
    @given(layers(kind, both_ends=True))
    def agrees(layer):
        result, expected = conv_transpose2d(**layer), by_torch(**layer)
        assert result.dtype == kind
        assert result.shape == expected.shape
        positive = {
            name: None if layer[name] is None else np.abs(layer[name])
            for name in ("images", "kernels", "bias")
        }
        scale = conv_transpose2d(**{**layer, **positive})
        terms = layer["kernels"].size + 1
        assert (np.abs(result - expected) <= 2 * terms * np.finfo(kind).eps * scale).all()

    agrees()


@given(layers())
def test_it_is_the_adjoint_of_conv2d_with_the_same_arguments(layer):
    """<conv2d(x), y> = <x, conv_transpose2d(y)>, and the size is one that conv2d maps back."""
    images, kernels, _ = (layer.pop(name) for name in ("images", "kernels", "bias"))
    result = conv_transpose2d(images, kernels, **layer)
    assert result.dtype == np.int64
    del layer["output_padding"]
    random = np.random.default_rng(images.size)
    others = random.integers(-9, 10, result.shape)
    forward = conv2d(others, kernels, **layer)
    assert forward.shape == images.shape
    assert (forward * images).sum() == (others * result).sum()


@given(layers())
def test_it_is_the_backward_pass_of_conv2d_for_the_pictures(layer):
    images, kernels, _ = (layer.pop(name) for name in ("images", "kernels", "bias"))
    result = conv_transpose2d(images, kernels, **layer)
    del layer["output_padding"]
    expected, _, _ = conv2d_backward(images, np.zeros_like(result), kernels, **layer)
    np.testing.assert_array_equal(result, expected, strict=True)


def test_each_pixel_adds_its_kernel_where_the_docstring_says():
    random = np.random.default_rng(5)
    images, kernels = random.integers(-9, 10, (2, 4, 3, 5)), random.integers(-9, 10, (4, 3, 3, 2))
    bias = random.integers(-9, 10, 6)
    padding, left_over = ((1, 2), (0, 3)), (1, 2)
    result = conv_transpose2d(images, kernels, bias, (2, 3), padding, left_over, (1, 4), groups=2)
    full = np.zeros((2, 6, 2 * 2 + 3 + 1, 3 * 4 + 5 + 2), int)
    for n, c, i, j in np.ndindex(images.shape):
        for o, p, q in np.ndindex(kernels.shape[1:]):
            place = n, (c // 2) * 3 + o, 2 * i + 1 * p, 3 * j + 4 * q
            full[place] += images[n, c, i, j] * kernels[c, o, p, q]
    expected = full[:, :, 1:-2, 0:-3] + bias[:, None, None]
    np.testing.assert_array_equal(result, expected, strict=True)


def test_the_result_is_a_convolution_of_the_spread_out_picture_with_the_turned_kernel():
    random = np.random.default_rng(6)
    images, kernels = random.integers(-9, 10, (2, 3, 4, 5)), random.integers(-9, 10, (3, 2, 3, 4))
    wide = np.zeros((2, 3, 2 * 3 + 1, 3 * 4 + 1), int)
    wide[:, :, ::2, ::3] = images
    turned = kernels[:, :, ::-1, ::-1].swapaxes(0, 1)
    expected = conv2d(wide, turned, padding=((1, 2), (3, 4)))
    result = conv_transpose2d(images, kernels, stride=(2, 3), padding=(1, 0), output_padding=(1, 1))
    np.testing.assert_array_equal(result, expected, strict=True)


def test_sizes_are_torch_s():
    compared = 0
    for case in product(range(1, 5), range(1, 5), range(1, 5), range(3), range(4), range(1, 4)):
        N, K, S, P, R, D = case
        if R >= S or S * (N - 1) + D * (K - 1) + 1 + R <= 2 * P:
            with pytest.raises(ValueError):
                transposed_size(*case)
            continue
        x, w = torch.empty(1, 1, N, 1, device="meta"), torch.empty(1, 1, K, 1, device="meta")
        setting = {"stride": (S, 1), "padding": (P, 0), "output_padding": (R, 0)}
        theirs = functional.conv_transpose2d(x, w, dilation=(D, 1), **setting)
        assert transposed_size(*case) == theirs.shape[2]
        compared += 1
    assert compared > 900


def test_output_padding_runs_through_exactly_the_sizes_that_a_convolution_maps_to_one():
    for M, K, S, D in product(range(1, 20), range(1, 5), range(1, 5), range(1, 4)):
        for P in ((0, 0), (1, 1), (0, 2), (3, 1)):
            if D * (K - 1) + 1 > M + sum(P):
                continue
            N = output_size(M, K, S, P, D)
            smallest = S * (N - 1) + D * (K - 1) + 1 - sum(P)
            if smallest >= 1:
                sizes = [transposed_size(N, K, S, P, R, D) for R in range(S)]
                assert M in sizes and sizes == list(range(smallest, smallest + S))
                assert {output_size(size, K, S, P, D) for size in sizes} == {N}


def test_one_number_stands_for_both_directions_and_all_edges():
    images, kernels = np.arange(60).reshape(1, 2, 5, 6), np.arange(36).reshape(2, 3, 2, 3)
    once = conv_transpose2d(images, kernels, None, 3, 1, 2, 2)
    spelled = conv_transpose2d(images, kernels, None, (3, 3), ((1, 1), (1, 1)), (2, 2), (2, 2))
    np.testing.assert_array_equal(once, spelled)
    mixed = conv_transpose2d(images, kernels, stride=2, padding=(1, (0, 2)))
    both = conv_transpose2d(images, kernels, stride=2, padding=((1, 1), (0, 2)))
    np.testing.assert_array_equal(mixed, both)


@pytest.mark.parametrize("kind", ("float32", "float64", "longdouble"))
def test_floats_keep_their_type_and_a_mixture_becomes_what_numpy_makes_of_it(kind):
    ones = np.ones((1, 1, 3, 4), kind)
    assert conv_transpose2d(ones, ones, np.ones(1, kind)).dtype == kind
    assert conv_transpose2d(ones, ones.astype("int8")).dtype == np.result_type(kind, "int64")
    assert conv_transpose2d(ones, ones, np.ones(1, "float64")).dtype == np.result_type(kind, "f8")
    small = conv_transpose2d(np.ones((1, 1, 2, 2), bool), np.full((1, 1, 1, 1), 100, "int8"))
    assert small.dtype == np.int64


def test_pictures_and_kernels_that_are_not_contiguous_give_the_same_result():
    random = np.random.default_rng(7)
    images, kernels = random.normal(size=(5, 4, 6, 6)), random.normal(size=(5, 4, 3, 6))
    pictures = images.transpose(0, 3, 1, 2)[::2, :, ::-1, 1:]  # (3, 6, 4, 5)
    filters = kernels.transpose(3, 2, 1, 0)[::-1, :, 1:, ::2]  # (6, 3, 3, 3)
    expected = conv_transpose2d(pictures.copy(), filters.copy(), groups=2, stride=2)
    result = conv_transpose2d(pictures, filters, groups=2, stride=2)
    np.testing.assert_array_equal(result, expected)
    assert not np.allclose(result, 0)


def test_an_empty_batch_gives_an_empty_batch_of_maps():
    empty, kernels = np.empty((0, 3, 4, 2), "float32"), np.ones((3, 5, 2, 3), "float32")
    result = conv_transpose2d(empty, kernels, stride=2)
    assert result.shape == (0, 5, 8, 5)
    assert result.dtype == np.float32


@pytest.mark.parametrize("kind", ("int64", "float64"))
def test_arguments_are_not_changed_and_results_share_no_memory_with_them(kind):
    arrays = [np.ones((1, 1, 3, 4), kind), np.ones((1, 1, 1, 1), kind), np.ones(1, kind)]
    for array in arrays:
        array.setflags(write=False)
    for given_arrays in (arrays, arrays[:2]):
        result = conv_transpose2d(*given_arrays)
        result += 1
        assert not any(np.shares_memory(result, array) for array in arrays)
    assert all((array == 1).all() for array in arrays)


def test_nan_in_a_picture_reaches_the_outputs_that_its_kernel_is_laid_on_and_no_others():
    images = np.ones((3, 4, 5, 6))
    images[1, 2, 3, 4] = np.nan
    kernels = np.zeros((4, 3, 3, 2))
    setting = {"stride": (2, 1), "dilation": (1, 3), "padding": (1, 0), "groups": 2}
    result = conv_transpose2d(images, kernels, **setting)
    laid = conv_transpose2d(np.isnan(images), np.ones((4, 3, 3, 2), int), **setting)
    np.testing.assert_array_equal(np.isnan(result), laid > 0)
    assert np.isnan(result).sum() == 3 * 3 * 2


def test_nan_in_a_kernel_reaches_the_outputs_that_its_tap_is_laid_on_and_no_others():
    kernels = np.zeros((2, 3, 3, 2))
    kernels[1, 2, 0, 1] = np.nan
    result = np.isnan(conv_transpose2d(np.ones((2, 2, 3, 4)), kernels, stride=2))
    expected = np.zeros((2, 3, 7, 8), bool)
    expected[:, 2, 0:5:2, 1::2] = True
    np.testing.assert_array_equal(result, expected)


IMAGES, KERNELS, BIAS = np.ones((2, 6, 4, 5)), np.ones((6, 3, 3, 2)), np.ones(6)
TWO = {"images": IMAGES, "kernels": KERNELS, "bias": BIAS, "stride": (2, 3), "groups": 2}
DOES_NOT_FIT = {
    "channels": (
        {"kernels": KERNELS[:4]},
        "kernels was of shape (4, 3, 3, 2); its axis 0 was 4, it must be 6: the channels of "
        "images (axis 1)",
    ),
    "groups": ({"groups": 4}, "groups was 4; it must divide the channels of images (axis 1), 6"),
    "bias": (
        {"bias": np.ones(3)},
        "bias was of shape (3,); its axis 0 was 3, it must be 6: groups times axis 1 of kernels",
    ),
    "one number as bias": (
        {"bias": 1.0},
        "bias was of shape (); it must be of shape (out_channels)",
    ),
    "rows left over": (
        {"output_padding": (2, 2)},
        "output_padding (vertical) was 2; it must be less than the stride, 2: a stride leaves no "
        "more over",
    ),
    "columns left over": (
        {"output_padding": (1, 3)},
        "output_padding (horizontal) was 3; it must be less than the stride, 3: a stride leaves "
        "no more over",
    ),
    "all rows cut off": (
        {"padding": ((4, 5), 0)},
        "padding (vertical) was (4, 5); together it must be less than 9, the rows that it is cut "
        "from",
    ),
    "all columns cut off": (
        {"padding": (0, 8), "output_padding": (0, 1)},
        "padding (horizontal) was (8, 8); together it must be less than 15, the columns that it "
        "is cut from",
    ),
    "three axes": (
        {"images": IMAGES[0]},
        "images was of shape (6, 4, 5); it must be of shape (N, C, H, W)",
    ),
    "one kernel": (
        {"kernels": KERNELS[0, 0]},
        "kernels was of shape (3, 2); it must be of shape (in_channels, out_channels // groups, "
        "kernel_height, kernel_width)",
    ),
    "no columns": (
        {"images": IMAGES[..., :0]},
        "images was of shape (2, 6, 4, 0); its axis 3 (W) was 0, it must be at least 1",
    ),
    "no output channels": (
        {"kernels": KERNELS[:, :0]},
        "kernels was of shape (6, 0, 3, 2); its axis 1 (out_channels // groups) was 0, it must be "
        "at least 1",
    ),
    "complex": (
        {"images": 1j * IMAGES},
        "images was of dtype complex128; it must hold bool, integers or floats",
    ),
}


@pytest.mark.parametrize("case", DOES_NOT_FIT)
def test_what_does_not_fit_is_named_with_what_it_was_and_what_it_must_be(case):
    changed, message = DOES_NOT_FIT[case]
    assert conv_transpose2d(**TWO).shape == (2, 6, 9, 14)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        conv_transpose2d(**{**TWO, **changed})


@pytest.mark.parametrize("name", ("stride", "dilation", "groups", "padding", "output_padding"))
def test_a_setting_that_is_not_whole_or_too_small_is_named(name):
    values = [-1, 1.0, "1", None, True] + [0] * (name not in ("padding", "output_padding"))
    for value in values:
        with pytest.raises(ValueError, match=f"^{name} was {re.escape(repr(value))}; it must be "):
            conv_transpose2d(**{**TWO, name: value})


SIZES = {"size": 4, "kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1, "dilation": 1}


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"size": 0}, "size was 0; it must be a whole number of at least 1"),
        ({"kernel_size": 2.0}, "kernel_size was 2.0; it must be a whole number of at least 1"),
        ({"stride": 0}, "stride was 0; it must be a whole number of at least 1"),
        ({"dilation": 0}, "dilation was 0; it must be a whole number of at least 1"),
        ({"padding": (1, -1)}, "padding (after) was -1; it must be a whole number of at least 0"),
        ({"output_padding": -1}, "output_padding was -1; it must be a whole number of at least 0"),
        ({"output_padding": 2}, "output_padding was 2; it must be less than the stride, 2: a"),
        ({"padding": 5}, "padding was (5, 5); together it must be less than 10, the samples that"),
    ],
)
def test_a_size_that_cannot_be_is_named(changed, message):
    assert transposed_size(**SIZES) == 8
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        transposed_size(**{**SIZES, **changed})


def test_sums_that_might_pass_the_largest_int64_are_refused_and_all_others_are_exact():
    images, kernels = np.full((1, 2, 2, 1), 2**60), np.ones((2, 1, 2, 1), int)
    most = 2**63 - 1 - 4 * 2**60
    result = conv_transpose2d(images, kernels, [most])
    assert result.max() == 2**63 - 1
    message = f"^images and kernels were whole numbers up to {2**60} and 1: a sum of 4 products"
    with pytest.raises(ValueError, match=message):
        conv_transpose2d(images, kernels, [most + 1])


@pytest.mark.parametrize("function", (conv_transpose2d, transposed_size))
def test_the_docstring_says_what_it_raises_and_where_it_comes_from(function):
    text = inspect.getdoc(function)
    assert "ValueError" in text and "Source: " in text
