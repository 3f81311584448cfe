"""Upright mirrors: where rays meet them, the reflected rays, and the lamps that they hide.

A mirror shows what a ray would meet in the mirrored direction. A mirror casts shadows: it hides
lamps from floor and objects. Two effects are left out: the light that a mirror throws on floor and
objects, and its influence on the ambient light. The frame is matt and dark grey, and is lit like
the ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.scenes.additions import Mirror
from smm_tutorial.scenes.geometry import Objects, Rays, nearest_hits
from smm_tutorial.scenes.lighting import Light
from smm_tutorial.scenes.records import Scene
from smm_tutorial.scenes.shadows import disk_share
from smm_tutorial.scenes.vectors import dot, reflect

FRAME_SHARE = 0.12  # of the light on the ground: the share that the frame reflects


class Mirrors(NamedTuple):
    """The mirrors of B scenes. A scene without a mirror gets a mirror of width 0, which no ray
    meets.
    """

    feet: Tensor  # (3, B) middles of the lower edges
    normals: Tensor  # (3, B) unit, level
    half_widths: Tensor  # (B,)
    heights: Tensor  # (B,)
    frames: Tensor  # (B,) width of the bars
    reflectances: Tensor  # (B,)


class Meetings(NamedTuple):
    """Where N rays meet the mirror of their scene."""

    distances: Tensor  # (N,) inf where they miss it
    on_frame: Tensor  # (N,) bool: the frame, and not the glass


def pack_mirrors(scenes: Sequence[Scene], device: torch.device | str = "cpu") -> Mirrors | None:
    """The mirrors of all scenes as tensors (float32); None where no scene has one."""
    if all(scene.mirror is None for scene in scenes):
        return None
    blank = Mirror((0.0, 0.0), facing=0.0, width=0.0, height=0.0, frame=0.0, reflectance=1.0)
    rows = []
    for mirror in (scene.mirror or blank for scene in scenes):
        sizes = (mirror.width / 2, mirror.height, mirror.frame, mirror.reflectance)
        rows.append((*mirror.position, 0.0, *mirror.normal, 0.0, *sizes))
    packed = torch.tensor(rows, dtype=torch.float32).T.contiguous().to(device)  # (10, B)
    return Mirrors(packed[:3], packed[3:6], *packed[6:])


def meet_mirrors(mirrors: Mirrors, rays: Rays) -> Meetings:
    """Where rays meet the mirror of their scene, even if they meet something else before."""
    ways, across, up = _cross_planes(mirrors, rays)
    half_widths = mirrors.half_widths.index_select(0, rays.scenes)
    heights = mirrors.heights.index_select(0, rays.scenes)
    to_edge = torch.minimum(half_widths - across.abs(), heights - up)
    frames = mirrors.frames.index_select(0, rays.scenes)
    on_frame = (to_edge < frames) | (up < frames)
    return Meetings(ways.masked_fill_(~((ways > 0) & (to_edge > 0)), torch.inf), on_frame)


def mirror_rays(mirrors: Mirrors, rays: Rays, distances: Tensor, places: Tensor) -> Rays:
    """The reflected rays of the rays with the indices `places` (M,).

    distances: (N,), the way of each ray to its mirror.
    """
    starts = rays.origins.index_select(1, places)
    directions = rays.directions.index_select(1, places)
    scenes = rays.scenes.index_select(0, places)
    origins = torch.addcmul(starts, distances.index_select(0, places), directions)
    return Rays(origins, reflect(directions, mirrors.normals.index_select(1, scenes)), scenes)


def seen_objects(objects: Objects, mirrors: Mirrors | None, rays: Rays) -> Tensor:
    """The flat index (N,) of the object that each ray meets; -1 for none and for rays that meet a
    mirror.
    """
    hits = nearest_hits(objects, rays)
    if mirrors is None:
        return hits.objects
    return hits.objects.masked_fill(meet_mirrors(mirrors, rays).distances < hits.distances, -1)


def visible_past_mirrors(
    mirrors: Mirrors,
    light: Light,
    points: Tensor,
    scenes: Tensor,
    lamp_radius: float,
    is_soft: bool,
) -> Tensor:
    """The share (N,) of a lamp that a mirror does not hide from points (3, N).

    Args:
        light: the light of the lamp at the points.
        lamp_radius: of the lamp's disk. The disk is projected into the mirror's plane as if the
            mirror faced the lamp.
    """
    ways, across, up = _cross_planes(mirrors, Rays(points, light.directions, scenes))
    between = (ways > 0) & (ways < light.distances)
    half_widths = mirrors.half_widths.index_select(0, scenes)
    heights = mirrors.heights.index_select(0, scenes)
    if not is_soft:
        return 1 - (between & (across.abs() < half_widths) & (up < heights)).to(points.dtype)
    spread = (lamp_radius * ways / light.distances).clamp(min=1e-6)
    right, left = (
        disk_share((half_widths - across) / spread),
        disk_share((half_widths + across) / spread),
    )
    above = disk_share((heights - up) / spread)
    return 1 - (1 - (right + left)).clamp(min=0) * (1 - above) * between


def _cross_planes(mirrors: Mirrors, rays: Rays) -> tuple[Tensor, Tensor, Tensor]:
    """Where rays cross the planes of their scenes' mirrors.

    Returns three tensors (N,): the way along the ray, and the distance sideways and up from the
    mirror's foot.
    """
    normals = mirrors.normals.index_select(1, rays.scenes)
    offsets = rays.origins - mirrors.feet.index_select(1, rays.scenes)
    speeds = dot(rays.directions, normals)
    ways = -dot(offsets, normals) / speeds.masked_fill(speeds.abs() < 1e-9, 1e-9)
    places = torch.addcmul(offsets, ways, rays.directions)
    return ways, places[1] * normals[0] - places[0] * normals[1], places[2]
