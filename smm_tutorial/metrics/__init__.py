"""Metrics of segmentations: they measure how well slots recover the true objects.

Each metric is a function of true and predicted integer maps (B, H, W). To compute several metrics
of the same maps, make their `count_table` once and give it to each of `SEGMENTATION_METRICS`.
"""

from smm_tutorial.metrics.contingency import count_table
from smm_tutorial.metrics.segmentation import (
    SEGMENTATION_METRICS,
    adjusted_rand_index,
    background_iou,
    best_overlaps,
    enlarge_owners,
    foreground_ari,
    mask_centres,
    mean_best_overlap,
    mean_iou,
    merged_objects,
    missed_objects,
    region_overlaps,
    split_objects,
)

__all__ = [
    "SEGMENTATION_METRICS",
    "adjusted_rand_index",
    "background_iou",
    "best_overlaps",
    "count_table",
    "enlarge_owners",
    "foreground_ari",
    "mask_centres",
    "mean_best_overlap",
    "mean_iou",
    "merged_objects",
    "missed_objects",
    "region_overlaps",
    "split_objects",
]
