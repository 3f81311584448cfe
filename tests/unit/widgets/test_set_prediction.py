"""Widgets of set prediction draw the static figures."""

from smm_tutorial.figures.average_precision import judged_scene_figure
from smm_tutorial.figures.matching import matching_figure
from smm_tutorial.set_prediction.vectors import move_vector
from smm_tutorial.widgets.controls import picture_bytes
from smm_tutorial.widgets.set_prediction import matching_explorer, threshold_explorer
from tests.toy_sets import DATA, TARGETS, guess_sets


def test_the_matching_explorer_moves_slot_a_and_weighs_and_draws_the_static_figure():
    predictions, targets = guess_sets()[0, :3], TARGETS[0, :3]
    explorer = matching_explorer(predictions, targets)
    controls = explorer.slider.controls
    controls["x"].value, controls["y"].value = -2.0, 1.5
    controls["coordinate_weight"].value = 8.0
    moved = move_vector(predictions, 0, -2.0, 1.5)
    assert explorer.picture.value == picture_bytes(matching_figure(moved, targets, 8.0))


def test_the_threshold_explorer_draws_the_static_figure_of_each_scene_and_threshold():
    predictions = guess_sets()
    explorer = threshold_explorer(DATA, predictions, {"inf": -1, "0.25": 0.25})
    assert explorer.slider.controls["scene"].max == 3
    assert explorer.picture.value == picture_bytes(judged_scene_figure(DATA, predictions, 0, -1))
    explorer.slider.controls["scene"].value = 3
    explorer.slider.controls["threshold"].value = 0.25
    assert explorer.picture.value == picture_bytes(judged_scene_figure(DATA, predictions, 3, 0.25))
