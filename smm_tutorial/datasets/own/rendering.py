"""Scenes drawn and rendered in chunks, by one process or several.

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

#: By name: each draws one scene from a generator, given the fewest and most objects, an
#: image_index, a split and its own options.
SCENE_DRAWERS: Mapping[str, Callable[..., Scene]] = {"clevr": random_scene, **BEYOND_CLEVR}
SCENES_PER_RENDER = 16
#: Of every number in a record, rounded before rendering: the image shows the rounded scene.
RECORD_DECIMALS = 6
MOST_WORKERS = 1024
IDLE_SECONDS = 10  # after which a process without work ends
PARENT_SECONDS = 0.5  # between two looks whether the parent still runs
Work, Result = TypeVar("Work"), TypeVar("Result")


@dataclass(frozen=True)
class Look:
    """What is drawn and how it is seen.

    Args:
        min_objects, max_objects: fewest and most objects of a scene; the window may hide some.
        height, width: of the images in pixels.
        window: (top, left, bottom, right), the part of CLEVR's 4:3 frame that is seen.
        samples: rays per pixel.
        effects: what the renderer simulates.
        scenes: a key of `SCENE_DRAWERS`, what draws the scenes.
        options: of that function, e.g. {"condition": "B"} of "cogent".

    Raises:
        ValueError: a number that is not whole and at least 1, or scenes that nothing draws.
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
    """The scenes of one chunk."""

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
    """Draws the scenes `start` to `stop` of a split from the generator and renders them.

    device: where light is computed. What comes back lies on the CPU; of two devices, a few pixels
    differ by a step of 1/255.
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

    That halves the size and moves the picture by at most a thousandth of a pixel.
    """
    if isinstance(value, float):
        return round(value, RECORD_DECIMALS)
    if isinstance(value, Mapping):
        return {key: round_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [round_floats(item) for item in value]
    return value


def available_processes() -> int:
    """How many processes may share the rendering: one per core that this process may use."""
    return joblib.cpu_count()


def map_in_processes(
    work: Callable[[Work], Result], items: Sequence[Work], workers: int
) -> Iterator[Result]:
    """`work(item)` for every item, in order, shared by `workers` processes of one thread each.

    One worker is this process itself. Several are fresh processes that import `work` from its
    module. They do not run the caller's script again, so it needs no `if __name__ == "__main__":`.
    Who stops early closes the iterator (`contextlib.closing`): that ends them at once.

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
        with warnings.catch_warnings():  # joblib warns of results that nobody took
            warnings.simplefilter("ignore")
            results.close()


def _start_worker(parent: int) -> None:
    """Makes this process compute in one thread, leave Ctrl-C to its parent, and end with it."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: int) -> None:
    """Ends this process once its parent has ended, which a signal may have stopped at once."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)
