"""Arguments: numbers of Python and numpy pass as they are, all else is named with what it was and what is allowed."""

from fractions import Fraction

import numpy as np
import pytest

from chaoslib.pipeline import arguments

NO_WHOLES = [-1, 1.5, 2.0, np.float64(2), True, np.True_, "2", b"2", None, [2], np.array([2]), float("nan"), 2 + 0j]
NO_NUMBERS = [-0.5, True, np.False_, "2", None, [1.0, 2.0], float("nan"), float("inf"), -float("inf"), 2 + 0j]


@pytest.mark.parametrize("value", [0, 7, np.int64(7), np.uint8(7), 2**70])
def test_a_whole_number_comes_back_as_one_of_python(value):
    given = arguments.whole("seed", value, least=0)
    assert (type(given), given) == (int, value)


@pytest.mark.parametrize("value", NO_WHOLES, ids=repr)
def test_what_is_no_whole_number_is_named_with_what_is_allowed(value):
    with pytest.raises(ValueError, match=r"^seed is .+: give a whole number of 0 or more$") as fault:
        arguments.whole("seed", value, least=0)
    assert arguments.shown(value) in str(fault.value)


@pytest.mark.parametrize("value", [0, 11, np.int8(-3)])
def test_a_whole_number_beyond_its_bounds_is_refused(value):
    with pytest.raises(ValueError, match=f"^steps is {value}: give a whole number from 1 to 10$"):
        arguments.whole("steps", value, least=1, most=10)


@pytest.mark.parametrize("value", [0, 0.5, 10**400, np.float32(1.5), np.int16(2), Fraction(1, 2)], ids=repr)
def test_a_number_comes_back_as_it_is(value):
    assert arguments.number("guidance", value, least=0) is value


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_number_from_the_least_on_is_named(value):
    with pytest.raises(ValueError, match=r"^guidance is .+: give a number of 0 or more$"):
        arguments.number("guidance", value, least=0)


def test_a_number_without_a_least_may_be_negative_but_not_infinite():
    assert arguments.number("mean_factor", -2.5) == -2.5
    with pytest.raises(ValueError, match=r"^mean_factor is -inf: give a finite number$"):
        arguments.number("mean_factor", -float("inf"))


@pytest.mark.parametrize("value", [45, 45.5, np.float32(45), np.array(45.0), [20, 30.5], np.array([[20], [30]])], ids=repr)
def test_index_points_are_floats_of_the_same_shape(value):
    given = arguments.index_points("vix", value)
    assert given.dtype == float
    np.testing.assert_array_equal(given, np.asarray(value, dtype=float))


@pytest.mark.parametrize("value", ["45", True, ["20", "30"], [True], np.array("45"), {}, 1j, [[20], [20, 30]]], ids=repr)
def test_texts_and_truth_values_are_no_index_points(value):
    with pytest.raises(ValueError, match=r"^vix is .+: give index points as numbers, such as 45$"):
        arguments.index_points("vix", value)


def test_a_long_value_is_shown_in_short():
    with pytest.raises(ValueError, match=r"^vix is 'a+\.\.\.a+': give") as fault:
        arguments.index_points("vix", "a" * 10_000)
    assert len(str(fault.value)) < 120
