"""Figures and small data of notebook 03: slots as Gaussians, drawn as the mixtures that they are.

A slot has the same colour in every panel, that of the component of the same number in
`figures.clustering`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from smm_tutorial.clustering import MixtureStep
from smm_tutorial.figures.clustering import EMPHASIS, NEUTRAL, PANEL, draw_points, draw_step
from smm_tutorial.figures.palette import component_colors
from smm_tutorial.slots.as_mixture import reorder_to_groups

PLACES = np.linspace(-6, 6, 601)  # where the one-dimensional densities are drawn
FEATURE_STYLES = ("-", "--", ":", "-.")  # one a feature


# ----------------------------------------------------------------------------------------------------------------- data


# --------------------------------------------------------------------------------------------------
# slots as mixtures


# -------------------------------------------------------------------------------------------------------------- figures


def clusterings_figure(
    rows: Mapping[str, tuple[np.ndarray, np.ndarray, Mapping[str, MixtureStep]]],
) -> Figure:
    """A row for each set of points, by name: (points (N, 2), true groups (N,), what each method
    made of them, by name).

    Slots have no order, so each method's are put in that order which agrees best with the true
    groups: colours then match.
    """
    columns = 1 + max(len(steps) for _, _, steps in rows.values())
    figure = Figure(
        figsize=(0.85 * PANEL * columns, 0.85 * PANEL * len(rows)), layout="constrained"
    )
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (name, (points, groups, steps)) in zip(axes, rows.items(), strict=True):
        draw_points(row[0], points, np.eye(groups.max() + 1)[groups])
        row[0].set_ylabel(name, fontsize=11)
        for axis, step in zip(row[1:], steps.values(), strict=True):
            draw_step(axis, points, reorder_to_groups(step, groups))
        row[0].set(xlim=row[1].get_xlim(), ylim=row[1].get_ylim())
    for axis, title in zip(axes[0], ["true groups", *next(iter(rows.values()))[2]], strict=True):
        axis.set_title(title, fontsize=10)
    return figure


def modules_figure(results: Mapping[str, Mapping[str, np.ndarray]], xlabel: str) -> Figure:
    """Values (S,), one dot a seed, by question and module; a module has one colour and marker
    throughout, a line marks 1.
    """
    figure = Figure(figsize=(2.4 * PANEL, 0.6 + 0.62 * len(results)), layout="constrained")
    axis = figure.subplots()
    names = list(next(iter(results.values())))
    for module, (name, color, marker) in enumerate(
        zip(names, component_colors(len(names)), "os^D", strict=False)
    ):
        for row, values in enumerate(values_by_name[name] for values_by_name in results.values()):
            heights = (
                row + (module + 0.5) / len(names) - 0.5 + np.linspace(-0.13, 0.13, len(values))
            )
            axis.plot(
                np.sort(values),
                heights,
                marker,
                color=color,
                markersize=4,
                label=None if row else name,
            )
    axis.axvline(1, color=EMPHASIS, linestyle=":", label="constant answer")
    for border in np.arange(0.5, len(results) - 1):
        axis.axhline(border, color=NEUTRAL, linewidth=0.4)
    axis.set(
        xlabel=xlabel, xlim=(0, None), yticks=range(len(results)), ylim=(len(results) - 0.4, -0.6)
    )
    axis.set_yticklabels(results)
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    axis.grid(axis="x", alpha=0.3)
    return figure


def weighted_densities(
    distance: float, variance_ratio: float, weight: float, log_determinant: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Two slots on a line, the first of variance 1 at 0 -> weighted densities and responsibilities,
    `(601, 2)` each.

    distance: the second slot's mean. variance_ratio: its variance. weight: the first slot's, in (0,
    1).
    log_determinant: whether densities are divided by their standard deviations; without, each peaks
    at the same height.
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
    """Two slots on a line: weight times density above, responsibilities below. Arguments as in
    `weighted_densities`.
    """
    joint, responsibilities = weighted_densities(distance, variance_ratio, weight, log_determinant)
    figure = Figure(figsize=(2 * PANEL, 1.35 * PANEL), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2]})
    names = (
        f"slot 0: weight {weight:.2f}, variance 1",
        f"slot 1: weight {1 - weight:.2f}, variance {variance_ratio:.3g}",
    )
    for slot, (color, name) in enumerate(zip(component_colors(2), names, strict=True)):
        style = FEATURE_STYLES[slot]
        above.plot(PLACES, joint[:, slot], style, color=color, label=name)
        below.plot(PLACES, responsibilities[:, slot], style, color=color)
    owner = responsibilities.argmax(axis=1)
    for slot, color in enumerate(component_colors(2)):
        below.fill_between(PLACES, 0, 1, where=owner == slot, color=color, alpha=0.15, linewidth=0)
    above.set(ylabel="weight x density", ylim=(0, 1.12 * joint.max()))
    below.set(ylabel="responsibility", xlabel="key", ylim=(0, 1.02))
    above.legend(fontsize=8, loc="upper right")
    return figure


def two_variances_figure(values: np.ndarray, shares: np.ndarray, updated_mean: float) -> Figure:
    """One slot's values (N,) on a line, its shares (N,) that sum to 1, and a mean that has moved
    off the weighted mean.

    Left: the values, as long as their shares, under the Gaussians about the weighted and about the
    updated mean.
    Right: the weighted mean square about any place; the two variances are two of its points.
    """
    weighted_mean = shares @ values
    places = {"weighted mean": weighted_mean, "updated mean": updated_mean}
    spreads = {name: shares @ (values - place) ** 2 for name, place in places.items()}
    spread = np.sqrt(spreads["updated mean"])
    line = np.linspace(
        min(values.min(), updated_mean) - spread, max(values.max(), updated_mean) + spread, 400
    )
    figure = Figure(figsize=(2.7 * PANEL, 1.05 * PANEL), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.vlines(
        values, 0, shares * len(shares) * 0.1, color=NEUTRAL, linewidth=1, label="values, by share"
    )
    parabola = np.array([shares @ (values - place) ** 2 for place in line])
    right.plot(line, parabola, color=NEUTRAL, linewidth=1)
    for (name, place), style, color in zip(
        places.items(), ("-", "--"), component_colors(2), strict=True
    ):
        variance = spreads[name]
        # both Gaussians sit where the slot's mean is, on the updated mean: only their widths differ
        density = np.exp(-0.5 * (line - updated_mean) ** 2 / variance) / np.sqrt(
            2 * np.pi * variance
        )
        left.plot(line, density, style, color=color, label=f"variance about the {name}")
        right.plot(place, variance, "o", color=color, markersize=8, label=f"{name}: {variance:.2f}")
    left.axvline(updated_mean, color=EMPHASIS, linestyle=":", label="the slot's mean")
    left.set(xlabel="value", ylabel="density")
    right.set(
        xlabel="place", ylabel="mean square about it", ylim=(0, 2.2 * spreads["updated mean"])
    )
    left.set_ylim(0, 1.75 * left.get_ylim()[1])  # room for the legend
    left.legend(fontsize=8, loc="upper left")
    right.legend(fontsize=9, loc="upper center")
    right.grid(alpha=0.3)
    return figure


def mixture_slots_figure(steps: Sequence[MixtureStep], iteration: int) -> Figure:
    """Slots after `iteration` iterations: on their points (N, 2), and each one's weight and spread
    over all iterations.

    steps: the start, then one entry an iteration, as `as_mixture_step` makes them.

    Raises:
        ValueError: `steps` has no such iteration.
    """
    if not 0 <= iteration < len(steps):
        raise ValueError(
            f"iteration must be from 0 to {len(steps) - 1}, the last of these steps, got {iteration}"
        )
    figure = Figure(figsize=(3.1 * PANEL, 1.1 * PANEL), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    draw_step(left, steps[0].points, steps[iteration])
    left.set_title("the start" if iteration == 0 else f"iteration {iteration}", fontsize=10)
    for slot, color in enumerate(component_colors(len(steps[0].means))):
        _curve(
            middle, [step.weights[slot] for step in steps], iteration, color, "-", f"slot {slot}"
        )
        for feature, style in zip(range(steps[0].means.shape[1]), FEATURE_STYLES, strict=False):
            spread = [np.sqrt(step.covariances[slot, feature]) for step in steps]
            _curve(right, spread, iteration, color, style, f"slot {slot}, feature {feature}")
    middle.set(xlabel="iteration", title="weight", ylim=(0, 1))
    right.set(xlabel="iteration", title="standard deviation", ylim=(0, None))
    for axis in (middle, right):
        axis.title.set_fontsize(10)
        axis.axvline(iteration, color=EMPHASIS, linestyle=":", linewidth=1)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    return figure


def _curve(
    axis: Axes, values: Sequence[float], marked: int, color: np.ndarray, style: str, name: str
) -> None:
    axis.plot(values, style, color=color, label=name, linewidth=1.5)
    axis.plot(marked, values[marked], "o", color=color, markersize=5)


def errors_figure(
    offsets: Sequence[float], errors: Mapping[str, Sequence[float]], bound: Sequence[float]
) -> Figure:
    """Largest error of the responsibilities against the data's distance from zero, by method; both
    axes logarithmic.

    bound: what the derivation expects of the expanded square, drawn as a thin line.
    """
    figure = Figure(figsize=(2 * PANEL, 1.2 * PANEL), layout="constrained")
    axis = figure.subplots()
    axis.plot(
        offsets, bound, color=NEUTRAL, linewidth=0.8, label="expected: eps x offset² / variance"
    )
    markers = zip(
        errors.items(), component_colors(len(errors)), ("s", "o", "^"), FEATURE_STYLES, strict=False
    )
    for (name, values), color, marker, style in markers:
        axis.plot(offsets, values, style, marker=marker, color=color, label=name)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="distance of the data from zero",
        ylabel="largest error of a responsibility",
    )
    axis.set_ylim(1e-8, 30)
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    return figure


# --------------------------------------------------------------------------------------------------------- what is kept
