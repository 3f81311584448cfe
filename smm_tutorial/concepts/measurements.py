"""Measures what the weights of a trained model tell, and writes it to a record."""

from pathlib import Path

from smm_tutorial import checkpoints
from smm_tutorial.concepts.empty_slots import score_weights
from smm_tutorial.concepts.slot_readings import read_slots
from smm_tutorial.datasets import SceneImages
from smm_tutorial.datasets.named_sets import EVALUATION_SETS, TRAINING_DATA, training_split
from smm_tutorial.results.provenance import provenance
from smm_tutorial.results.records import VERSION, upgrade_record
from smm_tutorial.slots.slot_model import SlotModel

#: Numbers of slots that are tried on the test scenes of a model's own data.
SLOT_COUNTS = (4, 5, 6, 7, 8, 10, 12, 16)
#: Other scenes. `clevr7-10` has more objects than the training scenes.
OTHER_SETS = ("clevr7-10",)
#: Scenes of another renderer, which need a folder.
RENDERS = ("clevr-renders", "clevr-renders-7-10")


def name_measurement(model_name: str) -> str:
    return f"concepts-weights-{model_name}"


def measure_weights(
    what: str,
    command: str = "",
    renders: str | Path | None = None,
    seed: int = 0,
    slot_counts: tuple[int, ...] = SLOT_COUNTS,
) -> dict:
    """Scores the weights of a trained model of object discovery -> a record.

    Thresholds are chosen on the validation scenes of the model's own data, with the same number of
    slots.

    Args:
        what: name or file of the model.
        command: the command that repeats the measurement.
        renders: the folder of Blender's renders; None leaves these scenes out.
        seed: of the slots' starts.
        slot_counts: numbers of slots on the model's own test scenes.

    Raises:
        CheckpointError: there is no such model, or it paints no masks.
        ValueError: the model was trained on data without masks.
    """
    model, record = checkpoints.load(what)
    record = upgrade_record(record)
    if not isinstance(model, SlotModel) or record["task"] != "discovery":
        raise checkpoints.CheckpointError(
            f"{what} is a {type(model).__name__}: weights are measured on a model of object "
            "discovery, whose masks say what a slot holds"
        )
    data, size = record["data"], model.config.image_size
    if data not in TRAINING_DATA:
        raise ValueError(
            f"{what} was trained on {data}, which has no validation scenes with masks: choose a "
            f"model that was trained on one of {', '.join(TRAINING_DATA)}"
        )
    validation = training_split(data, "val", size)

    def score(name: str, scenes: SceneImages, num_slots: int) -> dict:
        thresholds = read_slots(model, validation, seed, num_slots)
        readings = read_slots(model, scenes, seed, num_slots)
        return {"set": name} | score_weights(readings, thresholds)

    test = training_split(data, "test", size)
    scores = {f"{data}, {count} slots": score(data, test, count) for count in slot_counts}
    for name in OTHER_SETS + (RENDERS if renders is not None else ()):
        scenes = EVALUATION_SETS[name]
        count = scenes.num_slots or model.config.num_slots
        root = renders if scenes.root else None
        scores[f"{name}, {count} slots"] = score(name, scenes.load(size, root), count)
    return {
        "version": VERSION,
        "name": name_measurement(record["name"]),
        "measured": "weights",
        "command": command,
        "measured_model": record["name"],
        "contestant": record["contestant"],
        "data": data,
        "training": {"seed": record["training"]["seed"]},
        "trained_slots": model.config.num_slots,
        "provenance": provenance(),
        "scores": scores,
    }
