"""Figures of notebook 06: sets over their pictures, matchings of slots with objects, how average
precision adds up.

Over a picture a slot has the colour of its number in `palette.SLOT_COLORS`. In a matching slots are
letters, and object t (from 0) has the colour of label t + 1, that of its mask; so has everything
that leads to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.patheffects import withStroke
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from smm_tutorial.datasets import SceneImages
from smm_tutorial.figures.palette import SLOT_COLORS
from smm_tutorial.figures.pictures import displayable
from smm_tutorial.figures.scenes import from_camera, turned_square
from smm_tutorial.scenes import Scene
from smm_tutorial.scenes.camera import CLEVR_FRAME, camera_axes, camera_position, project
from smm_tutorial.scenes.records import SIZES
from smm_tutorial.scenes.sampling import AREA
from smm_tutorial.set_prediction.average_precision import right_predictions
from smm_tutorial.set_prediction.loss import pair_costs
from smm_tutorial.set_prediction.targets import (
    COORDINATE_SCALE,
    COORDINATES,
    OBJECT_DIM,
    PROPERTIES,
    PROPERTY_SLICES,
    REAL,
    set_targets,
)

FRAME_ASPECT = (
    CLEVR_FRAME[1] / CLEVR_FRAME[0]
)  # width / height of the whole frame, however the picture was squashed
LETTERS = "abcdefghijkl"  # slots of a matching
#: World units, from a slot's place to its letter.
BESIDE = ((-0.55, 0.3), (0.55, 0.3), (0.55, -0.3), (-0.55, -0.3), (0, 0.6), (0, -0.6))
FLOOR = (
    4.4  # world units that a panel seen from above reaches to each side: all of the square, turned
)
MOST_DRAWN = 4  # slots of which all matchings are drawn, 24 of them
OUTLINE = [withStroke(linewidth=2.5, foreground="white")]
COMPARED_COLORS = (
    5,
    2,
    1,
    6,
)  # of compared contestants, in their order; the first two, blue and light blue, are kin
PICTURE = 3.3  # inches, the width of a picture with boxes
LABEL = (0.27, 0.115)  # width and height of a label, as fractions of such a picture


# -------------------------------------------------------------------------------------------------
# sets over pictures


def words(vector: Tensor) -> str:
    """The largest of each group of a vector (19,) in words, such as "large blue metal cube"."""
    said = {
        name: values[vector[PROPERTY_SLICES[name]].argmax().item()]
        for name, values in PROPERTIES.items()
    }
    return f"{said['size']} {said['color']} {said['material']} {said['shape']}"


def picture_box(vector: Tensor, camera: np.ndarray) -> tuple[float, float, float, float]:
    """Where an object (19,) shows in the whole frame: left, top, right, bottom, as fractions of its
    width and height.

    The box is that of a ball of the object's size, seen from `camera` (3,).
    """
    place = COORDINATE_SCALE * vector[COORDINATES].double().numpy()
    radius = SIZES[PROPERTIES["size"][vector[PROPERTY_SLICES["size"]].argmax().item()]]
    across, up = camera_axes(camera)[:, 0], camera_axes(camera)[:, 1]
    sides = np.stack(
        [place - radius * across, place + radius * up, place + radius * across, place - radius * up]
    )
    seen = project(sides, camera, FRAME_ASPECT)
    return seen[0, 0], seen[1, 1], seen[2, 0], seen[3, 1]


def label_places(boxes: Sequence[tuple[float, float, float, float]]) -> list[tuple[float, float]]:
    """Left and top of a label beside each box, where it hides least of the labels before it and of
    the other boxes.
    """
    width, height = LABEL
    taken, places = list(boxes), []
    for left, top, right, bottom in boxes:
        lefts, tops = (
            (left, right - width, right, left - width),
            (top - height, bottom, (top + bottom - height) / 2),
        )
        inside = [
            (min(max(x, 0), 1 - width), min(max(y, 0), 1 - height)) for y in tops for x in lefts
        ]
        hidden = [
            sum(_common_area((x, y, x + width, y + height), other) for other in taken)
            for x, y in inside
        ]
        places.append(inside[int(np.argmin(np.round(hidden, 6)))])
        taken.append((*places[-1], places[-1][0] + width, places[-1][1] + height))
    return places


def _common_area(one: Sequence[float], other: Sequence[float]) -> float:
    """Of two boxes (left, top, right, bottom)."""
    width, height = (
        min(one[2], other[2]) - max(one[0], other[0]),
        min(one[3], other[3]) - max(one[1], other[1]),
    )
    return max(width, 0.0) * max(height, 0.0)


def draw_objects(
    axis: Axes,
    image: Tensor,
    record: Mapping,
    vectors: Tensor,
    right: Sequence[bool] | None,
    shown: Tensor,
) -> None:
    """A picture `(3, H, W)` of the whole frame and the boxes of the vectors `(K, 19)` where `shown`
    (K,) says so.

    right: which are; the others are dashed and crossed out. None draws objects of a record: in
    their labels' colours, not judged, and without saying how sure anyone is. White crosses are the
    record's objects.
    """
    camera = camera_position(Scene.from_record(record))
    axis.imshow(
        displayable(image), extent=(0, 1, 1, 0), aspect=1 / FRAME_ASPECT, interpolation="bilinear"
    )
    true = np.array([item["3d_coords"] for item in record["objects"]])
    columns, rows, _ = project(true, camera, FRAME_ASPECT).T
    axis.plot(columns, rows, "+", color="white", ms=5, mew=1.2)
    numbers = shown.nonzero().flatten().tolist()
    boxes = [picture_box(vectors[number], camera) for number in numbers]
    for number, (left, top, end, bottom), place in zip(
        numbers, boxes, label_places(boxes), strict=True
    ):
        color = object_color(number) if right is None else SLOT_COLORS[number % len(SLOT_COLORS)]
        wrong = right is not None and not right[number]
        style = {
            "fill": False,
            "color": color,
            "linewidth": 1.6,
            "linestyle": "--" if wrong else "-",
        }
        axis.add_patch(
            Rectangle((left, top), end - left, bottom - top, path_effects=OUTLINE, **style)
        )
        size, hue, *rest = words(vectors[number]).split()
        sure = "" if right is None else f" {vectors[number, REAL]:.0%}"
        text = f"{'✗ ' if wrong else ''}{size} {hue}\n{' '.join(rest)}{sure}"
        look = {"facecolor": color, "alpha": 0.8, "pad": 0.6, "lw": 0}
        ink = "white" if np.mean(color) < 0.4 else "black"
        axis.text(
            *place, text, fontsize=5.5, color=ink, ha="left", va="top", bbox=look, clip_on=True
        )
    axis.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])


def sets_figure(
    data: SceneImages,
    vectors: Tensor,
    right: np.ndarray | None = None,
    *,
    shown: Tensor | None = None,
    titles: Sequence[str] | None = None,
    columns: int = 3,
) -> Figure:
    """Sets `(M, K, 19)` over the pictures of M scenes; see `draw_objects`.

    right: which vectors are right, `(M, K)`. shown: which to draw, `(M, K)`; those at least half
    real if not given.
    """
    shown = vectors[..., REAL] >= 0.5 if shown is None else shown
    columns = min(columns, len(data))
    rows = -(-len(data) // columns)
    height = PICTURE / FRAME_ASPECT + (0.3 if titles else 0.05)
    figure = Figure(figsize=(PICTURE * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    images = data.batch(slice(None)).images
    for index, axis in enumerate(axes[: len(data)]):
        judged = None if right is None else right[index]
        draw_objects(axis, images[index], data.records[index], vectors[index], judged, shown[index])
        if titles:
            axis.set_title(titles[index], fontsize=8)
    for axis in axes[len(data) :]:
        axis.axis("off")
    return figure


def vectors_figure(
    tables: Mapping[str, Tensor], rows: Mapping[str, Sequence[str]] | None = None
) -> Figure:
    """Sets as tables (K, 19), by name: a row an object or a slot, a column a number, purple below 0
    and orange above.

    rows: names of a table's rows, by its name; their numbers if not given.
    """
    names = ["x", "y", "z", *(value for values in PROPERTIES.values() for value in values), "real"]
    count = max(map(len, tables.values()))
    figure = Figure(figsize=(8.4, (0.24 * count + 0.3) * len(tables) + 0.8), layout="constrained")
    axes = figure.subplots(len(tables), 1, squeeze=False, sharex=True)[:, 0]
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        picture = axis.imshow(
            table.detach().numpy(),
            cmap="PuOr_r",
            vmin=-1,
            vmax=1,
            aspect="auto",
            interpolation="nearest",
        )
        for edge in [COORDINATES.stop, *(group.stop for group in PROPERTY_SLICES.values())]:
            axis.axvline(edge - 0.5, color="black", lw=1)
        axis.set(yticks=range(len(table)))
        axis.set_yticklabels((rows or {}).get(name, range(len(table))), fontsize=8)
        axis.set_title(name, fontsize=9, loc="left")
    axes[-1].set_xticks(range(OBJECT_DIM))
    axes[-1].set_xticklabels(names, rotation=60, ha="right", fontsize=8)
    figure.colorbar(picture, ax=list(axes), aspect=12)
    return figure


# ------------------------------------------------------------------------------------------------------------ matchings


def object_color(number: int) -> np.ndarray:
    """The colour of object `number` (from 0), that of its label, `number` + 1."""
    return SLOT_COLORS[(number + 1) % len(SLOT_COLORS)]


def permutations_figure(costs: Tensor) -> Figure:
    """Every matching of slots (letters) with objects (numbers) and its sum of `costs` (K, K); the
    least is framed.

    Raises `ValueError` for more slots than can be drawn.
    """
    if len(costs) > MOST_DRAWN:
        raise ValueError(
            f"{len(costs)} slots have too many matchings to draw: at most {MOST_DRAWN} slots"
        )
    slots = range(len(costs))
    orders = list(permutations(slots))
    sums = [sum(costs[k, order[k]].item() for k in slots) for order in orders]
    columns = min(6, len(orders))
    rows = -(-len(orders) // columns)
    figure = Figure(
        figsize=(1.55 * columns, (0.42 * len(costs) + 0.4) * rows), layout="constrained"
    )
    for axis, order, total in zip(
        figure.subplots(rows, columns, squeeze=False).ravel(), orders, sums, strict=True
    ):
        for k, t in enumerate(order):
            axis.plot((0, 1), (k, t), color=object_color(t), lw=2.5, zorder=1)
        draw_ends(axis, len(costs))
        least = total == min(sums)
        axis.set_title(
            f"{total:.3f}{', least' if least else ''}",
            fontsize=9,
            weight="bold" if least else "normal",
        )
        for spine in axis.spines.values():
            spine.set(visible=least, linewidth=2)
    return figure


def draw_ends(axis: Axes, count: int) -> None:
    """Slots as letters on the left, objects as numbers in their colours on the right."""
    for k in range(count):
        axis.text(
            0,
            k,
            LETTERS[k],
            ha="center",
            va="center",
            fontsize=9,
            bbox={"boxstyle": "square,pad=0.25", "fc": "white"},
        )
        look = {"boxstyle": "circle,pad=0.2", "fc": object_color(k)}
        axis.text(1, k, str(k + 1), ha="center", va="center", fontsize=9, bbox=look)
    axis.set(xlim=(-0.35, 1.35), ylim=(count - 0.4, -0.6), xticks=[], yticks=[])


@dataclass(frozen=True)
class Reduction:
    """A table of costs (K, K) on the way of the Hungarian method.

    rows, columns: those with a line through them. chosen: for each slot, the object whose cell is
    ringed; empty for none.
    """

    title: str
    costs: Tensor
    rows: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    chosen: tuple[int, ...] = ()


def reductions_figure(steps: Sequence[Reduction]) -> Figure:
    """The tables of some steps side by side, zeros in bold, with lines through rows and columns and
    rings around cells.
    """
    figure = Figure(figsize=(1.75 * len(steps), 2.1), layout="constrained")
    for axis, step in zip(figure.subplots(1, len(steps), squeeze=False)[0], steps, strict=True):
        draw_costs(axis, step.costs, step.chosen)
        for row in step.rows:
            axis.axhline(row, color="0.35", lw=6, alpha=0.3)
        for column in step.columns:
            axis.axvline(column, color="0.35", lw=6, alpha=0.3)
        axis.set_title(step.title, fontsize=8.5)
    return figure


def draw_costs(axis: Axes, costs: Tensor, chosen: Sequence[int] = ()) -> None:
    """A table of costs (K, T), a row a slot, a column an object; cells `chosen` for the rows are
    ringed in its colour.
    """
    count, across = costs.shape
    for k, row in enumerate(costs.tolist()):
        for t, cost in enumerate(row):
            weight = "bold" if cost == 0 else "normal"
            axis.text(
                t,
                k,
                f"{cost:.3f}".lstrip("0") if cost else "0",
                ha="center",
                va="center",
                fontsize=8.5,
                weight=weight,
            )
    for k, t in enumerate(chosen):
        place = (t - 0.45, k - 0.42)
        axis.add_patch(
            Rectangle(place, 0.9, 0.84, fill=False, color=object_color(t), linewidth=2.5)
        )
    axis.set(
        xlim=(-0.5, across - 0.5),
        ylim=(count - 0.5, -0.5),
        xticks=range(across),
        yticks=range(count),
        aspect="equal",
    )
    axis.set_xticklabels([str(t + 1) for t in range(across)], weight="bold")
    axis.set_yticklabels(LETTERS[:count])
    for t, label in enumerate(axis.get_xticklabels()):
        label.set_color(object_color(t))
    axis.tick_params(length=0, top=False, labeltop=True, labelbottom=False)


def envelope_figure(places: np.ndarray, sums: np.ndarray, label: str) -> Figure:
    """The sum of costs of every matching, `sums` (P, N), along a way with `places` (N,), and in
    black the least of them.
    """
    figure = Figure(figsize=(6.2, 2.7), layout="constrained")
    axis = figure.subplots()
    axis.plot(places, sums.T, color="0.6", lw=1)
    axis.plot(places, sums.min(axis=0), color="black", lw=2.5, label="set loss: the least of them")
    axis.plot([], [], color="0.6", lw=1, label="one matching each")
    axis.set(xlabel=label, ylabel="sum of costs")
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    return figure


def letter_places(
    slots: Sequence[tuple[float, float]], objects: Sequence[tuple[float, float]]
) -> list[np.ndarray]:
    """Where each slot's letter goes: beside its place, farthest from the objects' numbers and from
    the letters before it.
    """
    taken = [np.asarray(place) for place in objects]
    for place in slots:
        beside = np.asarray(place) + BESIDE
        nearest = np.linalg.norm(beside[:, None] - np.stack(taken), axis=2).min(axis=1)
        taken.append(beside[nearest.argmax()])
    return taken[len(objects) :]


def matching_figure(predictions: Tensor, targets: Tensor, coordinate_weight: float = 1.0) -> Figure:
    """Slots and objects (K, 19) each from above, the best matching as lines, and its cells in the
    table of pair costs.

    The camera looks from below, as in `figures.scenes`. The title compares with slots that take
    their cheapest object each.
    """
    coordinates, properties = (
        part[0] for part in pair_costs(predictions[None], targets[None], coordinate_weight)
    )
    costs = coordinates + properties  # (K, K)
    matched = linear_sum_assignment(costs.numpy())[1].tolist()
    figure = Figure(figsize=(7.6, 3.6), layout="constrained")
    above, table = figure.subplots(1, 2, width_ratios=(5, 4))
    above.add_patch(turned_square(AREA))
    true, said = (
        [from_camera(place) for place in (COORDINATE_SCALE * sets[:, COORDINATES]).tolist()]
        for sets in (targets, predictions)
    )
    for t, (place, vector) in enumerate(zip(true, targets, strict=True)):
        radius = SIZES[PROPERTIES["size"][vector[PROPERTY_SLICES["size"]].argmax().item()]]
        above.add_patch(Circle(place, radius, color=object_color(t)))
        above.text(
            *place, str(t + 1), ha="center", va="center", fontsize=9, zorder=4, path_effects=OUTLINE
        )
    letters = letter_places(said, true)
    for k, place in enumerate(said):
        ends = np.array([place, true[matched[k]]])
        above.plot(*ends.T, color=object_color(matched[k]), lw=2)
        above.plot(*place, "o", color="black", ms=4)
        look = {"boxstyle": "square,pad=0.2", "fc": "white"}
        above.text(*letters[k], LETTERS[k], ha="center", va="center", fontsize=9, bbox=look)
    above.set(xlim=(-FLOOR, FLOOR), ylim=(-FLOOR, FLOOR), aspect="equal", xticks=[], yticks=[])
    above.set_title("from above", fontsize=9)
    draw_costs(table, costs, matched)
    cheapest = ", ".join(
        f"{LETTERS[k]}→{t + 1}" for k, t in enumerate(costs.argmin(dim=1).tolist())
    )
    total = costs[range(len(costs)), matched].sum()
    table.set_title(
        f"costs; the least sum is {total:.3f}\neach its cheapest: {cheapest}", fontsize=9
    )
    return figure


# ----------------------------------------------------------------------------------------------------- average precision


def precision_and_recall(right: np.ndarray, num_targets: int) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall after each rank, (M,) each, of predictions that are sorted by rank."""
    found = np.cumsum(right)
    return found / np.arange(1, len(right) + 1), found / num_targets


