"""The scene editor of notebook 04: controls for one object of a scene at a time, over the figure
that shows the scene.
"""

import base64
import math

import ipywidgets
from IPython.display import display

from smm_tutorial.figures.display import png
from smm_tutorial.figures.scenes import edited, editor_figure, overlaps
from smm_tutorial.scenes import Scene
from smm_tutorial.scenes.records import COLORS, MATERIALS, SHAPES, SIZES
from smm_tutorial.scenes.sampling import AREA
from smm_tutorial.widgets.controls import DPI, WIDGET_VIEW

STEP = 0.25  # world units
CHOICES = {"shape": SHAPES, "size": tuple(SIZES), "material": MATERIALS, "color": tuple(COLORS)}


class SceneEditor:
    """Move, turn, reshape and recolour the objects of a scene; the picture follows.

    Attributes: `scene` as edited so far; `number` and `controls`, widgets by name, whose `value`
    can be set by code, which also draws; `picture`, an `ipywidgets.Image`; `note`, which names
    objects that stand in each other.

    Raises `ValueError` for a scene without objects or without a camera of its own (an edited one
    could not be recovered).
    """

    def __init__(self, scene: Scene):
        if not scene.objects or scene.camera is None:
            raise ValueError(
                "the editor needs a scene with objects and a camera, e.g. one from random_scene"
            )
        self.scene = scene
        self.number = ipywidgets.IntSlider(
            1, 1, len(scene.objects), description="object", continuous_update=False
        )
        places = {
            axis: ipywidgets.FloatSlider(
                0, min=-AREA, max=AREA, step=STEP, description=axis, continuous_update=False
            )
            for axis in "xy"
        }
        turn = ipywidgets.FloatSlider(
            0, min=0, max=90, step=5, description="turn", continuous_update=False
        )
        kinds = {
            name: ipywidgets.Dropdown(options=options, description=name)
            for name, options in CHOICES.items()
        }
        self.controls: dict[str, ipywidgets.ValueWidget] = {**places, "turn": turn, **kinds}
        self.picture, self.note = ipywidgets.Image(format="png"), ipywidgets.Label()
        self._show_object()
        self.number.observe(self._show_object, names="value")
        for name, control in self.controls.items():
            control.observe(
                lambda change, name=name: self._edit(name, change["new"]), names="value"
            )

    def show(self) -> None:
        """Display the controls and the picture below the cell."""
        left, right = list(self.controls.values())[:3], list(self.controls.values())[3:]
        rows = [
            self.number,
            ipywidgets.HBox([ipywidgets.VBox(left), ipywidgets.VBox(right)]),
            self.note,
            self.picture,
        ]
        display({WIDGET_VIEW: ipywidgets.VBox(rows)._repr_mimebundle_()[WIDGET_VIEW]}, raw=True)

    def _show_object(self, change: object = None) -> None:
        """Sets the controls to what the chosen object is like, which edits nothing."""
        item = self.scene.objects[self.number.value - 1]
        self._loading = True
        try:
            for name, value in {
                "x": item.position[0],
                "y": item.position[1],
                "turn": math.degrees(item.yaw) % 90,
            }.items():
                self.controls[name].value = value
            for name in CHOICES:
                self.controls[name].value = getattr(item, name)
        finally:
            self._loading = False
        self._draw()

    def _edit(self, name: str, value: object) -> None:
        if not self._loading:
            self.scene = edited(self.scene, self.number.value, **{name: value})
            self._draw()

    def _draw(self) -> None:
        pairs = overlaps(self.scene)
        self.note.value = "".join(
            f"objects {one} and {other} stand in each other. " for one, other in pairs
        )
        self.picture.value = base64.b64decode(
            png(editor_figure(self.scene, self.number.value), DPI)
        )
