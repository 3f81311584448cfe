"""CLEVR's backdrop: a floor that curves up into a wall behind the scene.

Its profile gives the height over the distance from the origin along `AWAY`. Sideways the backdrop
has no end. The profile is convex and made of chords. So a ray from inside leaves through the
nearest of the planes through these chords.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from smm_tutorial.scenes.vectors import normalize

AWAY = (-0.90324, 0.42914)  # horizontal unit vector from the front edge to the wall
# (distance along AWAY, height) in world units, measured on the mesh of CLEVR's base scene
PROFILE = (
    (-9.5, 0.0),
    (-1.0, 0.0),
    (1.0, 0.0),
    (4.0, 0.03),
    (7.0, 0.1),
    (10.0, 0.3),
    (12.4, 0.8),
    (14.0, 1.6),
    (15.6, 3.9),
    (16.5, 8.0),
    (18.0, 23.0),
)
FRONT_EDGE = PROFILE[0][0]
TOP_EDGE = PROFILE[-1][1]
REFLECTANCE = 0.8  # grey, diffuse


def ground_distances(origins: Tensor, directions: Tensor, shape: str = "curved") -> Tensor:
    """Distance (N,) along rays to the backdrop; inf for a miss.

    origins, directions: (3, N). shape: as in `backdrop_profile`.
    """
    start, start_height = profile_place(origins), origins[2]
    speed, climb = profile_place(directions), directions[2]
    distances = torch.full_like(start, torch.inf)
    for (left, low), (normal, normal_up) in _chords(shape):
        approach = -(speed * normal + climb * normal_up)  # speed towards the chord's plane
        clearance = ((start - left) * normal + (start_height - low) * normal_up).clamp(min=0)
        way = (clearance / approach.clamp(min=1e-9)).masked_fill_(approach <= 1e-9, torch.inf)
        distances = torch.minimum(distances, way)
    end, height = start + distances * speed, start_height + distances * climb
    return distances.masked_fill_(~((end > FRONT_EDGE) & (height < TOP_EDGE)), torch.inf)


def ground_normals(points: Tensor, shape: str = "curved") -> Tensor:
    """Unit normals (3, N) of the backdrop at points (3, N) on it, smooth along the profile."""
    chords = points.new_tensor([normal for _, normal in _chords(shape)])  # (C, 2)
    normals = torch.cat([chords[:1], chords[1:] + chords[:-1], chords[-1:]])  # at the corners
    normals = torch.nn.functional.normalize(normals, dim=-1).T.contiguous()  # (2, C + 1)
    corners = points.new_tensor([distance for distance, _ in backdrop_profile(shape)])
    place = profile_place(points).contiguous()
    right = torch.searchsorted(corners, place).clamp(1, len(corners) - 1)
    left = right - 1
    start = corners.index_select(0, left)
    share = ((place - start) / (corners.index_select(0, right) - start)).clamp(0, 1)
    blend = torch.lerp(normals.index_select(1, left), normals.index_select(1, right), share)
    away, up = normalize(blend)
    return torch.stack([away * AWAY[0], away * AWAY[1], up])


def profile_place(vectors: Tensor) -> Tensor:
    """The component (N,) of vectors (3, N) along `AWAY`."""
    return AWAY[0] * vectors[0] + AWAY[1] * vectors[1]


def backdrop_profile(shape: str) -> tuple[tuple[float, float], ...]:
    """The backdrop's profile: "curved" as in CLEVR, or "flat", only the level part of CLEVR's
    floor.
    """
    return PROFILE if shape == "curved" else ((FRONT_EDGE, 0.0), (PROFILE[-1][0], 0.0))


@cache
def _chords(shape: str) -> tuple[tuple[tuple[float, float], tuple[float, float]], ...]:
    """A point on each chord of the profile and its unit normal towards the scene."""
    chords = []
    for (left, low), (right, high) in pairwise(backdrop_profile(shape)):
        length = math.hypot(right - left, high - low)
        chords.append(((left, low), ((low - high) / length, (right - left) / length)))
    return tuple(chords)
