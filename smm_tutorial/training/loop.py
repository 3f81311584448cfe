"""One training loop for every model, on Lightning Fabric.

A run is a folder: `state.safetensors` to go on from (weights, optimiser, step) and `log.jsonl`.
What happens in step t depends on the seed and t alone. A run that was killed and resumed therefore
ends bit-equal, on a CPU, to one that was not.

Several GPUs or machines: start the same command under `torchrun`, which sets the environment that
Fabric reads, starts the processes and ends them all when one fails.
"""

import contextlib
import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy
import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies import DDPStrategy
from lightning_utilities.core import rank_zero
from torch import Tensor, nn
from tqdm.auto import tqdm

from smm_tutorial.training.batches import Share
from smm_tutorial.training.config import Precision, TrainingConfig, learning_rate_factor
from smm_tutorial.training.interrupts import hold_interrupts
from smm_tutorial.training.logs import Meter, TensorBoard
from smm_tutorial.training.state import RunState, Trained, WeightAverage

#: `loss(model, batch, step)` -> scalars by name. "loss" is minimised, all of them are logged.
Loss = Callable[[nn.Module, Any, int], dict[str, Tensor]]

#: The longest that a process waits for the others. The first one evaluates while they wait, so an
#: evaluation must be shorter.
PATIENCE = timedelta(minutes=10)


class DrawsBatches(Protocol):
    """Where batches come from; `Batches` is one such source."""

    def place(self, device: torch.device, share: Share) -> None:
        """Said once: where to compute, and which share of each batch."""

    def draw(self, generator: torch.Generator) -> Any:
        """The batch that the generator decides, as the loss takes it."""


class NonFiniteError(FloatingPointError):
    """Training met an infinite or undefined number; says at which step and where."""


@dataclass
class TrainingResult:
    """What `fit` gives back.

    step, seconds: how far the run is, and what it has taken, over all calls that worked on it.
    log: what this call logged, one entry at a time: step, seconds, loss, images a second, and what
    `evaluate` gave.
    images_per_s: trained on by this call, evaluation left out.
    peak_memory_mib: of the GPU, None on a CPU.
    """

    step: int
    seconds: float
    log: list[dict]
    images_per_s: float
    peak_memory_mib: float | None


def step_generator(seed: int, step: int) -> torch.Generator:
    """The randomness of one training step, from seed and step alone."""
    mixed = numpy.random.SeedSequence([seed, step]).generate_state(1, numpy.uint64)[0]
    return torch.Generator().manual_seed(int(mixed >> numpy.uint64(1)))


def is_first_process() -> bool:
    """Whether this process writes and reports: the only one, or the first of `torchrun`'s."""
    return int(os.environ.get("RANK", 0)) == 0


def fit(
    model: nn.Module,
    batches: DrawsBatches,
    loss: Loss,
    config: TrainingConfig,
    run_dir: str | Path | None = None,
    *,
    save_every: int = 500,
    log_every: int = 50,
    stop_at: int | None = None,
    progress: bool = True,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    evaluate_every: int = 1000,
    tensorboard: str | Path | None = None,
) -> TrainingResult:
    """Trains `model` in place with AdamW.

    With a `run_dir` it goes on from the state found there, and keeps that state up to date.

    stop_at: ends this call early, at that step of the schedule.
    evaluate: scalars of the model that are logged every `evaluate_every` steps and at the end.
    tensorboard: a folder for the log as TensorBoard's event files, beside `log.jsonl`.

    Under `torchrun` each process computes its share of the same joint batch, so that the losses are
    those of one process, up to rounding. The first process alone evaluates and writes. Several
    machines need a `run_dir` that all of them see.

    An interrupt saves the last finished step before it is passed on.

    Raises `NonFiniteError` before a bad number reaches the weights (the last good state stays on
    disk), `CheckpointError` where `run_dir` holds a damaged state or one of another configuration,
    and `ValueError` for a batch that the processes cannot share, or what the hardware lacks.
    """
    fabric = start_fabric(config.precision)
    if config.batch_size % fabric.world_size:
        raise ValueError(
            f"batch_size must be a multiple of the {fabric.world_size} processes, "
            f"got {config.batch_size}"
        )
    writes = fabric.is_global_zero
    if not writes:  # an interrupt is for the first process, which saves; torchrun ends the others
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    board = TensorBoard(tensorboard) if tensorboard is not None and writes else None
    batches.place(fabric.device, Share(fabric.global_rank, fabric.world_size))
    wrapped, trained = _set_up(fabric, model, config)
    state = RunState(Path(run_dir), config) if run_dir is not None else None
    first, seconds_before = state.restore(trained) if state else (0, 0.0)
    if state and writes:
        state.cut_log(first)
    last = config.steps if stop_at is None else min(stop_at, config.steps)
    meter = Meter(fabric.device, config.batch_size, first, seconds_before)
    log, done = [], first
    shown = progress and writes
    bar = tqdm(
        range(first, last), initial=first, total=config.steps, disable=not shown, unit="step"
    )
    try:
        for step in bar:
            _set_learning_rate(trained.optimizer, step, config)
            scalars = loss(wrapped, batches.draw(step_generator(config.seed, step)), step)
            trained.optimizer.zero_grad(set_to_none=True)
            fabric.backward(scalars["loss"])
            scalars = _average_over_processes(fabric, scalars)
            _refuse_non_finite(fabric, trained, scalars, step, state)
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            with hold_interrupts():
                trained.optimizer.step()
                if trained.average:
                    trained.average.update(model, step)
                done = step + 1

            entry = {}
            if done % log_every == 0 or done == last:
                entry = {name: value.item() for name, value in scalars.items()}
                entry |= meter.readings(done)
                bar.set_postfix_str(
                    f"loss {entry['loss']:.4f}, {entry['images_per_s']:.0f} images/s"
                )
            if evaluate and writes and (done % evaluate_every == 0 or done == last):
                with meter.paused():
                    entry |= evaluate((trained.average or trained).model.eval())
                model.train()
            if entry and writes:
                log.append({"step": done, "seconds": round(meter.seconds, 2)} | entry)
                for journal in filter(None, (state, board)):
                    journal.log(log[-1])
            if state and writes and (done % save_every == 0 or done == last):
                state.save(trained, done, meter.seconds)
    except KeyboardInterrupt:
        if state and writes:
            with hold_interrupts():
                state.save(trained, done, meter.seconds)
                print(
                    f"Interrupted. {state.file} holds step {done:,}: "
                    "the same call goes on from there."
                )
        raise
    finally:
        if trained.average:
            model.load_state_dict(trained.average.model.state_dict())
    return TrainingResult(done, meter.seconds, log, meter.images_per_s(done), meter.peak_memory_mib)


