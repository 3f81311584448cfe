"""The network of object discovery: an autoencoder whose bottleneck is a set of slots.

The network learns from pixels, without labels (Slot Attention, arXiv 2006.15055, sec. 3.2).
"""

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from smm_tutorial.arguments import check_above_zero, check_choice
from smm_tutorial.networks.decoders import BroadcastDecoder, PaperDecoder, PixelDecoder
from smm_tutorial.networks.encoders import ConvEncoder, Convolutions
from smm_tutorial.slots.base import SlotOutput, widen
from smm_tutorial.slots.slot_model import SlotModel, settle_config

LEAST_SHARE = 1e-8  # of the inputs; it keeps the logarithm of an empty slot finite
DECODERS = {"pixel": PixelDecoder, "broadcast": BroadcastDecoder, "paper": PaperDecoder}

MaskPrior = Literal["share", "none"]


@dataclass(frozen=True)
class DiscoveryConfig:
    """The options that decide an `ObjectDiscovery`. Compared models differ only in the slot module.

    The network of the papers has convolutions and decoder `paper`, image_size 128, encoder_stride
    1, 64 channels and slot_dim 64.

    decoder: `pixel` and `broadcast` are fast enough for a CPU. `paper` is the decoder of Slot
    Attention.
    mask_prior: `share` adds the logarithm of a slot's share of the inputs to its mask logits, as a
    mixture multiplies a density by its weight. `none` adds nothing. Two slots on the same cluster
    then look the same to the decoder, even if one of them holds almost no inputs.

    Raises `ValueError` for an unknown choice, for a size that is not a whole number of at least 1,
    and for a `contrast` or `pixel_scale` that is not a number above 0.
    """

    slots: Literal["attention", "mixture"] = "mixture"
    image_size: int = 32  # S, pixels
    num_slots: int = 7
    slot_dim: int = 48
    num_iterations: int = 3
    encoder_channels: int = 32
    encoder_stride: int = 2
    convolutions: Convolutions = "light"  # of the encoder
    contrast: float = 4.0  # of the encoder: factor on the centred pixels
    decoder: Literal["pixel", "broadcast", "paper"] = "broadcast"
    decoder_channels: int = 32
    decoder_grid: int = 8  # cells per side of the decoder's first grid; `pixel` has no grid
    mask_prior: MaskPrior = "share"
    pixel_scale: float = 0.1  # standard deviation of a pixel around its slot's painting
    slot_options: dict = field(default_factory=dict)  # of the slot module, such as its start

    def __post_init__(self):
        settle_config(self)
        check_choice("decoder", self.decoder, DECODERS)
        check_choice("mask_prior", self.mask_prior, MaskPrior)
        for name in ("contrast", "pixel_scale"):
            object.__setattr__(self, name, check_above_zero(name, getattr(self, name)))


@dataclass
class DiscoveryOutput:
    """The slots and their paintings, which form a mixture of K Gaussians at every pixel.

    reconstructions: `(B, K, 3, H, W)`, the means.
    log_masks: `(B, K, H, W)`, the logarithms of the weights.
    slot_output: the output of the slot module.
    pixel_scale: the standard deviation of each channel.
    """

    reconstructions: Tensor
    log_masks: Tensor
    slot_output: SlotOutput
    pixel_scale: float

    @property
    def masks(self) -> Tensor:
        """The weights of the slots at each pixel -> `(B, K, H, W)`; they sum to 1 over K.

        The decoder computes them from the slots. It does not see the pixel.
        """
        return self.log_masks.exp()

    @property
    def reconstruction(self) -> Tensor:
        """The image that the slots paint together: the mean of the mixture -> `(B, 3, H, W)`."""
        return (self.masks[:, :, None] * self.reconstructions).sum(dim=1)

    @property
    def segmentation(self) -> Tensor:
        """The number of the slot with the largest mask at each pixel -> integers `(B, H, W)`."""
        return self.log_masks.argmax(dim=1)

    def log_joint(self, images: Tensor) -> Tensor:
        """Computes log(mask x Gaussian density of the pixel) -> `(B, K, H, W)`, up to a constant.

        images: `(B, 3, H, W)`.
        """
        squares = (self.reconstructions - images[:, None]).square().sum(dim=2)  # (B, K, H, W)
        return self.log_masks - squares / (2 * self.pixel_scale**2)

    def responsibilities(self, images: Tensor) -> Tensor:
        """Computes p(slot | pixel) by an E-step -> `(B, K, H, W)`; the sum over K is 1.

        images: `(B, 3, H, W)`.
        """
        return self.log_joint(images).softmax(dim=1)


class ObjectDiscovery(SlotModel):
    """The network: encoder, slot module and decoder. Images are `(B, 3, S, S)` in [0, 1]."""

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
        """Paints each slot, and divides the pixels among the slots by masks."""
        slots = slot_output.slots  # (B, K, D)
        painted = self.decoder(slots.flatten(0, 1))  # (B K, 4, H, W)
        painted = widen(painted.unflatten(0, slots.shape[:2]))  # (B, K, 4, H, W)
        logits = painted[:, :, 3]  # (B, K, H, W)
        if self.config.mask_prior == "share":
            # (B, K), the share of the inputs per slot. In a mixture these are the weights.
            shares = slot_output.responsibilities.mean(dim=1)
            logits = logits + shares.clamp_min(LEAST_SHARE).log()[:, :, None, None]
        return DiscoveryOutput(
            painted[:, :, :3], logits.log_softmax(dim=1), slot_output, self.config.pixel_scale
        )
