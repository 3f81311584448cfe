"""The configuration of a training, with its schedules and precisions."""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
Schedule = Literal["cosine", "half_life", "one_cycle"]
Compile = Literal["none", "default"]
LARGEST_SEED = 2**63 - 1  # the largest seed that torch accepts
TENSOR_CORES = (7, 0)  # GPUs have units for float16 from this compute capability on


def fast_precision() -> Precision:
    """Chooses the precision in which this hardware trains fastest.

    - bfloat16: GPUs with units for bfloat16 (Ampere and later), and CPUs with AMX or AVX-512 BF16.
    - float16: GPUs with units for float16, but not for bfloat16 (such as the T4).
    - float32: all other hardware. It would have to emulate half precision, which is slower.
    """
    if torch.cuda.is_available():
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed"
        return "16-mixed" if torch.cuda.get_device_capability() >= TENSOR_CORES else "32-true"
    units = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    has_units = units.get("amx_bf16", False) or units.get("avx512_bf16", False)
    return "bf16-mixed" if has_units else "32-true"


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a training. Model, data, loss and these settings together decide a run.

    Args:
        steps: number of training steps.
        batch_size: images per step, of all processes together.
        learning_rate: in each step it is multiplied by the factor of the schedule.
        warmup_steps: W, the number of steps in which the learning rate grows.
        clip_norm: the largest norm of the gradient.
        seed: decides the batches and the noise.
        precision: see `fast_precision`.
        schedule: of the learning rate, `cosine`, `half_life` or `one_cycle`; see
            `learning_rate_factor`.
        half_life: steps in which the learning rate halves, for the schedule `half_life`.
        weight_decay: the weight decay of AdamW.
        ema_decay: decay of an average of the weights (see `WeightAverage`). The average is
            evaluated, and the trained model gets its weights. None: no average.
        shared_rate: a factor on the learning rate of the parts that a model shares with other tasks
            (`SlotModel.shared_parts`). A factor below 1 protects what these parts learned before.
        frozen_steps: number of steps, from the first, in which the shared parts do not change.
        compile: `default` lets torch.compile fuse the many small operations of the network. This
            helps long runs on a GPU. The first step then takes a minute or more, and a CPU gains
            little. If torch.compile fails, the training warns and continues without it.

    Raises:
        ValueError: a setting of a wrong type or outside its range, or settings that contradict each
            other.
    """

    steps: int
    batch_size: int  # of all processes together
    learning_rate: float = 1.6e-3
    warmup_steps: int = 300
    clip_norm: float = 0.15
    seed: int = 0
    precision: Precision = "32-true"
    schedule: Schedule = "cosine"
    half_life: int | None = None
    weight_decay: float = 0.0
    ema_decay: float | None = None
    compile: Compile = "none"
    shared_rate: float = 1.0
    frozen_steps: int = 0

    def __post_init__(self):
        least_of = {"steps": 1, "batch_size": 1, "warmup_steps": 0, "seed": 0, "frozen_steps": 0}
        for name, least in least_of.items():
            self._make_plain(name, operator.index, "a whole number")
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.seed > LARGEST_SEED:
            raise ValueError(f"seed must be at most {LARGEST_SEED}, got {self.seed}")
        for name in ("learning_rate", "clip_norm", "weight_decay", "shared_rate"):
            self._make_plain(name, float, "a number")
        for name in ("learning_rate", "clip_norm", "shared_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number above 0, got {getattr(self, name)}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be a number from 0 on, got {self.weight_decay}")
        choices = {"precision": Precision, "schedule": Schedule, "compile": Compile}
        for name, known in choices.items():
            if getattr(self, name) not in get_args(known):
                names = ", ".join(map(repr, get_args(known)))
                raise ValueError(f"{name} must be one of {names}, got {getattr(self, name)!r}")
        has_half_life = self.half_life is not None
        if (self.schedule == "half_life") != has_half_life or (
            has_half_life and self.half_life < 1
        ):
            raise ValueError(
                "half_life, in steps, belongs to schedule='half_life', "
                f"got {self.half_life} for {self.schedule!r}"
            )
        if self.schedule == "one_cycle" and not 1 < self.warmup_steps < self.steps:
            raise ValueError(
                f"warmup_steps must be between 1 and steps = {self.steps} for "
                f"schedule='one_cycle', got {self.warmup_steps}"
            )
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(
                f"ema_decay must be between 0 and 1, or None for no average, got {self.ema_decay}"
            )

    def _make_plain(self, name: str, convert: Callable[[Any], Any], kind: str) -> None:
        """Converts a number of numpy or torch to Python's, because JSON can hold only these."""
        value = getattr(self, name)
        try:
            object.__setattr__(self, name, convert(value))
        except (TypeError, ValueError):
            raise ValueError(f"{name} must be {kind}, got {value!r}") from None


def learning_rate_factor(step: int, config: TrainingConfig) -> float:
    """Computes the factor on the learning rate in a step, by `config.schedule`.

    Steps count from 0. W is `warmup_steps`.

    - cosine: (step + 1) / W, then half a cosine from 1 down to 0 at the end.
    - half_life: min(step / W, 1) x 0.5^(step / half_life). Both papers use it for object discovery.
      W and half-life are 10k and 100k in Slot Attention, 5k and 50k in SMM.
    - one_cycle: half a cosine from 1/25 up to 1 over W steps, then half a cosine down to 1/250,000.
      This is torch's `OneCycleLR` with its default divisors. SMM uses it for set prediction, with
      W = 5 % of the steps.
    """
    warmup = config.warmup_steps
    if config.schedule == "half_life":
        return min(step / warmup if warmup else 1.0, 1.0) * 0.5 ** (step / config.half_life)
    if config.schedule == "one_cycle":
        start, top, end = 1 / 25, warmup - 1, 1 / 25 / 1e4
        if step <= top:
            return _half_cosine(start, 1.0, step / top)
        return _half_cosine(1.0, end, (step - top) / (config.steps - 1 - top))
    if step < warmup:
        return (step + 1) / warmup
    return _half_cosine(1.0, 0.0, min(1.0, (step - warmup) / max(1, config.steps - warmup)))


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))
