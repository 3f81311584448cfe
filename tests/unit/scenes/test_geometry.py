"""Rays meet the rounded shapes where an independent distance says that they are."""

import math
from dataclasses import replace

import pytest
import torch

from smm_tutorial.scenes import Scene, SceneObject
from smm_tutorial.scenes.geometry import (
    CUBE,
    CYLINDER,
    ROUNDING,
    SHARP,
    RayGrid,
    Rays,
    nearest_hits,
    pack_objects,
    surface_normals,
)

CENTER = torch.tensor([0.4, -0.3, 0.7])


def scene_of(shape: str, rotation: float = 1.1, position=(0.4, -0.3, 0.7), size="large") -> Scene:
    return Scene(objects=(SceneObject(shape, size, "rubber", "red", rotation, position),))


def distance(shape: str, points: torch.Tensor, rotation: float = 1.1) -> torch.Tensor:
    """Distance (N,) from points (N, 3) to the surface, in half sizes.

    The shape is a smaller sharp one, inflated.
    """
    x, y, z = ((points - CENTER) / 0.7).double().unbind(-1)
    cos, sin = math.cos(rotation), math.sin(rotation)
    x, y = cos * x + sin * y, cos * y - sin * x
    if shape == "sphere":
        return (x**2 + y**2 + z**2).sqrt() - 1
    rounding = ROUNDING[CUBE if shape == "cube" else CYLINDER]
    sides = [x.abs(), y.abs()] if shape == "cube" else [(x**2 + y**2).sqrt()]
    beyond = torch.stack([(side - (1 - rounding)).clamp(min=0) for side in [*sides, z.abs()]])
    return beyond.norm(dim=0) - rounding


def rays_of(
    origins: torch.Tensor, directions: torch.Tensor, scenes: list[int] | None = None
) -> Rays:
    """Rays from points (N, 3) along directions (N, 3)."""
    scenes = torch.tensor([0] * len(origins) if scenes is None else scenes)
    directions = torch.nn.functional.normalize(directions, dim=-1)
    return Rays(origins.T.contiguous(), directions.T.contiguous(), scenes)


def rays_towards(count: int, spread: float, seed: int = 0) -> Rays:
    generator = torch.Generator().manual_seed(seed)
    outside = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    targets = CENTER + spread * torch.randn(count, 3, generator=generator)
    origins = CENTER + 6 * outside
    directions = torch.nn.functional.normalize(targets - origins, dim=-1)
    return rays_of(origins, directions)


@pytest.mark.parametrize("shape", ["cube", "sphere", "cylinder"])
def test_hits_lie_on_the_surface_and_rays_are_free_before_them(shape):
    rays = rays_towards(800, spread=0.4)
    hits = nearest_hits(pack_objects([scene_of(shape)]), rays)
    hit = hits.objects == 0
    assert 300 < int(hit.sum()) < 800
    assert bool((hits.distances.isfinite() == hit).all())

    points = (rays.origins + hits.distances * rays.directions).T[hit]
    assert distance(shape, points).abs().max() < 2e-3

    # a ray that misses stays outside all the way
    reach = torch.where(hit, hits.distances - 0.02, 12.0)
    along = torch.linspace(0, 1, 600) * reach[:, None]  # (N, 600)
    walked = rays.origins.T[:, None] + along[..., None] * rays.directions.T[:, None]
    assert distance(shape, walked.flatten(0, 1)).min() > -2e-3


def test_no_ray_that_grazes_a_face_slips_through_its_rounded_edge():
    generator = torch.Generator().manual_seed(0)
    heights = 1.6 * torch.rand(2000, generator=generator) - 0.8
    sides = 0.9 + 0.1 * torch.rand(2000, generator=generator)
    slopes = 0.04 * torch.rand(2000, generator=generator) - 0.02
    origins = CENTER + 0.7 * torch.stack([torch.full_like(sides, 8.0), sides, heights], dim=-1)
    directions = torch.stack([-torch.ones_like(slopes), slopes, torch.zeros_like(slopes)], dim=-1)
    rays = rays_of(origins, directions)
    missed = nearest_hits(pack_objects([scene_of("cube", rotation=0.0)]), rays).objects == -1
    along = torch.linspace(4, 8, 800)[None, :, None]
    walked = rays.origins.T[missed][:, None] + along * rays.directions.T[missed][:, None]
    assert 0 < int(missed.sum()) < 1000
    assert distance("cube", walked.flatten(0, 1), rotation=0.0).min() > -1e-3


