"""Match slots with objects: the costs of all pairs, and the cheapest matching."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from smm_tutorial.set_prediction.targets import COORDINATES, OBJECT_DIM
from smm_tutorial.slots.base import widen


def pair_costs(
    predictions: Tensor, targets: Tensor, coordinate_weight: float = 1.0
) -> tuple[Tensor, Tensor]:
    """The Huber distance of every prediction `(B, K, 19)` to every target `(B, T, 19)`, in two
    parts.

    Returns the part of the coordinates and the part of the properties, `(B, K, T)` each. Both are
    means over all 19 numbers. Each coordinate counts `coordinate_weight` times.
    """
    pairs = predictions.shape[:2] + targets.shape[1:2]  # (B, K, T)
    errors = nn.functional.smooth_l1_loss(  # Huber's: quadratic up to 1
        predictions[:, :, None].expand(*pairs, OBJECT_DIM),
        targets[:, None].expand(*pairs, OBJECT_DIM),
        reduction="none",
    )  # (B, K, T, 19)
    coordinates = coordinate_weight * errors[..., COORDINATES].sum(dim=3) / OBJECT_DIM  # (B, K, T)
    properties = errors[..., COORDINATES.stop :].sum(dim=3) / OBJECT_DIM  # (B, K, T)
    return coordinates, properties


def match_slots(costs: Tensor) -> Tensor:
    """The target of each slot in the cheapest one-to-one matching (Hungarian method), `(B, K)`.

    costs: `(B, K, K)`, of each slot with each target. A NaN counts as 0: the training loop then
    finds the NaN in the loss and reports it.
    """
    numbers = np.nan_to_num(widen(costs.detach()).cpu().numpy())
    matched = np.stack([linear_sum_assignment(one)[1] for one in numbers])
    return torch.from_numpy(matched).to(costs.device)
