"""CLEVR's three shapes and their intersections with rays, batched over scenes in torch.

Each shape is defined in a unit frame (radius or half edge 1, turned to yaw 0): a sharp solid with
rounded edges. A closed form finds where a ray enters the sharp solid. Newton's method goes on from
there to the rounded solid. The distance to a convex solid is a convex function of the way along the
ray. So Newton's steps never pass the surface, and a tangent that no longer falls proves a miss.
Only objects whose bounding sphere meets the ray are tested.

Vectors keep their coordinates first, see `vectors`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.scenes.records import COLORS, SHAPES, Scene, SceneObject
from smm_tutorial.scenes.vectors import dot, normalize, rotate_about_z

CUBE, SPHERE, CYLINDER = range(len(SHAPES))
#: Edge radius relative to the half size, fitted to masks of the original meshes.
ROUNDING = {CUBE: 0.18, CYLINDER: 0.06}
SHARP = {CUBE: 1e-3, CYLINDER: 1e-3}
#: A step halves the error of a ray that grazes the surface, and squares the error of other rays.
NEWTON_STEPS = 16
SURFACE_TOLERANCE = 5e-4  # distance, relative to the half size, that counts as on the surface


class Objects(NamedTuple):
    """The objects of B scenes, padded to K per scene.

    Object k of scene b has the flat index b K + k in tensors (.., B K).
    """

    centers: Tensor  # (B, K, 3)
    radii: Tensor  # (B, K) radius or half edge, 0 for padding
    bounding_radii: Tensor  # (B, K) of the bounding sphere, -1 for padding
    frames: Tensor  # (6, B K) of each object: centre, radius, cosine and sine of its yaw
    shapes: Tensor  # (B K,) index into SHAPES
    colors: Tensor  # (3, B K) linear, 0..1; of a texture, the mean
    is_metal: Tensor  # (B K,) bool
    rounding: dict[int, float]  # edge radius relative to the half size, by shape


class Rays(NamedTuple):
    """N rays, sorted by scene."""

    origins: Tensor  # (3, N)
    directions: Tensor  # (3, N) unit vectors
    scenes: Tensor  # (N,) index of the scene, in ascending order


class Hits(NamedTuple):
    """The first intersections of N rays with objects."""

    distances: Tensor  # (N,) inf where a ray meets none
    objects: Tensor  # (N,) flat index of the object, -1 for none


class Pairs(NamedTuple):
    """M pairs of a ray and an object that the ray may meet."""

    rays: Tensor  # (M,)
    objects: Tensor  # (M,) flat index

    def select(self, keep: Tensor) -> Pairs:
        """The pairs where `keep` (M,) is true."""
        index = keep.nonzero().squeeze(1)
        return Pairs(self.rays.index_select(0, index), self.objects.index_select(0, index))


class RayGrid(NamedTuple):
    """The layout of N rays of B scenes as a (B, M) grid; M is the most rays of a scene."""

    scenes: Tensor  # (N,) of each ray
    places: Tensor | None  # (B, M) index of each ray; None where every scene has M rays
    starts: Tensor  # (B,) index of each scene's first ray
    counts: Tensor  # (B,)
    longest: int  # M

    @classmethod
    def of(cls, scenes: Tensor, num_scenes: int) -> RayGrid:
        """The grid for N rays. scenes: (N,), the scene of each ray, in ascending order."""
        edges = torch.searchsorted(scenes, torch.arange(num_scenes + 1, device=scenes.device))
        starts, counts = edges[:-1], edges[1:] - edges[:-1]
        longest = int(counts.max())
        places = None
        if longest * num_scenes != len(scenes):
            places = starts[:, None] + torch.arange(longest, device=scenes.device)
            places = places.clamp(max=max(len(scenes) - 1, 0))
        return cls(scenes, places, starts, counts, longest)

    def lay_out(self, vectors: Tensor) -> Tensor:
        """Vectors (3, N) or values (N,) as (B, 3, M) or (B, 1, M)."""
        vectors = vectors if vectors.dim() == 2 else vectors[None]
        if self.places is not None:
            vectors = vectors.index_select(1, self.places.flatten())
        return vectors.reshape(len(vectors), len(self.starts), self.longest).transpose(0, 1)

    def flatten(self, values: Tensor) -> Tensor:
        """Values (B, C, M) as (C, N), one per ray: the inverse of `lay_out`."""
        values = values.transpose(0, 1).reshape(values.shape[1], -1)
        if self.places is None:
            return values
        shifts = self.scenes * self.longest - self.starts.index_select(0, self.scenes)
        return values.index_select(1, torch.arange(len(shifts), device=shifts.device) + shifts)

    def find_pairs(self, meets: Tensor) -> Pairs:
        """The places (b, k, m) where `meets` (B, K, M) is true, as pairs of rays and objects."""
        scene, member, place = meets.nonzero().unbind(1)
        pairs = Pairs(self.starts.index_select(0, scene) + place, scene * meets.shape[1] + member)
        if self.places is None:
            return pairs
        return pairs.select(place < self.counts.index_select(0, scene))


def pack_objects(
    scenes: Sequence[Scene],
    device: torch.device | str = "cpu",
    rounding: dict[int, float] = ROUNDING,
) -> Objects:
    """The objects of all scenes as tensors (float32)."""
    most = max([len(scene.objects) for scene in scenes] + [1])
    blank = ((0.0, 0.0, 0.0), 0.0, -1.0, 0.0, SPHERE, (0, 0, 0), False)
    rows = []
    for scene in scenes:
        rows.extend(_pack_object(item, rounding) for item in scene.objects)
        rows.extend([blank] * (most - len(scene.objects)))
    positions, radii, bounding_radii, yaws, shapes, colors, is_metal = zip(*rows, strict=True)
    centers = torch.tensor(positions, dtype=torch.float32)  # (B K, 3)
    radii = torch.tensor(radii)
    yaws = torch.tensor(yaws, dtype=torch.float64)
    turns = torch.stack([radii, yaws.cos().float(), yaws.sin().float()])
    grid = (len(scenes), most)
    packed = Objects(
        centers=centers.reshape(*grid, 3),
        radii=radii.reshape(grid),
        bounding_radii=torch.tensor(bounding_radii).reshape(grid),
        frames=torch.cat([centers.T, turns]),
        shapes=torch.tensor(shapes),
        colors=torch.tensor(colors).T / 255,
        is_metal=torch.tensor(is_metal),
        rounding=rounding,
    )
    return Objects(*(part.to(device) if isinstance(part, Tensor) else part for part in packed))


def _pack_object(item: SceneObject, rounding: dict[int, float]) -> tuple:
    """An object's centre, radius, bounding radius, yaw, shape, colour and whether it is metal."""
    shape = SHAPES.index(item.shape)
    color = COLORS[item.color] if item.texture is None else item.texture.mean_color
    outer = item.radius * bounding_radius(shape, rounding)
    is_metal = item.material == "metal"
    return item.position, item.radius, outer, item.yaw, shape, color, is_metal


