"""The input pipeline: the share of a training step that drawing a batch as floats takes."""

import statistics
import time
from collections.abc import Callable, Iterator

import torch

from smm_tutorial import datasets, discovery
from smm_tutorial.discovery.loss import ReconstructionLoss
from smm_tutorial.profiles import PROFILES, Profile
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


def _share(profile: Profile, device: str) -> float:
    """Percent of a step of discovery, in the hardware's precision, that its batch takes.

    The data lie on the device as bytes.
    """
    sizes = profile.discovery
    data = datasets.load("clevr6", split="train", size=sizes.image_size, limit=SCENES).to(device)
    model = discovery.discovery_model(discovery.discovery_config("mixture", profile), 0).to(device)
    loss = ReconstructionLoss(model, data, sizes.batch_size, num_slots=sizes.train_slots)
    half = fast_precision().startswith("bf16")

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=half):
            value = loss(model, step_generator(0, 0), 0)["loss"]
        value.backward()

    return 100 * _seconds(lambda: loss.draw(step_generator(0, 0))) / _seconds(step)


def measure() -> Iterator[dict]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for name in ("laptop", "gpu"):
        sizes = PROFILES[name].discovery
        shape = f"{sizes.batch_size} images of {sizes.image_size}x{sizes.image_size}"
        yield {
            "name": f"input pipeline, {name} profile on {device}: {shape}",
            "value": _share(PROFILES[name], device),
            "unit": "% of a step",
            "bar": "<= 5",
        }
