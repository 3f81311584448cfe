"""Training scenes for set prediction: rendered by several processes, stored uncompressed."""

import json
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import torch

from smm_tutorial.datasets import SceneImages
from smm_tutorial.datasets.own.clevr6 import resize_scenes
from smm_tutorial.datasets.own.rendered import (
    CHUNK,
    LICENCE,
    NAME,
    RENDERED_VARIANTS,
    Chunk,
    render_chunk,
)
from smm_tutorial.datasets.own.rendering import map_in_processes
from smm_tutorial.datasets.scene_images import DatasetError, join_scenes
from smm_tutorial.files import write_atomically

IMAGES, RECORDS = "images.npy", "records.json"


def render_scenes(
    work: Path, variant: str, size: int, count: int, seconds: float, device: str, workers: int
) -> int:
    """Renders training scenes of a variant into `work` and returns how many scenes are there.

    Scenes that `work` already holds are used as they are. Else rendering stops after `count` scenes
    or after so many `seconds`. size: of the images, in pixels. workers: number of processes.
    """
    if not (work / RECORDS).is_file():
        chunks = [
            Chunk(variant, "train", 0, first, first + CHUNK) for first in range(0, count, CHUNK)
        ]
        parts, until = [], time.monotonic() + seconds
        render = partial(render_resized, size=size, device=device)
        with closing(map_in_processes(render, chunks, workers)) as rendered:
            for part in rendered:
                parts.append(part)
                if time.monotonic() > until:
                    break
        _write(work, join_scenes(parts).subset(slice(0, count)))
    return len(json.loads((work / RECORDS).read_text())["filenames"])


def render_resized(chunk: Chunk, size: int, device: str) -> SceneImages:
    """The scenes of a chunk at `size` x `size` pixels, without masks."""
    images, _, records = render_chunk(RENDERED_VARIANTS[chunk.variant], chunk, device)
    names = [record["image_filename"] for record in records]
    records = [{"objects": record["objects"]} for record in records]
    provenance = {"variant": chunk.variant, "device": device}
    data = SceneImages(images, names, NAME, chunk.split, LICENCE, provenance, records=records)
    return resize_scenes(data, size)


def read_scenes(work: Path) -> SceneImages:
    """The scenes that `render_scenes` wrote. Raises `DatasetError` if `work` holds no scenes."""
    try:
        described = json.loads((work / RECORDS).read_text())
        images = torch.from_numpy(np.load(work / IMAGES, allow_pickle=False))
    except OSError as error:
        raise DatasetError(f"{work} holds no rendered scenes ({error.strerror})") from error
    return SceneImages(images=images, licence=LICENCE, name=NAME, split="train", **described)


def wait_for_scenes(work: Path, until: float) -> SceneImages:
    """Wait for the scenes of `render_scenes`, at most until this `time.time()`, and read them.

    Raises `DatasetError` if `work` still holds no scenes then.
    """
    while not (work / RECORDS).is_file() and time.time() < until:
        time.sleep(0.5)
    return read_scenes(work)


def _write(work: Path, data: SceneImages) -> None:
    work.mkdir(parents=True, exist_ok=True)
    with (work / IMAGES).open("wb") as file:
        np.save(file, data.images.numpy())
    described = {"filenames": data.filenames, "records": data.records}
    described["provenance"] = dict(data.provenance)
    write_atomically(work / RECORDS, json.dumps(described).encode())
