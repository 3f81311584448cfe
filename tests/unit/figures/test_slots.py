"""Notebook 02's sets of sticks, its figures and its widgets: what is drawn is what was computed."""

import base64
import re

import numpy as np
import pytest
import torch
from matplotlib.patches import Ellipse

from smm_tutorial.datasets.point_sets import (
    BOX,
    SEPARATION,
    STICK_TILT,
    draw_points,
    stick_map,
    stick_sets,
)
from smm_tutorial.figures.display import png
from smm_tutorial.figures.palette import component_colors
from smm_tutorial.figures.slots import (
    SetStep,
    length_figure,
    point_sets_figure,
    shares_figure,
    slot_step_figure,
    territories_figure,
)
from smm_tutorial.widgets.controls import DPI
from smm_tutorial.widgets.slots import length_slider, slot_stepper

POINTS = np.random.default_rng(0).normal(size=(40, 2)) * [3, 1] + np.repeat(
    [[-3, 0], [5, 4]], 20, axis=0
)
MEANS = np.array([[-3.0, 0.0], [5.0, 4.0]])
HALVES = np.repeat(np.eye(2), 20, axis=0)  # (40, 2)
STEPS = [
    SetStep(MEANS, np.full((40, 2), 0.5)),
    SetStep(MEANS + 1, HALVES, np.array([np.eye(2), 4 * np.eye(2)])),
]


def picture_of(figure):
    return base64.b64decode(png(figure, DPI))


# ---------------------------------------------------------------------------------------------------------------- sets
def test_sets_repeat_with_their_seed_and_are_grouped_in_order():
    sets, groups = stick_sets(np.random.default_rng(3), 5, groups=3, per_group=7)
    again, _ = stick_sets(np.random.default_rng(3), 5, groups=3, per_group=7)
    others, _ = stick_sets(np.random.default_rng(4), 5, groups=3, per_group=7)

    assert sets.shape == (5, 21, 2) and sets.dtype == torch.float64
    assert groups.tolist() == [0] * 7 + [1] * 7 + [2] * 7
    assert torch.equal(sets, again) and not torch.equal(sets, others)


@pytest.mark.parametrize("tilt", [0.0, STICK_TILT, np.pi / 2])
def test_the_inverse_map_makes_sticks_round_apart_and_of_variance_one(tilt):
    sets, groups = stick_sets(np.random.default_rng(0), 3, groups=2, per_group=4000, tilt=tilt)
    middles = sets.reshape(3, 2, 4000, 2).mean(dim=2).numpy()  # (3, 2, 2)
    round_sets = sets.numpy() @ np.linalg.inv(stick_map(tilt)).T

    for points in round_sets:
        for group in (0, 1):
            np.testing.assert_allclose(np.cov(points[groups == group].T), np.eye(2), atol=0.12)
        first, second = (points[groups == group].mean(axis=0) for group in (0, 1))
        assert np.linalg.norm(first - second) > SEPARATION - 0.2
    assert (np.abs(middles) < BOX + 0.2).all()


def test_a_stick_leans_to_the_left_by_its_tilt():
    along = stick_map(np.deg2rad(30)) @ [0, 1]

    assert np.degrees(np.arctan2(along[1], along[0])) == pytest.approx(120)
    assert np.linalg.norm(along) == pytest.approx(1.3)


def test_more_sticks_than_fit_are_refused():
    with pytest.raises(ValueError, match="60 sticks do not fit .* ask for fewer groups"):
        stick_sets(np.random.default_rng(0), 1, groups=60)


def test_drawn_points_are_different_points_of_their_own_set():
    sets, _ = stick_sets(np.random.default_rng(0), 20)
    drawn = draw_points(sets, 64, torch.Generator().manual_seed(0))
    assert torch.equal(drawn.sort(dim=1).values, sets.sort(dim=1).values)  # all of them: each once

    few = draw_points(sets, 4, torch.Generator().manual_seed(1))
    assert few.shape == (20, 4, 2)
    assert torch.equal(few, draw_points(sets, 4, torch.Generator().manual_seed(1)))
    assert not torch.equal(few, draw_points(sets, 4, torch.Generator().manual_seed(2)))


