"""COCO 2017: photographs with outlines of their objects (Lin et al., arXiv 1405.0312).

The layout is annotations/instances_{split}2017.json and {split}2017/*.jpg. Outlines become masks
with pycocotools, an optional requirement: pip install "smm-tutorial[coco]".
"""

from __future__ import annotations

import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from smm_tutorial import paths
from smm_tutorial.datasets.cropping import BILINEAR, NEAREST, Size, centre_box, fit_pixels
from smm_tutorial.datasets.image_files import PROGRESS_AFTER, read_images
from smm_tutorial.datasets.others.sources import SOURCES, announce
from smm_tutorial.datasets.scene_images import DatasetError, SceneImages, choose_scenes
from smm_tutorial.datasets.transfer.manifests import extend_manifest, is_whole, read_manifest
from smm_tutorial.datasets.transfer.remote_file import (
    DownloadError,
    Patience,
    Remote,
    check_room,
    only_one,
    write_or_explain,
)
from smm_tutorial.datasets.transfer.remote_zip import RemoteZip

NAME = "coco"
FOLDER = "coco"
SPLITS = ("train", "val")
MOST_OBJECTS = 255  # labels that fit into a byte


def load_coco(
    split: str = "train",
    size: Size | None = None,
    root: str | Path | None = None,
    crop: str | None = None,
    masks: bool = True,
    limit: int | None = None,
    min_objects: int | None = None,
    max_objects: int | None = None,
    incomplete: Literal["error", "skip"] = "error",
) -> SceneImages:
    """COCO images with masks of their objects, in the order of the annotations.

    Where outlines overlap, the smaller object lies on top. Crowds (many things under one outline)
    are no objects and count as background. A record names the image's licence, and of each object
    its category, box and area.

    Args:
        split: "train" or "val"; the labels of "test" are kept secret.
        size: height and width of the result; images antialiased (bilinear), masks by nearest
        neighbour. The images
            differ in size, so more than one needs it.
        root: the folder that holds annotations/ (or the JSON file itself) and {split}2017/; None
        looks in the
            course's downloads.
        crop: "centre" for the largest square in the middle, or None for the whole image.
        masks: read the masks; False needs no pycocotools.
        limit: at most so many images, from the first, counted after the bounds on objects.
        min_objects, max_objects: only images with so many objects (crowds do not count).
        incomplete: what to do when images that the annotations list are not there: "error", or
        "skip" with a warning.
            Images that a download left out on purpose are never an error.

    Raises:
        DatasetError: a file is missing or damaged, or pycocotools is not installed.
        ValueError: an unknown split, crop or option, an impossible bound, or no image left.
    """
    _check_split(split)
    if crop not in (None, "centre"):
        raise ValueError(
            f'crop must be "centre" (the largest square in the middle) or None, got {crop!r}'
        )
    if incomplete not in ("error", "skip"):
        raise ValueError(f'incomplete must be "error" or "skip", got {incomplete!r}')
    folder = Path(root) if root is not None else paths.downloads_dir() / FOLDER
    file = _annotations_file(folder, split)
    records, outlines = _read_annotations(file)
    announce(NAME)
    present = _present(folder, split, records, file, incomplete)
    counts = [len(records[index]["objects"]) for index in present]
    chosen = [
        present[i] for i in choose_scenes(counts, len(present), limit, min_objects, max_objects)
    ]
    records = [records[index] for index in chosen]
    files = [folder / f"{split}2017" / record["image_filename"] for record in records]
    images = read_images(files, partial(_fit, crop, size))
    _check_sizes(files, records, file)
    return SceneImages(
        images=images,
        filenames=[record["image_filename"] for record in records],
        name=NAME,
        split=split,
        licence=SOURCES[NAME].licence,
        provenance={"source": SOURCES[NAME].homepage, "crop": crop, "size": size},
        masks=_masks(records, [outlines[index] for index in chosen], crop, size, file)
        if masks
        else None,
        records=records,
    )


