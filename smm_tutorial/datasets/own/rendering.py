"""Draws and renders scenes in chunks, in one process or several.

Each chunk has a random stream of its own.
"""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from typing import Any, NamedTuple, TypeVar

import joblib
import numpy as np
import torch
from torch import Tensor

from smm_tutorial.arguments import check_whole
from smm_tutorial.datasets.scene_images import DatasetError, labels_as_bytes
from smm_tutorial.scenes import PAPER_CROP, Scene, random_scene
from smm_tutorial.scenes.beyond_clevr import BEYOND_CLEVR
from smm_tutorial.scenes.camera import Window
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.raytrace import render

#: Functions that draw one scene, by name. Arguments: a generator, the fewest and most objects, an
#: image_index, a split, and options of the function.
SCENE_DRAWERS: Mapping[str, Callable[..., Scene]] = {"clevr": random_scene, **BEYOND_CLEVR}
SCENES_PER_RENDER = 16
#: Decimals of the numbers in records. They are rounded before rendering, so images show these.
RECORD_DECIMALS = 6
MOST_WORKERS = 1024
IDLE_SECONDS = 10  # a process without work ends after this time
PARENT_SECONDS = 0.5  # between two checks that the parent still runs
Work, Result = TypeVar("Work"), TypeVar("Result")


@dataclass(frozen=True)
class Look:
    """How scenes are drawn, rendered and viewed.

    Args:
        min_objects, max_objects: fewest and most objects of a scene; the window may hide some.
        height, width: of the images in pixels.
        window: (top, left, bottom, right), the visible part of CLEVR's 4:3 frame.
        samples: rays per pixel.
        effects: what the renderer simulates.
        scenes: a key of `SCENE_DRAWERS`, the function that draws the scenes.
        options: of that function, e.g. {"condition": "B"} of "cogent".

    Raises:
        ValueError: a number that is not whole or is below 1, or an unknown kind of scenes.
    """

    min_objects: int
    max_objects: int
    height: int
    width: int
    window: Window = PAPER_CROP
    samples: int = 4
    effects: Effects = Effects()
    scenes: str = "clevr"
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        for name in ("min_objects", "max_objects", "height", "width", "samples"):
            check_whole(name, getattr(self, name))
        if self.scenes not in SCENE_DRAWERS:
            known = ", ".join(SCENE_DRAWERS)
            raise ValueError(f"scenes must be one of {known}, got {self.scenes!r}")


class RenderedScenes(NamedTuple):
    """The S scenes of one chunk."""

    images: Tensor  # (S, 3, H, W) uint8
    masks: Tensor  # (S, H, W) uint8
    records: list[dict[str, Any]]


def draw_and_render(
    look: Look,
    generator: np.random.Generator,
    split: str,
    start: int,
    stop: int,
    device: torch.device | str = "cpu",
) -> RenderedScenes:
    """Draws the scenes from `start` to below `stop` of a split, and renders them.

    device: where light is computed. The result lies on the CPU. Between two devices, a few pixels
    differ by 1/255.
    """
    draw = partial(SCENE_DRAWERS[look.scenes], generator, look.min_objects, look.max_objects)
    scenes = []
    for index in range(start, stop):
        scene = draw(image_index=index, split=split, **look.options)
        scenes.append(Scene.from_record(round_floats(scene.to_record())))
    images, masks = [], []
    for begin in range(0, len(scenes), SCENES_PER_RENDER):
        rendering = render(
            scenes[begin : begin + SCENES_PER_RENDER],
            look.height,
            look.width,
            samples=look.samples,
            device=device,
            window=look.window,
            effects=look.effects,
        )
        images.append((rendering.images * 255).round().byte().cpu())
        masks.append(torch.from_numpy(labels_as_bytes(rendering.masks.cpu().numpy())))
    records = [scene.to_record() for scene in scenes]
    return RenderedScenes(torch.cat(images), torch.cat(masks), records)


def round_floats(value: Any) -> Any:
    """A JSON value with its floats rounded to `RECORD_DECIMALS`.

    Rounding halves the size of records. It moves the picture by at most a thousandth of a pixel.
    """
    if isinstance(value, float):
        return round(value, RECORD_DECIMALS)
    if isinstance(value, Mapping):
        return {key: round_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [round_floats(item) for item in value]
    return value


def available_processes() -> int:
    """The number of processes for rendering: one per core that this process may use."""
    return joblib.cpu_count()


def map_in_processes(
    work: Callable[[Work], Result], items: Sequence[Work], workers: int
) -> Iterator[Result]:
    """`work(item)` for every item, in order, by `workers` processes with one thread each.

    With one worker, this process does the work. Several workers are new processes that import
    `work` from its module. They do not run the caller's script, so the script needs no `if __name__
    == "__main__":`. To stop early, close the iterator (`contextlib.closing`): this ends the
    processes at once.

    Raises:
        DatasetError: a process ended before its work was done.
    """
    workers = min(workers, len(items))
    if workers <= 1:
        yield from map(work, items)
        return
    pool = joblib.Parallel(
        workers,
        backend="loky",
        return_as="generator",
        batch_size=1,
        idle_worker_timeout=IDLE_SECONDS,
        initializer=_start_worker,
        initargs=(os.getpid(),),
    )
    results = pool(joblib.delayed(work)(item) for item in items)
    try:
        for result in results:  # noqa: UP028 (`yield from` would close `results` with its warning)
            yield result
    except BrokenProcessPool as error:
        raise DatasetError(
            f"one of {workers} processes was ended from outside or crashed, often for lack of "
            "memory: ask again with fewer workers; what has been written whole is kept"
        ) from error
    finally:
        with warnings.catch_warnings():  # joblib warns about results that were not read
            warnings.simplefilter("ignore")
            results.close()


def _start_worker(parent: int) -> None:
    """Sets one thread, ignores Ctrl-C, and ends this process when its parent ends."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: int) -> None:
    """Ends this process when its parent has ended, for example by a signal."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)
