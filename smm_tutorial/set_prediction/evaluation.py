"""Scores a checkpoint on a data set, and puts the score into its record."""

from pathlib import Path

from smm_tutorial import checkpoints
from smm_tutorial.checkpoints import CheckpointError
from smm_tutorial.datasets.named_sets import SET_EVALUATION_SETS
from smm_tutorial.results.records import add_scores, read_kept_record
from smm_tutorial.set_prediction.model import SetPredictor
from smm_tutorial.set_prediction.scores import evaluate


def evaluated_record(
    what: str, data: str, root: str | Path | None, seed: int, command: str
) -> dict:
    """Scores a checkpoint (by name or file) on one of `SET_EVALUATION_SETS`, at `root` where it
    needs a folder.

    Returns the record with this score in it, beside those that `data/results` already holds.

    Raises `CheckpointError` for an unknown checkpoint or one of another kind, `ValueError` or
    `DatasetError` as the data do, and as `read_kept_record`.
    """
    model, record = checkpoints.load(what)
    if not isinstance(model, SetPredictor):
        raise CheckpointError(
            f"{what} is a {type(model).__name__}, but only a SetPredictor predicts sets that can "
            "be scored"
        )
    if data not in SET_EVALUATION_SETS:
        raise ValueError(
            f"no sets are scored on {data!r}: known are {', '.join(SET_EVALUATION_SETS)}"
        )
    record = read_kept_record(record)
    test = SET_EVALUATION_SETS[data].load(model.config.image_size, root)
    add_scores(record, {"set": data} | evaluate(model, test, seed) | {"command": command})
    return record
