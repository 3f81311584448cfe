"""A tiny run for tests of the training loop."""

from functools import partial

import torch
from torch import nn

from smm_tutorial.discovery.model import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.discovery.recipe import LossChoices, make_loss
from smm_tutorial.discovery.runs import build_model
from smm_tutorial.training.batches import Batches
from smm_tutorial.training.config import TrainingConfig
from smm_tutorial.training.loop import TrainingResult, fit
from tests.toys import toy_scenes

CONFIG = TrainingConfig(steps=12, batch_size=4, warmup_steps=3, seed=1)
LOSS = LossChoices(price=0.1, num_slots=None)


def tiny_model(seed: int = 0) -> ObjectDiscovery:
    sizes = {"image_size": 16, "num_slots": 3, "slot_dim": 8}
    return build_model(DiscoveryConfig(**sizes, encoder_channels=8, decoder_channels=8), seed)


def toy_batches(model: ObjectDiscovery, size: int = CONFIG.batch_size, **options) -> Batches:
    draw_noise = partial(model.start_noise, num_slots=LOSS.num_slots)
    return Batches(toy_scenes(), size, draw_noise, **{"mirrored": 0.5} | options)


class RandomImages:
    """Batches of two random images, for losses that tests make up."""

    def place(self, device, share):
        self.device = device

    def draw(self, generator: torch.Generator):
        return torch.rand(2, 3, 16, 16, generator=generator).to(self.device)


def train(
    model: ObjectDiscovery, folder=None, config=CONFIG, loss=None, **options
) -> TrainingResult:
    loss = loss or make_loss(LOSS, config.steps)
    return fit(model, toy_batches(model), loss, config, folder, progress=False, **options)


def mean_of_weights(model: nn.Module) -> dict[str, float]:
    return {"mean_of_weights": nn.utils.parameters_to_vector(model.parameters()).mean().item()}
