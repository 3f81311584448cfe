"""Object discovery: an autoencoder whose bottleneck is a set of slots, trained on pixels alone (Slot Attention, sec. 3.2)."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from smm_tutorial.networks import BroadcastDecoder, ConvEncoder, PixelDecoder
from smm_tutorial.slots import SlotAttention, SlotMixture, SlotOutput

SLOT_MODULES = {"attention": SlotAttention, "mixture": SlotMixture}
DECODERS = {"pixel": PixelDecoder, "broadcast": BroadcastDecoder}


@dataclass(frozen=True)
class DiscoveryConfig:
    """Everything that decides an `ObjectDiscovery` network. Compared models differ in `slots` alone."""

    slots: Literal["attention", "mixture"] = "mixture"
    image_size: int = 32  # S, pixels
    num_slots: int = 7
    slot_dim: int = 48
    num_iterations: int = 3
    encoder_channels: int = 32
    encoder_stride: int = 2
    decoder: Literal["pixel", "broadcast"] = "broadcast"
    decoder_channels: int = 32
    slot_options: dict = field(default_factory=dict)  # passed on to the slot module: start, content, gradient, ...


@dataclass
class DiscoveryOutput:
    """reconstruction `(B, 3, H, W)`, its parts `reconstructions` `(B, K, 3, H, W)` and `masks` `(B, K, H, W)`, slots."""

    reconstruction: Tensor
    reconstructions: Tensor
    masks: Tensor
    slots: SlotOutput

    @property
    def segmentation(self) -> Tensor:
        """The slot that owns each pixel -> integer `(B, H, W)`."""
        return self.masks.argmax(dim=1)


class ObjectDiscovery(nn.Module):
    """Encoder, slots, decoder. Images are `(B, 3, S, S)` in [0, 1]."""

    def __init__(self, config: DiscoveryConfig):
        super().__init__()
        if config.slots not in SLOT_MODULES or config.decoder not in DECODERS:
            raise ValueError(
                f"slots must be one of {sorted(SLOT_MODULES)} and decoder one of {sorted(DECODERS)}, "
                f"got {config.slots!r} and {config.decoder!r}"
            )
        self.config = config
        self.encoder = ConvEncoder(config.image_size, config.encoder_channels, config.encoder_stride)
        self.slots = SLOT_MODULES[config.slots](
            config.num_slots, config.encoder_channels, config.slot_dim, config.num_iterations, **config.slot_options
        )
        self.decoder = DECODERS[config.decoder](self.slots.output_dim, config.image_size, config.decoder_channels)

    def forward(
        self, images: Tensor, num_iterations: int | None = None, num_slots: int | None = None,
        noise: Tensor | None = None, *, return_history: bool = False,
    ) -> DiscoveryOutput:  # fmt: skip
        """noise `(B, K, D)` fixes the start of the slots; drawn where it is None."""
        side = self.config.image_size
        if images.ndim != 4 or images.shape[1:] != (3, side, side):
            raise ValueError(
                f"images must be (batch, 3, {side}, {side}) in [0, 1], got {tuple(images.shape)}: "
                f"load the data with size={side}"
            )
        slots = self.slots(self.encoder(images), num_iterations, num_slots, noise, return_history=return_history)
        return self.decode(slots)

    def decode(self, slots: SlotOutput) -> DiscoveryOutput:
        """Paints each slot and mixes the paintings by their masks."""
        batch, count = slots.slots.shape[:2]
        painted = self.decoder(slots.slots.flatten(0, 1)).unflatten(0, (batch, count))  # (B, K, 4, H, W)
        reconstructions, logits = painted[:, :, :3], painted[:, :, 3]  # (B, K, 3, H, W), (B, K, H, W)
        masks = logits.softmax(dim=1)
        reconstruction = (masks[:, :, None] * reconstructions).sum(dim=1)  # (B, 3, H, W)
        return DiscoveryOutput(reconstruction, reconstructions, masks, slots)

    def start_noise(self, batch: int, generator: torch.Generator, num_slots: int | None = None) -> Tensor:
        """Noise `(B, K, D)` on the model's device, the same for the same generator state on any device."""
        shape = (batch, num_slots or self.config.num_slots, self.config.slot_dim)
        return torch.randn(shape, generator=generator).to(next(self.parameters()).device)
