"""The layout of figures with several panels."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

PANEL = 2.9  # inches, the side of a panel of points


def panel_grid(
    count: int, columns: int, width: float, height: float, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure and the axes of its `count` panels, row by row, in at most `columns` columns.

    width, height: of a panel, in inches. options: of `Figure.subplots`. Unused places in the last
    row stay empty.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()
    for axis in axes[count:]:
        axis.axis("off")
    return figure, axes[:count]
