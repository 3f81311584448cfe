"""How well slots recover the true objects, by integer maps.

Every metric takes two integer maps, `true` and `predicted`, both `(B, H, W)`, and give one float64
value an image, `(B,)`, on the maps' device. True maps follow the data's rule: 0 is the background,
k the scene's k-th object. Predicted maps hold segment numbers, for example `masks.argmax(dim=1)` of
slot masks `(B, K, H, W)`; their 0 is a segment like any other. Renumbering the segments, or the
objects, changes no score.

Everything about segmentations derives from one table of counts an image, `contingency.count_table`.
Where several metrics of the same maps are wanted, make that table once and hand it to
`SEGMENTATION_METRICS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from smm_tutorial.metrics.contingency import count_table

#: The thresholds of over-segmentation, under-segmentation and misses.
PART_OF_AN_OBJECT = 0.2  # of its pixels: less of it in a segment is a ragged edge, not a part
MOSTLY = 0.5  # of an object's, or of a segment's pixels
MISSED_BELOW = 0.2  # intersection over union


def adjusted_rand_index(true: Tensor, predicted: Tensor) -> Tensor:
    """Adjusted Rand index (Hubert and Arabie, 1985) over all pixels, the background being one
    cluster.

    1 means the same partition, 0 is what random labels with the same cluster sizes score on
    average.

    Args:
        true: integer map (B, H, W), 0 = background.
        predicted: integer map (B, H, W).

    Returns:
        (B,), float64. As in scikit-learn, two partitions that agree score 1 even where the formula
        is 0/0: one cluster on both sides, or every pixel on its own on both sides.

    Raises:
        ValueError: maps that are not (B, H, W), differ in shape or device, or hold floats or
        negative labels.
    """
    return _rand_index(count_table(true, predicted))


def foreground_ari(true: Tensor, predicted: Tensor) -> Tensor:
    """FG-ARI: the adjusted Rand index over those pixels whose *true* label is not background.

    The predicted side is left as it is, so a background split over many slots costs nothing here:
    report `adjusted_rand_index` and `mean_iou` beside it.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64. One object in one segment scores 1. An image without foreground scores 1:
        there is nothing to group, and no grouping can be wrong (scikit-learn scores empty label
        lists the same way).
    """
    return _foreground_rand_index(count_table(true, predicted))


def mean_iou(true: Tensor, predicted: Tensor) -> Tensor:
    """Intersection over union of each true object with *its* segment, averaged over the image's
    true objects.

    The matching is one-to-one and the best in total (Hungarian method; Kuhn, 1955). The background,
    true label 0, is neither matched nor averaged, yet background pixels inside a segment enlarge
    its union. Objects left over when segments run out score 0; surplus segments cost nothing by
    themselves. The matching itself runs on the CPU, image by image; everything before it is one
    operation for the batch.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1]; 1 for an image without objects: nothing to find, nothing missed.
    """
    return _matched_iou(count_table(true, predicted))


def mean_best_overlap(true: Tensor, predicted: Tensor) -> Tensor:
    """mBO: the best intersection over union that any segment reaches with a true object, averaged
    over the objects.

    Unlike in `mean_iou` a segment may serve several objects, so mBO is never below it. The
    background, true label 0, is not averaged (Pont-Tuset et al., 2017, call this the mean best
    overlap over instances).

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1]; 1 for an image without objects: nothing to find, nothing missed.
    """
    return _best_iou(count_table(true, predicted))


def split_objects(true: Tensor, predicted: Tensor) -> Tensor:
    """Over-segmentation: the share of the image's true objects that two or more segments divide
    among them.

    A segment counts where it owns at least a fifth of the object's pixels (`PART_OF_AN_OBJECT`) and
    at least half of its own pixels lie on that object (`MOSTLY`): slots that are duplicates of each
    other, not neighbours that took an edge. Hoover et al. (1996) call this over-segmentation of a
    region, with one threshold for both.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1], better when lower; 0 for an image without objects.
    """
    return _split(count_table(true, predicted))


def merged_objects(true: Tensor, predicted: Tensor) -> Tensor:
    """Under-segmentation: the share of the image's true objects that share a segment with another
    object.

    A segment merges objects where it owns at least half of each (`MOSTLY`). The segment that holds
    the background is no
    exception: two objects that it has swallowed are merged, and missed as well.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1], better when lower; 0 for an image without objects.
    """
    return _merged(count_table(true, predicted))


def missed_objects(true: Tensor, predicted: Tensor) -> Tensor:
    """The share of the image's true objects with which no segment reaches an intersection over
    union of a fifth.

    The threshold is `MISSED_BELOW`. An object in the background's segment is missed; so is one
    whose segment also owns more than four times as much ground.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1], better when lower; 0 for an image without objects.
    """
    return _missed(count_table(true, predicted))


def background_iou(true: Tensor, predicted: Tensor) -> Tensor:
    """Intersection over union of the true background with the segment that owns most of it.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1]; 1 for an image without background. Of segments that own equally
        much, the better counts.
    """
    return _background(count_table(true, predicted))


class ObjectOverlaps(NamedTuple):
    """Each true object's best overlap with a segment, and its size; an object that is not in the
    image has 0 pixels.
    """

    best: Tensor  # (B, T - 1) float64: intersection over union, 0 for an absent object
    pixels: Tensor  # (B, T - 1) float64


def best_overlaps(true: Tensor, predicted: Tensor) -> ObjectOverlaps:
    """What `mean_best_overlap` averages, object by object: column k - 1 is the scene's k-th object.

    Args, Raises: as `adjusted_rand_index`.
    """
    return overlaps_of_objects(count_table(true, predicted))


def overlaps_of_objects(counts: Tensor) -> ObjectOverlaps:
    """`best_overlaps` from the table of counts (B, T, P)."""
    return ObjectOverlaps(_overlaps(counts).amax(dim=2), counts[:, 1:].sum(dim=2))


def _rand_index(counts: Tensor) -> Tensor:
    """Adjusted Rand index (B,) of tables of counts (B, T, P): (index - expected) / (maximum -
    expected).
    """
    together_in_both = _pairs(counts).sum(dim=(1, 2))  # (B,) pairs of pixels that share both labels
    together_in_true = _pairs(counts.sum(dim=2)).sum(dim=1)  # (B,)
    together_in_predicted = _pairs(counts.sum(dim=1)).sum(dim=1)  # (B,)
    all_pairs = _pairs(counts.sum(dim=(1, 2)))  # (B,)

    same_partition = (together_in_both == together_in_true) & (
        together_in_both == together_in_predicted
    )
    expected = together_in_true * together_in_predicted / all_pairs.clamp(min=1)
    maximum = (together_in_true + together_in_predicted) / 2
    index = (together_in_both - expected) / (maximum - expected).masked_fill(same_partition, 1)
    return index.masked_fill(same_partition, 1)


def _foreground_rand_index(counts: Tensor) -> Tensor:
    return _rand_index(counts[:, 1:])  # row 0 holds the true background


def _pairs(counts: Tensor) -> Tensor:
    """How many pairs `counts` things form: n (n - 1) / 2, exact in float64 for every image of less
    than 9e7 pixels.
    """
    return counts * (counts - 1) / 2


def _matched_iou(counts: Tensor) -> Tensor:
    overlaps = _overlaps(counts)
    matched_sums = [
        overlap[linear_sum_assignment(overlap, maximize=True)].sum()
        for overlap in overlaps.cpu().numpy()
    ]
    return _mean_over_objects(overlaps.new_tensor(np.array(matched_sums)), counts, without=1.0)


def _best_iou(counts: Tensor) -> Tensor:
    return _mean_over_objects(_overlaps(counts).amax(dim=2).sum(dim=1), counts, without=1.0)


def _split(counts: Tensor) -> Tensor:
    segment_sizes = counts.sum(dim=1, keepdim=True).clamp(min=1)  # (B, 1, P)
    divides = (_owned(counts) >= PART_OF_AN_OBJECT) & (
        counts[:, 1:] / segment_sizes >= MOSTLY
    )  # (B, T - 1, P)
    return _mean_over_objects((divides.sum(dim=2) > 1).sum(dim=1), counts, without=0.0)


def _merged(counts: Tensor) -> Tensor:
    holds = _owned(counts) >= MOSTLY  # (B, T - 1, P)
    merges = holds.sum(dim=1, keepdim=True) > 1  # (B, 1, P)
    return _mean_over_objects((holds & merges).any(dim=2).sum(dim=1), counts, without=0.0)


def _missed(counts: Tensor) -> Tensor:
    found = (_overlaps(counts) >= MISSED_BELOW).any(dim=2)  # (B, T - 1)
    return _mean_over_objects((~found & _present(counts)).sum(dim=1), counts, without=0.0)


def _background(counts: Tensor) -> Tensor:
    ground = counts[:, 0]  # (B, P)
    size = ground.sum(dim=1, keepdim=True)  # (B, 1)
    overlaps = ground / (size + counts.sum(dim=1) - ground).clamp(min=1)  # (B, P)
    best = overlaps.masked_fill(ground < ground.amax(dim=1, keepdim=True), 0).amax(dim=1)
    return torch.where(size.squeeze(1) > 0, best, 1.0)


def _owned(counts: Tensor) -> Tensor:
    """The share of each object's pixels that each segment owns (B, T - 1, P), 0 for absent
    objects.
    """
    return counts[:, 1:] / counts[:, 1:].sum(dim=2, keepdim=True).clamp(min=1)


def _overlaps(counts: Tensor) -> Tensor:
    """Intersection over union of objects and segments (B, T - 1, P), 0 for absent ones."""
    intersection = counts[:, 1:]  # (B, T - 1, P): without the true background
    object_sizes = intersection.sum(dim=2, keepdim=True)  # (B, T - 1, 1)
    segment_sizes = counts.sum(dim=1, keepdim=True)  # (B, 1, P)
    return intersection / (object_sizes + segment_sizes - intersection).clamp(min=1)


def _present(counts: Tensor) -> Tensor:
    """Which objects have pixels (B, T - 1)."""
    return counts[:, 1:].sum(dim=2) > 0


def _mean_over_objects(sums: Tensor, counts: Tensor, without: float) -> Tensor:
    """Sums over objects (B,) divided by how many have pixels; `without` for an image that has
    none.
    """
    num_objects = _present(counts).sum(dim=1)
    return torch.where(num_objects > 0, sums.double() / num_objects.clamp(min=1), without)


SEGMENTATION_METRICS: dict[str, Callable[[Tensor], Tensor]] = {
    "fg_ari": _foreground_rand_index,
    "mbo": _best_iou,
    "miou": _matched_iou,
    "ari": _rand_index,
    "background_iou": _background,
    "split": _split,
    "merged": _merged,
    "missed": _missed,
}
"""Every metric of segmentations, from the table of counts (B, T, P) -> (B,), by the name that
records call it.
"""
