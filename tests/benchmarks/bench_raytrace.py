"""The ray tracer: images a second with everything simulated, what that costs over the plainest
look, and its memory.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from smm_tutorial.scenes import Scene, random_scenes
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.raytrace import RAYS_PER_CHUNK, render

PLAIN = Effects(
    shadows="none", ambient="none", reflections="none", bounces=0
)  # what can be seen, in its colour
SIZES = [
    (64, 1, 32, 50),
    (128, 4, 8, 5),
]  # side, samples, scenes, least images a second on two idle cores
REPEATS = 3
MEMORY_SCENES = 96  # of 128 x 128 with 4 samples: 6.3 million rays
RSS = """
import resource, numpy as np
from smm_tutorial.scenes import random_scenes
from smm_tutorial.scenes.raytrace import render
scenes = random_scenes({scenes}, np.random.default_rng(0))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
render(scenes, 128, 128, samples=4)
print(peak() / 2**20)
"""


def _interleaved_seconds(variants: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each variant; they take turns, so that a busy moment hits all of them."""
    seconds = {name: [] for name in variants}
    for repeat in range(REPEATS + 1):
        for name, variant in variants.items():
            began = time.perf_counter()
            variant()
            if repeat:  # the first round warms up
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _peak_gib(scenes: int) -> float:
    """Peak resident memory of a fresh process that renders so many scenes at once, in GiB."""
    run = subprocess.run(
        [sys.executable, "-c", RSS.format(scenes=scenes)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(run.stdout.split()[0])


def measure() -> Iterator[dict]:
    scenes: list[Scene] = random_scenes(
        max(count for *_, count, _ in SIZES), np.random.default_rng(0)
    )
    for side, samples, count, least in SIZES:
        some = scenes[:count]
        seconds = _interleaved_seconds(
            {
                "all": lambda some=some, side=side, samples=samples: render(
                    some, side, side, samples
                ),
                "plain": lambda some=some, side=side, samples=samples: render(
                    some, side, side, samples, effects=PLAIN
                ),
                "alone": lambda some=some, side=side, samples=samples: [
                    render([s], side, side, samples) for s in some
                ],
            }
        )
        shape = f"ray tracer {side}x{side}, {samples} a pixel"
        yield {
            "name": f"{shape}: all effects",
            "value": count / seconds["all"],
            "unit": "images/s",
            "bar": f">= {least}",
        }
        yield {
            "name": f"{shape}: all effects against shapes and colours alone",
            "value": seconds["all"] / seconds["plain"],
            "unit": "x its time",
            "bar": "<= 12",
        }
        if (
            2 * side * side * samples <= RAYS_PER_CHUNK["cpu"]
        ):  # else scenes are rendered one by one anyway
            yield {
                "name": f"{shape}: a batch of {count} against one by one",
                "value": seconds["alone"] / seconds["all"],
                "unit": "x faster",
                "bar": ">= 1",
            }
    yield {
        "name": f"ray tracer: peak memory of {MEMORY_SCENES} images of 128x128, 4 a pixel",
        "value": _peak_gib(MEMORY_SCENES),
        "unit": "GiB resident",
        "bar": "<= 2",
    }
