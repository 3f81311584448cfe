"""Widgets of slots on points: step through a module's iterations, and stretch a slot."""

from collections.abc import Sequence

import ipywidgets
import numpy as np

from smm_tutorial.figures.slots import SetStep, length_figure, slot_step_figure
from smm_tutorial.widgets.controls import FigureSlider


def slot_stepper(
    points: np.ndarray, steps: Sequence[SetStep], groups: np.ndarray | None = None
) -> FigureSlider:
    """Step through the iterations of a slot module on a set of points (N, 2), grouped (N,)."""
    slider = ipywidgets.IntSlider(
        1, 1, len(steps), description="iteration", continuous_update=False
    )
    return FigureSlider(slider, lambda number: slot_step_figure(points, steps, number, groups))


def length_slider(points: np.ndarray, means: np.ndarray, factors: Sequence[float]) -> FigureSlider:
    """Territories of means (K, 2) by distance and by dot product, with slot 0 longer or shorter."""
    slider = ipywidgets.SelectionSlider(
        options=[(f"{factor:.2f}", float(factor)) for factor in factors],
        description="length of slot 0",
        continuous_update=False,
    )
    return FigureSlider(slider, lambda factor: length_figure(points, means, factor))
