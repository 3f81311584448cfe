"""Widgets of notebook 02, on the slider of `widgets.controls`: each moves the figure function that
draws the static figure.
"""

from collections.abc import Sequence

import ipywidgets
import numpy as np

from smm_tutorial.figures.slots import SetStep, length_figure, slot_step_figure
from smm_tutorial.widgets.controls import FigureSlider


def slot_stepper(points: np.ndarray, steps: Sequence[SetStep]) -> FigureSlider:
    """Step through the iterations of a slot module on a set (N, 2), from the first to the last of
    `steps`.
    """
    slider = ipywidgets.IntSlider(
        1, 1, len(steps), description="iteration", continuous_update=False
    )
    return FigureSlider(slider, lambda iteration: slot_step_figure(points, steps, iteration))


def length_slider(points: np.ndarray, means: np.ndarray, factors: Sequence[float]) -> FigureSlider:
    """Make slot 0 of means (K, 2) longer or shorter, and see its territory by distance and by dot
    product.
    """
    options = [(f"{factor:.2f}", float(factor)) for factor in factors]
    slider = ipywidgets.SelectionSlider(
        options=options, description="length of slot 0", continuous_update=False
    )
    return FigureSlider(slider, lambda factor: length_figure(points, means, factor))
