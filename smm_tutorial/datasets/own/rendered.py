"""Scenes rendered on this machine when they are asked for, and kept: more of them, or others, than
the embedded ones.

A variant is rendered in chunks of 16 scenes, each written as a pack of its own, whole or not at
all. A chunk's file carries the checksum of its content in its name; a damaged one is rendered
again. Chunks lie in a folder named after the variant and the renderer's version, so a changed
renderer starts afresh.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from smm_tutorial import paths
from smm_tutorial.datasets.cropping import Size
from smm_tutorial.datasets.image_files import PROGRESS_AFTER
from smm_tutorial.datasets.own.clevr6 import resized
from smm_tutorial.datasets.own.packs import pack_bytes, read_pack, sha256_of
from smm_tutorial.datasets.own.rendering import Look, Rendered, render_numbered, rounded, shared_out
from smm_tutorial.datasets.scene_images import (
    DatasetError,
    SceneImages,
    check_bounds,
    choose_scenes,
    joined,
)
from smm_tutorial.datasets.transfer.remote_file import only_one, write_or_explain
from smm_tutorial.scenes.raytrace import RENDERER_VERSION

NAME = "rendered"
FOLDER = "rendered"
SPLITS = ("train", "val", "test")
OFFICIAL_WINDOW = (
    1 / 18,
    0.0,
    17 / 18,
    1.0,
)  # what CLEVR's images of 480 x 320 show of the 4:3 frame
FULL_SQUARE = (
    0.0,
    1 / 8,
    1.0,
    7 / 8,
)  # of the 4:3 frame: it shows 95 % of a crowd's objects whole, the paper's crop 83 %
VARIANTS = {
    "clevr": Look(3, 10, 64, 64),
    "clevr-whole": Look(
        3, 10, 160, 240, window=OFFICIAL_WINDOW, samples=1
    ),  # half of CLEVR's own 320 x 480
    "clevr6-whole": Look(3, 6, 80, 120, window=OFFICIAL_WINDOW, samples=1),  # a quarter of it
    "clevr6": Look(3, 6, 64, 64),  # as the embedded packs, but other scenes
    "clevr7-10": Look(7, 10, 64, 64),  # more objects than the packs have
    "clevr-mirror": Look(3, 6, 64, 64, scenes="mirror"),
    "clevr-tex": Look(3, 6, 64, 64, scenes="textured"),
    "clevr-tex-camouflage": Look(3, 6, 64, 64, scenes="textured", options={"camouflage": "ground"}),
    "stacks": Look(2, 9, 64, 64, scenes="stacks"),
    "cogent-a": Look(3, 6, 64, 64, scenes="cogent", options={"condition": "A"}),
    "out-of-distribution-pairs": Look(3, 6, 64, 64, scenes="cogent", options={"condition": "B"}),
    "out-of-distribution-crowd": Look(11, 16, 64, 64, window=FULL_SQUARE, scenes="crowded"),
}
"""What can be rendered. The random streams contain the variant's name: no two variants share a
scene.
"""
CHUNK = 16  # scenes
CHECKSUM_LENGTH = 16  # hexadecimal digits of the sha256 in a file's name
LICENCE = "CC BY 4.0"


class Chunk(NamedTuple):
    """Scenes `start` to `start + CHUNK` of a variant's split."""

    variant: str
    split: str
    seed: int
    start: int


