"""CLEVR's three shapes and where rays meet them, batched over scenes in torch.

Each shape lives in a unit frame (radius or half edge 1, turned to yaw 0) and is a sharp solid whose edges are rounded
off. Rays start at the sharp solid's surface and walk on by the signed distance to the rounded one (sphere tracing,
Hart 1996); on faces the two coincide and the walk ends at once. Only pairs of a ray and an object whose bounding
sphere it meets are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.scenes.records import COLORS, SHAPES, Scene

CUBE, SPHERE, CYLINDER = range(len(SHAPES))
ROUNDING = {CUBE: 0.18, CYLINDER: 0.06}  # edge radius relative to the half size, fitted to masks of the original meshes
BOUNDING_RADIUS = {CUBE: 3**0.5 * (1 - 0.18) + 0.18, SPHERE: 1.0, CYLINDER: 2**0.5 * (1 - 0.06) + 0.06}
MARCH_STEPS = 40  # rays that graze a rounded edge need most; the others stop after a few
SURFACE_TOLERANCE = 5e-4  # signed distance, relative to the half size, that counts as on the surface


class Objects(NamedTuple):
    """The objects of B scenes, padded to K; padding has radius 0 and no bounding sphere."""

    centers: Tensor  # (B, K, 3)
    radii: Tensor  # (B, K) radius or half edge, 0 for padding
    bounding_radii: Tensor  # (B, K) of the bounding sphere, -1 for padding
    yaws: Tensor  # (B, K) radians
    shapes: Tensor  # (B, K) index into SHAPES
    colors: Tensor  # (B, K, 3) linear, 0..1
    is_metal: Tensor  # (B, K) bool


class Rays(NamedTuple):
    """N rays, each in one of the scenes."""

    origins: Tensor  # (N, 3)
    directions: Tensor  # (N, 3) unit vectors
    scenes: Tensor  # (N,) index of the scene


class Hits(NamedTuple):
    """Where N rays first meet an object."""

    distances: Tensor  # (N,) inf where a ray meets none
    objects: Tensor  # (N,) index of the object in its scene, -1 for none


def pack_objects(scenes: Sequence[Scene], device: torch.device | str = "cpu") -> Objects:
    """The objects of all scenes as tensors (float32)."""
    slots = max([len(scene.objects) for scene in scenes] + [1])
    shape = (len(scenes), slots)
    centers, radii, bounding_radii = torch.zeros(*shape, 3), torch.zeros(shape), torch.full(shape, -1.0)
    yaws, shapes = torch.zeros(shape), torch.full(shape, SPHERE)
    colors, is_metal = torch.zeros(*shape, 3), torch.zeros(shape, dtype=torch.bool)
    for b, scene in enumerate(scenes):
        for k, item in enumerate(scene.objects):
            shapes[b, k] = SHAPES.index(item.shape)
            centers[b, k] = torch.tensor(item.position)
            radii[b, k] = item.radius
            bounding_radii[b, k] = item.radius * BOUNDING_RADIUS[int(shapes[b, k])]
            yaws[b, k] = item.yaw
            colors[b, k] = torch.tensor(COLORS[item.color]) / 255
            is_metal[b, k] = item.material == "metal"
    return Objects(*(t.to(device) for t in (centers, radii, bounding_radii, yaws, shapes, colors, is_metal)))


def candidate_pairs(objects: Objects, rays: Rays, skip: Tensor | None = None, reach: Tensor | None = None) -> Tensor:
    """Pairs (M, 2) of ray and object whose bounding sphere the ray meets.

    Args:
        skip: (N,) an object that a ray is known not to meet (the convex one that it leaves), -1 for none.
        reach: (N,) distance at which a ray ends; None when it does not.
    """
    centers = objects.centers.permute(2, 0, 1).contiguous()  # (3, B, K)
    x, y, z = (centers[axis].index_select(0, rays.scenes).sub_(rays.origins[:, axis, None]) for axis in range(3))
    dx, dy, dz = (rays.directions[:, axis, None] for axis in range(3))  # (N, 1)
    along = (x * dx).addcmul_(y, dy).addcmul_(z, dz)  # (N, K) distance of the point nearest to the centre
    squared_miss = (x * x).addcmul_(y, y).addcmul_(z, z).addcmul_(along, along, value=-1)
    radii = objects.bounding_radii.index_select(0, rays.scenes)
    meets = (squared_miss < radii * radii) & (along > -radii) & (radii > 0)
    if reach is not None:
        meets &= along - radii < reach[:, None]
    if skip is not None:
        meets &= torch.arange(meets.shape[1], device=meets.device) != skip[:, None]
    return meets.nonzero()


def nearest_hits(objects: Objects, rays: Rays, skip: Tensor | None = None) -> Hits:
    """The first object that each ray meets."""
    pairs = candidate_pairs(objects, rays, skip)
    distances = rays.origins.new_full((len(rays.scenes), objects.radii.shape[1]), torch.inf)  # (N, K)
    distances[pairs[:, 0], pairs[:, 1]] = _pair_distances(objects, rays, pairs)
    nearest, index = distances.min(dim=1)
    return Hits(nearest, torch.where(nearest.isinf(), -1, index))


def is_blocked(objects: Objects, rays: Rays, reach: Tensor, skip: Tensor | None = None) -> Tensor:
    """Whether an object lies on the ray (N,) before its end at distance `reach` (N,)."""
    pairs = candidate_pairs(objects, rays, skip, reach)
    meets = _pair_distances(objects, rays, pairs) < reach[pairs[:, 0]]
    blocked = torch.zeros(len(rays.scenes), dtype=torch.bool, device=reach.device)
    blocked[pairs[meets, 0]] = True
    return blocked


def surface_normals(objects: Objects, scenes: Tensor, indices: Tensor, points: Tensor) -> Tensor:
    """Outward unit normals (N, 3) at points (N, 3) on the surfaces of objects `indices` (N,) of `scenes` (N,)."""
    yaws = objects.yaws[scenes, indices]
    shapes = objects.shapes[scenes, indices]
    local = _turn(points - objects.centers[scenes, indices], -yaws) / objects.radii[scenes, indices, None]
    normals = local.clone()  # right for spheres
    cubes, cylinders = shapes == CUBE, shapes == CYLINDER
    normals[cubes] = _rounded_part(local[cubes], ROUNDING[CUBE])
    normals[cylinders] = _cylinder_normals(local[cylinders])
    return _turn(torch.nn.functional.normalize(normals, dim=-1), yaws)


def _turn(vectors: Tensor, yaws: Tensor) -> Tensor:
    """Vectors (N, 3) turned about z by yaws (N,) in radians."""
    cos, sin = yaws.cos(), yaws.sin()
    x, y, z = vectors.unbind(-1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z], dim=-1)


def _pair_distances(objects: Objects, rays: Rays, pairs: Tensor) -> Tensor:
    """Distance (M,) along the ray of each pair (M, 2) to its object, inf for a miss."""
    ray, scene, index = pairs[:, 0], rays.scenes[pairs[:, 0]], pairs[:, 1]
    radii, yaws = objects.radii[scene, index], objects.yaws[scene, index]
    origins = _turn(rays.origins[ray] - objects.centers[scene, index], -yaws) / radii[:, None]  # (M, 3) unit frame
    directions = _turn(rays.directions[ray], -yaws)
    shapes = objects.shapes[scene, index]
    distances = torch.full_like(radii, torch.inf)
    for shape, distance_to in ((SPHERE, _to_sphere), (CUBE, _to_cube), (CYLINDER, _to_cylinder)):
        members = (shapes == shape).nonzero().squeeze(1)
        distances[members] = distance_to(origins[members], directions[members])
    return distances * radii


def _to_sphere(origins: Tensor, directions: Tensor) -> Tensor:
    half_b = (origins * directions).sum(-1)
    discriminant = half_b * half_b - (origins * origins).sum(-1) + 1
    entry = -half_b - discriminant.clamp(min=0).sqrt()
    return torch.where((discriminant > 0) & (entry > 0), entry, torch.inf)


def _slabs(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave -1..1 along each coordinate, (M, C) each."""
    inverse = 1 / torch.where(directions.abs() < 1e-9, 1e-9, directions)
    middle, half = -origins * inverse, inverse.abs()
    return middle - half, middle + half


