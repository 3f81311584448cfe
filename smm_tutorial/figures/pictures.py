"""Rows of small pictures."""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from smm_tutorial.datasets import SceneImages
from smm_tutorial.figures.layout import panel_grid
from smm_tutorial.figures.palette import label_map

THUMBNAIL = 1.25  # inches, the side of a small picture


def to_picture(image: Tensor) -> np.ndarray:
    """An image `(3, H, W)` in matplotlib's form: `(H, W, 3)`, clipped to [0, 1]."""
    return image.detach().cpu().clamp(0, 1).permute(1, 2, 0).numpy()


def picture_rows_figure(
    rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], title: str | None = None
) -> Figure:
    """Rows of small pictures `(H, W, 3)`, with a title above each column."""
    figure = Figure(
        figsize=(THUMBNAIL * len(titles), THUMBNAIL * len(rows) + (0.55 if title else 0.25)),
        layout="constrained",
    )
    axes = figure.subplots(len(rows), len(titles), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, text in zip(axes[0], titles, strict=True):
        axis.set_title(text, fontsize=9)
    for row_axes, row in zip(axes, rows, strict=True):
        for axis, pixels in zip(row_axes, row, strict=False):
            axis.imshow(pixels, interpolation="nearest")
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def number_rows(figure: Figure) -> Figure:
    """The same figure of rows of pictures, with the numbers 1, 2, ... to the left of the rows."""
    for axis in figure.axes:
        place = axis.get_subplotspec()
        if place.is_first_col():
            number = str(place.rowspan.start + 1)
            look = {"ha": "right", "va": "center", "fontsize": 11, "transform": axis.transAxes}
            axis.text(-0.06, 0.5, number, **look)
    return figure


def pictures_figure(
    pictures: Iterable[tuple[str, np.ndarray]], columns: int, width: float = 2.1
) -> Figure:
    """Pictures of equal shape, `(H, W)` or `(H, W, 3)`, under their names. width: of each, in
    inches.
    """
    pictures = list(pictures)
    height, across = pictures[0][1].shape[:2]
    figure, axes = panel_grid(len(pictures), columns, width, width * height / across + 0.3)
    for axis, (name, picture) in zip(axes, pictures, strict=True):
        axis.imshow(picture, interpolation="nearest", cmap="gray")
        axis.set_title(name, fontsize=9)
        axis.axis("off")
    return figure


PAIRS = 4  # in a row of a contact sheet


def contact_sheet_figure(data: SceneImages) -> Figure:
    """The scenes of a data set in rows of four. Each scene has its mask beside it, if there is one.

    With many objects, several objects have the same colour, but none has the background's colour.
    """
    images, masks = data.batch(slice(None))
    cells = [[to_picture(image)] for image in images]
    if masks is not None:
        cells = [[*cell, label_map(mask)] for cell, mask in zip(cells, masks, strict=True)]
    pairs = min(PAIRS, len(cells))
    rows = [sum(cells[start : start + pairs], []) for start in range(0, len(cells), pairs)]
    titles = ["image", "mask"][: len(cells[0])] * pairs
    title = f"{data.name}, {data.split}: the first {len(data)} images"
    return picture_rows_figure(rows, titles, title)