def download_coco(
    split: str = "val",
    count: int = 100,
    folder: str | Path | None = None,
    urls: dict[str, str] | None = None,
    patience: Patience | None = None,
) -> Path:
    """Fetches the annotations of a split and its first `count` images, in the order of the
    annotations.

    Args:
        split: "train" or "val".
        count: how many images.
        folder: where annotations/ and {split}2017/ go; None takes the course's downloads.
        urls: of the archives, by name (annotations, train, val).
        patience: with the server.

    Returns:
        The folder, as `load_coco(root=...)` wants it.

    Raises:
        ValueError: an unknown split or a count below 1.
        DatasetError: the server fails, an archive is damaged, the disk is full or there are not so
        many images.
    """
    _check_split(split)
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    announce(NAME)
    urls = {**SOURCES[NAME].addresses, **(urls or {})}
    target = Path(folder) if folder is not None else paths.downloads_dir() / FOLDER
    file = f"annotations/instances_{split}2017.json"
    with only_one(target):
        if file not in (known := read_manifest(target)) or not is_whole(target / file, known[file]):
            _fetch(target, [file], RemoteZip(Remote(urls["annotations"], patience)))
        records, _ = _read_annotations(target / file)
        if count > len(records):
            raise ValueError(f"{split} has {len(records):,} images, fewer than count, {count:,}")
        names = [f"{split}2017/{record['image_filename']}" for record in records[:count]]
        known = read_manifest(target)
        if any(name not in known or not (target / name).is_file() for name in names):
            _fetch(target, names, RemoteZip(Remote(urls[split], patience)))
    return target


def _fetch(target: Path, names: list[str], archive: RemoteZip) -> None:
    """Members of a zip file into the folder, under their own names; those that are there and whole
    stay.
    """
    if absent := [name for name in names if name not in archive.members]:
        raise DownloadError(
            f"{archive.remote.url} has no {absent[0]} ({len(absent)} are missing): check the address"
        )
    entries = {name: (archive.members[name].file_size, archive.members[name].CRC) for name in names}
    missing = [name for name in names if not is_whole(target / name, entries[name])]
    check_room(target, sum(entries[name][0] for name in missing))
    fetched: set[str] = set(names) - set(missing)

    def keep(info, content: bytes) -> None:
        write_or_explain(target / info.filename, content)
        fetched.add(info.filename)

    try:
        archive.fetch([archive.members[name] for name in missing], keep)
    finally:
        extend_manifest(target, {name: entries[name] for name in fetched})


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"{NAME} has no split {split!r}: known are {', '.join(SPLITS)}")


def _annotations_file(folder: Path, split: str) -> Path:
    name = f"instances_{split}2017.json"
    for path in (folder / "annotations" / name, folder / name):
        if path.is_file():
            return path
    raise DatasetError(
        f"no annotations/{name} in {folder}: run `smm-tutorial data download {NAME} --split {split} --count 100`, or unpack "
        f"annotations_trainval2017.zip from {SOURCES[NAME].homepage} there"
    )


