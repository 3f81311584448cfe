"""Reads folders of images, of masks and of scene records into arrays.

Every fault raises `DatasetError`, which names the file and the way out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from smm_tutorial.datasets.cropping import BILINEAR, NEAREST, FindBox, Size, crop_and_resize
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.scenes import Scene

READERS = 8  # threads: unpacking a PNG runs outside Python's lock
PROGRESS_AFTER = 2.0  # seconds: quicker work shows no bar
AGAIN = "unpack the data set's archive again"


def read_scene_file(path: Path) -> dict[str, Any]:
    """A CLEVR scenes file: its JSON, with a list "scenes" of records that name their image.

    The records themselves are checked by `parse_scene`, one by one, for a file may hold 70,000.

    Raises:
        DatasetError: the file is missing, is not whole JSON or is laid out otherwise.
    """
    remedy = f"{AGAIN} (for CLEVR: CLEVR_v1.0.zip)"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(
            f"cannot read the scenes file {path} ({error.strerror}): {remedy}"
        ) from error
    except ValueError as error:
        raise DatasetError(
            f"{path} is not whole JSON ({error}), perhaps cut short: {remedy}"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("scenes"), list):
        raise DatasetError(f'{path} is no CLEVR scenes file, it lacks the list "scenes": {remedy}')
    for index, record in enumerate(content["scenes"]):
        named = isinstance(record, dict) and isinstance(record.get("image_filename"), str)
        if not named or not isinstance(record.get("objects"), list):
            raise DatasetError(f"{path}: scene {index} lacks image_filename or objects: {remedy}")
    return content


def parse_scene(record: dict[str, Any], path: Path) -> Scene:
    """The scene of a record in the file at `path`; raises `DatasetError` for a wrong record."""
    try:
        return Scene.from_record(record)
    except ValueError as error:
        raise DatasetError(f"{path}: {error}; {AGAIN}") from error


def read_images(paths: Sequence[Path], find_box: FindBox, size: Size | None) -> Tensor:
    """Images from files, cropped and resized with antialiasing: (M, 3, H, W) uint8.

    Args:
        paths: image files, RGB or RGBA (the alpha channel is dropped: CLEVR's is opaque).
        find_box: where the crop lies in an image of this height and width.
        size: height and width of the result; None keeps the scale.

    Raises:
        DatasetError: a file is missing or damaged, or its size differs from the others' and stays.
    """

    def read(path: Path) -> np.ndarray:
        pixels = _read_pixels(path, "RGB")
        return crop_and_resize(pixels, find_box(*pixels.shape[:2]), size, BILINEAR)

    return torch.from_numpy(_read_all(paths, read)).permute(0, 3, 1, 2).contiguous()


def read_masks(
    paths: Sequence[Path],
    find_box: FindBox,
    size: Size | None,
    find_labels: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Tensor:
    """Masks from files, cropped and resized by nearest neighbour: (M, H, W) uint8.

    Args:
        paths: image files.
        find_box, size: as `read_images`.
        find_labels: makes labels (h, w) of RGB pixels (h, w, 3), or raises `ValueError`. None is
            for files of one channel, whose values or palette indices are the labels.

    Raises:
        DatasetError: as `read_images`, or a file's pixels are no labels.
    """

    def read(path: Path) -> np.ndarray:
        labels = _read_pixels(path, "L" if find_labels is None else "RGB")
        if find_labels is not None:
            try:
                labels = find_labels(labels)
            except ValueError as error:
                raise DatasetError(f"the mask {path} is damaged ({error}): {AGAIN}") from error
        return crop_and_resize(labels, find_box(*labels.shape), size, NEAREST)

    return torch.from_numpy(_read_all(paths, read))


def _read_pixels(path: Path, mode: str) -> np.ndarray:
    """The pixels of one file, uint8: (H, W, 3) for mode "RGB", (H, W) for "L"."""
    try:
        with Image.open(path) as image:
            image.load()
            if mode == "L" and image.mode not in ("L", "P"):  # a palette's indices are the labels
                raise ValueError(
                    f"a mask must have one channel of 8 bits, this file has mode {image.mode}"
                )
            return np.asarray(image if mode == "L" else image.convert(mode))
    except FileNotFoundError as error:
        raise DatasetError(f"the image {path} is missing: {AGAIN}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(f"the image {path} is damaged ({error}): {AGAIN}") from error


def _read_all(paths: Sequence[Path], read: Callable[[Path], np.ndarray]) -> np.ndarray:
    """What `read` makes of each file, stacked: (M, ...)."""
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
