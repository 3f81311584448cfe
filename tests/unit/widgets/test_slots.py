"""Widgets of slots on points draw the static figures."""

import numpy as np

from smm_tutorial.figures.slots import SetStep, length_figure, slot_step_figure
from smm_tutorial.widgets.controls import picture_bytes
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


def test_the_slot_stepper_shows_the_static_figure_of_each_iteration():
    stepper = slot_stepper(POINTS, STEPS)

    assert (stepper.slider.min, stepper.slider.max) == (1, 2)
    assert stepper.picture.value == picture_bytes(slot_step_figure(POINTS, STEPS, 1))
    stepper.slider.value = 2
    assert stepper.picture.value == picture_bytes(slot_step_figure(POINTS, STEPS, 2))
    assert picture_bytes(slot_step_figure(POINTS, STEPS, 1)) != stepper.picture.value


def test_the_length_slider_shows_the_static_figure_of_each_length():
    slider = length_slider(POINTS, MEANS, [0.5, 1.0, 2.0])

    assert slider.picture.value == picture_bytes(length_figure(POINTS, MEANS, 0.5))
    slider.slider.value = 2.0
    assert slider.picture.value == picture_bytes(length_figure(POINTS, MEANS, 2.0))