def _read_annotations(path: Path) -> tuple[list[dict[str, Any]], list[list[Any]]]:
    """A record of each image, and the outlines of its objects in the same order."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        categories = {category["id"]: category["name"] for category in content["categories"]}
        licences = {licence["id"]: licence for licence in content["licenses"]}
        annotations: dict[int, list[dict[str, Any]]] = {
            image["id"]: [] for image in content["images"]
        }
        for annotation in content["annotations"]:
            annotations[annotation["image_id"]].append(annotation)
        records, outlines = [], []
        for image in content["images"]:
            objects = [entry for entry in annotations[image["id"]] if not entry["iscrowd"]]
            licence = licences[image["license"]]
            records.append(
                {
                    "image_filename": image["file_name"],
                    "image_id": image["id"],
                    "height": image["height"],
                    "width": image["width"],
                    "licence": f"{licence['name']} ({licence['url'].replace(chr(92), '')})",  # some files escape slashes
                    "objects": [
                        {
                            "category": categories[entry["category_id"]],
                            "bbox": entry["bbox"],
                            "area": entry["area"],
                        }
                        for entry in objects
                    ],
                }
            )
            outlines.append([entry["segmentation"] for entry in objects])
    except OSError as error:
        raise DatasetError(f"cannot read {path} ({error.strerror}): fetch it again") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fault = f"{type(error).__name__}: {error}"
        raise DatasetError(
            f"{path} is damaged or no COCO annotations ({fault}): fetch it again"
        ) from error
    return records, outlines


def _present(
    folder: Path, split: str, records: list[dict[str, Any]], file: Path, incomplete: str
) -> list[int]:
    """Indices of the records whose images should be there: those that were downloaded, or else
    all.
    """
    image_folder = folder / f"{split}2017"
    if fetched := {name for name in read_manifest(folder) if name.startswith(f"{split}2017/")}:
        return [
            i
            for i, record in enumerate(records)
            if f"{split}2017/{record['image_filename']}" in fetched
        ]
    there = {path.name for path in image_folder.glob("*.jpg")}
    present = [index for index, record in enumerate(records) if record["image_filename"] in there]
    missing = len(records) - len(present)
    fault = f"{missing:,} of the {len(records):,} images of {file} are not in {image_folder}"
    if not present or missing and incomplete == "error":
        raise DatasetError(
            f"{fault}: run `smm-tutorial data download {NAME} --split {split}`, or unpack {split}2017.zip there"
            + (', or pass incomplete="skip"' if present else "")
        )
    if missing:
        warnings.warn(f"left out: {fault}", stacklevel=4)
    return present


def _check_sizes(files: list[Path], records: list[dict[str, Any]], annotations: Path) -> None:
    """Images of another size than the annotations say would get masks that do not fit."""
    for path, record in zip(files, records, strict=True):
        with Image.open(path) as image:
            if image.size != (record["width"], record["height"]):
                raise DatasetError(
                    f"{path} is {image.size} (width, height), {annotations} says {(record['width'], record['height'])}: "
                    "the files do not belong together; fetch both again"
                )


def _masks(
    records: list[dict[str, Any]],
    outlines: list[list[Any]],
    crop: str | None,
    size: Size | None,
    file: Path,
) -> Tensor:
    """Masks (M, H, W) uint8, cropped and resized as the images are."""
    fitted = []
    for record, parts in zip(
        tqdm(records, desc="drawing masks", delay=PROGRESS_AFTER), outlines, strict=True
    ):
        try:
            mask = draw_masks(parts, record["height"], record["width"])
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise DatasetError(
                f"{file}: the outlines of {record['image_filename']} are damaged ({error})"
            ) from error
        fitted.append(fit_pixels(mask, _box(mask, crop), size, NEAREST))
    return torch.from_numpy(np.stack(fitted))


def draw_masks(outlines: list[Any], height: int, width: int) -> np.ndarray:
    """One map (height, width) uint8 of objects' outlines, COCO's polygons or run lengths: k for the
    k-th, 0 for none.

    Raises:
        DatasetError: pycocotools is not installed.
        ValueError: more than 255 objects, or an outline that is neither polygons nor run lengths.
    """
    try:
        from pycocotools import mask as run_lengths
    except ImportError as error:
        raise DatasetError(
            'masks of COCO need pycocotools: pip install "smm-tutorial[coco]" (or pycocotools), or pass masks=False'
        ) from error
    if len(outlines) > MOST_OBJECTS:
        raise ValueError(f"{len(outlines)} objects, a mask holds at most {MOST_OBJECTS}")
    shapes = []
    for outline in outlines:
        _check_outline(outline, height, width)
        try:
            is_plain = isinstance(outline, list) or isinstance(
                outline["counts"], list
            )  # not pycocotools' own strings
            coded = run_lengths.frPyObjects(outline, height, width) if is_plain else outline
            shape = run_lengths.decode(
                run_lengths.merge(coded) if isinstance(coded, list) else coded
            )
        except Exception as error:  # pycocotools raises nothing more particular
            raise ValueError(f"{outline!r:.40} is no outline ({error})") from error
        shapes.append(shape.astype(bool))
    labels = np.zeros((height, width), np.uint8)
    for index in sorted(
        range(len(shapes)), key=lambda index: -shapes[index].sum()
    ):  # the smallest last: on top
        labels[shapes[index]] = index + 1
    return labels


def _check_outline(outline: Any, height: int, width: int) -> None:
    """Raises ValueError for what pycocotools would crash on."""
    if isinstance(outline, dict):
        counts, size = outline.get("counts"), outline.get("size")
        if isinstance(counts, list) and sum(counts) != height * width or size != [height, width]:
            raise ValueError(
                f"run lengths of {size} do not fill an image of {height} x {width} (height x width)"
            )
    elif not isinstance(outline, list) or not outline:
        raise ValueError(f"{outline!r:.40} is no outline")


def _fit(crop: str | None, size: Size | None, pixels: np.ndarray) -> np.ndarray:
    return fit_pixels(pixels, _box(pixels, crop), size, BILINEAR)


def _box(pixels: np.ndarray, crop: str | None) -> tuple[float, float, float, float]:
    height, width = pixels.shape[:2]
    return centre_box(height, width, min(height, width) if crop == "centre" else None)
