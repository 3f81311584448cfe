"""One training loop for every model, on Lightning Fabric.

A run has a folder with two files: `state.safetensors` (weights, optimiser, step), from which the
run can continue, and `log.jsonl`. The random numbers of step t depend only on the seed and t. So,
on a CPU, a run that was killed and continued ends with exactly the same weights as a run without
interruption.

For several GPUs or machines, start the same command under `torchrun`. `torchrun` starts the
processes and sets the environment that Fabric reads. If one process fails, `torchrun` ends all.
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
from smm_tutorial.training.config import TrainingConfig
from smm_tutorial.training.interrupts import hold_interrupts, save_before_the_end
from smm_tutorial.training.logs import Meter, TensorBoard
from smm_tutorial.training.parameters import (
    drop_frozen_gradients,
    group_parameters,
    set_learning_rates,
    unfreeze_all,
)
from smm_tutorial.training.processes import start_fabric
from smm_tutorial.training.state import (
    CannotWriteError,
    Progress,
    RunningStatistics,
    RunState,
    Trained,
    WeightAverage,
    own_folder,
)

#: `loss(model, batch, step)` -> scalars by name. `fit` minimises "loss", and logs all scalars.
Loss = Callable[[nn.Module, Any, int], dict[str, Tensor]]


class DrawsBatches(Protocol):
    """A source of batches, such as `Batches`."""

    def place(self, device: torch.device, share: Share) -> None:
        """Sets the device and the share of each batch. `fit` calls this method once."""

    def draw(self, generator: torch.Generator) -> Any:
        """Draws a batch with the generator, in the form that the loss needs."""


class NonFiniteError(FloatingPointError):
    """Training met an infinite or undefined number. The message names the step and the tensor."""


@dataclass
class TrainingResult:
    """The result of `fit`.

    step: number of steps that the run has done.
    seconds: the time of the run in seconds, over all calls of `fit`.
    log: the entries that this call logged: step, seconds, loss, images per second, and the scalars
    of `evaluate`.
    images_per_s: training images per second in this call, without the time of evaluations.
    peak_memory_mib: the largest GPU memory in MiB; None on a CPU.
    """

    step: int
    seconds: float
    log: list[dict]
    images_per_s: float
    peak_memory_mib: float | None


def step_generator(seed: int, step: int) -> torch.Generator:
    """Makes the random generator of one training step. It depends only on seed and step."""
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
    """Trains `model` in place with AdamW, in training mode.

    Args:
        run_dir: the folder of the run. If it holds a state, the training continues from there.
        save_every, log_every, evaluate_every: in steps. All three also happen at the end.
        stop_at: the step of the schedule at which this call ends early.
        progress: whether to show a progress bar.
        evaluate: computes scalars of the model, for the log.
        tensorboard: a folder for a copy of the log as TensorBoard's event files.
        choices: further choices that decide the run, as JSON. `fit` refuses to continue a state
            with other choices.

    Under `torchrun` each process computes its share of the same joint batch. The losses equal those
    of one process, up to rounding, but for models with `BatchNorm`: each process then normalises by
    its own share. Only the first process evaluates and writes. If there are several machines, all
    must see the same `run_dir`.

    An interrupt, `kill` or a closed terminal first saves the last finished step. If an evaluation
    or a log entry was due at that step, the next call makes it.

    Raises:
        NonFiniteError: a number is not finite. It has not reached the weights, and the last good
            state stays on disk.
        CheckpointError: `run_dir` holds a damaged state, or the state of another run.
        FolderBusyError: another process trains in `run_dir`.
        CannotWriteError: `run_dir` cannot be written.
        ValueError: the processes cannot share the batch equally, or the hardware lacks the
            precision.
    """
    fabric = start_fabric(config.precision)
    if config.batch_size % fabric.world_size:
        raise ValueError(
            f"batch_size must be a multiple of the {fabric.world_size} processes, "
            f"got {config.batch_size}"
        )
    writes, alone = fabric.is_global_zero, fabric.world_size == 1
    if not writes:  # the first process saves after an interrupt; torchrun ends the other processes
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    board = TensorBoard(tensorboard) if tensorboard is not None and writes else None
    batches.place(fabric.device, Share(fabric.global_rank, fabric.world_size))
    wrapped, trained = _set_up(fabric, model, config)
    with _own_together(fabric, run_dir):
        state = RunState(Path(run_dir), config, choices) if run_dir is not None else None
        begun = state.restore(trained) if state else Progress()
        memory = begun.readings.get("peak_memory_mib", 0.0)
        run = _Run(
            trained,
            begun,
            Meter(fabric.device, config.batch_size, begun.step, begun.seconds, memory),
            last=config.steps if stop_at is None else min(stop_at, config.steps),
            state=state if writes else None,
            board=board,
            evaluate=evaluate if writes else None,
            log_every=log_every,
            evaluate_every=evaluate_every,
        )
        model.train()
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
                    set_learning_rates(trained.optimizer, step, config, alone)
                    scalars = loss(wrapped, batches.draw(step_generator(config.seed, step)), step)
                    trained.optimizer.zero_grad(set_to_none=True)
                    fabric.backward(scalars["loss"])
                    drop_frozen_gradients(trained.optimizer, step, config)
                    scalars = _average_over_processes(fabric, scalars)
                    _refuse_non_finite(fabric, trained, scalars, step, state)
                    nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
                    with hold_interrupts():
                        trained.optimizer.step()
                        if trained.average:
                            trained.average.update(model, step)
                        run.statistics.remember()
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
                run.statistics.rewind()
                unfreeze_all(trained.optimizer)
                if trained.average:
                    model.load_state_dict(trained.average.model.state_dict())
    measured = run.measure()
    speed = measured.readings.get("images_per_s", 0.0)
    return TrainingResult(run.done, measured.seconds, run.log, speed, run.meter.peak_memory_mib)


@contextlib.contextmanager
def _own_together(fabric: Fabric, folder: str | Path | None) -> Iterator[None]:
    """Keeps other runs out of a folder. The first process locks it, for all processes of the run.

    Raises `FolderBusyError` or `CannotWriteError` in every process if the lock fails.
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
    """The progress of a call of `fit`. It logs, evaluates and saves.

    state, board, evaluate: None in all processes except the first. log: the entries of this call.
    done: number of finished steps. scalars: the loss and the other scalars of the last step.
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
        self.statistics = RunningStatistics(self.trained.model)
        self.log: list[dict] = []

    def is_due(self, every: int) -> bool:
        """Whether a task that repeats every `every` steps, and at the end, is due now."""
        return self.done % every == 0 or self.done == self.last

    def measure(self) -> Progress:
        readings = {name: float(value) for name, value in self.scalars.items()}
        return Progress(self.done, self.meter.seconds, readings | self.meter.readings(self.done))

    def describe(self) -> str:
        """Makes the text of the progress bar."""
        readings = self.measure().readings
        return f"loss {readings['loss']:.4f}, {readings['images_per_s']:.0f} images/s"

    def take_up_log(self) -> None:
        """Removes log entries later than the saved state, and adds an entry that is missing.

        After a kill, the log may have entries later than the last save; these steps run again. An
        interrupt saves first, but its step may not have been logged or evaluated.
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
        """Evaluates and writes a log entry about the last step, if either is due."""
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
        self.statistics.rewind()  # a signal may end the run inside a step
        if self.state:
            self.state.save(self.trained, self.measure())

    def save_and_say(self, why: str) -> None:
        """Saves, and prints where, because the call ends early. why: the reason."""
        with hold_interrupts():
            self.save()
            print(
                f"{why}. {self.state.file} holds step {self.done:,}: "
                "the same call goes on from there.",
                flush=True,
            )


