"""One training loop for every model, on Lightning Fabric (devices and precision come from there).

A run is a folder: `state.safetensors` to go on from (weights, optimiser, step) and `log.jsonl`. What happens in step t
depends on the seed and t alone, so a run that was killed and resumed ends bit-equal, on a CPU, to one that was not.
"""

import contextlib
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy
import torch
from lightning.fabric import Fabric
from lightning_utilities.core import rank_zero
from torch import Tensor, nn
from tqdm.auto import tqdm

from smm_tutorial import checkpoints, paths

#: `loss(model, generator, step)` -> scalars by name, "loss" among them: that one is minimised, all are logged.
Loss = Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]


def fast_precision() -> str:
    """The precision that this hardware trains fastest in: bfloat16 where it has units for it, else float32.

    On a CPU those are the matrix units of AMX or AVX-512's dot products: without either, bfloat16 is the slower one.
    """
    if torch.cuda.is_available():
        has_units = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        units = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        has_units = units.get("amx_bf16", False) or units.get("avx512_bf16", False)
    return "bf16-mixed" if has_units else "32-true"


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained; with the seed, all that decides a run beside model and data."""

    steps: int
    batch_size: int
    learning_rate: float = 1.6e-3
    warmup_steps: int = 300
    clip_norm: float = 0.15
    seed: int = 0
    precision: str = "32-true"  # as Fabric names it: 32-true or bf16-mixed, see `fast_precision`

    def __post_init__(self):
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


class NonFiniteError(FloatingPointError):
    """Training met an infinite or undefined number; says at which step and where."""


@dataclass
class Run:
    """What `fit` gives back.

    step, seconds: how far the run is, and what it has taken, over all calls that worked on it.
    log: what this call logged, one entry at a time: step, loss, images a second, and what `evaluate` gave.
    """

    step: int
    seconds: float
    log: list[dict]


def step_generator(seed: int, step: int) -> torch.Generator:
    """The randomness of one training step, from seed and step alone."""
    mixed = numpy.random.SeedSequence([seed, step]).generate_state(1, numpy.uint64)[0]
    return torch.Generator().manual_seed(int(mixed >> numpy.uint64(1)))


def learning_rate_factor(step: int, config: TrainingConfig) -> float:
    """Linear warm-up over `warmup_steps`, then half a cosine down to 0 at the last step."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def fit(
    model: nn.Module, loss: Loss, config: TrainingConfig, run_dir: str | Path | None = None, *,
    save_every: int = 500, log_every: int = 50, stop_at: int | None = None, progress: bool = True,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None, evaluate_every: int = 1000,
) -> Run:  # fmt: skip
    """Trains `model` in place with Adam; with a `run_dir`, goes on from the state found there and keeps it up to date.

    stop_at: ends this call early, at that step of the schedule. evaluate: scalars that are logged now and then.

    Raises `NonFiniteError` before a bad number reaches the weights (the last good state stays on disk), and
    `checkpoints.CheckpointError` where `run_dir` holds a damaged state or one of another configuration.
    """
    with _without_notices():
        fabric = Fabric(accelerator="auto", devices=1, precision=config.precision)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    wrapped, optimizer = fabric.setup(model, optimizer)
    state = RunState(Path(run_dir), asdict(config)) if run_dir is not None else None
    first, seconds_before = state.restore(model, optimizer) if state else (0, 0.0)
    last = config.steps if stop_at is None else min(stop_at, config.steps)
    began, log = time.perf_counter(), []
    bar = tqdm(range(first, last), initial=first, total=config.steps, disable=not progress, unit="step")
    try:
        for step in bar:
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * learning_rate_factor(step, config)
            scalars = loss(wrapped, step_generator(config.seed, step), step)
            optimizer.zero_grad(set_to_none=True)
            fabric.backward(scalars["loss"])
            if not (scalars["loss"].isfinite() and _all_gradients_finite(model)):
                raise NonFiniteError(_where_non_finite(model, scalars, step, state))
            fabric.clip_gradients(wrapped, optimizer, max_norm=config.clip_norm)
            optimizer.step()

            done, entry = step + 1, {}
            if done % log_every == 0 or done == last:
                rate = (done - first) * config.batch_size / (time.perf_counter() - began)
                entry = {name: value.item() for name, value in scalars.items()} | {"images_per_s": round(rate, 1)}
                bar.set_postfix_str(f"loss {entry['loss']:.4f}, {rate:.0f} images/s")
            if evaluate and (done % evaluate_every == 0 or done == last):
                entry |= evaluate(model.eval())
                model.train()
            if entry:
                log.append({"step": done} | entry)
                if state:
                    state.log(log[-1])
            if state and (done % save_every == 0 or done == last):
                state.save(model, optimizer, done, seconds_before + time.perf_counter() - began)
    except KeyboardInterrupt:
        if state:
            print(f"Interrupted. {state.file} holds the last saved step: the same call goes on from there.")
        raise
    return Run(max(first, last), seconds_before + time.perf_counter() - began, log)


@contextlib.contextmanager
def _without_notices():
    """Keeps Fabric from announcing the precision on stderr: the configuration says it. The logger is left as it was."""
    logger = rank_zero.log
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _all_gradients_finite(model: nn.Module) -> Tensor:
    return torch.stack([p.grad.isfinite().all() for p in model.parameters() if p.grad is not None]).all()


def _where_non_finite(model: nn.Module, scalars: dict[str, Tensor], step: int, state: "RunState | None") -> str:
    """The message: which tensor went bad, weights before loss before gradients, and what to do."""
    named = [(f"weight {name}", p) for name, p in model.named_parameters()]
    named += [(name, value) for name, value in scalars.items()]
    named += [(f"gradient of {name}", p.grad) for name, p in model.named_parameters() if p.grad is not None]
    culprit = next((name for name, tensor in named if not torch.isfinite(tensor).all()), "the norm of all gradients")
    kept = f"; {state.file} keeps the last good state" if state and state.file.exists() else ""
    return (
        f"step {step}: {culprit} is not finite, and nothing was updated with it{kept}. "
        "Look for NaN in the data; else lower learning_rate or clip_norm, or lengthen warmup_steps"
    )


class RunState:
    """The folder of a run: where it stands (`state.safetensors`) and what it logged (`log.jsonl`)."""

    def __init__(self, folder: Path, config: dict):
        self.folder, self.config = folder, config
        self.file, self.log_file = folder / "state.safetensors", folder / "log.jsonl"
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, seconds: float) -> None:
        tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        checkpoints.write(self.file, tensors, {"step": step, "seconds": seconds, "training": self.config})

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
        """Loads the state, if there is one -> steps done and seconds spent. Cuts the log back to it."""
        if not self.file.exists():
            self.log_file.unlink(missing_ok=True)
            return 0, 0.0
        tensors, record = checkpoints.read(self.file)
        if record["training"] != self.config:
            differ = sorted(k for k in self.config if self.config[k] != record["training"].get(k))
            raise checkpoints.CheckpointError(
                f"{self.file} is of a run with another {', '.join(differ)}: choose another folder, or delete this one"
            )
        weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise checkpoints.CheckpointError(f"{self.file} is of another model: choose another folder") from error
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, kind = name.split(".")
                moments.setdefault(int(index), {})[kind] = tensor
        optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
        kept = [entry for entry in read_log(self.folder) if entry["step"] <= record["step"]]
        paths.write_atomically(self.log_file, "".join(json.dumps(entry) + "\n" for entry in kept).encode())
        return record["step"], record["seconds"]

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
