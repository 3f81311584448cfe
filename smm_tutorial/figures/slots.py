"""Sets of sticks in the plane for notebook 02, and its figures: who holds which point, whose
territory is where.

A slot has the colour that its number has in `figures.clustering`, in every panel.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from smm_tutorial.figures.clustering import MARGIN, PANEL, draw_step, ellipse_shape
from smm_tutorial.figures.palette import component_colors

GRID = 160  # cells of a territory's side

Sharing = Callable[[np.ndarray], np.ndarray]  # points (M, 2) -> shares (M, K)


@dataclass(frozen=True)
class SetStep:
    """Who holds which point after one iteration: `means (K, 2)` in the plane and `responsibilities
    (N, K)`.
    """

    means: np.ndarray
    responsibilities: np.ndarray
    covariances: np.ndarray | None = None  # (K, 2, 2), where a slot says one


# -------------------------------------------------------------------------------------------------------------- figures
def draw_point_set(axis: Axes, points: np.ndarray, step: SetStep) -> None:
    """Points (N, 2) in their slots' colours, the slots' means as crosses, their covariances as
    ellipses.
    """
    draw_step(axis, points, step)
    if step.covariances is None:
        return
    for mean, covariance, color in zip(
        step.means, step.covariances, component_colors(len(step.means)), strict=True
    ):
        width, height, angle = ellipse_shape(covariance)
        axis.add_patch(
            Ellipse(
                mean, 2 * width, 2 * height, angle=angle, fill=False, color=color, linewidth=1.2
            )
        )


def point_sets_figure(
    panels: Sequence[tuple[str, np.ndarray, SetStep]], columns: int = 4
) -> Figure:
    """One panel an entry (title, points (N, 2), step), row by row. Each panel has the range of its
    own points.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(
        figsize=(0.85 * PANEL * columns, (0.85 * PANEL + 0.2) * rows), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (title, points, step) in zip(axes, panels, strict=False):
        draw_point_set(axis, points, step)
        axis.set_title(title, fontsize=9)
    for axis in axes[len(panels) :]:
        axis.axis("off")
    return figure


def territories_figure(
    points: np.ndarray, means: np.ndarray, sharings: Mapping[str, Sharing]
) -> Figure:
    """Which slot would take which place: the plane in the slots' colours, mixed by the shares
    there.

    points (N, 2) give the range and are drawn on top; means (K, 2) are the crosses. The zero point
    is a ring.
    """
    figure = Figure(figsize=(PANEL * len(sharings), PANEL + 0.2), layout="constrained")
    margin = MARGIN * np.ptp(points, axis=0)
    (left, bottom), (right, top) = points.min(axis=0) - margin, points.max(axis=0) + margin
    x, y = np.meshgrid(np.linspace(left, right, GRID), np.linspace(bottom, top, GRID))
    places = np.stack([x.ravel(), y.ravel()], axis=1)  # (GRID^2, 2)
    colors = component_colors(len(means))
    for axis, (name, sharing) in zip(
        figure.subplots(1, len(sharings), squeeze=False)[0], sharings.items(), strict=True
    ):
        shades = 0.5 + 0.5 * (sharing(places) @ colors).clip(0, 1)  # paler than the crosses
        axis.imshow(
            shades.reshape(GRID, GRID, 3), origin="lower", extent=(left, right, bottom, top)
        )
        axis.scatter(*points.T, s=5, c="black", linewidths=0, alpha=0.6)
        axis.scatter(
            *means.T, s=80, c=colors, marker="X", edgecolors="black", linewidths=0.8, zorder=4
        )
        axis.plot(0, 0, "o", markersize=9, fillstyle="none", color="black")
        axis.set(xticks=[], yticks=[], xlim=(left, right), ylim=(bottom, top))
        axis.set_title(name, fontsize=10)
    return figure


def length_figure(
    points: np.ndarray, means: np.ndarray, factor: float, temperature: float = 1.0
) -> Figure:
    """Territories by distance and by bare dot product, once slot 0 of means (K, 2) is `factor`
    times as long.
    """
    means = np.concatenate([factor * means[:1], means[1:]])
    both = {
        "distance": lambda places: _softmax(
            -((places[:, None] - means) ** 2).sum(axis=2) / (2 * temperature)
        ),
        "bare dot product": lambda places: _softmax(places @ means.T / temperature),
    }
    return territories_figure(points, means, both)


def shares_figure(tables: Mapping[str, np.ndarray]) -> Figure:
    """Tables of shares (N, K) side by side: a row an input, a column a slot, darker is more, on one
    scale for all.
    """
    least, most = min(map(np.min, tables.values())), max(map(np.max, tables.values()))
    figure = Figure(figsize=(1.9 * len(tables) + 0.8, 2.6), layout="constrained")
    axes = figure.subplots(1, len(tables), squeeze=False)[0]
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        image = axis.imshow(
            table, cmap="Blues", vmin=least, vmax=most, aspect="auto", interpolation="nearest"
        )
        axis.set(xlabel="slot", xticks=range(table.shape[1]), yticks=[])
        axis.set_title(name, fontsize=9)
    axes[0].set_ylabel("input")
    figure.colorbar(image, ax=list(axes), label="share")
    return figure


def slot_step_figure(points: np.ndarray, steps: Sequence[SetStep], iteration: int) -> Figure:
    """A set (N, 2) after `iteration` iterations, from 1: who holds what, and the table of shares, a
    row a point.

    Raises:
        ValueError: `steps` has no such iteration.
    """
    if not 1 <= iteration <= len(steps):
        raise ValueError(
            f"iteration must be from 1 to {len(steps)}, the last of this history, got {iteration}"
        )
    step = steps[iteration - 1]
    figure = Figure(figsize=(2 * PANEL, 1.1 * PANEL), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    draw_point_set(left, points, step)
    left.set_title(f"iteration {iteration}", fontsize=10)
    right.imshow(
        step.responsibilities, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest"
    )
    right.set(
        xlabel="slot",
        ylabel="point, group by group",
        xticks=range(step.responsibilities.shape[1]),
        yticks=[],
    )
    right.set_title("shares", fontsize=10)
    return figure


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Along the last axis of (M, K)."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
