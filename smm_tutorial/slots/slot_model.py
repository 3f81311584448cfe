"""What the models of all tasks begin with: an encoder, and a slot module on its output."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from smm_tutorial.arguments import check_whole
from smm_tutorial.networks.encoders import ConvEncoder
from smm_tutorial.networks.image_range import check_unit_range
from smm_tutorial.slots.attention import SlotAttention
from smm_tutorial.slots.base import SlotModule, SlotOutput, check_choice
from smm_tutorial.slots.mixture import SlotMixture

SLOT_MODULES: dict[str, type[SlotModule]] = {"attention": SlotAttention, "mixture": SlotMixture}


def settle_config(config: Any) -> None:
    """Makes the numbers of a model's frozen config those of Python, so that a record can hold them.

    Sizes are its fields of type `int`. Numbers may come from numpy, also in its `slot_options`.

    Raises:
        ValueError: a size is no whole number of at least 1, the slot module is unknown, or its
            options are no mapping.
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
    """Encoder and slot module; a subclass says what is made of the slots.

    config: of the subclass. Its fields `slots` (a name in `SLOT_MODULES`), `num_slots`,
    `encoder_channels`, `slot_dim`, `num_iterations` and `slot_options` decide the slot module.
    """

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
        """What `decode` makes of the slots. The arguments are those of `find_slots`."""
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
        """The slots of images `(B, 3, S, S)` in [0, 1].

        noise: `(B, K, D)`, fixes the start of the slots; drawn if not given. Other arguments as of
        the slot module.

        Raises:
            ValueError: images of another type than the weights, of another shape, or beyond [0, 1].
        """
        inputs = self.encoder(images)  # (B, N, encoder_channels)
        check_unit_range(images)
        return self.slots(inputs, num_iterations, num_slots, noise, return_history=return_history)

    def decode(self, slot_output: SlotOutput) -> Any:
        """What this model makes of slots; every subclass says it."""
        raise NotImplementedError

    def start_noise(
        self, batch: int, generator: torch.Generator, num_slots: int | None = None
    ) -> Tensor:
        """Noise `(B, K, D)` on the model's device; a seed gives the same noise on every device.

        num_slots: as built if not given.
        """
        slots = self.config.num_slots if num_slots is None else check_whole("num_slots", num_slots)
        shape = (batch, slots, self.config.slot_dim)
        noise = torch.randn(shape, generator=generator, device=generator.device)
        return noise.to(next(self.parameters()).device)
