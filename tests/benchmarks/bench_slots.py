"""Forward and backward of `SlotMixture` against its naive broadcast form and `SlotAttention`."""

import statistics
import time
from collections.abc import Iterator

import torch
from torch.profiler import ProfilerActivity, profile

from smm_tutorial.slots.attention import SlotAttention
from smm_tutorial.slots.mixture import SlotMixture
from tests.naive_slots import NaiveSlotMixture

# B, N, K, D, least speed-up over the naive form
SHAPES = [(16, 1024, 7, 64, 8), (4, 4096, 11, 64, 25)]
REPEATS = 15


def _step(module: torch.nn.Module, inputs: torch.Tensor, noise: torch.Tensor) -> None:
    module.zero_grad()
    module(inputs, noise=noise).slots.square().sum().backward()


def _interleaved_seconds(modules: dict, *arguments: torch.Tensor) -> dict[str, float]:
    """Median seconds of each module's step. They alternate: a busy moment hits all of them."""
    seconds = {name: [] for name in modules}
    for repeat in range(REPEATS + 1):
        for name, module in modules.items():
            began = time.perf_counter()
            _step(module, *arguments)
            if repeat:  # the first round warms up
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _peak_bytes(module: torch.nn.Module, *arguments: torch.Tensor) -> int:
    """The most memory that tensors of one step hold at once, as torch reports it."""
    _step(module, *arguments)  # gradients exist from here on
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        _step(module, *arguments)
    held = peak = 0
    for event in recorded.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def measure() -> Iterator[dict]:
    for batch, inputs, slots, dim, least in SHAPES:
        generator = torch.Generator().manual_seed(0)
        arguments = (
            torch.randn(batch, inputs, dim, generator=generator),
            torch.randn(batch, slots, dim, generator=generator),
        )
        torch.manual_seed(0)
        modules = {
            "attention": SlotAttention(slots, dim, dim),
            "matrix": SlotMixture(slots, dim, dim),
            "naive": NaiveSlotMixture(slots, dim, dim),
        }
        seconds = _interleaved_seconds(modules, *arguments)
        shape = f"B{batch} N{inputs} K{slots} D{dim}"
        yield {
            "name": f"SlotMixture {shape}: forward and backward against naive",
            "value": seconds["naive"] / seconds["matrix"],
            "unit": "x faster",
            "bar": f">= {least}",
        }
        peaks = {name: _peak_bytes(modules[name], *arguments) for name in ("matrix", "naive")}
        yield {
            "name": f"SlotMixture {shape}: peak memory against naive",
            "value": peaks["naive"] / peaks["matrix"],
            "unit": "x lower",
            "bar": ">= 8",
        }
        yield {
            "name": f"SlotMixture {shape}: forward and backward against SlotAttention",
            "value": seconds["matrix"] / seconds["attention"],
            "unit": "x its time",
            "bar": "<= 2.2",
        }
