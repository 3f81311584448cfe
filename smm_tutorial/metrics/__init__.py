"""How well slots recover the true objects."""

from smm_tutorial.metrics.contingency import count_table
from smm_tutorial.metrics.segmentation import (
    MISSED_BELOW,
    MOSTLY,
    PART_OF_AN_OBJECT,
    SEGMENTATION_METRICS,
    ObjectOverlaps,
    adjusted_rand_index,
    background_iou,
    best_overlaps,
    foreground_ari,
    mean_best_overlap,
    mean_iou,
    merged_objects,
    missed_objects,
    overlaps_of_objects,
    split_objects,
)

__all__ = [
    "MISSED_BELOW",
    "MOSTLY",
    "ObjectOverlaps",
    "PART_OF_AN_OBJECT",
    "SEGMENTATION_METRICS",
    "adjusted_rand_index",
    "background_iou",
    "best_overlaps",
    "count_table",
    "foreground_ari",
    "mean_best_overlap",
    "mean_iou",
    "merged_objects",
    "missed_objects",
    "overlaps_of_objects",
    "split_objects",
]
