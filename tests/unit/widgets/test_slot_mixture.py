"""Widgets of slots as Gaussians draw the static figures."""

import torch

from smm_tutorial.figures.slot_mixture import density_figure, mixture_slots_figure
from smm_tutorial.slots.as_mixture import as_mixture_step
from smm_tutorial.slots.mixture import SlotMixture
from smm_tutorial.widgets.controls import picture_bytes
from smm_tutorial.widgets.slot_mixture import density_explorer, mixture_slot_stepper


def test_the_density_explorer_shows_the_static_figure_of_its_settings():
    explorer = density_explorer()
    assert explorer.picture.value == picture_bytes(density_figure())

    explorer.slider.controls["variance_ratio"].value = 4.0
    explorer.slider.controls["log_determinant"].value = False

    assert explorer.picture.value == picture_bytes(
        density_figure(0.0, 4.0, 0.5, log_determinant=False)
    )


def test_the_slot_stepper_shows_the_static_figure_of_each_iteration():
    torch.manual_seed(0)
    points = torch.randn(1, 40, 2)
    history = SlotMixture(2, 2, 2, normalisation="none")(points, return_history=True).history
    steps = [as_mixture_step(points, state) for state in history]
    stepper = mixture_slot_stepper(steps)
    for iteration in (2, 1):
        stepper.slider.value = iteration
        assert stepper.picture.value == picture_bytes(mixture_slots_figure(steps, iteration))
    assert (stepper.slider.min, stepper.slider.max) == (0, 2)
