"""Charts of any subject: curves, the log of a run, scores of several models or seeds."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from smm_tutorial.figures.layout import PANEL, panel_grid
from smm_tutorial.figures.palette import (
    BLUE,
    EMPHASIS,
    GREEN,
    LINE_STYLES,
    NEUTRAL,
    VERMILION,
    component_colors,
)


def curves_figure(
    x: np.ndarray,
    curves: Mapping[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    *,
    touching: Sequence[tuple[float, float]] = (),
    marker: tuple[str, float] | None = None,
    log_x: bool = False,
    legend_beside: bool = False,
) -> Figure:
    """Curves over `x` (M,), by name, in one panel. Each has its own colour and line style.

    touching: places (x, y) to mark with dots, which get numbers from 0. marker: name and place of a
    vertical line. legend_beside: whether the legend stands beside the panel instead of inside.
    """
    width = 2.8 if legend_beside else 2
    figure = Figure(figsize=(width * PANEL, 1.15 * PANEL), layout="constrained")
    axis = figure.subplots()
    colors = [NEUTRAL, *component_colors(len(curves))]
    for index, (name, values) in enumerate(curves.items()):
        style, thickness = LINE_STYLES[index % len(LINE_STYLES)], 1.6 if index else 2
        axis.plot(x, values, style, color=colors[index], label=name, linewidth=thickness)
    for number, place in enumerate(touching):
        axis.plot(*place, "o", color=EMPHASIS)
        axis.annotate(str(number), place, xytext=(0, 7), textcoords="offset points", ha="center")
    if marker:
        axis.axvline(marker[1], color=EMPHASIS, linestyle=":", label=marker[0])
    axis.set(xlabel=xlabel, ylabel=ylabel, xscale="log" if log_x else "linear")
    if legend_beside:
        figure.legend(fontsize=9, loc="outside right upper")
    else:
        axis.legend(fontsize=9)
    axis.grid(alpha=0.3)
    return figure


def log_figure(log: Sequence[dict], titles: Mapping[str, str]) -> Figure:
    """The log of a run over its training steps: one panel per quantity in `titles`.

    log: one dictionary of scalars per logged step. titles: a panel's title, by quantity.
    """
    figure, axes = panel_grid(len(titles), len(titles), 3.6, 2.4)
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        points = [(entry["step"], entry[name]) for entry in log if name in entry]
        axis.plot(*zip(*points, strict=True), color=BLUE)
        axis.set(xlabel="training step", title=title)
        axis.xaxis.set_major_locator(MaxNLocator(4))  # more labels would touch
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.grid(alpha=0.3)
    return figure


def metrics_figure(
    curves: Mapping[str, Mapping[str, Sequence[float]]],
    x: Sequence[float],
    xlabel: str,
    mark: float,
) -> Figure:
    """Scores in [0, 1] over `x`: one panel per metric, one line per model, at most three models.

    mark: place of a vertical line, such as the value that the models were trained with.
    """
    figure, axes = panel_grid(len(curves), len(curves), 3.6, 2.5)
    for axis, (metric, lines) in zip(axes, curves.items(), strict=True):
        looks = zip((BLUE, VERMILION, GREEN), ("-o", "--s", ":^"), strict=True)
        for (name, values), (color, style) in zip(lines.items(), looks, strict=False):
            axis.plot(x, values, style, color=color, label=name, ms=4)
        axis.axvline(mark, color="0.6", lw=1)
        axis.set(xlabel=xlabel, title=metric, ylim=(0, 1))
        axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure


def seeds_figure(results: Mapping[str, np.ndarray], xlabel: str) -> Figure:
    """One value per seed (S,), by method: one row per method, one dot per seed.

    The dots of a row are sorted and spread out, so that equal values do not hide each other.
    """
    figure = Figure(figsize=(2.2 * PANEL, 0.4 + 0.6 * len(results)), layout="constrained")
    axis = figure.subplots()
    rows = zip(component_colors(len(results)), results.values(), strict=True)
    for row, (color, values) in enumerate(rows):
        heights = row + np.linspace(-0.3, 0.3, len(values))
        axis.plot(np.sort(values), heights, "o", color=color, markersize=4, alpha=0.8)
    axis.set(xlabel=xlabel, yticks=range(len(results)), ylim=(len(results) - 0.4, -0.6))
    axis.set_yticklabels(results)
    axis.grid(axis="x", alpha=0.3)
    return figure
