"""Rows of small pictures."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

THUMBNAIL = 1.25  # inches, the side of a small picture


def displayable(image: Tensor) -> np.ndarray:
    """An image `(3, H, W)` as matplotlib wants it: `(H, W, 3)`, cut to [0, 1]."""
    return image.detach().cpu().clamp(0, 1).permute(1, 2, 0).numpy()


def panels(
    rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], title: str | None = None
) -> Figure:
    """Rows of small pictures `(H, W, 3)`, with a title over each column."""
    columns = len(titles)
    figure = Figure(
        figsize=(THUMBNAIL * columns, THUMBNAIL * len(rows) + (0.55 if title else 0.25)),
        layout="constrained",
    )
    axes = figure.subplots(len(rows), columns, squeeze=False)
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
