"""Pixels of objects, in masks and in the crop."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from smm_tutorial.scenes import Scene, SceneObject
from smm_tutorial.scenes.camera import CAMERA_POSITION
from smm_tutorial.scenes.visibility import count_object_pixels, measure_crop

WHOLE = (0.0, 0.0, 1.0, 1.0)


def ball(x, y):
    return SceneObject("sphere", "small", "rubber", "red", 0.0, (x, y, 0.35))


def scene_of(*objects):
    return Scene(objects=objects, camera=CAMERA_POSITION)


def test_a_crop_keeps_the_middle_cuts_its_edge_and_drops_what_lies_outside():
    middle, cut, outside = measure_crop([scene_of(ball(0, 0), ball(1.7, 2.3), ball(2.9, 2.9))])

    assert middle.inside == middle.whole > 0
    assert 0 < cut.inside < cut.whole
    assert outside.inside == 0 < outside.whole
    assert all(one.inside == one.whole for one in measure_crop([scene_of(ball(1.7, 2.3))], WHOLE))


@pytest.mark.parametrize(
    "halves",
    [((0, 0, 0.5, 1), (0.5, 0, 1, 1)), ((0, 0, 1, 0.5), (0, 0.5, 1, 1))],
    ids=["top and bottom", "left and right"],
)
def test_both_halves_of_an_object_make_the_whole(halves):
    (one,), (other,) = (
        measure_crop([scene_of(replace(ball(0, 0), position=(0.0, 0.0, 0.0)))], window)
        for window in halves
    )

    assert 0 < one.inside < one.whole and one.inside + other.inside == one.whole


def test_an_object_that_is_hidden_in_the_whole_frame_is_not_counted():
    camera = np.array(CAMERA_POSITION)
    behind = replace(ball(0, 0), position=tuple((-0.1 * camera + [0, 0, 0.35]).tolist()))
    large = replace(ball(0, 0), size="large", position=(0.0, 0.0, 0.35))

    assert len(measure_crop([scene_of(large, behind)])) == 1


def test_pixels_are_counted_by_object_and_none_for_one_that_does_not_show():
    masks = torch.tensor([[[0, 1], [3, 3]], [[2, 2], [2, 1]]], dtype=torch.uint8)
    records = [{"objects": [{}] * 3}, {"objects": [{}] * 3}]

    assert count_object_pixels(masks, records).tolist() == [1, 0, 2, 1, 3, 0]
