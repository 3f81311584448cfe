"""Encoders, decoders and position embeddings: everything between pixels and slots that does not cluster."""

import math
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Convolutions = Literal["light", "paper"]


def position_grid(height: int, width: int) -> Tensor:
    """Coordinates of pixel centres in [0, 1] as channels y, x, 1 - y, 1 - x -> `(4, H, W)` (Slot Attention, appendix)."""
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    return torch.stack([y, x, 1 - y, 1 - x])


def fourier_grid(height: int, width: int, frequencies: int) -> Tensor:
    """sin and cos of pi 2^f times both coordinates in [-1, 1], after the coordinates -> `(2 + 4 F, H, W)`."""
    y, x = 2 * position_grid(height, width)[:2] - 1
    angles = [math.pi * 2**f * axis for f in range(frequencies) for axis in (y, x)]
    return torch.stack([y, x, *(wave(angle) for angle in angles for wave in (torch.sin, torch.cos))])


class ConvEncoder(nn.Module):
    """Image `(B, 3, S, S)` -> inputs for the slots `(B, N, channels)`, positions included, N = (S / stride)^2.

    Convolutions, a linear position embedding added, LayerNorm, MLP: the encoder of Slot Attention. Pixels are centred and
    stretched, and the convolutions start with He's scale, so that at first the features say as much about colour as about
    position: with torch's defaults position drowns colour, and slots begin by cutting the image into cells.

    contrast: how far the centred pixels are stretched; small, and position drowns colour.
    convolutions: `light`, the first `log2(stride)` of them 5x5 and halving the resolution, the others 3x3 | as in the
    `paper`, all 5x5, the first at full resolution, then those that halve it, padded as TensorFlow pads (1 before, 2 after).
    """

    def __init__(
        self, image_size: int, channels: int, stride: int = 2, layers: int = 4, convolutions: Convolutions = "light",
        contrast: float = 4.0,
    ):  # fmt: skip
        super().__init__()
        if not contrast > 0:
            raise ValueError(f"contrast must be above 0, got {contrast}")
        self.contrast = contrast
        halvings = int(math.log2(stride))
        if 2**halvings != stride or image_size % stride:
            raise ValueError(f"stride must be a power of 2 that divides image_size = {image_size}, got {stride}")
        if (fewest := halvings + (convolutions == "paper")) > layers:
            raise ValueError(f"stride = {stride} needs at least {fewest} {convolutions} layers, got {layers}")
        widths = pairwise([3] + [channels] * layers)
        if convolutions == "light":
            blocks = [
                [nn.Conv2d(*width, 5, stride=2, padding=2) if i < halvings else nn.Conv2d(*width, 3, padding=1), nn.ReLU()]
                for i, width in enumerate(widths)
            ]
        elif convolutions == "paper":
            blocks = [
                [nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(*width, 5, stride=2), nn.ReLU()] if 1 <= i <= halvings
                else [nn.Conv2d(*width, 5, padding=2), nn.ReLU()]
                for i, width in enumerate(widths)
            ]  # fmt: skip
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
            nn.LayerNorm(channels), nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels)
        )

    def forward(self, images: Tensor) -> Tensor:
        features = self.convolutions(self.contrast * (images - 0.5))  # (B, C, S / stride, S / stride)
        features = features + self.embed_positions(self.positions[None])
        return self.head(features.flatten(2).mT)  # (B, N, C)


class PixelDecoder(nn.Module):
    """Slots `(M, D)` -> `(M, 4, S, S)`: an MLP at every pixel that sees the slot and Fourier features of the position.

    It knows its pixel alone, which leaves it free to paint any cell of the image.
    """

    def __init__(self, slot_dim: int, image_size: int, channels: int, layers: int = 3, frequencies: int = 4):
        super().__init__()
        self.image_size = image_size
        grid = fourier_grid(image_size, image_size, frequencies).flatten(1).T  # (S S, P)
        self.register_buffer("positions", grid, persistent=False)
        self.from_slot = nn.Linear(slot_dim, channels)
        self.from_position = nn.Linear(grid.shape[1], channels, bias=False)
        hidden = [module for _ in range(layers - 1) for module in (nn.Linear(channels, channels), nn.ReLU())]
        self.layers = nn.Sequential(nn.ReLU(), *hidden, nn.Linear(channels, 4))

    def forward(self, slots: Tensor) -> Tensor:
        pixels = self.layers(self.from_slot(slots)[:, None] + self.from_position(self.positions))  # (M, S S, 4)
        return pixels.mT.unflatten(2, (self.image_size, self.image_size))


