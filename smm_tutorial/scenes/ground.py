"""CLEVR's backdrop: a floor that curves up into a wall behind the scene.

It is a profile curve, height over distance from the origin along `AWAY`, drawn out sideways without end. The curve is
convex, so a ray from inside leaves through the nearest of the planes that its chords span.
"""

from __future__ import annotations

import torch
from torch import Tensor

AWAY = (-0.90324, 0.42914)  # horizontal unit vector from the front edge to the wall
PROFILE = (  # (distance along AWAY, height) in world units, measured on the mesh of CLEVR's base scene
    (-9.5, 0.0), (-1.0, 0.0), (1.0, 0.0), (4.0, 0.03), (7.0, 0.1), (10.0, 0.3), (12.4, 0.8), (14.0, 1.6),
    (15.6, 3.9), (16.5, 8.0), (18.0, 23.0),
)  # fmt: skip
FRONT_EDGE = PROFILE[0][0]
TOP_EDGE = PROFILE[-1][1]
REFLECTANCE = 0.8  # grey, diffuse


def ground_distances(origins: Tensor, directions: Tensor) -> Tensor:
    """Distance (N,) along rays (origins and directions (N, 3)) to the backdrop, inf where they miss it."""
    away = origins.new_tensor(AWAY)
    start = torch.stack([origins[:, :2] @ away, origins[:, 2]], dim=-1)  # (N, 2) distance and height in the profile
    slope = torch.stack([directions[:, :2] @ away, directions[:, 2]], dim=-1)  # (N, 2)
    points, normals = _chords(origins)  # (C, 2)
    approach = -slope @ normals.T  # (N, C) speed towards each chord's plane
    clearance = (start @ normals.T - (points * normals).sum(-1)).clamp(min=0)  # (N, C)
    distances = torch.where(approach > 1e-9, clearance / approach, torch.inf).amin(-1)
    end = start + distances[:, None] * slope
    on_backdrop = (end[:, 0] > FRONT_EDGE) & (end[:, 1] < TOP_EDGE)
    return torch.where(on_backdrop, distances, torch.inf)


def ground_normals(points: Tensor) -> Tensor:
    """Unit normals (N, 3) of the backdrop at points (N, 3) on it, smooth along the profile."""
    away = points.new_tensor(AWAY)
    corners = points.new_tensor(PROFILE)
    _, chord_normals = _chords(points)
    corner_normals = torch.cat([chord_normals[:1], chord_normals[1:] + chord_normals[:-1], chord_normals[-1:]])
    corner_normals = torch.nn.functional.normalize(corner_normals, dim=-1)  # (C + 1, 2)
    position = (points[:, :2] @ away).contiguous()
    right = torch.searchsorted(corners[:, 0].contiguous(), position).clamp(1, len(corners) - 1)
    left = right - 1
    share = ((position - corners[left, 0]) / (corners[right, 0] - corners[left, 0])).clamp(0, 1)[:, None]
    profile = torch.nn.functional.normalize(torch.lerp(corner_normals[left], corner_normals[right], share), dim=-1)
    return torch.cat([profile[:, :1] * away, profile[:, 1:]], dim=-1)


def _chords(like: Tensor) -> tuple[Tensor, Tensor]:
    """A point on each chord of the profile and its normal towards the scene, (C, 2) each."""
    corners = like.new_tensor(PROFILE)
    along = torch.nn.functional.normalize(corners[1:] - corners[:-1], dim=-1)
    return corners[:-1], torch.stack([-along[:, 1], along[:, 0]], dim=-1)
