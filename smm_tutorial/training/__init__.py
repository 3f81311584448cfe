"""Training: one loop for every model.

In each step `fit` draws a batch (`Batches`), computes a loss, and updates the weights by the
gradient of the loss. A `TrainingConfig` holds the settings. `fit` writes a log, saves its state,
and continues a run that was stopped. It does not depend on slots.
"""

from smm_tutorial.training.batches import Batch, Batches
from smm_tutorial.training.config import TrainingConfig, fast_precision, learning_rate_factor
from smm_tutorial.training.logs import read_log
from smm_tutorial.training.loop import NonFiniteError, TrainingResult, fit, step_generator
from smm_tutorial.training.memory import bytes_kept_for_backward
from smm_tutorial.training.processes import is_first_process
from smm_tutorial.training.state import CannotWriteError

__all__ = [
    "Batch",
    "Batches",
    "CannotWriteError",
    "NonFiniteError",
    "TrainingConfig",
    "TrainingResult",
    "bytes_kept_for_backward",
    "fast_precision",
    "fit",
    "is_first_process",
    "learning_rate_factor",
    "read_log",
    "step_generator",
]
