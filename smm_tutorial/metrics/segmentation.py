"""Metrics of segmentations: they measure how well slots recover the true objects.

Every metric takes two integer maps, `true` and `predicted`, both `(B, H, W)`. It returns one
float64 value per image, `(B,)`, on the maps' device, or on the CPU if the device has no float64. In
true maps 0 is the background and k is the scene's k-th object. Predicted maps hold segment numbers,
for example `masks.argmax(dim=1)` of slot masks `(B, K, H, W)`. Segment 0 is a segment like any
other. Renumbering segments or objects changes no score.

Every metric uses one table of counts, `contingency.count_table`. To compute several metrics of the
same maps, make the table once and give it to each of `SEGMENTATION_METRICS`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from smm_tutorial.metrics.contingency import count_table

# The thresholds of over-segmentation, under-segmentation and misses.
PART_OF_AN_OBJECT = 0.2  # of the object's pixels; a smaller piece is a ragged edge, not a part
MOSTLY = 0.5  # of an object's or of a segment's pixels
MISSED_BELOW = 0.2  # intersection over union


def mask_centres(masks: Tensor) -> Tensor:
    """Computes the centres of mass of masks `(..., H, W)` -> `(..., 2)`, down and right, in [0, 1].

    The centre of an empty mask is NaN.
    """
    down, right = (
        (torch.arange(side, device=masks.device) + 0.5) / side for side in masks.shape[-2:]
    )
    sums = ((masks.sum(dim=-1) * down).sum(-1), (masks.sum(dim=-2) * right).sum(-1))
    return torch.stack(sums, dim=-1) / masks.sum(dim=(-2, -1))[..., None]


def enlarge_owners(owners: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarges owners of grid cells to owners of pixels, with nearest neighbours -> `(B, H, W)`.

    owners: integers `(B, N)`, the cells of a square grid, row by row. size: (H, W) in pixels.
    """
    side = round(owners.shape[1] ** 0.5)
    cells = owners.unflatten(1, (1, side, side)).float()  # floats hold these numbers exactly
    return nn.functional.interpolate(cells, size, mode="nearest-exact").squeeze(1).long()


def adjusted_rand_index(true: Tensor, predicted: Tensor) -> Tensor:
    """Adjusted Rand index over all pixels (Hubert and Arabie, 1985). The background is a cluster.

    The same partition scores 1. Random labels with the same cluster sizes score 0 on average.

    Args:
        true: integer map (B, H, W), 0 = background.
        predicted: integer map (B, H, W).

    Returns:
        (B,), float64. As in scikit-learn, two equal partitions score 1 even if the formula is 0/0:
        one cluster on both sides, or one cluster per pixel on both sides.

    Raises:
        ValueError: the maps are not (B, H, W), or differ in shape or device. A map holds floats,
            masked or negative labels. Or the maps hold so many labels that their table would not
            fit into memory.
    """
    return _rand_index(count_table(true, predicted))


def foreground_ari(true: Tensor, predicted: Tensor) -> Tensor:
    """FG-ARI: the adjusted Rand index over the pixels whose *true* label is not background.

    This score does not fall if many slots share the background. So report `adjusted_rand_index` and
    `mean_iou` as well.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64. One object in one segment scores 1. An image without foreground scores 1, as
        scikit-learn scores empty lists of labels.
    """
    return _foreground_rand_index(count_table(true, predicted))


def mean_iou(true: Tensor, predicted: Tensor) -> Tensor:
    """Intersection over union of each true object with its matched segment, averaged over objects.

    Objects and segments are matched one to one, so that the sum of their intersections over unions
    is largest (Hungarian method; Kuhn, 1955). The background, true label 0, is neither matched nor
    averaged. But background pixels in a segment enlarge the union. An object without a segment
    scores 0. A segment without an object does not lower the score. The matching runs on the CPU,
    image by image; the rest is computed per batch.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1]. An image without objects scores 1.
    """
    return _matched_iou(count_table(true, predicted))


def mean_best_overlap(true: Tensor, predicted: Tensor) -> Tensor:
    """mBO: the best intersection over union of each true object with any segment, averaged.

    Unlike in `mean_iou`, a segment may be the best segment of several objects. So mBO is at least
    `mean_iou`. The average leaves out the background, true label 0. Pont-Tuset et al. (2017) call
    this score the mean best overlap over instances.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1]. An image without objects scores 1.
    """
    return _best_iou(count_table(true, predicted))


def split_objects(true: Tensor, predicted: Tensor) -> Tensor:
    """Over-segmentation: the share of true objects that two or more segments divide.

    A segment divides an object under two conditions. It owns at least a fifth of the object's
    pixels (`PART_OF_AN_OBJECT`), and at least half of the segment's pixels lie on the object
    (`MOSTLY`). So duplicate slots count, but the segment of a neighbour that took an edge does not.
    Hoover et al. (1996) call this over-segmentation of a region; they use one threshold for both
    conditions.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1], better when lower; 0 for an image without objects.
    """
    return _split(count_table(true, predicted))


def merged_objects(true: Tensor, predicted: Tensor) -> Tensor:
    """Under-segmentation: the share of true objects that share a segment with another object.

    A segment merges objects if it owns at least half of each of them (`MOSTLY`). This also holds
    for the segment of the background: if it owns two objects, both are merged, and usually both are
    missed as well.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1], better when lower; 0 for an image without objects.
    """
    return _merged(count_table(true, predicted))


