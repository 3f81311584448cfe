"""ShapeStacks: towers of two to six shapes before random walls and floors (Groth et al., arXiv
1804.08018).

The layout is splits/default/{split}.txt with names of scenarios,
recordings/{scenario}/rgb-...-cam_{k}-mono-0.png with images of 224 x 224 and, beside them,
iseg-...-cam_{k}-mono-0.map with the labels of the shapes.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from smm_tutorial import paths
from smm_tutorial.datasets.cropping import BILINEAR, NEAREST, Size, centre_box, fit_pixels
from smm_tutorial.datasets.image_files import PixelsError, read_images, read_masks
from smm_tutorial.datasets.others.sources import SOURCES, announce
from smm_tutorial.datasets.scene_images import DatasetError, SceneImages, choose_scenes
from smm_tutorial.datasets.transfer.archives import unpack_from
from smm_tutorial.datasets.transfer.manifests import read_manifest
from smm_tutorial.datasets.transfer.remote_file import Patience, only_one

NAME = "shapestacks"
FOLDER = "shapestacks"
SPLITS = {"train": "train", "val": "eval", "test": "test"}  # our names and the files'
PAPER_CROP = (
    196  # pixels: the side of the central square that GENESIS and its successors use, of 224
)
GREY_PER_LABEL = 32  # a .map is a grey PNG of eight levels: label k has the grey value 32 k
UNASSIGNED = (
    7  # the level for pixels that the makers could give to no shape; here they count as background
)
IMAGE = re.compile(r"rgb-.*-cam_(\d+)-mono-0\.png")
SCENARIO = re.compile(r"env_.*-h=(\d+)-vcom=(\d+)-vpsf=(\d+)-v=\d+")
MEMBER = re.compile(r"(?:.*/)?((?:splits|recordings)/.*)")


def load_shapestacks(
    split: str = "train",
    size: Size | None = None,
    root: str | Path | None = None,
    crop: str | None = None,
    limit: int | None = None,
    min_objects: int | None = None,
    max_objects: int | None = None,
) -> SceneImages:
    """ShapeStacks images with masks of the shapes, by scenario and then by name.

    A record tells the scenario, the camera, the number of shapes ("objects") and whether the tower
    stands.

    Args:
        split: "train", "val" (the files call it eval) or "test", of the split "default".
        size: height and width of the result; images antialiased (bilinear), masks by nearest
        neighbour; None keeps
            224 x 224.
        root: the folder that holds splits/ and recordings/; None looks in the course's downloads.
        crop: "paper" for the central 196 x 196 pixels, or None for the whole image.
        limit: at most so many images, from the first, counted after the bounds on objects.
        min_objects, max_objects: only towers of so many shapes.

    Raises:
        DatasetError: the folder or a file is missing or damaged.
        ValueError: an unknown split or crop, an impossible bound, or no image left.
    """
    if split not in SPLITS:
        raise ValueError(f"{NAME} has no split {split!r}: known are {', '.join(SPLITS)}")
    if crop not in (None, "paper"):
        raise ValueError(
            f'crop must be "paper" (the central {PAPER_CROP} pixels) or None, got {crop!r}'
        )
    folder = Path(root) if root is not None else paths.downloads_dir() / FOLDER
    images = _images(folder, split)
    announce(NAME)
    heights = [_height(path.parent.name) for path in images]
    chosen = choose_scenes(heights, len(images), limit, min_objects, max_objects)
    images = [images[index] for index in chosen]
    side = PAPER_CROP if crop == "paper" else None
    return SceneImages(
        images=read_images(images, partial(_fit, side, size)),
        filenames=[f"{path.parent.name}/{path.name}" for path in images],
        name=NAME,
        split=split,
        licence=SOURCES[NAME].licence,
        provenance={"source": SOURCES[NAME].homepage, "crop": crop, "size": size},
        masks=read_masks(
            [_mask_of(path) for path in images], partial(_fit_labels, side, size), mode="RGB"
        ),
        records=[_record(path) for path in images],
    )


def download_shapestacks(
    split: str = "train",
    count: int = 100,
    folder: str | Path | None = None,
    urls: dict[str, str] | None = None,
    patience: Patience | None = None,
) -> Path:
    """Fetches `count` images of a split with their masks, in the order in which the archive of
    images holds them.

    Args:
        split: as `load_shapestacks`.
        count: how many images; a tower has several, one a camera.
        folder: where splits/ and recordings/ go; None takes the course's downloads.
        urls: of the archives, by name (meta, rgb, iseg).
        patience: with the server.

    Returns:
        The folder, as `load_shapestacks(root=...)` wants it.

    Raises:
        ValueError: an unknown split or a count below 1.
        DatasetError: the server fails, an archive is damaged, the disk is full or there are not so
        many images.
    """
    if split not in SPLITS:
        raise ValueError(f"{NAME} has no split {split!r}: known are {', '.join(SPLITS)}")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    announce(NAME)
    urls = {**SOURCES[NAME].addresses, **(urls or {})}
    target = Path(folder) if folder is not None else paths.downloads_dir() / FOLDER
    with only_one(target):
        if not _split_file(target, split).is_file():
            unpack_from(urls["meta"], target, _place, lambda name: False, patience)
        scenarios = set(_scenarios(target, split))
        wanted: set[str] = set()  # the masks of the images that have arrived

        def image_arrived(name: str) -> bool:
            path = Path(name)
            if IMAGE.fullmatch(path.name) and path.parent.name in scenarios and len(wanted) < count:
                wanted.add(_mask_of(path).as_posix())
            return len(wanted) >= count

        there = read_manifest(target)
        if not any([image_arrived(name) for name in there]):
            unpack_from(urls["rgb"], target, _place, image_arrived, patience)
        missing = wanted - set(there)

        def mask_arrived(name: str) -> bool:
            missing.discard(name)
            return not missing

        if missing:
            unpack_from(urls["iseg"], target, _place, mask_arrived, patience)
    if missing:
        raise DatasetError(
            f"{urls['iseg']} lacks {len(missing)} masks, e.g. {min(missing)}: fetch again, or fewer"
        )
    if len(wanted) < count:
        raise DatasetError(
            f"{urls['rgb']} holds {len(wanted)} images of {split}, expected {count}: ask for no more"
        )
    return target


def _place(member: str) -> str | None:
    match = MEMBER.fullmatch(member)
    return match[1] if match and ".." not in member else None


def _split_file(folder: Path, split: str) -> Path:
    return folder / "splits" / "default" / f"{SPLITS[split]}.txt"


def _scenarios(folder: Path, split: str) -> list[str]:
    path = _split_file(folder, split)
    try:
        names = path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise DatasetError(
            f"cannot read {path} ({error.strerror}): run `smm-tutorial data download {NAME} --count 100`, or unpack the "
            f"archives from {SOURCES[NAME].homepage} and pass root= to the folder that holds splits/"
        ) from error
    if not names:
        raise DatasetError(f"{path} lists no scenario: unpack shapestacks-meta.tar.gz again")
    return names


def _images(folder: Path, split: str) -> list[Path]:
    """The images of the split: those that were downloaded with their masks, or else all of its
    scenarios.
    """
    scenarios = _scenarios(folder, split)
    fetched = set(read_manifest(folder))
    again = f"run `smm-tutorial data download {NAME} --split {split}` again, or unpack the archives again"
    found: list[Path] = []
    if fetched:
        wanted = set(scenarios)
        for path in map(Path, sorted(fetched)):
            if (
                IMAGE.fullmatch(path.name)
                and path.parent.name in wanted
                and _mask_of(path).as_posix() in fetched
            ):
                found.append(folder / path)
    else:
        for scenario in sorted(scenarios):
            here = sorted(
                p
                for p in (folder / "recordings" / scenario).glob("rgb-*.png")
                if IMAGE.fullmatch(p.name)
            )
            if not here:
                raise DatasetError(f"{folder / 'recordings' / scenario} holds no images: {again}")
            found += here
    if not found:
        raise DatasetError(f"{folder} holds no images of {split} with masks: {again}")
    return found


def _mask_of(image: Path) -> Path:
    """The labels of what a camera sees: the same for every texture and light."""
    camera = IMAGE.fullmatch(image.name)[1]
    return image.with_name(f"iseg-w=0-f=0-l=0-c=original-cam_{camera}-mono-0.map")


def _height(scenario: str) -> int:
    """How many shapes are stacked."""
    return int(_parts(scenario)[1])


def _parts(scenario: str) -> re.Match[str]:
    if (match := SCENARIO.fullmatch(scenario)) is None:
        raise DatasetError(
            f"{scenario!r} is no name of a scenario, such as env_ccs-easy-h=3-vcom=0-vpsf=0-v=1"
        )
    return match


def _record(image: Path) -> dict[str, Any]:
    """A tower stands when neither its centre of mass nor a curved surface was made to violate
    stability.
    """
    height, mass, surface = (int(number) for number in _parts(image.parent.name).groups())
    return {
        "image_filename": image.name,
        "scenario": image.parent.name,
        "camera": int(IMAGE.fullmatch(image.name)[1]),
        "stable": mass == surface == 0,
        "objects": [{"label": label} for label in range(1, height + 1)],
    }


def _fit(side: int | None, size: Size | None, pixels: np.ndarray) -> np.ndarray:
    return fit_pixels(pixels, centre_box(*pixels.shape[:2], side), size, BILINEAR)


def _fit_labels(side: int | None, size: Size | None, pixels: np.ndarray) -> np.ndarray:
    grey = pixels[..., 0]
    if (pixels != grey[..., None]).any() or (grey % GREY_PER_LABEL).any():
        raise PixelsError(f"a .map has grey values that are multiples of {GREY_PER_LABEL}")
    labels = grey // GREY_PER_LABEL
    labels = np.where(labels == UNASSIGNED, 0, labels).astype(np.uint8)
    return fit_pixels(labels, centre_box(*labels.shape, side), size, NEAREST)
