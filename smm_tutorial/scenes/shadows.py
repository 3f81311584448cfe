"""How much of a lamp a point sees: hard shadows by rays, soft ones by how deep the lamp's disk dips
behind an object.

A lamp of finite size is a disk of the same area. An object covers part of it; how much follows from
the least angle between its outline and the disk's middle, as if the outline were straight there. No
noise: nothing is sampled.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from smm_tutorial.scenes.geometry import (
    CUBE,
    CYLINDER,
    SPHERE,
    Objects,
    Pairs,
    Rays,
    chosen,
    cube_profile,
    cylinder_profile,
    flat_pairs,
    in_unit_frame,
    on_grid,
    pair_distances,
    rows_of,
    squared_distances,
)
from smm_tutorial.scenes.lighting import Light
from smm_tutorial.scenes.vectors import dot

GOLDEN = (5**0.5 - 1) / 2
SEARCH_STEPS = 6  # narrow the place of least distance to 1 in 18 of the bounding sphere


class ShadowCaster:
    """Shadows of B scenes' objects on surface points; what all lamps share is computed once.

    Args:
        points: (3, N) of scenes (N,), which never fall.
        leaving: (N,) flat index of the convex object that each point lies on, -1 for none: it does
        not shade itself.
    """

    def __init__(self, objects: Objects, points: Tensor, scenes: Tensor, leaving: Tensor):
        self.objects, self.points, self.scenes, self.leaving = objects, points, scenes, leaving
        self.rows = rows_of(scenes, len(objects.centers))
        self.grid = on_grid(points, self.rows)
        self.squared = squared_distances(objects, self.grid)  # (B, K, M)

    def visible(self, light: Light, lit: Tensor, lamp_radius: float, is_soft: bool) -> Tensor:
        """The share (N,) of a lamp that each point sees.

        Args:
            light: the lamp, as N points see it.
            lit: (N,) whether the share matters at all.
            lamp_radius: of the disk.
        """
        objects, directions, distances = self.objects, light.directions, light.distances
        laid_out = on_grid(directions, self.rows)
        reach = on_grid(distances, self.rows)
        spread = lamp_radius / reach if is_soft else 0.0
        along = torch.bmm(objects.centers, laid_out)
        along.sub_(dot(self.grid.transpose(0, 1), laid_out.transpose(0, 1))[:, None])
        radii = objects.bounding_radii[:, :, None]
        wide = radii + spread * along.clamp(min=0) if is_soft else radii
        meets = (
            (torch.addcmul(self.squared, along, along, value=-1) < wide * wide)
            & (along > -radii)
            & (radii > 0)
        )
        pairs = flat_pairs(meets, self.rows, objects.radii.shape[1])
        ray = pairs.rays
        keep = (self.leaving.index_select(0, ray) != pairs.objects) & lit.index_select(0, ray)
        pairs = chosen(pairs, keep)
        rays = Rays(self.points, directions, self.scenes)
        if is_soft:
            covered = _covered(objects, rays, pairs, distances, lamp_radius)
        else:
            covered = (
                pair_distances(objects, rays, pairs) < distances.index_select(0, pairs.rays)
            ).to(directions.dtype)
        return (1 - torch.zeros_like(distances).index_add_(0, pairs.rays, covered)).clamp_(min=0)


def _covered(
    objects: Objects, rays: Rays, pairs: Pairs, reach: Tensor, lamp_radius: float
) -> Tensor:
    """The share (M,) of the lamp's disk that the object of each pair covers."""
    origins, directions, radii = in_unit_frame(objects, rays, pairs)
    reach = reach.index_select(0, pairs.rays)
    angle = lamp_radius / reach  # of the disk's radius
    reach = reach / radii
    along = -dot(origins, directions)
    miss = (dot(origins, origins) - along * along).clamp(min=0).sqrt()
    # a disk that lies behind the unit ball, which all shapes hold, is covered: only the others need
    # a closer look
    covered = ((miss + along * angle < 1) & (along > 0) & (along < reach)).to(radii.dtype)
    open_pairs = covered == 0
    shapes = objects.shapes.index_select(0, pairs.objects)
    for shape, angle_of in (
        (SPHERE, _sphere_angle),
        (CUBE, _least_angle),
        (CYLINDER, _least_angle),
    ):
        members = ((shapes == shape) & open_pairs).nonzero().squeeze(1)
        if len(members):
            start, heading = origins.index_select(1, members), directions.index_select(1, members)
            least = angle_of(
                start, heading, reach.index_select(0, members), shape, objects.rounding
            )
            covered[members] = disk_share(least / angle.index_select(0, members))
    return covered


def disk_share(offset: Tensor) -> Tensor:
    """The share of a unit disk beyond a straight line at signed distance `offset` from its
    middle.
    """
    offset = offset.clamp(-1, 1)
    return (offset.acos() - offset * (1 - offset * offset).sqrt()) / math.pi


def _sphere_angle(
    origins: Tensor, directions: Tensor, reach: Tensor, shape: int, rounding
) -> Tensor:
    """Angle (M,) from the ray to the unit sphere's outline, negative for a ray that meets it."""
    along = -dot(origins, directions)
    squared = dot(origins, origins)
    distance = squared.sqrt()
    angle = (along / distance).clamp(-1, 1).acos() - (1 / distance).clamp(max=1).asin()
    return angle.masked_fill_(along.clamp(min=0) > reach, torch.inf)


def _least_angle(
    origins: Tensor, directions: Tensor, reach: Tensor, shape: int, rounding
) -> Tensor:
    """The least angle (M,) under which the ray's origin sees the gap between ray and solid;
    negative inside it.

    Distance over way has a single minimum, since the distance to a convex solid is convex:
    golden-section search.
    """
    profile, edge = {CUBE: cube_profile, CYLINDER: cylinder_profile}[shape], rounding[shape]
    half = 3**0.5 if shape == CUBE else 2**0.5

    def angle_at(way: Tensor) -> Tensor:
        sides, _ = profile(torch.addcmul(origins, way, directions), directions)
        sides = sides - (1 - edge)
        outside = sides.clamp(min=0)
        return (dot(outside, outside).sqrt() + sides.amax(0).clamp(max=0) - edge) / way

    middle = -dot(origins, directions)
    low, high = (middle - half).clamp(min=1e-3), torch.minimum(middle + half, reach).clamp(min=2e-3)
    width = (high - low).clamp(min=0)
    left, right = high - GOLDEN * width, low + GOLDEN * width
    at_left, at_right = angle_at(left), angle_at(right)
    for _ in range(SEARCH_STEPS):
        goes_left = (at_left < at_right).to(width.dtype)
        low, high = torch.lerp(left, low, goes_left), torch.lerp(high, right, goes_left)
        width = GOLDEN * width
        fresh = torch.lerp(low + GOLDEN * width, high - GOLDEN * width, goes_left)
        at_fresh = angle_at(fresh)
        left, right = torch.lerp(right, fresh, goes_left), torch.lerp(fresh, left, goes_left)
        at_left, at_right = (
            torch.lerp(at_right, at_fresh, goes_left),
            torch.lerp(at_fresh, at_left, goes_left),
        )
    return torch.minimum(at_left, at_right).masked_fill_(middle - half > reach, torch.inf)
