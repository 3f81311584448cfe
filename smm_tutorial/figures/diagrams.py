"""Diagrams of the two slot modules: one iteration, with the shape of the data on each arrow."""

from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from smm_tutorial.figures.palette import GREEN, ORANGE, PURPLE, SKY_BLUE, YELLOW

TEXT = 9.0  # points
WIDTH, HEIGHT = 9.3, 3.9  # inches


class Box(NamedTuple):
    """A part of a module. x, y: of the box's centre, in inches. width, height: in inches."""

    x: float
    y: float
    width: float
    height: float
    text: str
    color: tuple[float, float, float]


class Arrow(NamedTuple):
    """Data that flows from one point to another. The arrow's text is the shape of the data."""

    start: tuple[float, float]
    end: tuple[float, float]
    text: str = ""
    shift: tuple[float, float] = (0.0, 0.08)  # of the text, from the arrow's middle, in inches
    bend: float = 0.0


INPUTS = Box(0.75, 2.75, 1.1, 0.62, "inputs", SKY_BLUE)
KEYS = Box(2.6, 3.2, 1.15, 0.5, "LayerNorm,\nkeys", SKY_BLUE)
VALUES = Box(2.6, 2.3, 1.15, 0.5, "LayerNorm,\nvalues", SKY_BLUE)
QUERIES = Box(2.6, 0.95, 1.15, 0.5, "LayerNorm,\nqueries", YELLOW)
#: From inputs to keys and values, from slots to queries, and from these three to their uses.
PROJECTIONS = [
    Arrow((1.3, 2.85), (2.0, 3.15), "(N, D_in)", (-0.16, 0.14)),
    Arrow((1.3, 2.65), (2.0, 2.35)),
    Arrow((1.3, 0.95), (2.0, 0.95), "(K, D)"),
    Arrow((3.18, 3.2), (3.83, 3.08), "(N, D)", (0.05, 0.13)),
    Arrow((3.18, 1.05), (4.3, 2.58), "(K, D)", (0.34, -0.1)),
]


def slot_attention_diagram() -> Figure:
    """One iteration of Slot Attention (arXiv 2006.15055, algorithm 1).

    N inputs of D_in numbers, K slots of D numbers.
    """
    boxes = [
        INPUTS,
        Box(0.75, 0.95, 1.1, 0.62, "slots", YELLOW),
        KEYS,
        VALUES,
        QUERIES,
        Box(4.65, 3.0, 1.5, 0.8, "compare, share out\ndot products,\nsoftmax over slots", ORANGE),
        Box(6.8, 2.3, 1.4, 0.66, "gather\nweighted means", PURPLE),
        Box(8.3, 1.2, 1.4, 0.66, "move\nGRU, then MLP", GREEN),
    ]
    arrows = [
        *PROJECTIONS,
        Arrow((5.42, 2.9), (6.07, 2.5), "shares\n(N, K)", (0.18, 0.26)),
        Arrow((3.18, 2.2), (6.07, 2.2), "(N, D)", (0.9, -0.12)),
        Arrow((7.1, 1.95), (7.7, 1.55), "(K, D)", (0.34, 0.05)),
        Arrow((0.95, 0.62), (7.57, 1.05), "slots before (K, D)", (1.2, -0.05), 0.1),
        Arrow((8.3, 0.85), (0.65, 0.62), "slots of the next iteration (K, D)", (0, -0.62), -0.14),
    ]
    return _draw(boxes, arrows, "Slot Attention, one iteration")


