"""What the runs of every task share: purposes, seeds, records, and what is kept of a run."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import nn

from smm_tutorial import checkpoints, files, paths
from smm_tutorial.results.records import VERSION, keep_record, read_record, write_record
from smm_tutorial.training.config import Compile, Precision, TrainingConfig
from smm_tutorial.training.logs import read_log
from smm_tutorial.training.loop import TrainingResult
from smm_tutorial.training.state import explain_failed_writes

#: What a run is for: to show what a module can do | to compare modules that share everything else |
#: to search for a learning rate that such a comparison uses | to leave something out.
Purpose = Literal["showcase", "comparison", "search", "ablation"]
Model = TypeVar("Model", bound=nn.Module)
#: What goes under `data/`, to be committed: a checkpoint with its record, or the record alone.
Keep = Literal["checkpoint", "record"]
#: Fields of a record that say what decided the run; see `results.records`.
CHOICES = {
    "contestant",
    "config",
    "training",
    "profile",
    "data",
    "ablation",
    "scenes",
    "root",
    "limit",
    "max_objects",
    "begun_with",
}
#: What older records do not say of the training.
DEFAULTS = {
    f"training.{field.name}": field.default
    for field in fields(TrainingConfig)
    if field.default is not MISSING
}
PATIENCE = 60.0  # seconds that a run waits for another one that is being saved


class Run(Protocol):
    """The choices that decide a run, as a frozen dataclass; every task has its own.

    `config` is the network's.
    """

    module: str
    data: str
    profile: str
    seed: int
    steps: int | None
    rate: float | None
    purpose: Purpose
    precision: Precision | None
    compile: Compile

    @property
    def name(self) -> str: ...

    @property
    def folder(self) -> Path: ...

    @property
    def config(self) -> Any: ...

    @property
    def training(self) -> TrainingConfig: ...

    @property
    def choices(self) -> dict:
        """As its record has them."""


def build_seeded(make: Callable[[], Model], seed: int) -> Model:
    """What `make` builds from random numbers of a seed. The global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def run_folder(name: str) -> Path:
    """Where a run keeps its state and log, on this machine."""
    return paths.runs_dir() / name


def name_engine(run: Run, *usual_steps: int | None) -> list[str]:
    """The parts of a run's name that say how it trains, where that was chosen.

    usual_steps: numbers of steps that a name need not say.
    """
    parts = []
    if run.steps is not None and run.steps not in usual_steps:
        parts.append(f"steps{run.steps}")
    if run.rate is not None:
        parts.append(f"rate{short_number(run.rate)}")
    if run.precision is not None:
        parts.append(run.precision)
    if run.compile != "none":
        parts.append("compiled")
    return parts


def short_number(value: float) -> str:
    """A number in a name: as short as it may be for no other number to have the same name."""
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def describe_choices(run: Run, **training: Any) -> dict:
    """What a record says of the choices that every task has.

    training: what decides the training beside its `TrainingConfig`.
    """
    return {
        "name": run.name,
        "purpose": run.purpose,
        "contestant": run.module,
        "config": asdict(run.config),
        "training": asdict(run.training) | training,
        "profile": run.profile,
        "data": run.data,
    }


def choices_of_state(run: Run) -> dict[str, Any]:
    """What a run's state is told beside the `TrainingConfig`; see `training.fit`."""
    known = {f"training.{name}" for name in asdict(run.training)}
    return {name: choice for name, choice in _flatten(run.choices).items() if name not in known}


def _flatten(record: dict) -> dict[str, Any]:
    """The choices in a record, those of the network and of the training by names of their own."""
    flat = {}
    for name in CHOICES & record.keys():
        value = json.loads(json.dumps(record[name]))  # as a file has it
        if name in ("config", "training"):
            flat |= {f"{name}.{part}": choice for part, choice in value.items()}
        else:
            flat[name] = value
    return flat


