"""Losses. Each is a class that is built once with its data, and called by `training.fit` once a step."""

import torch
from torch import Tensor, nn

from smm_tutorial.datasets import SceneImages
from smm_tutorial.models.discovery import ObjectDiscovery


class ReconstructionLoss:
    """Mean squared error of an `ObjectDiscovery` network on random images, half of them mirrored left to right.

    images: the training data, on the model's device. Masks are never looked at. Mirroring is right for a loss on pixels:
    it maps scenes to scenes but for the direction of the light.
    """

    def __init__(self, network: ObjectDiscovery, data: SceneImages, batch_size: int):
        self.network, self.data, self.batch_size = network, data, batch_size

    def __call__(self, model: nn.Module, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """`model` is the network as the training engine has wrapped it; `generator` decides images, mirrors, starts."""
        chosen = torch.randint(len(self.data), (self.batch_size,), generator=generator)
        mirrored = torch.rand(self.batch_size, 1, 1, 1, generator=generator) < 0.5
        noise = self.network.start_noise(self.batch_size, generator)
        images = self.data.batch(chosen).images
        images = torch.where(mirrored.to(images.device), images.flip(3), images)
        output = model(images, noise=noise)
        return {"loss": nn.functional.mse_loss(output.reconstruction, images)}
