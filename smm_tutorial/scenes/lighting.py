"""CLEVR's lamps, the light they throw on a point, and the light that comes from around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.scenes.ground import AWAY
from smm_tutorial.scenes.records import LAMP_NAMES, Scene

LAMP_POSITIONS = {  # of CLEVR's base scene, before the jitter
    "Lamp_Key": (6.44671, -2.90517, 4.25840),
    "Lamp_Fill": (-4.67112, -4.01360, 3.01122),
    "Lamp_Back": (-1.16850, 2.64602, 5.81574),
}
LAMP_JITTER = 1.0
LAMP_INTENSITIES = {"Lamp_Key": 25.0, "Lamp_Fill": 7.5, "Lamp_Back": 12.5}  # radiance times area
LAMP_COLORS = {"Lamp_Key": (1.0, 0.9323, 0.8167), "Lamp_Fill": (0.7617, 0.8177, 1.0), "Lamp_Back": (1.0, 1.0, 1.0)}
SUN_IRRADIANCE = 0.45
SUN_DIRECTION = (0.4145, -0.1946, 0.8890)  # from the scene to the light
SUN_DISTANCE = 1e3  # stands for infinity


class Lamps(NamedTuple):
    """The lamps of B scenes: L small squares that face the origin, the last of them the far sun."""

    positions: Tensor  # (B, L, 3)
    intensities: Tensor  # (B, L, 3) linear colour times radiance times area


class Light(NamedTuple):
    """What a lamp sends to each of N points, were nothing in between."""

    directions: Tensor  # (N, 3) unit vectors to the lamp
    distances: Tensor  # (N,)
    irradiances: Tensor  # (N, 3) on a surface that faces the lamp


def pack_lamps(scenes: Sequence[Scene], device: torch.device | str = "cpu") -> Lamps:
    """The lamps of all scenes (float32): where a scene says, else where CLEVR's base scene has them."""
    sun = [SUN_DISTANCE * axis for axis in SUN_DIRECTION]
    positions = [[*((scene.lamps or LAMP_POSITIONS)[name] for name in LAMP_NAMES), sun] for scene in scenes]
    colors = torch.tensor([*(LAMP_COLORS[name] for name in LAMP_NAMES), (1.0, 1.0, 1.0)])  # (L, 3)
    strengths = torch.tensor([*(LAMP_INTENSITIES[name] for name in LAMP_NAMES), SUN_IRRADIANCE * SUN_DISTANCE**2])
    intensities = (colors * strengths[:, None]).expand(len(scenes), -1, -1)
    return Lamps(torch.tensor(positions, dtype=torch.float32).to(device), intensities.to(device))


def light_from(lamps: Lamps, lamp: int, scenes: Tensor, points: Tensor) -> Light:
    """The light of one lamp at points (N, 3) of scenes (N,).

    A small square of intensity I gives the irradiance I cos(angle at the lamp) / distance^2 on a surface facing it.
    """
    positions = lamps.positions[:, lamp]
    facing = -torch.nn.functional.normalize(positions, dim=-1)[scenes]  # (N, 3)
    to_lamp = positions[scenes] - points
    distances = to_lamp.norm(dim=-1)
    directions = to_lamp / distances[:, None]
    cos_at_lamp = -(facing * directions).sum(-1).clamp(max=0)
    falloff = cos_at_lamp / distances.square()
    return Light(directions, distances, lamps.intensities[:, lamp][scenes] * falloff[:, None])


AMBIENT_FROM_ABOVE = 0.056  # irradiance that the wall and the far floor give a surface that faces up, at the origin
AMBIENT_RISE = 0.0035  # its gain with each world unit towards the wall
AMBIENT_FROM_BELOW = 0.62  # irradiance that the lit floor gives a surface that faces down


def ambient_irradiance(points: Tensor, normals: Tensor) -> Tensor:
    """The light (N, 1) that the surroundings throw on surfaces at points (N, 3) with normals (N, 3).

    Set by hand, not simulated: a blend by the normal's height of what the wall and a lit floor would give, with
    the three numbers above read off renders of CLEVR's original assets.
    """
    towards_wall = points[:, :2] @ points.new_tensor(AWAY)
    from_above = AMBIENT_FROM_ABOVE + AMBIENT_RISE * towards_wall
    return torch.lerp(from_above, torch.full_like(from_above, AMBIENT_FROM_BELOW), 0.5 - 0.5 * normals[:, 2])[:, None]