def encloses(item: SceneObject, point: Sequence[float]) -> bool:
    """Whether a point (x, y, z) lies inside an object. The edges count as sharp."""
    x, y, z = (
        (there - here) / item.radius for there, here in zip(point, item.position, strict=True)
    )
    if item.shape == "sphere":
        return math.hypot(x, y, z) <= 1
    if item.shape == "cylinder":
        return max(math.hypot(x, y), abs(z)) <= 1
    cos, sin = math.cos(item.yaw), math.sin(item.yaw)
    return max(abs(cos * x + sin * y), abs(cos * y - sin * x), abs(z)) <= 1


def check_outside(scene: Scene, position: Sequence[float]) -> None:
    """Raises `ValueError` if a camera at `position` (x, y, z) lies inside one of the objects."""
    for number, item in enumerate(scene.objects):
        if encloses(item, position):
            raise ValueError(
                f"scene {scene.filename}: the camera at {tuple(map(float, position))} lies in "
                f"objects[{number}]: move one of the two"
            )


def bounding_radius(shape: int, rounding: dict[int, float]) -> float:
    """Radius of the sphere around a shape of half size 1."""
    corner = {CUBE: 3**0.5, CYLINDER: 2**0.5}.get(shape)
    return 1.0 if corner is None else corner * (1 - rounding[shape]) + rounding[shape]


