"""Checks of single values in a record.

Each check raises a `ValueError` that names the field, the given value and what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from smm_tutorial.arguments import show_value

#: The largest absolute number in a record: rendering must not overflow float32.
LARGEST = 1e6
NEAREST = 1e-3  # world units: least distance from the origin to something that faces it
UNIT_TOLERANCE = 0.01  # by which a unit vector's length may differ from 1


def get_field(record: Mapping[str, Any], key: str, where: str) -> Any:
    """The value of a required field."""
    if key not in record:
        raise ValueError(
            f"{where}: the field '{key}' is missing, the record has {show_value(list(record))}"
        )
    return record[key]


def read_optional(
    record: Mapping[str, Any], key: str, name: str, read: Callable[[Any, str], Any]
) -> Any:
    """`read(value, name)` of a field, or None if the record lacks the field."""
    return read(record[key], name) if key in record else None


def check_fields(record: Any, keys: Sequence[str], where: str) -> None:
    """Raises unless the record is a mapping with exactly these fields."""
    if not isinstance(record, Mapping):
        found = type(record).__name__
        raise ValueError(f"{where} must be a mapping of {', '.join(keys)}, got {found}")
    for key in keys:
        get_field(record, key, where)
    if unknown := [str(key)[:100] for key in record if key not in keys]:
        raise ValueError(
            f"{where}: unknown fields {', '.join(unknown[:10])}; known are {', '.join(keys)}"
        )


def are_numbers(value: Any, length: int) -> bool:
    """Whether the value is a list of `length` finite numbers."""
    is_list = isinstance(value, (list, tuple, np.ndarray))
    return is_list and len(value) == length and all(_is_number(item) for item in value)


def check_numbers(value: Any, length: int, name: str) -> tuple[float, ...]:
    """The value as a tuple, if it is a list of `length` finite numbers."""
    if not are_numbers(value, length):
        raise ValueError(
            f"{name} must be a list of {length} finite numbers of at most {LARGEST:g} in size, "
            f"got {show_value(value)}"
        )
    return tuple(value)


def check_vector(value: Any, name: str) -> tuple[float, float, float]:
    """The value as a tuple, if it is a list of three finite numbers."""
    return check_numbers(value, 3, name)


def check_unit_vector(value: Any, name: str) -> tuple[float, float, float]:
    """The value as a tuple, if it is a list of three numbers and a vector of length 1."""
    vector = check_vector(value, name)
    if abs(math.hypot(*vector) - 1) > UNIT_TOLERANCE:
        raise ValueError(f"{name} must be a unit vector, got {show_value(value)}")
    return vector


def check_place(value: Any, name: str) -> tuple[float, float, float]:
    """The place of something that faces the world's origin, if it is at least `NEAREST` away from
    there.
    """
    place = check_vector(value, name)
    if math.hypot(*place) < NEAREST:
        raise ValueError(
            f"{name} must lie at least {NEAREST:g} from the origin, which it faces, "
            f"got {show_value(value)}"
        )
    return place


def check_number(value: Any, name: str, above: float = -LARGEST, at_most: float = LARGEST) -> float:
    """The value, if it is a finite number, greater than `above` and at most `at_most`."""
    if not _is_number(value) or not above < value <= at_most:
        raise ValueError(
            f"{name} must be a finite number above {above:g} and at most {at_most:g}, "
            f"got {show_value(value)}"
        )
    return value


def check_text(value: Any, name: str) -> str:
    """The value, if it is a string."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, got {show_value(value)}")
    return value


def _is_number(value: Any) -> bool:
    """Whether the value is a number, not a boolean, and small enough to compute with."""
    is_real = isinstance(value, (int, float, np.integer, np.floating))
    return is_real and not isinstance(value, bool) and abs(value) <= LARGEST
