"""CLEVR's lamps and the light that they send to a point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.scenes.records import LAMP_NAMES, Scene
from smm_tutorial.scenes.vectors import dot

LAMP_POSITIONS = {  # of CLEVR's base scene, before the jitter
    "Lamp_Key": (6.44671, -2.90517, 4.25840),
    "Lamp_Fill": (-4.67112, -4.01360, 3.01122),
    "Lamp_Back": (-1.16850, 2.64602, 5.81574),
}
LAMP_JITTER = 1.0
LAMP_INTENSITIES = {"Lamp_Key": 25.0, "Lamp_Fill": 7.5, "Lamp_Back": 12.5}  # radiance times area
LAMP_COLORS = {
    "Lamp_Key": (1.0, 0.9323, 0.8167),
    "Lamp_Fill": (0.7617, 0.8177, 1.0),
    "Lamp_Back": (1.0, 1.0, 1.0),
}
LAMP_SIDES = {"Lamp_Key": 0.5, "Lamp_Fill": 0.5, "Lamp_Back": 1.0}  # of the squares, in world units
SUN_IRRADIANCE = 0.45
SUN_DIRECTION = (0.4145, -0.1946, 0.8890)  # from the scene to the light
SUN_ANGLE = 0.199  # radians across
SUN_DISTANCE = 1e3  # stands for infinity
NEAREST_LAMP = 1e-4  # world units: nearer points get the light of this distance
NUM_LAMPS = len(LAMP_NAMES) + 1

#: Radius of a disk with the same area as each lamp, in world units; the sun's at `SUN_DISTANCE`.
LAMP_RADII = (
    *(LAMP_SIDES[name] / math.sqrt(math.pi) for name in LAMP_NAMES),
    SUN_DISTANCE * math.tan(SUN_ANGLE / 2),
)


class Lamps(NamedTuple):
    """The lamps of B scenes: L squares that face the origin. The last lamp is the far sun."""

    positions: Tensor  # (L, 3, B)
    facing: Tensor  # (L, 3, B) unit vectors from the lamp to the origin
    intensities: Tensor  # (L, 3, B) linear colour times radiance times area


class Light(NamedTuple):
    """The light that a lamp sends to each of N points, without shadows."""

    directions: Tensor  # (3, N) unit vectors to the lamp
    distances: Tensor  # (N,)
    irradiances: Tensor  # (3, N) on a surface that faces the lamp


def pack_lamps(
    scenes: Sequence[Scene], device: torch.device | str = "cpu", places: str = "own"
) -> Lamps:
    """The lamps of all scenes as tensors (float32).

    Args:
        places: "own": where a scene's record says, else as in CLEVR's base scene; "nominal": always
            as in the base scene.
    """
    sun = [SUN_DISTANCE * axis for axis in SUN_DIRECTION]
    rows = []
    for scene in scenes:
        lamps = LAMP_POSITIONS if places == "nominal" else scene.lamps or LAMP_POSITIONS
        rows.append([*(lamps[name] for name in LAMP_NAMES), sun])
    positions = torch.tensor(rows, dtype=torch.float32).permute(1, 2, 0).contiguous()  # (L, 3, B)
    colors = torch.tensor([*(LAMP_COLORS[name] for name in LAMP_NAMES), (1.0, 1.0, 1.0)])  # (L, 3)
    strengths = torch.tensor(
        [*(LAMP_INTENSITIES[name] for name in LAMP_NAMES), SUN_IRRADIANCE * SUN_DISTANCE**2]
    )
    intensities = (colors * strengths[:, None])[:, :, None].expand(-1, -1, len(scenes))
    facing = -torch.nn.functional.normalize(positions, dim=1)
    return Lamps(*(part.contiguous().to(device) for part in (positions, facing, intensities)))


def lamp_light(lamps: Lamps, lamp: int, scenes: Tensor, points: Tensor) -> Light:
    """The light of one lamp at points (3, N) of scenes (N,).

    A small square of intensity I gives the irradiance I cos(angle at the lamp) / distance^2 on a
    surface that faces it.
    """
    to_lamp = lamps.positions[lamp].index_select(1, scenes) - points
    squared = dot(to_lamp, to_lamp).clamp_(min=NEAREST_LAMP**2)
    inverse = squared.rsqrt()
    directions = to_lamp * inverse
    cos_at_lamp = -dot(lamps.facing[lamp].index_select(1, scenes), directions).clamp(max=0)
    falloff = cos_at_lamp * inverse * inverse
    irradiances = lamps.intensities[lamp].index_select(1, scenes) * falloff
    return Light(directions, squared * inverse, irradiances)


def mean_disk_cosine(cos: Tensor, angle: Tensor) -> Tensor:
    """Mean cosine to the normal over a lamp's disk (N,). The part below the horizon counts as 0.

    Args:
        cos: (N,) cosine of the disk's middle.
        angle: (N,) angular radius of the disk.
    """
    near = torch.minimum(torch.maximum(cos, -angle), angle)
    return (near + angle).square() / (4 * angle) + (cos - angle).clamp(min=0)
