"""Checks of arguments: a `ValueError` says what was given and what was expected."""

import math
import reprlib
from numbers import Integral, Real
from typing import Any

SHOWN_LENGTH = 100  # characters of a value in a message


class _Shortener(reprlib.Repr):
    """Shows values of any size and depth in a few characters."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = SHOWN_LENGTH

    def repr_int(self, value: int, level: int) -> str:
        # Python refuses to write integers of more than 4300 digits.
        if value.bit_length() > 1000:
            return f"an integer of {value.bit_length():,} bits"
        return super().repr_int(value, level)


def show_value(value: Any) -> str:
    """A value as a message shows it: its `repr`, cut short; never raises."""
    return _Shortener().repr(value)


def check_whole(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """`value` as an `int`, where it is a whole number within bounds.

    Args:
        name: of the argument, for the message.
        value: of any integer type, of Python or numpy, and no boolean.
        least, most: the bounds, both included; None for no upper one.

    Raises:
        ValueError: it is something else, or lies outside the bounds.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {bounds}, got {show_value(value)}")
    return int(value)


def check_above_zero(name: str, value: Any) -> float:
    """`value` as a `float`, where it is a finite number above 0, of Python or numpy; no boolean.

    Raises `ValueError` otherwise.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a number above 0, got {show_value(value)}")
    return float(value)


def check_sizes(**sizes: Any) -> list[int]:
    """Each argument as an `int` of at least 1, in their order. Raises `ValueError`, as
    `check_whole`.
    """
    return [check_whole(name, size) for name, size in sizes.items()]
