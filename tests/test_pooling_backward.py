"""Gradients of pooling are torch's, reach the cells that they should, and lose nothing on the way.

Shapes are drawn as in the tests of pooling itself: seldom square, strides unlike windows, sizes
that need not divide, with ties and with padding.
"""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_pooling import pools
from torch.nn import functional

from cnnbook.layers import (
    argmax_pool2d,
    global_mean_pool,
    global_mean_pool_backward,
    max_pool2d,
    max_pool2d_backward,
    mean_pool2d,
    mean_pool2d_backward,
)
from cnnbook.layers.pooling import window_cells

SEEDS = st.integers(0, 2**32 - 1)


def random_like(values, seed, whole=False):
    """Return numbers like these, and every other time not contiguous."""
    random = np.random.default_rng(seed)
    shape = values.shape[::-1] if seed % 2 else values.shape
    numbers = random.integers(-99, 100, shape) if whole else random.normal(size=shape)
    numbers = numbers.astype(values.dtype)
    return numbers.transpose() if seed % 2 else numbers


def gradient_by_torch(function, images, upstream):
    tensor = torch.tensor(images.copy(), requires_grad=True)
    result = function(tensor)
    return torch.autograd.grad(result, tensor, torch.tensor(upstream.copy()))[0].numpy()


def settings_of_torch(given):
    return [given["window"], given["stride"], *([given["padding"]] if "padding" in given else [])]


def max_by_torch(images, upstream, given):
    arguments, ceil_mode = settings_of_torch(given), given["ceil_mode"]
    return gradient_by_torch(
        lambda x: functional.max_pool2d(x, *arguments, ceil_mode=ceil_mode), images, upstream
    )


def mean_by_torch(images, upstream, given):
    arguments, ceil_mode = settings_of_torch(given), given["ceil_mode"]
    return gradient_by_torch(
        lambda x: functional.avg_pool2d(x, *arguments, ceil_mode=ceil_mode), images, upstream
    )


def readers(shape, given):
    """Return how many windows read each cell of a channel, counted one by one."""
    counts = np.zeros(shape[2:], int)
    (above, left), (height, width) = given.get("padding", (0, 0)), given["window"]
    down, across = given["stride"] or given["window"]
    for i, j in np.ndindex(max_pool2d(np.zeros(shape), **given).shape[2:]):
        top, first = down * i - above, across * j - left
        counts[max(top, 0) : top + height, max(first, 0) : first + width] += 1
    return counts


# The maximum


@given(pools("float64", padded=True))
def test_the_place_of_each_maximum_is_the_one_that_torch_finds(drawn):
    images, given = drawn
    arguments, ceil_mode = settings_of_torch(given), given["ceil_mode"]
    _, expected = functional.max_pool2d(
        torch.tensor(images.copy()), *arguments, ceil_mode=ceil_mode, return_indices=True
    )
    np.testing.assert_array_equal(argmax_pool2d(images, **given), expected.numpy(), strict=True)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_the_gradient_of_max_pooling_is_torch_s_and_exactly_so_in_whole_numbers(kind):
    @given(pools(kind, padded=True), SEEDS)
    def agrees(drawn, seed):
        images, given = drawn
        maxima = max_pool2d(images, **given)
        upstream = random_like(maxima, seed, whole=True)
        result = max_pool2d_backward(upstream, images, **given)
        expected = max_by_torch(images, upstream, given)
        np.testing.assert_array_equal(result, expected, strict=True)
        upstream = random_like(maxima, seed)
        result = max_pool2d_backward(upstream, images, **given)
        expected = max_by_torch(images, upstream, given)
        scale = max_by_torch(images, np.abs(upstream), given)
        assert result.dtype == kind
        assert (np.abs(result - expected) <= 16 * np.finfo(kind).eps * scale).all()

    agrees()


@given(pools("float64", padded=True), SEEDS)
def test_whatever_arrives_at_max_pooling_is_handed_on_padding_or_not(drawn, seed):
    images, given = drawn
    upstream = random_like(max_pool2d(images, **given), seed, whole=True)
    result = max_pool2d_backward(upstream, images, **given)
    np.testing.assert_array_equal(result.sum(axis=(2, 3)), upstream.sum(axis=(2, 3)))


def test_of_equal_cells_the_first_in_row_order_gets_all():
    images = np.array([[1, 2, 0, 0, 5], [2, 2, 0, 0, 5]]).reshape(1, 1, 2, 5)
    result = max_pool2d_backward([[[[3.0, 4.0, 7.0]]]], images, 2, ceil_mode=True)
    assert result[0, 0].tolist() == [[0, 3, 4, 0, 7], [0, 0, 0, 0, 0]]
    turned = max_pool2d_backward([[[[3.0]]]], [[[[1, 2], [2, 0]]]], 2)
    assert turned[0, 0].tolist() == [[0, 3], [0, 0]]


