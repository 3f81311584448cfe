"""The named, reproducible runs of set prediction: which networks are compared, on what, and what their records say."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from smm_tutorial.checkpoints import CheckpointError
from smm_tutorial.datasets import SceneImages
from smm_tutorial.evaluation_sets import SET_EVALUATION_SETS, set_split
from smm_tutorial.experiments import CONTESTANTS, kept_beside, load_discovery, load_trained
from smm_tutorial.losses import SetLoss
from smm_tutorial.models.set_prediction import SetPredictionConfig, SetPredictor
from smm_tutorial.named_runs import NamedRun
from smm_tutorial.profiles import Profile
from smm_tutorial.set_evaluation import predict_sets, set_scores
from smm_tutorial.training import Loss, Run, TrainingConfig, fast_precision, fit

#: What a run is for: to show what the module can do, or to compare contestants that share everything else.
SetKind = Literal["set-prediction", "set-comparison"]
WARMUP = 0.05  # of the steps; the papers' one-cycle schedule
VALIDATION_SCENES = 320


def set_prediction_config(slots: str, profile: Profile) -> SetPredictionConfig:
    """The network of the set-prediction experiments. Everything but the slot module is the same for all `CONTESTANTS`."""
    sizes, (module, widening, options) = profile.set_prediction, CONTESTANTS[slots]
    return SetPredictionConfig(
        slots=module, image_size=sizes.image_size, num_slots=sizes.num_slots, slot_dim=widening * sizes.slot_dim,
        num_iterations=sizes.num_iterations, convolutions=sizes.parts, encoder_channels=sizes.channels,
        encoder_stride=sizes.stride,
        slot_options={"initialisation": "clustering", "normalisation": "inputs", "gradient": "last"} | options,
    )  # fmt: skip


def set_prediction_model(config: SetPredictionConfig, seed: int) -> SetPredictor:
    """The untrained network of a seed. The global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SetPredictor(config)


def take_over(model: SetPredictor, what: str) -> None:
    """Encoder and slots become those of a trained model of object discovery, by name or file; the heads stay new.

    Raises `CheckpointError` where there is no such model, or where its parts have other sizes.
    """
    parts = ("encoder.", "slots.")
    given = {name: tensor for name, tensor in load_discovery(what).model.state_dict().items() if name.startswith(parts)}
    wanted = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(parts)}
    if {name: tensor.shape for name, tensor in given.items()} != {name: tensor.shape for name, tensor in wanted.items()}:
        raise CheckpointError(
            f"{what} has an encoder or slots of other sizes than this model: begin with one of the same slot module, channels, "
            "stride and slot_dim"
        )
    model.load_state_dict(given, strict=False)


def set_data(split: str, profile: Profile) -> SceneImages:
    """The scenes of a profile, at its size: `train`, as many as it says, `val` or `test`. Rendered when first asked for."""
    sizes = profile.set_prediction
    return set_split(sizes.data, split, sizes.image_size, sizes.scenes if split == "train" else VALIDATION_SCENES)


def set_training_config(profile: Profile, seed: int = 0, steps: int | None = None, **options) -> TrainingConfig:
    """How a profile trains. steps: instead of its own. options: of `TrainingConfig`, instead of profile's and hardware's."""
    sizes = profile.set_prediction
    steps = sizes.steps if steps is None else steps
    chosen = {"clip_norm": sizes.clip_norm, "precision": fast_precision(), "learning_rate": sizes.learning_rate} | options
    return TrainingConfig(
        steps, sizes.batch_size, schedule="one_cycle", warmup_steps=max(2, round(WARMUP * steps)), seed=seed, **chosen
    )


def train_set_prediction(
    model: SetPredictor, data: SceneImages, config: TrainingConfig, run_dir: str | Path | None = None, *,
    coordinate_weight: float = 1.0, **options,
) -> Run:  # fmt: skip
    """Trains on images and their records. coordinate_weight: see `SetLoss`; other options: of `training.fit`."""
    return fit(model, SetLoss(model, data, config.batch_size, coordinate_weight=coordinate_weight), config, run_dir, **options)


