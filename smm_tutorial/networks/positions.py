"""Position embeddings: grids of numbers that encode where a pixel lies."""

import math

import torch
from torch import Tensor

from smm_tutorial.arguments import check_sizes, check_whole


def position_grid(height: int, width: int) -> Tensor:
    """Computes y, x, 1 - y, 1 - x of each pixel's centre, in [0, 1] -> `(4, H, W)`.

    Source: Slot Attention (arXiv 2006.15055), appendix.
    """
    height, width = check_sizes(height=height, width=width)
    y = (torch.arange(height) + 0.5) / height
    x = (torch.arange(width) + 0.5) / width
    y, x = torch.meshgrid(y, x, indexing="ij")  # (H, W) each
    return torch.stack([y, x, 1 - y, 1 - x])


def fourier_grid(height: int, width: int, frequencies: int) -> Tensor:
    """Computes y and x of each pixel in [-1, 1] and their Fourier features -> `(2 + 4 F, H, W)`.

    The features are sin and cos of pi 2^f y and of pi 2^f x, for f from 0 to F - 1. frequencies: F,
    at least 0.
    """
    frequencies = check_whole("frequencies", frequencies, least=0)
    y, x = 2 * position_grid(height, width)[:2] - 1  # (H, W) each
    angles = [math.pi * 2**f * axis for f in range(frequencies) for axis in (y, x)]
    waves = [wave(angle) for angle in angles for wave in (torch.sin, torch.cos)]
    return torch.stack([y, x, *waves])
