"""The log of a run, and measurements of its time, throughput and memory."""

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
    """Whether a value is a whole number of at least 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def read_log(folder: str | Path) -> list[dict]:
    """Reads the entries of a run's log, `log.jsonl` in its folder. Without a log the list is empty.

    If a kill cut the last line short, this line is left out.

    Raises `CheckpointError` if another line is not an entry of a log.
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
    """Writes log entries to a folder as event files of TensorBoard.

    Raises `ImportError` if the package `tensorboard` is not installed.
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
    """Measures the time, the throughput and the memory of a call of `training.fit`.

    device: the device that computes. batch_size: images per step. done: number of steps before the
    call. seconds_before, memory_before: the time of these steps, in seconds, and their largest
    memory, in MiB.
    """

    def __init__(
        self,
        device: torch.device,
        batch_size: int,
        done: int,
        seconds_before: float,
        memory_before: float = 0.0,
    ):
        self.device, self.batch_size, self.first = device, batch_size, done
        self.began, self.seconds_before, self.away = time.perf_counter(), seconds_before, 0.0
        self.memory_before = memory_before
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    @property
    def seconds(self) -> float:
        """The time of all calls on this run, in seconds."""
        return self.seconds_before + time.perf_counter() - self.began

    @property
    def peak_memory_mib(self) -> float | None:
        """The largest GPU memory of tensors in all calls on this run, in MiB; None on a CPU."""
        if self.device.type != "cuda":
            return None
        of_call = round(torch.cuda.max_memory_allocated(self.device) / 2**20, 1)
        return max(of_call, self.memory_before)

    def images_per_s(self, done: int) -> float:
        """Computes the training images per second of this call, up to step `done`.

        The time of pauses does not count.
        """
        seconds = time.perf_counter() - self.began - self.away
        return round((done - self.first) * self.batch_size / seconds, 1)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.away += time.perf_counter() - began

    def readings(self, done: int) -> dict[str, float]:
        """Returns the measurements for the log; an empty dict before the call's first step."""
        if done == self.first:
            return {}
        memory = {} if self.peak_memory_mib is None else {"peak_memory_mib": self.peak_memory_mib}
        return {"images_per_s": self.images_per_s(done)} | memory
