"""Widgets of slots as Gaussians: two slots on a line, and the iterations of a module."""

from collections.abc import Sequence

import ipywidgets

from smm_tutorial.clustering import MixtureStep
from smm_tutorial.figures.slot_mixture import density_figure, mixture_slots_figure
from smm_tutorial.widgets.controls import Controls, FigureSlider

VARIANCE_RATIOS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 9.0, 25.0)


def density_explorer() -> FigureSlider:
    """Two slots on a line: change mean, variance and weight, drop the log-determinant."""
    controls = Controls(
        distance=ipywidgets.FloatSlider(
            0.0, min=0, max=4, step=0.5, description="distance", continuous_update=False
        ),
        variance_ratio=ipywidgets.SelectionSlider(
            options=VARIANCE_RATIOS, value=9.0, description="variance", continuous_update=False
        ),
        weight=ipywidgets.FloatSlider(
            0.5, min=0.05, max=0.95, step=0.05, description="weight", continuous_update=False
        ),
        log_determinant=ipywidgets.Checkbox(True, description="log-determinant"),
    )
    return FigureSlider(controls, lambda values: density_figure(**values))


def mixture_slot_stepper(steps: Sequence[MixtureStep]) -> FigureSlider:
    """Step through the iterations of a module: slots on their points, with weights and spreads."""
    slider = ipywidgets.IntSlider(
        0, 0, len(steps) - 1, description="iteration", continuous_update=False
    )
    return FigureSlider(slider, lambda iteration: mixture_slots_figure(steps, iteration))
