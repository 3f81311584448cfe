"""Weights against areas, empty slots and counts of objects: what the readings of slots tell."""

from collections.abc import Callable

import torch
from torch import Tensor

from smm_tutorial.concepts.slot_readings import SlotReadings

LEAST_OBJECTS = 3  # of a scene whose correlation counts
DECIMALS = 4


def correlate(x: Tensor, y: Tensor) -> float:
    """Computes Pearson's correlation of two lists of numbers `(N,)`; 0 if one is constant."""
    x, y = x.double() - x.double().mean(), y.double() - y.double().mean()
    size = (x.square().sum() * y.square().sum()).sqrt()
    return (x * y).sum().item() / size.item() if size > 0 else 0.0


def correlate_weights(readings: SlotReadings) -> dict[str, float]:
    """Correlates the weights of slots that hold objects with the objects' visible areas.

    Returns `pooled`: over all such slots. `in_scenes`: the mean over scenes with at least
    `LEAST_OBJECTS` such slots. `slots`, `scenes`: how many count.
    """
    holds = readings.regions > 0  # objects, not the ground
    areas = readings.visible.gather(1, readings.regions.clamp_min(0)).double()  # (M, K)
    in_scenes = [
        correlate(weights[held], area[held])
        for weights, area, held in zip(readings.weights, areas, holds, strict=True)
        if held.sum() >= LEAST_OBJECTS
    ]
    return {
        "pooled": round(correlate(readings.weights[holds], areas[holds]), DECIMALS),
        "in_scenes": round(sum(in_scenes) / max(1, len(in_scenes)), DECIMALS),
        "slots": int(holds.sum()),
        "scenes": len(in_scenes),
    }


def score_empty(found: Tensor, true: Tensor) -> dict[str, float]:
    """Computes `precision`, `recall` and `f1` of slots that were found to be empty.

    found, true: bool, of the same shape. A share without any slot below the fraction bar is 0.
    """
    right = (found & true).sum().item()
    precision = right / max(1, found.sum().item())
    recall = right / max(1, true.sum().item())
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    shares = {"precision": precision, "recall": recall, "f1": f1}
    return {name: round(share, DECIMALS) for name, share in shares.items()}


def choose_threshold(values: Tensor, is_empty: Tensor) -> float:
    """Finds the threshold with the best F1, if slots with smaller values count as empty.

    values: real numbers of any shape, such as weights. is_empty: bool, of the same shape.
    The threshold lies halfway between two neighbouring values. Without empty slots it is 0.
    """
    values, order = values.flatten().double().sort()
    right = is_empty.flatten()[order].double().cumsum(0)  # empty slots among the n smallest
    total = right[-1]
    if total == 0:
        return 0.0
    f1 = 2 * right / (total + torch.arange(1, len(values) + 1))
    f1[:-1][values[1:] == values[:-1]] = 0  # a threshold cannot part equal values
    best = int(f1.argmax())
    above = values[min(best + 1, len(values) - 1)]
    return ((values[best] + above) / 2).item() if above > values[best] else above.item() + 1


def score_counts(num_kept: Tensor, num_objects: Tensor) -> dict[str, float]:
    """Scores the count "kept slots minus one for the ground" `(M,)`.

    Returns `accuracy`, the share of scenes with the right count, and `error`, the mean absolute
    difference.
    """
    differences = (num_kept - 1 - num_objects).abs().double()
    return {
        "accuracy": round((differences == 0).double().mean().item(), DECIMALS),
        "error": round(differences.mean().item(), DECIMALS),
    }


def _by_threshold(choose: Callable[[SlotReadings], Tensor]) -> Callable:
    """Makes a method that compares a number of each slot with a threshold from validation scenes.

    choose: the numbers `(M, K)`.
    """

    def find(readings: SlotReadings, validation: SlotReadings) -> Tensor:
        return choose(readings) < choose_threshold(choose(validation), validation.is_empty)

    return find


#: The methods that find empty slots `(M, K)`, by name. Each gets the readings of the scored scenes
#: and of validation scenes. `weights` and `masks` choose a threshold on the validation scenes;
#: `bic` needs none.
METHODS: dict[str, Callable[[SlotReadings, SlotReadings], Tensor]] = {
    "weights": _by_threshold(lambda readings: readings.weights),
    "masks": _by_threshold(lambda readings: readings.areas),
    "bic": lambda readings, validation: ~readings.kept,
}


def score_methods(readings: SlotReadings, validation: SlotReadings) -> dict:
    """Scores every method of `METHODS` -> `{method: scores of score_empty and score_counts}`."""
    scores = {}
    for name, find in METHODS.items():
        found = find(readings, validation)
        counts = score_counts((~found).sum(dim=1), readings.num_objects)
        scores[name] = score_empty(found, readings.is_empty) | counts
    return scores


def score_weights(readings: SlotReadings, validation: SlotReadings) -> dict:
    """Scores the weights of one set of scenes: `correlate_weights` and `score_methods`.

    Also returns `empty`, the share of slots that are empty, `num_slots` and `images`.
    """
    return {
        "correlation": correlate_weights(readings),
        "methods": score_methods(readings, validation),
        "empty": round(readings.is_empty.double().mean().item(), DECIMALS),
        "num_slots": readings.weights.shape[1],
        "images": len(readings.weights),
    }
