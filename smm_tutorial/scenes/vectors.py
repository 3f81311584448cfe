"""Vectors with their coordinates first, (3, N): torch adds three long rows many times faster than N
short ones.
"""

from __future__ import annotations

import torch
from torch import Tensor


def dot(one: Tensor, other: Tensor) -> Tensor:
    """Inner products (...) of vectors (C, ...); coordinates come first."""
    product = one[0] * other[0]
    for axis in range(1, len(one)):
        product = torch.addcmul(product, one[axis], other[axis])
    return product


def normalized(vectors: Tensor) -> Tensor:
    """The vectors (C, ...) at length 1; zero stays zero."""
    return vectors * dot(vectors, vectors).clamp(min=1e-24).rsqrt()


def reflected(directions: Tensor, normals: Tensor) -> Tensor:
    """Where rays along `directions` (3, N) go from a mirror with the unit normals (3, N)."""
    return directions - 2 * dot(directions, normals) * normals


def cross(axis: Tensor, other: Tensor) -> Tensor:
    """The cross product (3, ...) of two vectors."""
    return torch.stack(
        [
            axis[1] * other[2] - axis[2] * other[1],
            axis[2] * other[0] - axis[0] * other[2],
            axis[0] * other[1] - axis[1] * other[0],
        ]
    )


def turned(vectors: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Vectors (3, N) turned about z by the angles with `cos` (N,) and `sin` (N,)."""
    x, y, z = vectors
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z])
