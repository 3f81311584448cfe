"""What frozen slots know: linear heads, fitted by least squares, predict sets from slots.

The slots may come from a model of any task. They are not changed, and nothing is trained by
gradients. So the scores say what the slots tell about objects in the simplest form.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.datasets import SceneImages
from smm_tutorial.metrics import count_table, enlarge_owners, region_overlaps
from smm_tutorial.set_prediction.scores import average_precisions
from smm_tutorial.set_prediction.targets import OBJECT_DIM, REAL, set_targets
from smm_tutorial.slots.slot_model import SlotModel
from smm_tutorial.tensors import without_autocast

BATCH = 64  # images
LEAST_OVERLAP = 0.2  # intersection over union; with less, no slot holds the object
RIDGE = 1e-2  # added to the diagonal of the standardised features' products, per row
DECIMALS = 4


class LinearHeads(NamedTuple):
    """Linear functions of a slot's numbers `(..., F)` -> a row of a set `(..., 19)`.

    The last number says how likely the slot holds an object. It is cut off below 0 and above 1.
    """

    centre: Tensor  # (F,)
    spread: Tensor  # (F,)
    weights: Tensor  # (F + 1, 19); the last row is the constant

    def predict(self, slots: Tensor) -> Tensor:
        rows = (slots - self.centre) / self.spread @ self.weights[:-1] + self.weights[-1]
        rows[..., REAL] = rows[..., REAL].clamp(0, 1)
        return rows


class FoundSlots(NamedTuple):
    """The slots of a data set, and which of them hold which objects."""

    slots: Tensor  # (M, K, F)
    holders: Tensor  # (M, T), the slot that overlaps an object best
    is_held: Tensor  # (M, T), whether this slot overlaps the object enough


def probe_slots(
    model: SlotModel,
    train: SceneImages,
    test: SceneImages,
    seed: int = 0,
    num_slots: int | None = None,
) -> dict:
    """Fits linear heads on slots of training scenes, and scores their sets on test scenes.

    Args:
        model: with frozen encoder and slots.
        train, test: scenes with masks and records.
        seed: of the slots' starts.
        num_slots: K; by default the model's.

    Returns:
        `ap`: average precision by threshold. `held`: the share of test objects that a slot holds,
        with an intersection over union of more than `LEAST_OVERLAP`. `images`: the number of test
        images.

    Raises `ValueError` for scenes without masks or records.
    """
    heads = fit_heads(find_all_slots(model, train, seed, num_slots), train)
    found = find_all_slots(model, test, seed, num_slots)
    targets = set_targets(test.records, found.holders.shape[1])  # (M, T, 19)
    held = found.is_held[targets[..., REAL] == 1]
    return {
        "ap": average_precisions(heads.predict(found.slots), targets),
        "held": round(held.double().mean().item(), DECIMALS),
        "images": len(test),
    }


@torch.no_grad()
def find_all_slots(
    model: SlotModel, data: SceneImages, seed: int = 0, num_slots: int | None = None
) -> FoundSlots:
    """Finds the slots of all images, and for each object the slot that overlaps it best."""
    if data.masks is None or data.records is None:
        raise ValueError(
            f"{data.name} ({data.split}) lacks masks or records: a probe needs both, to know which "
            "slot holds which object"
        )
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    slots, owners = [], []
    with without_autocast(device):
        for first in range(0, len(data), BATCH):
            images = data.batch(slice(first, first + BATCH)).images.to(device)
            noise = model.start_noise(len(images), generator, num_slots)
            found = model.find_slots(images, num_slots=num_slots, noise=noise)
            slots.append(found.slots.float().cpu())
            largest = found.responsibilities.argmax(dim=2)
            owners.append(enlarge_owners(largest, data.size).cpu())
    slots = torch.cat(slots)  # (M, K, F)
    most = max(len(record["objects"]) for record in data.records)
    counts = count_table(data.masks.cpu().long(), torch.cat(owners)).double()
    table = counts.new_zeros(len(data), 1 + most, slots.shape[1])  # (M, 1 + T, K) pixels
    table[:, : counts.shape[1], : counts.shape[2]] = counts
    overlaps, holders = region_overlaps(table)[:, 1:].max(dim=2)  # (M, T) each
    return FoundSlots(slots, holders, overlaps > LEAST_OVERLAP)


def fit_heads(found: FoundSlots, data: SceneImages) -> LinearHeads:
    """Fits the heads to the records of the same images.

    Places and properties are fitted to slots that hold an object, "real" to all slots.
    """
    every = found.slots.flatten(0, 1).double()  # (M K, F)
    centre, spread = every.mean(dim=0), every.std(dim=0).clamp_min(1e-6)

    def solve(slots: Tensor, wanted: Tensor) -> Tensor:
        ones = slots.new_ones(len(slots), 1)
        design = torch.cat([(slots - centre) / spread, ones], dim=1)
        products = design.mT @ design + RIDGE * len(slots) * torch.eye(design.shape[1]).to(design)
        return torch.linalg.solve(products, design.mT @ wanted)

    targets = set_targets(data.records, found.holders.shape[1]).double()  # (M, T, 19)
    if not found.is_held.any():
        return LinearHeads(centre.float(), spread.float(), torch.zeros(len(centre) + 1, OBJECT_DIM))
    image, number = (found.is_held & (targets[..., REAL] == 1)).nonzero(as_tuple=True)
    holders = found.holders[image, number]
    weights = solve(found.slots[image, holders].double(), targets[image, number])
    holds = torch.zeros(found.slots.shape[:2], dtype=torch.double)
    holds[image, holders] = 1
    weights[:, REAL] = solve(every, holds.flatten()[:, None])[:, 0]
    return LinearHeads(centre.float(), spread.float(), weights.float())
