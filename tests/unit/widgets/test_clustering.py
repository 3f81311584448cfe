"""Widgets and the figures they drive: moving a slider draws the very figure that stands beside
it.
"""

import base64
import re

import ipywidgets
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from smm_tutorial.clustering import COVARIANCE_TYPES, GaussianMixtureEM, KMeans
from smm_tutorial.figures.charts import curves_figure, seeds_figure
from smm_tutorial.figures.clustering import (
    covariance_matrices,
    ellipse_shape,
    em_step_figure,
    steps_figure,
    temperature_figure,
)
from smm_tutorial.figures.display import png
from smm_tutorial.figures.palette import component_colors
from smm_tutorial.widgets import controls
from smm_tutorial.widgets.clustering import em_stepper, temperature_slider
from smm_tutorial.widgets.controls import DPI, WIDGET_VIEW, FigureSlider

POINTS = np.random.default_rng(0).normal(size=(40, 2)) * [3, 1] + np.repeat(
    [[0, 0], [6, 4]], 20, axis=0
)
START = POINTS[[0, 39]]


def picture_of(figure):
    return base64.b64decode(png(figure, DPI))


@pytest.fixture(scope="module")
def history():
    return GaussianMixtureEM(2, means_init=START, tol=0, max_iter=3).fit(POINTS).history_


# ------------------------------------------------------------------------------------------------------------- widgets
def test_the_em_stepper_shows_the_static_figure_of_each_iteration(history):
    stepper = em_stepper(history)

    pictures = []
    for iteration in (3, 1):
        stepper.slider.value = iteration
        assert stepper.picture.value == picture_of(em_step_figure(history, iteration))
        pictures.append(stepper.picture.value)
    assert len(set(pictures)) == 2
    assert (stepper.slider.min, stepper.slider.max) == (0, 3)


def test_the_temperature_slider_shows_the_static_figure_of_each_temperature():
    slider = temperature_slider(POINTS, START, np.array([0.1, 2.0, 50.0]))

    assert slider.picture.value == picture_of(temperature_figure(POINTS, START, 0.1))
    slider.slider.value = 50.0
    assert slider.picture.value == picture_of(temperature_figure(POINTS, START, 50.0))


def test_what_the_drawing_raises_comes_out_where_the_slider_moves():
    def draw(value):
        if value == 2:
            raise ZeroDivisionError("two")
        return Figure(figsize=(1, 1))

    moved = FigureSlider(ipywidgets.IntSlider(0, 0, 3), draw)
    moved.slider.value = 1
    with pytest.raises(ZeroDivisionError, match="two"):
        moved.slider.value = 2


def test_showing_displays_the_view_and_no_text(history, monkeypatch):
    shown = []
    monkeypatch.setattr(controls, "display", lambda bundle, raw: shown.append(bundle))

    em_stepper(history).show()

    assert [set(bundle) for bundle in shown] == [{WIDGET_VIEW}]


# ------------------------------------------------------------------------------------------------------------- figures
def test_an_ellipse_has_the_size_and_the_angle_of_its_covariance():
    turn = np.deg2rad(30)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    width, height, angle = ellipse_shape(axes @ np.diag([9.0, 4.0]) @ axes.T)

    assert (width, height) == pytest.approx((6, 4))
    assert angle % 180 == pytest.approx(30)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_covariances_of_every_type_become_matrices_of_the_same_density(covariance_type):
    model = GaussianMixtureEM(2, covariance_type=covariance_type, means_init=START, max_iter=2).fit(
        POINTS
    )
    as_full = GaussianMixtureEM(
        2,
        max_iter=0,
        weights_init=model.weights_,
        means_init=model.means_,
        precisions_init=np.linalg.inv(
            covariance_matrices(model.covariances_, covariance_type, model.means_)
        ),
    ).fit(POINTS)

    np.testing.assert_allclose(as_full.score_samples(POINTS), model.score_samples(POINTS))


def test_panels_show_all_points_and_two_ellipses_a_component_however_wide(history):
    wide = GaussianMixtureEM(
        2,
        max_iter=0,
        weights_init=[0.5, 0.5],
        means_init=START,
        precisions_init=np.full((2, 1, 1), 1e-6) * np.eye(2),
    ).fit(POINTS)
    steps = {
        "start": wide.history_[0],
        "end": history[-1],
        "k-means": KMeans(2, init=START).fit(POINTS).history_[-1],
    }

    axes = steps_figure(POINTS, steps, columns=2).axes

    assert [axis.get_title() for axis in axes] == ["start", "end", "k-means", ""]
    assert [sum(isinstance(patch, Ellipse) for patch in axis.patches) for axis in axes] == [
        4,
        4,
        0,
        0,
    ]
    for axis in axes[:3]:
        (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
        assert left < POINTS[:, 0].min() and POINTS[:, 0].max() < right < 100
        assert bottom < POINTS[:, 1].min() and POINTS[:, 1].max() < top < 100


def test_a_point_is_coloured_by_its_responsibilities(history):
    colors = (
        steps_figure(POINTS, {"end": history[-1]}).axes[0].collections[0].get_facecolors()[:, :3]
    )

    np.testing.assert_allclose(colors, history[-1].responsibilities @ component_colors(2))


def test_an_iteration_that_the_history_has_not_is_named(history):
    with pytest.raises(
        ValueError,
        match=re.escape("iteration must be from 0 to 3, the last of this history, got 4"),
    ):
        em_step_figure(history, 4)


def test_the_marked_place_on_the_curve_is_the_steps_bound(history):
    curve, place = em_step_figure(history, 2).axes[1].lines

    np.testing.assert_allclose(curve.get_ydata(), [step.lower_bound for step in history])
    assert (place.get_xdata()[0], place.get_ydata()[0]) == (2, history[2].lower_bound)


def test_curves_and_seeds_keep_their_names_and_values():
    x = np.arange(3.0)
    axis = curves_figure(
        x, {"up": x, "down": -x}, "x", "y", touching=[(1, 1)], marker=("here", 2.0)
    ).axes[0]
    assert axis.get_legend_handles_labels()[1] == ["up", "down", "here"]
    np.testing.assert_array_equal(axis.lines[1].get_ydata(), -x)

    axis = seeds_figure({"one": np.array([3.0, 1.0]), "two": np.array([2.0])}, "score").axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["one", "two"]
    np.testing.assert_array_equal(axis.lines[0].get_xdata(), [1, 3])
