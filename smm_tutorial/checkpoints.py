"""Checkpoints: a safetensors file each, with the record of the run as JSON inside.

One file, written beside and moved into place, is either the old checkpoint or the new one, whenever
the machine dies. Safetensors holds numbers and text alone: opening a stranger's file runs nothing.
"""

import importlib
import json
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from smm_tutorial import files, paths

#: Where the class of a record's `model` lies, and that of its config. It is imported when a
#: checkpoint asks for it.
MODELS = {
    "ObjectDiscovery": ("smm_tutorial.discovery.model", "DiscoveryConfig"),
    "SetPredictor": ("smm_tutorial.set_prediction.model", "SetPredictionConfig"),
}


class CheckpointError(RuntimeError):
    """A checkpoint that is missing, damaged, or does not fit; says which file and what to do."""


class Checkpoint(NamedTuple):
    """A network ready to use (in eval mode) and the record of the run that made it."""

    model: nn.Module
    record: dict


def write(path: str | Path, tensors: dict[str, Tensor], record: dict) -> None:
    """Writes tensors and record to one safetensors file, atomically.

    Tensors that share memory, such as tied weights, are stored once per name.
    """
    metadata = {"record": json.dumps(record)}
    files.write_atomically(Path(path), to_bytes(_part_memory(tensors), metadata=metadata))


def _part_memory(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, with their values in order and memory of their own: safetensors
    writes memory as it lies.
    """
    parted: dict[str, Tensor] = {}
    taken = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        parted[name] = tensor.clone() if memory in taken else tensor
        taken.add(memory)
    return parted


def read(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """-> tensors (on the CPU) and record. Raises `CheckpointError` for a missing or bad file."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads((file.metadata() or {})["record"])
            return {name: file.get_tensor(name) for name in file.keys()}, record
    except KeyError:
        raise CheckpointError(
            f"{path} is a safetensors file without a record: it was not written by this project"
        ) from None
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged or no safetensors file ({error}): fetch it anew (git checkout, for "
            "a committed one), or delete it and train again"
        ) from error


def build(record: dict, source: str = "the record") -> nn.Module:
    """The network that a record describes, its weights not yet set.

    Raises `CheckpointError` for an unknown one.
    """
    if record.get("model") not in MODELS:
        raise CheckpointError(
            f"{source} names the model {record.get('model')!r}; known are {sorted(MODELS)}"
        )
    module_name, config_class = MODELS[record["model"]]
    module = importlib.import_module(module_name)
    try:
        return getattr(module, record["model"])(getattr(module, config_class)(**record["config"]))
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{source} has a config that {record['model']} refuses: {error}"
        ) from error


def load(name: str | Path) -> Checkpoint:
    """A committed checkpoint or a run on this machine by its name, or any checkpoint by its file.

    `available()` lists the committed ones. The record is as the file has it: `results.records`
    brings older ones up to date.

    Raises `CheckpointError` when there is none, when it is damaged, or when its tensors do not fit
    its config.
    """
    folders = (paths.checkpoints_dir(), paths.runs_dir() / name)
    named = [file for folder in folders if (file := folder / f"{name}.safetensors").is_file()]
    path = next(iter(named), Path(name))
    if not path.is_file():
        raise CheckpointError(
            f"there is no checkpoint {str(name)!r}: known are {available()}, "
            "or give the path of a file"
        )
    tensors, record = read(path)
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    # On this device a config that asks for far too much costs nothing before it is refused.
    with torch.device("meta"):
        described = build(record, str(path)).state_dict()
    expected = {key: tuple(tensor.shape) for key, tensor in described.items()}
    if expected != found:
        odd = [key for key in sorted(expected | found) if expected.get(key) != found.get(key)]
        raise CheckpointError(
            f"{path} does not fit its own config at {odd[0]}: expected {expected.get(odd[0])}, "
            f"found {found.get(odd[0])} ({len(odd)} tensors differ): it belongs to another version "
            "of this project"
        )
    model = build(record, str(path))
    model.load_state_dict(tensors)
    return Checkpoint(model.eval(), record)


def available() -> list[str]:
    """Names of the committed checkpoints."""
    return sorted(path.stem for path in paths.checkpoints_dir().glob("*.safetensors"))
