"""The named, reproducible runs: data set x model x slot module x profile x seed -> checkpoint and
result record.

Notebooks and the command line call the same functions. A record (`data/results/NAME.json`) holds
everything that a run was made of and what it scored, and the command that makes it again.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Literal

from torch import nn

from smm_tutorial.datasets.named_sets import EVALUATION_SETS, training_split
from smm_tutorial.discovery.ablations import OBJECT_PRICE, VARIANTS
from smm_tutorial.discovery.recipe import (
    LEARNING_RATE_FACTORS,
    discovery_config,
    discovery_loss,
    discovery_model,
    validation_score,
)
from smm_tutorial.discovery.scores import evaluate
from smm_tutorial.experiments.run import NamedRun
from smm_tutorial.profiles import Profile
from smm_tutorial.training.config import TrainingConfig, fast_precision
from smm_tutorial.training.loop import Loss

#: What a run is for: to show what the module can do, or to compare contestants that share
#: everything else.
Kind = Literal["discovery", "comparison"]


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

    def test(self) -> dict:
        tested_on = EVALUATION_SETS[self.data]
        test = tested_on.load(self.config.image_size)
        return {"set": self.data} | evaluate(self.model, test, num_slots=tested_on.num_slots)

    def choices(self) -> dict:
        return {
            "training": asdict(self.training) | {"loss": self.loss_options},
            "ablation": self.variant,
        }
