"""Figures of slots as Gaussians: a slot has a mean, variances and a weight.

Slot k has the colour of component k of `figures.clustering`, in every panel.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from smm_tutorial.clustering import MixtureStep
from smm_tutorial.figures.clustering import draw_points, draw_step
from smm_tutorial.figures.layout import PANEL
from smm_tutorial.figures.palette import EMPHASIS, LINE_STYLES, NEUTRAL, component_colors
from smm_tutorial.slots.as_mixture import reorder_to_groups


def clusterings_figure(
    rows: Mapping[str, tuple[np.ndarray, np.ndarray, Mapping[str, MixtureStep]]],
) -> Figure:
    """One row per set of points, by name: its true groups, then the clusters of each method.

    rows: (points (N, 2), true groups (N,), a step of each method by name). Slots have no order. So
    the slots of a method are sorted to agree best with the true groups, and colours match.
    """
    columns = 1 + max(len(steps) for _, _, steps in rows.values())
    side = 0.85 * PANEL
    figure = Figure(figsize=(side * columns, side * len(rows) + 0.5), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (name, (points, groups, steps)) in zip(axes, rows.items(), strict=True):
        draw_points(row[0], points, np.eye(groups.max() + 1)[groups])
        row[0].set(xlabel="feature 0", ylabel=f"{name}\nfeature 1")
        for axis, step in zip(row[1:], steps.values(), strict=True):
            draw_step(axis, points, reorder_to_groups(step, groups), mark_area=25)
            axis.set_xlabel("feature 0")
        row[0].set(xlim=row[1].get_xlim(), ylim=row[1].get_ylim())
    for axis, title in zip(axes[0], ["true groups", *next(iter(rows.values()))[2]], strict=True):
        axis.set_title(title, fontsize=11)
    figure.legend(handles=_step_marks(), fontsize=10, ncols=4, loc="outside lower center")
    return figure


def _step_marks() -> list[Line2D]:
    """The marks of `draw_step`, for a legend."""
    ellipse = {"marker": "o", "markerfacecolor": "none", "linestyle": "", "color": NEUTRAL}
    return [
        Line2D([], [], marker="X", linestyle="", color=NEUTRAL, markersize=8, label="mean"),
        Line2D([], [], **ellipse, markeredgewidth=1.6, markersize=7, label="1 standard deviation"),
        Line2D(
            [], [], **ellipse, markeredgewidth=0.8, markersize=12, label="2 standard deviations"
        ),
        Line2D([], [], marker=".", linestyle="", color=_mixed_color(), label="shared point"),
    ]


def _mixed_color() -> np.ndarray:
    """The colour of a point with equal responsibilities of two slots."""
    return component_colors(2).mean(axis=0)


def modules_figure(results: Mapping[str, Mapping[str, np.ndarray]], xlabel: str) -> Figure:
    """Values (S,) by question and module: one row per question, one dot per seed.

    A module has the same colour and marker in all rows. A vertical line marks 1, the error of
    constant answers. The seeds of a row are sorted: the best seed is at the top.
    """
    figure = Figure(figsize=(2.4 * PANEL, 0.6 + 0.62 * len(results)), layout="constrained")
    axis = figure.subplots()
    modules = list(next(iter(results.values())))
    looks = zip(modules, component_colors(len(modules)), "os^D", strict=False)
    for number, (module, color, marker) in enumerate(looks):
        for row, values in enumerate(answers[module] for answers in results.values()):
            middle = row + (number + 0.5) / len(modules) - 0.5
            heights = middle + np.linspace(-0.13, 0.13, len(values))
            label = None if row else module
            axis.plot(np.sort(values), heights, marker, color=color, markersize=4, label=label)
    axis.axvline(1, color=EMPHASIS, linestyle=":", label="constant answers")
    for border in np.arange(0.5, len(results) - 1):
        axis.axhline(border, color=NEUTRAL, linewidth=0.4)
    axis.set(xlabel=xlabel, xlim=(0, None), ylim=(len(results) - 0.4, -0.6))
    axis.set_yticks(range(len(results)), results)
    axis.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    axis.grid(axis="x", alpha=0.3)
    return figure


PLACES = np.linspace(-6, 6, 601)  # where the densities on a line are drawn


def weighted_densities(
    distance: float, variance_ratio: float, weight: float, log_determinant: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Densities and responsibilities of two slots on a line. The first slot has mean 0 and variance
    1.

    Args:
        distance: the second slot's mean.
        variance_ratio: the second slot's variance.
        weight: the first slot's, in (0, 1).
        log_determinant: whether densities are divided by their standard deviations. Without it,
            both densities have a peak of the same height.

    Returns:
        Weight times density, and responsibilities, at each of `PLACES`: `(601, 2)` each.
    """
    means, variances = np.array([0.0, distance]), np.array([1.0, variance_ratio])
    log_joint = np.log([weight, 1 - weight]) - 0.5 * (PLACES[:, None] - means) ** 2 / variances
    log_joint -= 0.5 * np.log(2 * np.pi)
    if log_determinant:
        log_joint -= 0.5 * np.log(variances)
    return np.exp(log_joint), np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1)[:, None])


