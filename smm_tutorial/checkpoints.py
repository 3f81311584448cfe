"""Checkpoints: safetensors files with the weights of a network and the record of its run as JSON.

A checkpoint is written to a draft, which then replaces the old file. So the file is always a whole
checkpoint, the old or the new, even if the machine crashes. Safetensors files hold only numbers and
text. So opening a file from a stranger runs no code.
"""

import hashlib
import importlib
import json
import reprlib
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from smm_tutorial import files, paths

#: The classes that a record may name as its `model`: the module of the class, and the class of its
#: config in the same module. The module is imported only when a checkpoint needs it.
MODELS = {
    "ObjectDiscovery": ("smm_tutorial.discovery.model", "DiscoveryConfig"),
    "SetPredictor": ("smm_tutorial.set_prediction.model", "SetPredictionConfig"),
    "SlotReconstruction": ("smm_tutorial.reconstruction.model", "ReconstructionConfig"),
    "Tokenizer": ("smm_tutorial.reconstruction.model", "TokenizerConfig"),
}
MOST_HEADER_BYTES = 8 * 2**20  # names, shapes and record; the longest committed header has 11 KB
#: The largest count or size in a config. With larger sizes, the grids of an image would fill the
#: memory.
MOST_SIZE = 2048
LEAST_SCALE, MOST_SCALE = 1e-9, 1e9  # the range of any real number in a config that is not 0
#: `round_weights` does not change tensors with larger numbers: their rounding errors would
#: be large beside the differences of small numbers.
MOST_ROUNDED = 16.0
#: A file in the committed folder, with the SHA-256 of old checkpoints that hold no checksum.
SUMS_NAME = "SHA256SUMS"
REMEDY = "fetch it anew (git checkout, for a committed one), or delete it and train again"


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged or unfit. The message names the file and says what to do."""


class Checkpoint(NamedTuple):
    """A trained network in eval mode, and the record of the run that trained it."""

    model: nn.Module
    record: dict


def write(path: str | Path, tensors: dict[str, Tensor], record: dict) -> None:
    """Writes tensors, record and their checksum to one safetensors file, atomically.

    Tensors that share memory, such as tied weights, are stored once per name.

    Raises `CheckpointError` if the record is so long that `read` would refuse the file.
    """
    path = Path(path)
    tensors = _part_memory(tensors)
    text = json.dumps(record)
    content = to_bytes(tensors, metadata={"record": text, "sha256": checksum(tensors, text)})
    if header_length(content) > MOST_HEADER_BYTES:
        raise CheckpointError(
            f"{path} is not written, because it could not be read again: its record has "
            f"{len(text):,} characters. Move the long parts of the record to other files"
        )
    files.write_atomically(path, content)


@torch.no_grad()
def round_weights(model: nn.Module) -> None:
    """Rounds the trained float32 weights of a network to float16 numbers, in place.

    The weights stay float32, and the network computes in float32. But `shorten` then needs half as
    many bytes for them. Weights that need no gradient do not change. Neither do tensors with a
    number above `MOST_ROUNDED`.
    """
    for weight in model.parameters():
        is_float = weight.requires_grad and weight.dtype == torch.float32
        if is_float and bool((weight.abs() <= MOST_ROUNDED).all()):
            weight.copy_(weight.half())


def shorten(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Converts float32 tensors to float16 if that changes no number. Others stay as they are."""

    def is_exact(tensor: Tensor) -> bool:
        return tensor.dtype == torch.float32 and torch.equal(tensor.half().float(), tensor)

    return {name: one.half() if is_exact(one) else one for name, one in tensors.items()}


