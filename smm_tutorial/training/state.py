"""The saved state of a run, from which the run can continue, and the folder of the run."""

import contextlib
import copy
import errno
import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from smm_tutorial import checkpoints, files
from smm_tutorial.training.interrupts import hold_interrupts
from smm_tutorial.training.logs import is_count, read_log

FULL = (errno.ENOSPC, errno.EDQUOT)


class CannotWriteError(OSError):
    """A file of a run cannot be written. The message says why, what is safe, and what to do."""


@contextlib.contextmanager
def explain_failed_writes(path: Path, kept: str) -> Iterator[None]:
    """Turns an `OSError` inside the `with` block into a `CannotWriteError` with advice.

    path: the file or folder that the block writes. kept: the end of the message, which says what
    is safe and how to continue.
    """
    try:
        yield
    except CannotWriteError:
        raise
    except OSError as error:
        remedy = "see what is there"
        if error.errno in FULL:
            remedy = "make room on its disk"
        elif error.errno in files.READ_ONLY:
            remedy = "choose a folder that may be written to, or permit it"
        raise CannotWriteError(
            f"{path} cannot be written ({error.strerror or error}): {remedy}; {kept}"
        ) from error


@contextlib.contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Keeps other processes from training in a run's folder. The same process may enter twice.

    Raises `FolderBusyError` if another process trains in the folder, and `CannotWriteError` if the
    folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        with explain_failed_writes(folder, "nothing was trained yet"):
            stack.enter_context(files.lock_folder(folder, "training in"))
        yield


