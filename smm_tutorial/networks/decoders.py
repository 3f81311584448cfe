"""Decoders: what a slot paints."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from smm_tutorial.networks.positions import fourier_grid, position_grid


class PixelDecoder(nn.Module):
    """Slots `(M, D)` -> `(M, 4, S, S)`: an MLP at every pixel that sees the slot and Fourier
    features of the position.

    It knows its pixel alone, which leaves it free to paint any cell of the image.
    """

    def __init__(
        self, slot_dim: int, image_size: int, channels: int, layers: int = 3, frequencies: int = 4
    ):
        super().__init__()
        self.image_size = image_size
        grid = fourier_grid(image_size, image_size, frequencies).flatten(1).T  # (S S, P)
        self.register_buffer("positions", grid, persistent=False)
        self.from_slot = nn.Linear(slot_dim, channels)
        self.from_position = nn.Linear(grid.shape[1], channels, bias=False)
        hidden = [
            module
            for _ in range(layers - 1)
            for module in (nn.Linear(channels, channels), nn.ReLU())
        ]
        self.layers = nn.Sequential(nn.ReLU(), *hidden, nn.Linear(channels, 4))

    def forward(self, slots: Tensor) -> Tensor:
        pixels = self.layers(
            self.from_slot(slots)[:, None] + self.from_position(self.positions)
        )  # (M, S S, 4)
        return pixels.mT.unflatten(2, (self.image_size, self.image_size))


class BroadcastDecoder(nn.Module):
    """Slots `(M, D)` -> `(M, 4, S, S)`: a spatial-broadcast decoder (Watters et al. 2019, arXiv
    1901.07017).

    The slot stands on every cell of a small grid and gets a position embedding. At each resolution
    a 3x3 convolution looks around, and another makes four times the channels, which become 2x2
    pixels: cheaper on a CPU than transposed convolutions of the same reach.
    """

    def __init__(self, slot_dim: int, image_size: int, channels: int, grid: int = 8):
        super().__init__()
        doublings = _doublings(image_size, grid)
        self.register_buffer(
            "positions", position_grid(grid, grid)[None], persistent=False
        )  # (1, 4, g, g)
        self.from_slot = nn.Linear(slot_dim, channels)
        self.from_position = nn.Conv2d(4, channels, 1, bias=False)
        widths = [channels] * (doublings - 1) + [4]
        doubling = [
            (
                nn.ReLU(),
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(channels, 4 * width, 3, padding=1),
                nn.PixelShuffle(2),
            )
            for width in widths
        ]
        self.layers = nn.Sequential(*(module for modules in doubling for module in modules))

    def forward(self, slots: Tensor) -> Tensor:
        cells = self.from_slot(slots)[..., None, None] + self.from_position(
            self.positions
        )  # (M, C, g, g)
        return self.layers(cells.contiguous(memory_format=torch.channels_last))


class PaperDecoder(nn.Module):
    """Slots `(M, D)` -> `(M, 4, S, S)`: the spatial-broadcast decoder of Slot Attention (arXiv
    2006.15055, appendix).

    The slot stands on every cell of a grid, 8x8 in the paper, and a linear position embedding is
    added. Transposed 5x5 convolutions double the resolution until it is the image's, one more keeps
    it, and a 3x3 one ends in colours and mask logit. Cropped as TensorFlow crops (1 before, 2
    after), and starting from its weights (Glorot's).
    """

    def __init__(self, slot_dim: int, image_size: int, channels: int, grid: int = 8):
        super().__init__()
        doublings = _doublings(image_size, grid)
        self.register_buffer(
            "positions", position_grid(grid, grid)[None], persistent=False
        )  # (1, 4, g, g)
        self.embed_positions = nn.Conv2d(4, slot_dim, 1)
        doubling = [
            (
                nn.ConvTranspose2d(*width, 5, stride=2, padding=1),
                nn.ZeroPad2d((0, -1, 0, -1)),
                nn.ReLU(),
            )
            for width in pairwise([slot_dim] + [channels] * doublings)
        ]
        self.layers = nn.Sequential(
            *(module for modules in doubling for module in modules),
            nn.ConvTranspose2d(channels, channels, 5, padding=2),
            nn.ReLU(),
            nn.ConvTranspose2d(channels, 4, 3, padding=1),
        )
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
        raise ValueError(
            f"image_size must be {grid} (the grid) times 2, 4, 8, ..., got {image_size}"
        )
    return doublings