def _set_up(fabric: Fabric, model: nn.Module, config: TrainingConfig) -> tuple[nn.Module, Trained]:
    """Prepares the model for the loss, on its device, and collects all that training changes."""
    optimizer = torch.optim.AdamW(
        group_parameters(model, config), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    called = _compiled(model, fabric.device) if config.compile == "default" else model
    wrapped, optimizer = fabric.setup(called, optimizer)
    average = None if config.ema_decay is None else WeightAverage(model, config.ema_decay)
    scaled = fabric.strategy.precision if _scaler(fabric) else None
    return wrapped, Trained(model, optimizer, average, scaled)


def _compiled(model: nn.Module, device: torch.device) -> nn.Module:
    """Compiles the model. If a small trial of torch.compile fails, warns and returns the model."""
    try:
        torch.compile(torch.sin)(torch.zeros(8, device=device))
        return torch.compile(model)
    except Exception as error:  # a missing compiler or Triton, or a new Python: all raise different
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        warnings.warn(
            "torch.compile does not work here, training goes on without it, only slower "
            f"({reason}). "
            "It needs a C++ compiler on a CPU and Triton on a GPU; compile='none' silences this",
            stacklevel=2,
        )
        return model


def _scaler(fabric: Fabric) -> torch.amp.GradScaler | None:
    """Returns the scaler of losses, which keeps gradients in float16 from becoming 0.

    Other precisions have no scaler; the result is then None.
    """
    return getattr(fabric.strategy.precision, "scaler", None)


def _average_over_processes(fabric: Fabric, scalars: dict[str, Tensor]) -> dict[str, Tensor]:
    """Averages the scalars over the processes. The results have no gradients."""
    values = torch.stack([value.detach().float() for value in scalars.values()])
    return dict(zip(scalars, fabric.all_reduce(values), strict=True))


def _refuse_non_finite(
    fabric: Fabric, trained: Trained, scalars: dict[str, Tensor], step: int, state: RunState | None
) -> None:
    """Undoes the scaling of the gradients, then checks that loss and gradients are finite.

    If scaled gradients overflow, this is not an error: the scaler skips the step and lowers its
    scale. It is an error if the scale is already 1 or less.

    Raises `NonFiniteError` if the loss or a gradient is not finite.
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
    """Makes the message: it names the first tensor that is not finite, and says what to do.

    The order of the tensors is: weights, loss, gradients.
    """
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
