"""Random arguments for the tasks' cases: the same seed gives the same numbers in every call."""

import torch
from torch import Tensor


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def positive(seed: int, *shape: int) -> Tensor:
    """Numbers around 1, such as variances, in float64."""
    return (0.7 * normal(seed, *shape)).exp()
