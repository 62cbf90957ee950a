"""The statistics are exact where they say so, agree with SciPy, and refuse bad input."""

import ast
import itertools
import json
import re
from fractions import Fraction
from math import comb, sqrt

import numpy as np
import pytest
import scipy.stats
import torch
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from cnnbook import statistics
from cnnbook.statistics import (
    bootstrap_difference,
    mcnemar,
    sign_flip_interval,
    sign_flip_test,
    standard_error,
    summarize_runs,
    wilson_interval,
)
from tools import notebooks

accuracies = st.floats(0, 1)
counts = st.integers(1, 100_000)
# Multiples of a hundredth, as accuracies are multiples of 1 / N: equal sums occur.
run_differences = st.lists(st.integers(-40, 40), min_size=1, max_size=8).map(
    lambda steps: [step / 100 for step in steps]
)


def judged(both, neither, only_a, only_b, seed=0):
    """Return right_a and right_b with these counts, in a random order."""
    table = [both, neither, only_a, only_b]
    order = np.random.default_rng(seed).permutation(sum(table))
    right_a = np.repeat([True, False, True, False], table)[order]
    right_b = np.repeat([True, False, False, True], table)[order]
    return right_a, right_b


def patterns(differences):
    """Return the sums of all patterns of signs, each difference as an exact fraction."""
    exact = [Fraction(round(100 * difference), 100) for difference in differences]
    signs = itertools.product((1, -1), repeat=len(exact))
    return sum(exact), [sum(s * d for s, d in zip(row, exact, strict=True)) for row in signs]


def test_ten_thousand_digits_at_99_percent_are_known_to_a_tenth_of_a_point():
    assert standard_error(0.99, 10_000) == pytest.approx(0.000995, abs=5e-7)


@given(st.integers(0, 60), st.integers(1, 60))
def test_the_standard_error_is_the_deviation_of_a_binomial_share(right, count):
    accuracy = min(right, count) / count
    expected = scipy.stats.binom.std(count, accuracy) / count
    assert standard_error(accuracy, count) == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 500), st.integers(1, 500), st.floats(0.01, 0.999))
def test_wilson_s_interval_is_scipy_s(right, count, level):
    right = min(right, count)
    expected = scipy.stats.binomtest(right, count).proportion_ci(level, method="wilson")
    assert wilson_interval(right / count, count, level) == pytest.approx(tuple(expected), abs=1e-9)


@given(accuracies, counts)
def test_wilson_s_interval_holds_the_accuracy_and_stays_between_0_and_1(accuracy, count):
    low, high = wilson_interval(accuracy, count)
    assert 0 <= low <= accuracy + 1e-12 and accuracy - 1e-12 <= high <= 1


def test_rounding_never_pushes_wilson_s_interval_beyond_0_or_1():
    for count in range(1, 500):
        assert 0 <= wilson_interval(0, count)[0] < 1e-12
        assert 1 - 1e-12 < wilson_interval(1, count)[1] <= 1


def test_at_the_ends_of_wilson_s_interval_the_accuracy_is_1_96_standard_errors_away():
    for end in wilson_interval(0.83, 257):
        assert abs(0.83 - end) / standard_error(end, 257) == pytest.approx(1.959964, abs=1e-6)


def test_wilson_s_interval_is_wider_at_a_higher_level():
    (low, high), (lower, higher) = (wilson_interval(0.9, 50, level) for level in (0.9, 0.99))
    assert lower < low < high < higher


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_runs_are_summarized_by_count_mean_and_the_deviation_that_divides_by_one_less(values):
    count, mean, deviation = summarize_runs(values)
    assert (type(count), type(mean), type(deviation)) == (int, float, float)
    assert count == len(values)
    assert mean == pytest.approx(np.mean(values), abs=1e-6)
    squares = sum((value - mean) ** 2 for value in values)
    assert deviation == pytest.approx(sqrt(squares / (count - 1)), abs=1e-6)


@given(*[st.integers(0, 60)] * 4, st.integers(0, 9))
def test_mcnemar_is_the_exact_binomial_test_of_the_discordant_pictures(
    both, neither, only_a, only_b, seed
):
    if both + neither + only_a + only_b == 0:
        both = 1
    result = mcnemar(*judged(both, neither, only_a, only_b, seed))
    assert result[:2] == (only_a, only_b)
    discordant = only_a + only_b
    expected = scipy.stats.binomtest(only_a, discordant).pvalue if discordant else 1.0
    assert result[2] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "only_a, only_b, numerator",
    [(7, 1, 2 * (1 + 8)), (1, 7, 2 * (1 + 8)), (9, 1, 2 * (1 + 10)), (6, 0, 2), (0, 0, 1)],
)
def test_mcnemar_gives_what_is_counted_by_hand(only_a, only_b, numerator):
    expected = (only_a, only_b, numerator / 2 ** (only_a + only_b))
    assert mcnemar(*judged(31, 17, only_a, only_b)) == expected


def test_mcnemar_of_equally_many_discordant_pictures_is_1_and_not_more():
    assert mcnemar(*judged(3, 0, 5, 5))[2] == 1.0


