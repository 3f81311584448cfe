"""What a step trains on: a random batch of images, and this process's share of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.datasets.scene_images import SceneImages


@dataclass(frozen=True)
class Share:
    """The part of each batch that one of `world_size` processes computes. By default all of it."""

    rank: int = 0
    world_size: int = 1

    def of(self, batch: Tensor) -> Tensor:
        """This process's rows of a tensor whose first dimension is the joint batch."""
        return batch.tensor_split(self.world_size)[self.rank]


class Batch(NamedTuple):
    """What a loss needs of a step."""

    images: Tensor  # (B, 3, S, S) in [0, 1]
    noise: Tensor  # (B, K, D), fixes where the slots start
    targets: Tensor | None = None  # (B, ...), of these images


class Batches:
    """Draws a batch a step: random images, some of them mirrored, and noise for the slots' starts.

    Every process draws the whole batch from the step's generator and keeps its share, so that the
    mean over the processes is what one process would have computed.

    data: the training images, M of them. size: images in a batch, of all processes together.
    draw_noise: `draw_noise(batch, generator)` -> `(B, K, D)`, such as a model's `start_noise`.
    mirrored: how likely an image is mirrored left to right. targets: `(M, ...)`, one per image.
    """

    def __init__(
        self,
        data: SceneImages,
        size: int,
        draw_noise: Callable[[int, torch.Generator], Tensor],
        *,
        mirrored: float = 0.0,
        targets: Tensor | None = None,
    ):
        self.data, self.targets, self.share = data, targets, Share()
        self.size, self.draw_noise, self.mirrored = size, draw_noise, mirrored

    def place(self, device: torch.device, share: Share) -> None:
        """Moves the data to the device, and draws this share of each batch from now on."""
        self.data, self.share = self.data.to(device), share
        self.targets = None if self.targets is None else self.targets.to(device)

    def draw(self, generator: torch.Generator) -> Batch:
        """This process's share of the batch that the generator decides."""
        chosen = torch.randint(len(self.data), (self.size,), generator=generator)
        mirrored = None
        if self.mirrored:
            mirrored = torch.rand(self.size, 1, 1, 1, generator=generator) < self.mirrored
        noise = self.share.of(self.draw_noise(self.size, generator))
        chosen = self.share.of(chosen)
        images = self.data.batch(chosen).images
        if mirrored is not None:
            images = torch.where(self.share.of(mirrored).to(images.device), images.flip(3), images)
        return Batch(images, noise, None if self.targets is None else self.targets[chosen])
