"""Shadows: the share of a lamp that a point sees.

Rays compute hard shadows. Soft shadows are computed from the part of the lamp's disk that an object
covers.

A lamp of finite size is a disk of the same area. The covered part follows from the least angle
between the object's outline and the disk's middle, as if the outline were straight there. Nothing
is sampled, so there is no noise.
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
    RayGrid,
    Rays,
    cube_profile,
    cylinder_profile,
    pair_distances,
    squared_distances,
    unit_rays,
    way_to_centers,
)
from smm_tutorial.scenes.lighting import Light
from smm_tutorial.scenes.vectors import dot

GOLDEN = (5**0.5 - 1) / 2
SEARCH_STEPS = 6  # narrow the place of least distance to 1/18 of the bounding sphere


class ShadowCaster:
    """Shadows of B scenes' objects on surface points. What all lamps share is computed once.

    Args:
        points: (3, N). scenes: (N,), the scene of each point, in ascending order.
        leaving: (N,) flat index of the convex object that each point lies on, -1 for none. This
            object does not shade the point.
    """

    def __init__(self, objects: Objects, points: Tensor, scenes: Tensor, leaving: Tensor):
        self.objects = objects
        self.points = points
        self.scenes = scenes
        self.leaving = leaving
        self.grid = RayGrid.of(scenes, len(objects.centers))
        self.laid_out = self.grid.lay_out(points)  # (B, 3, M)
        self.squared = squared_distances(objects, self.laid_out)  # (B, K, M)

    def visible_share(self, light: Light, lit: Tensor, lamp_radius: float, is_soft: bool) -> Tensor:
        """The share (N,) of a lamp that each point sees.

        Args:
            light: the light of the lamp at the N points.
            lit: (N,) whether the share of a point is needed; the others need no work.
            lamp_radius: of the disk.
            is_soft: whether the lamp has a size; else it is a point.
        """
        objects = self.objects
        along = way_to_centers(objects, self.laid_out, self.grid.lay_out(light.directions))
        radii = objects.bounding_radii[:, :, None]
        wide = radii
        if is_soft:
            wide = radii + lamp_radius / self.grid.lay_out(light.distances) * along.clamp(min=0)
        near = torch.addcmul(self.squared, along, along, value=-1) < wide * wide  # (B, K, M)
        pairs = self.grid.find_pairs(near & (along > -radii) & (radii > 0))
        is_other = self.leaving.index_select(0, pairs.rays) != pairs.objects
        pairs = pairs.select(is_other & lit.index_select(0, pairs.rays))
        rays = Rays(self.points, light.directions, self.scenes)
        if is_soft:
            covered = _covered_share(objects, rays, pairs, light.distances, lamp_radius)
        else:
            reach = light.distances.index_select(0, pairs.rays)
            covered = (pair_distances(objects, rays, pairs) < reach).to(reach.dtype)
        total = torch.zeros_like(light.distances).index_add_(0, pairs.rays, covered)
        return (1 - total).clamp_(min=0)


def _covered_share(
    objects: Objects, rays: Rays, pairs: Pairs, reach: Tensor, lamp_radius: float
) -> Tensor:
    """The share (M,) of the lamp's disk that the object of each pair covers."""
    origins, directions, radii = unit_rays(objects, rays, pairs)
    reach = reach.index_select(0, pairs.rays)
    angle = lamp_radius / reach  # of the disk's radius
    reach = reach / radii
    along = -dot(origins, directions)
    miss = (dot(origins, origins) - along * along).clamp(min=0).sqrt()
    # every shape contains the unit ball: a disk behind the ball is covered, others need a search
    covered = ((miss + along * angle < 1) & (along > 0) & (along < reach)).to(radii.dtype)
    is_open = covered == 0
    shapes = objects.shapes.index_select(0, pairs.objects)
    for shape in (SPHERE, CUBE, CYLINDER):
        members = ((shapes == shape) & is_open).nonzero().squeeze(1)
        if len(members):
            start, heading = origins.index_select(1, members), directions.index_select(1, members)
            far = reach.index_select(0, members)
            if shape == SPHERE:
                least = _sphere_angle(start, heading, far)
            else:
                least = _least_angle(start, heading, far, shape, objects.rounding[shape])
            covered[members] = disk_share(least / angle.index_select(0, members))
    return covered


def disk_share(offset: Tensor) -> Tensor:
    """The share of a unit disk beyond a straight line. offset: signed distance of the line from the
    disk's middle.
    """
    offset = offset.clamp(-1, 1)
    return (offset.acos() - offset * (1 - offset * offset).sqrt()) / math.pi


def _sphere_angle(origins: Tensor, directions: Tensor, reach: Tensor) -> Tensor:
    """Angle (M,) between the ray and the unit sphere's outline; negative for a ray that meets the
    sphere.
    """
    along = -dot(origins, directions)
    squared = dot(origins, origins)
    distance = squared.sqrt()
    angle = (along / distance).clamp(-1, 1).acos() - (1 / distance).clamp(max=1).asin()
    return angle.masked_fill_(along.clamp(min=0) > reach, torch.inf)


def _least_angle(
    origins: Tensor, directions: Tensor, reach: Tensor, shape: int, rounding: float
) -> Tensor:
    """The least angle (M,) of the gap between ray and solid, seen from the ray's origin; negative
    for a ray that enters the solid.

    The distance to a convex solid is convex. So distance over way has a single minimum, which a
    golden-section search finds.
    """
    profile = cube_profile if shape == CUBE else cylinder_profile
    half = 3**0.5 if shape == CUBE else 2**0.5

    def angle_at(way: Tensor) -> Tensor:
        sides, _ = profile(torch.addcmul(origins, way, directions), directions)
        sides = sides - (1 - rounding)
        outside = sides.clamp(min=0)
        return (dot(outside, outside).sqrt() + sides.amax(0).clamp(max=0) - rounding) / way

    middle = -dot(origins, directions)
    low = (middle - half).clamp(min=1e-3)
    high = torch.minimum(middle + half, reach).clamp(min=2e-3)
    width = (high - low).clamp(min=0)
    left, right = high - GOLDEN * width, low + GOLDEN * width
    at_left, at_right = angle_at(left), angle_at(right)
    for _ in range(SEARCH_STEPS):
        goes_left = (at_left < at_right).to(width.dtype)  # 1 or 0: `lerp` chooses by it
        low = torch.lerp(left, low, goes_left)
        high = torch.lerp(high, right, goes_left)
        width = GOLDEN * width
        new = torch.lerp(low + GOLDEN * width, high - GOLDEN * width, goes_left)
        at_new = angle_at(new)
        left, right = torch.lerp(right, new, goes_left), torch.lerp(new, left, goes_left)
        at_left, at_right = (
            torch.lerp(at_right, at_new, goes_left),
            torch.lerp(at_new, at_left, goes_left),
        )
    return torch.minimum(at_left, at_right).masked_fill_(middle - half > reach, torch.inf)
