"""How set prediction is built and trained: sizes per profile, network, loss and schedule."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from smm_tutorial import checkpoints
from smm_tutorial.checkpoints import CheckpointError
from smm_tutorial.networks.encoders import Convolutions
from smm_tutorial.set_prediction.loss import SetObjective, matched_likelihood_loss, matched_set_loss
from smm_tutorial.set_prediction.model import Reading, SetPredictionConfig, SetPredictor
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.slots.mixture import Content
from smm_tutorial.slots.starts import Start
from smm_tutorial.training.batches import Batch
from smm_tutorial.training.config import TrainingConfig, fast_precision
from smm_tutorial.training.loop import Loss

#: In a comparison, a contestant's learning rate is the profile's rate times this factor. A short
#: search on the validation scenes found each factor (`set-search-*` in `data/results`). The wide
#: Slot Attention takes the factor of Slot Attention, and the other forms of SMM that of SMM.
LEARNING_RATE_FACTORS = {
    "attention": 4.0,
    "attention-wide": 4.0,
    "mixture-reduced": 1.0,
    "mixture-fixed": 1.0,
    "mixture": 1.0,
}
WARMUP = 0.05  # share of the steps, in the papers' one-cycle schedule
VALIDATION_SCENES = 320
#: Options of slots that may change when a run begins with a trained model. Clusters that learned
#: their weights can go on with equal weights.
FREE_OPTIONS = {"content", "gradient", "weights"}


@dataclass(frozen=True)
class SetPredictionSizes:
    """The sizes of a profile: its scenes, its network and its training.

    By default encoder and slots are as wide as those of object discovery on a laptop. So set
    prediction can start from a trained model of object discovery.
    """

    data: str = "clevr6-whole"  # of `named_sets.SET_DATA`
    scenes: int = 16_000  # of the training split
    image_size: int = 64  # pixels
    num_slots: int = 7  # at least as many as a scene has objects
    channels: int = 32  # of the encoder
    stride: int = 2  # of the encoder, pixels
    slot_dim: int = 48
    num_iterations: int = 8
    head_dim: int = 128  # hidden width of the heads
    batch_size: int = 32
    learning_rate: float = 1e-3
    steps: int = 32_000  # of a full run
    live_steps: int = 600  # of the run that a learner watches in the notebook
    live_scenes: int = 2_048  # of that run
    parts: Convolutions = "light"  # of the encoder: "light" for a CPU or a small GPU | "paper"
    clip_norm: float = 1.0
    start: Start = "farthest_points"  # of the slots
    objective: SetObjective = "likelihood"  # "likelihood": of the objects | "huber": the papers'
    coordinate_weight: float = 3.0  # how often each coordinate counts in the loss
    supervised: Literal["last", "each"] = "last"  # iterations that the loss sees
    content: Content = "mean_and_log_variance"  # of a slot of `mixture`
    reading: Reading = "standardised"  # how the heads read the slots
    ema_decay: float | None = 0.999  # of the average of the weights
    # Of a run that begins with a trained model: the share of the steps in which only the heads
    # train, and the factor on the learning rate of encoder and slots after that.
    frozen_share: float = 0.1
    shared_rate: float = 1.0


_GPU = SetPredictionSizes(
    data="clevr-whole",
    scenes=20_000,
    image_size=128,
    num_slots=10,
    channels=64,
    stride=4,
    slot_dim=64,
    batch_size=128,
    live_steps=3_000,
    live_scenes=20_000,
)
#: Sizes by profile. `paper` is the set prediction of SMM (arXiv 2311.04640): 128 pixels, ten slots,
#: seven iterations, batch 512, 150,000 steps.
SIZES = {
    "ci": SetPredictionSizes(scenes=64, live_scenes=64, batch_size=8, steps=20, live_steps=20),
    "laptop": SetPredictionSizes(),
    "gpu": _GPU,
    "paper": replace(
        _GPU,
        scenes=70_000,
        num_iterations=7,
        head_dim=64,
        batch_size=512,
        learning_rate=3.5e-4,
        steps=150_000,
        parts="paper",
        start="shared",
        objective="huber",
        coordinate_weight=1.0,
        content="mean_and_variance",
        reading="plain",
        ema_decay=None,
        frozen_share=0.0,
    ),
}
#: Steps of the runs in `data/results`, by profile and purpose, if they differ from the profile's.
#: The names of these runs leave the steps out, see `SetPredictionRun.name`.
KEPT_STEPS = {
    ("laptop", "comparison"): 2_000,
    ("laptop", "ablation"): 2_000,
    ("laptop", "search"): 2_000,
}


def network_config(module: str, sizes: SetPredictionSizes) -> SetPredictionConfig:
    """The configuration of a contestant's network. Contestants differ only in the slot module."""
    contestant = CONTESTANTS[module]
    options = {
        "initialisation": "clustering",
        "normalisation": "inputs",
        "gradient": sizes.supervised,
        "start": sizes.start,
    }
    if contestant.module == "mixture" and sizes.content != "mean_and_variance":
        options["content"] = sizes.content
    return SetPredictionConfig(
        slots=contestant.module,
        image_size=sizes.image_size,
        num_slots=sizes.num_slots,
        slot_dim=contestant.widening * sizes.slot_dim,
        num_iterations=sizes.num_iterations,
        convolutions=sizes.parts,
        encoder_channels=sizes.channels,
        encoder_stride=sizes.stride,
        head_dim=sizes.head_dim,
        reading=sizes.reading,
        slot_options=options | contestant.options,
    )


