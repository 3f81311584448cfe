"""Encoders, decoders and position embeddings: everything between pixels and slots that does not
cluster.
"""

import math
from itertools import pairwise
from typing import Literal, get_args

from torch import Tensor, nn

from smm_tutorial.networks.positions import position_grid

Convolutions = Literal["light", "paper"]


class ConvEncoder(nn.Module):
    """Image `(B, 3, S, S)` -> inputs for the slots `(B, N, channels)`, positions included, N = (S /
    stride)^2.

    Convolutions, a linear position embedding added, LayerNorm, MLP: the encoder of Slot Attention.
    Pixels are centred and stretched, and the convolutions start with He's scale, so that at first
    the features say as much about colour as about
    position: with torch's defaults position drowns colour, and slots begin by cutting the image
    into cells.

    contrast: how far the centred pixels are stretched; small, and position drowns colour.
    convolutions: `light`, the first `log2(stride)` of them 5x5 and halving the resolution, the
    others 3x3 | as in the `paper`, all 5x5, the first at full resolution, then those that halve it,
    padded as TensorFlow pads (1 before, 2 after).
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
        if not contrast > 0:
            raise ValueError(f"contrast must be above 0, got {contrast}")
        self.contrast = contrast
        halvings = int(math.log2(stride))
        if 2**halvings != stride or image_size % stride:
            raise ValueError(
                f"stride must be a power of 2 that divides image_size = {image_size}, got {stride}"
            )
        if (fewest := halvings + (convolutions == "paper")) > layers:
            raise ValueError(
                f"stride = {stride} needs at least {fewest} {convolutions} layers, got {layers}"
            )
        widths = pairwise([3] + [channels] * layers)
        if convolutions == "light":
            blocks = [
                [
                    nn.Conv2d(*width, 5, stride=2, padding=2)
                    if i < halvings
                    else nn.Conv2d(*width, 3, padding=1),
                    nn.ReLU(),
                ]
                for i, width in enumerate(widths)
            ]
        elif convolutions == "paper":
            blocks = [
                [nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(*width, 5, stride=2), nn.ReLU()]
                if 1 <= i <= halvings
                else [nn.Conv2d(*width, 5, padding=2), nn.ReLU()]
                for i, width in enumerate(widths)
            ]
        else:
            known = ", ".join(map(repr, get_args(Convolutions)))
            raise ValueError(f"convolutions must be one of {known}, got {convolutions!r}")
        self.convolutions = nn.Sequential(*(module for block in blocks for module in block))
        for convolution in self.convolutions:
            if isinstance(convolution, nn.Conv2d):
                nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
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
        features = self.convolutions(
            self.contrast * (images - 0.5)
        )  # (B, C, S / stride, S / stride)
        features = features + self.embed_positions(self.positions[None])
        return self.head(features.flatten(2).mT)  # (B, N, C)
