"""Checks of arguments. Each `ValueError` says what was expected and what was given."""

import math
import reprlib
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, get_args

SHOWN_LENGTH = 100  # characters of a value in a message
NAMES_SHOWN = 5  # of a list of names in a message


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
    """Formats a value for a message: its `repr`, shortened. This function never raises."""
    return _Shortener().repr(value)


def check_whole(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """Converts a whole number of Python or numpy to an `int`.

    Args:
        name: name of the argument, for the message.
        value: a number of any integer type. A boolean is refused.
        least, most: the bounds, both included. None means no upper bound.

    Raises:
        ValueError: the value is not a whole number, or lies outside the bounds.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {bounds}, got {show_value(value)}")
    return int(value)


def check_above_zero(name: str, value: Any) -> float:
    """Converts a number of Python or numpy to a `float`. name: the argument's, for the message.

    Raises `ValueError` unless the value is a finite number above 0. A boolean is refused.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a number above 0, got {show_value(value)}")
    return float(value)


def check_sizes(**sizes: Any) -> list[int]:
    """Converts whole numbers of at least 1 to `int` -> a list in the order of the arguments.

    Raises `ValueError` as `check_whole`. The message has the name of the argument.
    """
    return [check_whole(name, size) for name, size in sizes.items()]


def name_some(names: Sequence[object]) -> str:
    """The first few names of a list, and how many more there are, for a message."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(map(str, names[:NAMES_SHOWN])) + more


def check_choice(name: str, value: Any, choices: Any) -> str:
    """Returns `value`. Raises `ValueError` unless it is one of the choices.

    name: the argument's name, for the message. choices: a `Literal` or a collection of names.
    """
    known = list(get_args(choices) or choices)
    if not isinstance(value, str) or value not in known:
        names = ", ".join(map(repr, known))
        raise ValueError(f"{name} must be one of {names}, got {show_value(value)}")
    return value
