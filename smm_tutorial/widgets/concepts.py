"""Widget of concepts: build a scene, object by object."""

from collections.abc import Callable, Sequence

import ipywidgets
from matplotlib.figure import Figure

from smm_tutorial.widgets.controls import picture_bytes, show_widgets

#: Concept, down and right of an object. Places lie between 0 and 1.
PlacedConcept = tuple[int, float, float]


class SceneBuilder:
    """Choose a concept and a place, add the object, delete objects; the picture follows.

    Attributes: `objects`: the list of `(concept, down, right)`. `picture`: an `ipywidgets.Image`.
    Code can call `add` and `delete`, as the buttons do.
    """

    def __init__(
        self, titles: Sequence[str], draw: Callable[[list[PlacedConcept]], Figure], most: int = 6
    ):
        """titles: one per concept. draw: makes the figure of objects. most: number of objects."""
        self.objects: list[PlacedConcept] = []
        self.most = most
        self._titles, self._draw = titles, draw
        options = [(title, number) for number, title in enumerate(titles)]
        self.concept = ipywidgets.Dropdown(options=options, description="concept")
        self.down, self.right = (
            ipywidgets.FloatSlider(0.5, min=0.1, max=0.9, step=0.05, description=name)
            for name in ("down", "right")
        )
        self.adding = ipywidgets.Button(description="add")
        self.deleting = ipywidgets.Button(description="delete last")
        self.message = ipywidgets.Label()
        self.picture = ipywidgets.Image(format="png")
        self.adding.on_click(lambda _: self._add_chosen())
        self.deleting.on_click(lambda _: self.delete())
        self._redraw()

    def add(self, concept: int, down: float, right: float) -> None:
        """Adds an object. Raises `ValueError` if there are too many, or for an unknown concept."""
        if len(self.objects) >= self.most:
            raise ValueError(f"a scene has at most {self.most} objects: delete one first")
        if not 0 <= concept < len(self._titles):
            raise ValueError(
                f"concept must be from 0 to {len(self._titles) - 1}, got {concept}: choose one of "
                "the library's concepts"
            )
        self.objects.append((concept, down, right))
        try:
            self._redraw()
        except ValueError:
            self.objects.pop()
            raise

    def delete(self, number: int = -1) -> None:
        """Deletes an object, by default the last one. Does nothing without objects."""
        if self.objects:
            del self.objects[number]
            self._redraw()

    def show(self) -> None:
        """Display controls and picture below the cell."""
        buttons = ipywidgets.HBox([self.adding, self.deleting, self.message])
        show_widgets(self.concept, self.down, self.right, buttons, self.picture)

    def _add_chosen(self) -> None:
        try:
            self.add(self.concept.value, self.down.value, self.right.value)
        except ValueError as error:
            self.message.value = str(error)

    def _redraw(self) -> None:
        self.picture.value = picture_bytes(self._draw(self.objects))
        self.message.value = ""
