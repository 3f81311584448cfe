"""Decoders: from slots `(M, D)` to colours and mask logits `(M, 4, S, S)`.

A decoder paints each slot separately. M counts the slots of all images in the batch. Each decoder
raises `ValueError` for a size that is not a whole number of at least 1. Its `forward` raises
`ValueError` for slots of another number type than the weights.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from smm_tutorial.arguments import check_sizes
from smm_tutorial.networks.positions import fourier_grid, position_grid
from smm_tutorial.tensors import check_floats


class PixelDecoder(nn.Module):
    """An MLP that computes each pixel from the slot and the pixel's position (Fourier features).

    The MLP sees no neighbouring pixels, so a slot may paint any part of the image.

    Args:
        slot_dim: D, the width of a slot.
        image_size: S, pixels per side.
        channels: width of the MLP.
        layers: number of hidden layers.
        frequencies: see `fourier_grid`.
    """

    def __init__(
        self, slot_dim: int, image_size: int, channels: int, layers: int = 3, frequencies: int = 4
    ):
        super().__init__()
        slot_dim, image_size, channels, layers = check_sizes(
            slot_dim=slot_dim, image_size=image_size, channels=channels, layers=layers
        )
        self.image_size = image_size
        grid = fourier_grid(image_size, image_size, frequencies).flatten(1).T  # (S S, P)
        self.register_buffer("positions", grid, persistent=False)
        self.from_slot = nn.Linear(slot_dim, channels)
        self.from_position = nn.Linear(grid.shape[1], channels, bias=False)
        self.layers = nn.Sequential(nn.ReLU())
        for _ in range(layers - 1):
            self.layers.extend([nn.Linear(channels, channels), nn.ReLU()])
        self.layers.append(nn.Linear(channels, 4))

    def forward(self, slots: Tensor) -> Tensor:
        check_floats("slots", slots, self.from_slot.weight)
        pixels = self.from_slot(slots)[:, None] + self.from_position(self.positions)  # (M, S S, C)
        painted = self.layers(pixels).mT  # (M, 4, S S)
        return painted.unflatten(2, (self.image_size, self.image_size))  # (M, 4, S, S)


class BroadcastDecoder(nn.Module):
    """A light spatial-broadcast decoder (Watters et al. 2019, arXiv 1901.07017).

    The decoder copies the slot to every cell of a small grid and adds a position embedding. It then
    doubles the grid until the grid has the size of the image. Each doubling has two 3x3
    convolutions. The second convolution makes four times the channels, which become 2x2 pixels. On
    a CPU this costs less than transposed convolutions with the same field of view.

    Args:
        slot_dim: D, the width of a slot.
        image_size: S, pixels per side; `grid` times a power of 2, at least 2.
        channels: channels of the convolutions.
        grid: cells per side of the first grid.
    """

    def __init__(self, slot_dim: int, image_size: int, channels: int, grid: int = 8):
        super().__init__()
        slot_dim, image_size, channels, grid = check_sizes(
            slot_dim=slot_dim, image_size=image_size, channels=channels, grid=grid
        )
        doublings = count_doublings(image_size, grid)
        positions = position_grid(grid, grid)[None]  # (1, 4, g, g)
        self.register_buffer("positions", positions, persistent=False)
        self.from_slot = nn.Linear(slot_dim, channels)
        self.from_position = nn.Conv2d(4, channels, 1, bias=False)
        self.layers = nn.Sequential()
        for width in [channels] * (doublings - 1) + [4]:
            look_around = nn.Conv2d(channels, channels, 3, padding=1)
            quadruple = nn.Conv2d(channels, 4 * width, 3, padding=1)
            self.layers.extend([nn.ReLU(), look_around, nn.ReLU(), quadruple, nn.PixelShuffle(2)])

    def forward(self, slots: Tensor) -> Tensor:
        check_floats("slots", slots, self.from_slot.weight)
        cells = self.from_slot(slots)[..., None, None]  # (M, C, 1, 1)
        cells = cells + self.from_position(self.positions)  # (M, C, g, g)
        return self.layers(cells.contiguous(memory_format=torch.channels_last))  # (M, 4, S, S)


class PaperDecoder(nn.Module):
    """The spatial-broadcast decoder of Slot Attention (arXiv 2006.15055, appendix).

    The decoder copies the slot to every cell of a grid (8x8 in the paper) and adds a linear
    position embedding. Transposed 5x5 convolutions double the grid until it has the size of the
    image. One more 5x5 convolution keeps this size. A 3x3 convolution then computes colours and
    mask logit. As in TensorFlow, the output is cropped, and the weights start as Glorot's.

    The arguments are those of `BroadcastDecoder`.
    """

    def __init__(self, slot_dim: int, image_size: int, channels: int, grid: int = 8):
        super().__init__()
        slot_dim, image_size, channels, grid = check_sizes(
            slot_dim=slot_dim, image_size=image_size, channels=channels, grid=grid
        )
        doublings = count_doublings(image_size, grid)
        positions = position_grid(grid, grid)[None]  # (1, 4, g, g)
        self.register_buffer("positions", positions, persistent=False)
        self.embed_positions = nn.Conv2d(4, slot_dim, 1)
        self.layers = nn.Sequential()
        for width, next_width in pairwise([slot_dim] + [channels] * doublings):
            double = nn.ConvTranspose2d(width, next_width, 5, stride=2, padding=1)
            crop = nn.ZeroPad2d((0, -1, 0, -1))  # TensorFlow crops 1 pixel before, 2 pixels after
            self.layers.extend([double, crop, nn.ReLU()])
        self.layers.extend([nn.ConvTranspose2d(channels, channels, 5, padding=2), nn.ReLU()])
        self.layers.append(nn.ConvTranspose2d(channels, 4, 3, padding=1))
        for module in self.layers:
            if isinstance(module, nn.ConvTranspose2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, slots: Tensor) -> Tensor:
        check_floats("slots", slots, self.embed_positions.weight)
        cells = slots[..., None, None] + self.embed_positions(self.positions)  # (M, D, g, g)
        return self.layers(cells.contiguous(memory_format=torch.channels_last))  # (M, 4, S, S)


def count_doublings(image_size: int, grid: int) -> int:
    """Counts how often a grid must double to have the size of the image. Both are per side.

    Raises `ValueError` unless one or more doublings of the grid give exactly the image's size.
    """
    doublings = round(math.log2(image_size / grid))
    if doublings < 1 or grid * 2**doublings != image_size:
        raise ValueError(
            f"image_size must be {grid} (the grid) times 2, 4, 8, ..., got {image_size}"
        )
    return doublings
