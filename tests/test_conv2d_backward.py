"""The backward pass of the convolution layer is torch's, and refuses what does not fit.

Random shapes are drawn so that pictures and kernels are seldom square, strides and dilations differ
by direction, padding differs by edge, and sizes need not divide. Upstream gradients are random.
"""

import inspect
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from cnnbook.convolution import windows2d
from cnnbook.layers import conv2d, conv2d_backward
from cnnbook.layers.convolution import scatter_windows, unroll, unroll_backward

NAMES = ("d_images", "d_kernels", "d_bias")
WIDTH = st.integers(1, 4)


def pair(numbers):
    return st.tuples(numbers, numbers)


@st.composite
def layers(draw, kind="int64"):
    """Draw the arguments of a backward pass; padding may differ at all four edges."""
    groups, share, filters = (draw(st.integers(1, 3)) for _ in range(3))
    kernel, dilation, stride = draw(pair(WIDTH)), draw(pair(WIDTH)), draw(pair(WIDTH))
    padding = [draw(pair(st.integers(0, 3))) for _ in kernel]
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    sizes = [
        max(1, span - sum(widths)) + draw(st.integers(0, 6))
        for span, widths in zip(spans, padding, strict=True)
    ]
    setting = {"stride": stride, "padding": tuple(padding), "dilation": dilation, "groups": groups}
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def array(*shape):
        if np.dtype(kind).kind == "f":
            return random.normal(size=shape).astype(kind)
        return random.integers(-9, 10, shape).astype(kind)

    images = array(draw(st.sampled_from([0, 1, 1, 2, 3])), groups * share, *sizes)
    kernels = array(groups * filters, share, *kernel)
    upstream = array(*conv2d(images, kernels, **setting).shape)
    return {"upstream": upstream, "images": images, "kernels": kernels, **setting}


def by_torch(upstream, images, kernels, stride=(1, 1), padding=((0, 0), (0, 0)), **setting):
    """Let autograd compute the three gradients, with zeros put around the pictures beforehand."""
    (above, below), (left, right) = padding
    pictures, filters = (torch.tensor(array, requires_grad=True) for array in (images, kernels))
    bias = torch.zeros(len(kernels), dtype=filters.dtype, requires_grad=True)
    padded = functional.pad(pictures, (left, right, above, below))
    maps = functional.conv2d(padded, filters, bias, stride, **setting)
    gradients = torch.autograd.grad(maps, (pictures, filters, bias), torch.tensor(upstream))
    return [gradient.numpy() for gradient in gradients]


@given(layers("float64"))
def test_whole_numbers_held_as_floats_give_autograd_s_gradients_exactly(layer):
    for name in ("upstream", "images", "kernels"):
        layer[name] = np.round(3 * layer[name])
    for result, expected in zip(conv2d_backward(**layer), by_torch(**layer), strict=True):
        np.testing.assert_array_equal(result, expected, strict=True)


@given(layers())
def test_whole_numbers_give_the_same_gradients_in_int64(layer):
    arrays = {name: layer[name].astype("float64") for name in ("upstream", "images", "kernels")}
    expected = by_torch(**{**layer, **arrays})
    for result, gradient in zip(conv2d_backward(**layer), expected, strict=True):
        np.testing.assert_array_equal(result, gradient.astype("int64"), strict=True)


@pytest.mark.parametrize("kind", ("float32", "float64"))
def test_in_floats_the_gradients_are_autograd_s_up_to_rounding(kind):
    @given(layers(kind))
    def agrees(layer):
        positive = {name: np.abs(layer[name]) for name in ("upstream", "images", "kernels")}
        scales = conv2d_backward(**{**layer, **positive})
        terms = layer["upstream"].size + layer["kernels"].size
        results = zip(conv2d_backward(**layer), by_torch(**layer), scales, strict=True)
        for result, expected, scale in results:
            assert result.dtype == kind
            assert result.shape == expected.shape
            assert (np.abs(result - expected) <= 2 * terms * np.finfo(kind).eps * scale).all()

    agrees()


@given(layers())
def test_each_gradient_is_the_adjoint_of_the_layer_in_its_argument(layer):
    """<upstream, change of the output> is <gradient, change of the argument>, for each of three."""
    upstream, images, kernels = (layer.pop(name) for name in ("upstream", "images", "kernels"))
    random = np.random.default_rng(upstream.size)
    other_images, other_kernels, bias = (
        random.integers(-9, 10, shape) for shape in (images.shape, kernels.shape, len(kernels))
    )
    d_images, d_kernels, d_bias = conv2d_backward(upstream, images, kernels, **layer)
    by_images = conv2d(other_images, kernels, **layer)
    by_kernels = conv2d(images, other_kernels, **layer)
    assert (upstream * by_images).sum() == (d_images * other_images).sum()
    assert (upstream * by_kernels).sum() == (d_kernels * other_kernels).sum()
    assert (upstream * bias[:, None, None]).sum() == (d_bias * bias).sum()


