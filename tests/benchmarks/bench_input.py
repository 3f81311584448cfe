"""The input pipeline: the share of a training step that goes into drawing a batch and making floats
of it.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch

from smm_tutorial import datasets, discovery
from smm_tutorial.discovery.recipe import MIRRORED, make_loss
from smm_tutorial.discovery.runs import DiscoveryRun
from smm_tutorial.training.batches import Batches, Share
from smm_tutorial.training.config import fast_precision
from smm_tutorial.training.loop import step_generator

SCENES, REPEATS = 256, 5


def _seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])  # the first one warms up


def _share(run: DiscoveryRun, device: str) -> float:
    """Percent of a training step, in the hardware's precision, that drawing its batch takes.

    The data lie on the device, as bytes.
    """
    data = datasets.load("clevr6", split="train", size=run.config.image_size, limit=SCENES)
    model = discovery.build_model(run.config, run.seed).to(device)
    draw_noise = partial(model.start_noise, num_slots=run.loss.num_slots)
    batches = Batches(data, run.training.batch_size, draw_noise, mirrored=MIRRORED)
    batches.place(torch.device(device), Share())
    loss = make_loss(run.loss, run.training.steps)
    half = fast_precision().startswith("bf16")

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=half):
            value = loss(model, batches.draw(step_generator(0, 0)), 0)["loss"]
        value.backward()

    return 100 * _seconds(lambda: batches.draw(step_generator(0, 0))) / _seconds(step)


def measure() -> Iterator[dict]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for name in ("laptop", "gpu"):
        run = DiscoveryRun(profile=name)
        side = run.config.image_size
        shape = f"{run.training.batch_size} images of {side}x{side}"
        yield {
            "name": f"input pipeline, {name} profile on {device}: {shape}",
            "value": _share(run, device),
            "unit": "% of a step",
            "bar": "<= 5",
        }
