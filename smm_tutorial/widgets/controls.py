"""Widgets of the course: a slider that drives a figure function, the same one that draws the static
figure beside it.
"""

import base64
from collections.abc import Callable

import ipywidgets
import traitlets
from IPython.display import display
from matplotlib.figure import Figure

from smm_tutorial.figures.display import png

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
DPI = 90  # pixels per inch of the pictures


class FigureSlider:
    """A slider above a picture; the picture is `draw(value)`, drawn again whenever the slider
    moves.

    Attributes: `slider` (its `value` can be set by code, which also draws) and `picture`, an
    `ipywidgets.Image`. Anything that `draw` raises comes out where the slider was moved.
    """

    def __init__(self, slider: ipywidgets.ValueWidget, draw: Callable[[object], Figure]):
        """slider: any widget with a `value`. draw: a figure for such a value."""
        self.slider, self.picture = slider, ipywidgets.Image(format="png")
        self._draw = draw
        slider.observe(self._redraw, names="value")
        self._redraw()

    def show(self) -> None:
        """Display both below the cell: the view alone, since its text form would differ from run to
        run.
        """
        box = ipywidgets.VBox([self.slider, self.picture])
        display({WIDGET_VIEW: box._repr_mimebundle_()[WIDGET_VIEW]}, raw=True)

    def _redraw(self, change: object = None) -> None:
        self.picture.value = base64.b64decode(png(self._draw(self.slider.value), DPI))


class Controls(ipywidgets.VBox):
    """Several controls as one: `value` is a dictionary of theirs, by name, so that one
    `FigureSlider` follows them all.
    """

    value = traitlets.Dict()

    def __init__(self, **controls: ipywidgets.ValueWidget):
        super().__init__(list(controls.values()))
        self.controls = controls
        self._gather()
        for control in controls.values():
            control.observe(self._gather, names="value")

    def _gather(self, change: object = None) -> None:
        self.value = {name: control.value for name, control in self.controls.items()}
