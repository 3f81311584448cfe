"""The named, reproducible runs: data set x model x slot module x profile x seed -> checkpoint and
result record.

Notebooks and the command line call the same functions. A record (`data/results/NAME.json`) holds
everything that a run was made of and what it scored, and the command that makes it again.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Literal

from torch import nn

from smm_tutorial import checkpoints
from smm_tutorial.datasets.named_sets import EVALUATION_SETS, training_split
from smm_tutorial.discovery.ablations import OBJECT_PRICE, VARIANTS
from smm_tutorial.discovery.model import ObjectDiscovery
from smm_tutorial.discovery.recipe import (
    LEARNING_RATE_FACTORS,
    discovery_config,
    discovery_loss,
    discovery_model,
    validation_score,
)
from smm_tutorial.discovery.scores import Selection, detailed_scores, evaluate, segment_pixels
from smm_tutorial.experiments.run import NamedRun
from smm_tutorial.profiles import PROFILES, Profile
from smm_tutorial.results.provenance import provenance
from smm_tutorial.results.records import kept_beside
from smm_tutorial.training.config import TrainingConfig, fast_precision
from smm_tutorial.training.loop import Loss

#: What a run is for: to show what the module can do, or to compare contestants that share
#: everything else.
Kind = Literal["discovery", "comparison"]
#: What needs no training: slots as they are built, and a Gaussian mixture on raw pixels. Sizes as
#: in this profile, in pixels.
BASELINES, UNTRAINED_SLOTS, BASELINE_PROFILE, BASELINE_SIZE = (
    ("untrained", "pixels"),
    "mixture",
    "laptop",
    48,
)


class DiscoveryRun(NamedRun):
    """A named run of object discovery."""

    choosing = "fg_ari"

    def __init__(
        self,
        command: str,
        slots: str,
        data: str,
        profile: Profile,
        seed: int,
        steps: int | None = None,
        variant: str | None = None,
        image_size: int | None = None,
        training_options: dict | None = None,
        *,
        kind: Kind = "discovery",
        learning_rate: float | None = None,
    ):
        """slots: one of `CONTESTANTS`. data: one of `TRAINING_DATA`. variant: of `VARIANTS`, for a
        run of their own kind.

        steps, image_size, learning_rate: instead of the profile's. A comparison with a rate of
        one's own is a run of another kind, `search`, for the best rate. training_options: of
        `TrainingConfig`, instead of the profile's and this hardware's.
        """
        sizes, (options, loss_options) = profile.discovery, VARIANTS[variant or "complete"]
        self.loss_options = {
            "objective": "mixture",
            "price": OBJECT_PRICE,
            "num_slots": sizes.train_slots,
        } | loss_options
        self.variant = variant
        schedule = {
            "schedule": sizes.schedule,
            "warmup_steps": sizes.warmup_steps,
            "half_life": sizes.half_life,
        }
        chosen = (
            schedule
            | {"clip_norm": sizes.clip_norm, "precision": fast_precision()}
            | (training_options or {})
        )
        factor = LEARNING_RATE_FACTORS[slots] if kind == "comparison" else 1.0
        training = TrainingConfig(
            sizes.steps if steps is None else steps,
            sizes.batch_size,
            factor * sizes.learning_rate if learning_rate is None else learning_rate,
            seed=seed,
            **chosen,
        )
        searched = kind == "comparison" and learning_rate is not None
        kind = "variant" if variant else "search" if searched else kind
        named, sized = (
            (f"variant-{variant}" if variant else kind),
            (f"-{image_size}px" if image_size else ""),
        )
        rate = "" if learning_rate is None else f"-rate{learning_rate:g}"
        model = discovery_model(
            replace(discovery_config(slots, profile, image_size), **options), seed
        )
        name = f"{named}-{slots}-{data}-{profile.name}{sized}{rate}-seed{seed}"
        super().__init__(name, command, kind, slots, data, profile, model, training)

    def prepare(self) -> tuple[Loss, Callable[[nn.Module], dict[str, float]]]:
        train, validation = (
            training_split(self.data, split, self.config.image_size) for split in ("train", "val")
        )
        loss = discovery_loss(self.model, train, self.training, self.loss_options)
        return loss, partial(validation_score, validation)

    def test(self) -> tuple[str, dict]:
        tested_on = EVALUATION_SETS[self.data]
        test = tested_on.load(self.config.image_size)
        return tested_on.label_of(len(test)), evaluate(
            self.model, test, num_slots=tested_on.num_slots
        )

    def choices(self) -> dict:
        return {
            "training": asdict(self.training) | {"loss": self.loss_options},
            "variant": self.variant,
        }


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
        config = discovery_config(UNTRAINED_SLOTS, PROFILES[BASELINE_PROFILE], BASELINE_SIZE)
        record = {"name": f"discovery-{what}", "config": asdict(config), "scores": {}}
        record["provenance"] = provenance()
        model = discovery_model(config, seed).eval()
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
