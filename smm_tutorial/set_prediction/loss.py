"""The loss of set prediction: objects and slots matched, distances summed."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from smm_tutorial.datasets import SceneImages
from smm_tutorial.set_prediction.model import SetPredictor
from smm_tutorial.set_prediction.targets import COORDINATES, OBJECT_DIM, set_targets
from smm_tutorial.training.processes import Share


class SetLoss:
    """How far the sets that a `SetPredictor` predicts are from those in the records, objects and
    slots matched.

    Every slot is matched with one target, a real object or padding, so that the sum of the Huber
    distances of the pairs is least (Hungarian method); that sum, averaged over images, is the loss
    (Slot Attention, arXiv 2006.15055, sec. 3.3). The distance of a pair is the mean over its 19
    numbers. Each of the three coordinates counts `coordinate_weight` times in it: matching and loss
    use the same weights, and compared models must share them, for the coordinate weight alone
    decides average precision at strict thresholds.

    Images are never mirrored: in the mirror a scene has other coordinates, beyond the [-3, 3] that
    the heads can tell, and other light.

    data: images with records.

    Raises `ValueError` for data without records, a scene with more objects than slots, a weight
    that is not above 0.
    """

    def __init__(
        self,
        network: SetPredictor,
        data: SceneImages,
        batch_size: int,
        *,
        coordinate_weight: float = 1.0,
    ):
        if data.records is None:
            raise ValueError(
                f"{data.name} ({data.split}) has no records to learn sets from: choose a split that has"
            )
        if not coordinate_weight > 0:
            raise ValueError(f"coordinate_weight must be above 0, got {coordinate_weight}")
        self.network, self.data, self.batch_size = network, data, batch_size
        self.coordinate_weight, self.share = coordinate_weight, Share()
        self.targets = set_targets(data.records, network.config.num_slots).to(
            data.images.device
        )  # (M, K, 19)

    def place(self, device: torch.device, share: Share) -> None:
        """Moves data and targets to the device, and computes this share of each batch from now
        on.
        """
        self.data, self.targets, self.share = self.data.to(device), self.targets.to(device), share

    def __call__(
        self, model: nn.Module, generator: torch.Generator, step: int
    ) -> dict[str, Tensor]:
        """`model` is the network as the training engine has wrapped it; `generator` decides images
        and starts.
        """
        chosen = torch.randint(len(self.data), (self.batch_size,), generator=generator)
        noise = self.network.start_noise(self.batch_size, generator)
        chosen, noise = self.share.of(chosen), self.share.of(noise)
        output = model(self.data.batch(chosen).images, noise=noise)
        return matched_set_loss(output.predictions, self.targets[chosen], self.coordinate_weight)


def matched_set_loss(
    predictions: Tensor, targets: Tensor, coordinate_weight: float = 1.0
) -> dict[str, Tensor]:
    """The loss of `SetLoss` for predictions and targets `(B, K, 19)` each -> scalars: loss and its
    two parts.

    The loss is coordinates + properties; both are logged as they enter it, weight included.

    Raises `ValueError` for other shapes, or for sets of different sizes.
    """
    if (
        predictions.shape != targets.shape
        or predictions.ndim != 3
        or predictions.shape[2] != OBJECT_DIM
    ):
        raise ValueError(
            f"predictions and targets must both be (batch, slots, {OBJECT_DIM}), got {tuple(predictions.shape)} and "
            f"{tuple(targets.shape)}: make targets with set_targets(records, max_objects=num_slots)"
        )
    coordinates, properties = pair_costs(predictions, targets, coordinate_weight)
    costs = np.nan_to_num(
        (coordinates + properties).detach().cpu().numpy()
    )  # a NaN is for the training loop to report
    matched = torch.from_numpy(np.stack([linear_sum_assignment(cost)[1] for cost in costs])).to(
        predictions.device
    )  # (B, K)
    coordinates, properties = (
        part.gather(2, matched[..., None]).sum(dim=(1, 2)).mean()
        for part in (coordinates, properties)
    )
    return {
        "loss": coordinates + properties,
        "coordinates": coordinates.detach(),
        "properties": properties.detach(),
    }


def pair_costs(
    predictions: Tensor, targets: Tensor, coordinate_weight: float = 1.0
) -> tuple[Tensor, Tensor]:
    """What every pair of a prediction and a target of an image costs: predictions `(B, K, 19)`,
    targets `(B, T, 19)`.

    Returns what coordinates and properties add to the cost, `(B, K, T)` each: means over all 19
    numbers, weight included.
    """
    pairs = predictions.shape[:2] + targets.shape[1:2]  # (B, K, T)
    errors = nn.functional.smooth_l1_loss(
        predictions[:, :, None].expand(*pairs, OBJECT_DIM),
        targets[:, None].expand(*pairs, OBJECT_DIM),
        reduction="none",
    )  # (B, K, T, 19): Huber's, quadratic up to 1
    coordinates = coordinate_weight * errors[..., COORDINATES].sum(dim=3) / OBJECT_DIM  # (B, K, T)
    properties = errors[..., COORDINATES.stop :].sum(dim=3) / OBJECT_DIM  # (B, K, T)
    return coordinates, properties
