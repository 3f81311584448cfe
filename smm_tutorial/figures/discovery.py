"""Figures of notebook 05: the architecture with its shapes, slots through training, surgery,
failures.

A slot has the same colour in every panel, that of its number in `palette.SLOT_COLORS`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import Tensor

from smm_tutorial.discovery.model import DiscoveryOutput, ObjectDiscovery
from smm_tutorial.discovery.surgery import drop_slot, move_slot, swap_slots
from smm_tutorial.figures.palette import SLOT_COLORS, color_map
from smm_tutorial.figures.pictures import displayable, panels
from smm_tutorial.slots.base import SlotState

BOX, GAP = (1.55, 0.9), 0.62  # inches: a part of the network, and the arrow behind it
OPERATIONS = ("drop", "swap", "move")


def architecture_figure(model: ObjectDiscovery) -> Figure:
    """A discovery network from left to right: its parts, with parameters, and the shapes between
    them for one image.
    """
    config = model.config
    side, count, grid = config.image_size, config.num_slots, config.decoder_grid
    cells = config.image_size // config.encoder_stride
    parts = [
        ("encoder", f"convolutions,\npositions, MLP\n{_size(model.encoder)}", SLOT_COLORS[2]),
        (
            type(model.slots).__name__,
            f"{config.num_iterations} iterations\n{_size(model.slots)}",
            SLOT_COLORS[1],
        ),
        (
            "decoder",
            f"each slot alone,\nfrom {grid} x {grid} cells\n{_size(model.decoder)}",
            SLOT_COLORS[7],
        ),
        ("mixture", "masks: softmax\nover slots\nno parameters", SLOT_COLORS[3]),
    ]
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
            look = {
                "boxstyle": "round,pad=0.02,rounding_size=0.08",
                "facecolor": (*color, 0.35),
                "edgecolor": "0.3",
            }
            axis.add_patch(FancyBboxPatch((right, 0.17), *BOX, **look))
            axis.text(
                right + BOX[0] / 2,
                0.17 + BOX[1] - 0.08,
                name,
                ha="center",
                va="top",
                fontsize=9.5,
                weight="bold",
            )
            axis.text(right + BOX[0] / 2, 0.24, details, ha="center", va="bottom", fontsize=7.5)
            left = right + BOX[0]
    return figure


def _size(part: torch.nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in part.parameters()):,} parameters"


def training_frames(images: Tensor, snapshots: Mapping[int, Tensor]) -> list[Figure]:
    """One figure for each step that `snapshots` holds owners `(B, H, W)` for: images `(B, 3, H, W)`
    above, owners below.
    """
    pictures = [displayable(image) for image in images]
    return [
        panels(
            [pictures, [color_map(owner) for owner in owners]],
            [""] * len(pictures),
            f"step {step:,}",
        )
        for step, owners in snapshots.items()
    ]


def operate(
    model: ObjectDiscovery,
    output: DiscoveryOutput,
    operation: str,
    number: int,
    directions: Tensor,
    down: float = 0.0,
    right: float = 0.0,
) -> tuple[DiscoveryOutput, list[int]]:
    """Two scenes after an operation on slot `number` of the first one, and which slot each of the
    slots was before.

    `drop` takes it out of both; `swap` exchanges it with the slot of the same number of the second;
    `move` shifts it.

    Raises `ValueError` for another operation.
    """
    slots = output.slot_output
    if operation == "drop":
        after = drop_slot(slots, number)
    elif operation == "swap":
        after = swap_slots(slots, (0, number), (1, number))
    elif operation == "move":
        after = move_slot(slots, (0, number), down, right, directions)
    else:
        raise ValueError(
            f"operation must be one of {', '.join(map(repr, OPERATIONS))}, got {operation!r}"
        )
    numbers = [k for k in range(slots.slots.shape[1]) if operation != "drop" or k != number]
    with torch.no_grad():
        return model.decode(after), numbers


def surgery_figure(
    images: Tensor,
    before: DiscoveryOutput,
    after: DiscoveryOutput,
    numbers: Sequence[int],
    title: str,
) -> Figure:
    """Rows of scenes `(B, 3, H, W)`: the input, what its slots paint and own, and the same after an
    operation.

    numbers: which slot each slot of `after` was before, so that it keeps its colour.
    """
    rows, owners = [], torch.tensor(numbers)[after.segmentation.cpu()]
    for index, image in enumerate(images):
        row = [
            displayable(image),
            displayable(before.reconstruction[index]),
            color_map(before.segmentation[index]),
        ]
        rows.append([*row, displayable(after.reconstruction[index]), color_map(owners[index])])
    return panels(rows, ["input", "painted", "slots", "after", "slots after"], title)


def gallery_figure(
    images: Tensor,
    true: Tensor,
    owners: Mapping[str, Tensor],
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """How differently trained models take the same scenes apart: a column for each of `owners` `(B,
    H, W)`, by name.

    notes: a second line for the column of that name, such as a score.
    """
    titles = [f"{name}\n{(notes or {}).get(name, '')}".rstrip() for name in owners]
    rows = [
        [
            displayable(image),
            color_map(true[index]),
            *(color_map(maps[index]) for maps in owners.values()),
        ]
        for index, image in enumerate(images)
    ]
    return panels(rows, ["input", "true", *titles])


def decomposition_figure(
    images: Tensor, output: DiscoveryOutput, title: str | None = None
) -> Figure:
    """How a model takes scenes apart: input, reconstruction, who is responsible for which pixel,
    what each slot paints.

    images `(B, 3, H, W)`. A slot's painting is shown through its mask on white; its frame has the
    slot's colour.
    """
    count = output.masks.shape[1]
    owners = output.log_joint(images).argmax(dim=1)  # (B, H, W)
    rows = []
    for index, image in enumerate(images):
        masks = output.masks[index, :, None]  # (K, 1, H, W)
        painted = masks * output.reconstructions[index].clamp(0, 1) + (1 - masks)  # (K, 3, H, W)
        rows.append(
            [
                displayable(image),
                displayable(output.reconstruction[index]),
                color_map(owners[index]),
            ]
            + [displayable(slot) for slot in painted]
        )
    figure = panels(
        rows, ["input", "reconstruction", "slots"] + [f"slot {k}" for k in range(count)], title
    )
    for position, axis in enumerate(figure.axes):
        if (slot := position % (count + 3) - 3) >= 0:
            axis.axis("on")
            axis.set(xticks=[], yticks=[])
            for spine in axis.spines.values():
                spine.set(color=SLOT_COLORS[slot % len(SLOT_COLORS)], linewidth=2)
    return figure


def comparison_figure(
    images: Tensor, maps: Mapping[str, Tensor], title: str | None = None
) -> Figure:
    """Segmentations `(B, H, W)` by name beside the images `(B, 3, H, W)`."""
    rows = [
        [displayable(image)] + [color_map(m[index]) for m in maps.values()]
        for index, image in enumerate(images)
    ]
    return panels(rows, ["input", *maps], title)


def iterations_figure(
    images: Tensor, history: Sequence[SlotState], title: str | None = None
) -> Figure:
    """Who holds each input after each iteration: the inputs' slots laid over the image's grid,
    mixed by responsibility.
    """
    rows = []
    for index, image in enumerate(images):
        maps = []
        for state in history:
            responsibilities = state.responsibilities[index].detach().cpu().numpy()  # (N, K)
            side = round(len(responsibilities) ** 0.5)
            colors = SLOT_COLORS[np.arange(responsibilities.shape[1]) % len(SLOT_COLORS)]
            maps.append((responsibilities @ colors).clip(0, 1).reshape(side, side, 3))
        rows.append([displayable(image), *maps])
    return panels(rows, ["input", *(f"iteration {t}" for t in range(1, len(history) + 1))], title)
