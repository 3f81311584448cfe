"""Scores of a tokenizer or of a network of image reconstruction on a data set given by name."""

from smm_tutorial import checkpoints
from smm_tutorial.arguments import check_choice
from smm_tutorial.datasets.named_sets import EVALUATION_SETS
from smm_tutorial.networks.pretrained import load_efficientnet_lite0
from smm_tutorial.reconstruction.model import SlotReconstruction, Tokenizer
from smm_tutorial.reconstruction.scores import evaluate, evaluate_tokenizer, score_distances
from smm_tutorial.results.records import read_kept_record


def score_by_name(
    what: str,
    data: str | None,
    root: str | None,
    seed: int,
    command: str,
    measures_distances: bool = False,
) -> tuple[dict, dict]:
    """Scores a checkpoint on a data set.

    Args:
        what: name or file of the checkpoint.
        data: a name in `EVALUATION_SETS`; None for the data that the model was trained on.
        root: the folder of the data, where the data set needs one.
        seed: of the slots' starts.
        command: the command that repeats this evaluation.
        measures_distances: whether the scores hold `distances`, which are `score_distances` with
            EfficientNet-Lite0.

    Returns:
        The checkpoint's record, with the scores that `data/results` already holds, and the new
        scores.

    Raises:
        CheckpointError: there is no such checkpoint, or it is of another task.
        ValueError, DatasetError: from loading the data, and from `read_kept_record`.
        ImportError: distances need the extra `pretrained`.
    """
    model, record = checkpoints.load(what)
    if not isinstance(model, Tokenizer | SlotReconstruction):
        raise checkpoints.CheckpointError(
            f"{what} is a {type(model).__name__}, but only a Tokenizer or a SlotReconstruction "
            "rebuilds images from tokens"
        )
    record = read_kept_record(record)
    data = check_choice("data", data or record["data"], EVALUATION_SETS)
    scenes = EVALUATION_SETS[data]
    if measures_distances and isinstance(model, Tokenizer):
        raise ValueError("distances are of generated pictures, and a tokenizer generates none")
    network = load_efficientnet_lite0() if measures_distances else None
    test = scenes.load(model.config.image_size, root)
    if isinstance(model, Tokenizer):
        scores = evaluate_tokenizer(model, test)
    else:
        scores = evaluate(model, test, seed, scenes.num_slots)
        if network is not None:
            scores["distances"] = score_distances(model, test, network, seed)
    return record, {"set": data} | scores | {"command": command}
