"""Figures of average precision: how it is computed, and which predictions are right."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from smm_tutorial.datasets import SceneImages
from smm_tutorial.figures.palette import BLUE, ORANGE, PURPLE, SKY_BLUE, VERMILION
from smm_tutorial.figures.set_prediction import draw_objects
from smm_tutorial.set_prediction.average_precision import NO_LIMIT, right_predictions
from smm_tutorial.set_prediction.targets import REAL, set_targets


def precision_recall_figure(right: np.ndarray, num_targets: int) -> Figure:
    """Average precision of ranked predictions in three steps: by rank, running maximum, area.

    right: whether each prediction is right (M,), the surest prediction first. num_targets: the
    number of objects.
    """
    precision, recall = _precision_and_recall(right, num_targets)
    figure = Figure(figsize=(9.6, 2.7), layout="constrained")
    ranks, largest, area = figure.subplots(1, 3, sharey=True)
    filled, hollow = {"color": BLUE}, {"facecolors": "white", "edgecolors": VERMILION}
    for axis in (ranks, largest):
        axis.plot(recall, precision, color="0.7", lw=1, zorder=1)
        for verdict, look in ((True, filled), (False, hollow)):
            chosen = right == verdict
            axis.scatter(recall[chosen], precision[chosen], s=36, zorder=2, **look)
    ranks.scatter([], [], s=36, label="right", **filled)
    ranks.scatter([], [], s=36, label="wrong", **hollow)
    ranks.legend(fontsize=8, loc="upper right")
    for first, last in _runs(right):
        text = str(first + 1) if first == last else f"{first + 1} to {last + 1}"
        place = recall[last], precision[last]
        ranks.annotate(text, place, xytext=(5, 3), textcoords="offset points", fontsize=8)
    _draw_hull(largest, right, num_targets)
    total = _draw_hull(area, right, num_targets, filled=True)
    titles = ("ranks", "largest precision at this or a later rank", f"area {total:.3f}")
    for axis, title in zip((ranks, largest, area), titles, strict=True):
        axis.set_title(title, fontsize=9)
        axis.set(xlabel="recall", xlim=(-0.05, 1.05), ylim=(-0.05, 1.1))
        axis.grid(alpha=0.3)
    ranks.set_ylabel("precision")
    return figure


def _runs(right: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each right prediction and of each row of wrong predictions."""
    runs: list[tuple[int, int]] = []
    for place, verdict in enumerate(right):
        if runs and not verdict and not right[place - 1]:
            runs[-1] = runs[-1][0], place
        else:
            runs.append((place, place))
    return runs


def _precision_and_recall(right: np.ndarray, num_targets: int) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall after each rank, (M,) each, of predictions that are sorted by rank."""
    found = np.cumsum(right)
    return found / np.arange(1, len(right) + 1), found / num_targets


def _draw_hull(axis: Axes, right: np.ndarray, num_targets: int, *, filled: bool = False) -> float:
    """Draws the running maximum of precision from the right, and returns the area below it."""
    precision, recall = _precision_and_recall(right, num_targets)
    precision, recall = np.array([0, *precision, 0]), np.array([0, *recall, 1])
    hull = np.maximum.accumulate(precision[::-1])[::-1]
    axis.step(recall, hull, where="pre", color="black", lw=1.8)
    if filled:
        axis.fill_between(recall, hull, step="pre", color=SKY_BLUE, alpha=0.6, lw=0)
    return float((np.diff(recall) * hull[1:]).sum())


def judged_scene_figure(
    data: SceneImages, predictions: Tensor, scene: int, threshold: float
) -> Figure:
    """The predictions of one scene, right and wrong, and average precision over all scenes of
    `data`.

    predictions: `(M, K, 19)` of the M scenes. scene: index of the scene to draw. threshold: of the
    distance, in world units; -1 for no limit.
    """
    targets = set_targets(data.records, max(len(record["objects"]) for record in data.records))
    right = right_predictions(predictions, targets, threshold)
    real = predictions[..., REAL]  # (M, K)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    picture, area = figure.subplots(1, 2, width_ratios=(5, 3))
    image = data.batch([scene]).images[0]
    sure = real[scene] >= 0.5
    drawn = image, data.records[scene], predictions[scene]
    draw_objects(picture, *drawn, right[scene], sure, width=4.3)
    limit = "no threshold" if threshold == NO_LIMIT else f"threshold {threshold:g}"
    found = right[scene][sure.numpy()].sum()
    picture.set_title(f"{limit}: {found} of {sure.sum()} predictions are right", fontsize=9)
    ranked = right.ravel()[np.argsort(-real.ravel().numpy(), kind="stable")]
    total = _draw_hull(area, ranked, int(targets[..., REAL].sum()), filled=True)
    area.set(xlabel="recall", ylabel="precision", xlim=(-0.05, 1.05), ylim=(-0.05, 1.1))
    area.set_title(f"all {len(data)} scenes: AP {total:.3f}", fontsize=9)
    area.grid(alpha=0.3)
    return figure


#: Colour, line and mark of the contestants, in their order: the first two contestants are related
#: and have related colours, and so are the others.
CONTESTANT_LOOKS = (
    (BLUE, "-", "o"),
    (SKY_BLUE, "--", "s"),
    (ORANGE, "-.", "D"),
    (PURPLE, (0, (1, 1)), "v"),
    (VERMILION, (0, (5, 1, 1, 1)), "^"),
)


def thresholds_figure(scores: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """AP over distance thresholds, by contestant: a line through the mean over seeds, one dot per
    seed.

    scores: for each contestant the AP of each seed by threshold, as in `set_prediction.THRESHOLDS`.
    """
    figure = Figure(figsize=(6.6, 3.2), layout="constrained")
    axis = figure.subplots()
    names = list(next(iter(scores.values()))[0])
    for number, (contestant, seeds) in enumerate(scores.items()):
        values = np.array([[seed[name] for name in names] for seed in seeds])  # (seeds, thresholds)
        places = np.arange(len(names)) + 0.09 * (number - (len(scores) - 1) / 2)  # side by side
        color, style, mark = CONTESTANT_LOOKS[number % len(CONTESTANT_LOOKS)]
        label = f"{contestant} ({len(seeds)} seed{'s' if len(seeds) > 1 else ''})"
        line = {"linestyle": style, "color": color, "lw": 1.8, "label": label}
        axis.plot(places, values.mean(axis=0), **line)
        axis.plot(places, values.T, mark, color=color, ms=5, alpha=0.8)
    axis.set(xlabel="threshold in world units", ylabel="AP", ylim=(-0.02, None))
    labels = ["no threshold" if name == "inf" else name for name in names]
    axis.set_xticks(range(len(names)), labels)
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    return figure
