"""Scenes that are rendered on this machine at their first use, and kept on disk.

They add to the embedded scenes, also with other kinds of scenes. A variant is rendered in chunks of
16 scenes. Each chunk is written as one pack, completely or not at all. The name of its file has the
checksum of its content; a damaged chunk is rendered again. The folder of the chunks is named after
the variant and the renderer's version. So a new version of the renderer renders everything again.
"""

from __future__ import annotations

import re
import warnings
import zlib
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from smm_tutorial import paths
from smm_tutorial.arguments import check_whole, show_value
from smm_tutorial.datasets.cropping import Size
from smm_tutorial.datasets.image_files import PROGRESS_AFTER
from smm_tutorial.datasets.own.clevr6 import resize_scenes
from smm_tutorial.datasets.own.packs import pack_bytes, read_pack, sha256_hex
from smm_tutorial.datasets.own.rendering import (
    MOST_WORKERS,
    Look,
    RenderedScenes,
    draw_and_render,
    map_in_processes,
    round_floats,
)
from smm_tutorial.datasets.scene_images import (
    DatasetError,
    SceneImages,
    check_bounds,
    check_split,
    choose_scenes,
    join_scenes,
)
from smm_tutorial.datasets.transfer.disk import delete_file, lock_folder, write_file
from smm_tutorial.scenes.camera import OFFICIAL_WINDOW
from smm_tutorial.scenes.raytrace import RENDERER_VERSION

NAME = "rendered"
FOLDER = "rendered"
SPLITS = ("train", "val", "test")
#: A window of the 4:3 frame: it shows 95 % of a crowd's objects whole, the paper's crop 83 %.
FULL_SQUARE = (0.0, 1 / 8, 1.0, 7 / 8)
#: The variants by name. A variant's name is part of its random seed, so no two variants share a
#: scene.
RENDERED_VARIANTS = {
    "clevr": Look(3, 10, 64, 64),
    # a half and a quarter of CLEVR's own 320 x 480 pixels
    "clevr-whole": Look(3, 10, 160, 240, window=OFFICIAL_WINDOW, samples=1),
    "clevr6-whole": Look(3, 6, 80, 120, window=OFFICIAL_WINDOW, samples=1),
    "clevr6": Look(3, 6, 64, 64),  # like the embedded packs, but other scenes
    "clevr7-10": Look(7, 10, 64, 64),  # more objects than the packs have
    "clevr-mirror": Look(3, 6, 64, 64, scenes="mirror"),
    "clevr-tex": Look(3, 6, 64, 64, scenes="textured"),
    "clevr-tex-camouflage": Look(3, 6, 64, 64, scenes="textured", options={"camouflage": "ground"}),
    "stacks": Look(2, 9, 64, 64, scenes="stacks"),
    "cogent-a": Look(3, 6, 64, 64, scenes="cogent", options={"condition": "A"}),
    "out-of-distribution-pairs": Look(3, 6, 64, 64, scenes="cogent", options={"condition": "B"}),
    "out-of-distribution-crowd": Look(11, 16, 64, 64, window=FULL_SQUARE, scenes="crowded"),
}
CHUNK = 16  # scenes
MOST_SCENES = 10**6
LARGEST_SEED = 2**64 - 1
CHECKSUM_LENGTH = 16  # hexadecimal digits of the sha256 in a file's name
CHUNK_NAME = re.compile(r"[\w-]+-v\d+/\w+-seed\d+-\d{6,}-[0-9a-f]{16}\.zip")
LICENCE = "CC BY 4.0"


class Chunk(NamedTuple):
    """The scenes from `start` to below `stop` of a variant's split."""

    variant: str
    split: str
    seed: int
    start: int
    stop: int


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
    """The first `count` scenes of a variant, with masks and records.

    Missing scenes are rendered first.

    Args:
        split: "train", "val" or "test": different random streams.
        size: height and width to resize to (images by area means, masks by nearest neighbour); None
            keeps the variant's size.
        variant: a key of `RENDERED_VARIANTS`.
        count: how many scenes.
        min_objects, max_objects: of these, only scenes with so many objects in the *record*; the
            window may hide some objects.
        seed: of all randomness.
        folder: where the renders are kept; None takes the course's downloads.
        workers: number of processes for rendering, with one thread each.

    Raises:
        ValueError: an unknown split or variant, an impossible number, or no scene left.
        DatasetError: the disk is full, or a rendering process was killed.
    """
    check_split(NAME, split, SPLITS)
    if not isinstance(variant, str) or variant not in RENDERED_VARIANTS:
        known = ", ".join(RENDERED_VARIANTS)
        raise ValueError(f"{NAME} has no variant {show_value(variant)}: known are {known}")
    count = check_whole("count", count, most=MOST_SCENES)
    seed = check_whole("seed", seed, least=0, most=LARGEST_SEED)
    workers = check_whole("workers", workers, most=MOST_WORKERS)
    check_bounds(None, min_objects, max_objects)
    chunks = [Chunk(variant, split, seed, start, start + CHUNK) for start in range(0, count, CHUNK)]
    place = renders_folder(folder, variant)
    parts = _read_chunks(place, chunks)
    if len(parts) < len(chunks):  # rendering needs the folder for itself, reading does not
        with lock_folder(place, "rendering into"):
            missing = [chunk for chunk in chunks if chunk not in parts]
            parts |= _read_chunks(place, missing)  # of a process that rendered in the meantime
            missing = [chunk for chunk in missing if chunk not in parts]
            parts |= _render_chunks(place, missing, workers)
    data = join_scenes([parts[chunk] for chunk in chunks]).subset(slice(0, count))
    object_counts = [len(record["objects"]) for record in data.records]
    chosen = choose_scenes(object_counts, count, None, min_objects, max_objects)
    data = data if len(chosen) == count else data.subset(chosen)
    return data if size is None else resize_scenes(data, size)


