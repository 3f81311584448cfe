"""Widgets of slots on points: step through iterations, and change a slot's length."""

from collections.abc import Sequence

import ipywidgets
import numpy as np

from smm_tutorial.figures.slots import SetStep, length_figure, slot_step_figure
from smm_tutorial.widgets.controls import FigureSlider


def slot_stepper(
    points: np.ndarray, steps: Sequence[SetStep], groups: np.ndarray | None = None
) -> FigureSlider:
    """Step through the iterations of a slot module on points (N, 2) with true groups (N,)."""
    slider = ipywidgets.IntSlider(
        1, 1, len(steps), description="iteration", continuous_update=False
    )
    return FigureSlider(slider, lambda number: slot_step_figure(points, steps, number, groups))


def length_slider(points: np.ndarray, means: np.ndarray, factors: Sequence[float]) -> FigureSlider:
    """Regions of means (K, 2) by distance and by dot product; the slider scales slot 0."""
    slider = ipywidgets.SelectionSlider(
        options=[(f"{factor:.2f}", float(factor)) for factor in factors],
        description="length of slot 0",
        continuous_update=False,
    )
    return FigureSlider(slider, lambda factor: length_figure(points, means, factor))
