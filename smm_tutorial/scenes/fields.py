"""Checks of single values in a record.

Each raises a `ValueError` that names the field, what was given and what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any


def get_field(record: Mapping[str, Any], key: str, where: str) -> Any:
    """The value of a field that must be there."""
    if key not in record:
        raise ValueError(f"{where}: the field '{key}' is missing, the record has {sorted(record)}")
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
    if unknown := sorted(set(record) - set(keys)):
        raise ValueError(
            f"{where}: unknown fields {', '.join(unknown)}; known are {', '.join(keys)}"
        )


def check_numbers(value: Any, length: int, name: str) -> tuple[float, ...]:
    """A list of finite numbers."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list or len(value) != length or not all(_is_number(item) for item in value):
        raise ValueError(f"{name} must be a list of {length} finite numbers, got {value!r}")
    return tuple(value)


def check_vector(value: Any, name: str) -> tuple[float, float, float]:
    """A list of three finite numbers."""
    return check_numbers(value, 3, name)


def check_number(
    value: Any, name: str, above: float = -math.inf, at_most: float = math.inf
) -> float:
    """A finite number within bounds."""
    if not _is_number(value) or not above < value <= at_most:
        bounds = [f" above {above:g}"] if math.isfinite(above) else []
        bounds += [f" at most {at_most:g}"] if math.isfinite(at_most) else []
        raise ValueError(f"{name} must be a finite number{' and'.join(bounds)}, got {value!r}")
    return value


def check_integer(value: Any, name: str) -> int:
    """An integer."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} must be an integer, got {value!r}")
    return value


def check_choice(value: Any, choices: Iterable[str], name: str) -> str:
    """One of some strings."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
    return value


def check_text(value: Any, name: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, got {value!r}")
    return value


def _is_number(value: Any) -> bool:
    """Whether this is a finite number, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
