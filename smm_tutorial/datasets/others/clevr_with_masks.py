"""CLEVR (with masks): 100,000 scenes rendered anew by CLEVR's rules (Kabra et al., 2019).

One GZIP TFRecord file holds all scenes, without splits. The beginning of the file is a valid file
too. `download_clevr_with_masks` downloads only the beginning that contains your scenes, and
continues from there when you ask for more.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from tqdm import tqdm

from smm_tutorial.arguments import check_whole
from smm_tutorial.datasets.cropping import BILINEAR, NEAREST, Size, crop_and_resize, crop_box
from smm_tutorial.datasets.image_files import PROGRESS_AFTER
from smm_tutorial.datasets.others.sources import SOURCES, announce
from smm_tutorial.datasets.scene_images import DatasetError, SceneImages, check_bounds, check_split
from smm_tutorial.datasets.transfer.addresses import show_address
from smm_tutorial.datasets.transfer.disk import check_free_space, folder_or_downloads, lock_folder
from smm_tutorial.datasets.transfer.remote_file import Patience, Remote
from smm_tutorial.datasets.transfer.resumable_file import ResumableFile, is_beginning, note_path
from smm_tutorial.datasets.transfer.tfrecords import (
    CutShortError,
    Feature,
    RecordError,
    begins_with_record,
    parse_example,
    read_records,
)
from smm_tutorial.scenes.camera import Window

NAME = "clevr-with-masks"
SOURCE = SOURCES[NAME]
FOLDER = "clevr_with_masks"
FILE = "clevr_with_masks_train.tfrecords"
#: First example, and the example after the last. The file has no splits; these are commonly used.
SPLITS = {"train": (0, 70_000), "val": (70_000, 85_000), "test": (85_000, 100_000)}
HEIGHT, WIDTH, ENTITIES = 240, 320, 11  # the first entity is the background
BYTES_PER_EXAMPLE = 105_000  # compressed: 10.5 GB for 100,000
GZIP = b"\x1f\x8b"  # the first bytes of a compressed file; some people unpack the file by hand
DAMAGE = (RecordError, gzip.BadGzipFile, zlib.error)
CODES = ("size", "material", "shape", "color")  # small integers of unpublished meaning


def load_clevr_with_masks(
    split: str = "train",
    size: Size | None = None,
    root: str | Path | None = None,
    crop: str | Window | None = None,
    limit: int | None = None,
    min_objects: int | None = None,
    max_objects: int | None = None,
) -> SceneImages:
    """Scenes with their masks. The records hold what the file says about each object.

    Records have CLEVR's field names. Sizes, materials, shapes and colours stay the file's integer
    codes, so `Scene.from_record` cannot read these records.

    Args:
        split: "train", "val" or "test": the first 70,000 examples, the next 15,000, the rest.
        size: height and width of the result; images antialiased (bilinear), masks by nearest
            neighbour; None keeps 240 x 320.
        root: the TFRecord file or its folder; None looks in the course's downloads.
        crop: a name of `cropping.CROPS` ("paper" is the usual crop), a window in fractions of the
            frame, or None.
        limit: at most so many scenes, from the first, counted after the bounds on objects.
        min_objects, max_objects: only scenes with so many objects. CLEVR6 is max_objects=6.

    Raises:
        DatasetError: the file is missing or damaged, or its downloaded beginning is too short for
            this split and limit.
        ValueError: an unknown split or crop, an impossible bound, or no scene left.
    """
    check_split(NAME, split, SPLITS)
    check_bounds(limit, min_objects, max_objects)
    start, stop = SPLITS[split]
    fewest = min_objects or 0
    most = ENTITIES if max_objects is None else max_objects
    box = crop_box(HEIGHT, WIDTH, crop)
    path = _find_file(root)
    announce(NAME)
    images, masks, records, seen = [], [], [], 0
    with (
        path.open("rb", buffering=0) as file,
        tqdm(total=limit, desc="reading", delay=PROGRESS_AFTER) as bar,
    ):
        examples = enumerate(_read_records(file, path, is_beginning(path)))
        for index, content in islice(examples, start, stop):
            image, mask, record = _decode_example(content, index, split, path)
            seen += 1
            if not fewest <= len(record["objects"]) <= most:
                continue
            images.append(crop_and_resize(image, box, size, BILINEAR))
            masks.append(crop_and_resize(mask, box, size, NEAREST))
            records.append(record)
            bar.update()
            if len(images) == limit:
                break
    if is_beginning(path) and seen < stop - start and len(images) < (limit or 1):
        raise DatasetError(
            f"{path} was fetched only as far as {seen} examples of {split}, {len(images)} of them "
            f"with {fewest} to {most} objects: run `smm-tutorial data download {NAME} --split "
            f"{split} --count {2 * max(seen, limit or 50)}`"
        )
    if not seen:
        raise DatasetError(
            f"{path} has no examples {start:,} to {stop:,}, which are {split}: fetch it again"
        )
    if not images:
        raise ValueError(f"none of the {seen} scenes has {fewest} to {most} objects")
    return SceneImages(
        images=torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        filenames=[record["image_filename"] for record in records],
        name=NAME,
        split=split,
        licence=SOURCE.licence,
        provenance={"source": SOURCE.homepage, "file": FILE, "crop": crop, "size": size},
        masks=torch.from_numpy(np.stack(masks)),
        records=records,
    )


def download_clevr_with_masks(
    split: str = "train",
    count: int = 100,
    folder: str | Path | None = None,
    url: str = SOURCE.addresses["records"],
    patience: Patience | None = None,
) -> Path:
    """Downloads the file up to the first `count` examples of a split, and checks their checksums.

    The file is one compressed stream, so everything before the split is downloaded too: 7.4 GB for
    "val". An earlier download is kept and continued.

    Returns:
        The TFRecord file, or its beginning, for `load_clevr_with_masks(root=...)`.

    Raises:
        ValueError: an unknown split, or a count that the split does not have.
        DatasetError: the server fails, the disk is full (the download is kept), or the file is
            damaged (it is deleted).
    """
    check_split(NAME, split, SPLITS)
    start, stop = SPLITS[split]
    check_whole("count", count)
    if not 1 <= count <= stop - start:
        raise ValueError(f"count must be 1 to {stop - start}, the size of {split}, got {count}")
    announce(NAME)
    needed = start + count
    target = folder_or_downloads(folder, FOLDER)
    path = target / FILE
    with lock_folder(target):
        if is_beginning(path) and _is_unpacked(path):
            raise DatasetError(
                f"{path} was unpacked, so a download cannot go on with it: to keep it as it is, "
                f"delete {note_path(path).name} beside it; to fetch it anew, delete both"
            )
        present = path.stat().st_size if path.is_file() else 0
        check_free_space(target, max(0, needed * BYTES_PER_EXAMPLE - present))
        with ResumableFile(Remote(url, patience), path) as file:
            examples = islice(_read_records(file, path, may_end=False), needed)
            try:
                found = _count(examples, "fetching", needed)
            except DatasetError as error:
                if isinstance(error.__cause__, DAMAGE):
                    file.discard()
                raise
    if found < needed:
        raise DatasetError(
            f"{show_address(url)} holds {found:,} examples, expected {needed:,}: check the address"
        )
    return path


def count_examples(root: str | Path | None = None) -> int:
    """The number of complete examples in the file, or in its beginning. All checksums are checked.

    Raises:
        DatasetError: there is no such file, or it is damaged.
    """
    path = _find_file(root)
    with path.open("rb", buffering=0) as file:
        return _count(_read_records(file, path, is_beginning(path)), "checking")


def was_downloaded(path: Path) -> bool:
    """Whether a download wrote this file. A file of the user, or an unpacked file, gives False."""
    return is_beginning(path) and not _is_unpacked(path)


def _is_unpacked(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return begins_with_record(file.read(100))


def _count(examples: Iterator[bytes], what: str, total: int | None = None) -> int:
    """The number of examples, counted with a progress bar."""
    return sum(1 for _ in tqdm(examples, what, total, unit="scene", delay=PROGRESS_AFTER))


def _find_file(root: str | Path | None) -> Path:
    start = folder_or_downloads(root, FOLDER)
    path = start / FILE if start.is_dir() else start
    if not path.is_file():
        raise DatasetError(
            f"no {NAME} at {start}: run `smm-tutorial data download {NAME} --count 100` for the "
            f"first 100 scenes, or pass root= to a {FILE} that you have"
        )
    return path


def _read_records(file: BinaryIO | io.RawIOBase, path: Path, may_end: bool) -> Iterator[bytes]:
    """The records in the file, compressed or not. may_end: whether the file may end within a
    record.
    """
    content = io.BufferedReader(file, 1 << 20)
    packed = GZIP.startswith(content.peek(len(GZIP))[: len(GZIP)])
    try:
        with gzip.GzipFile(fileobj=content) if packed else content as unpacked:
            yield from read_records(unpacked)
    except (EOFError, CutShortError) as error:
        if not may_end:
            raise DatasetError(f"{path} is cut short ({error}): fetch it again") from error
    except DAMAGE as error:
        raise DatasetError(f"{path} is damaged ({error}): delete it and fetch it again") from error


def _decode_example(
    content: bytes, index: int, split: str, path: Path
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Image (240, 320, 3), mask (240, 320) and record of one example."""
    try:
        features = parse_example(content)
        image = _read_bytes(features, "image").reshape(HEIGHT, WIDTH, 3)
        entities = _read_bytes(features, "mask").reshape(ENTITIES, HEIGHT, WIDTH)
        visible = np.flatnonzero(features["visibility"].reshape(ENTITIES)[1:]) + 1
        labels = np.zeros(ENTITIES, np.uint8)
        labels[visible] = np.arange(1, len(visible) + 1)
        return image, labels[entities.argmax(0)], _make_record(features, visible, index, split)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise DatasetError(
            f"example {index} of {path} is not laid out as {NAME} ({error}): fetch it again"
        ) from error


def _read_bytes(features: dict[str, Feature], name: str) -> np.ndarray:
    """A feature of bytes (one string, or one string per element) as a flat uint8 array."""
    return np.frombuffer(b"".join(features[name]), np.uint8)


def _make_record(
    features: dict[str, Feature], visible: np.ndarray, index: int, split: str
) -> dict[str, Any]:
    """A record with CLEVR's fields for the visible entities except the background."""
    place = np.stack([features[axis].reshape(ENTITIES) for axis in "xyz"], 1)  # (11, 3)
    pixel = features["pixel_coords"].reshape(ENTITIES, 3)
    codes = {name: _read_bytes(features, name).reshape(ENTITIES) for name in CODES}
    return {
        "image_index": index,
        "image_filename": f"clevr_with_masks_{index:06d}",
        "split": split,
        "objects": [
            {
                "3d_coords": place[entity].tolist(),
                "pixel_coords": pixel[entity].tolist(),
                "rotation": float(features["rotation"][entity]),
                **{name: int(code[entity]) for name, code in codes.items()},
            }
            for entity in visible
        ],
    }
