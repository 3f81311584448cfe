"""Whole numbers are taken from any integer type; everything else is refused by its name."""

import json

import numpy as np
import pytest
import torch

from smm_tutorial.arguments import check_above_zero, check_sizes, check_whole, show_value
from tests.wrong_types import NO_NUMBERS

DEEP = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize("kind", [int, np.int8, np.int64, np.uint8, np.uint64, np.intp])
def test_whole_numbers_of_every_integer_type_become_plain_ints(kind):
    value = check_whole("limit", kind(3), least=3, most=3)
    assert type(value) is int and value == 3


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, np.True_, 2.0, 2.5, np.float32(2), "2", b"2", [2], {}, 2j),
        *(float("nan"), float("inf"), np.array(2), np.array([2, 3]), torch.tensor(2), DEEP),
    ],
    ids=lambda value: type(value).__name__,
)
def test_everything_else_is_refused_with_the_name_and_the_value(value):
    with pytest.raises(ValueError, match="^limit must be a whole number of at least 1, got ."):
        check_whole("limit", value)


@pytest.mark.parametrize(
    "value",
    [0, -1, np.int64(-5), 10, 10**400, -(10**5000)],
    ids=["0", "-1", "-5", "10", "many", "few"],
)
def test_bounds_are_named(value):
    with pytest.raises(ValueError, match="^size must be a whole number from 1 to 9, got "):
        check_whole("size", value, most=9)


@pytest.mark.parametrize(
    "value",
    [10**5000, DEEP, "x" * 10**6, list(range(10**6)), {"a": DEEP, "b": json}, np.zeros(10**5)],
    ids=lambda value: type(value).__name__,
)
def test_a_message_shows_any_value_in_a_few_characters(value):
    assert 0 < len(show_value(value)) < 500


def test_sizes_are_checked_together_and_come_in_their_order():
    sizes = check_sizes(width=np.int64(3), height=2)
    assert sizes == [3, 2] and all(type(size) is int for size in sizes)
    with pytest.raises(ValueError, match="^height must be a whole number of at least 1, got 0$"):
        check_sizes(width=3, height=0)


@pytest.mark.parametrize("value", [0.5, 3, np.float32(0.5), np.int64(3), 1e-300])
def test_numbers_above_zero_become_plain_floats(value):
    number = check_above_zero("scale", value)
    assert type(number) is float and number == value


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_number_above_zero_is_refused_by_its_name(value):
    with pytest.raises(ValueError, match="^scale must be a number above 0, got "):
        check_above_zero("scale", value)
