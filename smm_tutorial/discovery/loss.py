"""Losses. Each is a class that is built once with its data, and called by `training.fit` once a
step.

All draw a joint batch from the step's generator and compute their share of it, which is all of it
in a single process.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from smm_tutorial.datasets import SceneImages
from smm_tutorial.discovery.model import ObjectDiscovery
from smm_tutorial.training.processes import Share

Objective = Literal["mixture", "squared_error"]


class ReconstructionLoss:
    """How badly an `ObjectDiscovery` network explains random images, half of them mirrored left to
    right.

    data: the training images; masks are never looked at. Mirroring is right for a loss on pixels:
    it maps scenes to scenes but for the direction of the light.
    objective: `mixture`, the negative log-likelihood of each pixel under the mixture of the slots'
    paintings (as in IODINE, Greff et al. 2019, arXiv 1903.00450), in units of squared error: it is
    the mean squared error where one slot owns the pixel | `squared_error` of the mixed image (Slot
    Attention, arXiv 2006.15055), which does not mind when two slots blend into the right colour.
    num_slots: in training; the network's own number if not given.
    price: what it costs, in the same unit, when all of an image belongs to slots other than its
    largest. Neither objective minds whether an object's slot also paints ground around it; a price
    below what an object saves, and above what a piece of ground saves, leaves the ground to one
    slot. It grows from 0 over the second quarter of `steps`: objects must be found before they can
    be kept small.
    """

    def __init__(
        self,
        network: ObjectDiscovery,
        data: SceneImages,
        batch_size: int,
        objective: Objective = "mixture",
        *,
        num_slots: int | None = None,
        price: float = 0.0,
        steps: int = 1,
    ):
        if objective not in get_args(Objective):
            raise ValueError(
                f"objective must be one of {', '.join(map(repr, get_args(Objective)))}, got {objective!r}"
            )
        self.network, self.data, self.batch_size, self.objective = (
            network,
            data,
            batch_size,
            objective,
        )
        self.num_slots, self.price, self.steps, self.share = num_slots, price, steps, Share()

    def place(self, device: torch.device, share: Share) -> None:
        """Moves the data to the device, and computes this share of each batch from now on."""
        self.data, self.share = self.data.to(device), share

    def price_at(self, step: int) -> float:
        """The price of this step."""
        return self.price * min(1.0, max(0.0, 4 * step / self.steps - 1))

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """This process's share of a batch: images `(B, 3, S, S)`, half of them mirrored, and noise
        for the slots' starts.
        """
        chosen = torch.randint(len(self.data), (self.batch_size,), generator=generator)
        mirrored = torch.rand(self.batch_size, 1, 1, 1, generator=generator) < 0.5
        noise = self.network.start_noise(self.batch_size, generator, self.num_slots)
        chosen, mirrored, noise = (self.share.of(part) for part in (chosen, mirrored, noise))
        images = self.data.batch(chosen).images
        return torch.where(mirrored.to(images.device), images.flip(3), images), noise

    def __call__(
        self, model: nn.Module, generator: torch.Generator, step: int
    ) -> dict[str, Tensor]:
        """`model` is the network as the training engine has wrapped it; `generator` decides images,
        mirrors, starts.
        """
        images, noise = self.draw(generator)
        output = model(images, num_slots=self.num_slots, noise=noise)
        squared_error = nn.functional.mse_loss(output.reconstruction, images)
        if self.objective == "mixture":
            unit = (
                2 * output.pixel_scale**2 / images.shape[1]
            )  # squared error of a channel for a unit of log-likelihood
            misfit = -unit * output.log_joint(images).logsumexp(dim=1).mean()
        else:
            misfit = squared_error
        owned = (
            1 - output.masks.mean(dim=(2, 3)).amax(dim=1).mean()
        )  # share of an image outside its largest slot
        loss = misfit + self.price_at(step) * owned
        return {"loss": loss, "squared_error": squared_error.detach(), "owned": owned.detach()}
