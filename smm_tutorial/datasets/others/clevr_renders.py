"""Renders of CLEVR scenes with true masks: images/, masks/ and scenes.json in one folder.

The layout of renders made with CLEVR's Blender assets: masks are single-channel PNGs (0 =
background, k = the scene's k-th object) under the images' names, and scenes.json is a CLEVR scenes
file whose records may carry `camera` and `lamps`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from smm_tutorial.datasets.cropping import BILINEAR, NEAREST, Size, crop_box, fit_pixels
from smm_tutorial.datasets.image_files import (
    checked_scene,
    read_images,
    read_masks,
    read_scene_file,
)
from smm_tutorial.datasets.scene_images import DatasetError, SceneImages, choose_scenes
from smm_tutorial.scenes.camera import Window


def load_clevr_renders(
    split: str = "train",
    size: Size | None = None,
    *,
    root: str | Path,
    crop: str | Window | None = None,
    limit: int | None = None,
    min_objects: int | None = None,
    max_objects: int | None = None,
) -> SceneImages:
    """A folder of renders, with masks and records.

    Args:
        split: only scenes whose record says this split.
        size: height and width of the result; images antialiased (bilinear), masks by nearest
        neighbour; None keeps the
            files' own scale.
        root: the folder that holds images/, masks/ and scenes.json.
        crop: a name of `resizing.CROPS`, a window (top, left, bottom, right) in fractions of the
        4:3 frame, or None.
        limit: at most so many scenes, from the first, counted after the bounds on objects.
        min_objects, max_objects: only scenes with so many objects.

    Raises:
        DatasetError: a file is missing, damaged or contradicts another.
        ValueError: a split that no record has, an unknown crop, or no scene left.
    """
    folder = Path(root)
    scenes_file = folder / "scenes.json"
    content = read_scene_file(scenes_file)
    splits = sorted({str(record.get("split")) for record in content["scenes"]})
    if split not in splits:
        raise ValueError(
            f"no scene in {scenes_file} is of split {split!r}: it has {', '.join(splits)}"
        )
    records = [record for record in content["scenes"] if record.get("split") == split]
    counts = [len(record["objects"]) for record in records]
    records = [
        records[index]
        for index in choose_scenes(counts, len(records), limit, min_objects, max_objects)
    ]
    for record in records:
        checked_scene(record, scenes_file)

    filenames = [record["image_filename"] for record in records]
    masks = read_masks(
        [folder / "masks" / name for name in filenames], partial(_fit, crop, size, NEAREST)
    )
    for name, mask, record in zip(filenames, masks, records, strict=True):
        if int(mask.max()) > len(record["objects"]):
            raise DatasetError(
                f"{folder / 'masks' / name} holds label {int(mask.max())}, but its record in {scenes_file} has "
                f"{len(record['objects'])} objects: the files do not belong together; render them again"
            )
    info = content.get("info", {})
    return SceneImages(
        images=read_images(
            [folder / "images" / name for name in filenames], partial(_fit, crop, size, BILINEAR)
        ),
        filenames=filenames,
        name="clevr-renders",
        split=split,
        licence=info.get("license", "unknown"),
        provenance={"info": info, "crop": crop, "size": size},
        masks=masks,
        records=records,
    )


def _fit(
    crop: str | Window | None, size: Size | None, resampling: Image.Resampling, pixels: np.ndarray
) -> np.ndarray:
    return fit_pixels(pixels, crop_box(*pixels.shape[:2], crop), size, resampling)
