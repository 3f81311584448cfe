"""One training loop for every model."""

from smm_tutorial.training.config import (
    TENSOR_CORES,
    Compile,
    Precision,
    Schedule,
    TrainingConfig,
    fast_precision,
    learning_rate_factor,
)
from smm_tutorial.training.logs import Meter, Reached, TensorBoard, read_log, time_to
from smm_tutorial.training.loop import Loss, NonFiniteError, PlacedLoss, Run, fit, step_generator
from smm_tutorial.training.memory import bytes_kept_for_backward
from smm_tutorial.training.processes import (
    PATIENCE,
    ProcessError,
    Share,
    held_interrupts,
    make_fabric,
    run,
)
from smm_tutorial.training.state import RunState, Trained, WeightAverage

__all__ = [
    "Compile",
    "Loss",
    "Meter",
    "NonFiniteError",
    "PATIENCE",
    "PlacedLoss",
    "Precision",
    "ProcessError",
    "Reached",
    "Run",
    "RunState",
    "Schedule",
    "Share",
    "TENSOR_CORES",
    "TensorBoard",
    "Trained",
    "TrainingConfig",
    "WeightAverage",
    "bytes_kept_for_backward",
    "fast_precision",
    "fit",
    "held_interrupts",
    "learning_rate_factor",
    "make_fabric",
    "read_log",
    "run",
    "step_generator",
    "time_to",
]
