"""The ray tracer: images a second with everything simulated, what that costs over the plainest
look, and its memory.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from smm_tutorial.scenes import Scene, random_scenes
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.raytrace import RAYS_PER_CHUNK, render

#: Only what can be seen, in its colour.
PLAIN = Effects(shadows="none", ambient="none", reflections="none", bounces=0)
#: Side, samples, scenes, least images a second on two idle cores.
SIZES = [(64, 1, 32, 50), (128, 4, 8, 5)]
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


def _interleaved_seconds(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each call; they take turns, so that a busy moment hits all of them."""
    seconds = {name: [] for name in calls}
    for repeat in range(REPEATS + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if repeat:  # the first round warms up
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _render_one_by_one(scenes: list[Scene], side: int, samples: int) -> None:
    for scene in scenes:
        render([scene], side, side, samples)


def _peak_gib(scenes: int) -> float:
    """Peak resident memory of a fresh process that renders so many scenes at once, in GiB."""
    command = [sys.executable, "-c", RSS.format(scenes=scenes)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(run.stdout.split()[0])


def measure() -> Iterator[dict]:
    scenes = random_scenes(max(count for *_, count, _ in SIZES), np.random.default_rng(0))
    for side, samples, count, least in SIZES:
        some = scenes[:count]
        seconds = _interleaved_seconds(
            {
                "all": partial(render, some, side, side, samples),
                "plain": partial(render, some, side, side, samples, effects=PLAIN),
                "alone": partial(_render_one_by_one, some, side, samples),
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
        if 2 * side * side * samples <= RAYS_PER_CHUNK["cpu"]:  # else scenes are rendered singly
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
