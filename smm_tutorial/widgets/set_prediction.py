"""Widgets of notebook 06, on the controls of `widgets.controls`: each moves the figure function
that draws the static figure.
"""

from collections.abc import Mapping

import ipywidgets
from torch import Tensor

from smm_tutorial.datasets import SceneImages
from smm_tutorial.figures.set_prediction import judged_figure, matching_figure
from smm_tutorial.scenes.sampling import AREA
from smm_tutorial.set_prediction.targets import COORDINATE_SCALE
from smm_tutorial.widgets.controls import Controls, FigureSlider

COORDINATE_WEIGHTS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def with_place(vectors: Tensor, number: int, x: float, y: float) -> Tensor:
    """A set (K, 19) whose vector `number` lies at x and y (world units); everything else stays."""
    moved = vectors.clone()
    moved[number, 0], moved[number, 1] = x / COORDINATE_SCALE, y / COORDINATE_SCALE
    return moved


def matching_explorer(predictions: Tensor, targets: Tensor) -> FigureSlider:
    """Move slot a of predictions (K, 19) over the floor, weigh coordinates, and see who is matched
    with whom.
    """
    x, y = (COORDINATE_SCALE * predictions[0, :2]).tolist()
    floor = {"min": -AREA, "max": AREA, "step": 0.1, "continuous_update": False}
    controls = Controls(
        x=ipywidgets.FloatSlider(round(x, 1), description="x of a", **floor),
        y=ipywidgets.FloatSlider(round(y, 1), description="y of a", **floor),
        coordinate_weight=ipywidgets.SelectionSlider(
            options=COORDINATE_WEIGHTS, value=1.0, description="weight", continuous_update=False
        ),
    )

    def draw(values: dict):
        moved = with_place(predictions, 0, values["x"], values["y"])
        return matching_figure(moved, targets, values["coordinate_weight"])

    return FigureSlider(controls, draw)


def threshold_explorer(
    data: SceneImages, predictions: Tensor, thresholds: Mapping[str, float]
) -> FigureSlider:
    """Go through the scenes of `data`, predictions (M, K, 19), and judge them at one of the
    distance thresholds by name.
    """
    controls = Controls(
        scene=ipywidgets.IntSlider(
            0, 0, len(data) - 1, description="scene", continuous_update=False
        ),
        threshold=ipywidgets.SelectionSlider(
            options=list(thresholds.items()), description="threshold", continuous_update=False
        ),
    )
    return FigureSlider(controls, lambda values: judged_figure(data, predictions, **values))
