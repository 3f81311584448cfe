"""Scenes drawn and rendered in chunks, by one process or several, each chunk with a random stream
of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from smm_tutorial.scenes import PAPER_CROP, Scene, random_scene
from smm_tutorial.scenes.camera import Window
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.raytrace import render
from smm_tutorial.scenes.beyond_clevr import BEYOND_CLEVR

DRAWN: Mapping[str, Callable[..., Scene]] = {"clevr": random_scene, **BEYOND_CLEVR}
"""By name: what draws one scene from a generator, given the fewest and most objects, image_index,
split and its options.
"""
SCENES_PER_RENDER = 16
RECORD_DECIMALS = (
    6  # of every number in a record, rounded before rendering: the image shows the rounded scene
)
Work, Result = TypeVar("Work"), TypeVar("Result")


@dataclass(frozen=True)
class Look:
    """What is drawn and how it is seen.

    Args:
        min_objects, max_objects: fewest and most objects of a scene; the window may hide some of
        them.
        height, width: of the images in pixels.
        window: (top, left, bottom, right), the part of CLEVR's 4:3 frame that is seen.
        samples: rays a pixel.
        effects: what the renderer simulates.
        scenes: a key of `DRAWN`, what draws the scenes.
        options: of that function, e.g. {"condition": "B"} of "cogent".

    Raises:
        ValueError: scenes that nothing draws.
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
        if self.scenes not in DRAWN:
            raise ValueError(f"scenes must be one of {', '.join(DRAWN)}, got {self.scenes!r}")


class Rendered(NamedTuple):
    """The scenes of one chunk."""

    images: Tensor  # (S, 3, H, W) uint8
    masks: Tensor  # (S, H, W) uint8
    records: list[dict[str, Any]]


def render_numbered(
    look: Look, generator: np.random.Generator, split: str, start: int, stop: int
) -> Rendered:
    """Draws the scenes `start` to `stop` of a split from the generator and renders them."""
    draw, scenes = DRAWN[look.scenes], []
    for index in range(start, stop):
        scene = draw(
            generator,
            look.min_objects,
            look.max_objects,
            image_index=index,
            split=split,
            **look.options,
        )
        scenes.append(Scene.from_record(rounded(scene.to_record())))
    images, masks = [], []
    for begin in range(0, len(scenes), SCENES_PER_RENDER):
        some = scenes[begin : begin + SCENES_PER_RENDER]
        rendering = render(
            some,
            look.height,
            look.width,
            samples=look.samples,
            window=look.window,
            effects=look.effects,
        )
        images.append((rendering.images * 255).round().byte())
        masks.append(rendering.masks.byte())
    return Rendered(torch.cat(images), torch.cat(masks), [scene.to_record() for scene in scenes])


def rounded(value: Any) -> Any:
    """A JSON value with its floats rounded to `RECORD_DECIMALS`: half the size, and a thousandth of
    a pixel at most.
    """
    if isinstance(value, float):
        return round(value, RECORD_DECIMALS)
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def shared_out(
    work: Callable[[Work], Result], items: Sequence[Work], workers: int
) -> Iterator[Result]:
    """`work` on every item, in order, by `workers` processes of one thread each; by this one where
    workers is 1.
    """
    if workers == 1:
        yield from map(work, items)
        return
    with ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        yield from pool.map(work, items)
