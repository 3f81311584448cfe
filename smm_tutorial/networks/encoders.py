"""Encoders: from an image to the inputs of the slots."""

from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from smm_tutorial.arguments import check_above_zero, check_sizes
from smm_tutorial.networks.positions import position_grid
from smm_tutorial.tensors import check_floats

Convolutions = Literal["light", "paper"]


class ConvEncoder(nn.Module):
    """Images `(B, 3, S, S)` -> inputs `(B, N, channels)` with positions, N = (S / stride)^2.

    The encoder of Slot Attention: convolutions, a linear position embedding, LayerNorm, MLP. The
    encoder centres and scales the pixels, and its convolutions start with He's scale. Untrained
    features then depend on colour as much as on position. With torch's default weights, position
    outweighs colour, and the slots first cut the image into cells.

    Args:
        image_size: S, pixels per side.
        channels: channels of the convolutions, and width of an input.
        stride: pixels of the image per cell of the inputs' grid, per side; a power of 2.
        layers: number of convolutions.
        convolutions: `light`: the first `log2(stride)` convolutions are 5x5 and halve the
            resolution; the others are 3x3. `paper`: all are 5x5. The first keeps the resolution,
            the next `log2(stride)` halve it, with TensorFlow's padding.
        contrast: the factor by which the centred pixels are multiplied.

    Raises:
        ValueError: unknown convolutions, a contrast that is not above 0, a size that is not a whole
            number of at least 1, a stride that does not fit the image, or fewer layers than the
            stride needs. In `forward`: images of a wrong type or shape.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        stride: int = 2,
        layers: int = 4,
        convolutions: Convolutions = "light",
        contrast: float = 4.0,
    ):
        super().__init__()
        if convolutions not in CONVOLUTIONS:
            known = ", ".join(map(repr, CONVOLUTIONS))
            raise ValueError(f"convolutions must be one of {known}, got {convolutions!r}")
        image_size, channels, stride, layers = check_sizes(
            image_size=image_size, channels=channels, stride=stride, layers=layers
        )
        self.image_size = image_size
        self.contrast = check_above_zero("contrast", contrast)
        halvings = stride.bit_length() - 1
        if 2**halvings != stride or image_size % stride:
            raise ValueError(
                f"stride must be a power of 2 that divides image_size = {image_size}, got {stride}"
            )
        first = 1 if convolutions == "paper" else 0  # the first layer that halves the resolution
        after = first + halvings
        if after > layers:
            raise ValueError(
                f"stride = {stride} needs at least {after} {convolutions} layers, got {layers}"
            )
        self.convolutions = nn.Sequential()
        for layer, (width, next_width) in enumerate(pairwise([3] + [channels] * layers)):
            halves = first <= layer < after
            self.convolutions.extend(CONVOLUTIONS[convolutions](width, next_width, halves))
        for module in self.convolutions:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        side = image_size // stride
        self.register_buffer("positions", position_grid(side, side), persistent=False)
        self.embed_positions = nn.Conv2d(4, channels, 1)
        self.head = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
        )

    def forward(self, images: Tensor) -> Tensor:
        check_images(images, self.image_size, self.embed_positions.weight)
        pixels = (self.contrast * (images - 0.5)).contiguous(memory_format=torch.channels_last)
        features = self.convolutions(pixels)  # (B, C, S/stride, S/stride)
        features = features + self.embed_positions(self.positions[None])
        return self.head(features.flatten(2).mT)  # (B, N, C)


def check_images(images: Tensor, side: int, weight: Tensor) -> None:
    """Raises `ValueError` unless images are `(B, 3, side, side)` with the number type of `weight`.

    The values are not checked; see `check_unit_range`.
    """
    if getattr(images, "dtype", None) in (torch.uint8, np.uint8):
        raise ValueError(
            "images must be floats in [0, 1], got bytes: images.float() / 255 makes them of a "
            "tensor, and torch.from_numpy makes a tensor of an array"
        )
    check_floats("images", images, weight)
    if images.ndim != 4 or images.shape[1:] != (3, side, side):
        raise ValueError(
            f"images must be (batch, 3, {side}, {side}) in [0, 1], got {tuple(images.shape)}: "
            f"load the data with size={side}"
        )


def light_layer(width: int, next_width: int, halves: bool) -> list[nn.Module]:
    """Makes a convolution of the `light` encoder and its ReLU.

    width, next_width: channels before and after. halves: whether the layer halves the resolution.
    """
    if halves:
        return [nn.Conv2d(width, next_width, 5, stride=2, padding=2), nn.ReLU()]
    return [nn.Conv2d(width, next_width, 3, padding=1), nn.ReLU()]


def paper_layer(width: int, next_width: int, halves: bool) -> list[nn.Module]:
    """Makes a convolution of the papers' encoder and its ReLU. Arguments as in `light_layer`."""
    if halves:  # TensorFlow pads 1 pixel before, 2 pixels after
        return [nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(width, next_width, 5, stride=2), nn.ReLU()]
    return [nn.Conv2d(width, next_width, 5, padding=2), nn.ReLU()]


CONVOLUTIONS = {"light": light_layer, "paper": paper_layer}
