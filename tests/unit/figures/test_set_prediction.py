"""Figures of sets: boxes lie on their objects, labels keep apart, tables hold their vectors."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from smm_tutorial.figures.palette import SLOT_COLORS
from smm_tutorial.figures.set_prediction import (
    FRAME_ASPECT,
    label_places,
    picture_box,
    sets_figure,
    vectors_figure,
)
from smm_tutorial.scenes import random_scene
from smm_tutorial.scenes.masks import scene_masks
from smm_tutorial.set_prediction.average_precision import right_predictions
from smm_tutorial.set_prediction.targets import REAL, set_targets
from tests.toy_sets import DATA, SCENES, TARGETS, guess_sets


def boxes(axis):
    return [patch for patch in axis.patches if isinstance(patch, Rectangle)]


def words_on(axis):
    return [text.get_text() for text in axis.texts]


def test_a_box_lies_around_its_objects_pixels():
    """Most of a ball's box is the ball: its mask's own box differs by little, whatever the
    camera.
    """
    for seed in range(6):
        scene = random_scene(np.random.default_rng([1, seed]), 1, 1)
        height, width = 160, 240
        rows, columns = scene_masks(scene, height, width).nonzero(as_tuple=True)
        seen = (
            columns.min() / width,
            rows.min() / height,
            (columns.max() + 1) / width,
            (rows.max() + 1) / height,
        )
        box = picture_box(set_targets([scene], 1)[0, 0], np.array(scene.camera))
        slack = 0.02 if scene.objects[0].shape == "sphere" else 0.09  # a cube's corners stick out
        assert box == pytest.approx([float(edge) for edge in seen], abs=slack)
    assert width / height == FRAME_ASPECT


def test_labels_keep_off_each_other_and_inside_the_picture():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 0.9, (8, 2))
    label = 0.27, 0.115
    places = label_places([(left, top, left + 0.08, top + 0.1) for left, top in corners], label)
    assert all(0 <= left <= 0.73 and 0 <= top <= 0.885 for left, top in places)
    overlapping = [
        (a, b)
        for k, a in enumerate(places)
        for b in places[:k]
        if abs(a[0] - b[0]) < 0.27 and abs(a[1] - b[1]) < 0.115
    ]
    assert not overlapping
    assert label_places([(0.4, 0.5, 0.5, 0.6)], label) == [
        pytest.approx((0.4, 0.385))
    ]  # above, where nothing is in the way


def test_sure_predictions_are_drawn_in_their_slots_colours_and_wrong_ones_are_crossed_out():
    vectors = guess_sets()
    vectors[0, 2, REAL] = 0.3
    right = right_predictions(vectors, TARGETS, 0.5)
    figure = sets_figure(DATA, vectors, right, titles=["one", "two", "three", "four"], columns=2)
    assert [axis.get_title() for axis in figure.axes] == ["one", "two", "three", "four"]
    for axis, mine, verdicts in zip(figure.axes, vectors, right, strict=True):
        sure = (mine[:, REAL] >= 0.5).nonzero().flatten().tolist()
        assert len(sure) == len(boxes(axis)) == len(axis.texts) > 0
        for slot, box, text in zip(sure, boxes(axis), words_on(axis), strict=True):
            assert to_rgb(box.get_edgecolor()) == pytest.approx(tuple(SLOT_COLORS[slot]))
            assert (box.get_linestyle() == "--") == text.startswith("✗") == (not verdicts[slot])
            assert text.endswith(f"{mine[slot, REAL]:.0%}")
    assert {False, True} <= set(right[vectors[..., REAL] >= 0.5].tolist())


def test_objects_are_drawn_in_their_labels_colours_and_not_judged():
    axis = sets_figure(DATA, TARGETS).axes[1]
    assert len(boxes(axis)) == len(SCENES[1].objects)
    assert [to_rgb(box.get_edgecolor()) for box in boxes(axis)] == [
        pytest.approx(tuple(SLOT_COLORS[label])) for label in range(len(SCENES[1].objects))
    ]
    assert not any("%" in text or "✗" in text for text in words_on(axis))


def test_only_what_is_shown_is_drawn():
    shown = torch.zeros(4, 5, dtype=torch.bool)
    shown[2, 1] = True
    figure = sets_figure(DATA, guess_sets(), np.ones((4, 5), dtype=bool), shown=shown)
    assert [len(boxes(axis)) for axis in figure.axes] == [0, 0, 1, 0]


def test_a_row_of_pictures_is_as_wide_whatever_their_number():
    widths = [sets_figure(DATA, TARGETS, columns=columns).get_figwidth() for columns in (2, 4)]
    assert widths[0] == widths[1]


def test_tables_hold_their_vectors_on_one_scale():
    figure = vectors_figure({"true": TARGETS[0], "said": guess_sets()[0]}, rows={"said": "abcde"})
    first, second = figure.axes[:2]
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == ("true", "said")
    np.testing.assert_allclose(second.images[0].get_array(), guess_sets()[0])
    assert first.images[0].get_clim() == second.images[0].get_clim() == (-1, 1)
    names = [[label.get_text() for label in axis.get_yticklabels()] for axis in (first, second)]
    assert names == [list("01234"), list("abcde")]
    above = [text.get_text() for text in first.texts]
    assert above == ["place", "size", "material", "shape", "color"]
