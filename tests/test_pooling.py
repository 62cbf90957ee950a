"""Pooling is torch's, keeps what it should of types and NaN, and refuses what does not fit.

Random shapes are drawn so that pictures and windows are seldom square, strides differ from windows
and from direction to direction, and sizes need not divide.
"""

import ast
import json
import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from cnnbook.convolution import output_size, windows2d
from cnnbook.layers import blur_pool2d, global_mean_pool, max_pool2d, mean_pool2d
from tools import notebooks

FLOATS = ("float32", "float64")
WIDTH = st.integers(1, 4)


@st.composite
def pools(draw, kind, padded):
    """Draw pictures, a quarter of them non-contiguous, and settings that torch accepts."""
    window, stride = draw(st.tuples(WIDTH, WIDTH)), draw(st.none() | st.tuples(WIDTH, WIDTH))
    padding = [draw(st.integers(0, size // 2)) if padded else 0 for size in window]
    sizes = [
        max(1, size - 2 * width) + draw(st.integers(0, 7))
        for size, width in zip(window, padding, strict=True)
    ]
    shape = (draw(st.sampled_from([0, 1, 1, 2, 3])), draw(st.integers(1, 3)), *sizes)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = random.integers(-4, 5, shape).astype(kind)  # with ties
    if draw(st.booleans()):
        images = random.normal(size=shape).astype(kind)
    if draw(st.integers(0, 3)) == 0:
        images = images.transpose(1, 0, 3, 2)[:, :, ::-1].copy().transpose(1, 0, 3, 2)[..., ::-1]
    given = {"window": window, "stride": stride, "ceil_mode": draw(st.booleans())}
    return images, given | ({"padding": tuple(padding)} if padded else {})


def by_torch(function, images, window, **given):
    return function(torch.tensor(images.copy()), window, **given).numpy()


@pytest.mark.parametrize("kind", FLOATS)
def test_max_pooling_is_torch_s_to_the_last_bit(kind):
    @given(pools(kind, padded=True))
    def agrees(drawn):
        images, given = drawn
        expected = by_torch(functional.max_pool2d, images, **given)
        np.testing.assert_array_equal(max_pool2d(images, **given), expected, strict=True)

    agrees()


@pytest.mark.parametrize("kind", FLOATS)
def test_mean_pooling_is_torch_s_up_to_rounding(kind):
    @given(pools(kind, padded=False))
    def agrees(drawn):
        images, given = drawn
        result, expected = (
            mean_pool2d(images, **given),
            by_torch(functional.avg_pool2d, images, **given),
        )
        assert result.dtype == kind and result.shape == expected.shape
        scale = by_torch(functional.avg_pool2d, np.abs(images), **given)
        assert (np.abs(result - expected) <= 32 * np.finfo(kind).eps * scale).all()

    agrees()


@given(pools("float64", padded=True))
def test_each_maximum_is_that_of_the_window_which_the_docstring_names(drawn):
    images, given = drawn
    (above, left), (height, width) = given["padding"], given["window"]
    down, across = given["stride"] or given["window"]
    result = max_pool2d(images, **given)
    for i, j in np.ndindex(result.shape[2:]):
        top, first = down * i - above, across * j - left
        cells = images[:, :, max(top, 0) : top + height, max(first, 0) : first + width]
        np.testing.assert_array_equal(result[:, :, i, j], cells.max(axis=(2, 3)))


@given(pools("float64", padded=False))
def test_without_ragged_windows_there_are_as_many_as_output_size_says(drawn):
    images, given = drawn
    stride = given["stride"] or given["window"]
    sizes = [
        output_size(*numbers)
        for numbers in zip(images.shape[2:], given["window"], stride, strict=True)
    ]
    plain = given | {"ceil_mode": False}
    assert max_pool2d(images, **plain).shape == (*images.shape[:2], *sizes)
    assert mean_pool2d(images, **plain).shape == (*images.shape[:2], *sizes)


def test_the_mean_of_a_ragged_window_counts_the_cells_that_are_there():
    images = np.arange(15).reshape(1, 1, 3, 5)
    result = mean_pool2d(images, 2, ceil_mode=True)
    assert result[0, 0].tolist() == [[3, 5, 6.5], [10.5, 12.5, 14]]
    assert mean_pool2d(images, 2)[0, 0].tolist() == [[3, 5]]


def test_a_ragged_window_that_would_begin_beyond_the_picture_is_dropped():
    images = np.arange(12.0).reshape(1, 1, 3, 4)
    assert max_pool2d(images, (1, 2), (3, 3), ceil_mode=True).shape == (1, 1, 1, 2)
    assert max_pool2d(images, (1, 1), (4, 4), ceil_mode=True).shape == (1, 1, 1, 1)


def test_padding_never_wins_not_even_over_the_lowest_numbers():
    lowest = np.iinfo(np.int64).min + 1
    for value in (-5, lowest, -5.0, -np.inf):
        result = max_pool2d(np.full((1, 1, 3, 2), value), 3, 2, padding=1)
        assert (result == value).all()


@pytest.mark.parametrize("kind", ["bool", "int8", "uint8", "int32", "int64"])
def test_whole_numbers_stay_whole_under_max_and_become_float64_under_mean(kind):
    images = np.arange(24).reshape(1, 2, 3, 4).astype(kind)
    assert max_pool2d(images, 2).dtype == np.int64
    np.testing.assert_array_equal(max_pool2d(images, 2), windows2d(images, 2, 2).max(axis=(4, 5)))
    for result in (mean_pool2d(images, 2), global_mean_pool(images), blur_pool2d(images)):
        assert result.dtype == np.float64


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "longdouble"])
def test_floats_keep_their_type(kind):
    images = np.ones((1, 2, 3, 5), kind)
    results = [max_pool2d(images, 2), mean_pool2d(images, 2), global_mean_pool(images)]
    for result in [*results, blur_pool2d(images), max_pool2d(images, 3, 2, 1, True)]:
        assert result.dtype == kind and (result == 1).all()


def test_nan_reaches_exactly_the_windows_that_hold_it():
    images = np.arange(2 * 5 * 7.0).reshape(1, 2, 5, 7)
    images[0, 1, 2, 3] = np.nan
    spoiled = windows2d(np.isnan(images), (3, 2), (2, 1)).any(axis=(4, 5))
    assert 0 < spoiled.sum() < spoiled.size
    np.testing.assert_array_equal(np.isnan(max_pool2d(images, (3, 2), (2, 1))), spoiled)
    np.testing.assert_array_equal(np.isnan(mean_pool2d(images, (3, 2), (2, 1))), spoiled)
    assert np.isnan(global_mean_pool(images)).tolist() == [[False, True]]
    blurred = np.isnan(blur_pool2d(images))[0]
    assert not blurred[0].any() and np.argwhere(blurred[1]).tolist() == [[1, 1], [1, 2]]


@given(
    st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 8), st.integers(1, 8)),
    st.tuples(WIDTH, WIDTH),
    st.integers(0, 2**32 - 1),
)
def test_blurred_pooling_is_torch_s_strided_convolution_of_replicated_edges(shape, stride, seed):
    images = np.random.default_rng(seed).normal(size=shape)
    taps = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
    kernel = torch.outer(taps, taps).expand(shape[1], 1, 3, 3)
    result = blur_pool2d(images, stride)
    if shape[0]:
        padded = functional.pad(torch.tensor(images), (1, 1, 1, 1), "replicate")
        expected = functional.conv2d(padded, kernel, stride=stride, groups=shape[1]).numpy()
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-14)
    sizes = [(length - 1) // step + 1 for length, step in zip(shape[2:], stride, strict=True)]
    assert result.shape == (*shape[:2], *sizes)


def test_the_global_mean_is_torch_s():
    images = np.random.default_rng(3).normal(size=(3, 2, 5, 7))
    expected = functional.adaptive_avg_pool2d(torch.tensor(images), 1).numpy()[:, :, 0, 0]
    np.testing.assert_allclose(global_mean_pool(images), expected, rtol=0, atol=1e-15)
    assert global_mean_pool(images[:0]).shape == (0, 2)


@pytest.mark.parametrize("window", [1, 2])
def test_pooling_leaves_its_argument_as_it_was_and_returns_new_memory(window):
    images = np.random.default_rng(4).normal(size=(1, 2, 3, 4))
    before = images.copy()
    for pool in (max_pool2d, mean_pool2d):
        assert not np.shares_memory(pool(images, window, 1), images)
    assert not np.shares_memory(blur_pool2d(images, window), images)
    np.testing.assert_array_equal(images, before)


IMAGES = np.zeros((1, 2, 5, 7))


@pytest.mark.parametrize(
    "given, message",
    [
        ({"images": IMAGES[0]}, r"images was of shape \(2, 5, 7\); it must be of shape \(N, C, H"),
        ({"images": IMAGES[:, :, :0]}, r"axis 2 \(H\) was 0, it must be at least 1"),
        ({"images": IMAGES + 1j}, "images was of dtype complex128"),
        ({"window": 0}, "window was 0; it must be a pair .* or a whole number of at least 1"),
        ({"window": (2, 2.5)}, r"window \(width\) was 2.5"),
        ({"window": (2, 2, 2)}, r"window was \(2, 2, 2\)"),
        (
            {"window": (6, 2)},
            r"window \(height\) was 6; it must be at most 5: the height of images",
        ),
        ({"window": (2, 8)}, r"window \(width\) was 8; it must be at most 7"),
        ({"stride": 0}, "stride was 0"),
        ({"stride": (1, True)}, r"stride \(horizontal\) was True"),
        ({"padding": 2}, r"padding \(vertical\), at most half the window, was 2; .* from 0 to 1"),
        ({"padding": (0, -1)}, r"padding \(horizontal\) was -1"),
        ({"padding": ((0, 1), 0)}, r"padding \(vertical\) was \(0, 1\)"),
        ({"ceil_mode": 1}, "ceil_mode was 1; it must be True or False"),
    ],
)
def test_an_argument_that_does_not_fit_is_named_with_what_it_was_and_must_be(given, message):
    with pytest.raises(ValueError, match=message):
        max_pool2d(**({"images": IMAGES, "window": 2} | given))
    if "padding" not in given:
        with pytest.raises(ValueError, match=message):
            mean_pool2d(**({"images": IMAGES, "window": 2} | given))


def test_the_other_two_check_their_arguments_as_well():
    with pytest.raises(ValueError, match=r"images was of shape \(5, 7\)"):
        global_mean_pool(IMAGES[0, 0])
    with pytest.raises(ValueError, match=r"images was of shape \(5, 7\)"):
        blur_pool2d(IMAGES[0, 0])
    with pytest.raises(ValueError, match=r"stride \(vertical\) was 0"):
        blur_pool2d(IMAGES, (0, 1))


# The chapter


def tables(path):
    """Return the tables of stored figures that a chapter's cells hold, by name."""
    found = {}
    for cell in notebooks.read(path).cells:
        if re.match(r"(ACCURACY|CHANGED|SHIFTED)\b", cell.source):
            (statement,) = ast.parse(cell.source).body
            values, target = ast.literal_eval(statement.value), statement.targets[0]
            if isinstance(target, ast.Subscript):
                found[target.value.id][ast.literal_eval(target.slice)] = values
            else:
                found[target.id] = values
    return found


def test_the_pooling_chapter_shows_the_stored_figures_of_every_seed():
    result = json.loads((ROOT / "experiments/results/pooling.json").read_text("utf-8"))
    expected = {"ACCURACY": {}, "CHANGED": {}, "SHIFTED": {}}
    for run in result["runs"]:
        figures = {
            "ACCURACY": round(100 * run["test_accuracy"], 2),
            "CHANGED": round(100 * run["changed_by_one_pixel"], 2),
            "SHIFTED": [round(100 * share, 1) for share in run["accuracy_of_each_shift"]],
        }
        for table, figure in figures.items():
            expected[table].setdefault(run["recipe"], []).append(figure)
    shown = tables(ROOT / "chapters/32-pooling.ipynb")
    assert set(shown["SHIFTED"]) == {"dense", "max, flatten", "max, global max"}
    expected["SHIFTED"] = {name: expected["SHIFTED"][name] for name in shown["SHIFTED"]}
    assert shown == expected
