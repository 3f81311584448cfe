"""Controls that draw a figure again when they change.

They call the same function as the static figure beside them.
"""

import base64
from collections.abc import Callable
from typing import Any

import ipywidgets
import traitlets
from IPython.display import display
from matplotlib.figure import Figure

from smm_tutorial.figures.display import png

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
DPI = 90  # pixels per inch of the pictures


def picture_bytes(figure: Figure) -> bytes:
    """The figure as a PNG, for an `ipywidgets.Image`."""
    return base64.b64decode(png(figure, DPI))


def show_widgets(*widgets: ipywidgets.Widget) -> None:
    """Display widgets one below the other, without their text form, which differs in every run."""
    box = ipywidgets.VBox(widgets)
    display({WIDGET_VIEW: box._repr_mimebundle_()[WIDGET_VIEW]}, raw=True)


class FigureSlider:
    """A slider above a picture. When the slider moves, `draw(value)` makes a new picture.

    Attributes: `slider`: code can set its `value`, which also draws. `picture`: an
    `ipywidgets.Image`. An error in `draw` is raised by the code that moved the slider.
    """

    def __init__(self, slider: ipywidgets.ValueWidget, draw: Callable[[Any], Figure]):
        """slider: any widget with a `value`. draw: makes the figure of a value."""
        self.slider = slider
        self.picture = ipywidgets.Image(format="png")
        self._draw = draw
        slider.observe(self._redraw, names="value")
        self._redraw()

    def show(self) -> None:
        """Display slider and picture below the cell."""
        show_widgets(self.slider, self.picture)

    def _redraw(self, change: object = None) -> None:
        self.picture.value = picture_bytes(self._draw(self.slider.value))


class Controls(ipywidgets.VBox):
    """Several controls combined for a `FigureSlider`: `value` is the dictionary of their values."""

    value = traitlets.Dict()

    def __init__(self, **controls: ipywidgets.ValueWidget):
        super().__init__(list(controls.values()))
        self.controls = controls
        self._gather()
        for control in controls.values():
            control.observe(self._gather, names="value")

    def _gather(self, change: object = None) -> None:
        self.value = {name: control.value for name, control in self.controls.items()}