def slot_mixture_diagram() -> Figure:
    """One iteration of the Slot Mixture Module (arXiv 2311.04640, section 3).

    N inputs of D_in numbers, K clusters with means and variances of D numbers and a weight.
    """
    boxes = [
        Box(0.7, 2.85, 1.1, 0.8, "weights,\nmeans,\nvariances", YELLOW),
        Box(0.7, 1.1, 1.1, 0.62, "inputs", SKY_BLUE),
        Box(2.3, 2.85, 1.05, 0.5, "LayerNorm,\nqueries", YELLOW),
        Box(2.3, 1.65, 1.05, 0.5, "LayerNorm,\nkeys", SKY_BLUE),
        Box(2.3, 0.55, 1.05, 0.5, "LayerNorm,\nvalues", SKY_BLUE),
        Box(4.25, 2.25, 1.6, 0.8, "E-step\nlog weight +\nlog density, softmax", ORANGE),
        Box(6.4, 3.05, 1.7, 0.62, "update of means\nGRU, then MLP", GREEN),
        Box(6.35, 1.95, 1.2, 0.8, "M-step\nweights,\nweighted means", PURPLE),
        Box(6.4, 0.65, 1.7, 0.62, "variances of values\nabout updated means", PURPLE),
        Box(8.35, 1.95, 1.1, 0.8, "new weights,\nmeans,\nvariances", YELLOW),
    ]
    arrows = [
        Arrow((1.27, 3.2), (5.53, 3.2), "old means (K, D)", (0.3, 0.1)),
        Arrow((1.27, 2.85), (1.76, 2.85), "means", (-0.02, 0.11)),
        Arrow((1.27, 2.55), (3.43, 2.25), "weights (K), variances (K, D)", (-0.2, -0.19)),
        Arrow((1.27, 1.2), (1.76, 1.55), "(N, D_in)", (-0.22, 0.14)),
        Arrow((1.27, 1.0), (1.76, 0.65)),
        Arrow((2.84, 2.8), (3.43, 2.5), "(K, D)", (0.13, 0.12)),
        Arrow((2.84, 1.7), (3.43, 1.95), "(N, D)", (0.12, -0.12)),
        Arrow((2.84, 0.7), (5.73, 1.65), "(N, D)", (-0.75, -0.08)),
        Arrow((2.84, 0.55), (5.53, 0.55), "(N, D)", (-0.2, -0.12)),
        Arrow((5.07, 2.15), (5.73, 2.05), "(N, K)", (0.05, 0.12)),
        Arrow((4.6, 1.83), (5.53, 0.8), "(N, K)", (-0.05, -0.28)),
        Arrow((6.35, 2.37), (6.35, 2.72), "(K, D)", (-0.28, 0.0)),
        Arrow((7.12, 2.72), (7.12, 0.98), "(K, D)", (0.27, -0.35)),
        Arrow((7.27, 3.0), (8.25, 2.38), "(K, D)", (0.25, 0.12)),
        Arrow((6.97, 1.95), (7.78, 1.95), "(K)", (0.02, 0.1)),
        Arrow((7.27, 0.75), (8.25, 1.53), "(K, D)", (0.25, -0.14)),
    ]
    return _draw(boxes, arrows, "Slot Mixture Module, one iteration", width=9.0)


def _draw(boxes: list[Box], arrows: list[Arrow], title: str, width: float = WIDTH) -> Figure:
    figure = Figure(figsize=(width, HEIGHT))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width), ylim=(0, HEIGHT))
    axis.axis("off")
    axis.text(0.1, HEIGHT - 0.08, title, fontsize=11, weight="bold", va="top")
    for box in boxes:
        _draw_box(axis, box)
    for arrow in arrows:
        _draw_arrow(axis, arrow)
    return figure


def _draw_box(axis: Axes, box: Box) -> None:
    corner = (box.x - box.width / 2, box.y - box.height / 2)
    look = {"boxstyle": "round,pad=0.02,rounding_size=0.08", "edgecolor": "0.3"}
    look["facecolor"] = (*box.color, 0.35)
    axis.add_patch(FancyBboxPatch(corner, box.width, box.height, **look))
    axis.text(box.x, box.y, box.text, ha="center", va="center", fontsize=TEXT)


def _draw_arrow(axis: Axes, arrow: Arrow) -> None:
    look = {"arrowstyle": "-|>", "mutation_scale": 12, "color": "0.3"}
    look["connectionstyle"] = f"arc3,rad={arrow.bend}"
    axis.add_patch(FancyArrowPatch(arrow.start, arrow.end, **look))
    x = (arrow.start[0] + arrow.end[0]) / 2 + arrow.shift[0]
    y = (arrow.start[1] + arrow.end[1]) / 2 + arrow.shift[1]
    axis.text(x, y, arrow.text, ha="center", va="center", fontsize=8)
