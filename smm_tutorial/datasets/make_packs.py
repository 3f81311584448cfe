"""Makes the committed packs of "clevr6" anew: `python -m smm_tutorial.datasets.make_packs`.

Every chunk of 64 scenes draws from a generator of its own, seeded with (seed, split, chunk), and is rendered on one
thread. So the packs do not depend on how many processes share the work. All files are written at the end, each whole
or not at all, the provenance with the checksums last: a run that is killed leaves the old packs as they were.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
import torch
from PIL import features
from torch import Tensor
from tqdm import tqdm

from smm_tutorial import paths
from smm_tutorial import scenes as scenes_package
from smm_tutorial.datasets.clevr6 import NAME, PROVENANCE_FILE
from smm_tutorial.datasets.packs import pack_bytes, sha256_of
from smm_tutorial.datasets.scene_images import SceneImages
from smm_tutorial.scenes import PAPER_CROP, Scene, random_scene
from smm_tutorial.scenes.raytrace import render

COUNTS = {"train": 3520, "val": 320, "test": 320}
MIN_OBJECTS, MAX_OBJECTS = 3, 6
SIZE = 64  # pixels, height and width
SAMPLES = 4  # rays a pixel
CHUNK = 64  # scenes: one strip of a pack
SCENES_PER_RENDER = 16
RECORD_DECIMALS = 6  # of every number in a record, rounded before rendering: the image shows the rounded scene
LICENCE = "CC BY 4.0"
MAKES = "Makes the committed packs of clevr6 anew."


class Chunk(NamedTuple):
    """Which scenes to make: numbers `start` to `stop` of a split."""

    seed: int
    split: str
    start: int
    stop: int


class Rendered(NamedTuple):
    """The scenes of one chunk."""

    images: Tensor  # (S, 3, H, W) uint8
    masks: Tensor  # (S, H, W) uint8
    records: list[dict[str, Any]]


def render_chunk(chunk: Chunk) -> Rendered:
    """Draws the scenes of a chunk and renders them."""
    stream = (chunk.seed, sorted(COUNTS).index(chunk.split), chunk.start)
    generator = np.random.default_rng(stream)
    scenes = []
    for index in range(chunk.start, chunk.stop):
        scene = random_scene(generator, MIN_OBJECTS, MAX_OBJECTS, image_index=index, split=chunk.split)
        scenes.append(Scene.from_record(rounded(scene.to_record())))
    images, masks = [], []
    for start in range(0, len(scenes), SCENES_PER_RENDER):
        some = scenes[start : start + SCENES_PER_RENDER]
        rendering = render(some, SIZE, SIZE, samples=SAMPLES, window=PAPER_CROP)
        images.append((rendering.images * 255).round().byte())
        masks.append(rendering.masks.byte())
    return Rendered(torch.cat(images), torch.cat(masks), [scene.to_record() for scene in scenes])


def rounded(value: Any) -> Any:
    """A JSON value with its floats rounded to `RECORD_DECIMALS`: half the size, and a thousandth of a pixel at most."""
    if isinstance(value, float):
        return round(value, RECORD_DECIMALS)
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def make_packs(folder: Path, seed: int, counts: Mapping[str, int], workers: int) -> dict[str, Any]:
    """Writes a pack for each split and their provenance into `folder`.

    Args:
        folder: where to; made if absent.
        seed: of all randomness; the same seed gives the same bytes (with the same library and Pillow versions).
        counts: number of scenes of each split.
        workers: processes that share the work.

    Returns:
        The provenance as written, with size and sha256 of each file.
    """
    chunks = [
        Chunk(seed, split, start, min(start + CHUNK, count))
        for split, count in counts.items()
        for start in range(0, count, CHUNK)
    ]
    origin = _origin(seed, counts)  # now: the sources may be edited while their loaded code renders
    rendered: dict[str, list[Rendered]] = {split: [] for split in counts}
    with tqdm(total=sum(counts.values()), unit="scene", desc="rendering") as progress:
        for chunk, result in zip(chunks, _render_all(chunks, workers), strict=True):
            rendered[chunk.split].append(result)
            progress.update(len(result.records))

    packs = {split: pack_bytes(_joined(split, parts, origin)) for split, parts in rendered.items()}
    files = {
        split: {"file": f"{split}.zip", "count": counts[split], "bytes": len(pack), "sha256": sha256_of(pack)}
        for split, pack in packs.items()
    }
    provenance = {"name": NAME, "licence": LICENCE, **origin, "files": files}
    for split, pack in packs.items():
        paths.write_atomically(folder / files[split]["file"], pack)
    paths.write_atomically(folder / PROVENANCE_FILE, (json.dumps(provenance, indent=2) + "\n").encode())
    return provenance


def renderer_fingerprint() -> str:
    """sha256 over the source of the scenes package: tells which renderer made a pack, and whether it has changed."""
    digest = hashlib.sha256()
    for path in sorted(Path(scenes_package.__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _render_all(chunks: Sequence[Chunk], workers: int) -> Iterator[Rendered]:
    """The chunks' scenes, in order, by `workers` processes of one thread each."""
    if workers == 1:
        yield from map(render_chunk, chunks)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from pool.map(render_chunk, chunks)


def _joined(split: str, parts: Sequence[Rendered], origin: Mapping[str, Any]) -> SceneImages:
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
    """How the packs came about; the same wherever and whenever they are made from the same code and versions."""
    sizes = "".join(f" --{split} {count}" for split, count in counts.items() if count != COUNTS[split])
    return {
        "description": f"scenes of {MIN_OBJECTS} to {MAX_OBJECTS} objects by CLEVR's rules, rendered by this library",
        "command": f"python -m smm_tutorial.datasets.make_packs --seed {seed}{sizes}",
        "seed": seed,
        "renderer": {
            "sources_sha256": renderer_fingerprint(),
            "height": SIZE,
            "width": SIZE,
            "samples": SAMPLES,
            "window": list(PAPER_CROP),
            "window_meaning": "top, left, bottom, right as fractions: rows 29:221, columns 64:256 of 240 x 320",
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
    parser = argparse.ArgumentParser(prog="python -m smm_tutorial.datasets.make_packs", description=MAKES)
    parser.add_argument("--seed", type=int, default=0, help="of all randomness (default: 0, the committed packs)")
    parser.add_argument("--folder", type=Path, default=None, help="where to (default: the committed packs)")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the rendering (default: 1)")
    for split, count in COUNTS.items():
        parser.add_argument(f"--{split}", type=int, default=count, help=f"scenes of this split (default: {count})")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # as in the workers: sums over several threads may round differently
    folder = options.folder if options.folder is not None else paths.packs_dir() / NAME
    counts = {split: getattr(options, split) for split in COUNTS}
    provenance = make_packs(folder, options.seed, counts, options.workers)
    total = sum(entry["bytes"] for entry in provenance["files"].values())
    for entry in provenance["files"].values():
        print(f"{folder / entry['file']}: {entry['count']} scenes, {entry['bytes'] / 1e6:.2f} MB")
    print(f"together {total / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