def test_mcnemar_of_thousands_of_discordant_pictures_is_exact_and_does_not_overflow():
    only_a, only_b = 5_200, 4_800
    expected = 2 * Fraction(sum(comb(10_000, k) for k in range(0, 400)), 2**10_000)
    assert mcnemar(*judged(0, 0, 9_601, 399))[2] == float(expected)
    p_value = mcnemar(*judged(0, 0, only_a, only_b))[2]
    assert p_value == pytest.approx(scipy.stats.binomtest(only_a, 10_000).pvalue, rel=1e-9)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, lambda a: np.array(a, np.uint8)])
def test_right_answers_may_be_lists_arrays_tensors_or_ones_and_zeros(kind):
    right_a, right_b = judged(20, 4, 6, 3)
    pair = kind(right_a.tolist()), kind(right_b.tolist())
    assert mcnemar(*pair) == mcnemar(right_a, right_b)
    expected = bootstrap_difference(right_a, right_b, 5)
    assert np.array_equal(bootstrap_difference(*pair, 5), expected)


def test_the_bootstrap_scatters_about_the_difference_as_the_paired_formula_says():
    right_a, right_b = judged(800, 51, 100, 49)
    differences = bootstrap_difference(right_a, right_b, draws=4_000, seed=3)
    assert differences.shape == (4_000,) and differences.dtype == np.float64
    error = sqrt((100 + 49) / 1_000 - 0.051**2) / sqrt(1_000)
    assert differences.mean() == pytest.approx(0.051, abs=4 * error / sqrt(4_000))
    assert differences.std() == pytest.approx(error, rel=0.05)


def test_the_bootstrap_interval_is_scipy_s_paired_percentile_interval():
    right_a, right_b = judged(400, 20, 50, 30)
    ours = np.quantile(bootstrap_difference(right_a, right_b, 5_000), [0.025, 0.975])
    scipys = scipy.stats.bootstrap(
        (right_a.astype(float), right_b.astype(float)),
        lambda a, b, axis=-1: np.mean(a - b, axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=5_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert ours == pytest.approx(tuple(scipys), abs=0.003)


def test_the_bootstrap_keeps_pairs_together():
    right = judged(300, 200, 0, 0)[0]
    assert not bootstrap_difference(right, right, 50).any()


def test_the_bootstrap_depends_on_its_seed_alone():
    pair = judged(30, 20, 10, 5)
    np.random.seed(0)
    one = bootstrap_difference(*pair, 20, seed=4)
    np.random.seed(1)
    assert np.array_equal(one, bootstrap_difference(*pair, 20, seed=4))
    assert not np.array_equal(one, bootstrap_difference(*pair, 20, seed=5))


@given(run_differences)
def test_the_sign_flip_test_counts_the_patterns_exactly_with_ties(differences):
    total, sums = patterns(differences)
    expected = sum(abs(s) >= abs(total) for s in sums) / len(sums)
    assert sign_flip_test(differences) == expected


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=8))
def test_the_sign_flip_test_is_scipy_s_permutation_test_of_pairs(differences):
    differences = np.round(differences, 2)
    expected = scipy.stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert sign_flip_test(differences) == pytest.approx(expected, abs=1e-12)


def test_accuracies_in_shares_and_in_points_give_the_same_p_value():
    shares = [0.9402 - 0.9508, 0.96 - 0.9366, 0.9712 - 0.9628, 0.971 - 0.967, 0.9716 - 0.9714]
    assert sign_flip_test(shares) == sign_flip_test([100 * share for share in shares]) == 14 / 32


@pytest.mark.parametrize("count", range(1, 13))
def test_differences_of_one_sign_give_the_smallest_p_value_that_there_is(count):
    differences = np.linspace(1, 2, count)
    assert sign_flip_test(differences) == sign_flip_test(-differences) == 2 / 2**count


def test_differences_of_zero_are_no_evidence():
    assert sign_flip_test([0, 0, 0]) == 1.0


@given(
    st.lists(st.integers(-500, 500), min_size=6, max_size=8, unique=True),
    st.floats(-6, 6),
    st.sampled_from([0.8, 0.9, 0.95]),
)
def test_the_interval_holds_exactly_what_the_test_does_not_reject(steps, center, level):
    differences = np.array(steps) / 100
    low, high = sign_flip_interval(differences, level)
    if min(abs(center - low), abs(center - high)) > 1e-6:
        p_value = sign_flip_test(differences - center)
        assert (low < center < high) == (p_value > 1 - level)


def test_at_most_the_promised_share_of_intervals_misses_the_center_and_hardly_less():
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(2_000):
        low, high = sign_flip_interval(random.normal(-0.7, 2, size=9))
        covered += low <= -0.7 <= high
    assert 0.94 < covered / 2_000 < 0.97  # 1 - 24 / 512 is 0.953


@pytest.mark.parametrize("count, level", [(2, 0.5), (5, 0.9375), (6, 0.95), (20, 0.95)])
def test_the_interval_moves_and_stretches_with_its_differences(count, level):
    differences = np.random.default_rng(2).normal(size=count)
    low, high = sign_flip_interval(differences, level)
    assert low <= differences.mean() <= high
    moved = sign_flip_interval(3 - 2 * differences, level)
    assert moved == pytest.approx((3 - 2 * high, 3 - 2 * low), abs=1e-9)


