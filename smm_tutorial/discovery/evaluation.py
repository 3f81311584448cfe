"""Scores a checkpoint, or what needs no training, and puts the score into its record."""

from dataclasses import asdict
from pathlib import Path

from smm_tutorial import checkpoints
from smm_tutorial.datasets.named_sets import EVALUATION_SETS
from smm_tutorial.discovery.model import ObjectDiscovery
from smm_tutorial.discovery.recipe import SIZES, network_config
from smm_tutorial.discovery.runs import build_model
from smm_tutorial.discovery.scores import Selection, detailed_scores, evaluate, segment_pixels
from smm_tutorial.results.provenance import provenance
from smm_tutorial.results.records import kept_beside

#: What needs no training: slots as they are built, and a Gaussian mixture on raw pixels. Sizes as
#: in this profile, in pixels.
BASELINES, UNTRAINED_SLOTS, BASELINE_PROFILE, BASELINE_SIZE = (
    ("untrained", "pixels"),
    "mixture",
    "laptop",
    48,
)


def load_discovery(what: str) -> checkpoints.Checkpoint:
    """`checkpoints.load`. Raises `CheckpointError` where it is of another kind of model, too."""
    checkpoint = checkpoints.load(what)
    if not isinstance(checkpoint.model, ObjectDiscovery):
        raise checkpoints.CheckpointError(
            f"{what} is a {type(checkpoint.model).__name__}, but only models of object discovery paint masks that can be scored"
        )
    return checkpoint


def evaluated_record(
    what: str,
    data: str,
    root: str | Path | None,
    seed: int,
    command: str,
    starts: int = 1,
    selection: Selection = "all",
) -> dict:
    """Scores a checkpoint (by name or file), `untrained` slots, or `pixels` (a mixture on raw
    pixels, no slots).

    data: one of `EVALUATION_SETS`, at `root` where it needs a folder. starts, selection: see
    `scores.segmentations`; scores with other than one start and all slots stand under a label of
    their own.

    Returns the result record with this score in it, beside those that `data/results` already holds
    for other data.

    Raises `CheckpointError` for an unknown checkpoint, `ValueError` or `DatasetError` as the data
    do, and as `kept_beside`.
    """
    if what in BASELINES:
        config = network_config(UNTRAINED_SLOTS, SIZES[BASELINE_PROFILE], BASELINE_SIZE)
        record = {"name": f"discovery-{what}", "config": asdict(config), "scores": {}}
        record["provenance"] = provenance()
        model = build_model(config, seed).eval()
    else:
        model, record = load_discovery(what)
    record = kept_beside(record)
    if data not in EVALUATION_SETS:
        raise ValueError(f"no masks are scored on {data!r}: known are {', '.join(EVALUATION_SETS)}")
    scenes = EVALUATION_SETS[data]
    test = scenes.load(model.config.image_size, root)
    if what == "pixels":
        scores = detailed_scores(
            test, segment_pixels(test, scenes.num_slots or model.config.num_slots, seed)
        )
    else:
        scores = evaluate(model, test, seed, scenes.num_slots, starts, selection)
    label = scenes.label_of(len(test)) + protocol_label(starts, selection)
    record["scores"][label] = scores | {"command": command}
    return record


def protocol_label(starts: int, selection: Selection) -> str:
    """What labels of scores say of an evaluation that is not by one start with all slots."""
    chosen = ", slots by BIC" if selection == "bic" else ""
    return (f", best of {starts} starts" if starts > 1 else "") + chosen