def test_a_cell_that_wins_several_windows_gets_the_sum():
    line = np.array([1, 3, 0, 2, 5, 1, 4]).reshape(1, 1, 1, 7)
    result = max_pool2d_backward([[[[1.0, 10.0, 100.0]]]], line, (1, 3), (1, 2))
    assert result[0, 0, 0].tolist() == [0, 1, 0, 0, 110, 0, 0]


@pytest.mark.parametrize("lowest", [-np.inf, np.iinfo(np.int64).min + 1, -5])
def test_padding_gets_no_gradient_even_where_all_cells_are_the_lowest(lowest):
    images = np.full((1, 1, 3, 2), lowest)
    result = max_pool2d_backward(np.full((1, 1, 2, 2), 1.0), images, 2, padding=1)
    assert result[0, 0].tolist() == [[1, 1], [1, 1], [0, 0]]


def test_nan_in_a_picture_sends_the_gradient_to_the_first_cell_and_nowhere_else():
    images = np.array([[1, 2, np.nan, 0, 3], [4, 0, 1, 2, 1]]).reshape(1, 1, 2, 5)
    result = max_pool2d_backward([[[[1.0, 10.0]]]], images, (2, 2), (1, 3))
    assert result[0, 0].tolist() == [[0, 0, 0, 0, 10], [1, 0, 0, 0, 0]]
    result = max_pool2d_backward([[[[1.0, 10.0]]]], images, (2, 3), (1, 2))
    assert result[0, 0].tolist() == [[1, 0, 10, 0, 0], [0, 0, 0, 0, 0]]


def test_a_window_may_be_as_large_as_a_picture_with_more_cells_than_a_byte_counts():
    images = np.arange(2 * 17 * 19.0).reshape(1, 2, 17, 19)
    result = max_pool2d_backward([[[[2.0]], [[3.0]]]], images, (17, 19))
    assert np.argwhere(result).tolist() == [[0, 0, 16, 18], [0, 1, 16, 18]]
    assert result.sum() == 5


# The mean


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_the_gradient_of_mean_pooling_is_torch_s_up_to_rounding(kind):
    @given(pools(kind, padded=False), SEEDS)
    def agrees(drawn, seed):
        images, given = drawn
        upstream = random_like(mean_pool2d(images, **given), seed)
        result = mean_pool2d_backward(upstream, images.shape, **given)
        expected = mean_by_torch(images, upstream, given)
        assert result.dtype == kind and result.shape == expected.shape
        scale = mean_by_torch(images, np.abs(upstream), given)
        assert (np.abs(result - expected) <= 32 * np.finfo(kind).eps * scale).all()

    agrees()


@given(pools("float64", padded=False), SEEDS)
def test_the_gradient_is_the_adjoint_of_the_mean_and_keeps_the_sum(drawn, seed):
    images, given = drawn
    means = mean_pool2d(images, **given)
    upstream = random_like(means, seed)
    result = mean_pool2d_backward(upstream, images.shape, **given)
    size = np.abs(means * upstream).sum() + np.abs(images).sum() + np.abs(upstream).sum()
    assert abs((means * upstream).sum() - (images * result).sum()) <= 1e-12 * (1 + size)
    np.testing.assert_allclose(
        result.sum(axis=(2, 3)), upstream.sum(axis=(2, 3)), rtol=0, atol=1e-12 * (1 + size)
    )


def test_a_ragged_window_divides_by_the_cells_that_it_has():
    upstream = np.array([[4.0, 8.0, 6.0], [6.0, 10.0, 3.0]]).reshape(1, 1, 2, 3)
    result = mean_pool2d_backward(upstream, (1, 1, 3, 5), 2, ceil_mode=True)
    assert result[0, 0].tolist() == [[1, 1, 2, 2, 3], [1, 1, 2, 2, 3], [3, 3, 5, 5, 3]]


@pytest.mark.parametrize("shape", [(3, 2, 5, 7), (1, 3, 1, 4), (0, 2, 3, 5), (2, 0, 3, 5)])
def test_the_gradient_of_the_global_mean_is_torch_s(shape):
    images = np.random.default_rng(0).normal(size=shape)
    upstream = np.random.default_rng(1).normal(size=shape[:2])
    result = global_mean_pool_backward(upstream, shape)
    expected = gradient_by_torch(lambda x: x.mean(dim=(2, 3)), images, upstream)
    np.testing.assert_allclose(result, expected, rtol=1e-15, atol=0, strict=True)


# Both


