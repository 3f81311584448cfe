"""ShapeStacks: towers of two to six shapes in random rooms (Groth et al., arXiv 1804.08018).

The file splits/default/{split}.txt lists the names of scenarios. An image of 224 x 224 pixels is
recordings/{scenario}/rgb-...-cam_{k}-mono-0.png. The labels of its shapes lie beside it, in
iseg-...-cam_{k}-mono-0.map.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from smm_tutorial.arguments import check_whole
from smm_tutorial.datasets.cropping import Size, centre_crop
from smm_tutorial.datasets.image_files import read_images, read_masks
from smm_tutorial.datasets.others.sources import SOURCES, announce
from smm_tutorial.datasets.picture_folders import find_pictures
from smm_tutorial.datasets.scene_images import DatasetError, SceneImages, check_split, choose_scenes
from smm_tutorial.datasets.transfer.addresses import show_address
from smm_tutorial.datasets.transfer.disk import folder_or_downloads, lock_folder
from smm_tutorial.datasets.transfer.manifests import read_manifest
from smm_tutorial.datasets.transfer.remote_file import Patience
from smm_tutorial.datasets.transfer.remote_tar import unpack_tar, was_interrupted

NAME = "shapestacks"
SOURCE = SOURCES[NAME]
SPLITS = {"train": "train", "val": "eval", "test": "test"}  # our names -> names in the files
PAPER_CROP = 196 / 224  # side of the central square in GENESIS and its successors, as a share
GREY_PER_LABEL = 32  # a .map is a grey PNG of eight levels: label k has the grey value 32 k
UNASSIGNED = 7  # the label of pixels that belong to no shape; here they are background
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
    """ShapeStacks images with masks of the shapes, sorted by scenario and then by name.

    A record gives the scenario, the camera, the number of shapes ("objects") and whether the tower
    stands.

    Args:
        split: "train", "val" (the files call it eval) or "test", of the split "default".
        size: height and width of the result; images antialiased (bilinear), masks by nearest
            neighbour; None keeps 224 x 224.
        root: the folder that holds splits/ and recordings/; None looks in the course's downloads.
        crop: "paper" for the central 196 x 196 pixels, or None for the whole image.
        limit: at most so many images, from the first, counted after the bounds on objects.
        min_objects, max_objects: only towers of so many shapes.

    Raises:
        DatasetError: the folder or a file is missing or damaged.
        ValueError: an unknown split or crop, an impossible bound, or no image left.
    """
    check_split(NAME, split, SPLITS)
    find_box = centre_crop(crop, "paper", "the central 196 pixels", PAPER_CROP)
    images = _list_images(folder_or_downloads(root, NAME), split)
    announce(NAME)
    records = [_make_record(path) for path in images]
    heights = [len(record["objects"]) for record in records]
    chosen = choose_scenes(heights, len(images), limit, min_objects, max_objects)
    images = [images[index] for index in chosen]
    masks = [_mask_of(path) for path in images]
    return SceneImages(
        images=read_images(images, find_box, size),
        filenames=[f"{path.parent.name}/{path.name}" for path in images],
        name=NAME,
        split=split,
        licence=SOURCE.licence,
        provenance={"source": SOURCE.homepage, "crop": crop, "size": size},
        masks=read_masks(masks, find_box, size, _find_labels, images),
        records=[records[index] for index in chosen],
    )


def download_shapestacks(
    split: str = "train",
    count: int = 100,
    folder: str | Path | None = None,
    urls: dict[str, str] | None = None,
    patience: Patience | None = None,
) -> Path:
    """Downloads `count` images of a split with their masks, in the order of the archive of images.

    Args:
        split: as in `load_shapestacks`.
        count: how many images; a tower has several images, one per camera.
        folder: the parent of splits/ and recordings/; None takes the course's downloads.
        urls: of the archives, by name (meta, rgb, iseg).
        patience: with the server.

    Returns:
        The folder, for `load_shapestacks(root=...)`.

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
    with lock_folder(target):
        if not _split_file(target, split).is_file() or was_interrupted(urls["meta"], target):
            unpack_tar(urls["meta"], target, _place_member, lambda name: False, patience)
        scenarios = _read_scenarios(target, split)
        wanted: set[str] = set()  # the masks of the images that have arrived

        def image_arrived(name: str) -> bool:
            path = Path(name)
            if IMAGE.fullmatch(path.name) and path.parent.name in scenarios and len(wanted) < count:
                wanted.add(_mask_of(path).as_posix())
            return len(wanted) >= count

        there = read_manifest(target)
        if not any([image_arrived(name) for name in there]):
            unpack_tar(urls["rgb"], target, _place_member, image_arrived, patience)
        missing = wanted - set(there)

        def mask_arrived(name: str) -> bool:
            missing.discard(name)
            return not missing

        if missing:
            unpack_tar(urls["iseg"], target, _place_member, mask_arrived, patience)
    if missing:
        raise DatasetError(
            f"{show_address(urls['iseg'])} lacks {len(missing)} masks, e.g. {min(missing)}: "
            "fetch again, or fewer"
        )
    if len(wanted) < count:
        raise DatasetError(
            f"{show_address(urls['rgb'])} holds {len(wanted)} images of {split}, expected {count}: "
            "ask for no more"
        )
    return target


