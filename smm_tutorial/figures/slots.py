"""Figures of slots on points in the plane: the slot of each point, and the slot of each place.

Slot k has the colour of component k of `figures.clustering`, in every panel.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from scipy.special import softmax

from smm_tutorial.figures.clustering import draw_ellipse, draw_step, point_limits
from smm_tutorial.figures.layout import PANEL, panel_grid
from smm_tutorial.figures.palette import component_colors

GRID = 160  # cells along each side of the plane that shows territories

Sharing = Callable[[np.ndarray], np.ndarray]  # points (M, 2) -> shares (M, K)


@dataclass(frozen=True)
class SetStep:
    """Slots on a set of N points after one iteration.

    Attributes: `means (K, 2)` in the plane, `responsibilities (N, K)`, and `covariances (K, 2, 2)`
    or None for slots without covariances.
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
    panels: Sequence[tuple[str, np.ndarray, SetStep]],
    columns: int = 4,
    groups: np.ndarray | None = None,
) -> Figure:
    """One panel per entry (title, points (N, 2), step), all with the range of all that is drawn.

    groups: the group (N,) of each point; each group then has its number above its upper end.
    """
    figure, axes = panel_grid(len(panels), columns, 0.85 * PANEL, 0.85 * PANEL + 0.2)
    drawn = [part for _, points, step in panels for part in (points, *_corners(step))]
    xlim, ylim = _limits(drawn, groups)
    for axis, (title, points, step) in zip(axes, panels, strict=True):
        draw_point_set(axis, points, step)
        axis.set(xlim=xlim, ylim=ylim)
        _number_groups(axis, points, groups)
        _number_axes(axis)
        axis.set_title(title, fontsize=10)
    figure.supxlabel("first coordinate", fontsize=10)
    figure.supylabel("second coordinate", fontsize=10)
    return figure


def _corners(step: SetStep) -> Sequence[np.ndarray]:
    """The corners (K, 2) of the boxes around a step's ellipses, if it has some."""
    if step.covariances is None:
        return ()
    reach = 2 * np.sqrt(np.diagonal(step.covariances, axis1=1, axis2=2))  # (K, 2)
    return step.means - reach, step.means + reach


def _limits(drawn: Sequence[np.ndarray], groups: np.ndarray | None) -> np.ndarray:
    """The range of all that is drawn, (2, 2), with room above for the numbers of groups."""
    xlim, (bottom, top) = point_limits(np.concatenate(drawn))
    room = 0.0 if groups is None else 0.06 * (top - bottom)
    return np.array([xlim, (bottom, top + room)])


def _number_groups(axis: Axes, points: np.ndarray, groups: np.ndarray | None) -> None:
    """The number of each group above its upper end, with a white edge."""
    if groups is None:
        return
    edge = [withStroke(linewidth=2.5, foreground="white")]
    look = {"ha": "center", "fontsize": 10, "path_effects": edge, "zorder": 5}
    for group in np.unique(groups):
        members = points[groups == group]
        upper_end = members[members[:, 1].argmax()]
        axis.annotate(str(group), upper_end, (0, 3), textcoords="offset points", **look)


def _number_axes(axis: Axes) -> None:
    """Puts a few numbers along each axis, so that distances can be read."""
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axis.tick_params(labelsize=9)


def territories_figure(
    points: np.ndarray,
    means: np.ndarray,
    sharings: Mapping[str, Sharing],
    zero: bool = False,
    groups: np.ndarray | None = None,
) -> Figure:
    """The regions of the slots: the plane in the slots' colours, one panel per sharing.

    points: (N, 2), drawn on top; they give the range. means: (K, 2), drawn as crosses. sharings:
    functions from places (M, 2) to the slots' shares (M, K), by name. zero: whether a ring marks
    the zero point. groups: the group (N,) of each point, for numbers at the groups.
    """
    figure, axes = panel_grid(len(sharings), len(sharings), PANEL, PANEL + 0.2)
    xlim, ylim = _limits([points], groups)
    x, y = np.meshgrid(np.linspace(*xlim, GRID), np.linspace(*ylim, GRID))
    places = np.stack([x.ravel(), y.ravel()], axis=1)  # (GRID^2, 2)
    colors = component_colors(len(means))
    look = {"marker": "X", "edgecolors": "black", "linewidths": 0.8, "zorder": 4}
    for axis, (name, sharing) in zip(axes, sharings.items(), strict=True):
        shades = 0.5 + 0.5 * (sharing(places) @ colors).clip(0, 1)  # paler than the crosses
        axis.imshow(shades.reshape(GRID, GRID, 3), origin="lower", extent=(*xlim, *ylim))
        axis.scatter(*points.T, s=5, c="black", linewidths=0, alpha=0.6)
        axis.scatter(*means.T, s=80, c=colors, **look)
        if zero:
            axis.plot(0, 0, "o", markersize=9, fillstyle="none", color="black")
            axis.annotate("zero", (0, 0), (7, 5), textcoords="offset points", fontsize=9)
        axis.set(xlim=xlim, ylim=ylim, xlabel="first coordinate")
        _number_groups(axis, points, groups)
        _number_axes(axis)
        axis.set_title(name, fontsize=10)
    axes[0].set_ylabel("second coordinate")
    return figure


