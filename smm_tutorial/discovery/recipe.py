"""The recipe of object discovery: the sizes of each profile, network, loss and schedule."""

import math
from dataclasses import dataclass, replace
from typing import Any

from smm_tutorial.discovery.loss import Objective, price_of_step, reconstruction_loss
from smm_tutorial.discovery.model import DiscoveryConfig
from smm_tutorial.networks.encoders import Convolutions
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.slots.starts import Start
from smm_tutorial.training.batches import Batch
from smm_tutorial.training.config import Schedule, TrainingConfig, fast_precision
from smm_tutorial.training.loop import Loss

#: In a comparison, a contestant's learning rate is the profile's rate times this factor. A short
#: search on the validation scenes found each factor (`search-*` in `data/results`). The wide Slot
#: Attention takes the factor of Slot Attention, and SMM with equal weights that of SMM.
LEARNING_RATE_FACTORS = {
    "attention": 2.0,
    "attention-wide": 2.0,
    "mixture-reduced": 2.0,
    "mixture-fixed": 1.0,
    "mixture": 1.0,
}
#: The network has 7 slots, but training uses 6. So training has no spare slot that could cut an
#: object in two.
NUM_SLOTS, TRAINED_SLOTS = 7, 6
OBJECT_PRICE = 0.001  # about the squared error that remains when the slots have found the objects
MIRRORED = 0.5  # share of mirrored images; mirroring changes a scene only in the light's direction


@dataclass(frozen=True)
class DiscoverySizes:
    """The sizes of a profile's network, and the settings of its training."""

    image_size: int = 32  # pixels per side
    channels: int = 32  # of the encoder
    decoder_channels: int = 48
    slot_dim: int = 48
    batch_size: int = 16
    learning_rate: float = 1.6e-3
    steps: int = 30_000  # of a full run
    live_steps: int = 1_500  # of the run that a learner watches in the notebook
    parts: Convolutions = "light"  # encoder and decoder; `light` suits a CPU or a small GPU
    schedule: Schedule = "cosine"  # of the learning rate
    warmup_steps: int = 300
    half_life: int | None = None  # steps
    clip_norm: float = 0.15
    start: Start = "farthest_points"  # of the slots
    ema_decay: float | None = 0.999  # of the average of the weights


_GPU = DiscoverySizes(
    image_size=64,
    channels=64,
    decoder_channels=64,
    slot_dim=64,
    batch_size=64,
    learning_rate=4e-4,
    steps=60_000,
    live_steps=3_000,
)
#: The sizes by profile. `paper` is the object discovery of SMM (arXiv 2311.04640): batches of 128
#: images at 128 pixels, with the networks of Slot Attention at full resolution.
SIZES = {
    "ci": DiscoverySizes(batch_size=8, steps=20, live_steps=20),
    "laptop": DiscoverySizes(),
    "gpu": _GPU,
    "paper": replace(
        _GPU,
        image_size=128,
        batch_size=128,
        steps=250_000,
        parts="paper",
        schedule="half_life",
        warmup_steps=5_000,
        half_life=50_000,
        clip_norm=1.0,
        start="shared",
        ema_decay=None,
    ),
}
#: Steps of the runs in `data/results`, by profile and purpose, if they differ from the profile's
#: steps. The names of these runs do not contain the steps; see `DiscoveryRun.name`.
KEPT_STEPS = {
    ("laptop", "showcase"): 20_000,
    ("laptop", "comparison"): 6_000,
    ("laptop", "search"): 1_000,
    ("laptop", "ablation"): 1_000,
}


@dataclass(frozen=True)
class LossChoices:
    """The choices that decide the loss; see `reconstruction_loss`.

    num_slots: the number of slots in training. None: all slots of the network.
    """

    objective: Objective = "mixture"
    price: float = OBJECT_PRICE
    num_slots: int | None = TRAINED_SLOTS


def network_config(
    module: str, sizes: DiscoverySizes, image_size: int | None = None
) -> DiscoveryConfig:
    """Makes the config of a contestant's network. Only the slot module differs from the others.

    The encoder's grid has 16 to 31 cells per side. With the papers' parts it has a cell per pixel.
    The decoder's first grid has a cell per 4 x 4 pixels, because the decoder learns far more slowly
    from a coarser grid. The papers' decoder starts from 8 x 8 cells.

    Args:
        module: a name in `CONTESTANTS`.
        sizes: the sizes of a profile.
        image_size: pixels per side; by default that of `sizes`.
    """
    contestant, size = CONTESTANTS[module], image_size or sizes.image_size
    of_paper = sizes.parts == "paper"
    return DiscoveryConfig(
        slots=contestant.module,
        image_size=size,
        num_slots=NUM_SLOTS,
        slot_dim=contestant.widening * sizes.slot_dim,
        num_iterations=4,
        encoder_channels=sizes.channels,
        encoder_stride=1 if of_paper else 2 ** int(math.log2(size / 16)),
        convolutions=sizes.parts,
        decoder="paper" if of_paper else "broadcast",
        decoder_channels=sizes.decoder_channels,
        decoder_grid=8 if of_paper else size // 4,
        slot_options={
            "initialisation": "clustering",
            "normalisation": "inputs",
            "gradient": "last",
            "start": sizes.start,
        }
        | contestant.options,
    )


def training_config(
    sizes: DiscoverySizes, seed: int, steps: int | None = None, **options: Any
) -> TrainingConfig:
    """Makes the training configuration of a profile.

    steps: by default the profile's. options: fields of `TrainingConfig` that replace the profile's.
    """
    steps = sizes.steps if steps is None else steps
    chosen = {
        "learning_rate": sizes.learning_rate,
        "warmup_steps": min(sizes.warmup_steps, steps // 4),
        "clip_norm": sizes.clip_norm,
        "precision": fast_precision(),
        "schedule": sizes.schedule,
        "half_life": sizes.half_life,
        "ema_decay": sizes.ema_decay,
    }
    return TrainingConfig(steps, sizes.batch_size, seed=seed, **chosen | options)


def make_loss(choices: LossChoices, steps: int) -> Loss:
    """Makes the loss of a run, a function of model, batch and step. steps: of the whole run."""

    def loss(model, batch: Batch, step: int) -> dict:
        output = model(batch.images, num_slots=choices.num_slots, noise=batch.noise)
        price = price_of_step(choices.price, step, steps)
        return reconstruction_loss(output, batch.images, price, choices.objective)

    return loss
