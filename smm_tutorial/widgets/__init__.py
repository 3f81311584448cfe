"""Widgets of the course."""

from smm_tutorial.widgets.clustering import em_stepper, temperature_slider
from smm_tutorial.widgets.controls import DPI, WIDGET_VIEW, Controls, FigureSlider
from smm_tutorial.widgets.discovery import operating_table
from smm_tutorial.widgets.scenes import CHOICES, STEP, SceneEditor
from smm_tutorial.widgets.set_prediction import (
    COORDINATE_WEIGHTS,
    matching_explorer,
    threshold_explorer,
    with_place,
)
from smm_tutorial.widgets.slot_mixture import (
    VARIANCE_RATIOS,
    density_explorer,
    mixture_slot_stepper,
)
from smm_tutorial.widgets.slots import length_slider, slot_stepper

__all__ = [
    "CHOICES",
    "COORDINATE_WEIGHTS",
    "Controls",
    "DPI",
    "FigureSlider",
    "STEP",
    "SceneEditor",
    "VARIANCE_RATIOS",
    "WIDGET_VIEW",
    "density_explorer",
    "em_stepper",
    "length_slider",
    "matching_explorer",
    "mixture_slot_stepper",
    "operating_table",
    "slot_stepper",
    "temperature_slider",
    "threshold_explorer",
    "with_place",
]
