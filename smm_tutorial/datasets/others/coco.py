"""COCO 2017: photographs with outlines of their objects (Lin et al., arXiv 1405.0312).

The layout is annotations/instances_{split}2017.json and {split}2017/*.jpg. Outlines become masks
with pycocotools, an optional requirement: pip install "smm-tutorial[coco]".

Your own pictures in this layout can be loaded too, in any image format. Their annotations need only
each image's id and file_name, and each annotation's image_id.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from smm_tutorial.arguments import check_whole
from smm_tutorial.datasets.cropping import NEAREST, FindBox, Size, centre_crop, crop_and_resize
from smm_tutorial.datasets.image_files import PROGRESS_AFTER, read_images
from smm_tutorial.datasets.others.outlines import draw_masks, is_size
from smm_tutorial.datasets.others.sources import SOURCES, announce
from smm_tutorial.datasets.picture_files import read_size
from smm_tutorial.datasets.scene_images import (
    DatasetError,
    SceneImages,
    check_incomplete,
    check_split,
    choose_scenes,
)
from smm_tutorial.datasets.transfer.disk import folder_or_downloads, lock_folder
from smm_tutorial.datasets.transfer.manifests import extend_manifest, is_whole, read_manifest
from smm_tutorial.datasets.transfer.names import FileNames
from smm_tutorial.datasets.transfer.remote_file import DownloadError, Patience, Remote
from smm_tutorial.datasets.transfer.remote_zip import RemoteZip
from smm_tutorial.files import JsonError, check_name, read_json

NAME = "coco"
SOURCE = SOURCES[NAME]
SPLITS = ("train", "val")
UNKNOWN = "unknown"  # a category or licence that the annotations do not give


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

    If outlines overlap, the smaller object lies on top. Crowds (many things inside one outline) are
    no objects and count as background. An object without an outline has no pixels; a warning says
    so. A record names the image's licence, and the category, box and area of each object. Values
    that the annotations do not give are "unknown" or None.

    Args:
        split: "train" or "val"; the labels of "test" are kept secret.
        size: height and width of the result; images antialiased (bilinear), masks by nearest
            neighbour. Images differ in size, so more than one image needs a size.
        root: the folder that holds annotations/ (or the JSON file itself) and {split}2017/; None
            looks in the course's downloads.
        crop: "centre" for the largest square in the middle, or None for the whole image.
        masks: read the masks; False needs no pycocotools.
        limit: at most so many images, from the first, counted after the bounds on objects.
        min_objects, max_objects: only images with so many objects (crowds do not count).
        incomplete: what to do if images in the annotations are missing: "error", or "skip" with a
            warning. Images that a download left out on purpose are never an error.

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
    records = _fill_in_sizes(files, records, file)
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
    """Downloads a split's annotations and its first `count` images, in the annotations' order.

    Args:
        split: "train" or "val".
        count: how many images.
        folder: the parent of annotations/ and {split}2017/; None takes the course's downloads.
        urls: of the archives, by name (annotations, train, val).
        patience: with the server.

    Returns:
        The folder, for `load_coco(root=...)`.

    Raises:
        ValueError: an unknown split or a count below 1.
        DatasetError: the server fails, an archive is damaged, the disk is full, or there are fewer
            images.
    """
    check_split(NAME, split, SPLITS)
    check_whole("count", count)
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
    """Downloads members of a zip file into the folder, and adds complete files to its manifest."""
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


class _Outline(NamedTuple):
    """The outline of an object."""

    name: str  # of its annotation, for messages
    shape: Any  # polygons or run lengths from the file, unchecked; None without an outline


def _read_annotations(path: Path) -> tuple[list[dict[str, Any]], list[list[_Outline]]]:
    """A record of each image, and the outlines of its objects in the same order."""
    try:
        content = read_json(path)
    except OSError as error:
        raise DatasetError(f"cannot read {path} ({error.strerror}): fetch it again") from error
    except JsonError as error:
        raise DatasetError(f"{error}: fetch it again") from error
    try:
        return _arrange_annotations(content)
    except ValueError as error:
        raise DatasetError(f"{path}: {error}; mend the file, or fetch COCO's again") from error


def _arrange_annotations(content: Any) -> tuple[list[dict[str, Any]], list[list[_Outline]]]:
    """As `_read_annotations`, for the content of the file. Raises a ValueError that names the
    field.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{content!r:.40} is no COCO annotations, which are a JSON object")
    categories = _read_names(content, "categories")
    licences = _read_names(content, "licenses")
    records: dict[int | str, dict[str, Any]] = {}
    outlines: dict[int | str, list[_Outline]] = {}
    for number, image in enumerate(_read_entries(content, "images")):
        where = f"images[{number}]"
        key = _read_field(image, "id", (int, str), where)
        if key in records:
            raise ValueError(f"{where}: id is {key!r}, as of an image before it")
        records[key] = {
            "image_filename": check_name(_read_field(image, "file_name", (str,), where)),
            "image_id": key,
            "height": _read_side(image, "height", where),
            "width": _read_side(image, "width", where),
            "licence": (licences or {}).get(_read_key(image, "license"), UNKNOWN),
            "objects": [],
        }
        outlines[key] = []
    if not records:
        raise ValueError("images lists none")
    for number, annotation in enumerate(_read_entries(content, "annotations")):
        where = f"annotations[{number}] (id {annotation.get('id')!r:.40})"
        key = _read_field(annotation, "image_id", (int, str), where)
        if key not in records:
            raise ValueError(
                f"{where}: image_id is {key!r}, which no entry of images has as its id"
            )
        crowd = annotation.get("iscrowd")
        if crowd not in (None, 0, 1):
            raise ValueError(f"{where}: iscrowd is {crowd!r:.40}, must be 0 or 1")
        if crowd:
            continue
        category = UNKNOWN
        if categories is not None and annotation.get("category_id") is not None:
            category = categories.get(_read_key(annotation, "category_id"))
        if category is None:
            raise ValueError(
                f"{where}: category_id is {annotation['category_id']!r:.40}, which no entry of "
                "categories has as its id"
            )
        thing = {
            "category": category,
            "bbox": annotation.get("bbox"),
            "area": annotation.get("area"),
        }
        records[key]["objects"].append(thing)
        shape = annotation.get("segmentation")
        outlines[key].append(_Outline(where, None if shape == [] else shape))
    return list(records.values()), list(outlines.values())