def start_fabric(precision: Precision) -> Fabric:
    """Fabric for this process alone, or, under `torchrun`, for one of several that share gradients.

    Raises `ValueError` for a precision that this hardware does not have.
    """
    if precision == "16-mixed" and not torch.cuda.is_available():
        raise ValueError(
            "precision '16-mixed' needs a GPU, and there is none: "
            "use fast_precision(), or '32-true'"
        )
    processes = {"devices": 1}
    if "TORCHELASTIC_RUN_ID" in os.environ:  # set by torchrun
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        processes = {
            "devices": local,
            "num_nodes": int(os.environ["WORLD_SIZE"]) // local,
            # An ablation may leave a parameter without a gradient.
            "strategy": DDPStrategy(timeout=PATIENCE, find_unused_parameters=True),
        }
    with _without_notices():
        fabric = Fabric(accelerator="auto", precision=precision, **processes)
        fabric.launch()
    return fabric


def _set_up(fabric: Fabric, model: nn.Module, config: TrainingConfig) -> tuple[nn.Module, Trained]:
    """The model as the loss is to call it, on its device, and all that training changes."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    called = _compiled(model, fabric.device) if config.compile == "default" else model
    wrapped, optimizer = fabric.setup(called, optimizer)
    average = None if config.ema_decay is None else WeightAverage(model, config.ema_decay)
    scaled = fabric.strategy.precision if _scaler(fabric) else None
    return wrapped, Trained(model, optimizer, average, scaled)


def _set_learning_rate(optimizer: torch.optim.Optimizer, step: int, config: TrainingConfig) -> None:
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * learning_rate_factor(step, config)


def _compiled(model: nn.Module, device: torch.device) -> nn.Module:
    """The model compiled; as it is, with a warning, where a small trial shows that torch.compile
    does not work here.
    """
    try:
        torch.compile(torch.sin)(torch.zeros(8, device=device))
        return torch.compile(model)
    except Exception as error:  # no compiler, no Triton, a Python too new: each raises its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        warnings.warn(
            "torch.compile does not work here, training goes on without it, only slower "
            f"({reason}). "
            "It needs a C++ compiler on a CPU and Triton on a GPU; compile='none' silences this",
            stacklevel=2,
        )
        return model


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Keeps Fabric from announcing the precision on stderr: the configuration says it. The logger
    is left as it was.
    """
    logger = rank_zero.log
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _scaler(fabric: Fabric) -> torch.amp.GradScaler | None:
    """What scales losses up, so that gradients in float16 do not vanish; None in other
    precisions.
    """
    return getattr(fabric.strategy.precision, "scaler", None)


def _average_over_processes(fabric: Fabric, scalars: dict[str, Tensor]) -> dict[str, Tensor]:
    """The scalars, without gradients, averaged over the processes."""
    values = torch.stack([value.detach().float() for value in scalars.values()])
    return dict(zip(scalars, fabric.all_reduce(values), strict=True))


def _refuse_non_finite(
    fabric: Fabric, trained: Trained, scalars: dict[str, Tensor], step: int, state: RunState | None
) -> None:
    """Undoes the scaling of the gradients. Raises `NonFiniteError` unless loss and gradients are
    finite.

    Gradients that overflow where the loss was scaled up are no error: the scaler leaves this step
    out and scales less. When it scales no longer and they still do, they are.
    """
    fabric.strategy.precision.unscale_gradients(trained.optimizer.optimizer)
    gradients = [p.grad for p in trained.model.parameters() if p.grad is not None]
    norm = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]).norm()
    if not (scalars["loss"].isfinite() and norm.isfinite()):
        scaler = _scaler(fabric)
        if not scalars["loss"].isfinite() or scaler is None or scaler.get_scale() <= 1:
            raise NonFiniteError(_where_non_finite(trained.model, scalars, step, state))


def _where_non_finite(
    model: nn.Module, scalars: dict[str, Tensor], step: int, state: RunState | None
) -> str:
    """The message: which tensor went bad, weights before loss before gradients, and what to do."""
    named = [(f"weight {name}", p) for name, p in model.named_parameters()]
    named += [(name, value) for name, value in scalars.items()]
    named += [
        (f"gradient of {name}", p.grad)
        for name, p in model.named_parameters()
        if p.grad is not None
    ]
    culprit = next(
        (name for name, tensor in named if not torch.isfinite(tensor).all()),
        "the norm of all gradients",
    )
    kept = f"; {state.file} keeps the last good state" if state and state.file.exists() else ""
    return (
        f"step {step}: {culprit} is not finite, and nothing was updated with it{kept}. "
        "Look for NaN in the data; else lower learning_rate or clip_norm, or lengthen warmup_steps"
    )
