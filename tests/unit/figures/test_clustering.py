"""Figures of clustering: points, ellipses and the bound are those of the steps."""

import re

import numpy as np
import pytest
from matplotlib.patches import Ellipse

from smm_tutorial.clustering import COVARIANCE_TYPES, GaussianMixtureEM, KMeans
from smm_tutorial.figures.clustering import (
    covariance_matrices,
    ellipse_shape,
    em_step_figure,
    steps_figure,
)
from smm_tutorial.figures.palette import component_colors

POINTS = np.random.default_rng(0).normal(size=(40, 2)) * [3, 1] + np.repeat(
    [[0, 0], [6, 4]], 20, axis=0
)
START = POINTS[[0, 39]]


@pytest.fixture(scope="module")
def history():
    return GaussianMixtureEM(2, means_init=START, tol=0, max_iter=3).fit(POINTS).history_


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


def test_the_axes_of_points_and_of_the_curve_are_named(history):
    points, curve = em_step_figure(history, 1).axes
    panels = steps_figure(POINTS, {"one": history[0], "two": history[1]}).axes

    assert (points.get_xlabel(), points.get_ylabel()) == ("feature 1", "feature 2")
    assert curve.get_ylabel() == "mean log-likelihood, nats per point"
    assert [axis.get_ylabel() for axis in panels] == ["feature 2", ""]
