"""What a run goes on from after a stop or a kill, and the folder that holds it."""

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
    """A file of a run that cannot be written; says why, what is kept all the same, what to do."""


@contextlib.contextmanager
def explain_failed_writes(path: Path, kept: str) -> Iterator[None]:
    """Raises `CannotWriteError` where something inside cannot be written.

    path: what is written, a file or a folder. kept: what is safe all the same, and the way on.
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
    """Keeps other processes from training in a run's folder. Its owner may come in once more.

    Raises `FolderBusyError` where one does, and `CannotWriteError`.
    """
    with contextlib.ExitStack() as stack:
        with explain_failed_writes(folder, "nothing was trained yet"):
            stack.enter_context(files.lock_folder(folder, "training in"))
        yield


class WeightAverage:
    """An exponential moving average of a model's weights: `model` here is a copy that holds it.

    After step t it moves to decay x average + (1 - decay) x weights, where decay =
    min(`decay`, (1 + t) / (10 + t)). An early average thus forgets the random start soon.
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
        """Raises `ValueError`, `KeyError` or `RuntimeError` for tensors of another model."""
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
            raise ValueError("weights are averaged in one of them alone")
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})

    def _check_moments(self, moments: dict[int, dict[str, Tensor]]) -> None:
        """The optimiser takes whatever it is given, and fails or goes wrong in its next step."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for index, tensors in moments.items():
            shapes = {kind: tensor.shape for kind, tensor in tensors.items()}
            shape = parameters[index].shape if 0 <= index < len(parameters) else None
            if shapes != {"step": torch.Size(), "exp_avg": shape, "exp_avg_sq": shape}:
                raise ValueError(f"the optimiser's part {index} does not fit")


@dataclass
class Progress:
    """How far a run is.

    step: steps done. seconds: what they took, over all calls. readings: what the last of them said
    for the log, such as its loss; a state from before it was kept has none.
    """

    step: int = 0
    seconds: float = 0.0
    readings: dict[str, float] = field(default_factory=dict)


class RunState:
    """A run's files: `state.safetensors` to go on from and `log.jsonl`.

    config: a dataclass; a state of another configuration is refused. A state that lacks a field has
    its default. choices: what else decides the run, as JSON; likewise, but where a state lacks one
    nothing is known of it.
    """

    def __init__(self, folder: Path, config: Any, choices: dict | None = None):
        self.folder, self.config = folder, config
        self.choices = json.loads(json.dumps(choices or {}))
        self.file, self.log_file = folder / "state.safetensors", folder / "log.jsonl"
        self.log_lines: list[str] = []

    def save(self, trained: Trained, progress: Progress) -> None:
        """Raises `CannotWriteError`; the state on disk is then as it was."""
        record = asdict(progress) | {"training": asdict(self.config), "choices": self.choices}
        if trained.precision:
            record["precision"] = trained.precision.state_dict()
        tensors = trained.tensors()

        def write() -> None:
            self._keep_log()
            checkpoints.write(self.file, tensors, record)
            if not self.log_file.exists():  # somebody has deleted the folder in between
                self._write_log()

        self._write(self.file, write)

    def restore(self, trained: Trained) -> Progress:
        """Loads the state, if there is one -> how far the run is.

        Raises `CheckpointError` for a state of another run, or a damaged one.
        """
        if not self.file.exists():
            return Progress()
        tensors, record = checkpoints.read(self.file)
        try:
            progress = self._read_progress(record)
        except ValueError as error:
            raise checkpoints.CheckpointError(
                f"{self.file} is no state that a run goes on from ({error}): delete it to begin "
                "anew, or choose another folder"
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
            reason = " ".join(str(error).split())[:200]  # torch's goes over many lines
            raise checkpoints.CheckpointError(
                f"{self.file} is of another model ({reason}): choose another folder, or delete "
                "this one"
            ) from error
        return progress

    def _read_progress(self, record: Any) -> Progress:
        """Raises `ValueError` for a record that no run wrote."""
        if not isinstance(record, dict):
            raise ValueError(f"its record is {record!r:.40}")
        record = {"readings": {}, "choices": {}} | record  # older ones lack them
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
        """The names of what the state's run and this one do not share."""
        defaults = {
            field.name: field.default
            for field in fields(self.config)
            if field.default is not MISSING
        }
        differ = _find_differences(asdict(self.config), defaults | record["training"])
        choices = self.choices | record.get("choices", {})  # what one of them lacks is not known
        differ += _find_differences(choices | self.choices, choices)
        if not differ and record["step"] > self.config.steps:
            differ = ["number of steps"]
        return differ

    def read_log(self, step: int) -> list[dict]:
        """The entries of the log up to a step, each once; those after it came before a kill.

        Raises `CheckpointError` for a log that no run wrote.
        """
        entries = {entry["step"]: entry for entry in read_log(self.folder)}
        return [entries[done] for done in sorted(entries) if done <= step]

    def begin_log(self, entries: list[dict]) -> None:
        """Writes a log with these entries. Raises `CannotWriteError`."""
        self.log_lines = [json.dumps(entry) + "\n" for entry in entries]
        self._write(self.log_file, self._write_log)

    def log(self, entry: dict) -> None:
        """Adds an entry to the log. Raises `CannotWriteError`."""
        line = json.dumps(entry) + "\n"

        def write() -> None:
            try:
                with open(self.log_file, "r+b") as file:  # which makes no new one, as "a" does
                    file.seek(0, os.SEEK_END)
                    file.write(line.encode())
            except FileNotFoundError:
                self._write_log()

        self.log_lines.append(line)
        self._write(self.log_file, write)

    def _keep_log(self) -> None:
        """Sees to it that the log is on the disk, for the state that counts on it comes next."""
        try:
            with open(self.log_file, "r+b") as file:
                os.fsync(file.fileno())
        except FileNotFoundError:
            self._write_log()

    def _write_log(self) -> None:
        files.write_atomically(self.log_file, "".join(self.log_lines).encode())

    def _write(self, path: Path, write: Callable[[], None]) -> None:
        """Writes a file of the run as a whole; once more where the folder is deleted meanwhile."""
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
