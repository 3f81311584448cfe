"""Figures of sets of objects: on the pictures of their scenes, and as tables of numbers.

On a picture, a predicted object has the colour of its slot, and a true object the colour of its
label.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from torch import Tensor

from smm_tutorial.datasets import SceneImages
from smm_tutorial.figures.layout import panel_grid
from smm_tutorial.figures.palette import slot_color
from smm_tutorial.figures.pictures import to_picture
from smm_tutorial.scenes.camera import CLEVR_FRAME, camera_axes, camera_position, project
from smm_tutorial.scenes.records import Scene
from smm_tutorial.set_prediction.targets import (
    COORDINATE_SCALE,
    COORDINATES,
    OBJECT_DIM,
    PROPERTIES,
    PROPERTY_SLICES,
    REAL,
)
from smm_tutorial.set_prediction.vectors import describe_vector, vector_radius

#: Width / height of the whole frame, also for a picture that was squeezed into a square.
FRAME_ASPECT = CLEVR_FRAME[1] / CLEVR_FRAME[0]
OUTLINE = [withStroke(linewidth=2.5, foreground="white")]

Box = tuple[float, float, float, float]  # left, top, right, bottom as fractions of the frame


def object_color(number: int) -> np.ndarray:
    """The colour of object `number` (from 0) in masks."""
    return slot_color(number)


def picture_box(vector: Tensor, camera: np.ndarray) -> Box:
    """The box (left, top, right, bottom) of an object (19,) in the whole frame.

    It is the box of a ball of the object's size. camera: (3,), the camera's position in world
    units.
    """
    place = COORDINATE_SCALE * vector[COORDINATES].double().numpy()
    right, up = vector_radius(vector) * camera_axes(camera).T[:2]
    sides = np.stack([place - right, place + up, place + right, place - up])
    seen = project(sides, camera, FRAME_ASPECT)  # (4, 3): column, row, depth
    return seen[0, 0], seen[1, 1], seen[2, 0], seen[3, 1]


LABEL = (1.3, 0.31)  # inches, width and height of a label
LABEL_HIDDEN = 5  # factor by which hiding a label is worse than hiding another object's box


def label_places(boxes: Sequence[Box], label: tuple[float, float]) -> list[tuple[float, float]]:
    """Left and top of a label beside each box. label: width and height, as fractions of the frame.

    A label goes where it hides the least area of earlier labels and of all boxes. Among such
    places, it takes the nearest. Hiding a label or its own box counts more than hiding another box.
    """
    width, height = label
    labels: list[Box] = []
    for own in boxes:
        left, top, right, bottom = own
        rows = [top - height, bottom, (top + bottom - height) / 2]
        rows += [
            row for gap in (0.5, 1) for row in (top - (1 + gap) * height, bottom + gap * height)
        ]
        inside = [
            (min(max(x, 0), 1 - width), min(max(y, 0), 1 - height))
            for y in rows
            for x in (left, right - width, right, left - width)
        ]
        places = [(x, y, x + width, y + height) for x, y in inside]
        hidden = [
            LABEL_HIDDEN * sum(_common_area(place, other) for other in [*labels, own])
            + sum(_common_area(place, other) for other in boxes)
            for place in places
        ]
        labels.append(places[int(np.argmin(np.round(hidden, 6)))])
    return [(left, top) for left, top, _, _ in labels]


def _common_area(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def draw_objects(
    axis: Axes,
    image: Tensor,
    record: Mapping,
    vectors: Tensor,
    right: Sequence[bool] | None,
    shown: Tensor,
    width: float,
) -> None:
    """A picture `(3, H, W)` of the whole frame with boxes around the objects of a set.

    White crosses mark the true objects.

    Args:
        record: of the scene.
        vectors: `(K, 19)`, the set.
        right: whether each vector is right; wrong vectors are dashed and crossed out. None for the
            true set, which has its labels' colours and no probabilities.
        shown: `(K,)` bool, which vectors to draw.
        width: of the picture, in inches.
    """
    camera = camera_position(Scene.from_record(record))
    frame = {"extent": (0, 1, 1, 0), "aspect": 1 / FRAME_ASPECT}
    # Draw the network's own pixels: smoothed pixels would double the size of a notebook.
    axis.imshow(to_picture(image), interpolation="nearest", **frame)
    true = np.array([item["3d_coords"] for item in record["objects"]])
    columns, rows, _ = project(true, camera, FRAME_ASPECT).T
    axis.plot(columns, rows, "+", color="white", ms=5, mew=1.2)
    numbers = shown.nonzero().flatten().tolist()
    boxes = [picture_box(vectors[number], camera) for number in numbers]
    label = LABEL[0] / width, LABEL[1] / width * FRAME_ASPECT
    for number, box, place in zip(numbers, boxes, label_places(boxes, label), strict=True):
        color = object_color(number) if right is None else slot_color(number)
        wrong = right is not None and not right[number]
        left, top, end, bottom = box
        style = {"fill": False, "color": color, "lw": 1.6, "ls": "--" if wrong else "-"}
        outline = Rectangle((left, top), end - left, bottom - top, path_effects=OUTLINE, **style)
        axis.add_patch(outline)
        size, hue, *rest = describe_vector(vectors[number]).split()
        sure = "" if right is None else f" {vectors[number, REAL]:.0%}"
        text = f"{'✗ ' if wrong else ''}{size} {hue}\n{' '.join(rest)}{sure}"
        look = {"facecolor": color, "alpha": 0.8, "pad": 0.6, "lw": 0}
        ink = "white" if np.mean(color) < 0.4 else "black"
        axis.text(*place, text, fontsize=8, color=ink, va="top", bbox=look, clip_on=True)
    axis.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])


WIDTH = 9.0  # inches, of a row of pictures with boxes: as wide as a notebook's page


def sets_figure(
    data: SceneImages,
    vectors: Tensor,
    right: np.ndarray | None = None,
    *,
    shown: Tensor | None = None,
    titles: Sequence[str] | None = None,
    columns: int = 2,
) -> Figure:
    """Sets `(M, K, 19)` on the pictures of M scenes, see `draw_objects`.

    right: `(M, K)`, which vectors are right; None for true sets. shown: `(M, K)`, which vectors to
    draw; by default those that are real with a probability of at least one half.
    """
    shown = vectors[..., REAL] >= 0.5 if shown is None else shown
    width = WIDTH / columns
    height = width / FRAME_ASPECT + (0.3 if titles else 0.05)
    figure, axes = panel_grid(len(data), columns, width, height)
    images = data.batch(slice(None)).images
    for index, axis in enumerate(axes):
        judged = None if right is None else right[index]
        drawn = images[index], data.records[index], vectors[index]
        draw_objects(axis, *drawn, judged, shown[index], width)
        if titles:
            axis.set_title(titles[index], fontsize=9)
    return figure


def vectors_figure(
    tables: Mapping[str, Tensor], rows: Mapping[str, Sequence[str]] | None = None
) -> Figure:
    """Sets as tables (K, 19), by name: one row per vector, purple below 0 and orange above.

    The names of the groups of columns stand above the first table.

    rows: names of a table's rows, by the table's name; by default the rows are numbered.
    """
    names = ["x", "y", "z", *(value for values in PROPERTIES.values() for value in values), "real"]
    groups = {"place": COORDINATES, **PROPERTY_SLICES}
    count = max(map(len, tables.values()))
    figure = Figure(figsize=(8.4, (0.24 * count + 0.3) * len(tables) + 1.0), layout="constrained")
    axes = figure.subplots(len(tables), 1, squeeze=False, sharex=True)[:, 0]
    look = {"cmap": "PuOr_r", "vmin": -1, "vmax": 1, "aspect": "auto", "interpolation": "nearest"}
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        picture = axis.imshow(table.detach().numpy(), **look)
        for group in groups.values():
            axis.axvline(group.stop - 0.5, color="black", lw=1)
        row_names = (rows or {}).get(name, range(len(table)))
        axis.set_yticks(range(len(table)), row_names, fontsize=8)
        axis.set_title(name, fontsize=9, loc="left", pad=6 if axis is not axes[0] else 18)
    for name, group in groups.items():
        place = (group.start + group.stop - 1) / 2, 1.03
        look = {"ha": "center", "fontsize": 9, "color": "0.35"}
        axes[0].text(*place, name, transform=axes[0].get_xaxis_transform(), **look)
    axes[-1].set_xticks(range(OBJECT_DIM), names, rotation=60, ha="right", fontsize=8)
    figure.colorbar(picture, ax=list(axes), aspect=12, label="value of the number")
    return figure
