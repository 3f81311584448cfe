"""The losses of set prediction: match slots with objects, then sum the errors of the pairs."""

from typing import Literal

import torch
from torch import Tensor, nn

from smm_tutorial.set_prediction.matching import match_slots, pair_costs
from smm_tutorial.set_prediction.model import activate_places
from smm_tutorial.set_prediction.targets import COORDINATES, OBJECT_DIM, PROPERTY_SLICES, REAL
from smm_tutorial.training.processes import mean_over_processes

SetObjective = Literal["huber", "likelihood"]
GROUPS = slice(COORDINATES.stop, REAL)  # all properties
NEAR = 0.1  # in units of `COORDINATE_SCALE`: smaller errors of places are squared


def matched_set_loss(
    predictions: Tensor, targets: Tensor, coordinate_weight: float = 1.0
) -> dict[str, Tensor]:
    """How far predicted sets are from the true ones (Slot Attention, arXiv 2006.15055, sec. 3.3).

    Every slot is matched with one target, a real object or padding. The matching is the one with
    the least sum of the pairs' costs. That sum, averaged over images, is the loss. A cost is the
    Huber distance, a mean over the 19 numbers, in which each of the three coordinates counts
    `coordinate_weight` times. Compared models must share that weight, because it alone decides
    average precision at strict thresholds.

    Args:
        predictions, targets: `(B, K, 19)` each, in the order of `set_targets`.

    Returns:
        Scalars: `loss`, the sum of the other two; `coordinates`; `properties`.

    Raises:
        ValueError: no tensors, other shapes, or sets of different sizes.
    """
    _check_sets(predictions, targets)
    coordinates, properties = pair_costs(predictions, targets, coordinate_weight)  # (B, K, K) each
    matched = match_slots(coordinates + properties)[..., None]  # (B, K, 1)
    coordinates, properties = (
        part.gather(2, matched).sum(dim=(1, 2)).mean() for part in (coordinates, properties)
    )
    return {
        "loss": coordinates + properties,
        "coordinates": coordinates.detach(),
        "properties": properties.detach(),
    }


def matched_likelihood_loss(
    logits: Tensor, targets: Tensor, coordinate_weight: float = 1.0
) -> dict[str, Tensor]:
    """Negative log-likelihood of the true sets under the predicted sets, after each iteration.

    A slot that is matched with a real object must predict its properties and its place. The error
    of properties is the cross-entropy of each group. The error of a place is absolute, and squared
    below `NEAR`. All slots, matched or not, must predict whether they hold a real object (binary
    cross-entropy).

    The matching uses the same costs as the loss, like an E-step with hard assignments. The cheapest
    matching after the last iteration is used for all iterations. The sum is divided by the number
    of objects and averaged over iterations. Processes that train together divide by the mean of
    their numbers. The form is that of DETR (Carion et al. 2020, arXiv 2005.12872).

    Args:
        logits: `(I, B, K, 19)`, those of `SetPrediction`, after each of I iterations.
        targets: `(B, K, 19)`, in the order of `set_targets`.
        coordinate_weight: factor of the error of places.

    Returns:
        Scalars: `loss`, the sum of the others; `coordinates`; `properties`; `real`.

    Raises:
        ValueError: no tensors, other shapes, or sets of different sizes.
    """
    if not isinstance(logits, Tensor) or logits.ndim != 4:
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"logits must be (iterations, batch, slots, {OBJECT_DIM}), got {given}")
    _check_sets(logits[-1], targets)
    costs = _pair_likelihoods(logits[-1].detach(), targets, coordinate_weight)
    matched = match_slots(costs * targets[:, None, :, REAL])  # (B, K); the other slots get padding
    wanted = targets.gather(1, matched[..., None].expand_as(targets))  # (B, K, 19)
    real = wanted[..., REAL]  # (B, K)
    num_objects = mean_over_processes(real.sum()).clamp_min(1)
    # (I, B, K) each; 0 for padding
    property_errors = -(_log_shares(logits) * wanted[..., GROUPS]).sum(dim=3)
    place_errors = coordinate_weight * _place_errors(logits, wanted) * real
    real_errors = nn.functional.binary_cross_entropy_with_logits(
        logits[..., REAL], real.expand(logits.shape[:3]), reduction="none"
    )
    coordinates, properties, doubts = (
        errors.sum() / (len(logits) * num_objects)
        for errors in (place_errors, property_errors, real_errors)
    )
    return {
        "loss": coordinates + properties + doubts,
        "coordinates": coordinates.detach(),
        "properties": properties.detach(),
        "real": doubts.detach(),
    }


def _pair_likelihoods(logits: Tensor, targets: Tensor, coordinate_weight: float) -> Tensor:
    """The cost `(B, K, T)` of matching each slot `(B, K, 19)` with each real object `(B, T, 19)`.

    The cost is relative to matching the slot with padding.
    """
    property_errors = -_log_shares(logits) @ targets[..., GROUPS].mT  # (B, K, T)
    place_errors = _place_errors(logits[:, :, None], targets[:, None])  # (B, K, T)
    return property_errors + coordinate_weight * place_errors - logits[..., REAL:]


def _log_shares(logits: Tensor) -> Tensor:
    """Logarithms `(..., 15)` of the probabilities of all properties."""
    groups = PROPERTY_SLICES.values()
    return torch.cat([logits[..., group].log_softmax(dim=-1) for group in groups], dim=-1)


def _place_errors(logits: Tensor, targets: Tensor) -> Tensor:
    """The errors `(...)` of predicted places, summed over coordinates."""
    places = torch.broadcast_tensors(activate_places(logits), targets[..., COORDINATES])
    return nn.functional.smooth_l1_loss(*places, reduction="none", beta=NEAR).sum(dim=-1)


def _check_sets(predictions: Tensor, targets: Tensor) -> None:
    """Raises `ValueError` unless both are `(B, K, 19)`."""
    for name, sets in {"predictions": predictions, "targets": targets}.items():
        if not isinstance(sets, Tensor):
            raise ValueError(f"{name} must be a tensor, got {type(sets).__name__}")
    shapes = tuple(predictions.shape), tuple(targets.shape)
    if shapes[0] != shapes[1] or predictions.ndim != 3 or shapes[0][2] != OBJECT_DIM:
        raise ValueError(
            f"predictions and targets must both be (batch, slots, {OBJECT_DIM}), got {shapes[0]} "
            f"and {shapes[1]}: make targets with set_targets(records, max_objects=num_slots)"
        )
