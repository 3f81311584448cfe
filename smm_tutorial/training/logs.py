"""What a run logged, and what it takes."""

import contextlib
import importlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch


def read_log(folder: str | Path) -> list[dict]:
    """The entries of a run's log so far; a line that a kill cut short is left out."""
    file, entries = Path(folder) / "log.jsonl", []
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return entries


class Reached(NamedTuple):
    """When a run got somewhere."""

    step: int
    seconds: float | None  # None where the log does not say


def time_to(
    log: list[dict], metric: str, *, at_least: float | None = None, at_most: float | None = None
) -> Reached | None:
    """When `metric` was first logged at or above `at_least`, or at or below `at_most`; None if it
    never was.

    log: of `Run`, or by `read_log`. The answer is as fine as the log: it names the first entry, not
    the moment.

    Raises `ValueError` for a metric that was never logged, or unless one bound is given.
    """
    if (at_least is None) == (at_most is None):
        raise ValueError("give one of at_least and at_most")
    entries = [entry for entry in log if metric in entry]
    if not entries:
        known = ", ".join(sorted({name for entry in log for name in entry})) or "nothing"
        raise ValueError(f"{metric!r} was never logged; the log has {known}")
    for entry in entries:
        if entry[metric] >= at_least if at_most is None else entry[metric] <= at_most:
            return Reached(entry["step"], entry.get("seconds"))
    return None


class TensorBoard:
    """Log entries as TensorBoard's event files, in a folder. Needs the package `tensorboard`, which
    the course does not.

    Raises `ImportError` that says how to get it.
    """

    def __init__(self, folder: str | Path):
        try:
            tensorboard = importlib.import_module("torch.utils.tensorboard")
        except ImportError as error:
            raise ImportError(
                f"tensorboard={str(folder)!r} needs a package that is not installed ({error}): "
                "pip install tensorboard, or leave tensorboard out; the log is in the run's log.jsonl in any case"
            ) from error
        self.writer = tensorboard.SummaryWriter(str(folder))

    def log(self, entry: dict) -> None:
        for name, value in entry.items():
            if name != "step":
                self.writer.add_scalar(name, value, entry["step"])
        self.writer.flush()


class Meter:
    """What a call of `training.fit` takes: time, throughput and memory.

    done: steps that the run had done before the call, `seconds_before` what they took.
    """

    def __init__(self, device: torch.device, batch_size: int, done: int, seconds_before: float):
        self.device, self.batch_size, self.first = device, batch_size, done
        self.began, self.seconds_before, self.away = time.perf_counter(), seconds_before, 0.0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    @property
    def seconds(self) -> float:
        """Of all calls on this run."""
        return self.seconds_before + time.perf_counter() - self.began

    @property
    def peak_memory_mib(self) -> float | None:
        """The most GPU memory that tensors have taken since the call began; None on a CPU."""
        return (
            round(torch.cuda.max_memory_allocated(self.device) / 2**20, 1)
            if self.device.type == "cuda"
            else None
        )

    def images_per_s(self, done: int) -> float:
        """Images trained on a second, up to step `done`; what was done while paused does not
        count.
        """
        return round(
            (done - self.first) * self.batch_size / (time.perf_counter() - self.began - self.away),
            1,
        )

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.away += time.perf_counter() - began

    def readings(self, done: int) -> dict[str, float]:
        """For the log."""
        memory = {} if self.peak_memory_mib is None else {"peak_memory_mib": self.peak_memory_mib}
        return {"images_per_s": self.images_per_s(done)} | memory