def candidate_pairs(objects: Objects, rays: Rays, skip: Tensor | None = None) -> Pairs:
    """Pairs of a ray and an object whose bounding sphere the ray meets.

    Args:
        skip: (N,) flat index of an object that the ray cannot meet, because the ray leaves this
            convex object; -1 for none.
    """
    grid = RayGrid.of(rays.scenes, len(objects.centers))
    if not grid.longest:
        return Pairs(rays.scenes, rays.scenes)
    origins, directions = grid.lay_out(rays.origins), grid.lay_out(rays.directions)
    along = way_to_centers(objects, origins, directions)  # (B, K, M)
    squared = squared_distances(objects, origins)
    radii = objects.bounding_radii[:, :, None]
    near = squared.addcmul_(along, along, value=-1) < radii * radii
    pairs = grid.find_pairs(near & (along > -radii) & (radii > 0))
    if skip is None:
        return pairs
    return pairs.select(skip.index_select(0, pairs.rays) != pairs.objects)


def way_to_centers(objects: Objects, origins: Tensor, directions: Tensor) -> Tensor:
    """The way (B, K, M) along rays to the place nearest to each object's centre; negative behind
    the origin.

    origins: (B, 3, M). directions: (B, 3, M), unit vectors.
    """
    towards = torch.bmm(objects.centers, directions)
    return towards.sub_(dot(origins.transpose(0, 1), directions.transpose(0, 1))[:, None])


def squared_distances(objects: Objects, points: Tensor) -> Tensor:
    """Squared distances (B, K, M) of the objects' centres to points (B, 3, M)."""
    centers, points_first = objects.centers, points.transpose(0, 1)
    lengths = (centers * centers).sum(-1)[:, :, None] + dot(points_first, points_first)[:, None]
    return torch.baddbmm(lengths, centers, points, alpha=-2)


def nearest_hits(objects: Objects, rays: Rays, skip: Tensor | None = None) -> Hits:
    """The first object that each ray meets. skip: as in `candidate_pairs`."""
    pairs = candidate_pairs(objects, rays, skip)
    distances = pair_distances(objects, rays, pairs)
    nearest = torch.full_like(rays.directions[0], torch.inf)
    nearest.scatter_reduce_(0, pairs.rays, distances, "amin")
    is_first = (distances == nearest.index_select(0, pairs.rays)) & distances.isfinite()
    first = pairs.select(is_first)
    owners = torch.full_like(rays.scenes, -1)
    owners.scatter_reduce_(0, first.rays, first.objects, "amax")
    return Hits(nearest, owners)


def pair_distances(objects: Objects, rays: Rays, pairs: Pairs) -> Tensor:
    """Distance (M,) along the ray of each pair to its object, inf for a miss."""
    origins, directions, radii = unit_rays(objects, rays, pairs)
    shapes = objects.shapes.index_select(0, pairs.objects)
    distances = torch.full_like(radii, torch.inf)
    for shape, to_shape in ((SPHERE, _to_sphere), (CUBE, _to_cube), (CYLINDER, _to_cylinder)):
        members = (shapes == shape).nonzero().squeeze(1)
        if len(members):
            start, heading = origins.index_select(1, members), directions.index_select(1, members)
            distances[members] = to_shape(start, heading, objects.rounding.get(shape, 0.0))
    return distances * radii


