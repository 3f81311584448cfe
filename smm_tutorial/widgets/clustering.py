"""Widgets of clustering: step through EM, and change the temperature of soft k-means."""

from collections.abc import Sequence

import ipywidgets
import numpy as np

from smm_tutorial.clustering import MixtureStep
from smm_tutorial.figures.clustering import em_step_figure, temperature_figure
from smm_tutorial.widgets.controls import FigureSlider


def em_stepper(history: Sequence[MixtureStep]) -> FigureSlider:
    """Step through the `history_` of a mixture that was fitted to points in the plane."""
    slider = ipywidgets.IntSlider(
        0, 0, len(history) - 1, description="iteration", continuous_update=False
    )
    return FigureSlider(slider, lambda iteration: em_step_figure(history, iteration))


def temperature_slider(
    points: np.ndarray, means_init: np.ndarray, temperatures: Sequence[float]
) -> FigureSlider:
    """Soft k-means on points (N, 2), started from means (K, 2), at one of several temperatures."""
    slider = ipywidgets.SelectionSlider(
        options=[(f"{temperature:.3g}", float(temperature)) for temperature in temperatures],
        description="temperature",
        continuous_update=False,
    )
    return FigureSlider(
        slider, lambda temperature: temperature_figure(points, means_init, temperature)
    )
