"""Figures of matchings: slots are letters, and objects are numbers from 1.

An object, and every line or mark that belongs to it, has the colour of the object's label.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from smm_tutorial.figures.layout import panel_grid
from smm_tutorial.figures.palette import LINE_STYLES, component_colors
from smm_tutorial.figures.scenes import draw_floor, turn_to_camera
from smm_tutorial.figures.set_prediction import OUTLINE, object_color
from smm_tutorial.scenes.sampling import AREA
from smm_tutorial.set_prediction.loss import pair_costs
from smm_tutorial.set_prediction.targets import COORDINATE_SCALE, COORDINATES
from smm_tutorial.set_prediction.vectors import vector_radius

LETTERS = "abcdefghijkl"  # of the slots
CENTRED = {"ha": "center", "va": "center"}  # how text stands at its place
MOST_DRAWN = 4  # slots of which all matchings are drawn, 24 of them


def permutations_figure(costs: Tensor) -> Figure:
    """Every matching of slots with objects, with its sum of `costs` (K, K). A frame marks the
    smallest sum.

    Raises:
        ValueError: more slots than can be drawn.
    """
    count = len(costs)
    if count > MOST_DRAWN:
        raise ValueError(
            f"{count} slots have too many matchings to draw: at most {MOST_DRAWN} slots"
        )
    orders = list(permutations(range(count)))
    sums = [sum(costs[k, t].item() for k, t in enumerate(order)) for order in orders]
    figure, axes = panel_grid(len(orders), 6, 1.55, 0.42 * count + 0.5)
    figure.suptitle("sum of costs", fontsize=9)
    for axis, order, total in zip(axes, orders, sums, strict=True):
        for k, t in enumerate(order):
            axis.plot((0, 1), (k, t), color=object_color(t), lw=2.5, zorder=1)
            look = {"boxstyle": "square,pad=0.25", "fc": "white"}
            axis.text(0, k, LETTERS[k], fontsize=9, bbox=look, **CENTRED)
            look = {"boxstyle": "circle,pad=0.2", "fc": object_color(k)}
            axis.text(1, k, str(k + 1), fontsize=9, bbox=look, **CENTRED)
        axis.set(xlim=(-0.35, 1.35), ylim=(count - 0.4, -0.6), xticks=[], yticks=[])
        least = total == min(sums)
        weight = "bold" if least else "normal"
        axis.set_title(f"{total:.3f}{', smallest' if least else ''}", fontsize=9, weight=weight)
        for spine in axis.spines.values():
            spine.set(visible=least, linewidth=2)
    return figure


@dataclass(frozen=True)
class Reduction:
    """A table of costs (K, K) during the Hungarian method.

    rows, columns: indices of the rows and columns that have a line through them. chosen: for each
    slot, the object whose cell has a ring; empty for no rings.
    """

    title: str
    costs: Tensor
    rows: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    chosen: tuple[int, ...] = ()


def reductions_figure(steps: Sequence[Reduction]) -> Figure:
    """The tables of several steps side by side, with their lines and rings; zeros are bold."""
    figure, axes = panel_grid(len(steps), len(steps), 1.75, 2.1)
    for axis, step in zip(axes, steps, strict=True):
        draw_costs(axis, step.costs, step.chosen)
        for row in step.rows:
            axis.axhline(row, color="0.35", lw=6, alpha=0.3)
        for column in step.columns:
            axis.axvline(column, color="0.35", lw=6, alpha=0.3)
        axis.set_title(step.title, fontsize=8.5)
    return figure


def draw_costs(axis: Axes, costs: Tensor, chosen: Sequence[int] = ()) -> None:
    """A table of costs (K, T), one row per slot, one column per object.

    chosen: for each row the column whose cell has a ring.
    """
    count, across = costs.shape
    for k, row in enumerate(costs.tolist()):
        for t, cost in enumerate(row):
            text = f"{cost:.3f}".lstrip("0") if cost else "0"
            weight = "normal" if cost else "bold"
            axis.text(t, k, text, fontsize=8.5, weight=weight, **CENTRED)
    for k, t in enumerate(chosen):
        look = {"fill": False, "color": object_color(t), "linewidth": 2.5}
        axis.add_patch(Rectangle((t - 0.45, k - 0.42), 0.9, 0.84, **look))
    axis.set(xlim=(-0.5, across - 0.5), ylim=(count - 0.5, -0.5), aspect="equal")
    axis.set_xticks(range(across), [str(t + 1) for t in range(across)], weight="bold")
    axis.set_yticks(range(count), LETTERS[:count])
    for t, label in enumerate(axis.get_xticklabels()):
        label.set_color(object_color(t))
    axis.tick_params(length=0, top=False, labeltop=True, labelbottom=False)


def envelope_figure(
    places: np.ndarray, sums: np.ndarray, names: Sequence[str], label: str
) -> Figure:
    """The sum of costs of every matching, `sums` (P, N), along a path with `places` (N,).

    names: of the P matchings, for the legend. The smallest sum is the set loss, drawn as a broad
    grey line.
    """
    figure = Figure(figsize=(7.6, 3.2), layout="constrained")
    axis = figure.subplots()
    axis.plot(places, sums.min(axis=0), color="0.75", lw=7, label="set loss: the smallest sum")
    colors = component_colors(len(sums))
    for number, (name, values, color) in enumerate(zip(names, sums, colors, strict=True)):
        axis.plot(places, values, LINE_STYLES[number % 4], color=color, lw=1.6, label=name)
    axis.set(xlabel=label, ylabel="sum of costs")
    figure.legend(fontsize=9, loc="outside right upper")
    axis.grid(alpha=0.3)
    return figure


#: Possible offsets of a slot's letter from the slot, in world units.
LETTER_OFFSETS = ((-0.55, 0.3), (0.55, 0.3), (0.55, -0.3), (-0.55, -0.3), (0, 0.6), (0, -0.6))


def letter_places(
    slots: Sequence[tuple[float, float]], objects: Sequence[tuple[float, float]]
) -> list[np.ndarray]:
    """The place of each slot's letter: beside the slot, far from objects and earlier letters."""
    taken = [np.asarray(place) for place in objects]
    for place in slots:
        beside = np.asarray(place) + LETTER_OFFSETS
        nearest = np.linalg.norm(beside[:, None] - np.stack(taken), axis=2).min(axis=1)
        taken.append(beside[nearest.argmax()])
    return taken[len(objects) :]