@given(pools("float64", padded=True))
def test_exactly_the_cells_that_a_window_reads_can_get_a_gradient(drawn):
    images, given = drawn
    counts = readers(images.shape, given)
    upstream = np.ones(max_pool2d(images, **given).shape)
    reached = max_pool2d_backward(upstream, images, **given) != 0
    assert not reached[..., counts == 0].any()
    if given["padding"] == (0, 0):
        del given["padding"]
        shares = mean_pool2d_backward(upstream, images.shape, **given)
        np.testing.assert_array_equal(shares > 0, np.broadcast_to(counts > 0, images.shape))


@given(pools("float64", padded=True))
def test_the_pairs_of_slices_name_each_cell_of_each_window_once(drawn):
    images, given = drawn
    shape = max_pool2d(images, **given).shape[2:]
    counts = []
    for axis in range(2):
        stride = (given["stride"] or given["window"])[axis]
        numbers = images.shape[2 + axis], given["window"][axis], stride
        count = np.zeros(numbers[0], int)
        for windows, cells in window_cells(*numbers, given["padding"][axis], shape[axis]):
            taken = np.arange(shape[axis])[windows]
            assert len(taken) == len(count[cells])
            count[cells] += 1
        counts.append(count)
    np.testing.assert_array_equal(np.outer(*counts), readers(images.shape, given))


def test_nan_and_infinity_in_upstream_reach_only_the_cells_they_go_to():
    images = np.arange(2 * 4 * 6.0).reshape(1, 2, 4, 6)
    for strange in (np.nan, np.inf):
        upstream = np.ones((1, 2, 2, 2))
        upstream[0, 1, 0, 1] = strange
        maxima = np.isfinite(max_pool2d_backward(upstream, images, (2, 3)))
        assert np.argwhere(~maxima).tolist() == [[0, 1, 1, 5]]
        means = np.isfinite(mean_pool2d_backward(upstream, images.shape, (2, 3)))
        assert not means[0, 1, :2, 3:].any() and means.sum() == images.size - 6
    upstream = np.array([[1.0, np.nan]])
    means = np.isnan(global_mean_pool_backward(upstream, images.shape))
    assert not means[0, 0].any() and means[0, 1].all()


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "longdouble", "int8", "bool"])
def test_floats_keep_their_type_and_only_the_maximum_keeps_whole_numbers_whole(kind):
    images = np.arange(24, dtype="float32").reshape(1, 2, 3, 4)
    upstream = np.ones((1, 2, 1, 2), kind)
    floats = np.dtype(kind).kind == "f"
    for result, otherwise in (
        (max_pool2d_backward(upstream, images, 2), np.int64),
        (max_pool2d_backward(upstream, images.astype(int), 2), np.int64),
        (mean_pool2d_backward(upstream, images.shape, 2), np.float64),
        (global_mean_pool_backward(upstream[:, :, 0, 0], images.shape), np.float64),
    ):
        assert result.dtype == (kind if floats else otherwise) and result.shape == images.shape


