"""Changes to scenes: lamps, objects, and objects that stand in each other."""

import math
from dataclasses import replace

import numpy as np
import pytest

from smm_tutorial.scenes import Scene, random_scene
from smm_tutorial.scenes.editing import edit_object, find_overlaps, turn_key_lamp
from smm_tutorial.scenes.lighting import LAMP_POSITIONS
from smm_tutorial.scenes.raytrace import render
from smm_tutorial.scenes.records import SIZES


@pytest.fixture
def scene():
    return random_scene(np.random.default_rng(3), min_objects=3, max_objects=3)


def test_the_key_lamp_turns_about_the_vertical_axis_and_the_others_stay(scene):
    scene = replace(scene, lamps=None)
    x, y, z = LAMP_POSITIONS["Lamp_Key"]
    turned = turn_key_lamp(scene, 90)

    assert turned.lamps["Lamp_Key"] == pytest.approx((-y, x, z))
    assert turn_key_lamp(turned, 270).lamps["Lamp_Key"] == pytest.approx((x, y, z))
    assert {name: place for name, place in turned.lamps.items() if name != "Lamp_Key"} == {
        name: place for name, place in LAMP_POSITIONS.items() if name != "Lamp_Key"
    }
    assert scene.lamps is None  # the scene itself is as it was


def test_an_object_that_changes_size_stays_on_what_it_stood_on(scene):
    for size, radius in SIZES.items():
        assert edit_object(scene, 1, size=size).objects[0].position[2] == pytest.approx(radius)
    first = replace(scene.objects[0], size="small", position=(0, 0, 1.75))
    lifted = replace(scene, objects=(first, *scene.objects[1:]))
    assert edit_object(lifted, 1, size="large").objects[0].position[2] == pytest.approx(1.4 + 0.7)


def test_an_edited_scene_can_be_recorded_and_a_quarter_turn_of_a_cube_changes_no_pixel(scene):
    cube = edit_object(scene, 1, shape="cube", turn=20)
    assert Scene.from_record(cube.to_record()) == cube
    turned = edit_object(cube, 1, turn=110)
    assert turned.objects[0].yaw == pytest.approx(math.radians(110))
    scenes = [cube, turned, edit_object(cube, 1, turn=50)]
    first, same, other = render(scenes, 64, 96, samples=4).images
    assert (first - same).abs().max() < 0.02 < (first - other).abs().max()


def test_objects_that_stand_in_each_other_are_found_and_towers_are_not(scene):
    assert not find_overlaps(scene)
    x, y, _ = scene.objects[2].position
    assert find_overlaps(edit_object(scene, 1, x=x, y=y)) == [(1, 3)]
    top = 2 * scene.objects[2].radius + scene.objects[0].radius
    above = replace(scene.objects[0], position=(x, y, top))
    assert not find_overlaps(replace(scene, objects=(above, *scene.objects[1:])))


def test_what_cannot_be_edited_is_named(scene):
    with pytest.raises(ValueError, match="object 4 of a scene with 3 objects"):
        edit_object(scene, 4, x=0)
    with pytest.raises(ValueError, match="an object has no colour: change x, y"):
        edit_object(scene, 1, colour="red")
    with pytest.raises(ValueError, match="number must be a whole number"):
        edit_object(scene, 1.0, x=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("x", float("nan")), ("y", "2"), ("turn", None), ("turn", float("inf"))]
    + [("shape", "cone"), ("size", "huge"), ("material", 3), ("color", "pink")],
)
def test_a_change_that_cannot_be_seen_is_named(scene, name, value):
    field = {"x": "3d_coords", "y": "3d_coords"}.get(name, name)
    with pytest.raises(ValueError, match=f"{field} must be"):
        edit_object(scene, 2, **{name: value})


def test_a_lamp_turns_by_a_number_of_degrees(scene):
    with pytest.raises(ValueError, match="degrees must be a finite number"):
        turn_key_lamp(scene, float("nan"))
