"""Mirrors show scenes once more, stand in the light, and are background in masks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from smm_tutorial.scenes import PAPER_CROP, Mirror, Scene, SceneObject
from smm_tutorial.scenes.ambient import pack_surroundings
from smm_tutorial.scenes.beyond_clevr import mirror_scene
from smm_tutorial.scenes.camera import CAMERA_POSITION
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.geometry import Rays, pack_objects
from smm_tutorial.scenes.lighting import LAMP_POSITIONS, LAMP_RADII, lamp_light, pack_lamps
from smm_tutorial.scenes.masks import reflection_masks, scene_masks
from smm_tutorial.scenes.mirrors import (
    meet_mirrors,
    pack_mirrors,
    seen_objects,
    visible_past_mirrors,
)
from smm_tutorial.scenes.raytrace import render
from smm_tutorial.scenes.sampling import random_scene
from smm_tutorial.scenes.shading import World, radiance

HEIGHT, WIDTH = 60, 80
BACK = Mirror(position=(-1.8, 1.6), facing=-0.7, width=5.0, height=2.5, frame=0.1, reflectance=0.8)


def thing(x, y, shape="sphere", material="rubber", color="red", size="large", z=0.7) -> SceneObject:
    return SceneObject(shape, size, material, color, 0.3, (x, y, z))


@pytest.fixture(scope="module")
def scene() -> Scene:
    objects = (
        thing(0.3, -0.2),
        thing(1.5, 1.2, "cube", color="blue"),
        thing(-0.9, -1.6, "cylinder", color="green"),
    )
    return Scene(objects, camera=CAMERA_POSITION, mirror=BACK)


def world_of(scene: Scene, effects: Effects, mirrors=None) -> World:
    objects, lamps = pack_objects([scene]), pack_lamps([scene])
    return World(objects, lamps, pack_surroundings(objects, lamps), effects, 0.01, mirrors)


def rays_onto(mirror: Mirror, count: int) -> Rays:
    """Rays from the camera to places all over the mirror's plane around its glass."""
    generator = torch.Generator().manual_seed(0)
    across, up = torch.rand(2, count, generator=generator)
    across = (1.3 * across - 0.65) * mirror.width
    cos, sin = mirror.normal
    x, y = mirror.position
    places = torch.stack([x - sin * across, y + cos * across, 1.2 * mirror.height * up])
    origins = torch.tensor(CAMERA_POSITION)[:, None].expand(3, count)
    return Rays(
        origins,
        torch.nn.functional.normalize(places - origins, dim=0),
        torch.zeros(count, dtype=torch.int64),
    )


def test_what_a_mirror_shows_is_the_scene_in_the_mirrored_direction_dimmed(scene):
    rays, effects = rays_onto(BACK, 4000), Effects(shadows="none")
    mirrors = pack_mirrors([scene])
    seen, _ = radiance(world_of(scene, effects, mirrors), rays, bounces=2)
    plain, objects = radiance(world_of(scene, effects), rays, bounces=2)
    meetings = meet_mirrors(mirrors, rays)
    glass = meetings.distances.isfinite() & ~meetings.on_frame & (objects < 0)
    assert 0.3 < glass.float().mean() < 0.9

    normal = torch.tensor([*BACK.normal, 0.0], dtype=torch.float64)
    turn = torch.eye(3, dtype=torch.float64) - 2 * normal[:, None] * normal
    foot = torch.tensor([*BACK.position, 0.0], dtype=torch.float64)[:, None]
    image = (turn @ (rays.origins.double() - foot) + foot).float()  # of the camera, in the mirror
    directions = (turn @ rays.directions.double()).float()
    onward = Rays(image[:, glass], directions[:, glass], rays.scenes[glass])
    expected, met = radiance(world_of(scene, effects), onward, bounces=2)
    assert set(met.tolist()) == {-1, 0, 1, 2}
    near = (seen[:, glass] - BACK.reflectance * expected).abs().amax(0) < 2e-4
    assert near.float().mean() > 0.995  # rounding may move a ray off an outline
    missed = ~meetings.distances.isfinite()
    assert torch.equal(seen[:, missed], plain[:, missed])


@pytest.mark.parametrize("samples", [1, 4])
def test_reflections_are_seen_but_belong_to_no_object(scene, samples):
    out = render([scene], HEIGHT, WIDTH, samples=samples)
    masks, shown = scene_masks(scene, HEIGHT, WIDTH), reflection_masks(scene, HEIGHT, WIDTH)
    assert torch.equal(out.masks[0], masks)
    assert shown.unique().tolist() == [0, 1, 2, 3] and not masks[shown > 0].any()
    # red, blue and green things are red, blue and green in the glass too
    for label, channel in ((1, 0), (2, 2), (3, 1)):
        assert int(out.images[0][:, shown == label].mean(1).argmax()) == channel
        both = out.images[0][:, shown == label].mean(1), out.images[0][:, masks == label].mean(1)
        assert (both[0] - both[1]).abs().max() < 0.15
    assert not reflection_masks(replace(scene, mirror=None), HEIGHT, WIDTH).any()


def test_a_mirror_hides_what_stands_behind_it_and_nothing_before_it(scene):
    behind = replace(scene, objects=(*scene.objects, thing(-3.2, 2.9, color="yellow")))
    mask, open_mask = (
        scene_masks(one, HEIGHT, WIDTH) for one in (behind, replace(behind, mirror=None))
    )
    before = (open_mask >= 1) & (open_mask <= 3)
    assert torch.equal(mask[before], open_mask[before])
    assert (open_mask == 4).sum() > 20 and not (mask == 4).any()
    assert torch.equal(render([behind], HEIGHT, WIDTH).masks[0], mask)