def unit_rays(objects: Objects, rays: Rays, pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
    """Origins (3, M) and directions (3, M) of each pair's ray in its object's unit frame, and the
    object's radius (M,).
    """
    frames = objects.frames.index_select(1, pairs.objects)
    radii, cos, sin = frames[3:]
    origins = (rays.origins.index_select(1, pairs.rays) - frames[:3]) / radii
    directions = rays.directions.index_select(1, pairs.rays)
    return rotate_about_z(origins, cos, -sin), rotate_about_z(directions, cos, -sin), radii


def unit_points(objects: Objects, indices: Tensor, points: Tensor) -> Tensor:
    """Points (3, N) in the unit frames of the objects with flat `indices` (N,)."""
    frames = objects.frames.index_select(1, indices)
    radii, cos, sin = frames[3:]
    return rotate_about_z((points - frames[:3]) / radii, cos, -sin)


def surface_normals(objects: Objects, indices: Tensor, points: Tensor) -> Tensor:
    """Outward unit normals (3, N) at points (3, N) on the surfaces of the objects with flat
    `indices` (N,).
    """
    local = unit_points(objects, indices, points)
    shapes = objects.shapes.index_select(0, indices)
    normals = local.clone()  # already right for spheres
    for shape, normals_of in ((CUBE, _rounded_part), (CYLINDER, _cylinder_normals)):
        members = (shapes == shape).nonzero().squeeze(1)
        normals[:, members] = normals_of(local.index_select(1, members), objects.rounding[shape])
    cos, sin = objects.frames[4:].index_select(1, indices)
    return rotate_about_z(normalize(normals), cos, sin)


def _to_sphere(origins: Tensor, directions: Tensor, _: float) -> Tensor:
    half_b = dot(origins, directions)
    discriminant = half_b * half_b - dot(origins, origins) + 1
    entry = -half_b - discriminant.clamp(min=0).sqrt()
    return entry.masked_fill_((discriminant <= 0) | (entry <= 0), torch.inf)


def _slabs(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """The way (3, M) at which rays enter -1..1 along each coordinate, and at which they leave."""
    inverse = 1 / directions.masked_fill(directions.abs() < 1e-9, 1e-9)
    middle, half = -origins * inverse, inverse.abs()
    return middle - half, middle + half


def _to_cube(origins: Tensor, directions: Tensor, rounding: float) -> Tensor:
    entries, exits = _slabs(origins, directions)
    return _to_rounded(origins, directions, entries.amax(0), exits.amin(0), cube_profile, rounding)


def _to_cylinder(origins: Tensor, directions: Tensor, rounding: float) -> Tensor:
    cap_entry, cap_exit = _slabs(origins[2], directions[2])
    flat_squared = dot(directions[:2], directions[:2]).clamp(min=1e-12)
    half_b = dot(origins[:2], directions[:2])
    discriminant = half_b * half_b - flat_squared * (dot(origins[:2], origins[:2]) - 1)
    root = discriminant.clamp(min=0).sqrt()
    entry = torch.maximum(cap_entry, (-half_b - root) / flat_squared)
    leave = torch.minimum(cap_exit, (-half_b + root) / flat_squared)
    leave.masked_fill_(discriminant <= 0, -torch.inf)
    return _to_rounded(origins, directions, entry, leave, cylinder_profile, rounding)


def _to_rounded(
    origins: Tensor,
    directions: Tensor,
    entry: Tensor,
    leave: Tensor,
    profile: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    rounding: float,
) -> Tensor:
    """Newton's method from the sharp solid's `entry` (M,); inf for rays that miss the rounded
    solid.
    """
    distances = torch.full_like(entry, torch.inf)
    walking = ((entry < leave) & (leave > 0)).nonzero().squeeze(1)
    travelled = entry.index_select(0, walking).clamp(min=0)
    for _ in range(NEWTON_STEPS):
        start, heading = origins.index_select(1, walking), directions.index_select(1, walking)
        place = torch.addcmul(start, travelled, heading)
        sides, speeds = profile(place, heading)
        outside = (sides - (1 - rounding)).clamp(min=0)  # from the inner sharp solid, by coordinate
        length = dot(outside, outside).sqrt()
        gap = length - rounding
        arrived = gap < SURFACE_TOLERANCE
        distances.index_copy_(0, walking, travelled.masked_fill(~arrived, torch.inf))
        speed = -dot(outside, speeds) / length  # of closing the gap
        goes_on = (~arrived & (speed > 1e-6)).nonzero().squeeze(1)
        walking = walking.index_select(0, goes_on)
        travelled = (travelled + gap / speed).index_select(0, goes_on)
        if not len(walking):
            break
    return distances


def cube_profile(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (3, M) from a cube's middle along each axis, and their growth along `directions`
    (3, M).
    """
    return points.abs(), points.sign() * directions


def cylinder_profile(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (2, M) from a cylinder's axis and middle plane, and their growth along `directions`
    (3, M).
    """
    from_axis = dot(points[:2], points[:2]).sqrt().clamp(min=1e-9)
    speed = dot(points[:2], directions[:2]) / from_axis
    distances = torch.stack([from_axis, points[2].abs()])
    return distances, torch.stack([speed, points[2].sign() * directions[2]])


def _rounded_part(points: Tensor, rounding: float) -> Tensor:
    """The vector to each point from the inner sharp solid, which is smaller by the rounding."""
    return points.sign() * (points.abs() - (1 - rounding)).clamp(min=0)


def _cylinder_normals(points: Tensor, rounding: float) -> Tensor:
    radius = dot(points[:2], points[:2]).sqrt().clamp(min=1e-9)
    profile = _rounded_part(torch.stack([radius, points[2]]), rounding)
    return torch.cat([profile[:1] * points[:2] / radius, profile[1:]])
