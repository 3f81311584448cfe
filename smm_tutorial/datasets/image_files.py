"""Reading folders of images and scene records; every fault names its file and the way out."""

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

from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.scenes import Scene

READERS = 8  # threads: unpacking a PNG runs outside Python's lock
PROGRESS_AFTER = 2.0  # seconds: quicker work shows no bar


class PixelsError(ValueError):
    """What a `fit` raises for pixels that cannot stand in such a file."""


def read_scene_file(path: Path) -> dict[str, Any]:
    """A CLEVR scenes file: its JSON, checked to hold a list "scenes" of records that name their
    image.

    The records themselves are checked by `checked_scene`, one by one, for a file may hold 70,000.

    Raises:
        DatasetError: the file is missing, is not whole JSON or is laid out otherwise.
    """
    remedy = "unpack the data set's archive again (for CLEVR: CLEVR_v1.0.zip)"
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


def checked_scene(record: dict[str, Any], path: Path) -> Scene:
    """The scene of a record in the file at `path`; raises `DatasetError` where the record is
    wrong.
    """
    try:
        return Scene.from_record(record)
    except ValueError as error:
        raise DatasetError(f"{path}: {error}; unpack the data set's archive again") from error


def read_images(paths: Sequence[Path], fit: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    """Images from files, each through `fit`: (M, 3, H, W) uint8.

    Args:
        paths: image files, RGB or RGBA (the alpha channel is dropped: CLEVR's is opaque).
        fit: crops and resizes an image (h, w, 3) uint8.

    Raises:
        DatasetError: a file is missing, damaged, or its size differs from the others' and `fit`
        keeps it so.
    """
    images = _read_all(paths, lambda path: fit(_read_pixels(path, "RGB")))
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def read_masks(
    paths: Sequence[Path], fit: Callable[[np.ndarray], np.ndarray], mode: str = "L"
) -> Tensor:
    """Masks from files, each through `fit`: (M, H, W) uint8. Raises as `read_images`.

    Args:
        paths: image files.
        fit: makes a mask (H, W) of a file's pixels: (h, w) labels for mode "L", (h, w, 3) for
        "RGB".
        mode: "L" for files of one channel, whose values or palette indices are the labels; "RGB"
        for coloured ones.
    """

    def read(path: Path) -> np.ndarray:
        try:
            return fit(_read_pixels(path, mode))
        except PixelsError as error:
            raise DatasetError(
                f"the mask {path} is damaged ({error}): unpack the data set's archive again"
            ) from error

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
        raise DatasetError(
            f"the image {path} is missing: unpack the data set's archive again"
        ) from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:  # Pillow's, for broken files
        raise DatasetError(
            f"the image {path} is damaged ({error}): unpack the data set's archive again"
        ) from error


def _read_all(paths: Sequence[Path], read: Callable[[Path], np.ndarray]) -> np.ndarray:
    """What `read` makes of each file, stacked: (M, ...)."""
    with ThreadPoolExecutor(READERS) as pool:
        results = pool.map(read, paths)
        stacked: np.ndarray | None = None
        for index, pixels in enumerate(
            tqdm(results, total=len(paths), desc="reading", delay=PROGRESS_AFTER)
        ):
            if stacked is None:
                stacked = np.empty((len(paths), *pixels.shape), dtype=np.uint8)
            if pixels.shape != stacked.shape[1:]:
                raise DatasetError(
                    f"{paths[index]} is {pixels.shape[:2]} (height, width), but {paths[0]} is {stacked.shape[1:3]}: "
                    "images of one data set must agree; pass size= to bring them to one"
                )
            stacked[index] = pixels
    return stacked
