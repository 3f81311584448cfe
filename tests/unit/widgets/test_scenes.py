"""The scene editor: controls edit one object at a time, and the picture is the static figure of the
edited scene.
"""

import base64
import math
from dataclasses import replace

import numpy as np
import pytest

from smm_tutorial.figures.display import png
from smm_tutorial.figures.scenes import edited, editor_figure, overlaps
from smm_tutorial.scenes import Scene, random_scene
from smm_tutorial.scenes.records import SIZES
from smm_tutorial.widgets.controls import DPI
from smm_tutorial.widgets.scenes import CHOICES, SceneEditor


@pytest.fixture
def scene():
    return random_scene(np.random.default_rng(3), min_objects=3, max_objects=3)


def assert_shows(editor, scene, number):
    assert editor.picture.value == base64.b64decode(png(editor_figure(scene, number), DPI))


def test_each_control_edits_the_chosen_object_and_draws_the_static_figure(scene):
    editor, expected = SceneEditor(scene), scene
    assert editor.scene is scene
    editor.number.value = 2
    assert editor.scene is scene  # choosing edits nothing
    for name, value in {
        "x": 1.25,
        "y": -2.0,
        "turn": 30.0,
        "shape": "cube",
        "material": "metal",
        "color": "cyan",
    }.items():
        value = value if getattr(scene.objects[1], name, None) != value else CHOICES[name][0]
        editor.controls[name].value = value
        expected = edited(expected, 2, **{name: value})
        assert editor.scene == expected
    assert_shows(editor, expected, 2)
    assert editor.scene.objects[0] == replace(scene.objects[0], pixel_coords=None)


def test_choosing_an_object_sets_the_controls_to_what_it_is_like(scene):
    editor = SceneEditor(scene)
    for number, item in enumerate(scene.objects, start=1):
        editor.number.value = number
        values = {name: control.value for name, control in editor.controls.items()}
        assert (values["x"], values["y"]) == item.position[:2]
        assert {name: values[name] for name in CHOICES} == {
            name: getattr(item, name) for name in CHOICES
        }
        assert 0 <= values["turn"] < 90
        assert_shows(editor, editor.scene, number)


def test_an_object_that_changes_size_stays_on_what_it_stood_on(scene):
    for size, radius in SIZES.items():
        assert edited(scene, 1, size=size).objects[0].position[2] == pytest.approx(radius)
    lifted = replace(
        scene,
        objects=(
            replace(scene.objects[0], size="small", position=(0, 0, 1.75)),
            *scene.objects[1:],
        ),
    )
    assert edited(lifted, 1, size="large").objects[0].position[2] == pytest.approx(1.4 + 0.7)


def test_an_edited_scene_can_be_recorded_and_a_quarter_turn_of_a_cube_changes_no_pixel(scene):
    cube = edited(scene, 1, shape="cube", turn=20)
    assert Scene.from_record(cube.to_record()) == cube
    turned = edited(cube, 1, turn=110)
    assert turned.objects[0].yaw == pytest.approx(math.radians(110))
    pictures = [
        editor_figure(one, 1).axes[0].images[0].get_array()
        for one in (cube, turned, edited(cube, 1, turn=50))
    ]
    assert abs(pictures[0] - pictures[1]).max() < 0.02 < abs(pictures[0] - pictures[2]).max()


def test_objects_that_stand_in_each_other_are_named_and_towers_are_not(scene):
    editor = SceneEditor(scene)
    assert not overlaps(scene) and editor.note.value == ""
    x, y, _ = scene.objects[2].position
    editor.controls["x"].value, editor.controls["y"].value = x, y
    assert overlaps(editor.scene) == [(1, 3)]
    assert editor.note.value == "objects 1 and 3 stand in each other. "
    top = 2 * editor.scene.objects[2].radius + editor.scene.objects[0].radius
    above = replace(editor.scene.objects[0], position=(x, y, top))
    assert not overlaps(replace(editor.scene, objects=(above, *editor.scene.objects[1:])))


def test_what_cannot_be_edited_is_named(scene):
    with pytest.raises(ValueError, match="object 4 of a scene with 3 objects"):
        edited(scene, 4, x=0)
    with pytest.raises(ValueError, match="an object has no colour: change x, y"):
        edited(scene, 1, colour="red")
    with pytest.raises(ValueError, match="a scene with objects and a camera"):
        SceneEditor(replace(scene, camera=None))
