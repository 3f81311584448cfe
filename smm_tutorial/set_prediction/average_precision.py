"""Average precision of predicted sets of objects, as the papers on CLEVR compute it."""

from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor

from smm_tutorial.arguments import show_value
from smm_tutorial.set_prediction.targets import (
    COORDINATE_SCALE,
    COORDINATES,
    OBJECT_DIM,
    PROPERTY_SLICES,
    REAL,
)
from smm_tutorial.slots.base import widen

NO_LIMIT = -1  # as a distance threshold


def average_precision_clevr(
    predictions: np.ndarray | Tensor, targets: np.ndarray | Tensor, distance_threshold: float
) -> float:
    """Area under precision over recall, with the predictions of all images in one ranking (Slot
    Attention, arXiv 2006.15055).

    The predictions of all images are ranked by their last number, the surest first. A prediction
    counts as right under three conditions:
    - A real target of its image has the same size, material, shape and colour (the largest number
      of each group).
    - The nearest of these targets lies closer than the threshold.
    - No surer prediction has claimed that target. The search for the nearest target does not skip
      claimed targets.

    Precision is made to fall with recall (its running maximum from the right) and is summed over
    the steps of recall. No prediction is left out, even if it says that it holds no object.

    Args:
        predictions: (B, K, 19) in the order of `set_targets`.
        targets: (B, T, 19). The last number of a target is 1 for a real target and 0 for padding.
        distance_threshold: in world units; -1 means no limit. A distance equal to it is too far.

    Returns:
        In [0, 1]. Among equally sure predictions the earlier image goes first, then the earlier
        slot; of two targets at the same distance the earlier is the nearest. Without a real target
        in any image, or without predictions, the score is 0.

    Raises:
        ValueError: shapes that do not fit, numbers that are not real and finite, flags other than 0
            and 1, a negative threshold other than -1.
    """
    predictions, targets = _check(predictions, targets, distance_threshold)
    right = _find_right(predictions, targets, distance_threshold).ravel()[_rank(predictions)]
    num_targets = targets[..., REAL].sum()
    return _area(right, num_targets) if num_targets else 0.0


def right_predictions(
    predictions: np.ndarray | Tensor, targets: np.ndarray | Tensor, distance_threshold: float
) -> np.ndarray:
    """Which predictions `average_precision_clevr` counts as right, boolean (B, K).

    The arguments and errors are those of `average_precision_clevr`.
    """
    return _find_right(*_check(predictions, targets, distance_threshold), distance_threshold)


def _find_right(
    predictions: np.ndarray, targets: np.ndarray, distance_threshold: float
) -> np.ndarray:
    """Right predictions (B, K) of checked sets (B, K, 19) and (B, T, 19)."""
    flags = targets[..., REAL]
    right = np.zeros(predictions.shape[:2], dtype=bool)
    if not flags.any() or not predictions.size:
        return right
    alike = _kinds(predictions)[:, :, None] == _kinds(targets)[:, None, :]  # (B, K, T)
    # only the few pairs of the same kind
    images, slots, places = np.nonzero(alike & (flags[:, None, :] == 1))
    ours = predictions[images, slots, COORDINATES]
    offsets = ours - targets[images, places, COORDINATES]  # (pairs, 3)
    distances = np.full(alike.shape, np.inf)
    distances[images, slots, places] = COORDINATE_SCALE * np.sqrt(np.square(offsets).sum(axis=1))
    nearest = distances.argmin(axis=2)  # (B, K): the first of equally near targets
    limit = np.inf if distance_threshold == NO_LIMIT else distance_threshold
    # without a target of the same kind the least distance is infinite: never below the limit
    close = (distances.min(axis=2) < limit).ravel()  # (B K)

    order = _rank(predictions)
    claims = np.arange(len(targets))[:, None] * targets.shape[1] + nearest
    claims = claims.ravel()[order]  # which target of which image
    attempts = np.flatnonzero(close[order])  # ranks that come close to a target
    first = attempts[np.unique(claims[attempts], return_index=True)[1]]  # at each target
    right.ravel()[order[first]] = True
    return right


def _rank(predictions: np.ndarray) -> np.ndarray:
    """The order of all predictions (B, K, 19), flattened, the surest first."""
    return np.argsort(-predictions[..., REAL].ravel(), kind="stable")


def _area(right: np.ndarray, num_targets: float) -> float:
    """Area under precision over recall, for ranked predictions that are `right` or wrong (M,).

    Precision is first replaced by its running maximum from the right.
    """
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    hull = np.maximum.accumulate(precision[::-1])[::-1]
    # recall steps by 1 / num_targets at each right prediction, and only there
    return float(hull[right].sum() / num_targets)


def _kinds(vectors: np.ndarray) -> np.ndarray:
    """One number per vector (B, K) that encodes its size, material, shape and colour."""
    kinds = np.zeros(vectors.shape[:2], dtype=np.int64)
    for values in PROPERTY_SLICES.values():
        kinds = kinds * OBJECT_DIM + vectors[..., values].argmax(axis=2)
    return kinds


def _check(
    predictions: np.ndarray | Tensor, targets: np.ndarray | Tensor, distance_threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Both sets as float64. Raises `ValueError` unless `average_precision_clevr` can use the
    arguments.
    """
    predictions = _as_sets(predictions, "predictions")
    targets = _as_sets(targets, "targets")
    if len(predictions) != len(targets):
        raise ValueError(
            "predictions and targets must be of the same images, got "
            f"{len(predictions)} and {len(targets)} of them"
        )
    is_number = isinstance(distance_threshold, Real) and not isinstance(distance_threshold, bool)
    # NaN is refused too.
    if not is_number or not (distance_threshold >= 0 or distance_threshold == NO_LIMIT):
        raise ValueError(
            "distance_threshold must be a distance in world units, or -1 for no limit, "
            f"got {show_value(distance_threshold)}"
        )
    flags = targets[..., REAL]
    if (odd := flags[(flags != 0) & (flags != 1)]).size:
        raise ValueError(
            f"the last number of a target must be 1 (real) or 0 (padding), got {odd[0]}"
        )
    return predictions, targets


def _as_sets(vectors: np.ndarray | Tensor, name: str) -> np.ndarray:
    """Vectors (B, K, 19) as float64, checked."""
    if isinstance(vectors, Tensor):
        vectors = widen(vectors.detach()).cpu()
    vectors = _as_numbers(vectors, name)
    if vectors.ndim != 3 or vectors.shape[2] != OBJECT_DIM:
        raise ValueError(
            f"{name} must be (images, objects, {OBJECT_DIM}), got {vectors.shape}: "
            f"one image becomes a batch with {name}[None]"
        )
    if not np.isfinite(vectors).all():
        image, item, place = np.argwhere(~np.isfinite(vectors))[0]
        raise ValueError(
            f"{name}[{image}, {item}, {place}] is {vectors[image, item, place]}: only finite "
            "numbers can be ranked and compared; look for a diverged model or damaged records"
        )
    return vectors


def _as_numbers(vectors: Any, name: str) -> np.ndarray:
    """An array-like value as float64. Raises `ValueError` for masked numbers, and for anything that
    is not real numbers.
    """
    if np.ma.is_masked(vectors):
        raise ValueError(f"{name} has masked numbers: leave them out, or fill them")
    try:
        numbers = np.asarray(vectors)
        if numbers.dtype.kind in "cSU":  # complex numbers and text
            raise TypeError(f"they are {numbers.dtype}")
        return np.asarray(numbers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        given = type(vectors).__name__
        raise ValueError(
            f"{name} must be an array of real numbers, got {given}: {error}"
        ) from error