def _read_entries(content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The list `name` of the annotations. Raises ValueError if it is missing or wrong."""
    entries = content.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(
            f"{name} is {entries!r:.40}: COCO 2017's own files have a list of objects there"
        )
    return entries


def _read_names(content: dict[str, Any], name: str) -> dict[int | str, str] | None:
    """The names in a list of categories or licences by their id; None without such a list."""
    if content.get(name) is None:
        return None
    names = {}
    for entry in _read_entries(content, name):
        key = _read_key(entry, "id")
        if key is None:
            continue
        names[key] = str(entry.get("name", UNKNOWN))
        if name == "licenses" and "url" in entry:  # some files escape slashes
            names[key] += f" ({str(entry['url']).replace(chr(92), '')})"
    return names


def _read_key(entry: dict[str, Any], name: str) -> int | str | None:
    """The id by which an entry names a category or licence; None if it is not an id."""
    key = entry.get(name)
    return key if type(key) in (int, str) else None


def _read_field(entry: dict[str, Any], name: str, types: tuple[type, ...], where: str) -> Any:
    """A required field of an entry. Raises ValueError if it is missing or has another type."""
    if type(entry.get(name)) not in types:
        known = " or ".join({int: "a whole number", str: "text"}[kind] for kind in types)
        found = f"{name} is {entry[name]!r:.40}" if name in entry else f"{name} is missing"
        raise ValueError(f"{where}: {found}, COCO 2017's own files have {known} there")
    return entry[name]


def _read_side(image: dict[str, Any], name: str, where: str) -> int | None:
    """An image's height or width; None if the annotations do not give it."""
    side = image.get(name)
    if isinstance(side, float) and side.is_integer():
        side = int(side)
    if side is not None and not is_size(side, 1):
        raise ValueError(f"{where}: {name} is {side!r:.40}, must be a number of pixels")
    return side


def _find_present(
    folder: Path, split: str, records: list[dict[str, Any]], file: Path, incomplete: str
) -> list[int]:
    """Indices of the records whose images should exist: those downloaded, or else all."""
    names = [record["image_filename"] for record in records]
    image_folder = folder / f"{split}2017"
    prefix = f"{image_folder.name}/"
    fetched = [name for name in read_manifest(folder) if name.startswith(prefix)]
    if downloaded := {name.removeprefix(prefix) for name in fetched}:
        return [index for index, name in enumerate(names) if name in downloaded]
    present = [index for index, name in enumerate(names) if (image_folder / name).is_file()]
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


def _fill_in_sizes(
    files: list[Path], records: list[dict[str, Any]], annotations: Path
) -> list[dict[str, Any]]:
    """The records with the sizes of their images.

    Raises if an image differs in size from its annotations, because its masks would not fit.
    """
    filled = []
    for path, record in zip(files, records, strict=True):
        height, width = read_size(path)
        expected = (record["width"] or width, record["height"] or height)
        if (width, height) != expected:
            raise DatasetError(
                f"{path} is {(width, height)} (width, height), {annotations} says {expected}: "
                "the files do not belong together; fetch both again"
            )
        filled.append({**record, "height": height, "width": width})
    return filled


def _make_masks(
    records: list[dict[str, Any]],
    outlines: list[list[_Outline]],
    find_box: FindBox,
    size: Size | None,
    file: Path,
) -> Tensor:
    """Masks (M, H, W) uint8, cropped and resized as the images are."""
    masks = []
    bar = tqdm(records, desc="drawing masks", delay=PROGRESS_AFTER)
    for record, parts in zip(bar, outlines, strict=True):
        shapes, names = [part.shape for part in parts], [part.name for part in parts]
        try:
            mask = draw_masks(shapes, record["height"], record["width"], names)
        except ValueError as error:
            raise DatasetError(
                f"{file}: no mask of image {record['image_id']!r} ({record['image_filename']}): "
                f"{error}"
            ) from error
        masks.append(crop_and_resize(mask, find_box(*mask.shape), size, NEAREST))
    bare = sum(part.shape is None for parts in outlines for part in parts)
    if bare:
        total = sum(len(parts) for parts in outlines)
        warnings.warn(
            f"{bare:,} of {total:,} objects in {file} have no outline (segmentation): they are in "
            "the records and not in the masks",
            stacklevel=4,
        )
    return torch.from_numpy(np.stack(masks))