def _part_memory(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies tensors to the CPU as safetensors needs them: contiguous, without shared memory."""
    parted: dict[str, Tensor] = {}
    taken = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        parted[name] = tensor.clone() if memory in taken else tensor
        taken.add(memory)
    return parted


def read(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Reads a checkpoint -> its tensors by name, on the CPU, and its record.

    Raises `CheckpointError` for a missing or damaged file.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    try:
        with open(path, "rb") as file:
            if (length := header_length(file.read(8))) > MOST_HEADER_BYTES:
                raise ValueError(f"a header of {length:,} bytes")
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    # A number type that this version of torch lacks raises AttributeError.
    except (SafetensorError, OSError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is damaged or no safetensors file ({error}): {REMEDY}"
        ) from error
    if "record" not in metadata:
        raise CheckpointError(
            f"{path} is a safetensors file without a record: it was not written by this project"
        )
    if "sha256" not in metadata:
        check_listed_sum(path)
    elif metadata["sha256"] != checksum(tensors, metadata["record"]):
        raise CheckpointError(f"{path} is damaged, its content has another checksum: {REMEDY}")
    try:
        record = files.parse_json(metadata["record"], f"the record in {path}")
    except files.JsonError as error:
        raise CheckpointError(f"{path} is damaged ({error}): {REMEDY}") from error
    if not isinstance(record, dict):
        raise CheckpointError(
            f"{path} is damaged, its record is no JSON object but {reprlib.repr(record)}: {REMEDY}"
        )
    return tensors, record


def header_length(content: bytes) -> int:
    """Reads the number of bytes of JSON at the start of a safetensors file.

    content: the first 8 bytes of the file, or more.
    """
    return int.from_bytes(content[:8], "little")


def checksum(tensors: dict[str, Tensor], record: str) -> str:
    """Computes the SHA-256 of a record's text and of tensors: names, types, shapes and numbers.

    The tensors must lie on the CPU.
    """
    digest = hashlib.sha256(record.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def build(record: dict, source: str = "the record") -> nn.Module:
    """Builds the network that a record describes, with untrained weights.

    source: the origin of the record, for messages. Raises `CheckpointError` for an unknown network
    or an invalid config.
    """
    name = record.get("model")
    if not isinstance(name, str) or name not in MODELS:
        raise CheckpointError(
            f"{source} names the model {reprlib.repr(name)}; known are {sorted(MODELS)}"
        )
    module_name, config_name = MODELS[name]
    module = importlib.import_module(module_name)
    config_class = getattr(module, config_name)
    try:
        check_config(record.get("config"), config_class)
        return getattr(module, name)(config_class(**record["config"]))
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{source} has a config that {name} refuses: {error}") from error


def check_config(config: Any, config_class: type) -> None:
    """Checks the options of a config, before a network is built from them.

    config: a dict from JSON. config_class: the dataclass whose fields are the options.

    Raises `ValueError` for an unknown or invalid option. The message names the option.
    """
    if not isinstance(config, dict):
        raise ValueError(f"config must be an object with options, got {reprlib.repr(config)}")
    kinds = get_type_hints(config_class)
    for name, value in config.items():
        if name not in kinds:
            raise ValueError(f"it has no option {name!r}; known are {', '.join(kinds)}")
        if kinds[name] is not dict:
            check_option(name, value, kinds[name])
        elif not isinstance(value, dict):
            raise ValueError(f"{name} must be an object with options, got {reprlib.repr(value)}")
        else:
            for inner_name, inner in value.items():
                if inner is not None and not isinstance(inner, str):
                    kind = int if type(inner) is int else float
                    check_option(f"{name}.{inner_name}", inner, kind)


def check_option(name: str, value: Any, kind: Any) -> None:
    """Raises `ValueError` unless a value fits the kind of its option: int, float or a `Literal`."""
    if kind is int:
        expected = f"a whole number from 1 to {MOST_SIZE}"
        fits = type(value) is int and 1 <= value <= MOST_SIZE
    elif kind is float:
        expected = f"0 or a number from {LEAST_SCALE:g} to {MOST_SCALE:g}"
        fits = type(value) in (int, float)
        fits = fits and (value == 0 or LEAST_SCALE <= abs(value) <= MOST_SCALE)
    else:
        assert get_origin(kind) is Literal, f"no check for options like {name}: {kind}"
        expected = f"one of {', '.join(map(repr, get_args(kind)))}"
        fits = isinstance(value, str) and value in get_args(kind)
    if not fits:
        raise ValueError(f"{name} must be {expected}, got {reprlib.repr(value)}")


def load(name: str | Path) -> Checkpoint:
    """Loads a checkpoint by its name or by the path of its file.

    A name stands for a committed checkpoint (see `available`), or for a run on this machine. The
    record is returned as the file holds it; `results.records.upgrade_record` converts old records.

    Raises `CheckpointError` if there is no such checkpoint, if it is damaged, or if its tensors do
    not fit its config.
    """
    path = Path(name)
    if path.name == str(name):  # a name has no folders; a path with folders is not a name
        folders = (paths.checkpoints_dir(), paths.runs_dir() / name)
        named = [file for folder in folders if (file := folder / f"{name}.safetensors").is_file()]
        path = next(iter(named), path)
    if not path.is_file():
        raise CheckpointError(
            f"there is no checkpoint {str(name)!r}: known are {available()}, "
            "or give the path of a file"
        )
    tensors, record = read(path)
    # The device "meta" allocates no memory. So a config with huge sizes is refused at no cost.
    with torch.device("meta"):
        described = build(record, str(path)).state_dict()
    check_tensors(tensors, described, path)
    model = build(record, str(path))
    model.load_state_dict(tensors)
    return Checkpoint(model.eval(), record)


def check_listed_sum(path: Path) -> None:
    """Raises `CheckpointError` if the list `SUMS_NAME` in the folder holds another checksum."""
    sums = path.with_name(SUMS_NAME)
    if not sums.is_file():
        return
    for line in sums.read_text(encoding="utf-8").splitlines():
        expected, _, name = line.partition("  ")
        if name == path.name and hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise CheckpointError(f"{path} is damaged, {sums.name} has another checksum: {REMEDY}")


def check_tensors(tensors: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    """Checks the tensors of a checkpoint against the expected tensors.

    Raises `CheckpointError` if they differ in name, shape or number type, or if a number is not
    finite. One type of floats may stand for another.
    """
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    if wanted != found:
        odd = [name for name in sorted(wanted | found) if wanted.get(name) != found.get(name)]
        raise CheckpointError(
            f"{path} does not fit its own config at {odd[0]}: expected {wanted.get(odd[0])}, "
            f"found {found.get(odd[0])} ({len(odd)} tensors differ): it belongs to another version "
            "of this project"
        )
    for name, tensor in tensors.items():
        wanted_type = expected[name].dtype
        if tensor.dtype != wanted_type and not (
            tensor.is_floating_point() and wanted_type.is_floating_point
        ):
            raise CheckpointError(
                f"{path} is refused: {name} holds {tensor.dtype}, expected {wanted_type}: {REMEDY}"
            )
        if wanted_type.is_floating_point and not tensor.to(wanted_type).isfinite().all():
            raise CheckpointError(
                f"{path} is refused: {name} holds numbers that are not finite: {REMEDY}"
            )


def available() -> list[str]:
    """Lists the names of the committed checkpoints."""
    return sorted(path.stem for path in paths.checkpoints_dir().glob("[!.]*.safetensors"))
