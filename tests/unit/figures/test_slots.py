"""Figures of slots on points: what is drawn is what was computed."""

import re

import numpy as np
import pytest
from matplotlib.patches import Ellipse

from smm_tutorial.figures.palette import component_colors
from smm_tutorial.figures.slots import (
    SetStep,
    length_figure,
    point_sets_figure,
    shares_figure,
    slot_step_figure,
    territories_figure,
)

POINTS = np.random.default_rng(0).normal(size=(40, 2)) * [3, 1] + np.repeat(
    [[-3, 0], [5, 4]], 20, axis=0
)
MEANS = np.array([[-3.0, 0.0], [5.0, 4.0]])
HALVES = np.repeat(np.eye(2), 20, axis=0)  # (40, 2)
STEPS = [
    SetStep(MEANS, np.full((40, 2), 0.5)),
    SetStep(MEANS + 1, HALVES, np.array([np.eye(2), 4 * np.eye(2)])),
]


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


def test_all_panels_of_sets_have_the_same_range_so_that_distances_compare():
    axes = point_sets_figure([("near", POINTS, STEPS[0]), ("far", 2 * POINTS, STEPS[0])]).axes

    assert axes[0].get_xlim() == axes[1].get_xlim() and axes[0].get_ylim() == axes[1].get_ylim()
    left, right = axes[0].get_xlim()
    assert left < 2 * POINTS[:, 0].min() and 2 * POINTS[:, 0].max() < right


def test_rows_of_a_table_are_named_by_group_or_numbered():
    groups = np.repeat([0, 1], [1, 3])
    table = np.full((4, 2), 0.5)

    by_group = shares_figure({"one": table}, groups).axes[0]
    numbered = shares_figure({"one": table}).axes[0]

    assert [label.get_text() for label in by_group.get_yticklabels()] == ["stick 0", "stick 1"]
    np.testing.assert_allclose(by_group.get_yticks(), [0, 2])  # the middles of the groups
    assert [line.get_ydata()[0] for line in by_group.lines] == [0.5]
    np.testing.assert_array_equal(numbered.get_yticks(), range(4))


def test_zero_is_marked_only_where_it_matters():
    def all_equal(places):
        return np.full((len(places), 2), 0.5)

    def words(figure):
        return [text.get_text() for axis in figure.axes for text in axis.texts]

    assert words(territories_figure(POINTS, MEANS, {"equal": all_equal})) == []
    assert words(length_figure(POINTS, MEANS, 1.0)) == ["zero", "zero"]


def test_no_ellipse_is_cut_by_the_frame():
    wide = SetStep(MEANS, HALVES, np.array([100 * np.eye(2), np.eye(2)]))  # 2 deviations: 20

    for figure in (
        point_sets_figure([("wide", POINTS, wide)]),
        slot_step_figure(POINTS, [STEPS[0], wide], 1),  # one range for all iterations
    ):
        axis = figure.axes[0]
        (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
        assert left < MEANS[0, 0] - 20 and MEANS[0, 0] + 20 < right
        assert bottom < MEANS[0, 1] - 20 and MEANS[0, 1] + 20 < top


def test_every_figure_of_points_can_number_the_groups_at_their_upper_ends():
    groups = np.repeat([0, 1], 20)
    step = SetStep(MEANS, HALVES)

    def all_equal(places):
        return np.full((len(places), 2), 0.5)

    ends = [max(POINTS[groups == group].tolist(), key=lambda place: place[1]) for group in (0, 1)]

    for figure in (
        point_sets_figure([("set", POINTS, step)], groups=groups),
        slot_step_figure(POINTS, [step], 1, groups),
        territories_figure(POINTS, MEANS, {"equal": all_equal}, groups=groups),
    ):
        axis = figure.axes[0]
        assert [text.get_text() for text in axis.texts] == ["0", "1"]
        np.testing.assert_allclose([text.xy for text in axis.texts], ends)
        assert axis.get_ylim()[1] > POINTS[:, 1].max()