class BroadcastDecoder(nn.Module):
    """Slots `(M, D)` -> `(M, 4, S, S)`: a spatial-broadcast decoder (Watters et al. 2019, arXiv 1901.07017).

    The slot stands on every cell of a small grid and gets a position embedding. At each resolution a 3x3 convolution
    looks around, and another makes four times the channels, which become 2x2 pixels: cheaper on a CPU than transposed
    convolutions of the same reach.
    """

    def __init__(self, slot_dim: int, image_size: int, channels: int, grid: int = 8):
        super().__init__()
        doublings = _doublings(image_size, grid)
        self.register_buffer("positions", position_grid(grid, grid)[None], persistent=False)  # (1, 4, g, g)
        self.from_slot = nn.Linear(slot_dim, channels)
        self.from_position = nn.Conv2d(4, channels, 1, bias=False)
        widths = [channels] * (doublings - 1) + [4]
        doubling = [
            (nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(),
             nn.Conv2d(channels, 4 * width, 3, padding=1), nn.PixelShuffle(2))
            for width in widths
        ]  # fmt: skip
        self.layers = nn.Sequential(*(module for modules in doubling for module in modules))

    def forward(self, slots: Tensor) -> Tensor:
        cells = self.from_slot(slots)[..., None, None] + self.from_position(self.positions)  # (M, C, g, g)
        return self.layers(cells.contiguous(memory_format=torch.channels_last))


class PaperDecoder(nn.Module):
    """Slots `(M, D)` -> `(M, 4, S, S)`: the spatial-broadcast decoder of Slot Attention (arXiv 2006.15055, appendix).

    The slot stands on every cell of a grid, 8x8 in the paper, and a linear position embedding is added. Transposed 5x5
    convolutions double the resolution until it is the image's, one more keeps it, and a 3x3 one ends in colours and mask
    logit. Cropped as TensorFlow crops (1 before, 2 after), and starting from its weights (Glorot's).
    """

    def __init__(self, slot_dim: int, image_size: int, channels: int, grid: int = 8):
        super().__init__()
        doublings = _doublings(image_size, grid)
        self.register_buffer("positions", position_grid(grid, grid)[None], persistent=False)  # (1, 4, g, g)
        self.embed_positions = nn.Conv2d(4, slot_dim, 1)
        doubling = [
            (nn.ConvTranspose2d(*width, 5, stride=2, padding=1), nn.ZeroPad2d((0, -1, 0, -1)), nn.ReLU())
            for width in pairwise([slot_dim] + [channels] * doublings)
        ]
        self.layers = nn.Sequential(
            *(module for modules in doubling for module in modules),
            nn.ConvTranspose2d(channels, channels, 5, padding=2), nn.ReLU(),
            nn.ConvTranspose2d(channels, 4, 3, padding=1),
        )  # fmt: skip
        for module in self.layers:
            if isinstance(module, nn.ConvTranspose2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, slots: Tensor) -> Tensor:
        cells = slots[..., None, None] + self.embed_positions(self.positions)  # (M, D, g, g)
        return self.layers(cells.contiguous(memory_format=torch.channels_last))


def _doublings(image_size: int, grid: int) -> int:
    """How often a grid doubles to the image's size. Raises `ValueError` where it never meets it."""
    doublings = round(math.log2(image_size / grid))
    if doublings < 1 or grid * 2**doublings != image_size:
        raise ValueError(f"image_size must be {grid} (the grid) times 2, 4, 8, ..., got {image_size}")
    return doublings
