"""Losses. Each is a class that is built once with its data, and called by `training.fit` once a step.

All draw a joint batch from the step's generator and compute their share of it, which is all of it in a single process.
"""

from typing import Literal, get_args

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from smm_tutorial.datasets import SceneImages
from smm_tutorial.models.discovery import ObjectDiscovery
from smm_tutorial.models.set_prediction import SetPredictor
from smm_tutorial.processes import Share
from smm_tutorial.set_targets import COORDINATES, OBJECT_DIM, set_targets

Objective = Literal["mixture", "squared_error"]


class ReconstructionLoss:
    """How badly an `ObjectDiscovery` network explains random images, half of them mirrored left to right.

    data: the training images; masks are never looked at. Mirroring is right for a loss on pixels: it maps scenes to
    scenes but for the direction of the light.
    objective: `mixture`, the negative log-likelihood of each pixel under the mixture of the slots' paintings (as in
    IODINE, Greff et al. 2019, arXiv 1903.00450), in units of squared error: it is the mean squared error where one slot
    owns the pixel | `squared_error` of the mixed image (Slot Attention, arXiv 2006.15055), which does not mind when two
    slots blend into the right colour.
    num_slots: in training; the network's own number if not given.
    price: what it costs, in the same unit, when all of an image belongs to slots other than its largest. Neither
    objective minds whether an object's slot also paints ground around it; a price below what an object saves, and above
    what a piece of ground saves, leaves the ground to one slot. It grows from 0 over the second quarter of `steps`:
    objects must be found before they can be kept small.
    """

    def __init__(
        self, network: ObjectDiscovery, data: SceneImages, batch_size: int, objective: Objective = "mixture", *,
        num_slots: int | None = None, price: float = 0.0, steps: int = 1,
    ):  # fmt: skip
        if objective not in get_args(Objective):
            raise ValueError(f"objective must be one of {', '.join(map(repr, get_args(Objective)))}, got {objective!r}")
        self.network, self.data, self.batch_size, self.objective = network, data, batch_size, objective
        self.num_slots, self.price, self.steps, self.share = num_slots, price, steps, Share()

    def place(self, device: torch.device, share: Share) -> None:
        """Moves the data to the device, and computes this share of each batch from now on."""
        self.data, self.share = self.data.to(device), share

    def price_at(self, step: int) -> float:
        """The price of this step."""
        return self.price * min(1.0, max(0.0, 4 * step / self.steps - 1))

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """This process's share of a batch: images `(B, 3, S, S)`, half of them mirrored, and noise for the slots' starts."""
        chosen = torch.randint(len(self.data), (self.batch_size,), generator=generator)
        mirrored = torch.rand(self.batch_size, 1, 1, 1, generator=generator) < 0.5
        noise = self.network.start_noise(self.batch_size, generator, self.num_slots)
        chosen, mirrored, noise = (self.share.of(part) for part in (chosen, mirrored, noise))
        images = self.data.batch(chosen).images
        return torch.where(mirrored.to(images.device), images.flip(3), images), noise

    def __call__(self, model: nn.Module, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """`model` is the network as the training engine has wrapped it; `generator` decides images, mirrors, starts."""
        images, noise = self.draw(generator)
        output = model(images, num_slots=self.num_slots, noise=noise)
        squared_error = nn.functional.mse_loss(output.reconstruction, images)
        if self.objective == "mixture":
            unit = 2 * output.pixel_scale**2 / images.shape[1]  # squared error of a channel for a unit of log-likelihood
            misfit = -unit * output.log_joint(images).logsumexp(dim=1).mean()
        else:
            misfit = squared_error
        owned = 1 - output.masks.mean(dim=(2, 3)).amax(dim=1).mean()  # share of an image outside its largest slot
        loss = misfit + self.price_at(step) * owned
        return {"loss": loss, "squared_error": squared_error.detach(), "owned": owned.detach()}


class SetLoss:
    """How far the sets that a `SetPredictor` predicts are from those in the records, objects and slots matched.

    Every slot is matched with one target, a real object or padding, so that the sum of the Huber distances of the pairs is
    least (Hungarian method); that sum, averaged over images, is the loss (Slot Attention, arXiv 2006.15055, sec. 3.3). The
    distance of a pair is the mean over its 19 numbers. Each of the three coordinates counts `coordinate_weight` times
    in it: matching and loss use the same weights, and compared models must share them, for the coordinate weight alone
    decides average precision at strict thresholds.

    Images are never mirrored: in the mirror a scene has other coordinates, beyond the [-3, 3] that the heads can tell,
    and other light.

    data: images with records.

    Raises `ValueError` for data without records, a scene with more objects than slots, a weight that is not above 0.
    """

    def __init__(self, network: SetPredictor, data: SceneImages, batch_size: int, *, coordinate_weight: float = 1.0):
        if data.records is None:
            raise ValueError(f"{data.name} ({data.split}) has no records to learn sets from: choose a split that has")
        if not coordinate_weight > 0:
            raise ValueError(f"coordinate_weight must be above 0, got {coordinate_weight}")
        self.network, self.data, self.batch_size = network, data, batch_size
        self.coordinate_weight, self.share = coordinate_weight, Share()
        self.targets = set_targets(data.records, network.config.num_slots).to(data.images.device)  # (M, K, 19)

    def place(self, device: torch.device, share: Share) -> None:
        """Moves data and targets to the device, and computes this share of each batch from now on."""
        self.data, self.targets, self.share = self.data.to(device), self.targets.to(device), share

    def __call__(self, model: nn.Module, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """`model` is the network as the training engine has wrapped it; `generator` decides images and starts."""
        chosen = torch.randint(len(self.data), (self.batch_size,), generator=generator)
        noise = self.network.start_noise(self.batch_size, generator)
        chosen, noise = self.share.of(chosen), self.share.of(noise)
        output = model(self.data.batch(chosen).images, noise=noise)
        return matched_set_loss(output.predictions, self.targets[chosen], self.coordinate_weight)


def matched_set_loss(predictions: Tensor, targets: Tensor, coordinate_weight: float = 1.0) -> dict[str, Tensor]:
    """The loss of `SetLoss` for predictions and targets `(B, K, 19)` each -> scalars: loss and its two parts.

    The loss is coordinates + properties; both are logged as they enter it, weight included.

    Raises `ValueError` for other shapes, or for sets of different sizes.
    """
    if predictions.shape != targets.shape or predictions.ndim != 3 or predictions.shape[2] != OBJECT_DIM:
        raise ValueError(
            f"predictions and targets must both be (batch, slots, {OBJECT_DIM}), got {tuple(predictions.shape)} and "
            f"{tuple(targets.shape)}: make targets with set_targets(records, max_objects=num_slots)"
        )
    coordinates, properties = pair_costs(predictions, targets, coordinate_weight)
    costs = np.nan_to_num((coordinates + properties).detach().cpu().numpy())  # a NaN is for the training loop to report
    matched = torch.from_numpy(np.stack([linear_sum_assignment(cost)[1] for cost in costs])).to(predictions.device)  # (B, K)
    coordinates, properties = (
        part.gather(2, matched[..., None]).sum(dim=(1, 2)).mean() for part in (coordinates, properties)
    )
    return {"loss": coordinates + properties, "coordinates": coordinates.detach(), "properties": properties.detach()}


def pair_costs(predictions: Tensor, targets: Tensor, coordinate_weight: float = 1.0) -> tuple[Tensor, Tensor]:
    """What every pair of a prediction and a target of an image costs: predictions `(B, K, 19)`, targets `(B, T, 19)`.

    Returns what coordinates and properties add to the cost, `(B, K, T)` each: means over all 19 numbers, weight included.
    """
    pairs = predictions.shape[:2] + targets.shape[1:2]  # (B, K, T)
    errors = nn.functional.smooth_l1_loss(
        predictions[:, :, None].expand(*pairs, OBJECT_DIM), targets[:, None].expand(*pairs, OBJECT_DIM), reduction="none"
    )  # (B, K, T, 19): Huber's, quadratic up to 1
    coordinates = coordinate_weight * errors[..., COORDINATES].sum(dim=3) / OBJECT_DIM  # (B, K, T)
    properties = errors[..., COORDINATES.stop :].sum(dim=3) / OBJECT_DIM  # (B, K, T)
    return coordinates, properties
