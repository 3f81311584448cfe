"""Figures of scenes: what is drawn lies where the scene says."""

import json
import math

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from smm_tutorial import paths
from smm_tutorial.figures.scenes import (
    crop_figure,
    draw_from_above,
    effect_costs_figure,
    lamp_figure,
    scene_figure,
    sizes_figure,
)
from smm_tutorial.scenes import PAPER_CROP, Scene, SceneObject, random_scene
from smm_tutorial.scenes.camera import CAMERA_POSITION
from smm_tutorial.scenes.records import DIRECTIONS


def ball(x, y):
    return SceneObject("sphere", "small", "rubber", "red", 0.0, (x, y, 0.35))


def scene_of(*objects):
    return Scene(objects=objects, camera=CAMERA_POSITION)


def drawn_from_above(scene):
    axis = Figure().subplots()
    draw_from_above(axis, scene)
    discs = [patch for patch in axis.patches if isinstance(patch, Circle) and patch.get_fill()]
    square = next(patch for patch in axis.patches if isinstance(patch, Rectangle))
    return np.array([disc.center for disc in discs]), square


def test_from_above_the_camera_is_below_and_right_is_right():
    right, behind = np.array(DIRECTIONS["right"][:2]), np.array(DIRECTIONS["behind"][:2])
    (middle, to_right, further), _ = drawn_from_above(
        scene_of(ball(0, 0), ball(*right), ball(*behind))
    )

    np.testing.assert_allclose(middle, (0, 0), atol=1e-12)
    np.testing.assert_allclose(to_right, (1, 0), atol=1e-4)
    np.testing.assert_allclose(further, (0, 1), atol=1e-4)


def test_from_above_the_square_holds_the_corners_of_the_floor():
    corners, square = drawn_from_above(scene_of(*(ball(x, y) for x in (-3, 3) for y in (-3, 3))))

    outline = square.get_corners()
    for corner in corners:
        assert np.linalg.norm(outline - corner, axis=1).min() < 1e-9


def test_a_scenes_numbers_lie_on_their_objects():
    scene = random_scene(np.random.default_rng(0), max_objects=4)
    mask = torch.zeros(24, 32, dtype=torch.long)
    figure = scene_figure(scene, torch.zeros(3, 24, 32), mask)

    labels = [text.get_text() for text in figure.axes[0].texts]
    assert labels == [str(number) for number in range(1, len(scene.objects) + 1)]
    columns, rows = np.array([text.get_position() for text in figure.axes[0].texts]).T
    assert ((columns > 0) & (columns < 1) & (rows > 0) & (rows < 1)).all()
    # the numbers' places are shares of the picture
    assert tuple(figure.axes[0].images[0].get_extent()) == (0, 1, 1, 0)


def test_the_pictures_of_a_lamp_that_walks_differ():
    figure = lamp_figure(scene_of(ball(0, 0)), [0, 180])
    one, other = (axis.images[0].get_array() for axis in figure.axes)

    assert [axis.get_title() for axis in figure.axes] == ["0°", "180°"]
    assert abs(one - other).max() > 0.05


def test_a_crops_frame_lies_where_its_window_is():
    figure = crop_figure(
        scene_of(ball(0, 0)), {"paper": (PAPER_CROP, "-"), "left half": ((0.0, 0.0, 1.0, 0.5), ":")}
    )
    paper, half = (patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle))

    top, left, bottom, right = PAPER_CROP
    assert paper.get_bbox().extents == pytest.approx((left, top, right, bottom))
    assert half.get_bbox().extents == pytest.approx((0, 0, 0.5, 1))
    assert [len(axis.images) for axis in figure.axes] == [1, 1, 1]


def test_a_crops_first_window_is_marked_in_pixels():
    frame = crop_figure(scene_of(ball(0, 0)), {"paper": (PAPER_CROP, "-")}).axes[0]

    top, left, bottom, right = PAPER_CROP
    assert frame.get_xticks().tolist() == [left, right]
    assert frame.get_yticks().tolist() == [top, bottom]
    assert [label.get_text() for label in frame.get_xticklabels()] == ["64", "256"]
    assert [label.get_text() for label in frame.get_yticklabels()] == ["29", "221"]


def test_shares_of_sizes_sum_to_one_and_zero_stands_apart():
    figure = sizes_figure({"few": np.array([0, 1, 2, 3]), "many": np.array([700, 5000])})
    few, many = ([bar.get_height() for bar in bars] for bars in figure.axes[0].containers)

    assert few[:3] == [0.25, 0.25, 0.5] and math.isclose(sum(few), 1)
    assert many[-1] == 1  # what is larger than the last class belongs to it


def test_costs_are_those_of_the_record_in_order():
    record = json.loads((paths.results_dir() / "raytracer-effects.json").read_text())
    axis = effect_costs_figure(record).axes[0]

    widths = [bar.get_width() for bar in axis.containers[0]]
    wanted = sorted(e["costs"]["image"] for e in record["scores"].values() if e["changed"])
    assert widths == wanted and len(wanted) > 3
    names = [label.get_text() for label in axis.get_yticklabels()]
    metal = next(line for line in axis.lines if line.get_label() == "metal")
    assert list(metal.get_xdata()) == [record["scores"][name]["costs"]["metal"] for name in names]
