"""Figures of slots on points in the plane: who holds which point, and which place is whose.

A slot has the colour of its number, as a component has in `figures.clustering`, in every panel.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import softmax

from smm_tutorial.figures.clustering import draw_ellipse, draw_step, point_limits
from smm_tutorial.figures.layout import PANEL, panel_grid
from smm_tutorial.figures.palette import component_colors

GRID = 160  # cells along each side of the plane that shows territories

Sharing = Callable[[np.ndarray], np.ndarray]  # points (M, 2) -> shares (M, K)


@dataclass(frozen=True)
class SetStep:
    """Slots on a set of points after one iteration.

    Attributes: `means (K, 2)` in the plane, `responsibilities (N, K)` and, where the slots have
    some, `covariances (K, 2, 2)`.
    """

    means: np.ndarray
    responsibilities: np.ndarray
    covariances: np.ndarray | None = None


def draw_point_set(axis: Axes, points: np.ndarray, step: SetStep) -> None:
    """Points (N, 2) in their slots' colours, means as crosses, covariances as ellipses."""
    draw_step(axis, points, step)
    if step.covariances is not None:
        colors = component_colors(len(step.means))
        for mean, covariance, color in zip(step.means, step.covariances, colors, strict=True):
            draw_ellipse(axis, mean, covariance, color, radius=2, linewidth=1.2)


def point_sets_figure(
    panels: Sequence[tuple[str, np.ndarray, SetStep]], columns: int = 4
) -> Figure:
    """One panel per entry (title, points (N, 2), step), each with the range of its own points."""
    figure, axes = panel_grid(len(panels), columns, 0.85 * PANEL, 0.85 * PANEL + 0.2)
    for axis, (title, points, step) in zip(axes, panels, strict=True):
        draw_point_set(axis, points, step)
        axis.set_title(title, fontsize=9)
    return figure


def territories_figure(
    points: np.ndarray, means: np.ndarray, sharings: Mapping[str, Sharing]
) -> Figure:
    """Which slot would take which place: the plane in the slots' colours, one panel per sharing.

    points (N, 2) give the range and are drawn on top; means (K, 2) are the crosses. The zero point
    is a ring.
    """
    figure, axes = panel_grid(len(sharings), len(sharings), PANEL, PANEL + 0.2)
    xlim, ylim = point_limits(points)
    x, y = np.meshgrid(np.linspace(*xlim, GRID), np.linspace(*ylim, GRID))
    places = np.stack([x.ravel(), y.ravel()], axis=1)  # (GRID^2, 2)
    colors = component_colors(len(means))
    look = {"marker": "X", "edgecolors": "black", "linewidths": 0.8, "zorder": 4}
    for axis, (name, sharing) in zip(axes, sharings.items(), strict=True):
        shades = 0.5 + 0.5 * (sharing(places) @ colors).clip(0, 1)  # paler than the crosses
        axis.imshow(shades.reshape(GRID, GRID, 3), origin="lower", extent=(*xlim, *ylim))
        axis.scatter(*points.T, s=5, c="black", linewidths=0, alpha=0.6)
        axis.scatter(*means.T, s=80, c=colors, **look)
        axis.plot(0, 0, "o", markersize=9, fillstyle="none", color="black")
        axis.set(xticks=[], yticks=[], xlim=xlim, ylim=ylim)
        axis.set_title(name, fontsize=10)
    return figure


def length_figure(
    points: np.ndarray, means: np.ndarray, factor: float, temperature: float = 1.0
) -> Figure:
    """Territories by distance and by bare dot product, with slot 0 `factor` times as long.

    points (N, 2), means (K, 2).
    """
    means = np.concatenate([factor * means[:1], means[1:]])

    def share_by_distance(places: np.ndarray) -> np.ndarray:
        squares = ((places[:, None] - means) ** 2).sum(axis=2)  # (M, K)
        return softmax(-squares / (2 * temperature), axis=1)

    def share_by_dot_product(places: np.ndarray) -> np.ndarray:
        return softmax(places @ means.T / temperature, axis=1)

    sharings = {"distance": share_by_distance, "bare dot product": share_by_dot_product}
    return territories_figure(points, means, sharings)


def shares_figure(tables: Mapping[str, np.ndarray]) -> Figure:
    """Tables of shares (N, K) side by side, one row per input, one column per slot.

    Darker is more, on one scale for all tables.
    """
    least, most = min(map(np.min, tables.values())), max(map(np.max, tables.values()))
    figure = Figure(figsize=(1.9 * len(tables) + 0.8, 2.6), layout="constrained")
    axes = figure.subplots(1, len(tables), squeeze=False)[0]
    look = {"cmap": "Blues", "aspect": "auto", "interpolation": "nearest"}
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        image = axis.imshow(table, vmin=least, vmax=most, **look)
        axis.set(xlabel="slot", xticks=range(table.shape[1]), yticks=[])
        axis.set_title(name, fontsize=9)
    axes[0].set_ylabel("input")
    figure.colorbar(image, ax=list(axes), label="share")
    return figure


def slot_step_figure(points: np.ndarray, steps: Sequence[SetStep], iteration: int) -> Figure:
    """Slots on points (N, 2) after `iteration` iterations, from 1, beside the table of shares.

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
    look = {"cmap": "Blues", "aspect": "auto", "interpolation": "nearest"}
    right.imshow(step.responsibilities, vmin=0, vmax=1, **look)
    slots = range(step.responsibilities.shape[1])
    right.set(xlabel="slot", ylabel="point, group by group", xticks=slots, yticks=[])
    right.set_title("shares", fontsize=10)
    return figure
