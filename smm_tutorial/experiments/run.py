"""The code that the runs of every task share: purposes, seeds, names, records and files."""

import json
import os
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import nn

from smm_tutorial import checkpoints, files, paths
from smm_tutorial.arguments import check_choice
from smm_tutorial.datasets.foreign_sets import ForeignSet
from smm_tutorial.results.records import VERSION, keep_record, read_record, write_record
from smm_tutorial.training.config import Compile, Precision, TrainingConfig
from smm_tutorial.training.logs import read_log
from smm_tutorial.training.loop import TrainingResult
from smm_tutorial.training.state import explain_failed_writes

#: The purpose of a run. `showcase` shows what a module can do. `comparison` compares modules that
#: share everything else. `search` looks for a learning rate for such a comparison. `ablation`
#: leaves out a part of the recipe.
Purpose = Literal["showcase", "comparison", "search", "ablation"]
Model = TypeVar("Model", bound=nn.Module)
#: The files that are written under `data/` for a commit: checkpoint and record, or only the record.
Keep = Literal["checkpoint", "record"]
#: Fields of a record that hold the choices of the run; see `results.records`.
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
    "tokenizer",
}
#: Default values for training options that older records do not contain.
DEFAULTS = {
    f"training.{field.name}": field.default
    for field in fields(TrainingConfig)
    if field.default is not MISSING
}
PATIENCE = 60.0  # seconds that a run waits for another one that is being saved


class Run(Protocol):
    """The choices that decide a run. Every task has its own frozen dataclass with these fields.

    `config` is the config of the network, `training` that of the training. `module` is None for
    networks without slots.
    """

    module: str | None
    data: str
    profile: str
    seed: int
    steps: int | None
    rate: float | None
    purpose: Purpose
    ablation: str | None
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
        """The choices in the form of a record."""


class TrainsOnImages(Protocol):
    """The choice of the images of a run. See `ForeignSet` for the last four fields."""

    data: str
    root: str | None
    limit: int | None
    max_objects: int | None

    @property
    def foreign(self) -> ForeignSet | None: ...


def check_purpose(run: Run, ablations: Container[str]) -> None:
    """Checks that the purpose of a run fits its ablation and its learning rate.

    ablations: the names of the task's ablations.

    Raises `ValueError` if the purpose or the ablation is unknown, if one of them lacks the other,
    if a comparison or an ablation has a learning rate of its own, or if a search has none.
    """
    check_choice("purpose", run.purpose, Purpose)
    if (run.ablation is not None) != (run.purpose == "ablation"):
        raise ValueError(
            f"ablation and purpose='ablation' go together, got {run.ablation!r} and {run.purpose!r}"
        )
    if run.ablation is not None:
        check_choice("ablation", run.ablation, ablations)
    if run.purpose in ("comparison", "search") and (run.rate is None) == (run.purpose == "search"):
        raise ValueError(
            "a comparison takes the recipe's learning rate, and a search needs one: "
            f"got rate={run.rate} for purpose={run.purpose!r}"
        )
    if run.purpose == "ablation" and run.rate is not None:
        raise ValueError(
            f"an ablation takes the recipe's learning rate, got rate={run.rate}: leave it out"
        )


def build_seeded(make: Callable[[], Model], seed: int) -> Model:
    """Calls `make` with torch's random numbers seeded. The global random state does not change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def run_folder(name: str) -> Path:
    """Returns the folder on this machine for the state and the log of a run."""
    return paths.runs_dir() / name


def name_engine(run: Run, *usual_steps: int | None) -> list[str]:
    """Makes the parts of a run's name about its training. A choice of None has no part.

    usual_steps: numbers of steps that the name leaves out.
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


def check_own_images(run: TrainsOnImages, remedy: str = "leave them out") -> None:
    """Raises `ValueError` if the course's own images shall be chosen as images from others are.

    remedy: the way out, for the message.
    """
    if run.foreign is None and any((run.root, run.limit, run.max_objects)):
        raise ValueError(
            f"root, limit and max_objects are of data sets of others, and {run.data} comes with "
            f"the course: {remedy}"
        )


