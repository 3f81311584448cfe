"""The scene editor: controls for one object of a scene at a time, above the scene's figure."""

import math

import ipywidgets

from smm_tutorial.figures.scenes import editor_figure
from smm_tutorial.scenes.editing import edit_object, find_overlaps
from smm_tutorial.scenes.records import COLORS, MATERIALS, SHAPES, SIZES, Scene
from smm_tutorial.scenes.sampling import AREA
from smm_tutorial.widgets.controls import picture_bytes, show_widgets

STEP = 0.25  # world units
CHOICES = {"shape": SHAPES, "size": tuple(SIZES), "material": MATERIALS, "color": tuple(COLORS)}


class SceneEditor:
    """Move, turn, reshape and recolour the objects of a scene. The picture follows.

    Attributes: `scene`: the edited scene. `number` and `controls` (by name): widgets; code can set
    their `value`, which also draws. `picture`: an `ipywidgets.Image`. `note`: names objects that
    overlap.

    Raises:
        ValueError: a scene without objects, or without a camera of its own. After an edit, such a
            camera could no longer be recovered.
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
        floor = {"min": -AREA, "max": AREA, "step": STEP, "continuous_update": False}
        self.controls: dict[str, ipywidgets.ValueWidget] = {
            "x": ipywidgets.FloatSlider(0, description="x", **floor),
            "y": ipywidgets.FloatSlider(0, description="y", **floor),
            "turn": ipywidgets.FloatSlider(
                0, min=0, max=90, step=5, description="turn", continuous_update=False
            ),
        }
        for name, options in CHOICES.items():
            self.controls[name] = ipywidgets.Dropdown(options=options, description=name)
        self.picture = ipywidgets.Image(format="png")
        self.note = ipywidgets.Label()
        self._show_object()
        self.number.observe(self._show_object, names="value")
        for name, control in self.controls.items():
            control.observe(
                lambda change, name=name: self._edit(name, change["new"]), names="value"
            )

    def show(self) -> None:
        """Display the controls and the picture below the cell."""
        sliders, choices = list(self.controls.values())[:3], list(self.controls.values())[3:]
        controls = ipywidgets.HBox([ipywidgets.VBox(sliders), ipywidgets.VBox(choices)])
        show_widgets(self.number, controls, self.note, self.picture)

    def _show_object(self, change: object = None) -> None:
        """Sets the controls to the values of the chosen object. This edits nothing."""
        item = self.scene.objects[self.number.value - 1]
        values = {name: getattr(item, name) for name in CHOICES}
        values |= {"x": item.position[0], "y": item.position[1]}
        values |= {"turn": math.degrees(item.yaw) % 90}
        self._loading = True
        try:
            for name, value in values.items():
                self.controls[name].value = value
        finally:
            self._loading = False
        self._draw()

    def _edit(self, name: str, value: object) -> None:
        if not self._loading:
            self.scene = edit_object(self.scene, self.number.value, **{name: value})
            self._draw()

    def _draw(self) -> None:
        self.note.value = "".join(
            f"objects {one} and {other} stand in each other. "
            for one, other in find_overlaps(self.scene)
        )
        self.picture.value = picture_bytes(editor_figure(self.scene, self.number.value))
