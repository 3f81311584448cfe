"""The embedded data set: packs of CLEVR scenes of 3 to 6 objects that this library rendered.

"CLEVR6" is the usual name for CLEVR's scenes of at most six objects. The packs hold new scenes that
follow CLEVR's rules, in the crop of Slot Attention. So the course runs without a download.
`make_packs` makes the packs.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from smm_tutorial import paths
from smm_tutorial.datasets.cropping import AREA, NEAREST, Size, crop_and_resize
from smm_tutorial.datasets.own.packs import read_pack, sha256_hex
from smm_tutorial.datasets.scene_images import DatasetError, SceneImages, check_split, choose_scenes
from smm_tutorial.files import ForeignNameError, JsonError, check_name, read_json

NAME = "clevr6"
PROVENANCE_FILE = "provenance.json"
SHA256 = re.compile(r"[0-9a-f]{64}")  # a checksum, in hexadecimal
REMEDY = (
    "restore it with `git checkout -- data/packs/clevr6` (or reinstall the package), "
    "or make the packs again with `python -m smm_tutorial.datasets.make_packs`"
)


def load_clevr6(
    split: str = "train",
    size: Size | None = None,
    root: str | Path | None = None,
    limit: int | None = None,
    min_objects: int | None = None,
    max_objects: int | None = None,
) -> SceneImages:
    """The embedded data set: 64 x 64 images with masks and records.

    Args:
        split: "train", "val" or "test".
        size: height and width to resize to (images by area means, masks by nearest neighbour); None
            keeps 64 x 64.
        root: the folder of the packs; None takes the committed folder.
        limit: at most so many scenes, from the first.
        min_objects, max_objects: only scenes with so many objects in the *scene*; the crop may hide
            some of them.

    Raises:
        DatasetError: a pack is missing, damaged or not the pack that its provenance describes.
        ValueError: an unknown split, an impossible size, or no scene left.
    """
    folder = packs_folder(root)
    files = read_provenance(folder)["files"]
    check_split(NAME, split, files)
    data = read_pack(folder / files[split]["file"], files[split]["sha256"], REMEDY)
    if data.records is None:
        raise DatasetError(f"the pack {files[split]['file']} in {folder} has no records: {REMEDY}")
    object_counts = [len(record["objects"]) for record in data.records]
    chosen = choose_scenes(object_counts, len(data), limit, min_objects, max_objects)
    if len(chosen) < len(data):
        data = data.subset(chosen)
    return data if size is None else resize_scenes(data, size)


def resize_scenes(data: SceneImages, size: Size) -> SceneImages:
    """The data set at another size: images by area means, masks by nearest neighbour."""
    height, width = data.size
    box = (0.0, 0.0, float(width), float(height))

    def resize(pixels: Tensor, resampling: Image.Resampling) -> Tensor:
        fitted = [crop_and_resize(image, box, size, resampling) for image in pixels.numpy()]
        return torch.from_numpy(np.stack(fitted))

    images = resize(data.images.permute(0, 2, 3, 1).contiguous(), AREA)
    masks = None if data.masks is None else resize(data.masks, NEAREST)
    return replace(data, images=images.permute(0, 3, 1, 2).contiguous(), masks=masks)


def packs_folder(root: str | Path | None = None) -> Path:
    """The folder of the packs: `root`, or the committed folder if `root` is None."""
    return Path(root) if root is not None else paths.packs_dir() / NAME


def find_damaged_packs(root: str | Path | None = None) -> list[str]:
    """Names of the packs that are missing, or whose checksum differs from the provenance.

    Raises:
        DatasetError: the provenance is missing or damaged.
    """
    folder = packs_folder(root)
    damaged = []
    for entry in read_provenance(folder)["files"].values():
        try:
            found = sha256_hex((folder / entry["file"]).read_bytes())
        except OSError:
            found = None
        if found != entry["sha256"]:
            damaged.append(entry["file"])
    return damaged


def read_provenance(folder: Path) -> dict:
    """The provenance beside the packs, with name, count and checksum for each.

    Raises:
        DatasetError: it is missing or damaged.
    """
    path = folder / PROVENANCE_FILE
    try:
        provenance = read_json(path)
    except OSError as error:
        raise DatasetError(f"cannot read {path} ({error.strerror}): {REMEDY}") from error
    except JsonError as error:
        raise DatasetError(f"{path} is damaged ({error.__cause__}): {REMEDY}") from error
    files = provenance.get("files") if isinstance(provenance, dict) else None
    if not isinstance(files, dict) or not all(map(_is_entry, files.values())):
        raise DatasetError(
            f'{path} is damaged: "files" must tell file, count and sha256 of each pack; {REMEDY}'
        )
    return provenance


def _is_entry(entry: Any) -> bool:
    """Whether an entry names a file inside the folder and gives its count and its checksum."""
    if not isinstance(entry, dict):
        return False
    try:
        check_name(entry.get("file"))
    except ForeignNameError:
        return False
    checksum = entry.get("sha256")
    known = isinstance(checksum, str) and SHA256.fullmatch(checksum)
    return bool(known) and type(entry.get("count")) is int