def training_config(
    sizes: SetPredictionSizes,
    seed: int,
    steps: int | None = None,
    *,
    begun: bool = False,
    **options: Any,
) -> TrainingConfig:
    """The training configuration of a profile.

    steps: number of steps; None takes the profile's. begun: whether the run begins with a trained
    model. options: fields of `TrainingConfig` to replace.
    """
    steps = sizes.steps if steps is None else steps
    if begun:
        staged = {"frozen_steps": round(sizes.frozen_share * steps)}
        options = staged | {"shared_rate": sizes.shared_rate} | options
    chosen = {
        "learning_rate": sizes.learning_rate,
        "warmup_steps": max(2, round(WARMUP * steps)),
        "clip_norm": sizes.clip_norm,
        "precision": fast_precision(),
        "schedule": "one_cycle",
        "ema_decay": sizes.ema_decay,
    }
    return TrainingConfig(steps, sizes.batch_size, seed=seed, **chosen | options)


def make_loss(coordinate_weight: float, objective: SetObjective = "likelihood") -> Loss:
    """The loss of a run: `matched_set_loss` for `huber`, `matched_likelihood_loss` for
    `likelihood`.
    """

    def huber(model, batch: Batch, step: int) -> dict:
        output = model(batch.images, noise=batch.noise)
        return matched_set_loss(output.predictions, batch.targets, coordinate_weight)

    def likelihood(model, batch: Batch, step: int) -> dict:
        each = model.config.slot_options.get("gradient") == "each"
        output = model(batch.images, noise=batch.noise, return_history=each)
        return matched_likelihood_loss(output.logits, batch.targets, coordinate_weight)

    return {"huber": huber, "likelihood": likelihood}[objective]


def begin_with_discovery(model: SetPredictor, what: str) -> None:
    """Copies encoder and slots of a trained model of object discovery into `model`.

    The heads of `model` stay untrained. what: name or file of the trained model.

    Raises `CheckpointError` if there is no such model, or if its parts are built otherwise.
    """
    discovered, record = checkpoints.load(what)
    if record["model"] != "ObjectDiscovery":
        raise CheckpointError(
            f"{what} is a {record['model']}: set prediction begins with an ObjectDiscovery"
        )
    given, wanted = (
        {
            name: tensor
            for name, tensor in network.state_dict().items()
            if name.startswith(("encoder.", "slots."))
        }
        for network in (discovered, model)
    )
    shapes = [{name: tensor.shape for name, tensor in part.items()} for part in (given, wanted)]
    there, here = (network.config.slot_options for network in (discovered, model))
    differ = [
        f"{name} {there.get(name)!r} and not {here.get(name)!r}"
        for name in sorted((there.keys() | here.keys()) - FREE_OPTIONS)
        if there.get(name) != here.get(name)
    ]
    if shapes[0] != shapes[1] or differ:
        differ = f"; its slots have {', '.join(differ)}" if differ else ""
        raise CheckpointError(
            f"{what} has another encoder or other slots than this model{differ}: begin with one of "
            "the same slot module, channels, stride, slot_dim and start"
        )
    model.load_state_dict(given, strict=False)
