"""One training loop for every model, on Lightning Fabric.

A run is a folder: `state.safetensors` to go on from (weights, optimiser, step) and `log.jsonl`.
What happens in step t depends on the seed and t alone. A run that was killed and resumed therefore
ends bit-equal, on a CPU, to one that was not.

Several GPUs or machines: start the same command under `torchrun`, which sets the environment that
Fabric reads, starts the processes and ends them all when one fails.
"""

import contextlib
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from tqdm.auto import tqdm

from smm_tutorial.files import FolderBusyError
from smm_tutorial.training.batches import Share
from smm_tutorial.training.config import TrainingConfig, learning_rate_factor
from smm_tutorial.training.interrupts import hold_interrupts, save_before_the_end
from smm_tutorial.training.logs import Meter, TensorBoard
from smm_tutorial.training.processes import start_fabric
from smm_tutorial.training.state import (
    CannotWriteError,
    Progress,
    RunState,
    Trained,
    WeightAverage,
    own_folder,
)

#: `loss(model, batch, step)` -> scalars by name. "loss" is minimised, all of them are logged.
Loss = Callable[[nn.Module, Any, int], dict[str, Tensor]]


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
    choices: dict | None = None,
) -> TrainingResult:
    """Trains `model` in place with AdamW.

    With a `run_dir` it goes on from the state found there, and keeps that state up to date.

    stop_at: ends this call early, at that step of the schedule.
    evaluate: scalars of the model that are logged every `evaluate_every` steps and at the end.
    tensorboard: a folder for the log as TensorBoard's event files, beside `log.jsonl`.

    choices: what else decides the run, as JSON; a state of a run with others is refused.

    Under `torchrun` each process computes its share of the same joint batch, so that the losses are
    those of one process, up to rounding. The first process alone evaluates and writes. Several
    machines need a `run_dir` that all of them see.

    An interrupt saves the last finished step before it is passed on, and so does what ends the
    process (`kill`, a closed terminal). What was due at that step and not yet logged, such as an
    evaluation, the next call makes up for.

    Raises `NonFiniteError` before a bad number reaches the weights (the last good state stays on
    disk), `CheckpointError` where `run_dir` holds a damaged state or one of another run,
    `FolderBusyError` where another process trains in it, `CannotWriteError` where it cannot be
    written, and `ValueError` for a batch that the processes cannot share, or what the hardware
    lacks.
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
    with _own_together(fabric, run_dir):
        state = RunState(Path(run_dir), config, choices) if run_dir is not None else None
        begun = state.restore(trained) if state else Progress()
        run = _Run(
            trained,
            begun,
            Meter(fabric.device, config.batch_size, begun.step, begun.seconds),
            last=config.steps if stop_at is None else min(stop_at, config.steps),
            state=state if writes else None,
            board=board,
            evaluate=evaluate if writes else None,
            log_every=log_every,
            evaluate_every=evaluate_every,
        )
        bar = tqdm(
            range(begun.step, run.last),
            initial=begun.step,
            total=config.steps,
            disable=not (progress and writes),
            unit="step",
        )
        with save_before_the_end(run.save_and_say) if run.state else contextlib.nullcontext():
            try:
                run.take_up_log()
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
                        run.done, run.scalars = step + 1, scalars
                    if run.is_due(log_every):
                        bar.set_postfix_str(run.describe())
                    run.log_what_is_due()
                    if run.is_due(save_every):
                        run.save()
            except KeyboardInterrupt:
                if run.state:
                    run.save_and_say("Interrupted")
                raise
            finally:
                if trained.average:
                    model.load_state_dict(trained.average.model.state_dict())
    measured = run.measure()
    speed = measured.readings.get("images_per_s", 0.0)
    return TrainingResult(run.done, measured.seconds, run.log, speed, run.meter.peak_memory_mib)


@contextlib.contextmanager
def _own_together(fabric: Fabric, folder: str | Path | None) -> Iterator[None]:
    """Keeps other runs out of a folder: the first process owns it, all learn of a refusal.

    Raises `FolderBusyError` or `CannotWriteError`, in every process.
    """
    refusal = None
    with contextlib.ExitStack() as stack:
        if folder is not None and fabric.is_global_zero:
            try:
                stack.enter_context(own_folder(Path(folder)))
            except (FolderBusyError, CannotWriteError) as error:
                refusal = error
        refusal = fabric.broadcast(refusal)
        if refusal is not None:
            raise refusal
        yield


@dataclass
class _Run:
    """A call of `fit`: how far it is, and what it logs, evaluates and saves.

    state, board, evaluate: None in all processes but the first. log: the entries of this call.
    done: steps done. scalars: of the last of them, the loss and what else its entry says.
    """

    trained: Trained
    begun: Progress
    meter: Meter
    last: int
    state: RunState | None
    board: TensorBoard | None
    evaluate: Callable[[nn.Module], dict[str, float]] | None
    log_every: int
    evaluate_every: int

    def __post_init__(self):
        self.done, self.scalars = self.begun.step, self.begun.readings
        self.log: list[dict] = []

    def is_due(self, every: int) -> bool:
        """Whether what is done every so many steps, and at the end, is due after the last one."""
        return self.done % every == 0 or self.done == self.last

    def measure(self) -> Progress:
        readings = {name: float(value) for name, value in self.scalars.items()}
        return Progress(self.done, self.meter.seconds, readings | self.meter.readings(self.done))

    def describe(self) -> str:
        """For the progress bar."""
        readings = self.measure().readings
        return f"loss {readings['loss']:.4f}, {readings['images_per_s']:.0f} images/s"

    def take_up_log(self) -> None:
        """Leaves out of the log what came after the state, and makes up for what is missing.

        A kill comes between two saves, and the steps since are done again. An interrupt saves, and
        may have come before its step was logged or evaluated.
        """
        if not self.state:
            return
        entries = self.state.read_log(self.done)
        found = entries.pop() if entries and entries[-1]["step"] == self.done else {}
        evaluated = found.keys() - self.scalars.keys() - {"step", "seconds"}
        missing = self.is_due(self.log_every) and not found
        missing |= bool(self.evaluate) and self.is_due(self.evaluate_every) and not evaluated
        if found and not missing:
            entries.append(found)
        self.state.begin_log(entries)
        if missing and self.done:
            self.log_what_is_due()

    def log_what_is_due(self) -> None:
        """Writes an entry about the last step, if it is time for one."""
        entry = self.measure().readings if self.is_due(self.log_every) else {}
        if self.evaluate and self.is_due(self.evaluate_every):
            model = self.trained.model
            with self.meter.paused():
                entry |= self.evaluate((self.trained.average or self.trained).model.eval())
            model.train()
        if entry:
            seconds = round(self.meter.seconds, 2)
            self.log.append({"step": self.done, "seconds": seconds} | entry)
            for journal in filter(None, (self.state, self.board)):
                journal.log(self.log[-1])

    def save(self) -> None:
        if self.state:
            self.state.save(self.trained, self.measure())

    def save_and_say(self, why: str) -> None:
        """Saves where the call ends early."""
        with hold_interrupts():
            self.save()
            print(
                f"{why}. {self.state.file} holds step {self.done:,}: "
                "the same call goes on from there.",
                flush=True,
            )


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
