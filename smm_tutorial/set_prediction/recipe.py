"""How set prediction is built and trained."""

from pathlib import Path

import torch
from torch import nn

from smm_tutorial import checkpoints
from smm_tutorial.checkpoints import CheckpointError
from smm_tutorial.datasets import SceneImages
from smm_tutorial.datasets.named_sets import set_split
from smm_tutorial.profiles import Profile
from smm_tutorial.set_prediction.loss import SetLoss
from smm_tutorial.set_prediction.model import SetPredictionConfig, SetPredictor
from smm_tutorial.set_prediction.scores import evaluate
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.training.config import TrainingConfig, fast_precision
from smm_tutorial.training.loop import Run, fit

WARMUP = 0.05  # of the steps; the papers' one-cycle schedule
VALIDATION_SCENES = 320


def set_prediction_config(slots: str, profile: Profile) -> SetPredictionConfig:
    """The network of the set-prediction experiments. Everything but the slot module is the same for
    all `CONTESTANTS`.
    """
    sizes, (module, widening, options) = profile.set_prediction, CONTESTANTS[slots]
    return SetPredictionConfig(
        slots=module,
        image_size=sizes.image_size,
        num_slots=sizes.num_slots,
        slot_dim=widening * sizes.slot_dim,
        num_iterations=sizes.num_iterations,
        convolutions=sizes.parts,
        encoder_channels=sizes.channels,
        encoder_stride=sizes.stride,
        slot_options={"initialisation": "clustering", "normalisation": "inputs", "gradient": "last"}
        | options,
    )


def set_prediction_model(config: SetPredictionConfig, seed: int) -> SetPredictor:
    """The untrained network of a seed. The global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SetPredictor(config)


def take_over(model: SetPredictor, what: str) -> None:
    """Encoder and slots become those of a trained model of object discovery, by name or file; the
    heads stay new.

    Raises `CheckpointError` where there is no such model, or where its parts have other sizes.
    """
    parts = ("encoder.", "slots.")
    given = {
        name: tensor
        for name, tensor in _discovery(what).state_dict().items()
        if name.startswith(parts)
    }
    wanted = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(parts)}
    if {name: tensor.shape for name, tensor in given.items()} != {
        name: tensor.shape for name, tensor in wanted.items()
    }:
        raise CheckpointError(
            f"{what} has an encoder or slots of other sizes than this model: begin with one of the same slot module, channels, "
            "stride and slot_dim"
        )
    model.load_state_dict(given, strict=False)


def _discovery(what: str) -> nn.Module:
    model, record = checkpoints.load(what)
    if record["model"] != "ObjectDiscovery":
        raise CheckpointError(
            f"{what} is a {record['model']}, but set prediction begins with a model of object discovery"
        )
    return model


def set_data(split: str, profile: Profile) -> SceneImages:
    """The scenes of a profile, at its size: `train`, as many as it says, `val` or `test`. Rendered
    when first asked for.
    """
    sizes = profile.set_prediction
    return set_split(
        sizes.data, split, sizes.image_size, sizes.scenes if split == "train" else VALIDATION_SCENES
    )


def set_training_config(
    profile: Profile, seed: int = 0, steps: int | None = None, **options
) -> TrainingConfig:
    """How a profile trains. steps: instead of its own. options: of `TrainingConfig`, instead of
    profile's and hardware's.
    """
    sizes = profile.set_prediction
    steps = sizes.steps if steps is None else steps
    chosen = {
        "clip_norm": sizes.clip_norm,
        "precision": fast_precision(),
        "learning_rate": sizes.learning_rate,
    } | options
    return TrainingConfig(
        steps,
        sizes.batch_size,
        schedule="one_cycle",
        warmup_steps=max(2, round(WARMUP * steps)),
        seed=seed,
        **chosen,
    )


def train_set_prediction(
    model: SetPredictor,
    data: SceneImages,
    config: TrainingConfig,
    run_dir: str | Path | None = None,
    *,
    coordinate_weight: float = 1.0,
    **options,
) -> Run:
    """Trains on images and their records. coordinate_weight: see `SetLoss`; other options: of
    `training.fit`.
    """
    return fit(
        model,
        SetLoss(model, data, config.batch_size, coordinate_weight=coordinate_weight),
        config,
        run_dir,
        **options,
    )


def validation_precision(data: SceneImages, model: SetPredictor) -> dict[str, float]:
    """What is logged of a model while it trains."""
    return {f"ap_{name}": score for name, score in evaluate(model, data)["ap"].items()}
