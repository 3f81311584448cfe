"""Figures of clustering in the plane: points (N, 2), means, ellipses and the bound of EM.

A point's colour mixes the colours of the components by its responsibilities. So an uncertain point
has a mixed colour. A component has the same colour in every panel.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator

from smm_tutorial.clustering import KMeansStep, MixtureStep, SoftKMeans
from smm_tutorial.figures.layout import PANEL, panel_grid
from smm_tutorial.figures.palette import EMPHASIS, GRAY, NEUTRAL, component_colors

MARGIN = 0.06  # of the points' range, on each side
MOST_TICKS = 5  # intervals on each axis
RADII = (1, 2)  # standard deviations at which an ellipse is drawn


def covariance_matrices(
    covariances: np.ndarray, covariance_type: str, means: np.ndarray
) -> np.ndarray:
    """Covariances of any `covariance_type` as matrices (K, D, D). means: (K, D)."""
    count, features = means.shape
    if covariance_type in ("full", "tied"):
        return np.broadcast_to(covariances, (count, features, features))
    variances = covariances if covariance_type == "diag" else covariances[:, None]
    return np.broadcast_to(variances, means.shape)[:, :, None] * np.eye(features)


def ellipse_shape(covariance: np.ndarray) -> tuple[float, float, float]:
    """Full width, height and angle (degrees) of the ellipse at a distance of one standard
    deviation.

    covariance: (2, 2).
    """
    variances, axes = np.linalg.eigh(covariance)  # ascending; axes[:, i] belongs to variances[i]
    width, height = 2 * np.sqrt(variances[::-1])
    return width, height, float(np.degrees(np.arctan2(axes[1, 1], axes[0, 1])))


def draw_ellipse(
    axis: Axes,
    mean: np.ndarray,
    covariance: np.ndarray,
    color: np.ndarray,
    radius: float,
    linewidth: float,
) -> None:
    """The outline of a Gaussian, `radius` standard deviations from its mean (2,)."""
    width, height, angle = ellipse_shape(covariance)
    look = {"fill": False, "color": color, "linewidth": linewidth}
    axis.add_patch(Ellipse(mean, radius * width, radius * height, angle=angle, **look))


def point_limits(points: np.ndarray) -> np.ndarray:
    """The range of points (N, 2) with a margin: (2, 2), rows (left, right) and (bottom, top)."""
    margin = MARGIN * np.ptp(points, axis=0)
    return np.stack([points.min(axis=0) - margin, points.max(axis=0) + margin], axis=1)


def draw_points(axis: Axes, points: np.ndarray, responsibilities: np.ndarray | None = None) -> None:
    """Points (N, 2), coloured by responsibilities (N, K); grey without responsibilities."""
    if responsibilities is None:
        colors = np.broadcast_to(GRAY, (len(points), 3))
    else:
        colors = (responsibilities @ component_colors(responsibilities.shape[1])).clip(0, 1)
    axis.scatter(*points.T, s=9, c=colors, linewidths=0)
    axis.set(aspect="equal")
    axis.xaxis.set_major_locator(MaxNLocator(MOST_TICKS, integer=True))
    axis.yaxis.set_major_locator(MaxNLocator(MOST_TICKS, integer=True))


def draw_step(
    axis: Axes, points: np.ndarray, step: KMeansStep | MixtureStep, mark_area: float = 60
) -> None:
    """One entry of a `history_`: coloured points (N, 2), means as crosses, covariances as ellipses.

    The panel has the range of the points; an ellipse of an early step may be wider. mark_area: of a
    cross, in points squared.
    """
    draw_points(axis, points, step.responsibilities)
    xlim, ylim = point_limits(points)
    axis.set(xlim=xlim, ylim=ylim)
    colors = component_colors(len(step.means))
    if isinstance(step, MixtureStep):
        matrices = covariance_matrices(step.covariances, step.covariance_type, step.means)
        for mean, matrix, color in zip(step.means, matrices, colors, strict=True):
            for radius in RADII:
                draw_ellipse(axis, mean, matrix, color, radius, linewidth=1.6 / radius)
    axis.scatter(*step.means.T, s=1.8 * mark_area, c="white", marker="X", linewidths=0, zorder=3)
    look = {"marker": "X", "edgecolors": "black", "linewidths": 0.7, "zorder": 4}
    axis.scatter(*step.means.T, s=mark_area, c=colors, **look)


def name_features(axis: Axes) -> None:
    """Labels the axes of a panel of points."""
    axis.set(xlabel="feature 1", ylabel="feature 2")


def points_figure(points: np.ndarray) -> Figure:
    """Points (N, 2) before clustering, all in grey."""
    figure = Figure(figsize=(1.3 * PANEL, 1.3 * PANEL), layout="constrained")
    axis = figure.subplots()
    draw_points(axis, points)
    name_features(axis)
    return figure


def steps_figure(
    points: np.ndarray, steps: Mapping[str, KMeansStep | MixtureStep], columns: int = 4
) -> Figure:
    """Points (N, 2) with the clusters of several steps: one panel per step, by name."""
    figure, axes = panel_grid(len(steps), columns, PANEL, PANEL + 0.6, sharex=True, sharey=True)
    for axis, (name, step) in zip(axes, steps.items(), strict=True):
        draw_step(axis, points, step)
        name_features(axis)
        axis.set_title(name, fontsize=12)  # a page shows the figure smaller than it is
        axis.xaxis.label.set_fontsize(12)
        axis.yaxis.label.set_fontsize(12)
        axis.tick_params(labelsize=11)
        axis.label_outer()
    return figure


def em_step_figure(history: Sequence[MixtureStep], iteration: int) -> Figure:
    """EM after `iteration` iterations: the mixture on its points, and the current value of the
    bound.

    Raises:
        ValueError: `history` has no such iteration.
    """
    if not 0 <= iteration < len(history):
        raise ValueError(
            f"iteration must be from 0 to {len(history) - 1}, the last of this history, "
            f"got {iteration}"
        )
    step = history[iteration]
    figure = Figure(figsize=(2.4 * PANEL, 1.3 * PANEL), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_step(left, step.points, step)
    name_features(left)
    left.set_title(f"iteration {iteration}", fontsize=10)
    bounds = [entry.lower_bound for entry in history]
    right.plot(bounds, color=NEUTRAL, linewidth=1)
    right.plot(iteration, bounds[iteration], "o", color=EMPHASIS, markersize=8)
    right.set(xlabel="iteration", ylabel="mean log-likelihood, nats per point")
    right.set_title(f"iteration {iteration}: {bounds[iteration]:.4f} nats per point", fontsize=10)
    right.grid(alpha=0.3)
    return figure


def temperature_figure(points: np.ndarray, means_init: np.ndarray, temperature: float) -> Figure:
    """Soft k-means on points (N, 2) at a temperature: the clusters, and how certain each point is.

    means_init: (K, 2), where the means start. temperature: in squared units of the points; the
    circles have the radii sqrt(temperature) and 2 sqrt(temperature).
    """
    model = SoftKMeans(
        len(means_init), temperature=temperature, means_init=means_init, tol=1e-9, max_iter=500
    )
    step = model.fit(points).history_[-1]
    figure = Figure(figsize=(2.4 * PANEL, 1.3 * PANEL), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_step(left, points, step)
    name_features(left)
    left.set_title(f"temperature {temperature:.3g}", fontsize=10)
    right.hist(step.responsibilities.max(axis=1), bins=np.linspace(0, 1, 21), color=GRAY)
    chance = 1 / len(means_init)
    right.axvline(chance, color=EMPHASIS, linestyle="--", label="equal shares: 1 / K")
    right.set(xlabel="largest share of a point", ylabel="number of points", ylim=(0, len(points)))
    right.legend(loc="upper left", fontsize=9)
    return figure
