"""Checks that images lie in [0, 1].

A network would accept images of another range, but its results would mean nothing.
"""

import torch
from torch import Tensor

RANGE_SLACK = 1e-3  # how far beyond [0, 1] a resampling filter may carry an image


def check_unit_range(images: Tensor) -> None:
    """Raises `ValueError` unless images `(B, 3, S, S)` lie in [0, 1].

    Code that `torch.compile` compiles skips this check, because the check would interrupt it.
    """
    if images.numel() == 0 or images.is_meta or torch.compiler.is_compiling():
        return
    low, high = (extreme.item() for extreme in images.detach().aminmax())
    if not (low >= -RANGE_SLACK and high <= 1 + RANGE_SLACK):  # also true if one of them is NaN
        raise ValueError(
            f"images must lie in [0, 1], got {low:.3g} to {high:.3g}: pass images / 255 if they "
            "are bytes, or (images + 1) / 2 if they lie in [-1, 1]"
        )
