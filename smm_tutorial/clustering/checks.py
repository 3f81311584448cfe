"""Checks of what a model is given: each message says what is wrong and what to do."""

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

LARGEST_VALUE = 1e100  # its square, divided by a small variance, must not overflow float64


def check_points(
    points: ArrayLike, *, num_features: int | None = None, num_components: int = 1
) -> np.ndarray:
    """A float64 copy (N, D) of `points`.

    ValueError unless they are finite, N >= `num_components` and, where given, D == `num_features`.
    """
    points = np.asarray(points)
    if points.dtype.kind not in "biufO":
        raise ValueError(
            f"points must be real numbers, got dtype {points.dtype}: convert them to float first"
        )
    # Always a copy: history_ keeps it, and the caller may change the original.
    points = points.astype(np.float64, order="C")
    if points.ndim != 2:
        remedy = "points.reshape(-1, features)"
        if points.ndim == 1:
            remedy = "points.reshape(-1, 1) for a single feature"
        raise ValueError(
            f"points must be (points, features), got shape {points.shape}: use {remedy}"
        )
    if points.size == 0:
        raise ValueError(
            f"points are empty, got shape {points.shape}: pass at least one point with one feature"
        )
    unusable = ~(np.abs(points) <= LARGEST_VALUE)  # catches NaN too
    if unusable.any():
        row, column = np.argwhere(unusable)[0]
        raise ValueError(
            f"points must be finite and at most {LARGEST_VALUE:g} in size, got {unusable.sum()} "
            f"other values, the first is {points[row, column]} at [{row}, {column}]: drop those "
            "rows, e.g. points[np.isfinite(points).all(axis=1)], or rescale them"
        )
    if num_features is not None and points.shape[1] != num_features:
        raise ValueError(
            f"points must have the {num_features} features that the model was fitted on, got "
            f"{points.shape[1]}: select the same columns as in fit, or fit again"
        )
    if len(points) < num_components:
        raise ValueError(
            f"{num_components} components need at least as many points, got {len(points)}: "
            f"ask for at most {len(points)} components, or pass more points"
        )
    return points


def check_start(name: str, values: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """A float64 copy of a start parameter. ValueError unless it is finite and has this shape."""
    values = np.array(values, dtype=np.float64)
    if values.shape != shape:
        raise ValueError(
            f"{name} must have shape {shape}, got {values.shape}: it must fit the number of "
            "components and the features of the points"
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"{name} must be finite, got NaN or infinity: leave {name} out to have a start chosen"
        )
    return values


def check_number(name: str, value: object, kind: type, lowest: float) -> None:
    """ValueError unless `value` is finite, of `kind` (Integral or Real) and >= `lowest`."""
    if not (isinstance(value, kind) and np.isfinite(value) and value >= lowest):
        noun = "an integer" if kind is Integral else "a finite number"
        raise ValueError(f"{name} must be {noun} >= {lowest}, got {value!r}")


def require_fitted(model: object) -> None:
    """ValueError if `fit` has not run."""
    if not hasattr(model, "history_"):
        raise ValueError(f"this {type(model).__name__} is not fitted yet: call fit(points) first")
