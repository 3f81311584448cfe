"""How well slots recover the true objects.

`average_precision_clevr` scores predicted sets of objects. All other metrics score segmentations: they take two integer
maps, `true` and `predicted`, both `(B, H, W)`, and give one float64 value an image, `(B,)`, on the maps' device. True
maps follow the data's rule: 0 is the background, k the scene's k-th object. Predicted maps hold segment numbers, for
example `masks.argmax(dim=1)` of slot masks `(B, K, H, W)`; their 0 is a segment like any other. Renumbering the segments,
or the objects, changes no score.

Everything about segmentations derives from one table of counts an image: entry (t, p) says how many pixels carry true
label t and predicted label p.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from smm_tutorial.average_precision import average_precision_clevr

__all__ = ["adjusted_rand_index", "average_precision_clevr", "foreground_ari", "mean_best_overlap", "mean_iou"]

LARGEST_PLAIN_LABEL = 255
"""Labels above this are renumbered first, so that sparse labels (such as packed colours) keep the tables small."""


def adjusted_rand_index(true: Tensor, predicted: Tensor) -> Tensor:
    """Adjusted Rand index (Hubert and Arabie, 1985) over all pixels, the background being one cluster.

    1 means the same partition, 0 is what random labels with the same cluster sizes score on average.

    Args:
        true: integer map (B, H, W), 0 = background.
        predicted: integer map (B, H, W).

    Returns:
        (B,), float64. As in scikit-learn, two partitions that agree score 1 even where the formula is 0/0: one
        cluster on both sides, or every pixel on its own on both sides.

    Raises:
        ValueError: maps that are not (B, H, W), differ in shape or device, or hold floats or negative labels.
    """
    return _rand_index_of_counts(_count_table(true, predicted))


def foreground_ari(true: Tensor, predicted: Tensor) -> Tensor:
    """FG-ARI: the adjusted Rand index over those pixels whose *true* label is not background.

    The predicted side is left as it is, so a background split over many slots costs nothing here: report
    `adjusted_rand_index` and `mean_iou` beside it.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64. One object in one segment scores 1. An image without foreground scores 1: there is nothing
        to group, and no grouping can be wrong (scikit-learn scores empty label lists the same way).
    """
    return _rand_index_of_counts(_count_table(true, predicted)[:, 1:])  # row 0 holds the true background


def mean_iou(true: Tensor, predicted: Tensor) -> Tensor:
    """Intersection over union of each true object with *its* segment, averaged over the image's true objects.

    The matching is one-to-one and the best in total (Hungarian method; Kuhn, 1955). The background, true label 0,
    is neither matched nor averaged, yet background pixels inside a segment enlarge its union. Objects left over when
    segments run out score 0; surplus segments cost nothing by themselves. The matching itself runs on the CPU, image by
    image; everything before it is one operation for the batch.

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1]; 1 for an image without objects: nothing to find, nothing missed.
    """
    overlaps, present = _object_overlaps(true, predicted)
    matched_sums = [overlap[linear_sum_assignment(overlap, maximize=True)].sum() for overlap in overlaps.cpu().numpy()]
    return _mean_over_objects(overlaps.new_tensor(np.array(matched_sums)), present)


def mean_best_overlap(true: Tensor, predicted: Tensor) -> Tensor:
    """mBO: the best intersection over union that any segment reaches with a true object, averaged over the objects.

    Unlike in `mean_iou` a segment may serve several objects, so mBO is never below it. The background, true label 0,
    is not averaged (Pont-Tuset et al., 2017, call this the mean best overlap over instances).

    Args, Raises: as `adjusted_rand_index`.

    Returns:
        (B,), float64 in [0, 1]; 1 for an image without objects: nothing to find, nothing missed.
    """
    overlaps, present = _object_overlaps(true, predicted)
    return _mean_over_objects(overlaps.amax(dim=2).sum(dim=1), present)


def _rand_index_of_counts(counts: Tensor) -> Tensor:
    """Adjusted Rand index (B,) of tables of counts (B, T, P): (index - expected) / (maximum - expected)."""
    together_in_both = _pairs(counts).sum(dim=(1, 2))  # (B,) pairs of pixels that share both labels
    together_in_true = _pairs(counts.sum(dim=2)).sum(dim=1)  # (B,)
    together_in_predicted = _pairs(counts.sum(dim=1)).sum(dim=1)  # (B,)
    all_pairs = _pairs(counts.sum(dim=(1, 2)))  # (B,)

    same_partition = (together_in_both == together_in_true) & (together_in_both == together_in_predicted)
    expected = together_in_true * together_in_predicted / all_pairs.clamp(min=1)
    maximum = (together_in_true + together_in_predicted) / 2
    index = (together_in_both - expected) / (maximum - expected).masked_fill(same_partition, 1)
    return index.masked_fill(same_partition, 1)


def _pairs(counts: Tensor) -> Tensor:
    """How many pairs `counts` things form: n (n - 1) / 2, exact in float64 for every image of less than 9e7 pixels."""
    return counts * (counts - 1) / 2


def _object_overlaps(true: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of objects and segments (B, T - 1, P), 0 for absent ones; which objects exist."""
    counts = _count_table(true, predicted)  # (B, T, P)
    intersection = counts[:, 1:]  # (B, T - 1, P): without the true background
    object_sizes = intersection.sum(dim=2, keepdim=True)  # (B, T - 1, 1)
    segment_sizes = counts.sum(dim=1, keepdim=True)  # (B, 1, P)
    union = object_sizes + segment_sizes - intersection
    return intersection / union.clamp(min=1), object_sizes.squeeze(2) > 0