def describe_run(
    run: Run,
    model: nn.Module,
    result: TrainingResult,
    *,
    task: str,
    command: str,
    validated: str,
    made_by: dict,
) -> dict:
    """The part of a run's record that every task has; see `results.records` for the whole.

    command: what makes the run again. validated: the score that marks the log's entries about the
    validation scenes. made_by: the `provenance` when the run began.
    """
    return {
        "version": VERSION,
        "name": run.name,
        "task": task,
        "purpose": run.purpose,
        "command": command,
        "model": type(model).__name__,
        **run.choices,
        "step": result.step,
        "minutes": round(result.seconds / 60, 1),
        "images_per_s": result.images_per_s,
        "peak_memory_mib": result.peak_memory_mib,
        "validation": [entry for entry in read_log(run.folder) if validated in entry],
        "provenance": made_by,
    }


def check_kept(choices: dict, keep: Keep | None, replace: bool = False) -> None:
    """Looks whether a run may be kept under `data/`, where another may lie by the same name.

    choices: of the run, or its record. replace: whether another one may be replaced.

    Raises `FileExistsError` where one of other choices, or one that trained for longer, would be
    replaced, or would no longer fit the record beside it, and `PermissionError` where nothing can
    be written.
    """
    if keep is None:
        return
    name = choices["name"]
    checkpoint = paths.checkpoints_dir() / f"{name}.safetensors"
    record = paths.results_dir() / f"{name}.json"
    written = [record] if keep == "record" else [record, checkpoint]
    for folder in {file.parent for file in written}:
        if folder.is_dir() and not os.access(folder, os.W_OK):
            raise PermissionError(
                f"nothing can be kept in {folder}, which is read-only: leave out --keep"
            )
    for file in (record, checkpoint):
        if not file.is_file() or (replace and file in written):
            continue
        if differ := _find_differences(choices, file):
            remedy = "--replace puts the new run in its place"
            if file not in written:
                remedy = "--keep checkpoint --replace puts the new run in the place of both"
            raise FileExistsError(
                f"{file} is of another run by this name ({'; '.join(differ)}): {remedy}; or leave "
                "out --keep"
            )


def _find_differences(run: dict, file: Path) -> list[str]:
    """What sets a run apart from the one whose checkpoint or record lies in a file."""
    try:
        is_record = file.suffix == ".json"
        kept = read_record(file.stem) if is_record else checkpoints.read(file)[1]
        there, here = DEFAULTS | _flatten(kept), _flatten(run)
    except (ValueError, AttributeError, checkpoints.CheckpointError) as error:
        return [f"it cannot be read: {error}"]
    differ = [
        f"its {name} is {there[name]!r} and not {here[name]!r}"
        for name in sorted(here.keys() & there.keys())
        if here[name] != there[name]
    ]
    done, steps = kept.get("step"), run.get("step", here["training.steps"])
    if isinstance(done, int) and done > steps:
        differ.append(f"it has {done:,} steps and not {steps:,}")
    return differ


def save_run(
    model: nn.Module, record: dict, keep: Keep | None, replace: bool = False
) -> tuple[Path, Path]:
    """Writes the checkpoint and the record of a run that has ended -> their files.

    keep: what goes under `data/`, to be committed. The rest stays in the run's folder. replace: as
    `check_kept`.

    Raises what `check_kept` raises, and `CannotWriteError`.
    """
    check_kept(record, keep, replace)
    kept = paths.results_dir() / f"{record['name']}.json"
    is_another = kept.is_file() and bool(_find_differences(record, kept))
    folder = run_folder(record["name"])
    checkpoint = paths.checkpoints_dir() if keep == "checkpoint" else folder
    checkpoint = checkpoint / f"{record['name']}.safetensors"
    kept = kept if keep else folder / kept.name
    safe = f"the trained run is whole in {folder}, and the same call saves it"
    with _saving(checkpoint.parent, safe):
        checkpoints.write(checkpoint, model.state_dict(), record)
    with _saving(kept.parent, safe):
        if keep and not is_another:
            return checkpoint, keep_record(record)
        return checkpoint, write_record(record, kept.parent)


@contextmanager
def _saving(folder: Path, safe: str) -> Iterator[None]:
    """Lets one process write in a folder at a time, without what killed ones left half written."""
    with explain_failed_writes(folder, safe), files.lock_folder(folder, "saving into", PATIENCE):
        yield
