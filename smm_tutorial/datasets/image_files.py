"""Reads folders of images, of masks and of scene records into arrays.

Every fault raises `DatasetError`, whose message names the file and the remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from smm_tutorial.datasets.cropping import BILINEAR, NEAREST, FindBox, Size, crop_and_resize
from smm_tutorial.datasets.picture_files import AGAIN, read_labels, read_pixels, read_size
from smm_tutorial.datasets.scene_images import DatasetError, labels_as_bytes
from smm_tutorial.files import ForeignNameError, JsonError, check_name, read_json
from smm_tutorial.scenes import Scene

READERS = 8  # threads: PNG files are decoded without holding Python's lock
PROGRESS_AFTER = 2.0  # seconds: shorter work shows no progress bar


def read_scene_file(path: Path) -> dict[str, Any]:
    """The JSON of a CLEVR scenes file: it has a list "scenes" of records that name their images.

    The records are not checked here, for a file may hold 70,000. `parse_scene` checks single
    records.

    Raises:
        DatasetError: the file is missing, is not complete JSON or has another layout.
    """
    remedy = f"{AGAIN} (for CLEVR: CLEVR_v1.0.zip)"
    try:
        content = read_json(path)
    except OSError as error:
        raise DatasetError(
            f"cannot read the scenes file {path} ({error.strerror}): {remedy}"
        ) from error
    except JsonError as error:
        raise DatasetError(f"{error}, perhaps cut short: {remedy}") from error
    if not isinstance(content, dict) or not isinstance(content.get("scenes"), list):
        raise DatasetError(f'{path} is no CLEVR scenes file, it lacks the list "scenes": {remedy}')
    named_before: set[str] = set()
    for index, record in enumerate(content["scenes"]):
        named = isinstance(record, dict) and isinstance(record.get("image_filename"), str)
        if not named or not isinstance(record.get("objects"), list):
            raise DatasetError(f"{path}: scene {index} lacks image_filename or objects: {remedy}")
        try:
            check_name(record["image_filename"])
        except ForeignNameError as error:
            raise DatasetError(f"{path}: scene {index}: {error}; {remedy}") from error
        if record["image_filename"] in named_before:
            raise DatasetError(
                f"{path}: scene {index} names {record['image_filename']} as its image, and so does "
                f"a scene before it: {remedy}"
            )
        named_before.add(record["image_filename"])
    return content


def parse_scene(record: dict[str, Any], path: Path) -> Scene:
    """The scene of a record in the file at `path`. Raises `DatasetError` for a wrong record."""
    try:
        return Scene.from_record(record)
    except ValueError as error:
        raise DatasetError(f"{path}: {error}; {AGAIN}") from error


def read_images(paths: Sequence[Path], find_box: FindBox, size: Size | None) -> Tensor:
    """Images from files, cropped and resized with antialiasing: (M, 3, H, W) uint8.

    Grey of 16 bits keeps its upper byte, as Pillow does with colours of 16 bits. Transparency is
    dropped (CLEVR's RGBA is opaque). Photographs are turned upright by their EXIF data, as in image
    viewers.

    Args:
        paths: image files, in any format and mode of Pillow that defines which value is white.
        find_box: a function of height and width that returns the box of the crop.
        size: height and width of the result; None keeps the scale.

    Raises:
        DatasetError: a file is missing, damaged or an animation; its mode does not define which
            value is white (32-bit integers, floats); or, without `size`, the images differ in size.
    """

    def read(path: Path) -> np.ndarray:
        pixels = read_pixels(path)
        return crop_and_resize(pixels, find_box(*pixels.shape[:2]), size, BILINEAR)

    return torch.from_numpy(_read_all(paths, read)).permute(0, 3, 1, 2).contiguous()


def read_masks(
    paths: Sequence[Path],
    find_box: FindBox,
    size: Size | None,
    find_labels: Callable[[np.ndarray], np.ndarray] | None = None,
    images: Sequence[Path] | None = None,
) -> Tensor:
    """Masks from files, cropped and resized by nearest neighbour: (M, H, W) uint8.

    Files may have 1, 2, 4, 8 or 16 bits, and one channel or three equal channels. They may have a
    palette of colours (its indices are the labels) or of greys (read like a file without a
    palette).

    Args:
        paths: image files.
        find_box, size: as in `read_images`.
        find_labels: a function from RGB pixels (h, w, 3) to labels (h, w), which may raise
            `ValueError`. None for files whose values or palette indices are the labels.
        images: the files of the images that belong to the masks, to check that sizes agree.

    Raises:
        DatasetError: as in `read_images`; a mask and its image differ in size; a label exceeds 255;
            or the pixels are no labels: colours, floats, or values that a lossy format changed.
    """

    def read(path: Path) -> np.ndarray:
        try:
            labels = read_labels(path) if find_labels is None else find_labels(read_pixels(path))
        except ValueError as error:
            raise DatasetError(f"the mask {path} is damaged ({error}): {AGAIN}") from error
        try:
            labels = labels_as_bytes(labels)
        except ValueError as error:
            raise DatasetError(f"the mask {path} has {error}") from error
        return crop_and_resize(labels, find_box(*labels.shape), size, NEAREST)

    if images is not None:
        _check_same_sizes(paths, images)
    return torch.from_numpy(_read_all(paths, read))


def _check_same_sizes(masks: Sequence[Path], images: Sequence[Path]) -> None:
    """Raises DatasetError if a mask and its image differ in size."""
    with ThreadPoolExecutor(READERS) as pool:
        sizes = zip(pool.map(read_size, masks), pool.map(read_size, images), strict=True)
        for mask, image, (of_mask, of_image) in zip(masks, images, sizes, strict=True):
            if of_mask != of_image:
                raise DatasetError(
                    f"the mask {mask} is {of_mask} (height, width), its image {image} is "
                    f"{of_image}: the files do not belong together; {AGAIN}"
                )


def _read_all(paths: Sequence[Path], read: Callable[[Path], np.ndarray]) -> np.ndarray:
    """The results of `read` for all files, stacked: (M, ...)."""
    stacked: np.ndarray | None = None
    with ThreadPoolExecutor(READERS) as pool:
        results = pool.map(read, paths)
        bar = tqdm(results, total=len(paths), desc="reading", delay=PROGRESS_AFTER)
        for index, pixels in enumerate(bar):
            if stacked is None:
                stacked = np.empty((len(paths), *pixels.shape), dtype=np.uint8)
            if pixels.shape != stacked.shape[1:]:
                raise DatasetError(
                    f"{paths[index]} is {pixels.shape[:2]} (height, width), but {paths[0]} is "
                    f"{stacked.shape[1:3]}: images of one data set must agree; pass size= to bring "
                    "them to one"
                )
            stacked[index] = pixels
    return stacked