@pytest.mark.parametrize("shape", ["cube", "sphere", "cylinder"])
def test_normals_are_the_gradient_of_the_distance(shape):
    rays = rays_towards(400, spread=0.3)
    objects = pack_objects([scene_of(shape)])
    hits = nearest_hits(objects, rays)
    hit = hits.objects == 0
    points = (rays.origins + hits.distances * rays.directions).T[hit]
    normals = surface_normals(objects, hits.objects[hit], points.T).T
    outside = points.double() + 1e-3 * normals.double()  # off the seams, where faces meet roundings
    outside.requires_grad_()
    (gradient,) = torch.autograd.grad(distance(shape, outside).sum(), outside)
    torch.testing.assert_close(normals.double(), gradient * 0.7, atol=0.02, rtol=0)
    torch.testing.assert_close(normals.norm(dim=-1), torch.ones(len(normals)))


def test_the_number_called_degrees_turns_cubes_as_radians():
    rays = rays_towards(300, spread=0.4)
    straight, same, quarter_in_degrees = (
        nearest_hits(pack_objects([scene_of("cube", rotation)]), rays).distances
        for rotation in (30.0, 30.0 - 9 * 2 * math.pi / 4, 120.0)
    )
    torch.testing.assert_close(straight, same, atol=2e-3, rtol=0)
    assert not torch.allclose(straight, quarter_in_degrees, atol=0.1)


def test_the_nearer_object_is_hit_whatever_the_order():
    near, far = (scene_of("sphere", position=(x, 0.0, 0.7)).objects[0] for x in (2.0, 0.0))
    ray = rays_of(torch.tensor([[8.0, 0.0, 0.7]]), torch.tensor([[-1.0, 0.0, 0.0]]))
    for objects, expected in (((near, far), 0), ((far, near), 1)):
        hits = nearest_hits(pack_objects([Scene(objects=objects)]), ray)
        assert int(hits.objects) == expected
        assert float(hits.distances) == pytest.approx(8 - 2.7, abs=1e-4)


def test_scenes_of_different_length_do_not_meet_each_others_objects():
    balls = [scene_of("sphere", position=(x, 0.0, 0.7)).objects[0] for x in (-2.0, 0.0, 2.0)]
    many = Scene(objects=tuple(balls))
    objects = pack_objects([many, scene_of("sphere", position=(0.0, 0.0, 0.7))])
    down = torch.tensor([[2.0, 0.0, 9.0], [2.0, 0.0, 9.0], [0.0, 0.0, 9.0]])
    rays = rays_of(down, torch.tensor([[0.0, 0.0, -1.0]]).expand(3, 3), [0, 1, 1])
    assert nearest_hits(objects, rays).objects.tolist() == [2, -1, 3]  # flat: 3 places per scene


@pytest.mark.parametrize("shape", ["cube", "sphere", "cylinder"])
def test_a_ray_that_leaves_an_object_does_not_meet_it_again(shape):
    objects = pack_objects([scene_of(shape)])
    rays = rays_towards(100, spread=0.2)
    own, none = (
        nearest_hits(objects, rays, skip=torch.full((100,), skipped)).objects for skipped in (0, -1)
    )
    assert bool((own == -1).all()) and bool((none == 0).any())


def test_sharp_edges_are_the_limit_of_round_ones():
    # just inside the cube's corner, before it was rounded
    corner = CENTER + 0.699 * torch.tensor([1.0, 1.0, 1.0])
    ray = rays_of(corner[None] + torch.tensor([[4.0, 0.0, 0.0]]), torch.tensor([[-1.0, 0.0, 0.0]]))
    scene = scene_of("cube", rotation=0.0)
    assert nearest_hits(pack_objects([scene]), ray).objects.tolist() == [-1]
    assert nearest_hits(pack_objects([scene], rounding=SHARP), ray).objects.tolist() == [0]


@pytest.mark.parametrize("counts", [(3, 3), (5, 1), (0, 4), (4, 0)])
def test_rays_of_scenes_go_to_a_grid_and_back(counts):
    scenes = torch.repeat_interleave(torch.arange(2), torch.tensor(counts))
    values = torch.arange(2.0 * len(scenes)).reshape(2, -1)
    grid = RayGrid.of(scenes, 2)
    laid_out = grid.lay_out(values)
    assert laid_out.shape == (2, 2, max(counts))
    for scene in range(2):
        torch.testing.assert_close(laid_out[scene, :, : counts[scene]], values[:, scenes == scene])
    torch.testing.assert_close(grid.flatten(laid_out), values)


def test_size_scales_the_hit():
    ray = rays_of(torch.tensor([[0.0, 0.0, 9.0]]), torch.tensor([[0.0, 0.0, -1.0]]))
    for size, radius in (("large", 0.7), ("small", 0.35)):
        scene = scene_of("cylinder", position=(0.0, 0.0, radius), size=size)
        assert float(nearest_hits(pack_objects([scene]), ray).distances) == pytest.approx(
            9 - 2 * radius, abs=1e-4
        )


def test_an_empty_scene_has_nothing_to_hit():
    empty = replace(scene_of("cube"), objects=())
    hits = nearest_hits(pack_objects([empty]), rays_towards(5, spread=0.1))
    assert hits.objects.tolist() == [-1] * 5
