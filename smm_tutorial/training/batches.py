"""Draws the batch of a training step, and takes this process's share of the batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.datasets.scene_images import SceneImages


@dataclass(frozen=True)
class Share:
    """The part of each batch that one of `world_size` processes computes. By default the whole."""

    rank: int = 0
    world_size: int = 1

    def of(self, batch: Tensor) -> Tensor:
        """Takes this process's rows of a tensor. Its first dimension is the joint batch."""
        return batch.tensor_split(self.world_size)[self.rank]


class Batch(NamedTuple):
    """The data of one training step, for the loss."""

    images: Tensor  # (B, 3, S, S) in [0, 1]
    noise: Tensor  # (B, ...), the step's random numbers, such as where the slots start
    targets: Tensor | None = None  # (B, ...), the labels of these images


class Batches:
    """Draws one batch per step: random images, and noise for the start of the slots.

    Every process draws the whole batch from the step's generator, and keeps its share. So the mean
    of the losses over the processes equals the loss of a single process.

    Args:
        data: M training images.
        size: images per batch, of all processes together.
        draw_noise: `draw_noise(batch, generator)` -> `(B, ...)`, such as a model's `start_noise`.
        mirrored: the probability that an image is mirrored left to right.
        targets: `(M, ...)`, one label per image.
        mirrored_targets: `(M, ...)`, the label of each mirror image, if it differs.
    """

    def __init__(
        self,
        data: SceneImages,
        size: int,
        draw_noise: Callable[[int, torch.Generator], Tensor],
        *,
        mirrored: float = 0.0,
        targets: Tensor | None = None,
        mirrored_targets: Tensor | None = None,
    ):
        self.data, self.share = data, Share()
        self.targets, self.mirrored_targets = targets, mirrored_targets
        self.size, self.draw_noise, self.mirrored = size, draw_noise, mirrored

    def place(self, device: torch.device, share: Share) -> None:
        """Moves the data to the device, and sets which share of each batch `draw` returns."""
        self.data, self.share = self.data.to(device), share
        self.targets = None if self.targets is None else self.targets.to(device)
        if self.mirrored_targets is not None:
            self.mirrored_targets = self.mirrored_targets.to(device)

    def draw(self, generator: torch.Generator) -> Batch:
        """Draws a batch with the generator -> this process's share of the batch."""
        chosen = torch.randint(len(self.data), (self.size,), generator=generator)
        mirrored = None
        if self.mirrored:
            mirrored = torch.rand(self.size, 1, 1, 1, generator=generator) < self.mirrored
        noise = self.share.of(self.draw_noise(self.size, generator))
        chosen = self.share.of(chosen)
        images = self.data.batch(chosen).images
        targets = None if self.targets is None else self.targets[chosen]
        if mirrored is not None:
            mirrored = self.share.of(mirrored).to(images.device)
            images = torch.where(mirrored, images.flip(3), images)
            if self.mirrored_targets is not None:
                of_mirrored = self.mirrored_targets[chosen]
                mirrored = mirrored.view(-1, *[1] * (of_mirrored.ndim - 1))
                targets = torch.where(mirrored, of_mirrored, targets)
        return Batch(images, noise, targets)
