"""The named, reproducible runs of set prediction: which networks are compared, on what, and what
their records say.
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Literal

from torch import nn

from smm_tutorial.datasets.named_sets import SET_EVALUATION_SETS
from smm_tutorial.experiments.run import NamedRun
from smm_tutorial.profiles import Profile
from smm_tutorial.set_prediction.loss import SetLoss
from smm_tutorial.set_prediction.recipe import (
    set_data,
    set_prediction_config,
    set_prediction_model,
    set_training_config,
    take_over,
    validation_precision,
)
from smm_tutorial.set_prediction.scores import evaluate
from smm_tutorial.training.loop import Loss

#: What a run is for: to show what the module can do, or to compare contestants that share
#: everything else.
SetKind = Literal["set-prediction", "set-comparison"]


class SetPredictionRun(NamedRun):
    """A named run of set prediction."""

    choosing = "ap_inf"

    def __init__(
        self,
        command: str,
        slots: str,
        profile: Profile,
        seed: int,
        steps: int | None = None,
        training_options: dict | None = None,
        *,
        kind: SetKind = "set-prediction",
        coordinate_weight: float = 1.0,
        learning_rate: float | None = None,
        begin_with: str | None = None,
    ):
        """slots: one of `CONTESTANTS`. steps, learning_rate: instead of the profile's. Compared
        runs share the rate; one with a rate of its own is a run of another kind, `set-search`, that
        asks whether another rate would be better.

        training_options: of `TrainingConfig`, instead of the profile's and this hardware's.
        coordinate_weight: of the loss; one other than 1 is in the name, and compared runs must
        share it. begin_with: a trained model of object discovery, see `take_over`; such a run is
        called `pretrained`.
        """
        self.coordinate_weight, self.begun_with = (
            coordinate_weight,
            begin_with and Path(begin_with).name,
        )
        weight = "" if coordinate_weight == 1 else f"-weight{coordinate_weight:g}"
        rate = {} if learning_rate is None else {"learning_rate": learning_rate}
        kind = "set-search" if kind == "set-comparison" and learning_rate is not None else kind
        named = f"{kind}-{slots}-{profile.set_prediction.data}-{profile.name}{weight}"
        named += ("" if learning_rate is None else f"-rate{learning_rate:g}") + (
            "-pretrained" if begin_with else ""
        )
        training = set_training_config(profile, seed, steps, **rate, **training_options or {})
        model = set_prediction_model(set_prediction_config(slots, profile), seed)
        if begin_with:
            take_over(model, begin_with)
        super().__init__(
            f"{named}-seed{seed}",
            command,
            kind,
            slots,
            profile.set_prediction.data,
            profile,
            model,
            training,
        )

    def prepare(self) -> tuple[Loss, Callable[[nn.Module], dict[str, float]]]:
        train, validation = (set_data(split, self.profile) for split in ("train", "val"))
        loss = SetLoss(
            self.model, train, self.training.batch_size, coordinate_weight=self.coordinate_weight
        )
        return loss, partial(validation_precision, validation)

    def test(self) -> dict:
        test = SET_EVALUATION_SETS[self.data].load(self.config.image_size)
        return {"set": self.data} | evaluate(self.model, test)

    def choices(self) -> dict:
        loss = {"coordinate_weight": self.coordinate_weight}
        training = asdict(self.training) | {"loss": loss, "pretrained": self.begun_with is not None}
        return {
            "training": training,
            "scenes": self.profile.set_prediction.scenes,
            "begun_with": self.begun_with,
        }
