"""CLEVR v1.0 as released (Johnson et al., 2017, arXiv 1612.06890).

The layout is images/{split}/*.png (480 x 320) and scenes/CLEVR_{split}_scenes.json. The scenes
files exist only for train and val. CLEVR has no masks; `scenes.masks` computes them from the
records.
"""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from smm_tutorial.datasets.cropping import Size, crop_box, result_size, window_of_box
from smm_tutorial.datasets.image_files import (
    PROGRESS_AFTER,
    parse_scene,
    read_images,
    read_scene_file,
)
from smm_tutorial.datasets.others.sources import SOURCES, announce
from smm_tutorial.datasets.picture_folders import find_pictures
from smm_tutorial.datasets.scene_images import (
    DatasetError,
    SceneImages,
    check_incomplete,
    check_split,
    choose_scenes,
    labels_as_bytes,
)
from smm_tutorial.datasets.transfer.disk import folder_or_downloads
from smm_tutorial.scenes import Scene
from smm_tutorial.scenes.camera import CLEVR_FRAME, Window
from smm_tutorial.scenes.masks import scene_masks

NAME = "clevr"
SOURCE = SOURCES[NAME]
SPLITS = ("train", "val", "test")
FOLDER = "CLEVR_v1.0"
NAMES_SHOWN = 3  # in a message about many files


def load_clevr(
    split: str = "train",
    size: Size | None = None,
    root: str | Path | None = None,
    crop: str | Window | None = None,
    masks: bool = False,
    limit: int | None = None,
    min_objects: int | None = None,
    max_objects: int | None = None,
    incomplete: Literal["error", "skip"] = "error",
) -> SceneImages:
    """CLEVR's images in memory, with their records and, on demand, masks computed from the records.

    A split without a scenes file, such as test, gives only images. All 70,000 training images at
    128 x 128 take 3.4 GB; choose `size` and `limit` to fit.

    Args:
        split: "train", "val" or "test".
        size: height and width of the result, antialiased (bilinear); None keeps the files' scale.
        root: the unpacked CLEVR_v1.0 folder or its parent; None looks in the course's downloads.
        crop: a name of `cropping.CROPS` ("paper", "smm"), a window (top, left, bottom, right) in
            fractions of the 4:3 frame, or None for the whole image.
        masks: compute masks from the records, at the resulting size (about 30 ms a scene).
        limit: at most so many scenes, from the first, counted after the bounds on objects.
        min_objects, max_objects: only scenes with so many objects; needs records. CLEVR6 is
            max_objects=6.
        incomplete: what to do if the scenes file and the folder do not list the same images:
            "error", or "skip" to leave out the other images with a warning.

    Raises:
        DatasetError: the folder or a file is missing, damaged or contradicts another file.
        ValueError: an unknown split, crop or option, or an option that needs records in a split
            without records.
    """
    check_split(NAME, split, SPLITS)
    check_incomplete(incomplete)
    folder = _find_folder(root)
    announce(NAME)
    scenes_file = folder / "scenes" / f"CLEVR_{split}_scenes.json"
    files, records = _list_split(folder, split, scenes_file, incomplete)
    if records is None and (masks or min_objects is not None or max_objects is not None):
        raise ValueError(
            f"masks, min_objects and max_objects need scene records, and there is no {scenes_file}"
        )
    counts = None if records is None else [len(record["objects"]) for record in records]
    chosen = choose_scenes(counts, len(files), limit, min_objects, max_objects)
    files = [files[index] for index in chosen]
    scenes = []
    if records is not None:
        records = [records[index] for index in chosen]
        scenes = [parse_scene(record, scenes_file) for record in records]
    return SceneImages(
        images=read_images(files, partial(crop_box, crop=crop), size),
        filenames=[file.name for file in files],
        name=NAME,
        split=split,
        licence=SOURCE.licence,
        provenance={"source": SOURCE.homepage, "version": "1.0", "crop": crop, "size": size},
        masks=_compute_masks(scenes, scenes_file, crop, size) if masks else None,
        records=records,
    )


def _find_folder(root: str | Path | None) -> Path:
    """The CLEVR_v1.0 folder at `root` or in it."""
    start = folder_or_downloads(root)
    for folder in (start / FOLDER, start):
        if (folder / "images").is_dir():
            return folder
    raise DatasetError(
        f"no CLEVR at {start}: expected {FOLDER}/images/ there; run `smm-tutorial data download "
        "clevr --count 100` for the first 100 images, or download CLEVR_v1.0.zip (18 GB) from "
        f'{SOURCE.homepage}, unpack it and pass root="path/to/CLEVR_v1.0", or use the embedded '
        '"clevr6", which needs no download'
    )


def _list_split(
    folder: Path, split: str, scenes_file: Path, incomplete: str
) -> tuple[list[Path], list[dict[str, Any]] | None]:
    """The split's images and records, in the order of the records.

    Without records, the images are sorted by name, and None stands for the records.
    """
    image_folder = folder / "images" / split
    if not image_folder.is_dir():
        raise DatasetError(
            f"the folder {image_folder} is missing: run `smm-tutorial data download clevr --split "
            f"{split}`, or unpack it from CLEVR_v1.0.zip"
        )
    present = {path.name for path in find_pictures(image_folder)}
    if not present:
        raise DatasetError(
            f"the folder {image_folder} holds no PNG images: unpack CLEVR_v1.0.zip again"
        )
    if not scenes_file.is_file():
        return [image_folder / name for name in sorted(present)], None

    records = read_scene_file(scenes_file)["scenes"]
    listed = {record["image_filename"] for record in records}
    faults = []
    if without_image := sorted(listed - present):
        faults.append(f"{_name_some(without_image)} of {scenes_file} not in {image_folder}")
    if without_record := sorted(present - listed):
        some = _name_some(without_record)
        faults.append(f"{some} in {image_folder} without a record in {scenes_file}")
    if faults and incomplete == "error":
        raise DatasetError(
            f"{'; '.join(faults)}: unpack CLEVR_v1.0.zip or run `smm-tutorial data download clevr` "
            'again, or pass incomplete="skip" to use what has both'
        )
    if faults:
        warnings.warn(f"left out: {'; '.join(faults)}", stacklevel=4)
    kept = [record for record in records if record["image_filename"] in present]
    if not kept:
        raise DatasetError(
            f"no record of {scenes_file} has its image in {image_folder}: "
            "unpack CLEVR_v1.0.zip again"
        )
    return [image_folder / record["image_filename"] for record in kept], kept


def _name_some(names: list[str]) -> str:
    more = ", ..." if len(names) > NAMES_SHOWN else ""
    return f"{len(names)} images ({', '.join(names[:NAMES_SHOWN])}{more})"


def _compute_masks(
    scenes: list[Scene], scenes_file: Path, crop: str | Window | None, size: Size | None
) -> Tensor:
    """Masks (M, H, W) uint8 with the same window and size as the images."""
    box = crop_box(*CLEVR_FRAME, crop)
    height, width = result_size(box, size)
    window = window_of_box(*CLEVR_FRAME, box)
    bar = tqdm(scenes, desc="computing masks", delay=PROGRESS_AFTER)
    masks = []
    for scene in bar:
        try:
            masks.append(labels_as_bytes(scene_masks(scene, height, width, window).numpy()))
        except ValueError as error:
            raise DatasetError(f"{scenes_file}: no mask of {scene.filename}: {error}") from error
    return torch.from_numpy(np.stack(masks))
