"""Describe in words how the result of a learner's function differs from the expected result."""

from collections.abc import Mapping
from numbers import Integral, Number
from typing import Any

import numpy as np
import torch

KINDS = {"b": "boolean", "i": "integer", "u": "integer", "f": "floating point", "c": "complex"}
MOST_VALUES_SHOWN = 12


def difference(
    expected: Any, actual: Any, rtol: float, atol: float, where: str = "the result"
) -> str | None:
    """Describe the first difference between two results, or return None if there is none.

    The structure is compared first (dictionaries by key, tuples and lists by position), then type,
    shape and kind of number (boolean, integer, floating point), then the values. Two values are
    equal if `|actual - expected| <= atol + rtol * |expected|`, or if both are NaN. `where` names
    the place in the result, such as `the result['means']`.
    """
    if isinstance(expected, Mapping):
        return _difference_of_mappings(expected, actual, rtol, atol, where)
    if isinstance(expected, tuple | list):
        return _difference_of_sequences(expected, actual, rtol, atol, where)
    if isinstance(expected, np.ndarray | torch.Tensor):
        return _difference_of_arrays(expected, actual, rtol, atol, where)
    if isinstance(expected, Number | np.generic):
        return _difference_of_numbers(expected, actual, rtol, atol, where)
    if type(expected) is not type(actual) or expected != actual:
        return f"{where}: expected {expected!r}, got {describe(actual)}"
    return None


def describe(value: Any) -> str:
    """One short line about a value: type, shape and dtype, and the numbers if they are few."""
    if isinstance(value, np.ndarray | torch.Tensor):
        values = as_array(value)
        head = f"{_type_name(value)} of shape {tuple(value.shape)}, {value.dtype}"
        if values.size > MOST_VALUES_SHOWN:
            return head
        text = np.array2string(values, precision=6, separator=", ", threshold=MOST_VALUES_SHOWN)
        return f"{head}: {' '.join(text.split())}"
    if isinstance(value, Mapping):
        return f"{_type_name(value)} with keys {list(value)}"
    if isinstance(value, tuple | list):
        parts = ", ".join(describe(part) for part in value)
        inside = f"[{parts}]" if isinstance(value, list) else f"({parts})"
        return f"{_type_name(value)} of {len(value)}: {inside}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def as_array(value: np.ndarray | torch.Tensor) -> np.ndarray:
    """A tensor as a numpy array; numbers in half precision become float32."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype in (torch.bfloat16, torch.float16) else value).numpy()
    return value


def _difference_of_mappings(
    expected: Mapping, actual: Any, rtol: float, atol: float, where: str
) -> str | None:
    if not isinstance(actual, Mapping):
        return f"{where}: expected a dictionary with keys {list(expected)}, got {describe(actual)}"
    if set(expected) != set(actual):
        return f"{where}: expected the keys {list(expected)}, got {list(actual)}"
    parts = (
        difference(expected[key], actual[key], rtol, atol, f"{where}[{key!r}]") for key in expected
    )
    return next((part for part in parts if part), None)


def _difference_of_sequences(
    expected: tuple | list, actual: Any, rtol: float, atol: float, where: str
) -> str | None:
    if not isinstance(actual, tuple | list):
        return (
            f"{where}: expected {len(expected)} values, `return a, b, ...`, got {describe(actual)}"
        )
    if isinstance(expected, tuple) != isinstance(actual, tuple):
        return f"{where}: expected a {_type_name(expected)}, got a {describe(actual)}"
    if len(expected) != len(actual):
        return f"{where}: expected {len(expected)} values, got {len(actual)}"
    parts = (
        difference(one, other, rtol, atol, f"{where}[{index}]")
        for index, (one, other) in enumerate(zip(expected, actual, strict=True))
    )
    return next((part for part in parts if part), None)


def _difference_of_arrays(
    expected: Any, actual: Any, rtol: float, atol: float, where: str
) -> str | None:
    if not isinstance(actual, torch.Tensor if isinstance(expected, torch.Tensor) else np.ndarray):
        return f"{where}: expected {describe(expected)}; got {describe(actual)}"
    if expected.shape != actual.shape:
        shapes = f"expected shape {tuple(expected.shape)}, got {tuple(actual.shape)}"
        return f"{where}: {shapes} ({actual.dtype})"
    expected_values, actual_values = as_array(expected), as_array(actual)
    expected_kind, actual_kind = _kind(expected_values), _kind(actual_values)
    if expected_kind != actual_kind:
        expectation = f"expected {expected_kind} numbers ({expected.dtype})"
        return f"{where}: {expectation}, got {actual_kind} ({actual.dtype})"
    if expected_kind == KINDS["f"] and expected.dtype != actual.dtype:
        return (
            f"{where}: expected {expected.dtype}, got {actual.dtype}: keep the type of the "
            "arguments"
        )
    return _difference_of_values(expected_values, actual_values, rtol, atol, where)


def _difference_of_numbers(
    expected: Any, actual: Any, rtol: float, atol: float, where: str
) -> str | None:
    if isinstance(actual, np.ndarray | torch.Tensor) and actual.ndim == 0:
        actual = actual.item()
    if not isinstance(actual, Number | np.generic):
        return f"{where}: expected the number {expected!r}, got {describe(actual)}"
    if isinstance(expected, Integral) and not isinstance(actual, Integral | np.bool_):
        return f"{where}: expected the whole number {expected!r}, got {actual!r}"
    return _difference_of_values(np.asarray(expected), np.asarray(actual), rtol, atol, where)


def _difference_of_values(
    expected: np.ndarray, actual: np.ndarray, rtol: float, atol: float, where: str
) -> str | None:
    close = np.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=True)
    if close.all():
        return None
    at = tuple(int(index) for index in np.argwhere(~close)[0])
    place = f"{where}{list(at)}" if at else where
    text = f"{place}: expected {_number(expected[at])}, got {_number(actual[at])}"
    if expected.size > 1:
        text += f" ({int((~close).sum())} of {close.size} values differ)"
    return text


def _kind(values: np.ndarray) -> str:
    return KINDS.get(values.dtype.kind, str(values.dtype))


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, np.floating) else str(value)


def _type_name(value: Any) -> str:
    return "torch.Tensor" if isinstance(value, torch.Tensor) else type(value).__name__
