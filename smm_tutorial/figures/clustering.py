"""Figures of clustering in the plane: points (N, 2) in the colours of their components, ellipses,
curves of the bound.

A point's colour mixes the components' colours by its responsibilities, so a point in doubt looks in
doubt. A component has the same colour in every panel.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from smm_tutorial.clustering import KMeansStep, MixtureStep, SoftKMeans
from smm_tutorial.figures.palette import SLOT_COLORS, component_colors

NEUTRAL, EMPHASIS = SLOT_COLORS[8], SLOT_COLORS[6]  # for curves that belong to no component
PANEL = 2.9  # inches, the side of a panel of points
MARGIN = 0.06  # of the points' range, on each side
RADII = (1, 2)  # standard deviations at which an ellipse is drawn


def covariance_matrices(
    covariances: np.ndarray, covariance_type: str, means: np.ndarray
) -> np.ndarray:
    """Covariances in the shape of their type as matrices (K, D, D), for means (K, D)."""
    count, features = means.shape
    if covariance_type in ("full", "tied"):
        return np.broadcast_to(covariances, (count, features, features))
    variances = covariances if covariance_type == "diag" else covariances[:, None]
    return np.broadcast_to(variances, means.shape)[:, :, None] * np.eye(features)


def ellipse_shape(covariance: np.ndarray) -> tuple[float, float, float]:
    """Full width and height of the ellipse one standard deviation out, and its angle in degrees,
    for a (2, 2) matrix.
    """
    variances, axes = np.linalg.eigh(covariance)  # ascending; axes[:, i] belongs to variances[i]
    width, height = 2 * np.sqrt(variances[::-1])
    return width, height, float(np.degrees(np.arctan2(axes[1, 1], axes[0, 1])))


def draw_points(axis: Axes, points: np.ndarray, responsibilities: np.ndarray | None = None) -> None:
    """Points (N, 2) in their components' colours, mixed by responsibilities (N, K); in grey without
    them.
    """
    if responsibilities is None:
        colors = np.broadcast_to(SLOT_COLORS[0], (len(points), 3))
    else:
        colors = (responsibilities @ component_colors(responsibilities.shape[1])).clip(0, 1)
    axis.scatter(*points.T, s=9, c=colors, linewidths=0)
    axis.set(aspect="equal", xticks=[], yticks=[])


def draw_step(axis: Axes, points: np.ndarray, step: KMeansStep | MixtureStep) -> None:
    """One entry of a `history_`: points (N, 2) by responsibility, means as crosses, covariances as
    ellipses.
    """
    draw_points(axis, points, step.responsibilities)
    margin = MARGIN * np.ptp(points, axis=0)
    (left, bottom), (right, top) = points.min(axis=0) - margin, points.max(axis=0) + margin
    axis.set(
        xlim=(left, right), ylim=(bottom, top)
    )  # an early ellipse may be wider: let it leave the panel
    matrices = ()
    if isinstance(step, MixtureStep):
        matrices = covariance_matrices(step.covariances, step.covariance_type, step.means)
    colors = component_colors(len(step.means))
    for mean, matrix, color in zip(step.means, matrices, colors, strict=False):
        width, height, angle = ellipse_shape(matrix)
        for radius in RADII:
            size = (radius * width, radius * height)
            axis.add_patch(
                Ellipse(mean, *size, angle=angle, fill=False, color=color, linewidth=1.6 / radius)
            )
    axis.scatter(*step.means.T, s=110, c="white", marker="X", linewidths=0, zorder=3)
    axis.scatter(
        *step.means.T, s=60, c=colors, marker="X", edgecolors="black", linewidths=0.7, zorder=4
    )


def points_figure(points: np.ndarray) -> Figure:
    """Points (N, 2) that nobody has grouped yet."""
    figure = Figure(figsize=(PANEL, PANEL), layout="constrained")
    draw_points(figure.subplots(), points)
    return figure


def steps_figure(
    points: np.ndarray,
    steps: Mapping[str, KMeansStep | MixtureStep],
    columns: int = 4,
    title: str | None = None,
) -> Figure:
    """Points (N, 2) as grouped by each of several steps, one panel a step, by name."""
    columns = min(columns, len(steps))
    rows = -(-len(steps) // columns)
    figure = Figure(figsize=(PANEL * columns, (PANEL + 0.2) * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axis, (name, step) in zip(axes, steps.items(), strict=False):
        draw_step(axis, points, step)
        axis.set_title(name, fontsize=10)
    for axis in axes[len(steps) :]:
        axis.axis("off")
    if title:
        figure.suptitle(title)
    return figure


def em_step_figure(history: Sequence[MixtureStep], iteration: int) -> Figure:
    """Where EM stands after `iteration` iterations: the mixture on its points, and its place on the
    bound's curve.

    Raises:
        ValueError: `history` has no such iteration.
    """
    if not 0 <= iteration < len(history):
        raise ValueError(
            f"iteration must be from 0 to {len(history) - 1}, the last of this history, got {iteration}"
        )
    step = history[iteration]
    figure = Figure(figsize=(2.4 * PANEL, 1.15 * PANEL), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_step(left, step.points, step)
    left.set_title(
        f"after {iteration} iterations" if iteration != 1 else "after 1 iteration", fontsize=10
    )
    bounds = [entry.lower_bound for entry in history]
    right.plot(bounds, color=NEUTRAL, linewidth=1)
    right.plot(iteration, bounds[iteration], "o", color=EMPHASIS, markersize=8)
    right.set(xlabel="iteration", ylabel="log-likelihood of a point, nats")
    right.set_title(f"{bounds[iteration]:.4f} nats a point", fontsize=10)
    right.grid(alpha=0.3)
    return figure


def temperature_figure(points: np.ndarray, means_init: np.ndarray, temperature: float) -> Figure:
    """Soft k-means on points (N, 2) at a temperature, from means (K, 2): the groups, and how sure
    each point is.

    The circles have the radius sqrt(temperature), times 1 and 2. `temperature` is in squared units
    of the points.
    """
    model = SoftKMeans(
        len(means_init), temperature=temperature, means_init=means_init, tol=1e-9, max_iter=500
    )
    step = model.fit(points).history_[-1]
    figure = Figure(figsize=(2.4 * PANEL, 1.15 * PANEL), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_step(left, points, step)
    left.set_title(f"temperature {temperature:.3g}", fontsize=10)
    right.hist(step.responsibilities.max(axis=1), bins=np.linspace(0, 1, 21), color=SLOT_COLORS[0])
    right.axvline(1 / len(means_init), color=EMPHASIS, linestyle="--", label="no idea: 1 / K")
    right.set(xlabel="a point's largest responsibility", ylabel="points", ylim=(0, len(points)))
    right.legend(loc="upper left", fontsize=9)
    return figure
