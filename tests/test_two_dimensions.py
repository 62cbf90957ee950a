"""The 2-D functions are exact, agree with SciPy, torch and scikit-image, and refuse bad input."""

import inspect
import re
import warnings
from fractions import Fraction

import numpy as np
import pytest
import scipy.signal
import skimage.feature
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from cnnbook.convolution import (
    convolve1d,
    convolve2d,
    convolve2d_fft,
    correlate1d,
    correlate2d,
    margins,
    normalized_correlation,
    output_length,
    separate,
    two_dimensions,
)
from cnnbook.convolution.checks import MODES

INTEGERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
FLOATS = ("float32", "float64", "longdouble")
SLIDING = (convolve2d, correlate2d, convolve2d_fft)
modes = st.sampled_from(MODES)
sizes = st.integers(1, 7)


@st.composite
def tables(draw, height=sizes, width=sizes):
    """Draw a table of small whole numbers that is not square."""
    rows, columns = draw(height), draw(width)
    assume(rows != columns or rows == 1)
    flat = draw(st.lists(st.integers(-9, 9), min_size=rows * columns, max_size=rows * columns))
    return np.array(flat).reshape(rows, columns)


@st.composite
def cases(draw):
    """Draw an image, a kernel and a mode that go together; the kernel may stick out."""
    image, kernel, mode = draw(tables()), draw(tables()), draw(modes)
    if mode == "valid":
        kernel = kernel[: len(image), : image.shape[1]]
    return image, kernel, mode


def exact(values):
    """Return an array's numbers as nested lists of fractions."""
    return [[Fraction(value) for value in row] for row in np.asarray(values).tolist()]


