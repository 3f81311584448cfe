"""Position embeddings."""

import math

import torch
from torch import Tensor


def position_grid(height: int, width: int) -> Tensor:
    """Coordinates of pixel centres in [0, 1] as channels y, x, 1 - y, 1 - x -> `(4, H, W)` (Slot
    Attention, appendix).
    """
    y, x = torch.meshgrid(
        (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij"
    )
    return torch.stack([y, x, 1 - y, 1 - x])


def fourier_grid(height: int, width: int, frequencies: int) -> Tensor:
    """sin and cos of pi 2^f times both coordinates in [-1, 1], after the coordinates -> `(2 + 4 F,
    H, W)`.
    """
    y, x = 2 * position_grid(height, width)[:2] - 1
    angles = [math.pi * 2**f * axis for f in range(frequencies) for axis in (y, x)]
    return torch.stack(
        [y, x, *(wave(angle) for angle in angles for wave in (torch.sin, torch.cos))]
    )
