"""Controls: moving one draws its figure, and an error of the drawing is not lost."""

import base64

import ipywidgets
import pytest
from matplotlib.figure import Figure

from smm_tutorial.figures.display import png
from smm_tutorial.widgets import controls
from smm_tutorial.widgets.controls import DPI, WIDGET_VIEW, Controls, FigureSlider, picture_bytes


def draw_square(side):
    return Figure(figsize=(side, side))


def test_the_picture_is_the_png_of_the_figure_and_follows_the_slider():
    slider = FigureSlider(ipywidgets.IntSlider(1, 1, 3), draw_square)
    assert slider.picture.value == base64.b64decode(png(draw_square(1), DPI))
    slider.slider.value = 2
    assert slider.picture.value == picture_bytes(draw_square(2)) != picture_bytes(draw_square(1))


def test_what_the_drawing_raises_comes_out_where_the_slider_moves():
    def draw(value):
        if value == 2:
            raise ZeroDivisionError("two")
        return Figure(figsize=(1, 1))

    moved = FigureSlider(ipywidgets.IntSlider(0, 0, 3), draw)
    moved.slider.value = 1
    with pytest.raises(ZeroDivisionError, match="two"):
        moved.slider.value = 2


def test_showing_displays_the_view_and_no_text(monkeypatch):
    shown = []
    monkeypatch.setattr(controls, "display", lambda bundle, raw: shown.append(bundle))

    FigureSlider(ipywidgets.IntSlider(1, 1, 3), draw_square).show()

    assert [set(bundle) for bundle in shown] == [{WIDGET_VIEW}]


def test_several_controls_have_their_values_by_name():
    both = Controls(side=ipywidgets.IntSlider(1, 1, 3), name=ipywidgets.Text("one"))
    assert both.value == {"side": 1, "name": "one"}
    both.controls["side"].value = 3
    assert both.value == {"side": 3, "name": "one"}
