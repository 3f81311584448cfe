"""Controls that change a figure. A widget calls the same function as the static figure beside it.

`FigureSlider` puts a control above a picture, and `Controls` combines several controls into one.
The other files contain the widgets of one subject each, built on these two. Call `show()` on a
widget to display it below a cell. Code can set a control too, e.g. `stepper.slider.value = 3`.
"""

from smm_tutorial.widgets.clustering import em_stepper, temperature_slider
from smm_tutorial.widgets.concepts import SceneBuilder
from smm_tutorial.widgets.controls import Controls, FigureSlider
from smm_tutorial.widgets.discovery import operating_table
from smm_tutorial.widgets.reconstruction import picture_grower, sample_cooler
from smm_tutorial.widgets.scenes import SceneEditor
from smm_tutorial.widgets.set_prediction import matching_explorer, threshold_explorer
from smm_tutorial.widgets.slot_mixture import density_explorer, mixture_slot_stepper
from smm_tutorial.widgets.slots import length_slider, slot_stepper

__all__ = [
    "Controls",
    "FigureSlider",
    "SceneBuilder",
    "SceneEditor",
    "density_explorer",
    "em_stepper",
    "length_slider",
    "matching_explorer",
    "mixture_slot_stepper",
    "operating_table",
    "picture_grower",
    "sample_cooler",
    "slot_stepper",
    "temperature_slider",
    "threshold_explorer",
]
