"""Scores of a checkpoint on a data set that is given by name."""

from pathlib import Path

from smm_tutorial import checkpoints
from smm_tutorial.checkpoints import CheckpointError
from smm_tutorial.datasets.foreign_sets import SETS_WITH_RECORDS, ForeignSet
from smm_tutorial.datasets.named_sets import SET_EVALUATION_SETS
from smm_tutorial.results.records import read_kept_record
from smm_tutorial.set_prediction.model import SetPredictor
from smm_tutorial.set_prediction.scores import evaluate


def score_by_name(
    what: str,
    data: str | None,
    root: str | Path | None,
    seed: int,
    command: str,
    num_iterations: int | None = None,
    num_slots: int | None = None,
) -> tuple[dict, dict]:
    """Scores a checkpoint on a data set.

    Args:
        what: name or file of the checkpoint.
        data: a name in `SET_EVALUATION_SETS` or `SETS_WITH_RECORDS`; None for the data that the
            model was trained on.
        root: the folder of the data, where the data set needs one.
        seed: of the slots' starts.
        command: the command that repeats this evaluation.
        num_iterations, num_slots: of the slot module; None for the model's own.

    Returns:
        The checkpoint's record, with the scores that `data/results` already holds, and the new
        scores.

    Raises:
        CheckpointError: there is no such checkpoint, or it is not a set predictor.
        ValueError, DatasetError: from loading the data, and from `read_kept_record`.
    """
    model, record = checkpoints.load(what)
    if not isinstance(model, SetPredictor):
        raise CheckpointError(
            f"{what} is a {type(model).__name__}, but only a SetPredictor predicts sets that can "
            "be scored"
        )
    record = read_kept_record(record)
    data = data or record["data"]
    size, folder = model.config.image_size, None if root is None else str(root)
    if data in SETS_WITH_RECORDS:
        held_out = ForeignSet(data, folder, max_objects=model.config.num_slots)
        test = held_out.load("test", size, whole_frame=True)
    elif data in SET_EVALUATION_SETS:
        test = SET_EVALUATION_SETS[data].load(size, root)
    else:
        known = ", ".join([*SET_EVALUATION_SETS, *SETS_WITH_RECORDS])
        raise ValueError(f"no sets are scored on {data!r}: known are {known}")
    scores = evaluate(model, test, seed, num_iterations, num_slots)
    return record, {"set": data} | scores | {"command": command}
