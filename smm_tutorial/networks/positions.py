"""Position embeddings: grids of numbers that say where a pixel lies."""

import math

import torch
from torch import Tensor

from smm_tutorial.arguments import check_sizes, check_whole


def position_grid(height: int, width: int) -> Tensor:
    """Coordinates y, x, 1 - y, 1 - x of pixel centres, in [0, 1] -> `(4, H, W)`.

    Slot Attention (arXiv 2006.15055), appendix.
    """
    height, width = check_sizes(height=height, width=width)
    y = (torch.arange(height) + 0.5) / height
    x = (torch.arange(width) + 0.5) / width
    y, x = torch.meshgrid(y, x, indexing="ij")  # (H, W) each
    return torch.stack([y, x, 1 - y, 1 - x])


def fourier_grid(height: int, width: int, frequencies: int) -> Tensor:
    """Coordinates y, x in [-1, 1], then sin and cos of pi 2^f times each -> `(2 + 4 F, H, W)`."""
    frequencies = check_whole("frequencies", frequencies, least=0)
    y, x = 2 * position_grid(height, width)[:2] - 1  # (H, W) each
    angles = [math.pi * 2**f * axis for f in range(frequencies) for axis in (y, x)]
    waves = [wave(angle) for angle in angles for wave in (torch.sin, torch.cos)]
    return torch.stack([y, x, *waves])