def validation_precision(data: SceneImages, model: SetPredictor) -> dict[str, float]:
    """What is logged of a model while it trains."""
    return {f"ap_{name}": score for name, score in set_scores(data, predict_sets(model, data))["ap"].items()}


class SetPredictionRun(NamedRun):
    """A named run of set prediction."""

    choosing = "ap_inf"

    def __init__(
        self, command: str, slots: str, profile: Profile, seed: int, steps: int | None = None,
        training_options: dict | None = None, *, kind: SetKind = "set-prediction", coordinate_weight: float = 1.0,
        learning_rate: float | None = None, begin_with: str | None = None,
    ):  # fmt: skip
        """slots: one of `CONTESTANTS`. steps, learning_rate: instead of the profile's. Compared runs share the rate; one
        with a rate of its own is a run of another kind, `set-search`, that asks whether another rate would be better.

        training_options: of `TrainingConfig`, instead of the profile's and this hardware's. coordinate_weight: of the loss; one
        other than 1 is in the name, and compared runs must share it. begin_with: a trained model of object discovery, see
        `take_over`; such a run is called `pretrained`.
        """
        self.coordinate_weight, self.begun_with = coordinate_weight, begin_with and Path(begin_with).name
        weight = "" if coordinate_weight == 1 else f"-weight{coordinate_weight:g}"
        rate = {} if learning_rate is None else {"learning_rate": learning_rate}
        kind = "set-search" if kind == "set-comparison" and learning_rate is not None else kind
        named = f"{kind}-{slots}-{profile.set_prediction.data}-{profile.name}{weight}"
        named += ("" if learning_rate is None else f"-rate{learning_rate:g}") + ("-pretrained" if begin_with else "")
        training = set_training_config(profile, seed, steps, **rate, **training_options or {})
        model = set_prediction_model(set_prediction_config(slots, profile), seed)
        if begin_with:
            take_over(model, begin_with)
        super().__init__(f"{named}-seed{seed}", command, kind, slots, profile.set_prediction.data, profile, model, training)

    def prepare(self) -> tuple[Loss, Callable[[nn.Module], dict[str, float]]]:
        train, validation = (set_data(split, self.profile) for split in ("train", "val"))
        loss = SetLoss(self.model, train, self.training.batch_size, coordinate_weight=self.coordinate_weight)
        return loss, partial(validation_precision, validation)

    def test(self) -> tuple[str, dict]:
        tested_on = SET_EVALUATION_SETS[self.data]
        test = tested_on.load(self.config.image_size)
        return tested_on.label_of(len(test)), set_scores(test, predict_sets(self.model, test))

    def choices(self) -> dict:
        loss = {"coordinate_weight": self.coordinate_weight}
        training = asdict(self.training) | {"loss": loss, "pretrained": self.begun_with is not None}
        return {"training": training, "scenes": self.profile.set_prediction.scenes, "begun_with": self.begun_with}


def evaluated_set_record(what: str, data: str, root: str | Path | None, seed: int, command: str) -> dict:
    """Scores a checkpoint (by name or file) on one of `SET_EVALUATION_SETS`, at `root` where it needs a folder.

    Returns the result record with this score in it, beside those that `data/results` already holds for other data.

    Raises `CheckpointError` for an unknown checkpoint or one of another kind, `ValueError` or `DatasetError` as the data do,
    and as `experiments.kept_beside`.
    """
    model, record = load_trained(what)
    if not isinstance(model, SetPredictor):
        raise CheckpointError(f"{what} is a {type(model).__name__}, but only a SetPredictor predicts sets that can be scored")
    if data not in SET_EVALUATION_SETS:
        raise ValueError(f"no sets are scored on {data!r}: known are {', '.join(SET_EVALUATION_SETS)}")
    record, scenes = kept_beside(record), SET_EVALUATION_SETS[data]
    test = scenes.load(model.config.image_size, root)
    record["scores"][scenes.label_of(len(test))] = set_scores(test, predict_sets(model, test, seed)) | {"command": command}
    return record
