"""Scores a checkpoint on a data set, and puts the score into its record."""

from pathlib import Path

from smm_tutorial import checkpoints
from smm_tutorial.checkpoints import CheckpointError
from smm_tutorial.datasets.named_sets import SET_EVALUATION_SETS
from smm_tutorial.results.records import kept_beside
from smm_tutorial.set_prediction.model import SetPredictor
from smm_tutorial.set_prediction.scores import predict_sets, set_scores


def evaluated_set_record(
    what: str, data: str, root: str | Path | None, seed: int, command: str
) -> dict:
    """Scores a checkpoint (by name or file) on one of `SET_EVALUATION_SETS`, at `root` where it
    needs a folder.

    Returns the result record with this score in it, beside those that `data/results` already holds
    for other data.

    Raises `CheckpointError` for an unknown checkpoint or one of another kind, `ValueError` or
    `DatasetError` as the data do, and as `records.kept_beside`.
    """
    model, record = checkpoints.load(what)
    if not isinstance(model, SetPredictor):
        raise CheckpointError(
            f"{what} is a {type(model).__name__}, but only a SetPredictor predicts sets that can be scored"
        )
    if data not in SET_EVALUATION_SETS:
        raise ValueError(
            f"no sets are scored on {data!r}: known are {', '.join(SET_EVALUATION_SETS)}"
        )
    record, scenes = kept_beside(record), SET_EVALUATION_SETS[data]
    test = scenes.load(model.config.image_size, root)
    record["scores"][scenes.label_of(len(test))] = set_scores(
        test, predict_sets(model, test, seed)
    ) | {"command": command}
    return record