def test_each_gradient_is_the_sum_over_the_loops_of_the_forward_pass():
    random = np.random.default_rng(5)
    images, kernels = random.integers(-9, 10, (2, 4, 7, 9)), random.integers(-9, 10, (6, 2, 3, 2))
    setting = {"stride": (2, 3), "padding": ((1, 2), (0, 3)), "dilation": (1, 4), "groups": 2}
    upstream = random.integers(-9, 10, (2, 6, 4, 3))
    padded = np.zeros((2, 4, 10, 12), int)
    padded[:, :, 1:8, 0:9] = images
    d_padded, d_kernels = np.zeros_like(padded), np.zeros_like(kernels)
    for n, o, i, j in np.ndindex(upstream.shape):
        for c, p, q in np.ndindex(kernels.shape[1:]):
            place = n, (o // 3) * 2 + c, 2 * i + 1 * p, 3 * j + 4 * q
            d_padded[place] += upstream[n, o, i, j] * kernels[o, c, p, q]
            d_kernels[o, c, p, q] += upstream[n, o, i, j] * padded[place]
    result = conv2d_backward(upstream, images, kernels, **setting)
    np.testing.assert_array_equal(result[0], d_padded[:, :, 1:8, 0:9])
    np.testing.assert_array_equal(result[1], d_kernels)
    np.testing.assert_array_equal(result[2], upstream.sum(axis=3).sum(axis=2).sum(axis=0))


def test_a_pixel_that_no_window_reads_gets_exactly_zero():
    images, kernels = np.full((1, 1, 8, 11), np.nan), np.ones((2, 1, 2, 3))
    kernels[0, 0, 0, 0] = np.inf
    read = np.zeros((8, 11), bool)
    windows = windows2d(np.arange(88).reshape(8, 11), (2, 3), (3, 2), (1, 2))
    read.flat[np.unique(windows)] = True
    upstream = np.ones((1, 2, 3, 4))
    d_images, _, _ = conv2d_backward(upstream, images, kernels, (3, 2), dilation=(1, 2))
    assert (d_images[0, 0] != 0).tolist() == read.tolist()
    assert not read.all()


def test_one_number_stands_for_both_directions_and_all_edges():
    images, kernels = np.arange(120).reshape(1, 2, 6, 10), np.arange(24).reshape(3, 2, 2, 2)
    upstream = np.arange(conv2d(images, kernels, None, 2, 1, 3).size).reshape(1, 3, 3, 5)
    once = conv2d_backward(upstream, images, kernels, 2, 1, 3)
    spelled = conv2d_backward(upstream, images, kernels, (2, 2), ((1, 1), (1, 1)), (3, 3))
    for first, second in zip(once, spelled, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", ("int8", "uint16", "bool", "int64"))
def test_every_integer_type_is_computed_exactly_in_int64(kind):
    ones = np.ones((2, 3, 12, 13), kind)
    results = conv2d_backward(np.ones((2, 4, 11, 11), kind), ones, np.ones((4, 3, 2, 3), kind))
    assert [result.dtype for result in results] == [np.int64] * 3
    assert [int(result.max()) for result in results] == [4 * 2 * 3, 2 * 11 * 11, 2 * 11 * 11]


@pytest.mark.parametrize("kind", ("float32", "float64", "longdouble"))
def test_floats_keep_their_type_and_a_mixture_becomes_what_numpy_makes_of_it(kind):
    upstream, images, kernels = (
        np.ones(shape, kind) for shape in ((1, 3, 2, 4), (1, 2, 3, 4), (3, 2, 2, 1))
    )
    assert {result.dtype for result in conv2d_backward(upstream, images, kernels)} == {
        np.dtype(kind)
    }
    for mixed in (
        conv2d_backward(upstream.astype("float64"), images, kernels),
        conv2d_backward(upstream, images, kernels.astype("float64")),
        conv2d_backward(upstream, images.astype("int16"), kernels.astype("float64")),
    ):
        assert {result.dtype for result in mixed} == {np.result_type(kind, "float64")}


def test_arrays_that_are_not_contiguous_give_the_same_gradients():
    random = np.random.default_rng(7)
    pictures = random.normal(size=(5, 9, 11, 6)).transpose(0, 3, 1, 2)[::2, :, ::-1, 1:]
    filters = random.normal(size=(7, 4, 3, 5)).transpose(0, 3, 2, 1)[::-1, 1:4, :, ::2][:6]
    upstream = random.normal(size=(5, 7, 3, 6)).transpose(2, 3, 1, 0)[:, :, ::-2]
    assert not any(array.flags.c_contiguous for array in (upstream, pictures, filters))
    setting = {"stride": 2, "groups": 2}
    results = conv2d_backward(upstream, pictures, filters, **setting)
    copies = conv2d_backward(upstream.copy(), pictures.copy(), filters.copy(), **setting)
    expected = by_torch(
        upstream.copy(), pictures.copy(), filters.copy(), **{**setting, "stride": (2, 2)}
    )
    for result, copy, gradient in zip(results, copies, expected, strict=True):
        np.testing.assert_allclose(result, copy, rtol=0, atol=1e-12)
        np.testing.assert_allclose(result, gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize("side", (30, 45, 70))
def test_a_batch_too_large_to_be_taken_at_once_is_taken_in_parts(side):
    """Five pictures, by 5 or more, by 2, and one by one."""
    draw = np.random.default_rng(side)
    images, kernels = draw.normal(size=(5, 8, side, side + 1)), draw.normal(size=(6, 8, 3, 2))
    upstream = draw.normal(size=conv2d(images, kernels).shape)
    given = [torch.tensor(array, requires_grad=True) for array in (images, kernels)]
    expected = torch.autograd.grad(functional.conv2d(*given), given, torch.tensor(upstream))
    results = conv2d_backward(upstream, images, kernels)
    for result, wanted in zip(results, expected, strict=False):
        np.testing.assert_allclose(result, wanted, rtol=0, atol=1e-10 * wanted.abs().max())


def test_the_gradient_of_the_pictures_is_left_out_if_nobody_asks_for_it():
    draw = np.random.default_rng(0)
    images, kernels = draw.normal(size=(3, 4, 7, 6)), draw.normal(size=(6, 2, 3, 2))
    settings = {"stride": (2, 1), "padding": (1, 0), "groups": 2}
    upstream = draw.normal(size=conv2d(images, kernels, **settings).shape)
    none, *results = conv2d_backward(upstream, images, kernels, image_gradient=False, **settings)
    assert none is None
    expected = conv2d_backward(upstream, images, kernels, **settings)[1:]
    assert all(map(np.array_equal, results, expected))


@pytest.mark.parametrize("kind", ("float32", "int64"))
def test_an_empty_batch_has_no_gradient_of_pictures_and_zero_for_kernels_and_bias(kind):
    upstream, images = np.empty((0, 4, 4, 2), kind), np.empty((0, 3, 8, 5), kind)
    results = conv2d_backward(upstream, images, np.ones((4, 3, 2, 3), kind), stride=2)
    assert [result.shape for result in results] == [(0, 3, 8, 5), (4, 3, 2, 3), (4,)]
    assert not any(result.any() for result in results)
    assert {result.dtype for result in results} == {np.dtype(kind)}


@pytest.mark.parametrize("kind", ("int64", "float64"))
@pytest.mark.parametrize("padding", (0, 1))
def test_arguments_are_not_changed_and_results_share_no_memory_with_them(kind, padding):
    shape = (2, 1, 3 + 2 * padding, 4 + 2 * padding)
    arrays = [np.ones(size, kind) for size in (shape, (2, 1, 3, 4), (1, 1, 1, 1))]
    for array in arrays:
        array.setflags(write=False)
    results = conv2d_backward(*arrays, padding=padding)
    for result in results:
        result += 1
        assert not any(np.shares_memory(result, array) for array in arrays)
    assert all((array == 1).all() for array in arrays)


def test_nan_goes_where_the_docstring_says():
    images, kernels = np.ones((2, 4, 5, 6)), np.ones((6, 2, 3, 2))
    upstream = np.ones((2, 6, 3, 5))
    upstream[1, 4, 2, 3] = np.nan
    d_images, d_kernels, d_bias = conv2d_backward(upstream, images, kernels, groups=2)
    window = np.zeros(images.shape, bool)
    window[1, 2:, 2:5, 3:5] = True
    assert (np.isnan(d_images) == window).all()
    assert np.isnan(d_kernels).all(axis=(1, 2, 3)).tolist() == [o == 4 for o in range(6)]
    assert np.isnan(d_kernels).any(axis=(1, 2, 3)).tolist() == [o == 4 for o in range(6)]
    assert np.isnan(d_bias).tolist() == [o == 4 for o in range(6)]
    images[0, 1, 0, 2] = np.nan  # in the first row: only the uppermost taps lie on it
    upstream[1, 4, 2, 3] = 1
    d_images, d_kernels, d_bias = conv2d_backward(upstream, images, kernels, groups=2)
    taps = np.zeros(kernels.shape, bool)
    taps[:3, 1, 0] = True
    assert (np.isnan(d_kernels) == taps).all()
    assert not np.isnan(d_images).any() and not np.isnan(d_bias).any()


@given(layers())
def test_scattering_windows_is_the_adjoint_of_taking_them(layer):
    images, shape = layer["images"], layer["kernels"].shape[2:]
    setting = layer["stride"], layer["dilation"]
    images = np.pad(images, [(0, 0), (0, 0), *layer["padding"]])
    windows = windows2d(images, shape, *setting)
    others = np.random.default_rng(images.size).integers(-9, 10, windows.shape)
    scattered = np.zeros_like(images)
    scatter_windows(others, scattered, *setting)
    assert (windows * others).sum() == (images * scattered).sum()
    again = scattered.copy()
    scatter_windows(others, again, *setting)
    np.testing.assert_array_equal(again, 2 * scattered)


UPSTREAM, IMAGES, KERNELS = np.ones((2, 4, 5, 8)), np.ones((2, 6, 7, 9)), np.ones((4, 3, 3, 2))
TWO = {"upstream": UPSTREAM, "images": IMAGES, "kernels": KERNELS, "groups": 2}


@pytest.mark.parametrize(
    "shape", ((1, 4, 5, 8), (2, 3, 5, 8), (2, 4, 4, 8), (2, 4, 5, 9), (2, 4, 8, 5))
)
def test_an_upstream_of_another_shape_than_the_output_s_is_named(shape):
    assert conv2d_backward(**TWO)[0].shape == IMAGES.shape
    message = (
        f"upstream was of shape {shape}; it must be of shape (2, 4, 5, 8), as the output of the "
        f"layer is"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        conv2d_backward(**{**TWO, "upstream": np.ones(shape)})


@pytest.mark.parametrize(
    "changed, message",
    (
        ({"upstream": UPSTREAM[0]}, "upstream was of shape (4, 5, 8); it must be of shape (N, "),
        ({"upstream": UPSTREAM[:, :, :0]}, "upstream was of shape (2, 4, 0, 8); its axis 2 (out_"),
        ({"upstream": 1j * UPSTREAM}, "upstream was of dtype complex128; it must hold bool"),
        ({"upstream": [[1, 2], [3]]}, "upstream was a list that is no array "),
        ({"images": IMAGES[0]}, "images was of shape (6, 7, 9); it must be of shape (N, C, H, W)"),
        ({"kernels": KERNELS[:3]}, "groups was 2; it must divide the output channels of kernels"),
        ({"stride": 0}, "stride was 0; it must be "),
        ({"padding": -1}, "padding was -1; it must be "),
        ({"dilation": 9}, "kernels was of shape (4, 3, 3, 2); its axis 2 was 3, which with dil"),
        ({"groups": 4}, "groups was 4; it must divide the channels of images (axis 1), 6"),
        ({"image_gradient": None}, "image_gradient was None; it must be True or False"),
    ),
)
def test_what_does_not_fit_is_named_with_what_it_was_and_what_it_must_be(changed, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        conv2d_backward(**{**TWO, **changed})


def test_sums_that_might_pass_the_largest_int64_are_refused_and_all_others_are_exact():
    images, kernels = np.ones((3, 1, 1, 4), int), np.zeros((2, 1, 1, 3), int)
    most = (2**63 - 1) // 6  # six places: three pictures, two windows
    upstream = np.full((3, 2, 1, 2), most)
    _, d_kernels, d_bias = conv2d_backward(upstream, images, kernels)
    assert d_kernels.max() == d_bias.max() == 6 * most
    for pictures in (images, 0 * images):  # without a pixel, the bias alone would pass it
        message = f"^upstream and images were whole numbers up to {most + 1} and 1: a sum of 6 "
        with pytest.raises(ValueError, match=message):
            conv2d_backward(upstream + 1, pictures, kernels)
    kernels[:] = 2**60
    ones, pictures = np.ones((3, 2, 1, 2), int), np.zeros((3, 1, 1, 4), int)
    assert conv2d_backward(ones, pictures, kernels)[0].max() == 4 * 2**60
    with pytest.raises(ValueError, match=r"^upstream and kernels were .* a sum of 6 products"):
        conv2d_backward(2 * ones, pictures, kernels)
    assert conv2d_backward(2.0 * ones, pictures, kernels)[0].max() == 2.0**63


@pytest.mark.parametrize("function", (conv2d_backward, scatter_windows, unroll, unroll_backward))
def test_the_docstring_says_what_happens_to_nan(function):
    assert "NaN" in inspect.getdoc(function)
    if function is conv2d_backward:
        assert "ValueError" in inspect.getdoc(function) and "Source: " in inspect.getdoc(function)