def length_figure(
    points: np.ndarray, means: np.ndarray, factor: float, temperature: float = 0.3
) -> Figure:
    """Regions of the slots by distance and by bare dot product. Slot 0 is multiplied by `factor`.

    points: (N, 2). means: (K, 2).
    """
    means = np.concatenate([factor * means[:1], means[1:]])

    def share_by_distance(places: np.ndarray) -> np.ndarray:
        squares = ((places[:, None] - means) ** 2).sum(axis=2)  # (M, K)
        return softmax(-squares / (2 * temperature), axis=1)

    def share_by_dot_product(places: np.ndarray) -> np.ndarray:
        return softmax(places @ means.T / temperature, axis=1)

    sharings = {"distance": share_by_distance, "bare dot product": share_by_dot_product}
    return territories_figure(points, means, sharings, zero=True)


def shares_figure(
    tables: Mapping[str, np.ndarray], groups: np.ndarray | None = None, label: str = "share"
) -> Figure:
    """Tables of shares (N, K) side by side, one row per input, one column per slot.

    A darker cell is a larger share, on one scale for all tables. groups: the group (N,) of each
    input, sorted; lines separate the groups. label: of the scale.
    """
    least, most = min(map(np.min, tables.values())), max(map(np.max, tables.values()))
    figure = Figure(figsize=(2.2 * len(tables) + 1.0, 3.0), layout="constrained")
    axes = figure.subplots(1, len(tables), squeeze=False)[0]
    look = {"cmap": "Blues", "aspect": "auto", "interpolation": "nearest"}
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        image = axis.imshow(table, vmin=least, vmax=most, **look)
        axis.set(xlabel="slot", xticks=range(table.shape[1]))
        _name_rows(axis, len(table), groups)
        axis.set_title(name, fontsize=10)
    axes[0].set_ylabel("input" if groups is None else "input, stick by stick")
    figure.colorbar(image, ax=list(axes), label=label)
    return figure


def _name_rows(axis: Axes, rows: int, groups: np.ndarray | None) -> None:
    """Numbers the rows of a table, or names its groups of rows and draws lines between them."""
    if groups is None:
        axis.set_yticks(range(rows))
        return
    names, first, sizes = np.unique(groups, return_index=True, return_counts=True)
    axis.set_yticks(first + (sizes - 1) / 2, [f"stick {name}" for name in names])
    for border in first[1:]:
        axis.axhline(border - 0.5, color="0.4", linewidth=0.8)


def slot_step_figure(
    points: np.ndarray, steps: Sequence[SetStep], iteration: int, groups: np.ndarray | None = None
) -> Figure:
    """Slots on points (N, 2) after `iteration` iterations, from 1, beside the table of shares.

    groups: the group (N,) of each point, sorted, for numbers at the groups and for lines between
    them in the table.

    Raises:
        ValueError: `steps` has no such iteration.
    """
    if not 1 <= iteration <= len(steps):
        raise ValueError(
            f"iteration must be from 1 to {len(steps)}, the last of this history, got {iteration}"
        )
    step = steps[iteration - 1]
    figure = Figure(figsize=(2.4 * PANEL, 1.2 * PANEL), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    draw_point_set(left, points, step)
    _number_groups(left, points, groups)
    drawn = [points, *(part for one in steps for part in _corners(one))]  # one range for all steps
    xlim, ylim = _limits(drawn, groups)
    left.set(xlim=xlim, ylim=ylim, xlabel="first coordinate", ylabel="second coordinate")
    _number_axes(left)
    left.set_title(f"iteration {iteration}", fontsize=10)
    look = {"cmap": "Blues", "aspect": "auto", "interpolation": "nearest"}
    image = right.imshow(step.responsibilities, vmin=0, vmax=1, **look)
    right.set(xlabel="slot", xticks=range(step.responsibilities.shape[1]))
    if groups is None:
        right.set(ylabel="point", yticks=[])
    else:
        _name_rows(right, len(points), groups)
    right.set_title("shares", fontsize=10)
    figure.colorbar(image, ax=right, label="share")
    return figure