def _to_cube(origins: Tensor, directions: Tensor) -> Tensor:
    entries, exits = _slabs(origins, directions)
    return _march(origins, directions, entries.amax(-1), exits.amin(-1), _cube_distance)


def _to_cylinder(origins: Tensor, directions: Tensor) -> Tensor:
    cap_entry, cap_exit = _slabs(origins[:, 2], directions[:, 2])
    flat_squared = (directions[:, :2] ** 2).sum(-1).clamp(min=1e-12)
    half_b = (origins[:, :2] * directions[:, :2]).sum(-1)
    discriminant = half_b * half_b - flat_squared * ((origins[:, :2] ** 2).sum(-1) - 1)
    root = discriminant.clamp(min=0).sqrt()
    entry = torch.maximum(cap_entry, (-half_b - root) / flat_squared)
    leave = torch.minimum(cap_exit, (-half_b + root) / flat_squared)
    leave = torch.where(discriminant > 0, leave, -torch.inf)
    return _march(origins, directions, entry, leave, _cylinder_distance)


def _march(origins: Tensor, directions: Tensor, entry: Tensor, leave: Tensor, distance_at) -> Tensor:
    """Sphere tracing from the sharp solid's entry to its exit; inf for rays that never reach the rounded surface."""
    distances = torch.full_like(entry, torch.inf)
    walking = ((entry < leave) & (leave > 0)).nonzero().squeeze(1)
    travelled = entry[walking].clamp(min=0)
    for _ in range(MARCH_STEPS):
        gap = distance_at(origins[walking] + travelled[:, None] * directions[walking])
        arrived = gap < SURFACE_TOLERANCE
        distances[walking[arrived]] = travelled[arrived]
        travelled = travelled + gap
        goes_on = ~arrived & (travelled < leave[walking])
        walking, travelled = walking[goes_on], travelled[goes_on]
    return distances


def _rounded_part(points: Tensor, rounding: float) -> Tensor:
    """The vector from the inner sharp solid (shrunk by the rounding) to each point, by coordinate."""
    return points.sign() * (points.abs() - (1 - rounding)).clamp(min=0)


def _cube_distance(points: Tensor) -> Tensor:
    return _rounded_part(points, ROUNDING[CUBE]).norm(dim=-1) - ROUNDING[CUBE]


def _cylinder_distance(points: Tensor) -> Tensor:
    profile = torch.stack([points[:, :2].norm(dim=-1), points[:, 2]], dim=-1)  # (M, 2) radius and height
    return _rounded_part(profile, ROUNDING[CYLINDER]).norm(dim=-1) - ROUNDING[CYLINDER]


def _cylinder_normals(points: Tensor) -> Tensor:
    radius = points[:, :2].norm(dim=-1, keepdim=True).clamp(min=1e-9)
    profile = _rounded_part(torch.cat([radius, points[:, 2:]], dim=-1), ROUNDING[CYLINDER])
    return torch.cat([profile[:, :1] * points[:, :2] / radius, profile[:, 1:]], dim=-1)
