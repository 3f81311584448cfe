"""COCO 2017: photographs with outlines of their objects (Lin et al., arXiv 1405.0312).

The layout is annotations/instances_{split}2017.json and {split}2017/*.jpg. Outlines become masks
with pycocotools, an optional requirement: pip install "smm-tutorial[coco]".
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from smm_tutorial.datasets.cropping import NEAREST, FindBox, Size, centre_crop, crop_and_resize
from smm_tutorial.datasets.image_files import PROGRESS_AFTER, read_images
from smm_tutorial.datasets.others.sources import SOURCES, announce
from smm_tutorial.datasets.scene_images import (
    DatasetError,
    SceneImages,
    check_count,
    check_incomplete,
    check_split,
    choose_scenes,
)
from smm_tutorial.datasets.transfer.disk import folder_or_downloads, lock_folder
from smm_tutorial.datasets.transfer.manifests import extend_manifest, is_whole, read_manifest
from smm_tutorial.datasets.transfer.names import FileNames
from smm_tutorial.datasets.transfer.remote_file import DownloadError, Patience, Remote
from smm_tutorial.datasets.transfer.remote_zip import RemoteZip

NAME = "coco"
SOURCE = SOURCES[NAME]
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
            neighbour. The images differ in size, so more than one needs it.
        root: the folder that holds annotations/ (or the JSON file itself) and {split}2017/; None
            looks in the course's downloads.
        crop: "centre" for the largest square in the middle, or None for the whole image.
        masks: read the masks; False needs no pycocotools.
        limit: at most so many images, from the first, counted after the bounds on objects.
        min_objects, max_objects: only images with so many objects (crowds do not count).
        incomplete: what to do when images that the annotations list are not there: "error", or
            "skip" with a warning. Images that a download left out on purpose are never an error.

    Raises:
        DatasetError: a file is missing or damaged, or pycocotools is not installed.
        ValueError: an unknown split, crop or option, an impossible bound, or no image left.
    """
    check_split(NAME, split, SPLITS)
    find_box = centre_crop(crop, "centre", "the largest square in the middle", 1.0)
    check_incomplete(incomplete)
    folder = folder_or_downloads(root, NAME)
    file = _find_annotations(folder, split)
    records, outlines = _read_annotations(file)
    announce(NAME)
    present = _find_present(folder, split, records, file, incomplete)
    counts = [len(records[index]["objects"]) for index in present]
    chosen = choose_scenes(counts, len(present), limit, min_objects, max_objects)
    records = [records[present[index]] for index in chosen]
    outlines = [outlines[present[index]] for index in chosen]
    files = [folder / f"{split}2017" / record["image_filename"] for record in records]
    images = read_images(files, find_box, size)
    _check_sizes(files, records, file)
    return SceneImages(
        images=images,
        filenames=[record["image_filename"] for record in records],
        name=NAME,
        split=split,
        licence=SOURCE.licence,
        provenance={"source": SOURCE.homepage, "crop": crop, "size": size},
        masks=_make_masks(records, outlines, find_box, size, file) if masks else None,
        records=records,
    )


def download_coco(
    split: str = "val",
    count: int = 100,
    folder: str | Path | None = None,
    urls: dict[str, str] | None = None,
    patience: Patience | None = None,
) -> Path:
    """Fetches a split's annotations and its first `count` images, in the annotations' order.

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
    check_split(NAME, split, SPLITS)
    check_count(count)
    announce(NAME)
    urls = SOURCE.addresses | (urls or {})
    target = folder_or_downloads(folder, NAME)
    file = f"annotations/instances_{split}2017.json"
    with lock_folder(target):
        known = read_manifest(target)
        if file not in known or not is_whole(target / file, known[file]):
            _fetch(target, [file], RemoteZip(Remote(urls["annotations"], patience)))
        records, _ = _read_annotations(target / file)
        if count > len(records):
            raise ValueError(f"{split} has {len(records):,} images, fewer than count, {count:,}")
        listed = FileNames(target / file)
        names = [
            listed.check(f"{split}2017/{record['image_filename']}") for record in records[:count]
        ]
        known = read_manifest(target)
        if any(name not in known or not (target / name).is_file() for name in names):
            _fetch(target, names, RemoteZip(Remote(urls[split], patience)))
    return target


def _fetch(target: Path, names: list[str], archive: RemoteZip) -> None:
    """Members of a zip file into the folder, and what is whole there into its manifest."""
    if absent := [name for name in names if name not in archive.members]:
        raise DownloadError(
            f"{archive.remote.url} has no {absent[0]} ({len(absent)} are missing): "
            "check the address"
        )
    members = {name: archive.members[name] for name in names}
    try:
        archive.save(target, members)
    finally:
        entries = {name: (info.file_size, info.CRC) for name, info in members.items()}
        extend_manifest(target, {n: e for n, e in entries.items() if is_whole(target / n, e)})


def _find_annotations(folder: Path, split: str) -> Path:
    name = f"instances_{split}2017.json"
    for path in (folder / "annotations" / name, folder / name):
        if path.is_file():
            return path
    raise DatasetError(
        f"no annotations/{name} in {folder}: run `smm-tutorial data download {NAME} --split "
        f"{split} --count 100`, or unpack annotations_trainval2017.zip from {SOURCE.homepage} there"
    )


def _read_annotations(path: Path) -> tuple[list[dict[str, Any]], list[list[Any]]]:
    """A record of each image, and the outlines of its objects in the same order."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        categories = {category["id"]: category["name"] for category in content["categories"]}
        licences = {
            # some files escape slashes
            licence["id"]: f"{licence['name']} ({licence['url'].replace(chr(92), '')})"
            for licence in content["licenses"]
        }
        objects: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in content["images"]}
        for annotation in content["annotations"]:
            of_image = objects[annotation["image_id"]]
            if not annotation["iscrowd"]:
                of_image.append(annotation)
        records = [
            {
                "image_filename": image["file_name"],
                "image_id": image["id"],
                "height": image["height"],
                "width": image["width"],
                "licence": licences[image["license"]],
                "objects": [
                    {
                        "category": categories[entry["category_id"]],
                        "bbox": entry["bbox"],
                        "area": entry["area"],
                    }
                    for entry in objects[image["id"]]
                ],
            }
            for image in content["images"]
        ]
        outlines = [
            [entry["segmentation"] for entry in objects[image["id"]]] for image in content["images"]
        ]
    except OSError as error:
        raise DatasetError(f"cannot read {path} ({error.strerror}): fetch it again") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fault = f"{type(error).__name__}: {error}"
        raise DatasetError(
            f"{path} is damaged or no COCO annotations ({fault}): fetch it again"
        ) from error
    return records, outlines


