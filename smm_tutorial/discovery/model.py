"""The network of object discovery: an autoencoder whose bottleneck is a set of slots.

It learns from pixels alone (Slot Attention, arXiv 2006.15055, sec. 3.2).
"""

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from smm_tutorial.arguments import check_above_zero
from smm_tutorial.networks.decoders import BroadcastDecoder, PaperDecoder, PixelDecoder
from smm_tutorial.networks.encoders import ConvEncoder, Convolutions
from smm_tutorial.slots.base import SlotOutput, check_choice, widen
from smm_tutorial.slots.slot_model import SlotModel, settle_config

LEAST_SHARE = 1e-8  # of the inputs: an empty slot's logarithm stays finite
DECODERS = {"pixel": PixelDecoder, "broadcast": BroadcastDecoder, "paper": PaperDecoder}

MaskPrior = Literal["share", "none"]


@dataclass(frozen=True)
class DiscoveryConfig:
    """Everything that decides an `ObjectDiscovery`. Compared models differ in `slots` alone.

    The papers' network: convolutions and decoder `paper`, image_size 128, encoder_stride 1, 64
    channels, slot_dim 64.
    decoder: `pixel` | `broadcast`, light enough for a CPU | Slot Attention's, `paper`.
    mask_prior: a slot's mask starts from its `share` of the inputs, as a mixture weighs a density |
    from `none`. Without it two slots on the same cluster look the same to the decoder, however
    little one of them holds.

    Raises `ValueError` for an unknown choice, a size that is no whole number of at least 1, and a
    `contrast` or `pixel_scale` that is no number above 0.
    """

    slots: Literal["attention", "mixture"] = "mixture"
    image_size: int = 32  # S, pixels
    num_slots: int = 7
    slot_dim: int = 48
    num_iterations: int = 3
    encoder_channels: int = 32
    encoder_stride: int = 2
    convolutions: Convolutions = "light"  # of the encoder
    contrast: float = 4.0  # of the pixels that it sees, beside their positions
    decoder: Literal["pixel", "broadcast", "paper"] = "broadcast"
    decoder_channels: int = 32
    decoder_grid: int = 8  # cells a side that decoders but `pixel` start from
    mask_prior: MaskPrior = "share"
    pixel_scale: float = 0.1  # standard deviation of a pixel about its slot's painting
    slot_options: dict = field(default_factory=dict)  # of the slot module: start, content, ...

    def __post_init__(self):
        settle_config(self)
        check_choice("decoder", self.decoder, DECODERS)
        check_choice("mask_prior", self.mask_prior, MaskPrior)
        for name in ("contrast", "pixel_scale"):
            object.__setattr__(self, name, check_above_zero(name, getattr(self, name)))


@dataclass
class DiscoveryOutput:
    """Slots, and what they paint: a mixture of K Gaussians at every pixel.

    reconstructions `(B, K, 3, H, W)` are the means, exp of log_masks `(B, K, H, W)` the weights,
    pixel_scale the standard deviation of each channel.
    """

    reconstructions: Tensor
    log_masks: Tensor
    slot_output: SlotOutput
    pixel_scale: float

    @property
    def masks(self) -> Tensor:
        """Weights of the slots before a pixel is seen -> `(B, K, H, W)`, sum to 1 over K."""
        return self.log_masks.exp()

    @property
    def reconstruction(self) -> Tensor:
        """The paintings, mixed by their masks -> `(B, 3, H, W)`."""
        return (self.masks[:, :, None] * self.reconstructions).sum(dim=1)

    @property
    def segmentation(self) -> Tensor:
        """The slot whose mask is largest -> integer `(B, H, W)`."""
        return self.log_masks.argmax(dim=1)

    def log_joint(self, images: Tensor) -> Tensor:
        """log(mask x Gaussian density of the pixel), up to a constant -> `(B, K, H, W)`."""
        squares = (self.reconstructions - images[:, None]).square().sum(dim=2)  # (B, K, H, W)
        return self.log_masks - squares / (2 * self.pixel_scale**2)

    def responsibilities(self, images: Tensor) -> Tensor:
        """Weights of the slots once pixels `(B, 3, H, W)` are seen, an E-step -> `(B, K, H, W)`."""
        return self.log_joint(images).softmax(dim=1)


class ObjectDiscovery(SlotModel):
    """Encoder, slots, decoder. Images are `(B, 3, S, S)` in [0, 1]."""

    def __init__(self, config: DiscoveryConfig):
        encoder = ConvEncoder(
            config.image_size,
            config.encoder_channels,
            config.encoder_stride,
            convolutions=config.convolutions,
            contrast=config.contrast,
        )
        super().__init__(config, encoder)
        grid = {} if config.decoder == "pixel" else {"grid": config.decoder_grid}
        self.decoder = DECODERS[config.decoder](
            self.slots.output_dim, config.image_size, config.decoder_channels, **grid
        )

    def decode(self, slot_output: SlotOutput) -> DiscoveryOutput:
        """Paints each slot, and shares the pixels out by masks."""
        slots = slot_output.slots  # (B, K, D)
        painted = self.decoder(slots.flatten(0, 1))  # (B K, 4, H, W)
        painted = widen(painted.unflatten(0, slots.shape[:2]))  # (B, K, 4, H, W)
        logits = painted[:, :, 3]  # (B, K, H, W)
        if self.config.mask_prior == "share":
            # (B, K), of the inputs; in a mixture, its weights
            shares = slot_output.responsibilities.mean(dim=1)
            logits = logits + shares.clamp_min(LEAST_SHARE).log()[:, :, None, None]
        return DiscoveryOutput(
            painted[:, :, :3], logits.log_softmax(dim=1), slot_output, self.config.pixel_scale
        )
