"""A training run: all that it goes on from, its folder, what it logged, and what it takes."""

import contextlib
import copy
import importlib
import json
import time
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from smm_tutorial import checkpoints, paths


class WeightAverage:
    """An exponential moving average of a model's weights: `model` here is a copy that holds it.

    After step t it moves to decay x average + (1 - decay) x weights, where decay = min(`decay`, (1 + t) / (10 + t)): an
    early average forgets the random start soon.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.model, self.decay = copy.deepcopy(model).requires_grad_(False), decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for average, weight in zip(self.model.parameters(), model.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)
        for average, value in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(value)


@dataclass
class Trained:
    """All that a step changes; what a state on disk is of."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None = None
    precision: Any = None  # Fabric's: the scale of losses in float16 is its state

    def tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        if self.average:
            tensors |= {f"average.{name}": tensor for name, tensor in self.average.model.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        return tensors

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Raises `RuntimeError` for tensors of another model."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, rest = name.split(".", 1)
            parts[part][rest] = tensor
        self.model.load_state_dict(parts["model"])
        if self.average:
            self.average.model.load_state_dict(parts["average"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimizer"].items():
            index, kind = name.split(".")
            moments.setdefault(int(index), {})[kind] = tensor
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})


class RunState:
    """A run's files: `state.safetensors` to go on from and `log.jsonl`.

    config: a dataclass; a state of another configuration is refused. A state that lacks a field has its default.
    """

    def __init__(self, folder: Path, config: Any):
        self.folder, self.config = folder, config
        self.file, self.log_file = folder / "state.safetensors", folder / "log.jsonl"
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, trained: Trained, step: int, seconds: float) -> None:
        record = {"step": step, "seconds": seconds, "training": asdict(self.config)}
        if trained.precision:
            record["precision"] = trained.precision.state_dict()
        checkpoints.write(self.file, trained.tensors(), record)

    def restore(self, trained: Trained) -> tuple[int, float]:
        """Loads the state, if there is one -> steps done and seconds spent.

        Raises `CheckpointError` for a state of another run, or a damaged one.
        """
        if not self.file.exists():
            return 0, 0.0
        tensors, record = checkpoints.read(self.file)
        defaults = {field.name: field.default for field in fields(self.config) if field.default is not MISSING}
        ours, theirs = asdict(self.config), defaults | record["training"]
        if differ := sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)):
            raise checkpoints.CheckpointError(
                f"{self.file} is of a run with another {', '.join(differ)}: choose another folder, or delete this one"
            )
        try:
            trained.load(tensors)
        except RuntimeError as error:
            raise checkpoints.CheckpointError(f"{self.file} is of another model: choose another folder") from error
        if trained.precision:
            trained.precision.load_state_dict(record["precision"])
        return record["step"], record["seconds"]

    def cut_log(self, step: int) -> None:
        """Leaves out of the log what came after `step`, for the run goes on from there."""
        kept = [entry for entry in read_log(self.folder) if entry["step"] <= step]
        paths.write_atomically(self.log_file, "".join(json.dumps(entry) + "\n" for entry in kept).encode())

    def log(self, entry: dict) -> None:
        with open(self.log_file, "a") as file:
            file.write(json.dumps(entry) + "\n")


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
) -> Reached | None:  # fmt: skip
    """When `metric` was first logged at or above `at_least`, or at or below `at_most`; None if it never was.

    log: of `Run`, or by `read_log`. The answer is as fine as the log: it names the first entry, not the moment.

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
    """Log entries as TensorBoard's event files, in a folder. Needs the package `tensorboard`, which the course does not.

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
        return round(torch.cuda.max_memory_allocated(self.device) / 2**20, 1) if self.device.type == "cuda" else None

    def images_per_s(self, done: int) -> float:
        """Images trained on a second, up to step `done`; what was done while paused does not count."""
        return round((done - self.first) * self.batch_size / (time.perf_counter() - self.began - self.away), 1)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.away += time.perf_counter() - began

    def readings(self, done: int) -> dict[str, float]:
        """For the log."""
        memory = {} if self.peak_memory_mib is None else {"peak_memory_mib": self.peak_memory_mib}
        return {"images_per_s": self.images_per_s(done)} | memory
