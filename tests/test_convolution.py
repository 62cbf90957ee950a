"""The 1-D functions are exact, agree with NumPy, SciPy and torch, and refuse bad input."""

import inspect
import re
import warnings
from fractions import Fraction

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnnbook.convolution import (
    convolution_matrix,
    convolve1d,
    convolve1d_fft,
    correlate1d,
    margins,
    one_dimension,
    output_length,
    pad1d,
)
from cnnbook.convolution.checks import BOUNDARIES, MODES

INTEGERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
FLOATS = ("float32", "float64", "longdouble")
whole_numbers = st.lists(st.integers(-9, 9), min_size=1, max_size=11)
modes = st.sampled_from(MODES)


@st.composite
def cases(draw):
    """Draw a signal, a kernel and a mode that go together."""
    signal, kernel, mode = draw(whole_numbers), draw(whole_numbers), draw(modes)
    if mode == "valid" and len(kernel) > len(signal):
        signal, kernel = kernel, signal
    return signal, kernel, mode


def exact(values):
    """Return an array of Python's fractions or whole numbers as a list."""
    return [Fraction(value) for value in np.asarray(values).tolist()]


def by_definition(signal, kernel, mode):
    """Sum the products that the definition names, one at a time, without rounding."""
    signal, kernel = exact(signal), exact(kernel)
    wide = [Fraction(0)] * (len(signal) + len(kernel) - 1)
    for i, sample in enumerate(signal):
        for k, tap in enumerate(kernel):
            wide[i + k] += sample * tap
    first = {"full": 0, "same": (len(kernel) - 1) // 2, "valid": len(kernel) - 1}[mode]
    last = {"full": len(wide), "same": first + len(signal), "valid": len(signal)}[mode]
    return wide[first:last]


@given(cases())
def test_convolution_is_the_sum_that_defines_it(case):
    assert exact(convolve1d(*case)) == by_definition(*case)


@given(cases())
def test_cross_correlation_is_convolution_with_the_kernel_reversed(case):
    signal, kernel, mode = case
    assert exact(correlate1d(*case)) == by_definition(signal, kernel[::-1], mode)


@given(cases())
def test_numpy_gives_the_same_whole_numbers(case):
    signal, kernel, mode = case
    if len(kernel) <= len(signal) or mode == "full":
        np.testing.assert_array_equal(convolve1d(*case), np.convolve(*case))
        np.testing.assert_array_equal(correlate1d(*case), np.correlate(*case))


@given(cases())
def test_scipy_gives_the_same_whole_numbers_also_for_a_kernel_longer_than_the_signal(case):
    signal, kernel, mode = case
    expected = scipy.signal.convolve(signal, kernel, mode, method="direct")
    np.testing.assert_array_equal(convolve1d(signal, kernel, mode), expected)
    expected = scipy.signal.convolve(signal, kernel[::-1], mode, method="direct")
    np.testing.assert_array_equal(correlate1d(signal, kernel, mode), expected)


@given(cases())
def test_torch_conv1d_gives_the_same_cross_correlation(case):
    signal, kernel, mode = case
    padded = torch.nn.functional.pad(torch.tensor(signal), margins(len(kernel), mode))
    expected = torch.nn.functional.conv1d(padded[None, None], torch.tensor(kernel)[None, None])
    np.testing.assert_array_equal(correlate1d(*case), expected[0, 0].numpy())


@given(whole_numbers, whole_numbers)
def test_torch_puts_the_extra_sample_of_an_even_kernel_on_the_other_side(signal, kernel):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        theirs = torch.nn.functional.conv1d(
            torch.tensor(signal)[None, None], torch.tensor(kernel)[None, None], padding="same"
        )[0, 0].numpy()
    before, after = margins(len(kernel), "same")
    assert before - after == (len(kernel) + 1) % 2
    mirrored = correlate1d(pad1d(signal, after, before), kernel, "valid")
    np.testing.assert_array_equal(theirs, mirrored)


def test_an_even_kernel_in_mode_same_reaches_one_sample_further_back_than_ahead():
    signal = [0, 0, 0, 0, 1, 0, 0, 0, 0]
    windows_that_hold_sample_4 = np.flatnonzero(correlate1d(signal, [1, 1, 1, 1], "same"))
    assert windows_that_hold_sample_4.tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernel_type", INTEGERS)
@pytest.mark.parametrize("signal_type", INTEGERS)
def test_every_integer_type_is_computed_exactly_in_int64(signal_type, kernel_type, mode):
    signal = np.array([1, 100, 0, 120, 120, 7, 90], dtype=signal_type)
    kernel = np.array([100, 0, 3, 127], dtype=kernel_type)
    for function, taps in ((convolve1d, kernel), (correlate1d, kernel[::-1])):
        result = function(signal, kernel, mode)
        assert result.dtype == np.int64
        assert exact(result) == by_definition(signal, taps, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", FLOATS)
def test_floats_keep_their_precision(kind, mode):
    random = np.random.default_rng(1)
    signal, kernel = random.normal(size=29).astype(kind), random.normal(size=6).astype(kind)
    for function, taps in ((convolve1d, kernel), (correlate1d, kernel[::-1])):
        result = function(signal, kernel, mode)
        assert result.dtype == kind
        scale = np.abs(signal).max() * np.abs(kernel).sum()
        error = np.abs(result - np.convolve(signal.astype("longdouble"), taps, mode)).max()
        assert error <= 8 * np.finfo(kind).eps * scale
    assert pad1d(signal, 2, 3).dtype == kind
    assert convolution_matrix(kernel, 29, mode).dtype == kind


def test_a_mixture_of_types_becomes_what_numpy_makes_of_it():
    assert convolve1d(np.ones(5, "float32"), np.ones(2, "float64")).dtype == np.float64
    assert convolve1d(np.ones(5, "int8"), np.ones(2, "float32")).dtype == np.float64
    np.testing.assert_array_equal(convolve1d([1, 2, 3], [0.5, 0.25]), [0.5, 1.25, 2.0, 0.75])


@given(cases())
def test_the_fft_agrees_up_to_rounding_in_every_mode(case):
    direct, fast = convolve1d(*case), convolve1d_fft(*case)
    assert fast.dtype == np.float64
    assert fast.shape == direct.shape
    np.testing.assert_allclose(fast, direct, rtol=0, atol=1e-11)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernel_length", (1, 2, 255, 256, 257, 700))
def test_the_fft_agrees_on_long_signals(kernel_length, mode):
    random = np.random.default_rng(kernel_length)
    signal, kernel = random.normal(size=1031), random.normal(size=kernel_length)
    expected = np.convolve(signal, kernel, mode)
    np.testing.assert_allclose(convolve1d_fft(signal, kernel, mode), expected, rtol=0, atol=1e-11)
    single = convolve1d_fft(signal.astype("float32"), kernel.astype("float32"), mode)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("function", (convolve1d, correlate1d, convolve1d_fft))
def test_signals_that_are_not_contiguous_give_the_same_result(function):
    signal, kernel = np.arange(30) ** 2 % 17, np.arange(12) - 4
    for step in (2, 3, -1, -2):
        expected = function(signal[::step].copy(), kernel[::step].copy(), "same")
        np.testing.assert_array_equal(function(signal[::step], kernel[::step], "same"), expected)


@pytest.mark.parametrize("kind", ("int64", "float64"))
@pytest.mark.parametrize("mode", MODES)
def test_arguments_are_not_changed_and_results_share_no_memory_with_them(mode, kind):
    signal, kernel = np.arange(7).astype(kind), np.ones(1, dtype=kind)
    signal.setflags(write=False)
    results = [f(signal, kernel, mode) for f in (convolve1d, correlate1d, convolve1d_fft)]
    results += [pad1d(signal, 0, 0), convolution_matrix(kernel, 7, mode)]
    for result in results:
        result += 1
        assert not np.shares_memory(result, signal)
        assert not np.shares_memory(result, kernel)
    assert signal.tolist() == list(range(7))
    assert kernel.tolist() == [1]


@given(cases())
def test_output_length_is_the_number_of_outputs(case):
    signal, kernel, mode = case
    assert output_length(len(signal), len(kernel), mode) == len(by_definition(*case))
    assert len(convolve1d(*case)) == len(by_definition(*case))


@given(cases())
def test_the_matrix_does_what_the_function_does(case):
    signal, kernel, mode = case
    matrix = convolution_matrix(kernel, len(signal), mode)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix @ np.array(signal), convolve1d(*case))
    assert set(matrix.ravel().tolist()) <= {0, *kernel}
    np.testing.assert_array_equal(matrix[1:, 1:], matrix[:-1, :-1])


@given(cases(), st.integers(0, 2**32 - 1))
def test_the_transposed_matrix_is_the_adjoint(case, seed):
    signal, kernel, mode = case
    upstream = np.random.default_rng(seed).integers(
        -9, 10, output_length(len(signal), len(kernel), mode)
    )
    matrix = convolution_matrix(kernel, len(signal), mode)
    assert convolve1d(*case) @ upstream == np.array(signal) @ (matrix.T @ upstream)
    if mode == "valid":
        np.testing.assert_array_equal(matrix.T @ upstream, correlate1d(upstream, kernel, "full"))
    if mode == "full":
        np.testing.assert_array_equal(matrix.T @ upstream, correlate1d(upstream, kernel, "valid"))


@given(whole_numbers, st.integers(0, 9), st.integers(0, 9))
def test_each_boundary_continues_the_signal_as_its_rule_says(signal, before, after):
    last = len(signal) - 1
    rules = {
        "zero": lambda i: signal[i] if 0 <= i <= last else 0,
        "replicate": lambda i: signal[min(max(i, 0), last)],
        "reflect": lambda i: signal[-i if i < 0 else 2 * last - i if i > last else i],
        "circular": lambda i: signal[i % len(signal)],
    }
    assert set(rules) == set(BOUNDARIES)
    for boundary, rule in rules.items():
        if boundary == "reflect" and max(before, after) > last:
            continue
        padded = pad1d(signal, before, after, boundary)
        assert padded.tolist() == [rule(i) for i in range(-before, len(signal) + after)]
        assert padded.dtype == np.int64


@pytest.mark.parametrize("kernel", ([2.0, 0.0, -1.0], [0.0, 1.0, 0.0, 0.0]))
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("function", (convolve1d, correlate1d))
def test_nan_in_the_signal_reaches_exactly_the_outputs_whose_window_holds_it(
    function, mode, kernel
):
    signal = np.arange(9.0)
    signal[4] = np.nan
    windows = convolution_matrix(np.ones(len(kernel)), 9, mode)
    np.testing.assert_array_equal(np.isnan(function(signal, kernel, mode)), windows[:, 4] == 1)


@pytest.mark.parametrize("mode", MODES)
def test_nan_in_the_kernel_reaches_every_output(mode):
    for function in (convolve1d, correlate1d, convolve1d_fft):
        assert np.isnan(function(np.arange(9.0), [1.0, np.nan, 0.0], mode)).all()


@pytest.mark.parametrize("mode", MODES)
def test_nan_in_the_kernel_stands_at_its_places_of_the_matrix_only(mode):
    with_nan = np.isnan(convolution_matrix([np.nan, 1.0, 2.0], 7, mode))
    np.testing.assert_array_equal(with_nan, convolution_matrix([1, 0, 0], 7, mode) == 1)


@pytest.mark.parametrize("bad", (np.nan, np.inf))
@pytest.mark.parametrize("mode", MODES)
def test_one_nan_or_infinity_spreads_through_the_fft_to_every_output(mode, bad):
    signal = np.arange(40.0)
    signal[17] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert np.isnan(convolve1d_fft(signal, [1.0, 2.0, 3.0], mode)).all()


def test_an_infinity_meets_a_zero_of_the_padding_as_nan():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result = convolve1d([1.0, 2.0], [np.inf, 1.0])
    assert np.isnan(result).tolist() == [False, False, True]


def test_nan_is_padded_like_any_sample():
    assert np.isnan(pad1d([np.nan, 1.0], 2, 1, "replicate")).tolist() == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_what_is_documented_to_be_exact_near_the_largest_int64_is_exact():
    half = 2**62
    assert convolve1d([half - 1, 1], [1, 1]).tolist() == [half - 1, half, 1]
    with pytest.raises(
        ValueError, match=f"signal and kernel were whole numbers up to {half} and 1"
    ):
        convolve1d([half, half], [1, 1])
    assert convolve1d([float(half), half], [1, 1]).tolist() == [2.0**62, 2.0**63, 2.0**62]


NO_VECTOR = {
    "empty": ([], "was empty; it must hold at least one number"),
    "number": (3.0, r"was of shape \(\); it must be one-dimensional"),
    "matrix": ([[1, 2, 3], [4, 5, 6]], r"was of shape \(2, 3\); it must be one-dimensional"),
    "complex": ([1j, 2], "was of dtype complex128; it must hold bool, integers or floats"),
    "object": ([None, 1], "was of dtype object; it must hold"),
    "none": (None, "was of dtype object; it must hold"),
    "fractions": ([Fraction(1, 2), 1], "was of dtype object; it must hold"),
    "huge": ([2**70], "was of dtype object; it must hold"),
    "string": ("abc", "was of dtype <U3; it must hold"),
    "strings": (["1", "2"], "was of dtype <U1; it must hold"),
    "bytes": (b"abc", r"was of dtype \|S3; it must hold"),
    "dates": (np.array(["2024-01-01"], "datetime64[D]"), r"was of dtype datetime64\[D\]"),
    "ragged": ([[1, 2], [3]], "was a list that is no array .* must be a one-dimensional array"),
    "gradient": (torch.ones(3, requires_grad=True), "was a Tensor that is no array"),
    "unsigned": (np.array([2**63], "uint64"), "held 9223372036854775808 or its negative"),
}


@pytest.mark.parametrize("bad", NO_VECTOR)
@pytest.mark.parametrize("name", ("signal", "kernel"))
@pytest.mark.parametrize("function", (convolve1d, correlate1d, convolve1d_fft))
def test_a_bad_signal_or_kernel_is_named_with_what_it_must_be(function, name, bad):
    value, message = NO_VECTOR[bad]
    arguments = {"signal": [1, 2, 3, 4], "kernel": [1, 2], name: value}
    with pytest.raises(ValueError, match=f"^{name} {message}"):
        function(**arguments)


@pytest.mark.parametrize("bad", NO_VECTOR)
def test_a_bad_kernel_of_a_matrix_or_signal_of_a_padding_is_named(bad):
    value, message = NO_VECTOR[bad]
    with pytest.raises(ValueError, match=f"^kernel {message}"):
        convolution_matrix(value, 5)
    with pytest.raises(ValueError, match=f"^signal {message}"):
        pad1d(value, 1, 1)


@pytest.mark.parametrize(
    "mode", ("wide", "Full", "", None, 0, ["full"], np.array(["full", "same"]))
)
def test_an_unknown_mode_is_named(mode):
    message = f"^mode was {re.escape(repr(mode))}; it must be 'full', 'same' or 'valid'$"
    calls = (
        lambda: convolve1d([1, 2, 3], [1], mode),
        lambda: correlate1d([1, 2, 3], [1], mode),
        lambda: convolve1d_fft([1, 2, 3], [1], mode),
        lambda: convolution_matrix([1], 3, mode),
        lambda: output_length(3, 1, mode),
        lambda: margins(1, mode),
    )
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()


def test_a_kernel_longer_than_the_signal_is_refused_in_mode_valid_only():
    message = "^kernel was of length 4; with mode 'valid' it must be at most as long as signal, 3$"
    calls = (
        lambda mode: convolve1d([1, 2, 3], [1, 2, 3, 4], mode),
        lambda mode: correlate1d([1, 2, 3], [1, 2, 3, 4], mode),
        lambda mode: convolve1d_fft([1, 2, 3], [1, 2, 3, 4], mode),
        lambda mode: convolution_matrix([1, 2, 3, 4], 3, mode),
        lambda mode: range(output_length(3, 4, mode)),
    )
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call("valid")
        assert len(call("full")) == 6
        assert len(call("same")) == 3


@pytest.mark.parametrize("number", (0, -1, 2.0, "3", None, True, [4]))
def test_a_length_that_is_no_positive_whole_number_is_named(number):
    message = f"was {re.escape(repr(number))}; it must be a whole number of at least 1$"
    with pytest.raises(ValueError, match=f"^signal_length {message}"):
        output_length(number, 1, "full")
    with pytest.raises(ValueError, match=f"^signal_length {message}"):
        convolution_matrix([1], number)
    with pytest.raises(ValueError, match=f"^kernel_length {message}"):
        output_length(3, number, "full")
    with pytest.raises(ValueError, match=f"^kernel_length {message}"):
        margins(number, "full")


@pytest.mark.parametrize("name", ("before", "after"))
def test_a_bad_padding_width_is_named(name):
    for width in (-1, 1.0, None, False):
        arguments = {"before": 1, "after": 1, name: width}
        message = f"^{name} was {width!r}; it must be a whole number of at least 0$"
        with pytest.raises(ValueError, match=message):
            pad1d([1, 2, 3], **arguments)
    arguments = {"before": 2, "after": 2, name: 3}
    with pytest.raises(ValueError, match=f"^{name} was 3; it must be at most 2, because a signal"):
        pad1d([1, 2, 3], **arguments, boundary="reflect")


@pytest.mark.parametrize("boundary", ("wrap", "Zero", None, 0, ["zero"]))
def test_an_unknown_boundary_is_named(boundary):
    message = f"^boundary was {re.escape(repr(boundary))}; it must be one of zero, replicate,"
    with pytest.raises(ValueError, match=message):
        pad1d([1, 2, 3], 1, 1, boundary)


def test_every_public_function_says_what_it_raises_and_where_it_comes_from():
    sources = {"convolve1d", "correlate1d", "convolve1d_fft", "convolution_matrix", "output_length"}
    for name, function in inspect.getmembers(one_dimension, inspect.isfunction):
        if function.__module__ == one_dimension.__name__:
            text = inspect.getdoc(function)
            assert re.search("ValueError|errors", text), name
            assert ("Source: " in text) == (name in sources), name


@given(whole_numbers, whole_numbers)
def test_wide_convolution_commutes_and_wide_cross_correlation_comes_out_reversed(first, second):
    np.testing.assert_array_equal(convolve1d(first, second), convolve1d(second, first))
    swapped = correlate1d(second, first, "full")
    np.testing.assert_array_equal(correlate1d(first, second, "full"), swapped[::-1])