def precision_recall_figure(right: np.ndarray, num_targets: int) -> Figure:
    """Average precision of ranked predictions (M,) in three steps: rank by rank, the running
    maximum, the area.
    """
    precision, recall = precision_and_recall(right, num_targets)
    figure = Figure(figsize=(9.6, 2.7), layout="constrained")
    ranks, largest, area = figure.subplots(1, 3, sharey=True)
    looks = {
        True: {"color": SLOT_COLORS[5]},
        False: {"facecolors": "white", "edgecolors": SLOT_COLORS[6]},
    }
    for axis in (ranks, largest):
        axis.plot(recall, precision, color="0.7", lw=1, zorder=1)
        for verdict, look in looks.items():
            axis.scatter(
                recall[right == verdict], precision[right == verdict], s=36, zorder=2, **look
            )
    for rank, place in enumerate(zip(recall, precision, strict=True), start=1):
        ranks.annotate(str(rank), place, xytext=(4, 4), textcoords="offset points", fontsize=8)
    draw_hull(largest, right, num_targets)
    total = draw_hull(area, right, num_targets, filled=True)
    titles = ("rank by rank", "the largest to the right", f"area {total:.3f}")
    for axis, title in zip((ranks, largest, area), titles, strict=True):
        axis.set_title(title, fontsize=9)
        axis.set(xlabel="recall", xlim=(-0.05, 1.05), ylim=(-0.05, 1.1))
        axis.grid(alpha=0.3)
    ranks.set_ylabel("precision")
    return figure


