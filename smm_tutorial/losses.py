"""Losses. Each is a class that is built once with its data, and called by `training.fit` once a step."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from smm_tutorial.datasets import SceneImages
from smm_tutorial.models.discovery import ObjectDiscovery

Objective = Literal["mixture", "squared_error"]


class ReconstructionLoss:
    """How badly an `ObjectDiscovery` network explains random images, half of them mirrored left to right.

    data: the training images, on the model's device; masks are never looked at. Mirroring is right for a loss on pixels:
    it maps scenes to scenes but for the direction of the light.
    objective: `mixture`, the negative log-likelihood of each pixel under the mixture of the slots' paintings (as in
    IODINE, Greff et al. 2019, arXiv 1903.00450), in units of squared error: it is the mean squared error where one slot
    owns the pixel | `squared_error` of the mixed image (Slot Attention, arXiv 2006.15055), which does not mind when two
    slots blend into the right colour.
    """

    def __init__(
        self, network: ObjectDiscovery, data: SceneImages, batch_size: int, objective: Objective = "mixture"
    ):  # fmt: skip
        if objective not in get_args(Objective):
            raise ValueError(f"objective must be one of {', '.join(map(repr, get_args(Objective)))}, got {objective!r}")
        self.network, self.data, self.batch_size, self.objective = network, data, batch_size, objective

    def __call__(self, model: nn.Module, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """`model` is the network as the training engine has wrapped it; `generator` decides images, mirrors, starts."""
        chosen = torch.randint(len(self.data), (self.batch_size,), generator=generator)
        mirrored = torch.rand(self.batch_size, 1, 1, 1, generator=generator) < 0.5
        noise = self.network.start_noise(self.batch_size, generator)
        images = self.data.batch(chosen).images
        images = torch.where(mirrored.to(images.device), images.flip(3), images)
        output = model(images, noise=noise)
        error = nn.functional.mse_loss(output.reconstruction, images)
        if self.objective == "squared_error":
            return {"loss": error, "squared_error": error.detach()}
        unit = 2 * output.pixel_scale**2 / images.shape[1]  # squared error of a channel for a unit of log-likelihood
        loss = -unit * output.log_joint(images).logsumexp(dim=1).mean()
        return {"loss": loss, "squared_error": error.detach()}
