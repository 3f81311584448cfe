"""Figures and small measurements of notebook 04."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from smm_tutorial import paths
from smm_tutorial.datasets import SceneImages
from smm_tutorial.figures.scenes import (
    costs_figure,
    crop_figure,
    cut_objects,
    draw_from_above,
    lamp_figure,
    object_pixels,
    pictures_figure,
    scene_figure,
    sizes_figure,
    with_key_lamp,
)
from smm_tutorial.scenes import PAPER_CROP, Scene, SceneObject, random_scene
from smm_tutorial.scenes.camera import CAMERA_POSITION
from smm_tutorial.scenes.lighting import LAMP_POSITIONS
from smm_tutorial.scenes.records import DIRECTIONS

WHOLE = (0.0, 0.0, 1.0, 1.0)


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


def test_every_picture_stands_under_its_name_and_nothing_else_is_drawn():
    figure = pictures_figure(
        [("one", np.zeros((4, 6))), ("one", np.ones((4, 6, 3))), ("two", np.zeros((4, 6)))],
        columns=2,
    )

    assert [axis.get_title() for axis in figure.axes] == ["one", "one", "two", ""]
    assert [len(axis.images) for axis in figure.axes] == [1, 1, 1, 0]
    assert not any(axis.axison for axis in figure.axes)


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
    assert figure.axes[0].images[0].get_extent() == [
        0,
        1,
        1,
        0,
    ]  # the numbers' places are shares of the picture


def test_the_key_lamp_turns_about_the_vertical_axis_and_the_others_stay():
    scene = scene_of(ball(0, 0))
    x, y, z = LAMP_POSITIONS["Lamp_Key"]
    turned = with_key_lamp(scene, 90)

    assert turned.lamps["Lamp_Key"] == pytest.approx((-y, x, z))
    assert with_key_lamp(turned, 270).lamps["Lamp_Key"] == pytest.approx((x, y, z))
    assert {name: place for name, place in turned.lamps.items() if name != "Lamp_Key"} == {
        name: place for name, place in LAMP_POSITIONS.items() if name != "Lamp_Key"
    }
    assert scene.lamps is None  # the scene itself is as it was


def test_the_pictures_of_a_lamp_that_walks_differ():
    figure = lamp_figure(scene_of(ball(0, 0)), [0, 180])
    one, other = (axis.images[0].get_array() for axis in figure.axes)

    assert [axis.get_title() for axis in figure.axes] == ["0°", "180°"]
    assert abs(one - other).max() > 0.05


def test_a_crop_keeps_the_middle_cuts_its_edge_and_drops_what_lies_outside():
    middle, cut, outside = cut_objects([scene_of(ball(0, 0), ball(1.7, 2.3), ball(2.9, 2.9))])

    assert middle.inside == middle.whole > 0
    assert 0 < cut.inside < cut.whole
    assert outside.inside == 0 < outside.whole
    assert all(one.inside == one.whole for one in cut_objects([scene_of(ball(1.7, 2.3))], WHOLE))


@pytest.mark.parametrize(
    "halves",
    [((0, 0, 0.5, 1), (0.5, 0, 1, 1)), ((0, 0, 1, 0.5), (0, 0.5, 1, 1))],
    ids=["top and bottom", "left and right"],
)
def test_both_halves_of_an_object_make_the_whole(halves):
    (one,), (other,) = (
        cut_objects([scene_of(replace(ball(0, 0), position=(0.0, 0.0, 0.0)))], window)
        for window in halves
    )

    assert 0 < one.inside < one.whole and one.inside + other.inside == one.whole


def test_an_object_that_is_hidden_in_the_whole_frame_is_not_counted():
    camera = np.array(CAMERA_POSITION)
    behind = replace(ball(0, 0), position=tuple((-0.1 * camera + [0, 0, 0.35]).tolist()))
    large = replace(ball(0, 0), size="large", position=(0.0, 0.0, 0.35))

    assert len(cut_objects([scene_of(large, behind)])) == 1


def test_pixels_are_counted_by_object_and_none_for_one_that_does_not_show():
    masks = torch.tensor([[[0, 1], [3, 3]], [[2, 2], [2, 1]]], dtype=torch.uint8)
    records = [{"objects": [{}] * 3}, {"objects": [{}] * 3}]
    data = SceneImages(
        torch.zeros(2, 3, 2, 2, dtype=torch.uint8),
        ["a", "b"],
        "toy",
        "test",
        "none",
        {},
        masks,
        records,
    )

    assert object_pixels(data).tolist() == [1, 0, 2, 1, 3, 0]


def test_shares_of_sizes_sum_to_one_and_zero_stands_apart():
    figure = sizes_figure({"few": np.array([0, 1, 2, 3]), "many": np.array([700, 5000])})
    few, many = ([bar.get_height() for bar in bars] for bars in figure.axes[0].containers)

    assert few[:3] == [0.25, 0.25, 0.5] and math.isclose(sum(few), 1)
    assert many[-1] == 1  # what is larger than the last class belongs to it


def test_a_crops_frame_lies_where_its_window_is():
    figure = crop_figure(
        scene_of(ball(0, 0)), {"paper": (PAPER_CROP, "-"), "left half": ((0.0, 0.0, 1.0, 0.5), ":")}
    )
    paper, half = (patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle))

    top, left, bottom, right = PAPER_CROP
    assert paper.get_bbox().extents == pytest.approx((left, top, right, bottom))
    assert half.get_bbox().extents == pytest.approx((0, 0, 0.5, 1))
    assert [len(axis.images) for axis in figure.axes] == [1, 1, 1]


def test_costs_are_those_of_the_record_in_order():
    record = json.loads((paths.results_dir() / "raytracer-effects.json").read_text())
    axis = costs_figure(record, least=1.0).axes[0]

    widths = [bar.get_width() for bar in axis.containers[0]]
    wanted = sorted(
        e["costs"]["image"]
        for e in record["scores"].values()
        if e["changed"] and e["costs"]["image"] >= 1
    )
    assert widths == wanted and len(wanted) > 3
    names = [label.get_text() for label in axis.get_yticklabels()]
    metal = next(line for line in axis.lines if line.get_label() == "metal")
    assert list(metal.get_xdata()) == [record["scores"][name]["costs"]["metal"] for name in names]
