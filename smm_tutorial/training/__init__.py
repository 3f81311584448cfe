"""Training: one loop for every model.

`fit` draws a batch a step (`Batches`), asks a loss for a number and follows its gradient, as a
`TrainingConfig` says. It logs, saves and resumes. It knows nothing of slots.
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
