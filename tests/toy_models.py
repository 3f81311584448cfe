"""Small untrained models for tests, and what they make of toy scenes."""

import torch
from torch import Tensor

from smm_tutorial.discovery.model import DiscoveryConfig, DiscoveryOutput, ObjectDiscovery
from smm_tutorial.discovery.runs import build_model
from smm_tutorial.set_prediction.model import SetPredictionConfig
from tests.toys import toy_scenes

SMALL_SET_PREDICTION = SetPredictionConfig(
    image_size=16,
    num_slots=4,
    slot_dim=8,
    num_iterations=2,
    encoder_channels=8,
    head_dim=8,
    convolutions="light",
)


def toy_discovery() -> tuple[ObjectDiscovery, Tensor, DiscoveryOutput]:
    """A model of 4 slots with 16 numbers each, two images of 16 x 16, and its output for them."""
    sizes = {"slot_dim": 8, "encoder_channels": 8, "decoder_channels": 8, "decoder_grid": 4}
    model = build_model(DiscoveryConfig(image_size=16, num_slots=4, **sizes), 0).eval()
    images = toy_scenes(2).batch(slice(None)).images
    with torch.no_grad():
        output = model(images, noise=model.start_noise(2, torch.Generator().manual_seed(0)))
    return model, images, output


def watch_iterations(model: torch.nn.Module) -> list[int]:
    """A list that grows by the number of iterations of the slot module in every call of a model."""
    seen: list[int] = []
    update = model.slots.update.forward

    def forward(*arguments):
        seen[-1] += 1
        return update(*arguments)

    model.slots.register_forward_pre_hook(lambda *_: seen.append(0))
    model.slots.update.forward = forward
    return seen