def first_and_size(length, taps, mode):
    first = {"full": 0, "same": (taps - 1) // 2, "valid": taps - 1}[mode]
    size = {"full": length + taps - 1, "same": length, "valid": length - taps + 1}[mode]
    return first, size


def by_definition(image, kernel, mode):
    """Sum the products that the definition names, one at a time, without rounding."""
    (H, W), (K, L) = np.shape(image), np.shape(kernel)
    image, kernel = exact(image), exact(kernel)
    wide = [[Fraction(0)] * (W + L - 1) for _ in range(H + K - 1)]
    for i in range(H):
        for j in range(W):
            for p in range(K):
                for q in range(L):
                    wide[i + p][j + q] += kernel[p][q] * image[i][j]
    (top, rows), (left, columns) = first_and_size(H, K, mode), first_and_size(W, L, mode)
    return [row[left : left + columns] for row in wide[top : top + rows]]


def turned(kernel):
    return kernel[::-1, ::-1]


@given(cases())
def test_convolution_is_the_sum_that_defines_it(case):
    assert exact(convolve2d(*case)) == by_definition(*case)


@given(cases())
def test_cross_correlation_is_convolution_with_the_kernel_turned_by_180_degrees(case):
    image, kernel, mode = case
    assert exact(correlate2d(*case)) == by_definition(image, turned(kernel), mode)


@given(cases())
def test_each_axis_has_the_length_that_the_mode_gives_it(case):
    image, kernel, mode = case
    expected = tuple(
        output_length(length, taps, mode)
        for length, taps in zip(image.shape, kernel.shape, strict=True)
    )
    for function in SLIDING:
        assert function(*case).shape == expected


@given(cases())
def test_scipy_gives_the_same_whole_numbers(case):
    image, kernel, mode = case
    expected = scipy.signal.convolve2d(image, kernel, mode)
    np.testing.assert_array_equal(convolve2d(image, kernel, mode), expected)
    expected = scipy.signal.convolve2d(image, turned(kernel), mode)
    np.testing.assert_array_equal(correlate2d(image, kernel, mode), expected)


@given(cases())
def test_torch_conv2d_gives_the_same_cross_correlation(case):
    image, kernel, mode = case
    (top, bottom), (left, right) = (margins(length, mode) for length in kernel.shape)
    padded = torch.nn.functional.pad(torch.tensor(image), (left, right, top, bottom))
    expected = torch.nn.functional.conv2d(padded[None, None], torch.tensor(kernel)[None, None])
    np.testing.assert_array_equal(correlate2d(*case), expected[0, 0].numpy())


@given(cases(), st.booleans())
def test_a_table_of_one_row_or_column_is_a_signal(case, upright):
    image, kernel, mode = case
    signal, taps = image[0], kernel[0]
    two = [signal[:, None], taps[:, None]] if upright else [signal[None], taps[None]]
    for flat, sliding in ((convolve1d, convolve2d), (correlate1d, correlate2d)):
        np.testing.assert_array_equal(sliding(*two, mode).ravel(), flat(signal, taps, mode))


@given(tables(), tables(), tables())
def test_wide_convolution_commutes_and_associates(first, second, third):
    np.testing.assert_array_equal(convolve2d(first, second), convolve2d(second, first))
    np.testing.assert_array_equal(
        convolve2d(convolve2d(first, second), third), convolve2d(first, convolve2d(second, third))
    )


@given(tables(), tables())
def test_wide_cross_correlation_with_arguments_exchanged_comes_out_turned(first, second):
    swapped = correlate2d(second, first, "full")
    np.testing.assert_array_equal(correlate2d(first, second, "full"), turned(swapped))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernel_type", INTEGERS)
@pytest.mark.parametrize("image_type", INTEGERS)
def test_every_integer_type_is_computed_exactly_in_int64(image_type, kernel_type, mode):
    image = np.array([[1, 100, 0, 120, 7], [90, 3, 127, 0, 64]], dtype=image_type)
    kernel = np.array([[100, 0, 3], [127, 11, 1]], dtype=kernel_type)
    for function, taps in ((convolve2d, kernel), (correlate2d, turned(kernel))):
        result = function(image, kernel, mode)
        assert result.dtype == np.int64
        assert exact(result) == by_definition(image, taps, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", FLOATS)
def test_floats_keep_their_precision(kind, mode):
    random = np.random.default_rng(1)
    image, kernel = random.normal(size=(9, 14)).astype(kind), random.normal(size=(4, 3))
    kernel = kernel.astype(kind)
    for function, taps in ((convolve2d, kernel), (correlate2d, turned(kernel))):
        result = function(image, kernel, mode)
        assert result.dtype == kind
        scale = np.abs(image).max() * np.abs(kernel).sum()
        reference = convolve2d(image.astype("longdouble"), taps.astype("longdouble"), mode)
        assert np.abs(result - reference).max() <= kernel.size * np.finfo(kind).eps * scale


def test_a_mixture_of_types_becomes_what_numpy_makes_of_it():
    ones = np.ones((3, 4))
    assert convolve2d(ones.astype("float32"), ones[:1]).dtype == np.float64
    assert convolve2d(ones.astype("int8"), ones.astype("float32")).dtype == np.float64
    assert convolve2d([[1, 2]], [[0.5], [0.25]]).tolist() == [[0.5, 1.0], [0.25, 0.5]]


@given(cases())
def test_the_fft_agrees_up_to_rounding_in_every_mode(case):
    direct, fast = convolve2d(*case), convolve2d_fft(*case)
    assert fast.dtype == np.float64
    np.testing.assert_allclose(fast, direct, rtol=0, atol=1e-10)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", ((1, 2), (15, 16), (16, 17), (17, 33), (40, 3)))
def test_the_fft_agrees_on_larger_pictures_and_keeps_float32(shape, mode):
    random = np.random.default_rng(2)
    image, kernel = random.normal(size=(50, 33)), random.normal(size=shape)
    expected = scipy.signal.convolve2d(image, kernel, mode)
    np.testing.assert_allclose(convolve2d_fft(image, kernel, mode), expected, rtol=0, atol=1e-11)
    single = convolve2d_fft(image.astype("float32"), kernel.astype("float32"), mode)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("function", (*SLIDING, normalized_correlation))
def test_arrays_that_are_not_contiguous_give_the_same_result(function):
    image, kernel = np.arange(20 * 14).reshape(20, 14) ** 2 % 17, np.arange(24).reshape(4, 6) % 7
    views = ((image.T, kernel.T), (image[::-2, 1::2], kernel[::-1, ::3]), (image[3:, ::-1], kernel))
    for views_of_both in views:
        copies = [view.copy() for view in views_of_both]
        given_views, given_copies = function(*views_of_both), function(*copies)
        np.testing.assert_allclose(given_views, given_copies, rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", ("int64", "float64"))
def test_arguments_are_not_changed_and_results_share_no_memory_with_them(kind):
    image, kernel = np.arange(20).reshape(4, 5).astype(kind), np.array([[1, 2]], dtype=kind)
    image.setflags(write=False)
    kernel.setflags(write=False)
    results = [function(image, np.ones((1, 1), kind), "same") for function in SLIDING]
    results += [normalized_correlation(image, kernel), *separate(kernel)[0]]
    for result in results:
        result += 1
        assert not np.shares_memory(result, image)
        assert not np.shares_memory(result, kernel)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("function", (convolve2d, correlate2d))
def test_nan_in_the_image_reaches_exactly_the_outputs_whose_window_holds_it(function, mode):
    spot = np.zeros((6, 8))
    spot[2, 5] = 1
    holds = function(spot, np.ones((3, 2)), mode) == 1
    image = np.where(spot == 1, np.nan, np.arange(48.0).reshape(6, 8))
    result = function(image, [[0.0, 1.0], [0.0, 0.0], [2.0, 0.0]], mode)
    np.testing.assert_array_equal(np.isnan(result), holds)
    assert 0 < holds.sum() < holds.size


@pytest.mark.parametrize("mode", MODES)
def test_nan_in_the_kernel_and_in_any_argument_of_the_fft_reaches_every_output(mode):
    image, kernel = np.arange(12.0).reshape(3, 4), np.array([[0.0, np.nan]])
    for function in SLIDING:
        assert np.isnan(function(image, kernel, mode)).all()
    image[0, 0] = np.nan
    assert np.isnan(convolve2d_fft(image, [[1.0, 2.0]], mode)).all()


def test_an_infinity_meets_a_zero_of_the_padding_as_nan():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result = convolve2d([[1.0, 2.0]], [[np.inf], [1.0]])
    assert np.isnan(result).tolist() == [[False, False], [True, True]]


def test_what_is_documented_to_be_exact_near_the_largest_int64_is_exact():
    quarter = 2**61
    image, ones = [[quarter - 1] * 3, [quarter - 1] * 3], [[1, 1], [1, 1]]
    assert convolve2d(image, ones, "valid").tolist() == [[2**63 - 4] * 2]
    message = f"^image and kernel were whole numbers up to {quarter} and 1: a sum of 4 products"
    for function in SLIDING:
        with pytest.raises(ValueError, match=message):
            function([[quarter] * 3, [quarter] * 3], ones)
    # Only two of these four taps can lie on one row of pixels.
    assert convolve2d([[quarter] * 3], ones, "same").tolist() == [[quarter, 2**62, 2**62]]


def rebuilt(pairs):
    return sum(np.outer(column, row) for column, row in pairs)


@given(tables())
def test_a_kernel_is_the_sum_of_its_parts_and_there_are_as_many_as_its_rank(kernel):
    pairs = separate(kernel)
    np.testing.assert_allclose(rebuilt(pairs), kernel, rtol=0, atol=1e-12)
    assert len(pairs) == max(1, np.linalg.matrix_rank(kernel))


@given(cases())
def test_a_column_and_then_a_row_do_what_the_kernel_does(case):
    image, kernel, mode = case
    parts = [
        convolve2d(convolve2d(image, column[:, None], mode), row[None], mode)
        for column, row in separate(kernel)
    ]
    np.testing.assert_allclose(sum(parts), convolve2d(*case), rtol=0, atol=1e-10)


def test_the_part_that_takes_the_largest_share_comes_first():
    kernel = np.outer([1, 1, 0], [0, 0, 3, 4]) + np.outer([0, 0, 1], [7, 0, 0, 0])
    (_, first), (_, second) = separate(kernel)
    assert np.flatnonzero(np.abs(first) > 1e-9).tolist() == [2, 3]
    assert np.flatnonzero(np.abs(second) > 1e-9).tolist() == [0]


def test_a_kernel_separable_up_to_rounding_has_one_part_and_keeps_float32():
    taps = np.exp(-(np.arange(-5, 6) ** 2) / 7)
    for kind in ("float32", "float64"):
        kernel = np.outer(taps, taps[1:]).astype(kind)
        ((column, row),) = separate(kernel)
        assert column.dtype == row.dtype == kind
        np.testing.assert_allclose(np.outer(column, row), kernel, atol=4 * np.finfo(kind).eps)
    assert separate(np.ones((2, 3), "float16"))[0][0].dtype == np.float64
    ((column, row),) = separate(np.zeros((2, 3)))
    assert column.tolist() == [0, 0] and row.tolist() == [0, 0, 0]


def coefficients(image, template):
    """Return the correlation coefficient of each window with the template, by np.corrcoef."""
    windows = np.lib.stride_tricks.sliding_window_view(image, template.shape)
    flat = windows.reshape(-1, template.size)
    scores = [np.corrcoef(window, template.ravel())[0, 1] for window in flat]
    return np.reshape(scores, windows.shape[:2])


@pytest.mark.parametrize("offset", (0, 1e5))
@pytest.mark.parametrize("shape", ((2, 1), (3, 5), (11, 13)))
def test_normalized_correlation_is_the_correlation_coefficient_of_each_window(shape, offset):
    random = np.random.default_rng(3)
    image, template = random.normal(size=(11, 13)) + offset, random.normal(size=shape)
    scores = normalized_correlation(image, template)
    np.testing.assert_allclose(scores, coefficients(image, template), rtol=0, atol=1e-8)


def test_scikit_image_gives_the_same_scores():
    random = np.random.default_rng(4)
    image = random.integers(0, 256, size=(30, 41), dtype=np.uint8)
    template = image[7:12, 20:29]
    scores = normalized_correlation(image, template)
    expected = skimage.feature.match_template(image.astype(float), template.astype(float))
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9)
    assert np.unravel_index(scores.argmax(), scores.shape) == (7, 20)
    assert scores.max() == pytest.approx(1, abs=1e-12)


def test_brightness_and_contrast_of_image_and_template_do_not_matter_but_a_negative_does():
    random = np.random.default_rng(5)
    image, template = random.normal(size=(9, 12)), random.normal(size=(3, 4))
    scores = normalized_correlation(image, template)
    np.testing.assert_allclose(normalized_correlation(image * 7 + 90, template), scores, atol=1e-9)
    np.testing.assert_allclose(normalized_correlation(image, template / 9 - 4), scores, atol=1e-9)
    np.testing.assert_allclose(normalized_correlation(-image, template), -scores, atol=1e-9)


@pytest.mark.parametrize("gray", (0, 200, 0.1, 1e7))
def test_a_window_of_one_gray_scores_0_and_its_neighbors_do_not(gray):
    image = np.full((12, 19), gray, dtype=float)
    image[:, 12:] += np.arange(84).reshape(12, 7) ** 2 % 13
    scores = normalized_correlation(image, np.arange(35).reshape(5, 7) ** 2 % 11)
    assert not scores[:, :6].any()
    assert (np.abs(scores[:, 6:]) > 1e-3).all()


NO_TABLE = {
    "empty": ([[]], "was empty; it must hold at least one number"),
    "number": (3.0, r"was of shape \(\); it must be two-dimensional"),
    "signal": ([1, 2, 3], r"was of shape \(3,\); it must be two-dimensional"),
    "color": (np.ones((4, 5, 3)), r"was of shape \(4, 5, 3\); it must be two-dimensional"),
    "complex": ([[1j, 2]], "was of dtype complex128; it must hold bool, integers or floats"),
    "none": (None, "was of dtype object; it must hold"),
    "string": ("abc", "was of dtype <U3; it must hold"),
    "ragged": ([[1, 2], [3]], "was a list that is no array .* must be a two-dimensional array"),
    "gradient": (torch.ones(3, 2, requires_grad=True), "was a Tensor that is no array"),
    "unsigned": (np.array([[2**63]], "uint64"), "held 9223372036854775808 or its negative"),
}


@pytest.mark.parametrize("bad", NO_TABLE)
@pytest.mark.parametrize("position", (0, 1))
@pytest.mark.parametrize("function", (*SLIDING, normalized_correlation))
def test_a_bad_image_or_kernel_is_named_with_what_it_must_be(function, position, bad):
    value, message = NO_TABLE[bad]
    name = list(inspect.signature(function).parameters)[position]
    arguments = [np.arange(20).reshape(4, 5), np.array([[1, 2]])]
    arguments[position] = value
    with pytest.raises(ValueError, match=f"^{name} {message}"):
        function(*arguments)


@pytest.mark.parametrize("bad", NO_TABLE)
def test_a_bad_kernel_to_separate_is_named(bad):
    value, message = NO_TABLE[bad]
    with pytest.raises(ValueError, match=f"^kernel {message}"):
        separate(value)


@pytest.mark.parametrize("bad", (np.nan, np.inf, -np.inf))
def test_nan_and_infinity_are_refused_where_they_would_spoil_everything(bad):
    good, spoiled = np.arange(12.0).reshape(3, 4), np.ones((2, 3))
    spoiled[1, 0] = bad
    message = "held NaN or infinity; it must hold finite numbers$"
    with pytest.raises(ValueError, match=f"^kernel {message}"):
        separate(spoiled)
    with pytest.raises(ValueError, match=f"^template {message}"):
        normalized_correlation(good, spoiled)
    with pytest.raises(ValueError, match=f"^image {message}"):
        normalized_correlation(spoiled, good[:2, :2])


@pytest.mark.parametrize("mode", ("wide", "Full", "", None, 0, ["full"]))
@pytest.mark.parametrize("function", SLIDING)
def test_an_unknown_mode_is_named(function, mode):
    message = f"^mode was {re.escape(repr(mode))}; it must be 'full', 'same' or 'valid'$"
    with pytest.raises(ValueError, match=message):
        function([[1, 2, 3]], [[1]], mode)


@pytest.mark.parametrize("function", SLIDING)
def test_a_kernel_that_sticks_out_is_refused_in_mode_valid_only(function):
    image = np.ones((3, 5))
    high, wide = np.ones((4, 2)), np.ones((2, 6))
    rule = "with mode 'valid' it must be at most as"
    with pytest.raises(ValueError, match=f"^kernel was of height 4; {rule} high as image, 3$"):
        function(image, high, "valid")
    with pytest.raises(ValueError, match=f"^kernel was of width 6; {rule} wide as image, 5$"):
        function(image, wide, "valid")
    assert function(image, high, "full").shape == (6, 6)
    assert function(image, wide, "same").shape == (3, 5)


def test_a_template_that_does_not_fit_or_shows_nothing_is_refused():
    image = np.arange(15.0).reshape(3, 5)
    with pytest.raises(ValueError, match="^template was of height 5; it must be at most as high"):
        normalized_correlation(image, image.T)
    with pytest.raises(ValueError, match=r"^template was 7\.0 at every pixel; it must hold diff"):
        normalized_correlation(image, np.full((2, 3), 7.0))
    with pytest.raises(ValueError, match="^template was 1 at every pixel"):
        normalized_correlation(image, [[1]])


def test_every_public_function_says_what_it_raises_and_where_it_comes_from():
    found = [
        function
        for _, function in inspect.getmembers(two_dimensions, inspect.isfunction)
        if function.__module__ == two_dimensions.__name__
    ]
    assert len(found) == 5
    for function in found:
        text = inspect.getdoc(function)
        assert re.search("ValueError|errors", text), function.__name__
        assert "Source: " in text, function.__name__
