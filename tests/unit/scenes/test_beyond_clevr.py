"""Scenes beyond CLEVR's rules keep the rules that they are made for."""

import itertools
import json
import math

import numpy as np
import pytest
import torch

from smm_tutorial.scenes import Scene
from smm_tutorial.scenes.beyond_clevr import (
    BEYOND_CLEVR,
    COGENT_COLORS,
    CROWD_GAP,
    cogent_scene,
    crowded_scene,
    mirror_scene,
    stacked_scene,
    textured_scene,
)
from smm_tutorial.scenes.raytrace import render
from smm_tutorial.scenes.records import COLORS


@pytest.mark.parametrize("name", BEYOND_CLEVR)
def test_a_seed_gives_a_scene_that_is_recorded_and_rendered_with_masks(name):
    scene, again, other = (BEYOND_CLEVR[name](np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert scene == again and scene != other
    record = json.loads(json.dumps(scene.to_record()))
    assert Scene.from_record(record).to_record() == record
    out = render([scene], 120, 160)
    assert out.masks.unique().tolist() == list(range(len(scene.objects) + 1))
    assert bool(out.images.isfinite().all())


@pytest.mark.parametrize(
    ("condition", "cubes"), [("A", COGENT_COLORS), ("B", tuple(set(COLORS) - set(COGENT_COLORS)))]
)
def test_cogents_conditions_share_no_pair_of_shape_and_colour(condition, cubes):
    items = [
        item
        for seed in range(8)
        for item in cogent_scene(np.random.default_rng(seed), condition=condition).objects
    ]
    colors = {
        shape: {item.color for item in items if item.shape == shape}
        for shape in ("cube", "cylinder", "sphere")
    }
    assert colors["cube"] <= set(cubes) and len(colors["cube"]) >= 3
    assert colors["cylinder"].isdisjoint(cubes) and len(colors["cylinder"]) >= 3
    assert colors["sphere"] & set(cubes) and colors["sphere"] - set(cubes)


def test_an_unknown_condition_is_refused():
    with pytest.raises(ValueError, match="'A' and 'B', got 'C'"):
        cogent_scene(np.random.default_rng(0), condition="C")


def test_crowds_have_more_objects_than_clevr_and_none_overlap():
    scenes = [crowded_scene(np.random.default_rng(seed)) for seed in range(4)]
    counts = {len(scene.objects) for scene in scenes}
    assert counts <= set(range(11, 17)) and len(counts) > 1
    for scene in scenes:
        for one, other in itertools.combinations(scene.objects, 2):
            gap = math.dist(one.position[:2], other.position[:2]) - one.radius - other.radius
            assert gap >= CROWD_GAP - 1e-9


def test_towers_rest_on_the_floor_or_on_something_flat_that_holds_their_middle():
    heights = set()
    for seed in range(6):
        objects = stacked_scene(np.random.default_rng(seed)).objects
        for item in objects:
            bottom = item.position[2] - item.radius
            if bottom < 1e-6:
                continue
            below = [
                other
                for other in objects
                if abs(other.position[2] + other.radius - bottom) < 1e-6
                and math.dist(other.position[:2], item.position[:2]) < other.radius
            ]
            assert len(below) == 1 and below[0].shape != "sphere" and below[0].radius >= item.radius
            heights.add(round(bottom, 2))
    assert len(heights) >= 3


def test_an_upper_object_hides_what_it_stands_before_and_throws_a_shadow():
    scene = stacked_scene(np.random.default_rng(1))
    on_floor = [item for item in scene.objects if item.position[2] <= item.radius + 1e-6]
    lower = Scene(tuple(on_floor), camera=scene.camera)
    whole, floor = render([scene], 60, 80), render([lower], 60, 80)
    ground = (whole.masks[0] == 0) & (floor.masks[0] == 0)
    assert (floor.images - whole.images)[0].mean(0)[ground].max() > 0.05
    assert torch.unique(whole.masks).numel() > torch.unique(floor.masks).numel()


@pytest.mark.parametrize(
    ("draw", "fewest", "most"),
    [(crowded_scene, 12, 12), (stacked_scene, 4, 5), (mirror_scene, 4, 4)],
)
def test_the_number_of_objects_can_be_narrowed_within_what_the_kind_allows(draw, fewest, most):
    scenes = [draw(np.random.default_rng(seed), fewest, most) for seed in range(4)]
    assert all(fewest <= len(scene.objects) <= most for scene in scenes)
    for wrong in ((0, most), (most, fewest - 1), (fewest, 17)):
        with pytest.raises(ValueError, match=f"min_objects={wrong[0]}, max_objects={wrong[1]}"):
            draw(np.random.default_rng(0), *wrong)


def test_textured_objects_wear_textures_of_their_own_and_are_named_after_the_nearest_colour():
    scenes = [textured_scene(np.random.default_rng(seed)) for seed in range(12)]
    for scene in scenes:
        textures = [item.texture for item in scene.objects]
        assert len({*textures, scene.ground_texture}) == len(textures) + 1
        for item in scene.objects:
            distances = {
                name: math.dist(rgb, item.texture.mean_color) for name, rgb in COLORS.items()
            }
            assert distances[item.color] == min(distances.values())
    assert len({item.texture.kind for scene in scenes for item in scene.objects}) >= 6
    assert len({scene.ground_texture.kind for scene in scenes}) >= 4


def test_camouflaged_objects_wear_the_grounds_texture():
    for seed in range(4):
        scene = textured_scene(np.random.default_rng(seed), camouflage="ground")
        assert {item.texture for item in scene.objects} == {scene.ground_texture}
    with pytest.raises(ValueError, match="'none' or 'ground', got True"):
        textured_scene(np.random.default_rng(0), camouflage=True)


def test_camouflage_hides_objects_but_not_from_the_masks():
    plain, hidden = (
        textured_scene(np.random.default_rng(7), camouflage=choice) for choice in ("none", "ground")
    )
    plain, hidden = render([plain, hidden], 60, 80, samples=4), render([hidden], 60, 80, samples=4)
    assert torch.equal(plain.masks[0], hidden.masks[0])

    def contrast(image, mask):
        return (image[:, mask > 0].mean(1) - image[:, mask == 0].mean(1)).norm()

    assert contrast(hidden.images[0], hidden.masks[0]) < contrast(plain.images[0], plain.masks[0])
