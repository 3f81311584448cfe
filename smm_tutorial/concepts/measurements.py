"""Measures what the weights and the concepts of a trained model tell, for records."""

import functools
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from smm_tutorial import checkpoints
from smm_tutorial.concepts.composing import (
    Source,
    fit_judge,
    judge_scenes,
    measure_diversity,
    open_studio,
    paint_scene,
    score_judge,
)
from smm_tutorial.concepts.empty_slots import score_weights
from smm_tutorial.concepts.library import (
    CONCEPT_COUNTS,
    fit_library,
    fit_place,
    gather_objects,
    score_concepts,
)
from smm_tutorial.concepts.slot_readings import SlotReadings, read_slots
from smm_tutorial.datasets import SceneImages
from smm_tutorial.datasets.named_sets import EVALUATION_SETS, TRAINING_DATA, training_split
from smm_tutorial.metrics.image_distances import compare_image_sets
from smm_tutorial.networks.pretrained import load_efficientnet_lite0
from smm_tutorial.results.provenance import provenance
from smm_tutorial.results.records import VERSION, upgrade_record
from smm_tutorial.slots.slot_model import SlotModel

#: Numbers of slots that are tried on the test scenes of a model's own data.
SLOT_COUNTS = (4, 5, 6, 7, 8, 10, 12, 16)
#: Other scenes. `clevr7-10` has more objects than the training scenes.
OTHER_SETS = ("clevr7-10",)
#: Scenes of another renderer, which need a folder.
RENDERS = ("clevr-renders", "clevr-renders-7-10")


#: Training scenes whose slots make a library.
LIBRARY_SCENES = 2_000
LEAST_COMPOSED, MOST_COMPOSED = 2, 4  # objects of a composed scene


def name_measurement(model_name: str, measured: str = "weights") -> str:
    """The name of a record. measured: `weights`, `library` or `composed`."""
    return f"concepts-{measured}-{model_name}"


def load_measured_model(what: str) -> tuple[SlotModel, dict]:
    """Loads a model of object discovery whose training scenes have masks -> model and record.

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
    if record["data"] not in TRAINING_DATA:
        raise ValueError(
            f"{what} was trained on {record['data']}, which has no validation scenes with masks: "
            f"choose a model that was trained on one of {', '.join(TRAINING_DATA)}"
        )
    return model, record


def _describe(record: dict, measured: str, command: str, scores: dict) -> dict:
    """Makes the record of a measurement from the record of the measured model."""
    return {
        "version": VERSION,
        "name": name_measurement(record["name"], measured),
        "measured": measured,
        "command": command,
        "measured_model": record["name"],
        "contestant": record["contestant"],
        "data": record["data"],
        "training": {"seed": record["training"]["seed"]},
        "trained_slots": record["config"]["num_slots"],
        "provenance": provenance(),
        "scores": scores,
    }


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

    Raises the errors of `load_measured_model`.
    """
    model, record = load_measured_model(what)
    data, size = record["data"], model.config.image_size
    validation = training_split(data, "val", size)

    @functools.cache
    def read_validation(num_slots: int) -> SlotReadings:
        return read_slots(model, validation, seed, num_slots)

    def score(name: str, scenes: SceneImages, num_slots: int) -> dict:
        readings = read_slots(model, scenes, seed, num_slots)
        return {"set": name} | score_weights(readings, read_validation(num_slots))

    test = training_split(data, "test", size)
    scores = {f"{data}, {count} slots": score(data, test, count) for count in slot_counts}
    for name in OTHER_SETS + (RENDERS if renders is not None else ()):
        scenes = EVALUATION_SETS[name]
        count = scenes.num_slots or model.config.num_slots
        root = renders if scenes.root else None
        scores[f"{name}, {count} slots"] = score(name, scenes.load(size, root), count)
    return _describe(record, "weights", command, scores)


