"""Checks of single values in a record; each error names the field, what was given and what was
expected.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def require(record: Mapping[str, Any], key: str, where: str) -> Any:
    """The value of a field that must be there."""
    if key not in record:
        raise ValueError(f"{where}: the field '{key}' is missing, the record has {sorted(record)}")
    return record[key]


def only(record: Any, keys: Sequence[str], where: str) -> Mapping[str, Any]:
    """The record, which must be a mapping with exactly these fields."""
    if not isinstance(record, Mapping):
        raise ValueError(
            f"{where} must be a mapping of {', '.join(keys)}, got {type(record).__name__}"
        )
    for key in keys:
        require(record, key, where)
    if unknown := sorted(set(record) - set(keys)):
        raise ValueError(
            f"{where}: unknown fields {', '.join(unknown)}; known are {', '.join(keys)}"
        )
    return record


def numbers(value: Any, length: int, name: str) -> tuple[float, ...]:
    """A list of finite numbers."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list or len(value) != length or not all(is_number(item) for item in value):
        raise ValueError(f"{name} must be a list of {length} finite numbers, got {value!r}")
    return tuple(value)


def number_within(value: Any, least: float, most: float, name: str) -> float:
    """A finite number above `least` and up to `most`."""
    if not is_number(value) or not least < value <= most:
        bound = f" and at most {most:g}" if math.isfinite(most) else ""
        raise ValueError(f"{name} must be a finite number above {least:g}{bound}, got {value!r}")
    return value


def is_number(value: Any) -> bool:
    """Whether this is a finite number, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def choice(value: Any, choices: Iterable[str], name: str) -> str:
    """One of some strings."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
    return value


def text(value: Any, name: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, got {value!r}")
    return value