def missed_objects(true: Tensor, predicted: Tensor) -> Tensor:
    """The share of true objects whose intersection over union with every segment is below a fifth.

    The limit is `MISSED_BELOW`. For example, an object is missed if its segment also owns more than
    four times as many background pixels. So an object in the background's segment is usually
    missed.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1], better when lower; 0 for an image without objects.
    """
    return _missed(count_table(true, predicted))


def background_iou(true: Tensor, predicted: Tensor) -> Tensor:
    """Intersection over union of the true background with the segment that owns most of it.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1]. An image without background scores 1. If several segments own the
        same largest part of the background, the best intersection over union counts.
    """
    return _background(count_table(true, predicted))


class ObjectOverlaps(NamedTuple):
    """The best overlap of each true object with a segment, and the object's size in pixels."""

    best: Tensor  # (B, T - 1) float64: intersection over union, 0 for an absent object
    pixels: Tensor  # (B, T - 1) float64, 0 for an absent object


def best_overlaps(true: Tensor, predicted: Tensor) -> ObjectOverlaps:
    """The overlaps that `mean_best_overlap` averages. Column k - 1 belongs to the k-th object.

    Args, Raises: as `adjusted_rand_index`.
    """
    return overlaps_of_objects(count_table(true, predicted))


def overlaps_of_objects(counts: Tensor) -> ObjectOverlaps:
    """Computes `best_overlaps` from the table of counts (B, T, P)."""
    return ObjectOverlaps(_overlaps(counts).amax(dim=2), counts[:, 1:].sum(dim=2))


def _rand_index(counts: Tensor) -> Tensor:
    """Adjusted Rand index (B,) from counts: (index - expected) / (maximum - expected)."""
    together_in_both = _pairs(counts).sum(dim=(1, 2))  # (B,) pairs of pixels that share both labels
    together_in_true = _pairs(counts.sum(dim=2)).sum(dim=1)  # (B,)
    together_in_predicted = _pairs(counts.sum(dim=1)).sum(dim=1)  # (B,)
    all_pairs = _pairs(counts.sum(dim=(1, 2)))  # (B,)

    same_partition = together_in_true == together_in_predicted
    same_partition &= together_in_both == together_in_true
    expected = together_in_true * together_in_predicted / all_pairs.clamp(min=1)
    maximum = (together_in_true + together_in_predicted) / 2
    index = (together_in_both - expected) / (maximum - expected).masked_fill(same_partition, 1)
    return index.masked_fill(same_partition, 1)


def _foreground_rand_index(counts: Tensor) -> Tensor:
    return _rand_index(counts[:, 1:])  # row 0 holds the true background


def _pairs(counts: Tensor) -> Tensor:
    """The number of pairs of n pixels, n (n - 1) / 2; exact in float64 for n < 9e7."""
    return counts * (counts - 1) / 2


def _matched_iou(counts: Tensor) -> Tensor:
    overlaps = _overlaps(counts)
    tables = overlaps.cpu().numpy()
    sums = [table[linear_sum_assignment(table, maximize=True)].sum() for table in tables]
    return _mean_over_objects(overlaps.new_tensor(np.array(sums)), counts, without=1.0)


def _best_iou(counts: Tensor) -> Tensor:
    return _mean_over_objects(_overlaps(counts).amax(dim=2).sum(dim=1), counts, without=1.0)


def _split(counts: Tensor) -> Tensor:
    segment_sizes = counts.sum(dim=1, keepdim=True).clamp(min=1)  # (B, 1, P)
    lies_on_it = counts[:, 1:] / segment_sizes >= MOSTLY  # (B, T - 1, P)
    divides = (_owned(counts) >= PART_OF_AN_OBJECT) & lies_on_it  # (B, T - 1, P)
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
    """Share of each object's pixels in each segment (B, T - 1, P), 0 for absent objects."""
    return counts[:, 1:] / counts[:, 1:].sum(dim=2, keepdim=True).clamp(min=1)


def region_overlaps(counts: Tensor) -> Tensor:
    """Intersection over union of true regions and segments (B, T, P), 0 for absent ones.

    counts: (B, T, P), from `count_table`. Region 0 is the background.
    """
    region_sizes = counts.sum(dim=2, keepdim=True)  # (B, T, 1)
    segment_sizes = counts.sum(dim=1, keepdim=True)  # (B, 1, P)
    return counts / (region_sizes + segment_sizes - counts).clamp(min=1)


def _overlaps(counts: Tensor) -> Tensor:
    """`region_overlaps` of the objects alone (B, T - 1, P)."""
    return region_overlaps(counts)[:, 1:]


def _present(counts: Tensor) -> Tensor:
    """Which objects have pixels (B, T - 1)."""
    return counts[:, 1:].sum(dim=2) > 0


def _mean_over_objects(sums: Tensor, counts: Tensor, without: float) -> Tensor:
    """Divides sums over objects (B,) by the number of objects. `without`: score without objects."""
    num_objects = _present(counts).sum(dim=1)
    return torch.where(num_objects > 0, sums.double() / num_objects.clamp(min=1), without)


#: The metrics by their names in records. Each takes counts (B, T, P) and returns scores (B,).
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