# -------------------------------------------------------------------------------------------------------------- figures
def test_a_panel_has_its_points_in_their_slots_colours_and_an_ellipse_where_a_slot_says_one():
    axes = point_sets_figure(
        [("start", POINTS, STEPS[0]), ("end", POINTS, STEPS[1])], columns=3
    ).axes

    assert [axis.get_title() for axis in axes] == ["start", "end"]
    np.testing.assert_allclose(
        axes[1].collections[0].get_facecolors()[:, :3], HALVES @ component_colors(2)
    )
    ellipses = [[patch for patch in axis.patches if isinstance(patch, Ellipse)] for axis in axes]
    assert [len(found) for found in ellipses] == [0, 2]
    assert [(e.width, e.height) for e in ellipses[1]] == [
        pytest.approx((4, 4)),
        pytest.approx((8, 8)),
    ]  # 2 deviations


def test_territories_show_who_takes_which_place():
    def upper_right(places):
        return np.eye(2)[(places > [0, 2]).all(axis=1).astype(int)]

    axis = territories_figure(POINTS, MEANS, {"corner": upper_right}).axes[0]
    image = axis.images[0]
    shades = np.asarray(image.get_array())  # (GRID, GRID, 3), the lowest row first
    assert image.origin == "lower" and axis.get_ylim()[0] < axis.get_ylim()[1]

    colors = 0.5 + 0.5 * component_colors(2)
    for row, column, owner in ((0, 0, 0), (0, -1, 0), (-1, 0, 0), (-1, -1, 1)):
        np.testing.assert_allclose(shades[row, column], colors[owner])
    np.testing.assert_allclose(axis.collections[1].get_offsets(), MEANS)


def test_a_slot_that_moves_away_loses_ground_by_distance_but_not_by_dot_product():
    """By distance the border moves along; by dot product it passes through zero, whatever the
    slot's length.
    """
    means = np.array([[2.0, 0.0], [-2.0, 1.0]])
    points = np.random.default_rng(1).normal(size=(50, 2)) * 3

    def ground(factor):
        """Mean share of slot 0, read off the two pictures."""
        first, second = 0.5 + 0.5 * component_colors(2)
        shades = [
            np.asarray(axis.images[0].get_array())
            for axis in length_figure(points, means, factor).axes
        ]
        return [
            float(
                ((shade - second) @ (first - second) / ((first - second) @ (first - second))).mean()
            )
            for shade in shades
        ]

    (by_distance, by_dot), (by_distance_long, by_dot_long) = ground(1.0), ground(4.0)
    assert by_distance_long < by_distance - 0.1
    assert (
        abs(by_dot - 0.5) < 0.1 and abs(by_dot_long - 0.5) < 0.1
    )  # points and panel lie evenly around zero


def test_tables_share_one_scale():
    tables = {"one": np.array([[0.2, 0.8]]), "two": np.array([[0.5, 0.5]])}

    images = [axis.images[0] for axis in shares_figure(tables).axes[:2]]

    assert [image.get_clim() for image in images] == [(0.2, 0.8)] * 2
    np.testing.assert_array_equal(images[0].get_array(), tables["one"])


def test_the_table_of_an_iteration_holds_its_shares_and_a_wrong_one_is_named():
    figure = slot_step_figure(POINTS, STEPS, 2)

    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), HALVES)
    assert figure.axes[0].get_title() == "iteration 2"
    for wrong in (0, 3):
        with pytest.raises(
            ValueError, match=re.escape(f"from 1 to 2, the last of this history, got {wrong}")
        ):
            slot_step_figure(POINTS, STEPS, wrong)


# -------------------------------------------------------------------------------------------------------------- widgets
def test_the_slot_stepper_shows_the_static_figure_of_each_iteration():
    stepper = slot_stepper(POINTS, STEPS)

    assert (stepper.slider.min, stepper.slider.max) == (1, 2)
    assert stepper.picture.value == picture_of(slot_step_figure(POINTS, STEPS, 1))
    stepper.slider.value = 2
    assert stepper.picture.value == picture_of(slot_step_figure(POINTS, STEPS, 2))
    assert picture_of(slot_step_figure(POINTS, STEPS, 1)) != stepper.picture.value


def test_the_length_slider_shows_the_static_figure_of_each_length():
    slider = length_slider(POINTS, MEANS, [0.5, 1.0, 2.0])

    assert slider.picture.value == picture_of(length_figure(POINTS, MEANS, 0.5))
    slider.slider.value = 2.0
    assert slider.picture.value == picture_of(length_figure(POINTS, MEANS, 2.0))
