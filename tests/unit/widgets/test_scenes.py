"""The scene editor: controls edit one object at a time, and draw the figure of the edited scene."""

from dataclasses import replace

import numpy as np
import pytest

from smm_tutorial.figures.scenes import editor_figure
from smm_tutorial.scenes import random_scene
from smm_tutorial.scenes.editing import edit_object
from smm_tutorial.widgets.controls import picture_bytes
from smm_tutorial.widgets.scenes import CHOICES, SceneEditor


@pytest.fixture
def scene():
    return random_scene(np.random.default_rng(3), min_objects=3, max_objects=3)


def assert_shows(editor, scene, number):
    assert editor.picture.value == picture_bytes(editor_figure(scene, number))


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
        expected = edit_object(expected, 2, **{name: value})
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


def test_objects_that_stand_in_each_other_are_named(scene):
    editor = SceneEditor(scene)
    assert editor.note.value == ""
    editor.controls["x"].value, editor.controls["y"].value = scene.objects[2].position[:2]
    assert editor.note.value == "objects 1 and 3 stand in each other. "


def test_a_scene_that_cannot_be_edited_is_refused(scene):
    for wrong in (replace(scene, camera=None), replace(scene, objects=())):
        with pytest.raises(ValueError, match="a scene with objects and a camera"):
            SceneEditor(wrong)