def test_of_five_differences_the_widest_interval_runs_from_the_least_to_the_greatest():
    differences = [3.54, 1.82, 0.8, 0.62, 0.72]
    assert sign_flip_interval(differences, 0.9375) == pytest.approx((0.62, 3.54))


def test_arguments_are_not_changed():
    right_a, right_b = judged(20, 4, 6, 3)
    differences = np.array([3.0, 1.0, 2.0, 5.0, 4.0, 6.0])
    copies = [array.copy() for array in (right_a, right_b, differences)]
    mcnemar(right_a, right_b)
    bootstrap_difference(right_a, right_b, 3)
    summarize_runs(differences)
    sign_flip_test(differences)
    sign_flip_interval(differences)
    for before, after in zip(copies, (right_a, right_b, differences), strict=True):
        assert np.array_equal(before, after)


NAN = float("nan")


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: standard_error(99.0, 10_000),
            "accuracy was 99.0; it must be a number from 0 to 1",
        ),
        (lambda: standard_error(-0.1, 10), "accuracy was -0.1"),
        (lambda: standard_error(NAN, 10), "accuracy was nan"),
        (lambda: standard_error(True, 10), "accuracy was True"),
        (lambda: standard_error("0.9", 10), "accuracy was '0.9'"),
        (lambda: standard_error(0.9, 0), "count was 0; it must be a whole number of at least 1"),
        (lambda: standard_error(0.9, 10.0), "count was 10.0"),
        (lambda: wilson_interval(1.5, 10), "accuracy was 1.5"),
        (lambda: wilson_interval(0.9, -3), "count was -3"),
        (lambda: wilson_interval(0.9, 10, 95), "level was 95; it must be a number between 0 and 1"),
        (lambda: wilson_interval(0.9, 10, 1.0), "level was 1.0"),
        (lambda: wilson_interval(0.9, 10, NAN), "level was nan"),
        (lambda: summarize_runs([97.5]), "values were 1; they must be at least 2"),
        (lambda: summarize_runs([]), "values was empty"),
        (lambda: summarize_runs([1.0, NAN]), "values held nan; they must be finite"),
        (
            lambda: summarize_runs([[1, 2]]),
            "values was of shape (1, 2); it must be one-dimensional",
        ),
        (lambda: summarize_runs(["a", "b"]), "values was of dtype <U1"),
        (lambda: mcnemar([True], [True, False]), "right_a and right_b were of lengths 1 and 2"),
        (lambda: mcnemar([7, 1], [7, 2]), "right_a held 7; it must hold only True"),
        (lambda: mcnemar([1, 0], [0.5, 1]), "right_b held 0.5"),
        (lambda: mcnemar([1, 0], [NAN, 1]), "right_b held nan"),
        (lambda: mcnemar([], []), "right_a was empty"),
        (lambda: mcnemar(0.98, 0.97), "right_a was of shape ()"),
        (lambda: bootstrap_difference([1], [1, 0]), "right_a and right_b were of lengths 1 and 2"),
        (lambda: bootstrap_difference([1], [1], 0), "draws was 0"),
        (lambda: bootstrap_difference([1], [1], 5, -1), "seed was -1"),
        (lambda: sign_flip_test([]), "differences was empty"),
        (lambda: sign_flip_test([1, float("inf")]), "differences held inf"),
        (lambda: sign_flip_test([1.0] * 21), "differences were 21; they must be at most 20"),
        (lambda: sign_flip_interval([1.0] * 21), "differences were 21"),
        (
            lambda: sign_flip_interval([1, 2, 3, 4, 5]),
            "level was 0.95; with 5 differences it must be at most 0.9375",
        ),
        (lambda: sign_flip_interval([1.0]), "differences were 1; they must be at least 2"),
        (lambda: sign_flip_interval([1.0] * 7, 0), "level was 0; it must be a number between"),
    ],
)
def test_bad_input_is_refused_with_its_name_what_it_was_and_what_it_must_be(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_every_public_function_says_its_source_or_needs_none():
    for name, value in vars(statistics).items():
        if getattr(value, "__module__", "") == statistics.__name__ and name != "summarize_runs":
            assert "Source: " in value.__doc__, name


def test_the_chapter_compares_the_figures_that_the_experiment_stored():
    stored = json.loads((ROOT / "experiments/results/first_cnn.json").read_text("utf-8"))
    cells = notebooks.read(ROOT / "chapters/13-how-to-measure.ipynb").cells
    source = next(cell.source for cell in cells if cell.source.startswith("STORED ="))
    shown = ast.literal_eval(ast.parse(source).body[0].value)
    assert len(shown) == 3
    for recipe, rows in shown.items():
        runs = [run for run in stored["runs"] if run["recipe"] == recipe]
        assert rows["test"] == [round(100 * run["test_accuracy"], 2) for run in runs]
        last = [round(100 * run["validation_accuracy"][-1], 2) for run in runs]
        assert rows["validation"] == last
