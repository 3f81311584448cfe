"""Figures of weights and concepts: a library page, a composed scene, weights against areas."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from smm_tutorial.figures.layout import panel_grid
from smm_tutorial.figures.palette import BLUE, VERMILION
from smm_tutorial.figures.pictures import to_picture

THUMBNAIL = 0.95  # inches


def library_page_figure(titles: Sequence[str], rows: Sequence[Sequence[Tensor]]) -> Figure:
    """A page of a concept library: one row of pictures per concept, with its title to the left.

    rows: pictures `(3, H, W)`, the most typical ones first.
    """
    columns = max(len(row) for row in rows)
    size = (THUMBNAIL * columns + 2.0, THUMBNAIL * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row_axes, title, row in zip(axes, titles, rows, strict=True):
        for axis in row_axes:
            axis.set(xticks=[], yticks=[], frame_on=False)
        for axis, picture in zip(row_axes, row, strict=False):
            axis.imshow(to_picture(picture), interpolation="nearest")
        row_axes[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=8)
    return figure


def composed_figure(picture: Tensor, centres: Tensor, titles: Sequence[str]) -> Figure:
    """A composed picture, and beside it where each object shall stand.

    picture: `(3, S, S)`. centres: `(N, 2)`, down and right, in [0, 1]. titles: one per object.
    """
    figure, axes = panel_grid(2, 2, 3.0, 3.2)
    side = picture.shape[2]
    for axis in axes:
        axis.imshow(to_picture(picture), interpolation="nearest")
        axis.axis("off")
    for number, ((down, right), title) in enumerate(zip(centres.tolist(), titles, strict=True)):
        x, y = right * side - 0.5, down * side - 0.5
        axes[1].plot(x, y, "+", color="white", markersize=9)
        axes[1].text(x + 1.5, y, f"{number}: {title}", color="white", fontsize=7, va="center")
    return figure


def weights_figure(
    areas: Mapping[str, Tensor], weights: Mapping[str, Tensor], pixels: int
) -> Figure:
    """Weights of slots against the visible areas of their objects: one panel per slot module.

    areas: pixels, `(N,)` by the name of the module. weights: `(N,)`, by the same names. pixels: of
    a picture; the line shows where a weight equals the share of the picture.
    """
    figure, axes = panel_grid(len(areas), len(areas), 3.2, 3.0, sharex=True, sharey=True)
    most = max(area.max().item() for area in areas.values())
    for axis, (name, area) in zip(axes, areas.items(), strict=True):
        axis.plot(area, weights[name], ".", color=BLUE, markersize=3, alpha=0.4)
        axis.plot([0, most], [0, most / pixels], color=VERMILION, label="share of the picture")
        axis.set(title=name, xlabel="visible area of the object, pixels")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("weight of its slot")
    axes[0].legend(fontsize=8)
    return figure