def test_rays_that_look_away_do_not_meet_the_mirror(scene):
    rays = rays_onto(BACK, 500)
    there, away = (
        meet_mirrors(pack_mirrors([scene]), one)
        for one in (rays, rays._replace(directions=-rays.directions))
    )
    assert there.distances.isfinite().any() and not away.distances.isfinite().any()


def test_both_faces_reflect(scene):
    turned = replace(scene, mirror=replace(BACK, facing=BACK.facing + np.pi))
    one, other = (render([s], HEIGHT, WIDTH).images for s in (scene, turned))
    assert (one - other).abs().gt(1e-3).float().mean() < 1e-3


def test_a_lamp_is_hidden_where_the_mirror_stands_in_its_way(scene):
    mirrors, lamps = pack_mirrors([scene]), pack_lamps([scene])
    lamp = np.array(LAMP_POSITIONS["Lamp_Key"])
    cos, sin = BACK.normal
    middle, top = (np.array([*BACK.position, height]) for height in (1.0, BACK.height))
    beyond_end = middle + BACK.width * np.array([-sin, cos, 0.0])
    points = [np.add(place, 0.2 * (place - lamp)) for place in (middle, top, beyond_end)]
    points = torch.tensor(np.stack([*points, [0.5, 0.0, 0.5]], 1), dtype=torch.float32)
    scenes = torch.zeros(points.shape[1], dtype=torch.int64)
    light = lamp_light(lamps, 0, scenes, points)
    share = visible_past_mirrors(mirrors, light, points, scenes, LAMP_RADII[0], is_soft=True)
    torch.testing.assert_close(share, torch.tensor([0.0, 0.5, 1.0, 1.0]), atol=1e-3, rtol=0)
    raised = points + torch.tensor([0.0, 0.0, 0.01])[:, None]
    hard = visible_past_mirrors(mirrors, light, raised, scenes, LAMP_RADII[0], is_soft=False)
    assert hard[[0, 2, 3]].tolist() == [0.0, 1.0, 1.0]


def test_the_mirror_throws_a_shadow_unless_shadows_are_off(scene):
    # seen from its edge
    empty = replace(scene, objects=(), mirror=replace(BACK, position=(0.0, 0.0), facing=0.87))
    bare = replace(empty, mirror=None)
    # left of the mirror; the key lamp stands on its right
    left = torch.arange(WIDTH).expand(HEIGHT, WIDTH) < 36
    for shadows, darkens in (("soft", True), ("hard", True), ("none", False)):
        out = render([bare, empty], HEIGHT, WIDTH, effects=Effects(shadows=shadows))
        light, shade = out.images.mean(1)
        assert bool(((light - shade)[left] > 0.05).sum() > 20) == darkens


def test_the_frame_is_dark_and_as_wide_as_it_says(scene):
    empty = replace(scene, objects=())
    both = [replace(empty, mirror=replace(BACK, frame=frame)) for frame in (0.2, 0.0)]
    framed, bare = render(both, HEIGHT, WIDTH, samples=4).images.mean(1)
    darker = (bare - framed) > 0.15
    assert 0.02 * HEIGHT * WIDTH < darker.sum() < 0.12 * HEIGHT * WIDTH
    assert framed[darker].max() < bare[darker].min()


def test_a_convex_object_sees_itself_in_the_mirror_though_not_directly(scene):
    objects, mirrors = pack_objects([scene]), pack_mirrors([scene])
    start = torch.tensor(scene.objects[0].position)[:, None]
    away = -torch.tensor([*BACK.normal, 0.0])[:, None]
    rays = Rays(start + 0.71 * away, away, torch.zeros(1, dtype=torch.int64))
    world = world_of(scene, Effects(), mirrors)._replace(objects=objects)
    light, seen = radiance(world, rays, bounces=1, skip=torch.tensor([0]))
    assert seen.tolist() == [0] and light.argmax(0).tolist() == [0]  # red
    assert seen_objects(objects, mirrors, rays).tolist() == [-1]


def test_scenes_with_and_without_a_mirror_share_a_batch(scene):
    scenes = [random_scene(np.random.default_rng(2), 3, 5), scene, replace(scene, mirror=None)]
    together = render(scenes, 24, 32, samples=4)
    alone = [render([one], 24, 32, samples=4) for one in scenes]
    torch.testing.assert_close(
        together.images, torch.cat([one.images for one in alone]), atol=1e-3, rtol=0
    )
    assert torch.equal(together.masks, torch.cat([one.masks for one in alone]))


def test_drawn_mirrors_stand_free_and_show_objects_in_the_papers_crop():
    for seed in range(8):
        scene = mirror_scene(np.random.default_rng(seed))
        normal, foot = np.array(scene.mirror.normal), np.array(scene.mirror.position)
        for item in scene.objects:
            reach = item.radius * (2**0.5 if item.shape == "cube" else 1)
            assert (np.array(item.position[:2]) - foot) @ normal > reach + 0.2
        assert 3 <= len(scene.objects) <= 6
        shown = reflection_masks(scene, 128, 128, PAPER_CROP)
        assert (shown > 0).sum() > 40 and len(shown.unique()) >= 3
