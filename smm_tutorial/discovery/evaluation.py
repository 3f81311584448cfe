"""Scores a checkpoint by its name, or a baseline without training, for its record."""

from dataclasses import asdict
from pathlib import Path

from smm_tutorial import checkpoints
from smm_tutorial.datasets import SceneImages
from smm_tutorial.datasets.foreign_sets import FOREIGN_SETS, ForeignSet
from smm_tutorial.datasets.named_sets import EVALUATION_SETS
from smm_tutorial.discovery.model import ObjectDiscovery
from smm_tutorial.discovery.recipe import SIZES, network_config
from smm_tutorial.discovery.runs import build_model
from smm_tutorial.discovery.scores import evaluate, score_in_detail, score_likelihood
from smm_tutorial.discovery.segmentation import Selection, segment_pixels
from smm_tutorial.results.provenance import provenance
from smm_tutorial.results.records import VERSION, read_kept_record

#: Baselines without training: an untrained network, and a Gaussian mixture on raw pixels.
BASELINES = ("untrained", "pixels")
UNTRAINED_SLOTS = "mixture"
BASELINE_PROFILE = "laptop"  # the baselines have the sizes of this profile
BASELINE_SIZE = 48  # pixels per side


def load_discovery(what: str) -> checkpoints.Checkpoint:
    """Loads a checkpoint of object discovery. what: its name or its file; see `checkpoints.load`.

    Raises `CheckpointError` as `checkpoints.load`, and for a model of another task.
    """
    checkpoint = checkpoints.load(what)
    if not isinstance(checkpoint.model, ObjectDiscovery):
        raise checkpoints.CheckpointError(
            f"{what} is a {type(checkpoint.model).__name__}, but only models of object discovery "
            "paint masks that can be scored"
        )
    return checkpoint


def score_by_name(
    what: str,
    data: str,
    root: str | Path | None,
    seed: int,
    command: str,
    starts: int = 1,
    selection: Selection = "all",
    num_iterations: int | None = None,
) -> tuple[dict, dict]:
    """Scores a checkpoint or a baseline on a set of scenes.

    Args:
        what: name or file of a checkpoint, or a baseline. The baseline `untrained` is an untrained
            network. The baseline `pixels` is a Gaussian mixture on raw pixels, without slots.
        data: a name in `EVALUATION_SETS` or `FOREIGN_SETS`. Images without masks are scored by
            their likelihood.
        root: the folder of the data, for sets that need a folder.
        seed: seed of the slots' starts, of the untrained weights and of the mixtures.
        command: the command that makes these scores, for the record.
        starts, selection, num_iterations: see `segment_by_all_masks`.

    Returns:
        The record with the scores that `data/results` already holds, and the new entry of scores.
        The new entry is not yet in the record.

    Raises:
        CheckpointError: an unknown checkpoint, or a model of another task.
        ValueError: an unknown set, starts or a selection for the baseline without slots, or images
            without masks for scores that need masks.

    Also raises the errors of loading the data (`ValueError`, `DatasetError`) and those of
    `read_kept_record`.
    """
    is_usual = starts == 1 and selection == "all" and num_iterations is None
    if what == "pixels" and not is_usual:
        raise ValueError(
            "starts, selection and iterations need slots, but the mixture on pixels has no slots: "
            "leave them out"
        )
    if what in BASELINES:
        config = network_config(UNTRAINED_SLOTS, SIZES[BASELINE_PROFILE], BASELINE_SIZE)
        model = build_model(config, seed).eval()
        record = {
            "version": VERSION,
            "name": f"discovery-{what}",
            "task": "discovery",
            "purpose": "baseline",
            "config": asdict(config),
            "scores": [],
            "provenance": provenance(),
        }
    else:
        model, record = load_discovery(what)
    record = read_kept_record(record)
    test, num_slots = _load_test(data, model.config.image_size, root)
    if what == "pixels":
        if test.masks is None:
            raise ValueError(f"a mixture on pixels is scored by masks, and {data} has none here")
        clusters = num_slots or model.config.num_slots
        scores = score_in_detail(test, segment_pixels(test, clusters, seed))
        scores |= {"starts": 1, "selection": "all"}
    elif test.masks is None:
        if not is_usual:
            raise ValueError(
                f"starts, selection and iterations change masks, and {data} has none here"
            )
        scores = score_likelihood(model, test, seed) | {"starts": 1, "selection": "all"}
    else:
        scores = evaluate(model, test, seed, num_slots, starts, selection, num_iterations)
    return record, {"set": data} | scores | {"command": command}


def _load_test(name: str, size: int, root: str | Path | None) -> tuple[SceneImages, int | None]:
    """Loads the images of a set -> the images, and the number of slots that they need.

    The number is None if the model's own number of slots is enough.
    """
    if name in FOREIGN_SETS:
        return ForeignSet(name, None if root is None else str(root)).load("test", size), None
    if name not in EVALUATION_SETS:
        known = ", ".join([*EVALUATION_SETS, *FOREIGN_SETS])
        raise ValueError(f"no masks are scored on {name!r}: known are {known}")
    scenes = EVALUATION_SETS[name]
    return scenes.load(size, root), scenes.num_slots
