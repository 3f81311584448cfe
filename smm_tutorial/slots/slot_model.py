"""What the models of all tasks begin with: an encoder, and a slot module on its output."""

from typing import Any

import torch
from torch import Tensor, nn

from smm_tutorial.networks.encoders import ConvEncoder
from smm_tutorial.networks.image_range import check_unit_range
from smm_tutorial.slots.attention import SlotAttention
from smm_tutorial.slots.base import SlotModule, SlotOutput
from smm_tutorial.slots.mixture import SlotMixture

SLOT_MODULES: dict[str, type[SlotModule]] = {"attention": SlotAttention, "mixture": SlotMixture}


class SlotModel(nn.Module):
    """Encoder and slot module; a subclass says what is made of the slots.

    config: of the subclass. Its fields `slots` (a name in `SLOT_MODULES`), `num_slots`,
    `encoder_channels`, `slot_dim`, `num_iterations` and `slot_options` decide the slot module,
    `image_size` the images that are accepted.
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
            ValueError: images of another shape, or images beyond [0, 1].
        """
        side = self.config.image_size
        if images.ndim != 4 or images.shape[1:] != (3, side, side):
            raise ValueError(
                f"images must be (batch, 3, {side}, {side}) in [0, 1], got {tuple(images.shape)}: "
                f"load the data with size={side}"
            )
        inputs = self.encoder(images)  # (B, N, encoder_channels)
        check_unit_range(images)
        return self.slots(inputs, num_iterations, num_slots, noise, return_history=return_history)

    def decode(self, slot_output: SlotOutput) -> Any:
        """What this model makes of slots; every subclass says it."""
        raise NotImplementedError

    def start_noise(
        self, batch: int, generator: torch.Generator, num_slots: int | None = None
    ) -> Tensor:
        """Noise `(B, K, D)` on the model's device; a seed gives the same noise on every device."""
        shape = (batch, num_slots or self.config.num_slots, self.config.slot_dim)
        return torch.randn(shape, generator=generator).to(next(self.parameters()).device)
