"""What the slots of a data set hold: their weights, the pixels they own, and the true regions.

The model is one of object discovery: its slots paint an image together. It is loaded by its name,
so this room knows nothing of its task.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.datasets import SceneImages
from smm_tutorial.metrics import count_table, mask_centres, region_overlaps
from smm_tutorial.slots.base import SlotOutput
from smm_tutorial.slots.slot_model import SlotModel
from smm_tutorial.slots.slot_selection import select_slots_by_bic
from smm_tutorial.tensors import without_autocast

BATCH = 64  # images
LEAST_OVERLAP = 0.2  # intersection over union; with less, a slot does not hold a region
NOTHING = -1


class SlotReadings(NamedTuple):
    """The slots of M images. Regions are numbered: 0 is the ground, 1 to T are objects."""

    slots: Tensor  # (M, K, F)
    weights: Tensor  # (M, K), the share of the inputs that a slot holds; the sum over K is 1
    areas: Tensor  # (M, K), pixels where the decoder's mask of the slot is the largest
    centres: Tensor  # (M, K, 2), of the decoder's masks: down and right, in [0, 1]
    kept: Tensor  # (M, K), whether BIC keeps the slot
    regions: Tensor  # (M, K), the region that the slot holds, or NOTHING
    visible: Tensor  # (M, 1 + T), the pixels of each true region

    @property
    def is_empty(self) -> Tensor:
        """Whether a slot holds no region `(M, K)`."""
        return self.regions == NOTHING

    @property
    def num_objects(self) -> Tensor:
        """The number of objects with at least one pixel in view `(M,)`."""
        return (self.visible[:, 1:] > 0).sum(dim=1)


def weigh_slots(found: SlotOutput) -> Tensor:
    """Computes the share of the inputs that each slot holds -> `(B, K)`; the sum over K is 1.

    These are the mixture weights of SMM. Slot Attention has none: its shares are the mean attention
    over the inputs, which is how SMM's M-step computes weights, too.
    """
    return found.responsibilities.mean(dim=1) if found.weights is None else found.weights


def assign_regions(counts: Tensor) -> Tensor:
    """Finds the true region that each slot holds -> integers `(M, K)`, NOTHING for none.

    Each region belongs to the slot with the largest intersection over union, if this is more than
    `LEAST_OVERLAP`. If a slot is the best one of several regions, it holds the region with the
    largest overlap.

    counts: `(M, 1 + T, K)`, the pixels that each region shares with each slot.
    """
    overlaps = region_overlaps(counts.double())  # (M, 1 + T, K)
    is_best = overlaps == overlaps.amax(dim=2, keepdim=True)
    claims = overlaps.where(is_best & (overlaps > LEAST_OVERLAP), 0)
    best, regions = claims.max(dim=1)  # (M, K) each
    return regions.where(best > 0, NOTHING)


@torch.no_grad()
def read_slots(
    model: SlotModel, data: SceneImages, seed: int = 0, num_slots: int | None = None
) -> SlotReadings:
    """Finds the slots of all images, and what they hold.

    Args:
        model: of object discovery, with any slot module.
        data: images with masks, at the model's image size.
        seed: of the slots' starts.
        num_slots: K; by default the model's.

    Raises `ValueError` for images without masks.
    """
    if data.masks is None:
        raise ValueError(
            f"{data.name} ({data.split}) has no masks: they say what a slot holds, so choose data "
            "with masks"
        )
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    names = ("slots", "weights", "owners", "centres", "kept")
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    with without_autocast(device):
        for first in range(0, len(data), BATCH):
            images = data.batch(slice(first, first + BATCH)).images.to(device)
            noise = model.start_noise(len(images), generator, num_slots)
            output = model(images, num_slots=num_slots, noise=noise)
            parts["slots"].append(output.slot_output.slots.float().cpu())
            parts["weights"].append(weigh_slots(output.slot_output).float().cpu())
            parts["owners"].append(output.segmentation.cpu())
            parts["centres"].append(mask_centres(output.masks).float().cpu())
            parts["kept"].append(select_slots_by_bic(output, images).kept.cpu())
    found = {name: torch.cat(tensors) for name, tensors in parts.items()}
    shape = found["weights"].shape
    counts = count_table(data.masks.cpu().long(), found["owners"])
    table = counts.new_zeros(len(data), counts.shape[1], shape[1])  # (M, 1 + T, K)
    table[:, :, : counts.shape[2]] = counts  # a last slot that owns nothing anywhere is missing
    return SlotReadings(
        found["slots"],
        found["weights"],
        table.sum(dim=1),
        found["centres"],
        found["kept"],
        assign_regions(table),
        table.sum(dim=2),
    )
