"""ClevrTex: CLEVR-like scenes with photographed textures (Karazija et al., arXiv 2111.10265).

The layout is clevrtex_{variant}/**/CLEVRTEX_{variant}_{index:06d}.png. Beside each image lie its
mask ..._flat.png and its record ...json. The benchmark splits by index: the first tenth is test,
the second tenth is val, the rest is train.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from smm_tutorial.arguments import check_whole
from smm_tutorial.datasets.cropping import Size, centre_crop
from smm_tutorial.datasets.image_files import read_images, read_masks
from smm_tutorial.datasets.others.sources import SOURCES, announce
from smm_tutorial.datasets.picture_folders import find_pictures
from smm_tutorial.datasets.scene_images import DatasetError, SceneImages, check_split, choose_scenes
from smm_tutorial.datasets.transfer.disk import folder_or_downloads, lock_folder
from smm_tutorial.datasets.transfer.manifests import read_manifest
from smm_tutorial.datasets.transfer.remote_file import Patience
from smm_tutorial.datasets.transfer.remote_tar import unpack_tar
from smm_tutorial.files import read_json

NAME = "clevrtex"
SOURCE = SOURCES[NAME]
TOTALS = {"full": 50_000, "camo": 20_000, "outd": 10_000}
TENTHS = {"test": (0, 1), "val": (1, 2), "train": (2, 10)}
CROP_OF_BENCHMARK = 0.8  # the side of the central square, as a share of the image's shorter side
#: Archives of the variant "full", in the order in which a download searches them for a split.
PARTS = {"train": (2, 3, 4, 5, 1), "val": (1, 2, 3, 4, 5), "test": (1, 2, 3, 4, 5)}
INDEX = re.compile(r"_(\d{6})(?:_flat\.png|\.png|\.json)$")
SUFFIXES = (".png", "_flat.png", ".json")


def load_clevrtex(
    split: str = "train",
    size: Size | None = None,
    root: str | Path | None = None,
    variant: str = "full",
    crop: str | None = None,
    limit: int | None = None,
    min_objects: int | None = None,
    max_objects: int | None = None,
) -> SceneImages:
    """ClevrTex images with masks and records, sorted by index.

    Masks hold the labels of the files (0 is the background). The objects of a record can have
    another order than the labels.

    Args:
        split: "train", "val" or "test"; the variant "outd" has only "test".
        size: height and width of the result; images antialiased (bilinear), masks by nearest
            neighbour; None keeps the files' scale (240 x 320).
        root: the clevrtex_{variant} folder or its parent; None looks in the course's downloads.
        variant: "full", "camo" (objects wear the ground's texture) or "outd" (unseen shapes and
            textures).
        crop: "paper" for the benchmark's central square (192 of 240), or None for the whole image.
        limit: at most so many images, from the first, counted after the bounds on objects.
        min_objects, max_objects: only scenes with so many objects.

    Raises:
        DatasetError: the folder or a file is missing or damaged.
        ValueError: an unknown split, variant or crop, an impossible bound, or no scene left.
    """
    indices = _find_indices(variant, split)
    meaning = "the benchmark's central square"
    find_box = centre_crop(crop, "paper", meaning, CROP_OF_BENCHMARK)
    images = _list_images(_find_folder(root, variant), variant, indices, split)
    announce(NAME)
    counts = None
    if min_objects is not None or max_objects is not None:  # reads all records, which is slow
        counts = [len(_read_record(path)["objects"]) for path in images]
    chosen = choose_scenes(counts, len(images), limit, min_objects, max_objects)
    images = [images[index] for index in chosen]
    masks = [path.with_name(path.stem + "_flat.png") for path in images]
    records = [_read_record(path) for path in images]
    return SceneImages(
        images=read_images(images, find_box, size),
        filenames=[path.name for path in images],
        name=NAME,
        split=split,
        licence=SOURCE.licence,
        provenance={"source": SOURCE.homepage, "variant": variant, "crop": crop, "size": size},
        masks=read_masks(masks, find_box, size, images=images),
        records=records,
    )


def download_clevrtex(
    split: str = "train",
    count: int = 100,
    folder: str | Path | None = None,
    variant: str = "full",
    urls: dict[str, str] | None = None,
    patience: Patience | None = None,
) -> Path:
    """Downloads `count` images of a split, with masks and records, in the archives' order.

    Args:
        split, variant: as in `load_clevrtex`.
        count: how many images.
        folder: the parent of clevrtex_{variant}; None takes the course's downloads.
        urls: of the archives, by name (full1 to full5, camo, outd).
        patience: with the server.

    Returns:
        The clevrtex_{variant} folder, for `load_clevrtex(root=...)`.

    Raises:
        ValueError: an unknown split or variant, or a count that the split does not have.
        DatasetError: the server fails, an archive is damaged, the disk is full, or there are fewer
            images.
    """
    check_whole("count", count)
    indices = _find_indices(variant, split)
    if not 1 <= count <= len(indices):
        raise ValueError(f"count must be 1 to {len(indices):,}, the size of {split}, got {count}")
    announce(NAME)
    urls = SOURCE.addresses | (urls or {})
    archives = [f"full{part}" for part in PARTS[split]] if variant == "full" else [variant]
    target = folder_or_downloads(folder) / f"clevrtex_{variant}"
    member_name = re.compile(
        rf"(?:.*/)?clevrtex_{variant}/((?:.*/)?CLEVRTEX_{variant}_\d{{6}}(_flat\.png|\.png|\.json))"
    )

    def place(member: str) -> str | None:
        match = member_name.fullmatch(member)
        return match and match[1]

    parts: dict[int, set[str]] = {}
    complete: set[int] = set()

    def arrived(name: str) -> bool:
        index = _index_of(name)
        if index in indices:
            parts.setdefault(index, set()).add(name)
            if len(parts[index]) == len(SUFFIXES):
                complete.add(index)
        return len(complete) >= count

    with lock_folder(target):
        for name in read_manifest(target):
            arrived(name)
        for archive in archives:
            if len(complete) < count:
                unpack_tar(urls[archive], target, place, arrived, patience)
    if len(complete) < count:
        raise DatasetError(
            f"the archives hold {len(complete)} images of {split}, expected {count}: "
            "ask for no more"
        )
    return target


def _index_of(name: str) -> int:
    """The number of the image that a file belongs to; -1 for a file of another kind."""
    match = INDEX.search(name)
    return int(match[1]) if match else -1


def _find_indices(variant: str, split: str) -> range:
    """The numbers of a split's images."""
    if variant not in TOTALS:
        raise ValueError(f"{NAME} has no variant {variant!r}: known are {', '.join(TOTALS)}")
    tenths = {"test": (0, 10)} if variant == "outd" else TENTHS
    check_split(f"{NAME} {variant}", split, tenths)
    first, last = tenths[split]
    return range(TOTALS[variant] * first // 10, TOTALS[variant] * last // 10)


def _find_folder(root: str | Path | None, variant: str) -> Path:
    start = folder_or_downloads(root)
    for folder in (start / f"clevrtex_{variant}", start):
        if folder.name == f"clevrtex_{variant}" and folder.is_dir():
            return folder
    raise DatasetError(
        f"no folder clevrtex_{variant} at {start}: run `smm-tutorial data download {NAME} --count "
        f"100`, or unpack the archives from {SOURCE.homepage} and pass root= to the folder"
    )


def _list_images(folder: Path, variant: str, indices: range, split: str) -> list[Path]:
    """The split's images, sorted by index: the downloaded images, or else all images, which must
    exist.
    """
    again = (
        f"run `smm-tutorial data download {NAME} --split {split}` again, "
        "or unpack the archives again"
    )
    fetched = set(read_manifest(folder))
    listed = [
        folder / name for name in fetched if {name[:-4] + suffix for suffix in SUFFIXES} <= fetched
    ]
    found: dict[int, Path] = {}
    for path in listed if fetched else find_pictures(folder, f"**/CLEVRTEX_{variant}_??????.png"):
        index = _index_of(path.name)
        if index not in indices:
            continue
        if index in found:
            raise DatasetError(
                f"{path} and {found[index]} have the same number: unpack the archives again"
            )
        found[index] = path
    if not found:
        raise DatasetError(
            f"{folder} holds no image of {split}, "
            f"which are numbers {indices[0]} to {indices[-1]}: {again}"
        )
    if not fetched and len(found) < len(indices):
        missing = next(index for index in indices if index not in found)
        raise DatasetError(
            f"{folder} holds {len(found):,} of {len(indices):,} images of {split}, "
            f"not {missing}: {again}"
        )
    return [found[index] for index in sorted(found)]


def _read_record(image: Path) -> dict[str, Any]:
    path = image.with_suffix(".json")
    try:
        record = read_json(path)
        if not isinstance(record, dict) or not isinstance(record.get("objects"), list):
            raise ValueError('it lacks the list "objects"')
    except OSError as error:
        raise DatasetError(
            f"cannot read {path} ({error.strerror}): unpack the archives again"
        ) from error
    except ValueError as error:
        raise DatasetError(f"{path} is damaged ({error}): unpack the archives again") from error
    return record
