"""Checks of points and settings. Each message says what is wrong and what to do."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from smm_tutorial.arguments import check_whole, show_value

LARGEST_VALUE = 1e100  # its square, divided by a small variance, must not overflow float64
LARGEST_VARIANCE = LARGEST_VALUE**2
SMALLEST_SPREAD = 1e-150  # float64 holds the square of a smaller number with fewer digits, or as 0


def check_training_points(X: ArrayLike, num_components: int) -> np.ndarray:
    """Makes a float64 copy (N, D) of the points that a model will fit.

    Raises:
        ValueError: the points do not have the shape (N, D), a value is not finite or exceeds
            `LARGEST_VALUE`, or there are fewer points than `num_components`.
        TypeError: the points hold objects that are not numbers.
    """
    points = read_points(X)
    most = len(points)
    if most < num_components:
        raise ValueError(
            f"X must hold a point for each of {show_value(num_components)} components, got "
            f"n_samples = {most}: ask for at most {most} components, or pass more points"
        )
    return points


def note_features(model: BaseEstimator, X: ArrayLike, points: np.ndarray) -> None:
    """Sets `n_features_in_`, and `feature_names_in_` if X names its columns.

    `fit` calls this function only after success. A failed fit thus leaves an earlier model as it
    was.
    """
    validate_data(model, X, skip_check_array=True, ensure_2d=False)  # stores the names
    model.n_features_in_ = points.shape[1]


def check_new_points(model: BaseEstimator, X: ArrayLike) -> np.ndarray:
    """Makes a float64 copy (M, D) of points for a fitted model, for example to predict them.

    Raises:
        NotFittedError: `fit` has not run. This error is a ValueError.
        ValueError: the points do not have the shape (M, D), a value is not finite or exceeds
            `LARGEST_VALUE`, or the number of features differs from the fit.
        TypeError: the points hold objects that are not numbers.
    """
    check_is_fitted(
        model, "history_", msg="this %(name)s is not fitted yet: call fit(points) first"
    )
    # Compares the names of the columns.
    validate_data(model, X, reset=False, skip_check_array=True, ensure_2d=False)
    points = read_points(X)
    if points.shape[1] != model.n_features_in_:
        raise ValueError(
            f"X has {points.shape[1]} features, but {type(model).__name__} is expecting "
            f"{model.n_features_in_} features as input: select the same columns as in fit, or fit "
            "again"
        )
    return points


def read_points(X: ArrayLike) -> np.ndarray:
    """Makes a float64 copy (N, D) of finite points, row by row in memory (C order).

    Raises `ValueError` or `TypeError` as `check_training_points`.
    """
    points = read_numbers("X", X)
    if points.ndim != 2:
        remedy = "X.reshape(-1, features)"
        if points.ndim == 1:
            remedy = "X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one point"
        raise ValueError(
            f"X must be (points, features), got shape {points.shape}. Reshape your data: {remedy}"
        )
    if points.size == 0:
        count, noun = points.shape[1], "feature(s)"
        if len(points) == 0:
            count, noun = len(points), "sample(s)"
        raise ValueError(
            f"X is empty, {count} {noun} (shape={points.shape}) while a minimum of 1 is required. "
            "Pass at least one point with one feature"
        )
    # Always a copy: history_ keeps these points, and the caller may change the original.
    points = to_float64("X", points)
    unusable = ~(np.abs(points) <= LARGEST_VALUE)  # catches NaN too
    if unusable.any():
        row, column = np.argwhere(unusable)[0]
        raise ValueError(
            f"X must be finite and at most {LARGEST_VALUE:g} in size, got {unusable.sum()} other "
            f"values (NaN, inf or too large), the first is {points[row, column]} at "
            f"[{row}, {column}]: drop those rows, e.g. X[np.isfinite(X).all(axis=1)], or rescale "
            "them"
        )
    return points


def read_numbers(name: str, values: ArrayLike) -> np.ndarray:
    """Converts values to an array of the same number type.

    Raises `ValueError` for sparse or complex values and for text. Also raises it for masked values
    and for tensors with a gradient, because the array would lose the mask or the gradient.
    """
    if issparse(values):
        raise ValueError(f"{name} is sparse, but must be dense: pass {name}.toarray()")
    rows = values if isinstance(values, (list, tuple)) else [values]
    if any(isinstance(row, np.ma.MaskedArray) and np.ma.is_masked(row) for row in rows):
        raise ValueError(
            f"{name} is masked, and its mask would be lost: drop the masked rows, e.g. "
            f"np.ma.compress_rows({name}), or fill them with {name}.filled(value)"
        )
    try:
        array = np.asarray(values)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name} cannot be read, pass a numpy array of real numbers: {error}"
        ) from error
    if array.dtype.kind not in "biufO":
        remedy = "convert them to float first"
        if array.dtype.kind == "c":
            remedy = "Complex data not supported, make features of real and imaginary parts"
        raise ValueError(f"{name} must be real numbers, got dtype {array.dtype}: {remedy}")
    return array


def to_float64(name: str, values: np.ndarray) -> np.ndarray:
    """Makes a float64 copy of an array, row by row in memory (C order).

    Raises `ValueError` or `TypeError` if an object in the array is not a number.
    """
    if values.dtype.kind == "O" and any(isinstance(value, (str, bytes)) for value in values.flat):
        raise ValueError(f"{name} must be real numbers, got text: convert it to float first")
    try:
        with np.errstate(over="ignore"):
            return values.astype(np.float64, order="C")
    except TypeError as error:
        raise TypeError(f"{name} must be real numbers: {error}") from error
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{name} must be real numbers that float64 holds: {error}") from error


def check_real(name: str, value: Any, least: float = 0.0, most: float | None = None) -> float:
    """Converts a real number of Python or numpy to a float.

    Args:
        name: name of the argument, for the message.
        value: the number. A boolean is refused.
        least, most: the bounds, both included. None means no upper bound.

    Raises:
        ValueError: the value is not a finite number within the bounds.
    """
    number = np.nan
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = np.inf
    if not (np.isfinite(number) and number >= least and (most is None or number <= most)):
        bounds = f"of at least {least:g}" if most is None else f"from {least:g} to {most:g}"
        raise ValueError(f"{name} must be a finite number {bounds}, got {show_value(value)}")
    return number


def make_generator(
    random_state: int | np.random.Generator | np.random.RandomState | None,
) -> np.random.Generator:
    """Makes a random generator from scikit-learn's `random_state`.

    An int is the seed. A Generator is returned unchanged. A RandomState (numpy's older generator)
    draws the seed. None gives a generator with an unpredictable seed.

    Raises `ValueError` for anything else, and for a negative seed.
    """
    if random_state is None or isinstance(random_state, np.random.Generator):
        return np.random.default_rng(random_state)
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**32, dtype=np.uint64))
    return np.random.default_rng(check_whole("random_state", random_state, least=0))
