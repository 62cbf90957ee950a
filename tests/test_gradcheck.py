"""The gradient checker measures slopes as well as float64 allows, and points at what is wrong."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnnbook.gradcheck import check_gradient, numerical_gradient

SHAPES = st.sampled_from([(), (1,), (5,), (3, 2), (2, 1, 3)])
SEEDS = st.integers(0, 2**32 - 1)


@given(SHAPES, SEEDS)
def test_of_a_quadratic_the_slopes_are_exact_whatever_the_step(shape, seed):
    """Central differences have no truncation error on polynomials of degree 2."""
    random = np.random.default_rng(seed)
    array, bend = random.integers(-9, 10, (2, *shape))
    tilt = random.integers(-9, 10, shape)
    for step in (0.25, 1, 4):
        slopes = numerical_gradient(
            lambda x: (bend * x**2 + tilt * x).sum() + 7 * (x.sum() ** 2), array, step
        )
        np.testing.assert_array_equal(slopes, 2 * bend * array + tilt + 14 * array.sum())
        assert slopes.dtype == np.float64 and slopes.shape == shape


def test_the_error_of_a_cubic_is_the_step_squared():
    for step in (1 / 2, 1 / 8):
        assert numerical_gradient(lambda x: x[0] ** 3, [3.0], step)[0] == 27 + step**2


@given(SHAPES, SEEDS)
def test_a_right_gradient_has_a_tiny_error_and_a_wrong_entry_is_found_where_it_is(shape, seed):
    random = np.random.default_rng(seed)
    array = random.uniform(0.5, 1.5, shape)
    right = np.cos(array) * np.prod(np.sin(array)) / np.sin(array)

    def function(x):
        return np.prod(np.sin(x))

    assert check_gradient(function, right, array)[0] < 1e-8
    place = tuple(int(random.integers(length)) for length in shape)
    wrong = np.array(right)
    wrong[place] *= 1.01
    error, found = check_gradient(function, wrong, array)
    assert found == place
    assert abs(error - 0.01 / 1.01) < 1e-6 and type(error) is float


def test_the_error_is_that_of_the_worst_entry_relative_to_the_larger_value():
    def function(x):
        return x @ [8.0, 4.0, 0.0]

    for gradient, expected in (
        ([8, 4, 0], (0, (0,))),
        ([4, 4, 0], (1 / 2, (0,))),
        ([8, 16, 0], (3 / 4, (1,))),
        ([-8, 4, 0], (2, (0,))),
        ([8, 4, 1], (1, (2,))),
        ([8, 4, 1e-6], (1e-6 / 8e-3, (2,))),
        ([8, 4, -1e-6], (1e-6 / 8e-3, (2,))),
        ([0, 0, 0], (1, (0,))),
    ):
        error, place = check_gradient(function, gradient, np.zeros(3), step=1)
        assert place == expected[1]
        assert abs(error - expected[0]) < 1e-15


def test_two_gradients_of_nothing_but_zeros_agree():
    assert check_gradient(lambda x: 7, np.zeros((2, 3)), np.ones((2, 3))) == (0.0, (0, 0))


def test_nan_is_the_worst_error_and_stands_where_it_is():
    gradient = np.array([[1.5, 1.0], [np.nan, 1.0]])
    error, place = check_gradient(np.sum, gradient, np.zeros((2, 2)))
    assert np.isnan(error) and place == (1, 0)
    slopes = numerical_gradient(lambda x: np.nan if x[1] > 1 else x.sum(), [0.0, 1.0])
    assert np.isnan(slopes).tolist() == [False, True]


def test_a_step_lost_in_rounding_gives_nan_and_one_half_lost_is_counted_as_it_came_out():
    with np.errstate(invalid="ignore"):
        assert np.isnan(numerical_gradient(lambda x: 3 * x[0], [1e20]))
    slopes = numerical_gradient(lambda x: 4 * x[0], [1e8], step=2e-8)
    assert slopes[0] == 4


def test_the_function_may_change_what_it_gets_and_the_array_stays_as_it_was():
    array = np.array([1, 2, 3])
    array.setflags(write=False)

    def squares(x):
        x *= x
        return x.sum()

    np.testing.assert_allclose(numerical_gradient(squares, array), [2, 4, 6], rtol=1e-9)


def test_a_number_of_any_library_counts_as_one():
    for one in (float, np.float32, torch.tensor, np.array, lambda x: round(x)):
        assert numerical_gradient(lambda x, one=one: one(2 * x[0]), [4.0], step=1)[0] == 2


def test_an_empty_array_has_an_empty_gradient_and_cannot_be_checked():
    assert numerical_gradient(np.sum, np.empty((0, 3))).shape == (0, 3)
    with pytest.raises(ValueError, match="^array was empty; it must hold at least one number$"):
        check_gradient(np.sum, np.empty((0, 3)), np.empty((0, 3)))


GIVEN = {"function": np.sum, "gradient": [1.0, 1.0], "array": [1.0, 2.0], "step": 0.5}
BAD = [
    ("function", 3, "function was 3; it must be a function of one array"),
    ("function", np.sin, "the result of function was of shape (2,); it must be one real number"),
    ("function", lambda x: None, "the result of function was of dtype object; it must hold"),
    ("function", lambda x: 1j, "the result of function was of dtype complex128; it must hold"),
    ("gradient", [1.0], "gradient was of shape (1,); it must be (2,), the shape of array"),
    ("gradient", "ab", "gradient was of dtype <U2; it must hold bool, integers or floats"),
    ("array", "ab", "array was of dtype <U2; it must hold bool, integers or floats"),
    ("array", [[1], [2, 3]], "array was a list that is no array"),
    ("step", 0, "step was 0; it must be a number greater than 0, such as 1e-5"),
    ("step", -1e-5, "step was -1e-05; it must be a number greater than 0, such as 1e-5"),
    ("step", np.inf, "step was inf; it must be"),
    ("step", np.nan, "step was nan; it must be"),
    ("step", True, "step was True; it must be"),
    ("step", "1", "step was '1'; it must be"),
]


@pytest.mark.parametrize("name, value, message", BAD)
def test_what_does_not_fit_is_named(name, value, message):
    assert check_gradient(**GIVEN) == (0.0, (0,))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        check_gradient(**(GIVEN | {name: value}))


@pytest.mark.parametrize("function", [numerical_gradient, check_gradient])
def test_the_docstrings_say_what_is_raised_and_where_it_comes_from(function):
    assert all(word in function.__doc__ for word in ("ValueError", "Source: ", "NaN"))
