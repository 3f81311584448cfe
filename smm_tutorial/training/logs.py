"""What a run logs, and what it takes: time, throughput and memory."""

import contextlib
import importlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from smm_tutorial.checkpoints import CheckpointError


def is_count(value: Any) -> bool:
    """Whether it is a whole number from 0 on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def read_log(folder: str | Path) -> list[dict]:
    """The entries of a run's log so far. A last line that a kill cut short is left out.

    Raises `CheckpointError` for a log that no run wrote.
    """
    file, entries = Path(folder) / "log.jsonl", []
    lines = file.read_bytes().split(b"\n") if file.exists() else [b""]
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if isinstance(entry, dict) and is_count(entry.get("step")):
            entries.append(entry)
        elif number < len(lines):
            raise CheckpointError(
                f"{file} is damaged: line {number} is no entry with a step ({line[:40]!r}); delete "
                "that line, or the file, to go on without"
            )
    return entries


class TensorBoard:
    """Log entries as TensorBoard's event files, in a folder.

    It needs the package `tensorboard`. Raises `ImportError` that says how to get it.
    """

    def __init__(self, folder: str | Path):
        try:
            tensorboard = importlib.import_module("torch.utils.tensorboard")
        except ImportError as error:
            raise ImportError(
                f"tensorboard={str(folder)!r} needs a package that is not installed ({error}): "
                "pip install tensorboard, or leave tensorboard out; "
                "the log is in the run's log.jsonl in any case"
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
        if self.device.type != "cuda":
            return None
        return round(torch.cuda.max_memory_allocated(self.device) / 2**20, 1)

    def images_per_s(self, done: int) -> float:
        """Images per second of training, up to step `done`. Pauses do not count."""
        seconds = time.perf_counter() - self.began - self.away
        return round((done - self.first) * self.batch_size / seconds, 1)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.away += time.perf_counter() - began

    def readings(self, done: int) -> dict[str, float]:
        """For the log; none where the call has not trained."""
        if done == self.first:
            return {}
        memory = {} if self.peak_memory_mib is None else {"peak_memory_mib": self.peak_memory_mib}
        return {"images_per_s": self.images_per_s(done)} | memory
