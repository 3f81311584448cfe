"""Checks of single values in a record.

Each raises a `ValueError` that names the field, what was given and what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from smm_tutorial.arguments import show_value

#: The largest number in a record, in size: what is rendered must not overflow float32.
LARGEST = 1e6
NEAREST = 1e-3  # world units from the origin to what faces it
UNIT_TOLERANCE = 0.01  # by which a unit vector's length may differ from 1


def get_field(record: Mapping[str, Any], key: str, where: str) -> Any:
    """The value of a field that must be there."""
    if key not in record:
        raise ValueError(
            f"{where}: the field '{key}' is missing, the record has {show_value(list(record))}"
        )
    return record[key]


def read_optional(
    record: Mapping[str, Any], key: str, name: str, read: Callable[[Any, str], Any]
) -> Any:
    """`read(value, name)` of a field, None where the record lacks it."""
    return read(record[key], name) if key in record else None


def check_fields(record: Any, keys: Sequence[str], where: str) -> None:
    """The record must be a mapping with exactly these fields."""
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
    """Whether this is a list of so many finite numbers."""
    is_list = isinstance(value, (list, tuple, np.ndarray))
    return is_list and len(value) == length and all(_is_number(item) for item in value)


def check_numbers(value: Any, length: int, name: str) -> tuple[float, ...]:
    """A list of finite numbers."""
    if not are_numbers(value, length):
        raise ValueError(
            f"{name} must be a list of {length} finite numbers of at most {LARGEST:g} in size, "
            f"got {show_value(value)}"
        )
    return tuple(value)


def check_vector(value: Any, name: str) -> tuple[float, float, float]:
    """A list of three finite numbers."""
    return check_numbers(value, 3, name)


def check_unit_vector(value: Any, name: str) -> tuple[float, float, float]:
    """A list of three numbers, of length 1."""
    vector = check_vector(value, name)
    if abs(math.hypot(*vector) - 1) > UNIT_TOLERANCE:
        raise ValueError(f"{name} must be a unit vector, got {show_value(value)}")
    return vector


def check_place(value: Any, name: str) -> tuple[float, float, float]:
    """Where something stands that faces the world's origin: not there."""
    place = check_vector(value, name)
    if math.hypot(*place) < NEAREST:
        raise ValueError(
            f"{name} must lie at least {NEAREST:g} from the origin, which it faces, "
            f"got {show_value(value)}"
        )
    return place


def check_number(value: Any, name: str, above: float = -LARGEST, at_most: float = LARGEST) -> float:
    """A finite number within bounds."""
    if not _is_number(value) or not above < value <= at_most:
        raise ValueError(
            f"{name} must be a finite number above {above:g} and at most {at_most:g}, "
            f"got {show_value(value)}"
        )
    return value


def check_choice(value: Any, choices: Iterable[str], name: str) -> str:
    """One of some strings."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {show_value(value)}")
    return value


def check_text(value: Any, name: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, got {show_value(value)}")
    return value


def _is_number(value: Any) -> bool:
    """Whether this is a number of a size that can be computed with, and no boolean."""
    is_real = isinstance(value, (int, float, np.integer, np.floating))
    return is_real and not isinstance(value, bool) and abs(value) <= LARGEST