class WeightAverage:
    """An exponential moving average of a model's weights. The attribute `model` is a copy with it.

    After step t the average becomes d x average + (1 - d) x weights, where d = min(`decay`, (1 + t)
    / (10 + t)). The small d of the first steps makes the average forget the random start soon.
    Buffers are averaged in the same way: running means and variances of the weights of the last
    steps would not fit averaged weights. Buffers of whole numbers are copied.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.model, self.decay = copy.deepcopy(model).requires_grad_(False), decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        averages, now = (
            [*network.parameters(), *network.buffers()] for network in (self.model, model)
        )
        for average, value in zip(averages, now, strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)


class RunningStatistics:
    """The running means and variances of a model, which a forward pass changes before a step ends.

    A step may not end: an interrupt comes, or its loss is not finite. `rewind` then gives the model
    the statistics of the last finished step again.
    """

    def __init__(self, model: nn.Module):
        normalisations = (
            m for m in model.modules() if isinstance(m, nn.modules.batchnorm._NormBase)
        )
        self.buffers = [buffer for layer in normalisations for buffer in layer.buffers()]
        self.remember()

    def remember(self) -> None:
        """Keeps a copy of the present statistics, those of a finished step."""
        self.kept = [buffer.clone() for buffer in self.buffers]

    @torch.no_grad()
    def rewind(self) -> None:
        for buffer, kept in zip(self.buffers, self.kept, strict=True):
            buffer.copy_(kept)


@dataclass
class Trained:
    """All objects that a training step changes. A state on disk holds their tensors."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None = None
    precision: Any = None  # Fabric's precision; in float16 its state is the scale of the losses

    def tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        if self.average:
            tensors |= {
                f"average.{name}": tensor
                for name, tensor in self.average.model.state_dict().items()
            }
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {
                f"optimizer.{index}.{name}": torch.as_tensor(value)
                for name, value in moments.items()
            }
        return tensors

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Loads tensors by name, as `tensors` returns them.

        Raises `ValueError`, `KeyError` or `RuntimeError` for tensors of another model.
        """
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimizer"].items():
            index, _, kind = name.partition(".")
            moments.setdefault(int(index), {})[kind] = tensor
        self._check_moments(moments)
        self.model.load_state_dict(parts["model"])
        if self.average:
            self.average.model.load_state_dict(parts["average"])
        elif parts["average"]:
            raise ValueError("only one of the two runs averages its weights")
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})

    def _check_moments(self, moments: dict[int, dict[str, Tensor]]) -> None:
        """Raises `ValueError` if the tensors do not fit the optimiser's parameters.

        The optimiser itself does not check them. It would fail, or compute nonsense, in the next
        step.
        """
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for index, tensors in moments.items():
            shapes = {kind: tensor.shape for kind, tensor in tensors.items()}
            shape = parameters[index].shape if 0 <= index < len(parameters) else None
            if shapes != {"step": torch.Size(), "exp_avg": shape, "exp_avg_sq": shape}:
                raise ValueError(f"the optimiser's part {index} does not fit")


@dataclass
class Progress:
    """The progress of a run.

    step: number of finished steps. seconds: their time in seconds, over all calls of `fit`.
    readings: scalars of the last step for the log, such as its loss; old states have none.
    """

    step: int = 0
    seconds: float = 0.0
    readings: dict[str, float] = field(default_factory=dict)


class RunState:
    """The two files of a run: the state `state.safetensors`, and the log `log.jsonl`.

    folder: the folder of the run. config: a dataclass. `restore` refuses a state of another
    configuration. If a state lacks a field, the field has its default. choices: further choices
    that decide the run, as JSON. `restore` refuses other choices, but accepts a state that lacks a
    choice.
    """

    def __init__(self, folder: Path, config: Any, choices: dict | None = None):
        self.folder, self.config = folder, config
        self.choices = json.loads(json.dumps(choices or {}))
        self.file, self.log_file = folder / "state.safetensors", folder / "log.jsonl"
        self.log_lines: list[str] = []

    def save(self, trained: Trained, progress: Progress) -> None:
        """Saves the state.

        Raises `CannotWriteError`; the old state on disk then stays.
        """
        record = asdict(progress) | {"training": asdict(self.config), "choices": self.choices}
        if trained.precision:
            record["precision"] = trained.precision.state_dict()
        tensors = trained.tensors()

        def write() -> None:
            self._keep_log()
            checkpoints.write(self.file, tensors, record)
            if not self.log_file.exists():  # somebody deleted the folder in the meantime
                self._write_log()

        self._write(self.file, write)

    def restore(self, trained: Trained) -> Progress:
        """Loads the state if it exists -> the progress of the run.

        Raises `CheckpointError` for a damaged state, and for the state of another run.
        """
        if not self.file.exists():
            return Progress()
        tensors, record = checkpoints.read(self.file)
        try:
            progress = self._read_progress(record)
        except ValueError as error:
            raise checkpoints.CheckpointError(
                f"{self.file} is not a state from which a run can continue ({error}): delete it to "
                "start again, or choose another folder"
            ) from error
        if differ := self._find_differences(record):
            raise checkpoints.CheckpointError(
                f"{self.file} is of a run with another {', '.join(differ)}: "
                "choose another folder, or delete this one"
            )
        try:
            trained.load(tensors)
            if trained.precision:
                trained.precision.load_state_dict(record["precision"])
        except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]  # torch's message has many lines
            raise checkpoints.CheckpointError(
                f"{self.file} is of another model ({reason}): choose another folder, or delete "
                "this one"
            ) from error
        return progress

    def _read_progress(self, record: Any) -> Progress:
        """Reads the progress from a state's record. Raises `ValueError` if a field is not valid."""
        if not isinstance(record, dict):
            raise ValueError(f"its record is {record!r:.40}")
        record = {"readings": {}, "choices": {}} | record  # old records lack these fields
        for name in ("training", "readings", "choices"):
            if not isinstance(record.get(name), dict):
                raise ValueError(f"its {name} is {record.get(name)!r:.40}")
        step, seconds, readings = (record.get(name) for name in ("step", "seconds", "readings"))
        if not is_count(step):
            raise ValueError(f"its step is {step!r:.40}")
        if not _is_number(seconds) or not 0 <= seconds < math.inf:
            raise ValueError(f"its seconds are {seconds!r:.40}")
        if not all(map(_is_number, readings.values())):
            raise ValueError(f"its readings are {readings!r:.80}")
        return Progress(step, seconds, readings)

    def _find_differences(self, record: dict) -> list[str]:
        """Lists the settings and choices that differ between the state's run and this run."""
        defaults = {
            field.name: field.default
            for field in fields(self.config)
            if field.default is not MISSING
        }
        differ = _find_differences(asdict(self.config), defaults | record["training"])
        choices = self.choices | record.get("choices", {})  # skips choices that only one run has
        differ += _find_differences(choices | self.choices, choices)
        if not differ and record["step"] > self.config.steps:
            differ = ["number of steps"]
        return differ

    def read_log(self, step: int) -> list[dict]:
        """Reads the entries of the log up to a step, one entry per step.

        Entries of later steps come from before a kill; these steps run again.

        Raises `CheckpointError` if a line is not an entry of a log.
        """
        entries = {entry["step"]: entry for entry in read_log(self.folder)}
        return [entries[done] for done in sorted(entries) if done <= step]

    def begin_log(self, entries: list[dict]) -> None:
        """Writes a new log with these entries. Raises `CannotWriteError`."""
        self.log_lines = [json.dumps(entry) + "\n" for entry in entries]
        self._write(self.log_file, self._write_log)

    def log(self, entry: dict) -> None:
        """Adds an entry to the log. Raises `CannotWriteError`."""
        line = json.dumps(entry) + "\n"

        def write() -> None:
            try:
                with open(self.log_file, "r+b") as file:  # unlike "a", it creates no new file
                    file.seek(0, os.SEEK_END)
                    file.write(line.encode())
            except FileNotFoundError:
                self._write_log()

        self.log_lines.append(line)
        self._write(self.log_file, write)

    def _keep_log(self) -> None:
        """Forces the log to the disk, because the state that comes next relies on it."""
        try:
            with open(self.log_file, "r+b") as file:
                os.fsync(file.fileno())
        except FileNotFoundError:
            self._write_log()

    def _write_log(self) -> None:
        files.write_atomically(self.log_file, "".join(self.log_lines).encode())

    def _write(self, path: Path, write: Callable[[], None]) -> None:
        """Writes a file of the run. Tries again if somebody deleted the folder in the meantime."""
        kept = "nothing is kept of the run yet: call it again"
        if self.file.exists():
            kept = f"{self.file} is whole, and the same call goes on from there"
        with hold_interrupts(), explain_failed_writes(path, kept):
            try:
                write()
            except FileNotFoundError:
                write()


def _find_differences(ours: dict, theirs: dict) -> list[str]:
    names = sorted(ours.keys() | theirs.keys())
    return [name for name in names if ours.get(name) != theirs.get(name)]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
