"""What a run goes on from after a stop or a kill, and the folder that holds it."""

import copy
import json
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from smm_tutorial import checkpoints, files
from smm_tutorial.training.logs import read_log


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

    config: a dataclass; a state of another configuration is refused. A state that lacks a field has
    its default.
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
        defaults = {
            field.name: field.default
            for field in fields(self.config)
            if field.default is not MISSING
        }
        ours, theirs = asdict(self.config), defaults | record["training"]
        if differ := sorted(
            name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
        ):
            raise checkpoints.CheckpointError(
                f"{self.file} is of a run with another {', '.join(differ)}: "
                "choose another folder, or delete this one"
            )
        try:
            trained.load(tensors)
        except RuntimeError as error:
            raise checkpoints.CheckpointError(
                f"{self.file} is of another model: choose another folder"
            ) from error
        if trained.precision:
            trained.precision.load_state_dict(record["precision"])
        return record["step"], record["seconds"]

    def cut_log(self, step: int) -> None:
        """Leaves out of the log what came after `step`, for the run goes on from there."""
        kept = [entry for entry in read_log(self.folder) if entry["step"] <= step]
        files.write_atomically(
            self.log_file, "".join(json.dumps(entry) + "\n" for entry in kept).encode()
        )

    def log(self, entry: dict) -> None:
        with open(self.log_file, "a") as file:
            file.write(json.dumps(entry) + "\n")
