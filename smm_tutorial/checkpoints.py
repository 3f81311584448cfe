"""Checkpoints: one safetensors file each, the record (config, seed, step, revision, hardware, versions) as JSON inside.

One file, written beside and moved into place, is either the old checkpoint or the new one, whenever the machine dies.
Safetensors holds numbers and text alone: opening a stranger's file runs nothing.
"""

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from smm_tutorial import paths
from smm_tutorial.models.discovery import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.models.set_prediction import SetPredictionConfig, SetPredictor

#: How a checkpoint's `record["model"]` becomes a network: the name, its config class, its module class.
MODELS = {
    "ObjectDiscovery": (DiscoveryConfig, ObjectDiscovery),
    "SetPredictor": (SetPredictionConfig, SetPredictor),
}


class CheckpointError(RuntimeError):
    """A checkpoint that is missing, damaged, or does not fit; says which file and what to do."""


class Checkpoint(NamedTuple):
    """A network ready to use (in eval mode) and the record of the run that made it."""

    model: nn.Module
    record: dict


def provenance() -> dict:
    """Where a result comes from: revision of the code, hardware, versions."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "revision": _git_revision(),
        "hardware": {"machine": platform.machine(), "cpus": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu},
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__},
    }


def _git_revision() -> str:
    """The commit of this checkout, `-dirty` behind it where library files differ from it; `unknown` outside one."""
    root = paths.repository_root()
    if root is None:
        return "unknown"

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        revision = git("rev-parse", "--short=12", "HEAD")
        return revision + ("-dirty" if git("status", "--porcelain", "--", "smm_tutorial") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def write(path: str | Path, tensors: dict[str, Tensor], record: dict) -> None:
    """Writes tensors and record to one safetensors file, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    paths.write_atomically(Path(path), to_bytes(tensors, metadata={"record": json.dumps(record)}))


def read(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """-> tensors (on the CPU) and record. Raises `CheckpointError` for a missing or damaged file."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads((file.metadata() or {})["record"])
            return {name: file.get_tensor(name) for name in file.keys()}, record
    except KeyError:
        raise CheckpointError(f"{path} is a safetensors file without a record: it was not written by this project") from None
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged or no safetensors file ({error}): fetch it anew (git checkout, for a committed one), "
            "or delete it and train again"
        ) from error


def build(record: dict, source: str = "the record") -> nn.Module:
    """The network that a record describes, its weights not yet set. Raises `CheckpointError` for an unknown one."""
    if record.get("model") not in MODELS:
        raise CheckpointError(f"{source} names the model {record.get('model')!r}; known are {sorted(MODELS)}")
    config_class, model_class = MODELS[record["model"]]
    try:
        return model_class(config_class(**record["config"]))
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f"{source} has a config that {record['model']} refuses: {error}") from error


def load(name: str | Path) -> Checkpoint:
    """A committed checkpoint by name (`available()` lists them), or any checkpoint file by its path.

    Raises `CheckpointError` when there is none, when it is damaged, or when its tensors do not fit its config.
    """
    committed = paths.checkpoints_dir() / f"{name}.safetensors"
    path = committed if committed.is_file() else Path(name)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {str(name)!r}: known are {available()}, or give the path of a file")
    tensors, record = read(path)
    with torch.device("meta"):  # a config that asks for far too much costs nothing before the shapes are compared
        expected = {key: tuple(tensor.shape) for key, tensor in build(record, str(path)).state_dict().items()}
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    if expected != found:
        odd = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
        raise CheckpointError(
            f"{path} does not fit its own config at {odd[0]}: expected {expected.get(odd[0])}, found {found.get(odd[0])} "
            f"({len(odd)} tensors differ): it belongs to another version of this project"
        )
    model = build(record, str(path))
    model.load_state_dict(tensors)
    return Checkpoint(model.eval(), record)


def available() -> list[str]:
    """Names of the committed checkpoints."""
    return sorted(path.stem for path in paths.checkpoints_dir().glob("*.safetensors"))