FLOOR = 4.4  # world units: half the side of a panel from above. The turned square fits in


def matching_figure(predictions: Tensor, targets: Tensor, coordinate_weight: float = 1.0) -> Figure:
    """The best matching of K slots with K objects, `(K, 19)` each: from above, and in a table of
    costs.

    From above, a disk is an object, and a ring is a slot. The camera's side is at the bottom. The
    table's title says which object is cheapest for each slot.
    """
    coordinates, properties = pair_costs(predictions[None], targets[None], coordinate_weight)
    costs = (coordinates + properties)[0]  # (K, K)
    matched = linear_sum_assignment(costs.numpy())[1].tolist()
    figure = Figure(figsize=(8.6, 4.3), layout="constrained")
    above, table = figure.subplots(1, 2, width_ratios=(5, 4))
    draw_floor(above)
    for name, end in {"x": (1.6, 0), "y": (0, 1.6)}.items():
        look = {"arrowstyle": "<-", "color": "0.5"}
        start = turn_to_camera((-AREA, -AREA))
        tip = turn_to_camera((end[0] - AREA, end[1] - AREA))
        above.annotate(name, start, xytext=tip, arrowprops=look, color="0.4", **CENTRED)
    true, said = (
        [turn_to_camera(place) for place in (COORDINATE_SCALE * vectors[:, COORDINATES]).tolist()]
        for vectors in (targets, predictions)
    )
    for t, place in enumerate(true):
        above.add_patch(Circle(place, vector_radius(targets[t]), color=object_color(t)))
        above.text(*place, str(t + 1), fontsize=9, zorder=4, path_effects=OUTLINE, **CENTRED)
    for k, (place, letter) in enumerate(zip(said, letter_places(said, true), strict=True)):
        line = np.array([place, true[matched[k]]])
        above.plot(*line.T, color=object_color(matched[k]), lw=3, path_effects=OUTLINE)
        above.plot(*place, "o", color="black", ms=13, mew=1.6, fillstyle="none")
        look = {"boxstyle": "square,pad=0.2", "fc": "white"}
        above.text(*letter, LETTERS[k], fontsize=9, bbox=look, **CENTRED)
    above.set(xlim=(-FLOOR, FLOOR), ylim=(-FLOOR, FLOOR), aspect="equal", xticks=[], yticks=[])
    above.set_title("from above: disks are objects, rings are slots,\nlines join pairs", fontsize=9)
    draw_costs(table, costs, matched)
    pairs = zip(LETTERS, costs.argmin(dim=1).tolist(), strict=False)
    cheapest = ", ".join(f"{letter}→{t + 1}" for letter, t in pairs)
    least = f"the smallest sum is {costs[range(len(costs)), matched].sum():.3f}"
    title = f"costs with weight {coordinate_weight:g}; {least}\n"
    table.set_title(f"{title}cheapest object of each slot: {cheapest}", fontsize=9)
    return figure