def test_a_sum_of_whole_numbers_never_wraps_around():
    images, largest = np.array([0, 0, 1, 0, 0]).reshape(1, 1, 1, 5), np.iinfo(np.int64).max
    upstream = np.full((1, 1, 1, 3), largest // 3)
    assert max_pool2d_backward(upstream, images, (1, 3), 1)[0, 0, 0, 2] == 3 * (largest // 3)
    message = f"upstream held whole numbers up to {largest // 3 + 1}: a sum of 3 of them"
    with pytest.raises(ValueError, match=message):
        max_pool2d_backward(upstream + 1, images, (1, 3), 1)
    upstream = np.full((1, 1, 1, 2), largest // 2)
    assert max_pool2d_backward(upstream, images, (1, 3), 2)[0, 0, 0, 2] == 2 * (largest // 2)
    with pytest.raises(ValueError, match="a sum of 2 of them"):
        max_pool2d_backward(upstream + 1, images, (1, 3), 2)
    whole = max_pool2d_backward(upstream[..., :1], images[..., :4], (1, 3), (1, 3))
    assert whole.sum() == largest // 2


def test_arguments_stay_as_they_were_and_results_are_new_memory_that_can_be_written():
    images, upstream = np.arange(24.0).reshape(1, 2, 3, 4), np.ones((1, 2, 3, 4))
    before = images.copy()
    for result in (
        max_pool2d_backward(upstream, images, 1),
        mean_pool2d_backward(upstream, images.shape, 1),
        global_mean_pool_backward(upstream[:, :, 0, 0], images.shape),
    ):
        result += 1
    assert (upstream == 1).all()
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("batch", [0, 1])
def test_a_batch_may_be_empty(batch):
    images = np.ones((batch, 2, 5, 7))
    upstream = np.ones((batch, 2, 2, 2))
    assert max_pool2d_backward(upstream, images, (2, 3)).shape == images.shape
    assert mean_pool2d_backward(upstream, images.shape, (2, 3)).shape == images.shape
    assert global_mean_pool_backward(upstream[:, :, 0, 0], images.shape).shape == images.shape


@pytest.mark.parametrize("function", [max_pool2d, mean_pool2d])
def test_both_gradients_agree_with_differences_where_cells_differ(function):
    random = np.random.default_rng(5)
    images = random.permutation(2 * 5 * 7).reshape(1, 2, 5, 7).astype(float)
    given = {"window": (3, 2), "stride": (2, 1), "ceil_mode": True}
    upstream = random.normal(size=function(images, **given).shape)
    expected = np.zeros(images.shape)
    for place in np.ndindex(images.shape):
        step = np.zeros(images.shape)
        step[place] = 0.25
        change = function(images + step, **given) - function(images - step, **given)
        expected[place] = (upstream * change).sum() / 0.5
    if function is max_pool2d:
        result = max_pool2d_backward(upstream, images, **given)
    else:
        result = mean_pool2d_backward(upstream, images.shape, **given)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


def test_the_global_mean_is_mean_pooling_with_one_window():
    images = np.random.default_rng(7).normal(size=(2, 3, 4, 5))
    upstream = np.random.default_rng(8).normal(size=global_mean_pool(images).shape)
    result = global_mean_pool_backward(upstream, images.shape)
    other = mean_pool2d_backward(upstream[:, :, None, None], images.shape, (4, 5))
    np.testing.assert_allclose(result, other, rtol=1e-15)


# Bad input

IMAGES, UPSTREAM = np.zeros((1, 2, 5, 7)), np.zeros((1, 2, 2, 2))


@pytest.mark.parametrize(
    "given, message",
    [
        (
            {"upstream": UPSTREAM[0]},
            "upstream was of shape (2, 2, 2); it must be of shape (1, 2, 2",
        ),
        ({"upstream": UPSTREAM[:, :1]}, "upstream was of shape (1, 1, 2, 2); it must be of shape"),
        ({"upstream": UPSTREAM * 1j}, "upstream was of dtype complex128; it must hold bool"),
        ({"upstream": [[1], [1, 2]]}, "upstream was a list that is no array"),
        ({"images": IMAGES[0]}, "images was of shape (2, 5, 7); it must be of shape (N, C, H"),
        ({"window": (6, 3)}, "window (height) was 6; it must be at most 5"),
        ({"stride": 0}, "stride was 0; it must be a pair"),
        ({"padding": (2, 0)}, "padding (vertical), at most half the window, was 2"),
        ({"ceil_mode": 1}, "ceil_mode was 1; it must be True or False"),
    ],
)
def test_what_does_not_fit_max_pooling_is_named_with_what_it_was_and_must_be(given, message):
    fitting = {"upstream": UPSTREAM, "images": IMAGES, "window": (2, 3)}
    assert max_pool2d_backward(**fitting).shape == IMAGES.shape
    with pytest.raises(ValueError, match=re.escape(message)):
        max_pool2d_backward(**(fitting | given))


@pytest.mark.parametrize(
    "given, message",
    [
        (
            {"upstream": UPSTREAM[..., :1]},
            "upstream was of shape (1, 2, 2, 1); it must be of shape",
        ),
        ({"image_shape": (2, 5, 7)}, "image_shape was (2, 5, 7); it must be (N, C, H, W)"),
        ({"image_shape": 5}, "image_shape was 5; it must be (N, C, H, W)"),
        (
            {"image_shape": (1, 2, 0, 7)},
            "image_shape, axis 2 (H), was 0; it must be a whole number",
        ),
        ({"image_shape": (1, 2, 5, 7.0)}, "image_shape, axis 3 (W), was 7.0; it must be a whole"),
        ({"image_shape": (-1, 2, 5, 7)}, "image_shape, axis 0 (N), was -1; it must be a whole"),
        ({"window": (2, 8)}, "window (width) was 8; it must be at most 7"),
        ({"stride": (1, True)}, "stride (horizontal) was True"),
        ({"ceil_mode": None}, "ceil_mode was None; it must be True or False"),
    ],
)
def test_what_does_not_fit_mean_pooling_is_named_with_what_it_was_and_must_be(given, message):
    fitting = {"upstream": UPSTREAM, "image_shape": IMAGES.shape, "window": (2, 3)}
    assert mean_pool2d_backward(**fitting).shape == IMAGES.shape
    with pytest.raises(ValueError, match=re.escape(message)):
        mean_pool2d_backward(**(fitting | given))


def test_what_does_not_fit_the_global_mean_is_named_as_well():
    with pytest.raises(ValueError, match=re.escape("upstream was of shape (2, 1); it must be of")):
        global_mean_pool_backward(np.ones((2, 1)), IMAGES.shape)
    with pytest.raises(ValueError, match=re.escape("image_shape was (1, 2); it must be (N, C")):
        global_mean_pool_backward(np.ones((1, 2)), (1, 2))
