"""Checks of the start of a fit: means, weights and precisions that the caller chose."""

import numpy as np
from numpy.typing import ArrayLike

from smm_tutorial.clustering.checks import LARGEST_VALUE, read_numbers, to_float64

FLOAT64_EPS = float(np.finfo(np.float64).eps)
SUM_TOLERANCE = 1e-8
SYMMETRY_TOLERANCE = 1e-5  # of two mirrored entries, after the diagonal is scaled to 1


def check_start(name: str, values: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Makes a float64 copy of a parameter of the start.

    name: name of the parameter, for the message. shape: the expected shape.

    Raises `ValueError` unless the parameter is finite and has this shape. Raises `TypeError` if it
    holds objects that are not numbers.
    """
    values = read_numbers(name, values)
    if values.shape != shape:
        raise ValueError(
            f"{name} must have shape {shape}, got {values.shape}: it must fit the number of "
            "components and the features of the points"
        )
    values = to_float64(name, values)
    if not np.isfinite(values).all():
        raise ValueError(
            f"{name} must be finite, got NaN or infinity: leave {name} out to have a start chosen"
        )
    return values


def check_means(name: str, values: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Makes a float64 copy of start means (K, D).

    Raises `ValueError` or `TypeError` as `check_start`. Also raises `ValueError` if a value exceeds
    `LARGEST_VALUE`: no point may lie there.
    """
    means = check_start(name, values, shape)
    largest = np.abs(means).max()
    if largest > LARGEST_VALUE:
        raise ValueError(
            f"{name} must be at most {LARGEST_VALUE:g} in size, got {largest:g}: start among the "
            "points"
        )
    return means


def check_weights(values: ArrayLike, num_components: int) -> np.ndarray:
    """Makes a float64 copy of the start weights (K,), and refuses weights that do not sum to 1.

    The sum may differ from 1 by the rounding error of the given number type. The result is then
    divided by the sum.

    Raises `ValueError` unless the weights are >= 0 and sum to 1.
    """
    weights = check_start("weights_init", values, (num_components,))
    rounding = find_rounding(values)
    with np.errstate(over="ignore"):
        total = weights.sum()
    if (weights < 0).any() or not abs(total - 1) <= max(SUM_TOLERANCE, 10 * rounding):
        raise ValueError(
            f"weights_init must be >= 0 and sum to 1, got the smallest {weights.min():g} and "
            f"the sum {total:g}: divide them by their sum"
        )
    return weights / total if rounding > FLOAT64_EPS else weights


def invert_precisions(
    values: ArrayLike, covariance_type: str, num_components: int, num_features: int
) -> np.ndarray:
    """Inverts `precisions_init` -> covariances, in the shape of their type.

    Raises `ValueError` unless the precisions are positive (definite) and have finite inverses.
    """
    shape = {
        "full": (num_components, num_features, num_features),
        "tied": (num_features, num_features),
        "diag": (num_components, num_features),
        "spherical": (num_components,),
    }[covariance_type]
    precisions = check_start("precisions_init", values, shape)
    are_matrices = covariance_type in ("full", "tied")
    if are_matrices:
        tolerance = max(SYMMETRY_TOLERANCE, find_rounding(values) ** 0.5)
        usable = are_positive_definite(precisions, tolerance)
    else:
        usable = (precisions > 0).all()
    if not usable:
        raise ValueError(
            "precisions_init must be positive; matrices must be symmetric and positive definite. "
            "Some are not: pass inverse covariances, e.g. np.linalg.inv(covariances) or "
            "1 / variances"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        covariances = np.linalg.inv(precisions) if are_matrices else 1 / precisions
    if not np.isfinite(covariances).all():
        raise ValueError(
            "precisions_init is so small that float64 cannot hold its inverse, the smallest "
            f"entry is {precisions[precisions > 0].min():g}: rescale the points, or start from "
            "narrower components"
        )
    return covariances


def are_positive_definite(matrices: np.ndarray, tolerance: float) -> bool:
    """Whether matrices (..., D, D) are symmetric, up to the tolerance, and positive definite.

    The function first scales each matrix to a diagonal of 1, so that units of features do not
    matter.
    """
    diagonals = np.diagonal(matrices, axis1=-2, axis2=-1)  # (..., D)
    if not (diagonals > 0).all():
        return False
    scales = np.sqrt(diagonals)
    with np.errstate(over="ignore"):
        scaled = matrices / scales[..., :, None] / scales[..., None, :]
    asymmetries = np.abs(scaled - np.swapaxes(scaled, -1, -2))
    if not ((np.abs(scaled) <= 1 + tolerance).all() and (asymmetries <= tolerance).all()):
        return False
    return bool((np.linalg.eigvalsh(scaled) > diagonals.shape[-1] * FLOAT64_EPS).all())


def find_rounding(values: ArrayLike) -> float:
    """Returns the relative rounding error of the values' number type, at least that of float64."""
    kind = np.asarray(values).dtype
    return max(FLOAT64_EPS, float(np.finfo(kind).eps)) if kind.kind == "f" else FLOAT64_EPS
