"""Set prediction in numbers: average precision at every threshold, and what goes wrong where it is
low.
"""

import torch
from torch import Tensor, nn

from smm_tutorial.datasets import SceneImages
from smm_tutorial.metrics import count_table, foreground_ari
from smm_tutorial.set_prediction.average_precision import NO_LIMIT, average_precision_clevr
from smm_tutorial.set_prediction.model import SetPredictor
from smm_tutorial.set_prediction.targets import (
    COORDINATE_SCALE,
    COORDINATES,
    PROPERTY_SLICES,
    REAL,
    set_targets,
)
from smm_tutorial.tensors import without_autocast

#: How far from its object a prediction may lie, in world units, by the name that tables use.
THRESHOLDS = {"inf": NO_LIMIT, "1": 1, "0.5": 0.5, "0.25": 0.25, "0.125": 0.125, "0.0625": 0.0625}
LEAST_REAL = 0.5  # of a prediction that says that it is an object
EVALUATION_BATCH = 64
DECIMALS = 4


def evaluate(model: SetPredictor, data: SceneImages, seed: int = 0) -> dict:
    """Every score of a model on a data set, ready for JSON: `score` of what `predict_sets` gives,
    and `score_binding` where there are masks.

    Raises `ValueError` when the data have no records.
    """
    scores = score(data, predict_sets(model, data, seed))
    return scores if data.masks is None else scores | {"binding": score_binding(model, data, seed)}


@torch.no_grad()
def predict_sets(model: SetPredictor, data: SceneImages, seed: int = 0) -> Tensor:
    """What a model predicts of every image -> `(M, K, 19)`, on the CPU. seed: of the slots' starts.

    Computed outside autocast, whatever surrounds the call.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    predictions = []
    with without_autocast(device):
        for first in range(0, len(data), EVALUATION_BATCH):
            images = data.batch(slice(first, first + EVALUATION_BATCH)).images.to(device)
            output = model(images, noise=model.start_noise(len(images), generator))
            predictions.append(output.predictions.cpu())
    return torch.cat(predictions)


@torch.no_grad()
def score_binding(model: SetPredictor, data: SceneImages, seed: int = 0) -> dict[str, float]:
    """Whether a slot holds an object: scores of the last responsibilities against the masks.

    fg_ari: of the inputs' most responsible slots. largest_slot: the share of the inputs that the
    largest slot holds. coverage: how much of an object the slot holds that holds most of it. Means
    over images, or over objects. A network can predict well without binding, and can bind without
    predicting well.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    fg_ari, largest, covered = [], [], []
    with without_autocast(device):
        for first in range(0, len(data), EVALUATION_BATCH):
            images, masks = data.batch(slice(first, first + EVALUATION_BATCH))
            noise = model.start_noise(len(images), generator)
            shares = model.find_slots(images.to(device), noise=noise).responsibilities  # (B, N, K)
            largest.append(shares.mean(dim=1).amax(dim=1).cpu())  # (B,)
            side = round(shares.shape[1] ** 0.5)
            owners = shares.argmax(dim=2).unflatten(1, (side, side))[:, None].float()
            owners = nn.functional.interpolate(owners, size=masks.shape[1:])[:, 0].long().cpu()
            fg_ari.append(foreground_ari(masks, owners))
            counts = count_table(masks, owners)[:, 1:].double()  # (B, objects, K) pixels
            visible = counts.sum(dim=2) > 0
            covered.append((counts.amax(dim=2) / counts.sum(dim=2))[visible])
    parts = {"fg_ari": fg_ari, "largest_slot": largest, "coverage": covered}
    return {name: _rounded(torch.cat(values).double().mean()) for name, values in parts.items()}


def average_precisions(predictions: Tensor, targets: Tensor) -> dict[str, float]:
    """At each of `THRESHOLDS`, of predictions `(M, K, 19)` and targets `(M, T, 19)`."""
    return {
        name: round(average_precision_clevr(predictions, targets, limit), DECIMALS)
        for name, limit in THRESHOLDS.items()
    }


def score(data: SceneImages, predictions: Tensor) -> dict:
    """Every score of predictions `(M, K, 19)` of a data set, ready for JSON.

    ap: `average_precisions`. by_objects: the same over the images with so many objects, by that
    number (as text). For each object its nearest prediction among the real ones (at least
    `LEAST_REAL` sure) is looked at: `distance` is the median of how far it lies, in world units,
    and `right` the share of each property that it has right. `count_error`: mean difference between
    the numbers of real predictions and of objects; `images`, how many there were.

    Raises `ValueError` when the data have no records.
    """
    if data.records is None:
        raise ValueError(
            f"{data.name} ({data.split}) has no records to score against: choose a split that has"
        )
    predictions = predictions.detach().cpu()
    counts = torch.tensor([len(record["objects"]) for record in data.records])  # (M,)
    targets = set_targets(data.records, int(counts.max()))  # (M, T, 19)
    by_objects = {}
    for number in counts.unique().tolist():
        chosen = counts == number
        by_objects[str(number)] = {
            "images": int(chosen.sum()),
            "ap": average_precisions(predictions[chosen], targets[chosen]),
        }
    real = predictions[..., REAL] >= LEAST_REAL  # (M, K)
    return {
        "ap": average_precisions(predictions, targets),
        "images": len(data),
        "by_objects": by_objects,
        "count_error": _rounded((real.sum(dim=1) - counts).abs().double().mean()),
        **_score_nearest(predictions, real, targets),
    }


def _score_nearest(predictions: Tensor, real: Tensor, targets: Tensor) -> dict:
    """How far the nearest real prediction lies from each object, and which properties it has
    right.
    """
    distances = COORDINATE_SCALE * torch.cdist(
        targets[..., COORDINATES], predictions[..., COORDINATES]
    )  # (M, T, K)
    nearest, place = distances.masked_fill(~real[:, None], torch.inf).min(dim=2)  # (M, T) each
    # objects in images where anything is predicted, (M, T)
    seen = (targets[..., REAL] == 1) & nearest.isfinite()
    if not seen.any():
        return {"distance": None, "right": dict.fromkeys(PROPERTY_SLICES, 0.0)}
    places = place[..., None].expand(*place.shape, predictions.shape[2])  # (M, T, 19)
    chosen = predictions.gather(1, places)[seen]  # (objects, 19)
    right = {
        name: chosen[:, part].argmax(dim=1) == targets[seen][:, part].argmax(dim=1)
        for name, part in PROPERTY_SLICES.items()
    }
    return {
        "distance": _rounded(nearest[seen].median()),
        "right": {name: _rounded(agreed.double().mean()) for name, agreed in right.items()},
    }


def _rounded(value: Tensor) -> float:
    return round(value.item(), DECIMALS)