def _find_present(
    folder: Path, split: str, records: list[dict[str, Any]], file: Path, incomplete: str
) -> list[int]:
    """Indices of the records whose images should be there: those downloaded, or else all."""
    names = [record["image_filename"] for record in records]
    image_folder = folder / f"{split}2017"
    fetched = [Path(name) for name in read_manifest(folder)]
    if downloaded := {path.name for path in fetched if path.parent.name == image_folder.name}:
        return [index for index, name in enumerate(names) if name in downloaded]
    there = {path.name for path in image_folder.glob("*.jpg")}
    present = [index for index, name in enumerate(names) if name in there]
    missing = len(names) - len(present)
    fault = f"{missing:,} of the {len(names):,} images of {file} are not in {image_folder}"
    if not present or missing and incomplete == "error":
        skip = ', or pass incomplete="skip"' if present else ""
        raise DatasetError(
            f"{fault}: run `smm-tutorial data download {NAME} --split {split}`, or unpack "
            f"{split}2017.zip there{skip}"
        )
    if missing:
        warnings.warn(f"left out: {fault}", stacklevel=4)
    return present


def _check_sizes(files: list[Path], records: list[dict[str, Any]], annotations: Path) -> None:
    """Images of another size than the annotations say would get masks that do not fit."""
    for path, record in zip(files, records, strict=True):
        expected = (record["width"], record["height"])
        with Image.open(path) as image:
            if image.size != expected:
                raise DatasetError(
                    f"{path} is {image.size} (width, height), {annotations} says {expected}: "
                    "the files do not belong together; fetch both again"
                )


def _make_masks(
    records: list[dict[str, Any]],
    outlines: list[list[Any]],
    find_box: FindBox,
    size: Size | None,
    file: Path,
) -> Tensor:
    """Masks (M, H, W) uint8, cropped and resized as the images are."""
    masks = []
    bar = tqdm(records, desc="drawing masks", delay=PROGRESS_AFTER)
    for record, parts in zip(bar, outlines, strict=True):
        try:
            mask = draw_masks(parts, record["height"], record["width"])
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise DatasetError(
                f"{file}: the outlines of {record['image_filename']} are damaged ({error})"
            ) from error
        masks.append(crop_and_resize(mask, find_box(*mask.shape), size, NEAREST))
    return torch.from_numpy(np.stack(masks))


def draw_masks(outlines: list[Any], height: int, width: int) -> np.ndarray:
    """One map (height, width) uint8 of objects' outlines: k for the k-th, 0 for none.

    Args:
        outlines: COCO's polygons or run lengths.
        height, width: of the image.

    Raises:
        DatasetError: pycocotools is not installed.
        ValueError: more than 255 objects, or an outline that is neither polygons nor run lengths.
    """
    try:
        from pycocotools import mask as run_lengths
    except ImportError as error:
        raise DatasetError(
            'masks of COCO need pycocotools: pip install "smm-tutorial[coco]" (or pycocotools), '
            "or pass masks=False"
        ) from error
    if len(outlines) > MOST_OBJECTS:
        raise ValueError(f"{len(outlines)} objects, a mask holds at most {MOST_OBJECTS}")
    shapes = []
    for outline in outlines:
        _check_outline(outline, height, width)
        try:
            coded = outline
            if isinstance(outline, list) or isinstance(outline["counts"], list):
                coded = run_lengths.frPyObjects(outline, height, width)  # to pycocotools' strings
            if isinstance(coded, list):
                coded = run_lengths.merge(coded)
            shapes.append(run_lengths.decode(coded).astype(bool))
        except Exception as error:  # pycocotools raises nothing more particular
            raise ValueError(f"{outline!r:.40} is no outline ({error})") from error
    labels = np.zeros((height, width), np.uint8)
    largest_first = sorted(range(len(shapes)), key=lambda index: -shapes[index].sum())
    for index in largest_first:  # so the smallest lies on top
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