def measure_library(
    what: str,
    command: str = "",
    seed: int = 0,
    count: int = LIBRARY_SCENES,
    concept_counts: tuple[int, ...] = CONCEPT_COUNTS,
) -> dict:
    """Makes concept libraries of a trained model's slots, and scores them -> a record.

    The libraries are fitted to training scenes. The concepts of test scenes are compared with the
    true properties of their objects. SMM has four libraries: of means with variances, and of means
    alone; each from slots as they are, and with the place removed. Slots without variances have
    two libraries.

    Args:
        what: name or file of the model.
        command: the command that repeats the measurement.
        seed: of the slots' starts and of the mixtures' starts.
        count: number of training scenes.
        concept_counts: numbers of concepts that BIC chooses from.

    Raises the errors of `load_measured_model`, and `ValueError` for data without records.
    """
    model, record = load_measured_model(what)
    data, size, dim = record["data"], model.config.image_size, model.config.slot_dim
    train = training_split(data, "train", size)
    train = train.subset(range(min(count, len(train))))
    test = training_split(data, "test", size)
    fitted = gather_objects(read_slots(model, train, seed), train)
    scored = gather_objects(read_slots(model, test, seed), test)
    contents = {"mean": slice(0, dim)}
    if fitted.slots.shape[1] == 2 * dim:
        contents["mean and variance"] = slice(0, 2 * dim)
    scores = {}
    for content, numbers in contents.items():
        own, others = fitted.slots[:, numbers], scored.slots[:, numbers]
        place = fit_place(own, fitted.centres)
        for title, (slots, test_slots) in {
            "as they are": (own, others),
            "place removed": (
                place.remove(own, fitted.centres),
                place.remove(others, scored.centres),
            ),
        }.items():
            library = fit_library(slots, concept_counts, seed)
            scores[f"{content}, {title}"] = {
                "concepts": library.num_concepts,
                "fitted_slots": len(slots),
                "scored_slots": len(test_slots),
                "properties": score_concepts(library.assign(test_slots), scored.properties),
            }
    return _describe(record, "library", command, scores)


def measure_compositions(
    what: str,
    judge_name: str,
    command: str = "",
    seed: int = 0,
    count: int = LIBRARY_SCENES,
    concept_counts: tuple[int, ...] = CONCEPT_COUNTS,
    pictures: int | None = None,
) -> dict:
    """Composes scenes of a model's slots, and scores their pictures -> a record.

    Args:
        what: name or file of the model that paints.
        judge_name: name or file of another model, which judges; see `Judge`.
        command: the command that repeats the measurement.
        seed: of all that is drawn.
        count: number of training scenes for the library and for the judge.
        concept_counts: numbers of concepts that BIC chooses from.
        pictures: number of pictures of each kind, real ones too; by default all test scenes.

    Raises the errors of `load_measured_model`; `ValueError` if the model judges itself; and
    `ImportError` without the extra `pretrained`, whose network computes the kernel distance.
    """
    model, record = load_measured_model(what)
    judging, judge_record = load_measured_model(judge_name)
    if judge_record["name"] == record["name"]:
        raise ValueError(f"{what} would judge its own pictures: choose another model as the judge")
    network = load_efficientnet_lite0()
    data, size, dim = record["data"], model.config.image_size, model.config.slot_dim
    train = training_split(data, "train", size)
    train = train.subset(range(min(count, len(train))))
    test = training_split(data, "test", size)
    test = test.subset(range(pictures or len(test)))
    judge = fit_judge(judging, gather_objects(read_slots(judging, train, seed), train))
    studio = open_studio(read_slots(model, train, seed), train, dim, concept_counts, seed)
    real = test.batch(slice(None)).images
    half = len(real) // 2
    scores: dict[str, dict] = {
        "real": {
            "judged": score_judge(judge, gather_objects(read_slots(judging, test, seed), test)),
            "diversity": measure_diversity(real),
            "kernel": _kernel_distance(real[half:], real[:half], network),
            "pictures": len(real),
        }
    }
    for source in get_args(Source):
        generator = np.random.default_rng(seed)
        numbers = generator.integers(LEAST_COMPOSED, MOST_COMPOSED + 1, len(test))
        scenes = [studio.compose(int(number), generator, source) for number in numbers]
        painted = torch.stack([paint_scene(model, scene) for scene in scenes])
        scores[source] = {
            "judged": judge_scenes(judge, painted, scenes, seed),
            "diversity": measure_diversity(painted),
            "kernel": _kernel_distance(real, painted, network),
            "pictures": len(painted),
        }
    described = _describe(record, "composed", command, scores)
    return described | {"judge": judge_record["name"], "features": type(network).__name__}


def _kernel_distance(real: torch.Tensor, made: torch.Tensor, network: torch.nn.Module) -> float:
    return round(compare_image_sets(real, made, network)["kernel"], 4)