def draw_hull(axis: Axes, right: np.ndarray, num_targets: int, *, filled: bool = False) -> float:
    """Precision's running maximum from the right over recall, padded, of ranked predictions (M,) ->
    the area below it.
    """
    precision, recall = precision_and_recall(right, num_targets)
    precision, recall = np.array([0, *precision, 0]), np.array([0, *recall, 1])
    hull = np.maximum.accumulate(precision[::-1])[::-1]
    axis.step(recall, hull, where="pre", color="black", lw=1.8)
    if filled:
        axis.fill_between(recall, hull, step="pre", color=SLOT_COLORS[2], alpha=0.6, lw=0)
    return float((np.diff(recall) * hull[1:]).sum())


def judged_figure(data: SceneImages, predictions: Tensor, scene: int, threshold: float) -> Figure:
    """One scene's predictions judged at a distance threshold, and the area under precision over
    recall of all scenes.

    predictions `(M, K, 19)` of the M scenes of `data`. threshold: in world units, -1 for no limit.
    """
    targets = set_targets(data.records, max(len(record["objects"]) for record in data.records))
    right = right_predictions(predictions, targets, threshold)
    figure = Figure(figsize=(8.2, 2.9), layout="constrained")
    picture, area = figure.subplots(1, 2, width_ratios=(5, 3))
    vectors = predictions[scene]
    image = data.batch([scene]).images[0]
    draw_objects(
        picture, image, data.records[scene], vectors, right[scene], vectors[:, REAL] >= 0.5
    )
    limit = "any distance" if threshold == -1 else f"nearer than {threshold:g}"
    sure = (vectors[:, REAL] >= 0.5).numpy()
    picture.set_title(f"right if {limit}: {right[scene][sure].sum()} of {sure.sum()}", fontsize=9)
    ranked = right.ravel()[np.argsort(-predictions[..., REAL].ravel().numpy(), kind="stable")]
    total = draw_hull(area, ranked, int(targets[..., REAL].sum()), filled=True)
    area.set(xlabel="recall", ylabel="precision", xlim=(-0.05, 1.05), ylim=(-0.05, 1.1))
    area.set_title(f"all {len(data)} scenes: AP {total:.3f}", fontsize=9)
    area.grid(alpha=0.3)
    return figure


