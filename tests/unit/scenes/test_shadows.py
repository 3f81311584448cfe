"""Soft shadows agree with shadow rays to many places on the lamp."""

import math

import pytest
import torch

from smm_tutorial.scenes import Scene, SceneObject
from smm_tutorial.scenes.geometry import Rays, nearest_hits, pack_objects
from smm_tutorial.scenes.lighting import Light, mean_disk_cosine
from smm_tutorial.scenes.shadows import ShadowCaster, disk_share

LAMP = torch.tensor([3.0, -2.0, 5.0])
RADIUS = 0.6
PLACES = 400  # on the lamp


def scene_of(shape: str, count: int = 1) -> Scene:
    places = [(0.4, -0.3, 0.7), (-0.9, 1.1, 0.7)][:count]
    return Scene(
        objects=tuple(SceneObject(shape, "large", "rubber", "red", 1.1, place) for place in places)
    )


def floor(count: int = 2500) -> torch.Tensor:
    side = torch.linspace(-3, 3, round(count**0.5))
    x, y = torch.meshgrid(side, side, indexing="ij")
    return torch.stack([x.flatten(), y.flatten(), torch.full((len(side) ** 2,), 1e-3)])


def to_lamp(points: torch.Tensor) -> Light:
    towards = LAMP[:, None] - points
    distances = towards.norm(dim=0)
    return Light(towards / distances, distances, torch.ones_like(points))


def shares(
    scene: Scene, points: torch.Tensor, radius: float, is_soft: bool = True, own: int = -1
) -> torch.Tensor:
    count = points.shape[1]
    lit = torch.ones(count, dtype=torch.bool)
    caster = ShadowCaster(
        pack_objects([scene]),
        points,
        torch.zeros(count, dtype=torch.int64),
        torch.full((count,), own),
    )
    return caster.visible_share(to_lamp(points), lit, radius, is_soft)


def sampled_shares(scene: Scene, points: torch.Tensor) -> torch.Tensor:
    """The share (N,) of many places on the lamp's disk, turned to each point, that rays reach."""
    light = to_lamp(points)
    right = torch.nn.functional.normalize(
        torch.linalg.cross(light.directions, torch.tensor([[0.0], [0.0], [1.0]]), dim=0), dim=0
    )
    up = torch.linalg.cross(right, light.directions, dim=0)
    objects = pack_objects([scene])
    scenes = torch.zeros(points.shape[1], dtype=torch.int64)
    reached = 0.0
    for index in range(PLACES):
        radius = RADIUS * math.sqrt((index + 0.5) / PLACES)
        angle = index * 2.399963  # a sunflower's even spiral
        aim = LAMP[:, None] + radius * (math.cos(angle) * right + math.sin(angle) * up) - points
        distances = aim.norm(dim=0)
        hits = nearest_hits(objects, Rays(points, aim / distances, scenes))
        reached = reached + (hits.distances > distances).float()
    return reached / PLACES


@pytest.mark.parametrize("shape", ["cube", "sphere", "cylinder"])
def test_soft_shadows_match_many_shadow_rays(shape):
    points = floor()
    # not where the shape stands
    points = points[:, (points[:2] - torch.tensor([[0.4], [-0.3]])).norm(dim=0) > 0.1]
    expected = sampled_shares(scene_of(shape), points)
    ours = shares(scene_of(shape), points, RADIUS)
    partly = (expected > 0.02) & (expected < 0.98)
    assert partly.sum() > 30 and (expected == 0).any() and (expected == 1).any()
    assert (ours - expected).abs().max() < 0.2  # at corners, where an outline is not straight
    assert (ours - expected)[partly].abs().mean() < 0.03


@pytest.mark.parametrize("shape", ["cube", "sphere", "cylinder"])
def test_a_shadow_hardens_as_the_lamp_shrinks(shape):
    points = floor()
    hard = shares(scene_of(shape), points, 1e-4, is_soft=False)
    assert set(hard.unique().tolist()) == {0.0, 1.0}
    assert (shares(scene_of(shape), points, 1e-3) - hard).abs().mean() < 2e-3


def test_an_object_does_not_shade_itself():
    points = floor()
    assert bool((shares(scene_of("cube"), points, RADIUS, own=0) == 1).all())


def test_two_objects_shade_at_least_as_much_as_one():
    points = floor()
    one, two = (shares(scene_of("cube", count), points, RADIUS) for count in (1, 2))
    assert (two <= one + 1e-6).all() and (two < one - 0.5).any() and (two >= 0).all()


def test_an_object_behind_the_lamp_throws_no_shadow():
    # origin, lamp, cube
    above = Scene(objects=(SceneObject("cube", "large", "rubber", "red", 0.0, (6.0, -4.0, 10.0)),))
    assert float(shares(above, torch.zeros(3, 1), RADIUS)) == 1


def test_the_share_of_a_disk_beyond_a_line():
    offsets = torch.tensor([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0])
    segment = (math.pi / 3 - 0.5 * math.sqrt(0.75)) / math.pi
    torch.testing.assert_close(
        disk_share(offsets), torch.tensor([1.0, 1.0, 0.5, segment, 0.0, 0.0])
    )


def test_a_rising_disk_lights_a_little_before_its_middle_does():
    cos, angle = torch.linspace(-1, 1, 201), torch.full((201,), 0.1)
    light = mean_disk_cosine(cos, angle)
    assert bool((light[cos <= -0.1] < 1e-6).all()) and float(light[100]) > 0  # at the horizon
    torch.testing.assert_close(light[cos > 0.11], cos[cos > 0.11])
    assert bool((light.diff() >= -1e-7).all())