def load_rendered(
    split: str = "train",
    size: Size | None = None,
    variant: str = "clevr",
    count: int = 64,
    min_objects: int | None = None,
    max_objects: int | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    workers: int = 1,
) -> SceneImages:
    """The first `count` scenes of a variant, with masks and records; those that are not there are
    rendered first.

    Args:
        split: "train", "val" or "test": different random streams.
        size: height and width to resize to (images by area means, masks by nearest neighbour); None
        keeps the variant's.
        variant: a key of `VARIANTS`.
        count: how many scenes.
        min_objects, max_objects: of these, only scenes with so many objects in the *record*; the
        window may hide some.
        seed: of all randomness.
        folder: where the renders are kept; None takes the course's downloads.
        workers: processes that share the rendering, each of one thread.

    Raises:
        ValueError: an unknown split or variant, a count below 1, or no scene left.
        DatasetError: the disk is full.
    """
    if split not in SPLITS:
        raise ValueError(f"{NAME} has no split {split!r}: known are {', '.join(SPLITS)}")
    if variant not in VARIANTS:
        raise ValueError(f"{NAME} has no variant {variant!r}: known are {', '.join(VARIANTS)}")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    check_bounds(None, min_objects, max_objects)
    chunks = [Chunk(variant, split, seed, start) for start in range(0, count, CHUNK)]
    place = renders_folder(folder, variant)
    with only_one(place):
        parts = {chunk: _read(place, chunk) for chunk in chunks}
        missing = [chunk for chunk, part in parts.items() if part is None]
        bar = tqdm(
            total=len(missing) * CHUNK,
            desc=f"rendering {variant}",
            unit="scene",
            delay=PROGRESS_AFTER,
        )
        with bar:
            for chunk, rendered in zip(
                missing, shared_out(render_chunk, missing, workers), strict=True
            ):
                parts[chunk] = _keep(place, chunk, rendered)
                bar.update(CHUNK)
    data = joined([parts[chunk] for chunk in chunks]).subset(slice(0, count))
    chosen = choose_scenes(
        [len(record["objects"]) for record in data.records], count, None, min_objects, max_objects
    )
    data = data if len(chosen) == count else data.subset(chosen)
    return data if size is None else resized(data, size)


def render_chunk(chunk: Chunk) -> Rendered:
    """Draws and renders one chunk; the same wherever and whenever."""
    stream = (
        chunk.seed,
        SPLITS.index(chunk.split),
        chunk.start,
        zlib.crc32(chunk.variant.encode()),
    )
    generator = np.random.default_rng(stream)
    return render_numbered(
        VARIANTS[chunk.variant], generator, chunk.split, chunk.start, chunk.start + CHUNK
    )


def renders_folder(folder: str | Path | None, variant: str) -> Path:
    """Where a variant's chunks lie, for the renderer as it is now."""
    base = Path(folder) if folder is not None else paths.downloads_dir() / FOLDER
    return base / f"{variant}-v{RENDERER_VERSION}"


def damaged_renders(folder: Path) -> list[str]:
    """The chunks below a folder whose content does not match the checksum in their names."""
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*-*.zip"))
        if not _is_whole(path)
    ]


def _stem(chunk: Chunk) -> str:
    return f"{chunk.split}-seed{chunk.seed}-{chunk.start:06d}-"


def _read(place: Path, chunk: Chunk) -> SceneImages | None:
    """The chunk from disk; None where it is absent, or was damaged and has now been removed."""
    for path in _files(place, chunk):
        if _is_whole(path):
            return read_pack(path, remedy=f"delete {path}, it is rendered again")
        warnings.warn(f"{path} is damaged: its scenes are rendered again", stacklevel=4)
        path.unlink()
    return None


def _files(place: Path, chunk: Chunk) -> Iterator[Path]:
    yield from sorted(place.glob(f"{_stem(chunk)}*.zip"))


def _is_whole(path: Path) -> bool:
    try:
        return sha256_of(path.read_bytes())[:CHECKSUM_LENGTH] == path.stem.rsplit("-", 1)[1]
    except OSError as error:
        raise DatasetError(
            f"cannot read {path} ({error.strerror}): delete it, it is rendered again"
        ) from error


def _keep(place: Path, chunk: Chunk, rendered: Rendered) -> SceneImages:
    data = SceneImages(
        images=rendered.images,
        filenames=[record["image_filename"] for record in rendered.records],
        name=NAME,
        split=chunk.split,
        licence=LICENCE,
        provenance={
            "variant": chunk.variant,
            "seed": chunk.seed,
            "look": rounded(asdict(VARIANTS[chunk.variant])),
            "renderer_version": RENDERER_VERSION,
        },
        masks=rendered.masks,
        records=rendered.records,
    )
    content = pack_bytes(data)
    write_or_explain(place / f"{_stem(chunk)}{sha256_of(content)[:CHECKSUM_LENGTH]}.zip", content)
    return data