def _mean_over_objects(sums: Tensor, present: Tensor) -> Tensor:
    """Sums over objects (B,) divided by the number of objects in `present` (B, T - 1); 1 where there are none."""
    num_objects = present.sum(dim=1)
    return torch.where(num_objects > 0, sums / num_objects.clamp(min=1), 1.0)


def _count_table(true: Tensor, predicted: Tensor) -> Tensor:
    """Counts (B, T, P), float64, of pixels with true label t and predicted label p, by one bincount for the batch."""
    true, predicted = _integer_map(true, "true"), _integer_map(predicted, "predicted")
    if true.shape != predicted.shape:
        raise ValueError(
            f"true and predicted must be maps of the same shape, got {tuple(true.shape)} and "
            f"{tuple(predicted.shape)}: resize one of them, with nearest neighbour"
        )
    if true.device != predicted.device:
        raise ValueError(
            f"true is on {true.device}, predicted on {predicted.device}: move one, e.g. predicted.to(true.device)"
        )
    batch, num_true, num_predicted = len(true), int(true.max()) + 1, int(predicted.max()) + 1
    image = torch.arange(batch, device=true.device).view(-1, 1, 1)
    cell = (image * num_true + true) * num_predicted + predicted  # (B, H, W): the table's entry for each pixel
    counts = torch.bincount(cell.flatten(), minlength=batch * num_true * num_predicted)
    return counts.view(batch, num_true, num_predicted).double()  # (B, T, P)


def _integer_map(labels: Tensor, name: str) -> Tensor:
    """The map as int64, checked, with labels that are few and start at 0 (label 0 always stays 0)."""
    labels = torch.as_tensor(labels)
    if labels.is_floating_point() or labels.is_complex():
        raise ValueError(
            f"{name} must hold integer labels, got {labels.dtype}: take the argmax of soft masks first, "
            "e.g. masks.argmax(dim=1)"
        )
    if labels.ndim != 3 or labels.numel() == 0:
        raise ValueError(
            f"{name} must be a map (batch, height, width) with at least one pixel, got shape {tuple(labels.shape)}: "
            "a single map becomes a batch with labels[None]"
        )
    labels = labels.long()
    if int(labels.min()) < 0:
        raise ValueError(
            f"{name} must not hold negative labels, got {int(labels.min())}: use 0 for the background, 1, 2, ... for "
            "objects"
        )
    if int(labels.max()) > LARGEST_PLAIN_LABEL:
        zero = labels.new_zeros(1)  # takes part, so that the background keeps its number
        renumbered = torch.unique(torch.cat([zero, labels.flatten()]), return_inverse=True)[1]
        labels = renumbered[1:].view_as(labels)
    return labels
