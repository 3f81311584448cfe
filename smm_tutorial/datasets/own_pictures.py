"""A folder of one's own pictures, with masks beside them or without.

A folder below the root may be called `train`, `val` or `test`: its pictures are that split. Without
such folders, every tenth picture is for testing and the one before it for validation. Fewer than
ten pictures are too few to hold some out: then every split has all of them.

The mask of `cats/tom.jpg` is `cats/tom_mask.png`, or `masks/cats/tom.png` below the root. A picture
in a folder `images` may have its mask under the same name in a folder `masks` beside it. In a mask
0 is the background and k the k-th object.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from smm_tutorial.arguments import name_some
from smm_tutorial.datasets.cropping import Size, centre_crop, height_and_width
from smm_tutorial.datasets.image_files import read_images, read_masks
from smm_tutorial.datasets.picture_files import read_pixels, read_size
from smm_tutorial.datasets.picture_folders import find_pictures
from smm_tutorial.datasets.scene_images import DatasetError, SceneImages, check_bounds, check_split

NAME = "folder"
SPLITS = ("train", "val", "test")
HELD_OUT_EVERY = 10  # pictures
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
MASK_ENDING = "_mask"
MASKS_FOLDER, IMAGES_FOLDER = "masks", "images"
MOST_OF_MEMORY = 0.5  # that pictures may take


@dataclass
class FolderSurvey:
    """What lies in a folder. Paths are relative to it.

    pictures: of each split. masks: the mask of each picture that has one. left_out: the files that
    are no pictures of the data set, by reason.
    """

    root: Path
    pictures: dict[str, list[Path]] = field(default_factory=dict)
    masks: dict[Path, Path] = field(default_factory=dict)
    left_out: dict[str, list[Path]] = field(default_factory=dict)

    @property
    def shares_pictures(self) -> bool:
        """Whether every split has all pictures, since they are too few to hold some out."""
        return self.pictures["train"] == self.pictures["test"]

    def __str__(self) -> str:
        """A report for people: what was taken, and what was left out and why."""
        counts = ", ".join(f"{len(paths)} {split}" for split, paths in self.pictures.items())
        lines = [f"{self.root}: {counts}; {len(self.masks)} with masks"]
        if self.shares_pictures:
            lines.append(
                f"fewer than {HELD_OUT_EVERY} pictures: every split has all of them, so scores are "
                "about pictures that training saw"
            )
        lines += [f"left out, {why}: {name_some(paths)}" for why, paths in self.left_out.items()]
        if like_masks := self.named_like_masks:
            lines.append(
                f"taken as pictures, although named like masks: {name_some(like_masks)}. The mask "
                f"of a.jpg is a{MASK_ENDING}.png"
            )
        return "\n".join(lines)

    @property
    def named_like_masks(self) -> list[Path]:
        """The pictures with "mask" in their names. Perhaps their owner means them as masks."""
        found = {path for paths in self.pictures.values() for path in paths}
        return sorted(path for path in found if "mask" in path.stem.lower())


def split_indices(count: int, split: str) -> list[int]:
    """The images of a split among `count` images: every tenth is for testing, and the one before it
    for validation. Fewer than ten images are too few to hold some out: every split has all of them.
    """
    if count < HELD_OUT_EVERY:
        return list(range(count))
    held_out = {"val": HELD_OUT_EVERY - 2, "test": HELD_OUT_EVERY - 1}
    if split in held_out:
        return list(range(held_out[split], count, HELD_OUT_EVERY))
    return [index for index in range(count) if index % HELD_OUT_EVERY not in held_out.values()]


def survey_folder(root: str | Path) -> FolderSurvey:
    """What of a folder `load_folder` takes, and what it leaves out. No picture is opened.

    Raises:
        DatasetError: there is no such folder, it may not be read, or holds no picture.
    """
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder: give the folder that holds the pictures")
    try:
        files = [path for path in find_pictures(folder, "**/*") if path.is_file()]
        os.listdir(folder)
    except OSError as error:
        raise DatasetError(
            f"cannot read {folder} ({error.strerror}): allow it, or copy the pictures elsewhere"
        ) from error
    survey = FolderSurvey(folder)
    found, names = [], {path.relative_to(folder) for path in files}
    for path in sorted(names):
        if path.suffix.lower() not in PICTURES:
            survey.left_out.setdefault("no picture by its name", []).append(path)
        elif not _is_mask(path, names):
            found.append(path)
    if not found:
        raise DatasetError(
            f"{folder} holds no picture: pictures end in {', '.join(PICTURES)}, in the folder or "
            "in folders below it"
        )
    for path in found:
        mask = next((mask for mask in _mask_names(path) if mask in names), None)
        if mask is not None:
            survey.masks[path] = mask
    survey.pictures = _share_out(found)
    return survey


def load_folder(
    split: str = "train",
    size: Size | None = None,
    *,
    root: str | Path,
    crop: str | None = "centre",
    masks: bool | None = None,
    limit: int | None = None,
    skip_broken: bool = False,
) -> SceneImages:
    """One's own pictures; see the module for splits and masks.

    Args:
        split: "train", "val" or "test".
        size: height and width of the result; images antialiased, masks by nearest neighbour. None
            keeps the files' own scale, which must then be the same for all.
        root: the folder. Folders below it are read, too.
        crop: "centre" for the largest square in the middle, or None for the whole picture, which is
            squeezed into `size`.
        masks: True needs a mask for every picture, False reads none; None reads them if every
            picture has one.
        limit: at most so many pictures, from the first in the order of their names.
        skip_broken: whether pictures that cannot be read are left out, with a warning.

    Raises:
        DatasetError: no pictures, a broken one, masks of some pictures only, a mask of another size
            than its picture, or more pictures than fit into memory.
        ValueError: an unknown split or crop, or a split without pictures.
    """
    check_split(NAME, split, SPLITS)
    check_bounds(limit, None, None)
    find_box = centre_crop(crop, "centre", "the largest square in the middle", 1.0)
    survey = survey_folder(root)
    chosen = survey.pictures[split][:limit]
    if not chosen:
        has = ", ".join(name for name, paths in survey.pictures.items() if paths)
        raise ValueError(f"{survey.root} has no pictures of split {split!r}: it has {has}")
    _check_memory(survey.root, len(chosen), size)
    if skip_broken:
        chosen, broken = _leave_out_broken(survey.root, chosen)
    else:
        broken = []
    images = [survey.root / path for path in chosen]
    with_masks = _decide_masks(survey, chosen, masks)
    if size is not None:
        _warn_of_small(images, height_and_width(size))
    try:
        pixels = read_images(images, find_box, size)
    except DatasetError as error:
        remedy = "" if skip_broken else "; or pass skip_broken=True to leave broken pictures out"
        raise DatasetError(f"{error}{remedy}") from error
    return SceneImages(
        images=pixels,
        filenames=[path.as_posix() for path in chosen],
        name=NAME,
        split=split,
        licence="the owner's",
        provenance={
            "root": survey.root.name,
            "crop": crop,
            "size": size,
            "broken": [path.as_posix() for path in broken],
            "splits_share_pictures": survey.shares_pictures,
        },
        masks=read_masks(
            [survey.root / survey.masks[path] for path in chosen], find_box, size, images=images
        )
        if with_masks
        else None,
    )


def _mask_names(picture: Path) -> list[Path]:
    """Where the mask of a picture may lie: beside it, or in a folder of masks."""
    beside = picture.with_name(f"{picture.stem}{MASK_ENDING}.png")
    png = picture.with_suffix(".png")
    places = [beside, Path(MASKS_FOLDER) / png]
    if IMAGES_FOLDER in png.parts[:-1]:
        parts = [MASKS_FOLDER if part == IMAGES_FOLDER else part for part in png.parts[:-1]]
        places.append(Path(*parts, png.name))
    return places


def _is_mask(path: Path, names: set[Path]) -> bool:
    """Whether a file is a mask, by its place or by its name beside a picture of that name."""
    if MASKS_FOLDER in path.parts[:-1]:
        return True
    if not path.stem.endswith(MASK_ENDING) or path.suffix.lower() != ".png":
        return False
    stem = path.stem.removesuffix(MASK_ENDING)
    return any(path.with_name(stem + ending) in names for ending in _endings())


def _endings() -> tuple[str, ...]:
    return PICTURES + tuple(ending.upper() for ending in PICTURES)


def _share_out(found: Sequence[Path]) -> dict[str, list[Path]]:
    """The pictures of each split."""
    if any(path.parts[0] in SPLITS and len(path.parts) > 1 for path in found):
        return {
            split: [path for path in found if len(path.parts) > 1 and path.parts[0] == split]
            for split in SPLITS
        }
    return {split: [found[index] for index in split_indices(len(found), split)] for split in SPLITS}


def _decide_masks(survey: FolderSurvey, chosen: Sequence[Path], masks: bool | None) -> bool:
    """Whether masks are read. Raises DatasetError where some pictures lack theirs."""
    without = [path for path in chosen if path not in survey.masks]
    if masks is False or (masks is None and len(without) == len(chosen)):
        return False
    if without:
        raise DatasetError(
            f"{len(without)} of {len(chosen)} pictures in {survey.root} have no mask: "
            f"{name_some(without)}. Add {_mask_names(without[0])[0]} and so on; or take the masks "
            "away, since training needs none; or pass masks=False to datasets.load"
        )
    return True


def _leave_out_broken(root: Path, chosen: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The pictures that can be read, and those that cannot, of which a warning tells."""
    good, broken = [], []
    for path in chosen:
        try:
            read_pixels(root / path)
            good.append(path)
        except DatasetError:
            broken.append(path)
    if not good:
        raise DatasetError(f"none of the {len(chosen)} pictures in {root} can be read")
    if broken:
        warnings.warn(
            f"{len(broken)} of {len(chosen)} pictures in {root} cannot be read and are left out: "
            f"{name_some(broken)}",
            stacklevel=3,
        )
    return good, broken


def _warn_of_small(images: Sequence[Path], size: tuple[int, int]) -> None:
    """Warns of pictures that have fewer pixels than they are wanted at."""
    small = [path for path in images if min(read_size(path)) < min(size)]
    if small:
        warnings.warn(
            f"{len(small)} of {len(images)} pictures are smaller than {size[0]} x {size[1]} pixels "
            f"and are enlarged, which makes them blurred: {name_some(small)}",
            stacklevel=3,
        )


def _check_memory(root: Path, count: int, size: Size | None) -> None:
    """Raises DatasetError where the pictures would not fit into memory at this size."""
    if size is None or not hasattr(os, "sysconf"):
        return
    height, width = height_and_width(size)
    room = MOST_OF_MEMORY * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    most = int(room / (4 * height * width))  # three channels and a mask
    if count > most:
        raise DatasetError(
            f"{root} has {count:,} pictures for this split, and {most:,} of {height} x {width} "
            f"pixels fit into memory: pass limit={most}, or a smaller size"
        )
