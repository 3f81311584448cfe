"""Makes the committed packs of "clevr6" anew: `python -m smm_tutorial.datasets.make_packs`.

Every chunk of 64 scenes has its own random generator, seeded with (seed, split, chunk), and is
rendered on one thread. So the packs do not depend on the number of processes. All files are written
at the end, each file completely or not at all. The provenance with the checksums is written last.
So a run that is killed earlier leaves the old packs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
import torch
from PIL import features
from tqdm import tqdm

from smm_tutorial.arguments import check_whole
from smm_tutorial.datasets.own.clevr6 import NAME, PROVENANCE_FILE, packs_folder
from smm_tutorial.datasets.own.packs import pack_bytes, sha256_hex
from smm_tutorial.datasets.own.rendering import (
    MOST_WORKERS,
    RECORD_DECIMALS,
    Look,
    RenderedScenes,
    draw_and_render,
    map_in_processes,
)
from smm_tutorial.datasets.scene_images import SceneImages, check_split
from smm_tutorial.files import write_atomically
from smm_tutorial.scenes import PAPER_CROP
from smm_tutorial.scenes.raytrace import RENDERER_VERSION

COUNTS = {"train": 3520, "val": 320, "test": 320}
LOOK = Look(min_objects=3, max_objects=6, height=64, width=64, window=PAPER_CROP, samples=4)
CHUNK = 64  # scenes: one strip of a pack
LICENCE = "CC BY 4.0"


class Chunk(NamedTuple):
    """The scenes with the numbers from `start` to below `stop` of a split."""

    seed: int
    split: str
    start: int
    stop: int


def render_chunk(chunk: Chunk) -> RenderedScenes:
    """Draws the scenes of a chunk and renders them."""
    stream = (chunk.seed, sorted(COUNTS).index(chunk.split), chunk.start)
    generator = np.random.default_rng(stream)
    return draw_and_render(LOOK, generator, chunk.split, chunk.start, chunk.stop)


def make_packs(folder: Path, seed: int, counts: Mapping[str, int], workers: int) -> dict[str, Any]:
    """Writes a pack for each split, and their provenance, into `folder`.

    Args:
        folder: is made if it does not exist.
        seed: of all randomness; the same seed gives the same bytes (with the same library and
            Pillow versions).
        counts: number of scenes of each split.
        workers: number of processes.

    Returns:
        The provenance as written, with size and sha256 of each file.

    Raises:
        ValueError: another split than those of `COUNTS`, or an impossible number.
        DatasetError: a rendering process was killed.
    """
    seed = check_whole("seed", seed, least=0)
    workers = check_whole("workers", workers, most=MOST_WORKERS)
    for split, count in counts.items():
        check_split(NAME, split, COUNTS)
        check_whole(f"count of {split}", count)
    chunks = [
        Chunk(seed, split, start, min(start + CHUNK, count))
        for split, count in counts.items()
        for start in range(0, count, CHUNK)
    ]
    origin = _origin(seed, counts)
    parts: dict[str, list[RenderedScenes]] = {split: [] for split in counts}
    with (
        tqdm(total=sum(counts.values()), unit="scene", desc="rendering") as progress,
        closing(map_in_processes(render_chunk, chunks, workers)) as results,
    ):
        for chunk, scenes in zip(chunks, results, strict=True):
            parts[chunk.split].append(scenes)
            progress.update(len(scenes.records))

    packs, files = {}, {}
    for split, count in counts.items():
        pack = packs[split] = pack_bytes(_join_chunks(split, parts[split], origin))
        files[split] = {
            "file": f"{split}.zip",
            "count": count,
            "bytes": len(pack),
            "sha256": sha256_hex(pack),
        }
    provenance = {"name": NAME, "licence": LICENCE, **origin, "files": files}
    for split, pack in packs.items():
        write_atomically(folder / files[split]["file"], pack)
    content = json.dumps(provenance, indent=2) + "\n"
    write_atomically(folder / PROVENANCE_FILE, content.encode())
    return provenance


def _join_chunks(
    split: str, parts: Sequence[RenderedScenes], origin: Mapping[str, Any]
) -> SceneImages:
    records = [record for part in parts for record in part.records]
    return SceneImages(
        images=torch.cat([part.images for part in parts]),
        filenames=[record["image_filename"] for record in records],
        name=NAME,
        split=split,
        licence=LICENCE,
        provenance=origin,
        masks=torch.cat([part.masks for part in parts]),
        records=records,
    )


def _origin(seed: int, counts: Mapping[str, int]) -> dict[str, Any]:
    """How the packs were made. It is the same on all machines with the same code and versions."""
    other = {split: count for split, count in counts.items() if count != COUNTS[split]}
    sizes = "".join(f" --{split} {count}" for split, count in other.items())
    return {
        "description": f"scenes of {LOOK.min_objects} to {LOOK.max_objects} objects by CLEVR's "
        "rules, rendered by this library",
        "command": f"python -m smm_tutorial.datasets.make_packs --seed {seed}{sizes}",
        "seed": seed,
        "renderer_version": RENDERER_VERSION,
        "renderer": {
            "height": LOOK.height,
            "width": LOOK.width,
            "samples": LOOK.samples,
            "window": list(LOOK.window),
            "window_meaning": "top, left, bottom, right as fractions: rows 29:221, "
            "columns 64:256 of 240 x 320",
        },
        "record_decimals": RECORD_DECIMALS,
        "versions": {
            "torch": torch.__version__.split("+")[0],
            "numpy": np.__version__,
            "pillow": PIL.__version__,
            "webp": features.version("webp"),
        },
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m smm_tutorial.datasets.make_packs",
        description="Makes the committed packs of clevr6 anew.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seed", type=int, default=0, help="of all randomness; 0 for the committed packs")
    add("--folder", type=Path, default=packs_folder(), help="where to")
    add("--workers", type=int, default=1, help="processes that share the rendering")
    for split, count in COUNTS.items():
        add(f"--{split}", type=int, default=count, help="scenes of this split")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # as in the workers: more threads may round sums differently
    counts = {split: getattr(options, split) for split in COUNTS}
    provenance = make_packs(options.folder, options.seed, counts, options.workers)
    total = sum(entry["bytes"] for entry in provenance["files"].values())
    for entry in provenance["files"].values():
        path, megabytes = options.folder / entry["file"], entry["bytes"] / 1e6
        print(f"{path}: {entry['count']} scenes, {megabytes:.2f} MB")
    print(f"together {total / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
