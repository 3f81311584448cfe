"""Scores of set prediction: average precision at every threshold, and the errors behind a low
score.
"""

import torch
from torch import Tensor

from smm_tutorial.datasets import SceneImages
from smm_tutorial.metrics import count_table, enlarge_owners, foreground_ari
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

#: Largest distance of a prediction from its object, in world units, by the name in tables.
THRESHOLDS = {"inf": NO_LIMIT, "1": 1, "0.5": 0.5, "0.25": 0.25, "0.125": 0.125, "0.0625": 0.0625}
LEAST_REAL = 0.5  # probability from which a prediction counts as a real object
EVALUATION_BATCH = 64
DECIMALS = 4


def evaluate(
    model: SetPredictor,
    data: SceneImages,
    seed: int = 0,
    num_iterations: int | None = None,
    num_slots: int | None = None,
) -> dict:
    """All scores of a model on a data set, ready for JSON.

    The scores are those of `score` and, for data with masks, those of `score_binding`.
    `iterations` and `slots` are the arguments `num_iterations` and `num_slots`, unless these are
    None.

    Raises `ValueError` if the data have no records, and for a number of iterations or slots below
    1.
    """
    predictions, shares = _answer(model, data, seed, num_iterations, num_slots)
    scores = score(data, predictions)
    chosen = {"iterations": num_iterations, "slots": num_slots}
    scores |= {name: number for name, number in chosen.items() if number is not None}
    return scores if data.masks is None else scores | {"binding": score_binding(data, shares)}


def predict_sets(
    model: SetPredictor,
    data: SceneImages,
    seed: int = 0,
    num_iterations: int | None = None,
    num_slots: int | None = None,
) -> Tensor:
    """Predictions of a model for all M images: `(M, K, 19)`, on the CPU. seed: of the slots'
    starts. num_iterations, num_slots: of the slot module; by default the model's.

    The model computes in eval mode and without autocast. Afterwards it is in its mode from before.
    """
    return _answer(model, data, seed, num_iterations, num_slots)[0]


@torch.no_grad()
def _answer(
    model: SetPredictor,
    data: SceneImages,
    seed: int,
    num_iterations: int | None,
    num_slots: int | None,
) -> tuple[Tensor, Tensor]:
    """Predictions `(M, K, 19)` for all images, and the last responsibilities `(M, N, K)`."""
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    predictions, shares = [], []
    was_training = model.training
    model.eval()  # else the statistics of each batch would count, and change the model's
    with without_autocast(device):
        for first in range(0, len(data), EVALUATION_BATCH):
            images = data.batch(slice(first, first + EVALUATION_BATCH)).images.to(device)
            noise = model.start_noise(len(images), generator, num_slots)
            output = model(images, num_iterations, num_slots, noise)
            predictions.append(output.predictions.cpu())
            shares.append(output.slot_output.responsibilities.cpu())
    model.train(was_training)
    return torch.cat(predictions), torch.cat(shares)


def score_binding(data: SceneImages, responsibilities: Tensor) -> dict[str, float]:
    """Whether each slot holds one object: compares the responsibilities `(M, N, K)` of a data set
    with its masks.

    Returns means over images, or over objects for coverage:
    - fg_ari: FG-ARI of a segmentation that gives each input to its most responsible slot.
    - largest_slot: the share of the inputs that the largest slot holds.
    - coverage: the share of an object's pixels in the slot that holds most of them.

    A network can predict well without binding, and can bind without predicting well.
    """
    responsibilities, masks = responsibilities.cpu(), data.masks.cpu().long()  # (M, H, W)
    owners = enlarge_owners(responsibilities.argmax(dim=2), data.size)
    counts = count_table(masks, owners)[:, 1:]  # (M, objects, K) pixels
    visible = counts.sum(dim=2) > 0
    parts = {
        "fg_ari": foreground_ari(masks, owners),
        "largest_slot": responsibilities.mean(dim=1).amax(dim=1),
        "coverage": (counts.amax(dim=2) / counts.sum(dim=2))[visible],
    }
    return {name: _rounded(values.double().mean()) for name, values in parts.items()}


def average_precisions(predictions: Tensor, targets: Tensor) -> dict[str, float]:
    """Average precision of `(M, K, 19)` against targets `(M, T, 19)`, by threshold."""
    return {
        name: round(average_precision_clevr(predictions, targets, limit), DECIMALS)
        for name, limit in THRESHOLDS.items()
    }


def score(data: SceneImages, predictions: Tensor) -> dict:
    """All scores of predictions `(M, K, 19)` of a data set, ready for JSON.

    ap: `average_precisions`. by_objects: the same scores by the number of objects in an image (as
    text). count_error: mean difference between the numbers of real predictions and of objects.
    images: the number of images.

    Two scores compare each object with its nearest real prediction. A prediction is real if its
    last number is at least `LEAST_REAL`. distance: median distance to the object, in world units.
    right: the share of objects for which a property is right, by property.

    Raises `ValueError` if the data have no records.
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
    """Distance of each object's nearest real prediction, and the share of its right properties."""
    distances = COORDINATE_SCALE * torch.cdist(
        targets[..., COORDINATES], predictions[..., COORDINATES]
    )  # (M, T, K)
    nearest, place = distances.masked_fill(~real[:, None], torch.inf).min(dim=2)  # (M, T) each
    # real objects in images with at least one real prediction, (M, T)
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