def density_figure(
    distance: float = 0.0,
    variance_ratio: float = 9.0,
    weight: float = 0.5,
    log_determinant: bool = True,
) -> Figure:
    """Two slots on a line: weight times density above, responsibilities below.

    Arguments as in `weighted_densities`.
    """
    joint, responsibilities = weighted_densities(distance, variance_ratio, weight, log_determinant)
    figure = Figure(figsize=(2.2 * PANEL, 1.35 * PANEL), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    names = (
        f"slot 0: weight {weight:.2f}, variance 1",
        f"slot 1: weight {1 - weight:.2f}, variance {variance_ratio:.3g}",
    )
    owner = responsibilities.argmax(axis=1)
    for slot, (color, name) in enumerate(zip(component_colors(2), names, strict=True)):
        style = LINE_STYLES[slot]
        above.plot(PLACES, joint[:, slot], style, color=color, label=name)
        below.plot(PLACES, responsibilities[:, slot], style, color=color)
        below.fill_between(PLACES, 0, 1, where=owner == slot, color=color, alpha=0.15, linewidth=0)
    density = "density" if log_determinant else "density without\nthe log-determinant"
    above.set(ylabel=f"weight · {density}", ylim=(0, 1.5 * joint.max()))
    below.set(ylabel="responsibility", xlabel="key (shading: the slot that owns it)")
    below.set(ylim=(0, 1.02))
    above.legend(fontsize=9, loc="upper center", ncols=2, columnspacing=1)
    return figure


def two_variances_figure(values: np.ndarray, shares: np.ndarray, updated_mean: float) -> Figure:
    """One slot on a line, whose mean was updated and is no longer the weighted mean.

    Left: two Gaussians over the values (N,). Each value is a bar whose length shows its share (N,).
    The two variances are computed about the weighted mean and about the updated mean. Right: the
    weighted mean square about any place c. The two variances are two points of this curve.
    """
    places = {"weighted mean": shares @ values, "updated mean": updated_mean}
    variances = {name: shares @ (values - place) ** 2 for name, place in places.items()}
    largest = variances["updated mean"]
    first = min(values.min(), updated_mean) - np.sqrt(largest)
    last = max(values.max(), updated_mean) + np.sqrt(largest)
    line = np.linspace(first, last, 400)
    figure = Figure(figsize=(2.9 * PANEL, 1.25 * PANEL), layout="constrained")
    left, right = figure.subplots(1, 2)
    heights = shares * len(shares) * 0.1
    left.vlines(
        values, 0, heights, color=NEUTRAL, linewidth=1, label="values (longer bar: larger share)"
    )
    squares = np.array([shares @ (values - place) ** 2 for place in line])
    right.plot(line, squares, color=NEUTRAL, linewidth=1)
    looks = zip(LINE_STYLES, component_colors(2), strict=False)
    for (name, place), (style, color) in zip(places.items(), looks, strict=True):
        variance = variances[name]
        # both Gaussians are drawn at the slot's updated mean: only their widths differ
        exponent = -0.5 * (line - updated_mean) ** 2 / variance
        density = np.exp(exponent) / np.sqrt(2 * np.pi * variance)
        left.plot(line, density, style, color=color, label=f"variance about the {name}")
        right.plot(place, variance, "o", color=color, markersize=8, label=f"{name}: {variance:.2f}")
    left.axvline(updated_mean, color=EMPHASIS, linestyle=":", label="updated mean")
    left.axvline(places["weighted mean"], color=NEUTRAL, linestyle="-.", label="weighted mean")
    left.set(xlabel="value", ylabel="density of the Gaussians")
    left.set_title("two Gaussians at the updated mean", fontsize=11)
    left.set_ylim(0, 1.6 * left.get_ylim()[1])  # room for the legend
    left.legend(fontsize=9, loc="upper left", framealpha=1)
    right.set(xlabel="place c", ylabel="weighted mean of (value - c)²", ylim=(0, 2.4 * largest))
    right.set_title("variance about each place", fontsize=11)
    right.legend(fontsize=9, loc="upper center", title="variance about the")
    right.grid(alpha=0.3)
    return figure


def mixture_slots_figure(steps: Sequence[MixtureStep], iteration: int) -> Figure:
    """Slots after `iteration` iterations (from 0) on their points (N, 2), with weights and spreads.

    Raises:
        ValueError: `steps` has no such iteration.
    """
    if not 0 <= iteration < len(steps):
        raise ValueError(
            f"iteration must be from 0 to {len(steps) - 1}, the last of these steps, "
            f"got {iteration}"
        )
    figure = Figure(figsize=(3.1 * PANEL, 1.25 * PANEL), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    draw_step(left, steps[0].points, steps[iteration])
    left.set_title("the start" if iteration == 0 else f"iteration {iteration}", fontsize=11)
    left.set(xlabel="feature 0", ylabel="feature 1")
    slots, features = steps[0].means.shape
    for slot, color in enumerate(component_colors(slots)):
        weights = [step.weights[slot] for step in steps]
        _draw_curve(middle, weights, iteration, color, "-", f"slot {slot}")
        for feature, style in zip(range(features), LINE_STYLES, strict=False):
            spreads = [np.sqrt(step.covariances[slot, feature]) for step in steps]
            name = f"slot {slot}, feature {feature}"
            _draw_curve(right, spreads, iteration, color, style, name)
    middle.set(xlabel="iteration", title="weight", ylim=(0, 1))
    right.set(xlabel="iteration", title="standard deviation", ylim=(0, None))
    right.set_ylim(0, 1.5 * right.get_ylim()[1])  # room for the legend
    for axis in (middle, right):
        axis.title.set_fontsize(11)
        axis.axvline(iteration, color=EMPHASIS, linestyle=":", linewidth=1)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=9, loc="upper center")
    figure.legend(handles=_look_inside_marks(), fontsize=9, ncols=4, loc="outside lower center")
    return figure


def _look_inside_marks() -> list[Line2D]:
    now = Line2D([], [], color=EMPHASIS, linestyle=":", label="this iteration")
    return [*_step_marks()[:3], now]


def _draw_curve(
    axis: Axes, values: Sequence[float], marked: int, color: np.ndarray, style: str, name: str
) -> None:
    axis.plot(values, style, color=color, label=name, linewidth=1.5)
    axis.plot(marked, values[marked], "o", color=color, markersize=5)


def errors_figure(
    offsets: Sequence[float], errors: Mapping[str, Sequence[float]], bound: Sequence[float]
) -> Figure:
    """Largest error of a responsibility over the offset that was added to each feature, by method.

    Both axes are logarithmic. bound: for each offset, the error of the expanded square that the
    derivation predicts.
    """
    figure = Figure(figsize=(2.2 * PANEL, 1.3 * PANEL), layout="constrained")
    axis = figure.subplots()
    label = "expected for the expanded square"
    axis.plot(offsets, bound, color=NEUTRAL, linewidth=0.8, label=label)
    looks = zip(component_colors(len(errors)), ("s", "o", "^"), LINE_STYLES, strict=False)
    for (name, values), (color, marker, style) in zip(errors.items(), looks, strict=False):
        axis.plot(offsets, values, style, marker=marker, color=color, label=name)
    axis.set(xscale="log", yscale="log", ylim=(1e-8, 30))
    axis.set(xlabel="offset added to each feature", ylabel="largest error of a responsibility")
    axis.legend(fontsize=9)
    axis.grid(alpha=0.3)
    return figure
