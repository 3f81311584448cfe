"""What the runs of every task share: purposes, seeds, records, and what is kept of a run."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import nn

from smm_tutorial import checkpoints, paths
from smm_tutorial.results.records import VERSION, keep_record, write_record
from smm_tutorial.training.config import Compile, Precision, TrainingConfig
from smm_tutorial.training.logs import read_log
from smm_tutorial.training.loop import TrainingResult

#: What a run is for: to show what a module can do | to compare modules that share everything else |
#: to search for a learning rate that such a comparison uses | to leave something out.
Purpose = Literal["showcase", "comparison", "search", "ablation"]
Model = TypeVar("Model", bound=nn.Module)


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


def build_seeded(make: Callable[[], Model], seed: int) -> Model:
    """What `make` builds from random numbers of a seed. The global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def run_folder(name: str) -> Path:
    """Where a run keeps its state and log, on this machine."""
    return paths.runs_dir() / name


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
        "contestant": run.module,
        "model": type(model).__name__,
        "config": asdict(model.config),
        "training": asdict(run.training),
        "profile": run.profile,
        "data": run.data,
        "step": result.step,
        "minutes": round(result.seconds / 60, 1),
        "images_per_s": result.images_per_s,
        "peak_memory_mib": result.peak_memory_mib,
        "validation": [entry for entry in read_log(run.folder) if validated in entry],
        "provenance": made_by,
    }


def save_run(model: nn.Module, record: dict, keep: str | None) -> tuple[Path, Path]:
    """Writes the checkpoint and the record of a run that has ended -> their files.

    keep: what goes under `data/`, to be committed: `checkpoint`, with its record | `record` | None.
    The rest stays in the run's folder.
    """
    folder = run_folder(record["name"])
    checkpoint = paths.checkpoints_dir() if keep == "checkpoint" else folder
    checkpoint = checkpoint / f"{record['name']}.safetensors"
    checkpoints.write(checkpoint, model.state_dict(), record)
    return checkpoint, keep_record(record) if keep else write_record(record, folder)
