"""The widget of object discovery: change the slots of two scenes."""

import ipywidgets
from matplotlib.figure import Figure
from torch import Tensor

from smm_tutorial.discovery.model import DiscoveryOutput, ObjectDiscovery
from smm_tutorial.figures.discovery import OPERATIONS, operate_on_slot, surgery_figure
from smm_tutorial.widgets.controls import Controls, FigureSlider


def operating_table(
    model: ObjectDiscovery, images: Tensor, output: DiscoveryOutput, directions: Tensor, number: int
) -> FigureSlider:
    """Drop, swap or move a slot of two scenes `(2, 3, H, W)`. number: the slot that is selected
    first.
    """
    slider = {"min": -0.5, "max": 0.5, "step": 0.05, "continuous_update": False}
    controls = Controls(
        operation=ipywidgets.Dropdown(options=OPERATIONS, description="operation"),
        number=ipywidgets.IntSlider(
            number, 0, output.masks.shape[1] - 1, description="slot", continuous_update=False
        ),
        down=ipywidgets.FloatSlider(0.0, description="down", **slider),
        right=ipywidgets.FloatSlider(0.0, description="right", **slider),
    )

    def draw(values: dict) -> Figure:
        after, numbers = operate_on_slot(model, output, directions=directions, **values)
        title = f"{values['operation']} slot {values['number']}"
        return surgery_figure(images, output, after, numbers, title)

    return FigureSlider(controls, draw)
