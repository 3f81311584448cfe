"""Figures of slots as Gaussians: what is drawn is what the mixture says."""

import re

import numpy as np
import pytest
import torch
from matplotlib.patches import Ellipse

from smm_tutorial.exercises.nb03_slot_mixture import border_radius
from smm_tutorial.figures.palette import component_colors
from smm_tutorial.figures.slot_mixture import (
    PLACES,
    clusterings_figure,
    density_figure,
    errors_figure,
    mixture_slots_figure,
    modules_figure,
    two_variances_figure,
    weighted_densities,
)
from smm_tutorial.slots.as_mixture import as_mixture_step
from smm_tutorial.slots.mixture import SlotMixture


@pytest.fixture(scope="module")
def steps():
    """Three steps of a module of two slots on 40 points."""
    torch.manual_seed(0)
    points = torch.randn(1, 40, 2) * torch.tensor([3.0, 1.0])
    history = SlotMixture(2, 2, 2, normalisation="none")(points, return_history=True).history
    return [as_mixture_step(points, state) for state in history]


def test_clusterings_have_a_row_a_set_and_a_panel_a_method(steps):
    points, groups = steps[0].points, np.arange(40) % 2
    rows = {
        "one": (points, groups, {"early": steps[0], "late": steps[-1]}),
        "two": (points, groups, {"a": steps[0], "b": steps[1]}),
    }

    axes = np.array(clusterings_figure(rows).axes).reshape(2, 3)

    assert [axis.get_title() for axis in axes[0]] == ["true groups", "early", "late"]
    labels = [axis.get_ylabel() for axis in axes[:, 0]]
    assert labels == ["one\nfeature 1", "two\nfeature 1"]
    assert {axis.get_xlabel() for axis in axes.flat} == {"feature 0"}
    np.testing.assert_allclose(
        axes[1, 0].collections[0].get_facecolors()[:2, :3], component_colors(2)
    )
    assert all(
        sum(isinstance(patch, Ellipse) for patch in axis.patches) == 4 for axis in axes[:, 1:].flat
    )


@pytest.mark.parametrize(("variance", "weight"), [(9.0, 0.5), (4.0, 0.4)])
def test_the_border_between_two_slots_is_where_the_exercise_says(variance, weight):
    _, responsibilities = weighted_densities(0.0, variance, weight)

    owned = np.abs(PLACES[responsibilities[:, 0] > 0.5]).max()
    assert owned == pytest.approx(
        border_radius(1.0, variance, weight, 1), abs=PLACES[1] - PLACES[0]
    )
    np.testing.assert_allclose(responsibilities.sum(axis=1), 1)


def test_without_the_log_determinant_the_wide_slot_owns_every_key_but_the_mean():
    _, responsibilities = weighted_densities(0.0, 9.0, 0.5, log_determinant=False)

    away = np.abs(PLACES) > 1e-9
    assert (responsibilities[away, 0] < 0.5).all()
    assert responsibilities[~away, 0] == pytest.approx(0.5)


def test_the_density_figure_draws_densities_above_responsibilities():
    joint, responsibilities = weighted_densities(1.0, 2.0, 0.3)

    above, below = density_figure(1.0, 2.0, 0.3).axes

    for slot in (0, 1):
        np.testing.assert_array_equal(above.lines[slot].get_ydata(), joint[:, slot])
        np.testing.assert_array_equal(below.lines[slot].get_ydata(), responsibilities[:, slot])


def test_the_two_variances_are_points_of_one_parabola():
    rng = np.random.default_rng(0)
    values, shares = rng.normal(size=20), rng.dirichlet(np.ones(20))

    right = two_variances_figure(values, shares, updated_mean=1.5).axes[1]

    weighted_mean = shares @ values
    dots = [(line.get_xdata()[0], line.get_ydata()[0]) for line in right.lines[1:]]
    about_weighted = shares @ (values - weighted_mean) ** 2
    assert dots[0] == pytest.approx((weighted_mean, about_weighted))
    assert dots[1] == pytest.approx((1.5, about_weighted + (weighted_mean - 1.5) ** 2))
    place, square = right.lines[0].get_data()
    np.testing.assert_allclose(square, about_weighted + (weighted_mean - place) ** 2)


def test_a_step_is_drawn_beside_its_place_on_the_curves(steps):
    left, middle, right = mixture_slots_figure(steps, 2).axes

    assert (
        left.get_title() == "iteration 2"
        and mixture_slots_figure(steps, 0).axes[0].get_title() == "the start"
    )
    np.testing.assert_allclose(middle.lines[0].get_ydata(), [step.weights[0] for step in steps])
    assert (middle.lines[1].get_xdata()[0], middle.lines[1].get_ydata()[0]) == (
        2,
        steps[2].weights[0],
    )
    np.testing.assert_allclose(
        right.lines[0].get_ydata(), [np.sqrt(step.covariances[0, 0]) for step in steps]
    )
    with pytest.raises(
        ValueError, match=re.escape("iteration must be from 0 to 2, the last of these steps, got 3")
    ):
        mixture_slots_figure(steps, 3)


def test_every_mark_on_points_is_in_a_legend(steps):
    points, groups = steps[0].points, np.arange(40) % 2
    marks = ["mean", "1 standard deviation", "2 standard deviations"]
    figures = {
        clusterings_figure({"one": (points, groups, {"late": steps[-1]})}): "shared point",
        mixture_slots_figure(steps, 2): "this iteration",
    }

    for figure, last in figures.items():
        [legend] = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == [*marks, last]


def test_a_curve_without_the_log_determinant_is_not_called_a_density():
    assert density_figure().axes[0].get_ylabel() == "weight · density"
    label = density_figure(log_determinant=False).axes[0].get_ylabel()
    assert "without\nthe log-determinant" in label


def test_modules_keep_their_colours_over_the_questions():
    results = {
        question: {"one": np.array([0.3, 0.1]) + row, "two": np.array([0.5])}
        for row, question in enumerate("ab")
    }

    axis = modules_figure(results, "error").axes[0]

    dots = [line for line in axis.lines if line.get_marker() in "os"]
    assert [line.get_xdata().tolist() for line in dots] == [[0.1, 0.3], [1.1, 1.3], [0.5], [0.5]]
    colors = [tuple(line.get_color()) for line in dots]
    assert colors[0] == colors[1] != colors[2] == colors[3]
    assert axis.get_legend_handles_labels()[1] == ["one", "two", "constant answers"]


def test_errors_are_drawn_by_method_with_what_was_expected():
    axis = errors_figure([1, 10], {"a": [1e-6, 1e-4], "b": [1e-6, 1e-6]}, [1e-7, 1e-5]).axes[0]

    assert [list(line.get_ydata()) for line in axis.lines] == [
        [1e-7, 1e-5],
        [1e-6, 1e-4],
        [1e-6, 1e-6],
    ]
    assert axis.get_xscale() == axis.get_yscale() == "log"
