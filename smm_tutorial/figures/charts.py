"""Curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from smm_tutorial.figures.clustering import EMPHASIS, NEUTRAL, PANEL
from smm_tutorial.figures.palette import SLOT_COLORS, component_colors


def log_figure(log: Sequence[dict], names: Mapping[str, str]) -> Figure:
    """Curves of a run's log over its steps, one panel for each scalar that `names` gives a
    title.
    """
    figure = Figure(figsize=(3.6 * len(names), 2.4), layout="constrained")
    for axis, (name, label) in zip(
        figure.subplots(1, len(names), squeeze=False)[0], names.items(), strict=True
    ):
        points = [(entry["step"], entry[name]) for entry in log if name in entry]
        axis.plot(*zip(*points, strict=True), color=SLOT_COLORS[5])
        axis.set(xlabel="training step", title=label)
        axis.grid(alpha=0.3)
    return figure


LINE_STYLES = ("-", "--", ":", "-.")


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
    """Curves over `x` (M,), by name, told apart by colour and line style.

    touching: places to mark with a dot, numbered from 0. marker: a vertical line, with its name.
    legend_beside: where curves leave no room for it among them.
    """
    figure = Figure(
        figsize=((2.8 if legend_beside else 2) * PANEL, 1.15 * PANEL), layout="constrained"
    )
    axis = figure.subplots()
    colors = [NEUTRAL, *component_colors(len(curves))]
    for index, (name, values) in enumerate(curves.items()):
        style = LINE_STYLES[index % len(LINE_STYLES)]
        axis.plot(
            x, values, style, color=colors[index], label=name, linewidth=2 if index == 0 else 1.6
        )
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


def seeds_figure(results: Mapping[str, np.ndarray], xlabel: str) -> Figure:
    """One row a method, one dot a seed: `results` are the values (S,) of the seeds by method. Equal
    values fan out.
    """
    figure = Figure(figsize=(2.2 * PANEL, 0.4 + 0.6 * len(results)), layout="constrained")
    axis = figure.subplots()
    for row, (color, values) in enumerate(
        zip(component_colors(len(results)), results.values(), strict=True)
    ):
        heights = np.linspace(-0.3, 0.3, len(values))
        axis.plot(np.sort(values), row + heights, "o", color=color, markersize=4, alpha=0.8)
    axis.set(xlabel=xlabel, yticks=range(len(results)), ylim=(len(results) - 0.4, -0.6))
    axis.set_yticklabels(results)
    axis.grid(axis="x", alpha=0.3)
    return figure


def curve_figure(
    curves: Mapping[str, Mapping[str, Sequence[float]]],
    places: Sequence[float],
    label: str,
    mark: float,
) -> Figure:
    """Scores by a number that was varied: a panel for each metric, a line for each model, and a
    mark where it trained.
    """
    figure = Figure(figsize=(3.6 * len(curves), 2.5), layout="constrained")
    for axis, (metric, lines) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        for (name, values), color, style in zip(
            lines.items(), SLOT_COLORS[[5, 6, 3]], ("-o", "--s", ":^"), strict=False
        ):
            axis.plot(places, values, style, color=color, label=name, ms=4)
        axis.axvline(mark, color="0.6", lw=1)
        axis.set(xlabel=label, title=metric, ylim=(0, 1))
        axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure
