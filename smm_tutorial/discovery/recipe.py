"""How object discovery is built and trained."""

import math
from pathlib import Path

import torch

from smm_tutorial.datasets import SceneImages
from smm_tutorial.discovery.loss import ReconstructionLoss
from smm_tutorial.discovery.model import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.discovery.scores import score
from smm_tutorial.discovery.segmentation import segment
from smm_tutorial.profiles import Profile
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.training.config import TrainingConfig
from smm_tutorial.training.loop import Run, fit

#: What a contestant's learning rate in a comparison is, as a multiple of the profile's: the best on
#: the validation split in a short search (`search-*` in `data/results`); `attention-wide` takes
#: Slot Attention's.
LEARNING_RATE_FACTORS = {
    "attention": 2.0,
    "attention-wide": 2.0,
    "mixture-reduced": 2.0,
    "mixture": 1.0,
}


def discovery_config(
    slots: str, profile: Profile, image_size: int | None = None
) -> DiscoveryConfig:
    """The network of the discovery experiments. Everything but the slot module is the same for all
    `CONTESTANTS`.

    slots: one of them. image_size: instead of the profile's. Slots see 16 to 31 cells a side, every
    pixel with the papers' parts. The decoder starts from a cell for 4 x 4 pixels (from a coarser
    grid it learns far more slowly), the papers' from 8 x 8 cells.
    """
    sizes, (module, widening, options) = profile.discovery, CONTESTANTS[slots]
    size, of_paper = image_size or sizes.image_size, sizes.parts == "paper"
    return DiscoveryConfig(
        slots=module,
        image_size=size,
        num_slots=sizes.num_slots,
        slot_dim=widening * sizes.slot_dim,
        num_iterations=4,
        encoder_channels=sizes.channels,
        encoder_stride=1 if of_paper else _power_of_two(size / 16),
        convolutions=sizes.parts,
        decoder="paper" if of_paper else "broadcast",
        decoder_channels=sizes.decoder_channels,
        decoder_grid=8 if of_paper else size // 4,
        slot_options={"initialisation": "clustering", "normalisation": "inputs", "gradient": "last"}
        | options,
    )


def _power_of_two(ratio: float) -> int:
    """The largest power of two that is not above `ratio`."""
    return 2 ** int(math.log2(ratio))


def discovery_model(config: DiscoveryConfig, seed: int) -> ObjectDiscovery:
    """The untrained network of a seed. The global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ObjectDiscovery(config)


def train_discovery(
    model: ObjectDiscovery,
    data: SceneImages,
    config: TrainingConfig,
    run_dir: str | Path | None = None,
    *,
    loss_options: dict | None = None,
    **options,
) -> Run:
    """Trains on images alone. loss_options: of `ReconstructionLoss`; other options: of
    `training.fit`.
    """
    return fit(model, discovery_loss(model, data, config, loss_options), config, run_dir, **options)


def discovery_loss(
    model: ObjectDiscovery, data: SceneImages, config: TrainingConfig, options: dict | None = None
) -> ReconstructionLoss:
    """The loss of a run. options: of `ReconstructionLoss`."""
    return ReconstructionLoss(model, data, config.batch_size, steps=config.steps, **options or {})


def validation_score(data: SceneImages, model: ObjectDiscovery) -> dict[str, float]:
    """What is logged of a model while it trains."""
    return score(data, segment(model, data))
