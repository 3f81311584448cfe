"""Widgets of clustering draw the static figures."""

import numpy as np
import pytest

from smm_tutorial.clustering import GaussianMixtureEM
from smm_tutorial.figures.clustering import em_step_figure, temperature_figure
from smm_tutorial.widgets.clustering import em_stepper, temperature_slider
from smm_tutorial.widgets.controls import picture_bytes

POINTS = np.random.default_rng(0).normal(size=(40, 2)) * [3, 1] + np.repeat(
    [[0, 0], [6, 4]], 20, axis=0
)
START = POINTS[[0, 39]]


@pytest.fixture(scope="module")
def history():
    return GaussianMixtureEM(2, means_init=START, tol=0, max_iter=3).fit(POINTS).history_


def test_the_em_stepper_shows_the_static_figure_of_each_iteration(history):
    stepper = em_stepper(history)

    pictures = []
    for iteration in (3, 1):
        stepper.slider.value = iteration
        assert stepper.picture.value == picture_bytes(em_step_figure(history, iteration))
        pictures.append(stepper.picture.value)
    assert len(set(pictures)) == 2
    assert (stepper.slider.min, stepper.slider.max) == (0, 3)


def test_the_temperature_slider_shows_the_static_figure_of_each_temperature():
    slider = temperature_slider(POINTS, START, np.array([0.1, 2.0, 50.0]))

    assert slider.picture.value == picture_bytes(temperature_figure(POINTS, START, 0.1))
    slider.slider.value = 50.0
    assert slider.picture.value == picture_bytes(temperature_figure(POINTS, START, 50.0))
