"""The loss of set prediction: slots and objects matched, the distances of the pairs summed."""

from torch import Tensor

from smm_tutorial.set_prediction.matching import match_slots, pair_costs
from smm_tutorial.set_prediction.targets import OBJECT_DIM


def matched_set_loss(
    predictions: Tensor, targets: Tensor, coordinate_weight: float = 1.0
) -> dict[str, Tensor]:
    """How far predicted sets are from the true ones (Slot Attention, arXiv 2006.15055, sec. 3.3).

    Every slot is matched with one target, a real object or padding, so that the sum of the pairs'
    costs is least. That sum, averaged over images, is the loss. A cost is the Huber distance, a
    mean over the 19 numbers, in which each of the three coordinates counts `coordinate_weight`
    times. Compared models must share that weight, because it alone decides average precision at
    strict thresholds.

    Args:
        predictions, targets: `(B, K, 19)` each, in the order of `targets`.

    Returns:
        Scalars: `loss`, the sum of the other two; `coordinates`; `properties`.

    Raises:
        ValueError: no tensors, other shapes, or sets of different sizes.
    """
    for name, sets in {"predictions": predictions, "targets": targets}.items():
        if not isinstance(sets, Tensor):
            raise ValueError(f"{name} must be a tensor, got {type(sets).__name__}")
    shapes = tuple(predictions.shape), tuple(targets.shape)
    if shapes[0] != shapes[1] or predictions.ndim != 3 or shapes[0][2] != OBJECT_DIM:
        raise ValueError(
            f"predictions and targets must both be (batch, slots, {OBJECT_DIM}), got {shapes[0]} "
            f"and {shapes[1]}: make targets with set_targets(records, max_objects=num_slots)"
        )
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