def render_chunk(look: Look, chunk: Chunk, device: torch.device | str = "cpu") -> RenderedScenes:
    """Draws and renders one chunk. On a CPU the result is the same on every machine."""
    name_hash = zlib.crc32(chunk.variant.encode())
    stream = (chunk.seed, SPLITS.index(chunk.split), chunk.start, name_hash)
    generator = np.random.default_rng(stream)
    return draw_and_render(look, generator, chunk.split, chunk.start, chunk.stop, device)


def renders_folder(folder: str | Path | None, variant: str) -> Path:
    """The folder of a variant's chunks, for the current version of the renderer."""
    base = Path(folder) if folder is not None else paths.downloads_dir() / FOLDER
    return base / f"{variant}-v{RENDERER_VERSION}"


def find_damaged_renders(folder: Path) -> list[str]:
    """The chunks below a folder whose content does not match the checksum in their names."""
    found = [(path.relative_to(folder).as_posix(), path) for path in folder.glob("*/*.zip")]
    chunks = sorted((name, path) for name, path in found if CHUNK_NAME.fullmatch(name))
    return [name for name, path in chunks if not _is_whole(path)]


def _read_chunks(place: Path, chunks: list[Chunk]) -> dict[Chunk, SceneImages]:
    """The chunks that are whole on disk. Chunks that are absent or damaged are left out."""
    stored: dict[str, list[Path]] = {}
    for path in sorted(place.glob("*.zip")):
        stored.setdefault(path.name.rpartition("-")[0], []).append(path)
    parts = {}
    for chunk in chunks:
        whole = next(filter(_is_whole, stored.get(_chunk_name(chunk), [])), None)
        if whole is not None:
            parts[chunk] = read_pack(whole, remedy=f"delete {whole}, it is rendered again")
    return parts


def _is_whole(path: Path) -> bool:
    """Whether a file's content fits the checksum in its name. A file that is gone is not whole."""
    try:
        return _short_checksum(path.read_bytes()) == path.stem.rsplit("-", 1)[1]
    except FileNotFoundError:  # another process has just replaced it
        return False
    except OSError as error:
        raise DatasetError(
            f"cannot read {path} ({error.strerror}): delete it, it is rendered again"
        ) from error


def _render_chunks(place: Path, chunks: list[Chunk], workers: int) -> dict[Chunk, SceneImages]:
    """Renders chunks of one variant and writes each one to its file, in place of damaged files."""
    if not chunks:
        return {}
    variant, total = chunks[0].variant, len(chunks) * CHUNK
    work = partial(_render_and_pack, RENDERED_VARIANTS[variant])
    parts = {}
    with (
        tqdm(desc=f"rendering {variant}", total=total, unit="scene", delay=PROGRESS_AFTER) as bar,
        closing(map_in_processes(work, chunks, workers)) as results,
    ):
        for chunk, (data, content) in zip(chunks, results, strict=True):
            for path in place.glob(f"{_chunk_name(chunk)}-*.zip"):
                warnings.warn(f"{path} is damaged: its scenes are rendered again", stacklevel=4)
                delete_file(place, path.name)
            write_file(place, f"{_chunk_name(chunk)}-{_short_checksum(content)}.zip", content)
            parts[chunk] = data
            bar.update(CHUNK)
    return parts


def _render_and_pack(look: Look, chunk: Chunk) -> tuple[SceneImages, bytes]:
    """Renders a chunk. Returns its scenes, and the content of its file.

    The processes that render also pack: packing takes a third of the time of rendering, or more.
    """
    scenes = render_chunk(look, chunk)
    data = SceneImages(
        images=scenes.images,
        filenames=[record["image_filename"] for record in scenes.records],
        name=NAME,
        split=chunk.split,
        licence=LICENCE,
        provenance={
            "variant": chunk.variant,
            "seed": chunk.seed,
            "look": round_floats(asdict(look)),
            "renderer_version": RENDERER_VERSION,
        },
        masks=scenes.masks,
        records=scenes.records,
    )
    return data, pack_bytes(data)


def _chunk_name(chunk: Chunk) -> str:
    """The name of a chunk's file up to its checksum."""
    return f"{chunk.split}-seed{chunk.seed}-{chunk.start:06d}"


def _short_checksum(content: bytes) -> str:
    return sha256_hex(content)[:CHECKSUM_LENGTH]
