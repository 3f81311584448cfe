"""Figures of notebook 05: the architecture with its shapes, slots through training, surgery, failures.

A slot has the same colour in every panel, that of its number in `plotting.SLOT_COLORS`.
"""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import Tensor

from smm_tutorial.models.discovery import DiscoveryOutput, ObjectDiscovery
from smm_tutorial.plotting import SLOT_COLORS, color_map, displayable, panels
from smm_tutorial.slot_surgery import dropped, moved, swapped

BOX, GAP = (1.55, 0.9), 0.62  # inches: a part of the network, and the arrow behind it
OPERATIONS = ("drop", "swap", "move")


def architecture_figure(model: ObjectDiscovery) -> Figure:
    """A discovery network from left to right: its parts, with parameters, and the shapes between them for one image."""
    config = model.config
    side, count, grid = config.image_size, config.num_slots, config.decoder_grid
    cells = config.image_size // config.encoder_stride
    parts = [
        ("encoder", f"convolutions,\npositions, MLP\n{_size(model.encoder)}", SLOT_COLORS[2]),
        (type(model.slots).__name__, f"{config.num_iterations} iterations\n{_size(model.slots)}", SLOT_COLORS[1]),
        ("decoder", f"each slot alone,\nfrom {grid} x {grid} cells\n{_size(model.decoder)}", SLOT_COLORS[7]),
        ("mixture", "masks: softmax\nover slots\nno parameters", SLOT_COLORS[3]),
    ]  # fmt: skip
    between = [
        f"image\n3 x {side} x {side}",
        f"inputs\n{cells}·{cells} x {config.encoder_channels}",
        f"slots\n{count} x {model.slots.output_dim}",
        f"paintings, logits\n{count} x 4 x {side} x {side}",
        f"image again\n3 x {side} x {side}",
    ]
    width = len(parts) * BOX[0] + len(between) * GAP * 1.9
    figure = Figure(figsize=(width, 1.25))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width), ylim=(0, 1.25))
    axis.axis("off")
    left = 0.0
    for number, text in enumerate(between):
        right = left + 1.9 * GAP
        ends = ((left + 0.06, 0.62), (right - 0.06, 0.62))
        axis.add_patch(FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=12, color="0.3"))
        axis.text((left + right) / 2, 0.72, text, ha="center", va="bottom", fontsize=7.5)
        if number < len(parts):
            name, details, color = parts[number]
            look = {"boxstyle": "round,pad=0.02,rounding_size=0.08", "facecolor": (*color, 0.35), "edgecolor": "0.3"}
            axis.add_patch(FancyBboxPatch((right, 0.17), *BOX, **look))
            axis.text(right + BOX[0] / 2, 0.17 + BOX[1] - 0.08, name, ha="center", va="top", fontsize=9.5, weight="bold")
            axis.text(right + BOX[0] / 2, 0.24, details, ha="center", va="bottom", fontsize=7.5)
            left = right + BOX[0]
    return figure


def _size(part: torch.nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in part.parameters()):,} parameters"


def training_frames(images: Tensor, snapshots: Mapping[int, Tensor]) -> list[Figure]:
    """One figure for each step that `snapshots` holds owners `(B, H, W)` for: images `(B, 3, H, W)` above, owners below."""
    pictures = [displayable(image) for image in images]
    return [
        panels([pictures, [color_map(owner) for owner in owners]], [""] * len(pictures), f"step {step:,}")
        for step, owners in snapshots.items()
    ]


def operate(
    model: ObjectDiscovery, output: DiscoveryOutput, operation: str, number: int, directions: Tensor, down: float = 0.0,
    right: float = 0.0,
) -> tuple[DiscoveryOutput, list[int]]:  # fmt: skip
    """Two scenes after an operation on slot `number` of the first one, and which slot each of the slots was before.

    `drop` takes it out of both; `swap` exchanges it with the slot of the same number of the second; `move` shifts it.

    Raises `ValueError` for another operation.
    """
    slots = output.slots
    if operation == "drop":
        after = dropped(slots, number)
    elif operation == "swap":
        after = swapped(slots, (0, number), (1, number))
    elif operation == "move":
        after = moved(slots, (0, number), down, right, directions)
    else:
        raise ValueError(f"operation must be one of {', '.join(map(repr, OPERATIONS))}, got {operation!r}")
    numbers = [k for k in range(slots.slots.shape[1]) if operation != "drop" or k != number]
    with torch.no_grad():
        return model.decode(after), numbers


def surgery_figure(
    images: Tensor, before: DiscoveryOutput, after: DiscoveryOutput, numbers: Sequence[int], title: str
) -> Figure:  # fmt: skip
    """Rows of scenes `(B, 3, H, W)`: the input, what its slots paint and own, and the same after an operation.

    numbers: which slot each slot of `after` was before, so that it keeps its colour.
    """
    rows, owners = [], torch.tensor(numbers)[after.segmentation.cpu()]
    for index, image in enumerate(images):
        row = [displayable(image), displayable(before.reconstruction[index]), color_map(before.segmentation[index])]
        rows.append([*row, displayable(after.reconstruction[index]), color_map(owners[index])])
    return panels(rows, ["input", "painted", "slots", "after", "slots after"], title)


def gallery_figure(
    images: Tensor, true: Tensor, owners: Mapping[str, Tensor], notes: Mapping[str, str] | None = None
) -> Figure:
    """How differently trained models take the same scenes apart: a column for each of `owners` `(B, H, W)`, by name.

    notes: a second line for the column of that name, such as a score.
    """
    titles = [f"{name}\n{(notes or {}).get(name, '')}".rstrip() for name in owners]
    rows = [
        [displayable(image), color_map(true[index]), *(color_map(maps[index]) for maps in owners.values())]
        for index, image in enumerate(images)
    ]
    return panels(rows, ["input", "true", *titles])


def curve_figure(
    curves: Mapping[str, Mapping[str, Sequence[float]]], places: Sequence[float], label: str, mark: float
) -> Figure:
    """Scores by a number that was varied: a panel for each metric, a line for each model, and a mark where it trained."""
    figure = Figure(figsize=(3.6 * len(curves), 2.5), layout="constrained")
    for axis, (metric, lines) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
        for (name, values), color, style in zip(lines.items(), SLOT_COLORS[[5, 6, 3]], ("-o", "--s", ":^"), strict=False):
            axis.plot(places, values, style, color=color, label=name, ms=4)
        axis.axvline(mark, color="0.6", lw=1)
        axis.set(xlabel=label, title=metric, ylim=(0, 1))
        axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure
