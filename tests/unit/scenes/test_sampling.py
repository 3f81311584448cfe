"""Drawn scenes keep CLEVR's rules."""

import itertools
import json
import math
from collections import Counter

import numpy as np
import pytest
import torch

from smm_tutorial.scenes import random_scene, random_scenes
from smm_tutorial.scenes.camera import CAMERA_JITTER, CAMERA_POSITION, CLEVR_FRAME, pixel_coords
from smm_tutorial.scenes.lighting import LAMP_JITTER, LAMP_POSITIONS
from smm_tutorial.scenes.masks import scene_masks


@pytest.fixture(scope="module")
def scenes():
    return random_scenes(40, np.random.default_rng(11))


def test_the_seed_decides_everything():
    first, second, other = (
        random_scenes(3, np.random.default_rng(seed), max_objects=5) for seed in (4, 4, 5)
    )
    assert [scene.to_record() for scene in first] == [scene.to_record() for scene in second]
    assert first[0].to_record() != other[0].to_record()


def test_the_global_generators_are_left_alone():
    np.random.seed(0)
    torch.manual_seed(0)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state()
    random_scene(np.random.default_rng(0))
    assert np.random.get_state()[1].tolist() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_counts_lie_between_the_limits_and_reach_them(scenes):
    counts = Counter(len(scene.objects) for scene in scenes)
    assert set(counts) <= set(range(3, 11)) and len(counts) >= 6
    few = random_scenes(12, np.random.default_rng(0), min_objects=1, max_objects=2)
    assert {len(scene.objects) for scene in few} == {1, 2}


def test_objects_keep_their_distance(scenes):
    for scene in scenes:
        for one, other in itertools.combinations(scene.objects, 2):
            offset = np.subtract(one.position, other.position)
            assert math.hypot(*offset[:2]) - one.radius - other.radius >= 0.25
            for name in ("left", "behind"):
                assert abs(np.dot(offset[:2], scene.directions[name][:2])) >= 0.4


def test_objects_stand_on_the_floor_inside_the_square(scenes):
    for item in (item for scene in scenes for item in scene.objects):
        assert max(abs(item.position[0]), abs(item.position[1])) <= 3
        assert item.position[2] == item.radius
        assert 0 <= item.rotation <= 360


def test_every_object_shows_about_200_pixels_in_the_official_frame(scenes):
    for scene in scenes[:12]:
        labels = scene_masks(scene, *CLEVR_FRAME).flatten()
        visible = labels.bincount(minlength=len(scene.objects) + 1)[1:]
        assert int(visible.min()) >= 150  # counted in a coarser frame when drawn


def test_every_property_value_is_drawn_about_equally_often(scenes):
    items = [item for scene in scenes for item in scene.objects]
    for name, values in (("shape", 3), ("material", 2), ("color", 8)):
        counts = Counter(getattr(item, name) for item in items)
        assert len(counts) == values
        assert min(counts.values()) > 0.5 * len(items) / values


def test_camera_and_lamps_are_jittered_within_their_range(scenes):
    cameras = np.array([scene.camera for scene in scenes]) - CAMERA_POSITION
    assert np.abs(cameras).max() <= CAMERA_JITTER and (np.abs(cameras).max(0) > 0.4).all()
    for name, position in LAMP_POSITIONS.items():
        jitter = np.array([scene.lamps[name] for scene in scenes]) - position
        assert np.abs(jitter).max() <= LAMP_JITTER and (np.abs(jitter).max(0) > 0.8).all()


def test_pixel_coords_are_where_the_camera_sees_the_centres(scenes):
    for scene in scenes:
        expected = pixel_coords(
            np.array([item.position for item in scene.objects]), np.array(scene.camera)
        )
        for item, (column, row, depth) in zip(scene.objects, expected, strict=True):
            assert item.pixel_coords[:2] == (column, row)
            assert item.pixel_coords[2] == pytest.approx(depth)


def test_file_names_carry_the_split_and_the_index():
    scene = random_scene(np.random.default_rng(0), image_index=12, split="mirror")
    assert scene.filename == "CLEVR_mirror_000012.png"
    assert (scene.image_index, scene.split) == (12, "mirror")


@pytest.mark.parametrize(("fewest", "most"), [(0, 3), (5, 4), (3, 11)])
def test_impossible_numbers_of_objects_are_refused(fewest, most):
    with pytest.raises(ValueError, match=f"min_objects={fewest}, max_objects={most}"):
        random_scene(np.random.default_rng(0), fewest, most)


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in ("min_objects", "max_objects") for value in (2.0, "2", True, None)]
    + [("image_index", 1.5), ("image_index", -1), ("split", b"val"), ("count", 2.5)],
)
def test_numbers_that_are_not_whole_are_named(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        if name in ("min_objects", "max_objects", "count"):
            random_scenes(**{"count": 1, "generator": np.random.default_rng(0), name: value})
        random_scene(np.random.default_rng(0), **{name: value})


def test_numpys_integers_draw_the_same_scene_and_its_record_is_json():
    plain, numpys = (
        random_scene(np.random.default_rng(0), whole(2), whole(3), image_index=whole(5))
        for whole in (int, np.int8)
    )
    assert json.dumps(numpys.to_record()) == json.dumps(plain.to_record())
