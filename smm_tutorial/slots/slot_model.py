"""The first part of every task's model: an encoder, then a slot module."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from smm_tutorial.arguments import check_choice, check_whole
from smm_tutorial.networks.encoders import ConvEncoder
from smm_tutorial.networks.image_range import check_unit_range
from smm_tutorial.slots.attention import SlotAttention
from smm_tutorial.slots.base import SlotModule, SlotOutput
from smm_tutorial.slots.mixture import SlotMixture

SLOT_MODULES: dict[str, type[SlotModule]] = {"attention": SlotAttention, "mixture": SlotMixture}


def settle_config(config: Any) -> None:
    """Checks a model's frozen config, and converts its numbers to Python's, which JSON can hold.

    Every field of type `int` is a size. Sizes and the numbers in `slot_options` may be numpy's.

    Raises:
        ValueError: a size is not a whole number of at least 1, the slot module is unknown, or
            `slot_options` is not a mapping.
    """
    check_choice("slots", config.slots, SLOT_MODULES)
    for field in fields(config):
        if field.type is int:
            size = check_whole(field.name, getattr(config, field.name))
            object.__setattr__(config, field.name, size)
    if not isinstance(config.slot_options, Mapping):
        raise ValueError(f"slot_options must be options by name, got {config.slot_options!r}")
    options = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in config.slot_options.items()
    }
    object.__setattr__(config, "slot_options", options)


class SlotModel(nn.Module):
    """An encoder and a slot module. A subclass defines `decode`, which uses the slots.

    config: the subclass's config. These fields decide the slot module: `slots` (a name in
    `SLOT_MODULES`), `num_slots`, `encoder_channels`, `slot_dim`, `num_iterations`, `slot_options`.

    shared_parts: the parts that a model of one task can take over from a model of another task.
    """

    shared_parts = ("encoder", "slots")

    def __init__(self, config, encoder: ConvEncoder):
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.slots = SLOT_MODULES[config.slots](
            config.num_slots,
            config.encoder_channels,
            config.slot_dim,
            config.num_iterations,
            **config.slot_options,
        )

    def forward(self, *arguments, **options) -> Any:
        """Finds the slots, then decodes them. `find_slots` describes the arguments."""
        return self.decode(self.find_slots(*arguments, **options))

    def find_slots(
        self,
        images: Tensor,
        num_iterations: int | None = None,
        num_slots: int | None = None,
        noise: Tensor | None = None,
        *,
        return_history: bool = False,
    ) -> SlotOutput:
        """Finds the slots of images.

        Args:
            images: `(B, 3, S, S)` in [0, 1].
            num_iterations: number of iterations; by default the config's.
            num_slots: K; by default the config's.
            noise: `(B, K, D)`, fixes where the slots start; by default the noise is random.
            return_history: whether the output holds a `SlotState` per iteration.

        Raises:
            ValueError: images of another number type than the weights, of another shape, or with
                values outside [0, 1].
        """
        inputs = self.encoder(images)  # (B, N, encoder_channels)
        check_unit_range(images)
        return self.slots(inputs, num_iterations, num_slots, noise, return_history=return_history)

    def decode(self, slot_output: SlotOutput) -> Any:
        """Computes the model's output from the slots. Every subclass defines this method."""
        raise NotImplementedError

    def start_noise(
        self, batch: int, generator: torch.Generator, num_slots: int | None = None
    ) -> Tensor:
        """Draws noise `(B, K, D)` for the start of the slots, and moves it to the model's device.

        A CPU generator with the same seed gives the same noise for every device of the model.
        num_slots: K; by default the config's.
        """
        slots = self.config.num_slots if num_slots is None else check_whole("num_slots", num_slots)
        shape = (batch, slots, self.config.slot_dim)
        noise = torch.randn(shape, generator=generator, device=generator.device)
        return noise.to(next(self.parameters()).device)
