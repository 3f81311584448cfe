"""Losses. Each is a class that is built once with its data, and called by `training.fit` once a step."""

import torch
from torch import Tensor, nn

from smm_tutorial.datasets import SceneImages
from smm_tutorial.models.discovery import ObjectDiscovery


class ReconstructionLoss:
    """Mean squared error of an `ObjectDiscovery` network on random images, half of them mirrored left to right.

    data: the training images, on the model's device; masks are never looked at. Mirroring is right for a loss on pixels:
    it maps scenes to scenes but for the direction of the light.
    price: what it costs to own the whole image for slots other than the first. Squared error does not care whether an
    object's slot also paints a cell of ground around it; a small price leaves the ground to the first slot. It grows
    from 0 over `PRICE_RAMP` steps, because something must be found before it can be kept small.
    """

    PRICE_RAMP = 4000

    def __init__(self, network: ObjectDiscovery, data: SceneImages, batch_size: int, price: float = 0.0):
        self.network, self.data, self.batch_size, self.price = network, data, batch_size, price

    def __call__(self, model: nn.Module, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """`model` is the network as the training engine has wrapped it; `generator` decides images, mirrors, starts."""
        chosen = torch.randint(len(self.data), (self.batch_size,), generator=generator)
        mirrored = torch.rand(self.batch_size, 1, 1, 1, generator=generator) < 0.5
        noise = self.network.start_noise(self.batch_size, generator)
        images = self.data.batch(chosen).images
        images = torch.where(mirrored.to(images.device), images.flip(3), images)
        output = model(images, noise=noise)
        error = nn.functional.mse_loss(output.reconstruction, images)
        owned = 1 - output.masks[:, 0].mean()  # share of the image that slots other than the first own
        price = self.price * min(1.0, step / self.PRICE_RAMP)
        return {"loss": error + price * owned, "squared_error": error.detach(), "owned": owned.detach()}