def _place_member(member: str) -> str | None:
    match = MEMBER.fullmatch(member)
    return match and match[1]


def _split_file(folder: Path, split: str) -> Path:
    return folder / "splits" / "default" / f"{SPLITS[split]}.txt"


def _read_scenarios(folder: Path, split: str) -> set[str]:
    path = _split_file(folder, split)
    try:
        names = set(path.read_text(encoding="utf-8").split())
    except OSError as error:
        raise DatasetError(
            f"cannot read {path} ({error.strerror}): run `smm-tutorial data download {NAME} "
            f"--count 100`, or unpack the archives from {SOURCE.homepage} and pass root= to the "
            "folder that holds splits/"
        ) from error
    if not names:
        raise DatasetError(f"{path} lists no scenario: unpack shapestacks-meta.tar.gz again")
    return names


def _list_images(folder: Path, split: str) -> list[Path]:
    """The split's images: those downloaded with their masks, or else the images of all its
    scenarios.
    """
    scenarios = _read_scenarios(folder, split)
    fetched = set(read_manifest(folder))
    again = (
        f"run `smm-tutorial data download {NAME} --split {split}` again, "
        "or unpack the archives again"
    )
    images = [path for path in map(Path, sorted(fetched)) if IMAGE.fullmatch(path.name)]
    found = [
        folder / path
        for path in images
        if path.parent.name in scenarios and _mask_of(path).as_posix() in fetched
    ]
    if not fetched:
        for scenario in sorted(scenarios):
            place = folder / "recordings" / scenario
            pictures = find_pictures(place, "rgb-*.png")
            here = [path for path in pictures if IMAGE.fullmatch(path.name)]
            if not here:
                raise DatasetError(f"{place} holds no images: {again}")
            found += here
    if not found:
        raise DatasetError(f"{folder} holds no images of {split} with masks: {again}")
    return found


def _mask_of(image: Path) -> Path:
    """The file of labels of an image. All textures and lights of a camera share one such file."""
    camera = IMAGE.fullmatch(image.name)[1]
    return image.with_name(f"iseg-w=0-f=0-l=0-c=original-cam_{camera}-mono-0.map")


def _make_record(image: Path) -> dict[str, Any]:
    """The record of an image, from its name and folder.

    A tower stands if neither its centre of mass nor a curved surface was made to violate stability.
    """
    scenario = image.parent.name
    if (match := SCENARIO.fullmatch(scenario)) is None:
        raise DatasetError(
            f"{scenario!r} is no name of a scenario, such as env_ccs-easy-h=3-vcom=0-vpsf=0-v=1"
        )
    height, mass, surface = (int(number) for number in match.groups())
    return {
        "image_filename": image.name,
        "scenario": scenario,
        "camera": int(IMAGE.fullmatch(image.name)[1]),
        "stable": mass == surface == 0,
        "objects": [{"label": label} for label in range(1, height + 1)],
    }


def _find_labels(pixels: np.ndarray) -> np.ndarray:
    """The labels (h, w) in the pixels (h, w, 3) of a .map file."""
    grey = pixels[..., 0]
    if (pixels != grey[..., None]).any() or (grey % GREY_PER_LABEL).any():
        raise ValueError(f"a .map has grey values that are multiples of {GREY_PER_LABEL}")
    labels = grey // GREY_PER_LABEL
    return np.where(labels == UNASSIGNED, 0, labels)