def compared_figure(scores: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """AP over distance thresholds, by contestant: a line through the means over seeds, and a dot
    for each seed.

    scores: for each contestant the AP of each of its seeds by threshold, as in
    `set_prediction.THRESHOLDS`.
    """
    figure = Figure(figsize=(6.6, 3.2), layout="constrained")
    axis = figure.subplots()
    names = list(next(iter(scores.values()))[0])
    for number, (contestant, seeds) in enumerate(scores.items()):
        values = np.array([[seed[name] for name in names] for seed in seeds])  # (seeds, thresholds)
        places = np.arange(len(names)) + 0.09 * (number - (len(scores) - 1) / 2)  # side by side
        color = SLOT_COLORS[COMPARED_COLORS[number % len(COMPARED_COLORS)]]
        label = f"{contestant} ({len(seeds)} seed{'s' if len(seeds) > 1 else ''})"
        axis.plot(places, values.mean(axis=0), color=color, lw=1.8, label=label)
        axis.plot(places, values.T, "o", color=color, ms=4, alpha=0.8)
    axis.set(
        xlabel="nearer than, in world units",
        ylabel="AP",
        xticks=range(len(names)),
        ylim=(-0.02, None),
    )
    axis.set_xticklabels("any distance" if name == "inf" else name for name in names)
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    return figure
