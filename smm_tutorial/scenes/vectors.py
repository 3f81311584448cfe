"""Vectors with their coordinates first, (3, N).

torch adds three long rows many times faster than N short ones.
"""

from __future__ import annotations

import torch
from torch import Tensor


def dot(one: Tensor, other: Tensor) -> Tensor:
    """Inner products (...) of vectors (C, ...)."""
    product = one[0] * other[0]
    for axis in range(1, len(one)):
        product = torch.addcmul(product, one[axis], other[axis])
    return product


def normalize(vectors: Tensor) -> Tensor:
    """The vectors (C, ...) scaled to length 1. A zero vector stays zero."""
    return vectors * dot(vectors, vectors).clamp(min=1e-24).rsqrt()


def reflect(directions: Tensor, normals: Tensor) -> Tensor:
    """The directions (3, N) of rays after a mirror. normals: (3, N), unit, of the mirror."""
    return directions - 2 * dot(directions, normals) * normals


def cross(one: Tensor, other: Tensor) -> Tensor:
    """Cross products (3, ...) of vectors (3, ...)."""
    x, y, z = one
    u, v, w = other
    return torch.stack([y * w - z * v, z * u - x * w, x * v - y * u])


def rotate_about_z(vectors: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Vectors (3, N) turned about z by angles, whose cosines `cos` (N,) and sines `sin` (N,) are
    given.
    """
    x, y, z = vectors
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z])
