"""Widgets of set prediction: move a slot and see the matching, and score predicted sets."""

from collections.abc import Mapping

import ipywidgets
from matplotlib.figure import Figure
from torch import Tensor

from smm_tutorial.datasets import SceneImages
from smm_tutorial.figures.average_precision import judged_scene_figure
from smm_tutorial.figures.matching import matching_figure
from smm_tutorial.scenes.sampling import AREA
from smm_tutorial.set_prediction.targets import COORDINATE_SCALE
from smm_tutorial.set_prediction.vectors import move_vector
from smm_tutorial.widgets.controls import Controls, FigureSlider

COORDINATE_WEIGHTS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def matching_explorer(predictions: Tensor, targets: Tensor) -> FigureSlider:
    """Move slot a of predictions (K, 19) over the floor, change the weight of coordinates, see the
    matching with targets (K, 19).
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

    def draw(values: dict) -> Figure:
        moved = move_vector(predictions, 0, values["x"], values["y"])
        return matching_figure(moved, targets, values["coordinate_weight"])

    return FigureSlider(controls, draw)


def threshold_explorer(
    data: SceneImages, predictions: Tensor, thresholds: Mapping[str, float]
) -> FigureSlider:
    """Score predictions (M, K, 19) of the scenes of `data` at one of the thresholds.

    thresholds: distances in world units, by name.
    """
    controls = Controls(
        scene=ipywidgets.IntSlider(
            0, 0, len(data) - 1, description="scene", continuous_update=False
        ),
        threshold=ipywidgets.SelectionSlider(
            options=list(thresholds.items()), description="threshold", continuous_update=False
        ),
    )
    return FigureSlider(controls, lambda values: judged_scene_figure(data, predictions, **values))
