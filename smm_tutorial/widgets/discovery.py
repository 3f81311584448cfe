"""Widgets of notebook 05, on the controls of `widgets.controls`: each moves the figure function
that draws the static figure.
"""

import ipywidgets
from torch import Tensor

from smm_tutorial.discovery.model import DiscoveryOutput, ObjectDiscovery
from smm_tutorial.figures.discovery import OPERATIONS, operate, surgery_figure
from smm_tutorial.widgets.controls import Controls, FigureSlider


def operating_table(
    model: ObjectDiscovery, images: Tensor, output: DiscoveryOutput, directions: Tensor, number: int
) -> FigureSlider:
    """Operate on the slots of two scenes `(2, 3, H, W)`, beginning with slot `number` of the
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

    def draw(values: dict):
        after, numbers = operate(model, output, directions=directions, **values)
        return surgery_figure(
            images, output, after, numbers, f"{values['operation']} slot {values['number']}"
        )

    return FigureSlider(controls, draw)
