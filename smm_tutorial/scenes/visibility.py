"""Visible pixels of each object, in a mask and in a window of the frame."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from smm_tutorial.scenes.camera import MASKS_FRAME, PAPER_CROP, Frame, Window
from smm_tutorial.scenes.masks import count_labels, scene_masks
from smm_tutorial.scenes.records import Scene


def count_object_pixels(
    masks: Iterable[Tensor], records: Iterable[Mapping[str, Any]]
) -> np.ndarray:
    """Pixels of every object of every scene; 0 for an object that is not visible.

    masks: one integer map `(H, W)` per scene. records: one per mask, as in `SceneImages.records`.
    """
    counts = [
        count_labels(mask, len(record["objects"]))
        for mask, record in zip(masks, records, strict=True)
    ]
    return torch.cat(counts).numpy()


class CroppedObject(NamedTuple):
    """Pixels of an object: in the whole frame of 240 x 320, and inside a window of the frame."""

    whole: int
    inside: int


def measure_crop(scenes: Iterable[Scene], window: Window = PAPER_CROP) -> list[CroppedObject]:
    """How much a window keeps of every object that is visible in the whole frame.

    Raises `ValueError` for an impossible window.
    """
    height, width = MASKS_FRAME
    sides = (height, width, height, width)
    edges = Frame.of_image(height, width, window).window
    top, left, bottom, right = (round(edge * side) for edge, side in zip(edges, sides, strict=True))
    found = []
    for scene in scenes:
        mask = scene_masks(scene, height, width)
        count = len(scene.objects)
        whole = count_labels(mask, count).tolist()
        inside = count_labels(mask[top:bottom, left:right], count).tolist()
        found += [CroppedObject(*pair) for pair in zip(whole, inside, strict=True) if pair[0]]
    return found