def name_images(run: TrainsOnImages) -> list[str]:
    """Makes the parts of a run's name about its choice of images. None has no part."""
    parts = []
    if run.limit is not None:
        parts.append(f"{run.limit}images")
    if run.max_objects is not None:
        parts.append(f"most{run.max_objects}")
    return parts


def describe_images(run: TrainsOnImages) -> dict:
    """Makes the fields of a record for the choice of images; none for the course's own images."""
    if run.foreign is None:
        return {}
    folder = None if run.root is None else Path(run.root).resolve().name
    return {"root": folder, "limit": run.limit, "max_objects": run.max_objects}


def name_of_model(what: str) -> str:
    """The name of a trained model that is given by its name or its file."""
    return Path(what).name.removesuffix(".safetensors")


def short_number(value: float) -> str:
    """Writes a number for a name: short, but so that different numbers have different texts."""
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def describe_choices(run: Run, **training: Any) -> dict:
    """Makes the fields of a record for the choices that every task has.

    training: further options of the training, beside its `TrainingConfig`.
    """
    return {
        "name": run.name,
        "purpose": run.purpose,
        **({} if run.module is None else {"contestant": run.module}),
        "config": asdict(run.config),
        "training": asdict(run.training) | training,
        "profile": run.profile,
        "data": run.data,
    }


def choices_of_state(run: Run) -> dict[str, Any]:
    """Makes the `choices` of `training.fit`: the choices of a run without its `TrainingConfig`."""
    known = {f"training.{name}" for name in asdict(run.training)}
    return {name: choice for name, choice in _flatten(run.choices).items() if name not in known}


def _flatten(record: dict) -> dict[str, Any]:
    """Collects the choices in a record, with one name per option of the network and the training.

    For example, the record's option `seed` of the training becomes `training.seed`.
    """
    flat = {}
    for name in CHOICES & record.keys():
        value = json.loads(json.dumps(record[name]))  # as if read from a file
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
    """Makes the fields of a run's record that every task has. `results.records` lists all fields.

    Args:
        run: the choices of the run.
        model: the trained network.
        result: the result of `training.fit`.
        task: a key of `schema.RUNS`.
        command: the command that repeats the run.
        validated: a score. The log entries with this score are the validation of the record.
        made_by: the result of `provenance()` at the start of the run.
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
    """Checks that the files of a run may be written under `data/`.

    Args:
        choices: the choices of the run, or its record.
        keep: the files to write; None writes no file.
        replace: whether the files of another run with the same name may be replaced.

    Raises:
        FileExistsError: another run with the same name is there. It has other choices or more
            steps, and `replace` is false. Also raised if only the record would be replaced, so
            that it would no longer fit the checkpoint.
        PermissionError: a folder is read-only.
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
    """Lists in words how a run differs from the run in a file (a checkpoint or a record)."""
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
    """Writes the checkpoint and the record of a run that has ended -> the paths of both files.

    keep: the files that are written under `data/`. The other files are written to the run's folder
    on this machine. replace: see `check_kept`.

    Raises the errors of `check_kept`, and `CannotWriteError` if a file cannot be written.
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
        checkpoints.write(checkpoint, checkpoints.shorten(model.state_dict()), record)
    with _saving(kept.parent, safe):
        if keep and not is_another:
            return checkpoint, keep_record(record)
        return checkpoint, write_record(record, kept.parent)


@contextmanager
def _saving(folder: Path, safe: str) -> Iterator[None]:
    """Lets one process at a time write in a folder. Deletes drafts that killed processes left.

    safe: the end of an error message, which says what is safe and how to continue.
    """
    with explain_failed_writes(folder, safe), files.lock_folder(folder, "saving into", PATIENCE):
        yield
