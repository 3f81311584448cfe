"""Figures of object discovery: the network and its shapes, segmentations, operations on slots.

A slot has the colour of its number over pictures, `palette.slot_color`, in every panel.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import Tensor

from smm_tutorial.discovery.model import DiscoveryOutput, ObjectDiscovery
from smm_tutorial.discovery.surgery import drop_slot, move_slot, swap_slots
from smm_tutorial.figures.palette import (
    GREEN,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    label_map,
    slot_color,
    slot_map,
)
from smm_tutorial.figures.pictures import picture_rows_figure, to_picture
from smm_tutorial.slots.base import SlotState

BOX = (1.4, 0.95)  # inches, width and height of a part of the network
ARROW = 0.7  # inches, from one part to the next


def architecture_figure(model: ObjectDiscovery) -> Figure:
    """A discovery network from left to right: its parts, and the shapes between them."""
    config = model.config
    side, count, grid = config.image_size, config.num_slots, config.decoder_grid
    cells = config.image_size // config.encoder_stride
    encoder, slots, decoder = map(_describe_size, (model.encoder, model.slots, model.decoder))
    parts = [
        ("encoder", f"convolutions,\npositions, MLP\n{encoder}", SKY_BLUE),
        (type(model.slots).__name__, f"{config.num_iterations} iterations\n{slots}", ORANGE),
        ("decoder", f"each slot alone,\nfrom {grid} x {grid} cells\n{decoder}", PURPLE),
        ("mixture", "masks: softmax\nover slots\nno parameters", GREEN),
    ]
    shapes = [
        f"image\n3 x {side} x {side}",
        f"inputs ({cells} x {cells} cells)\n{cells**2} x {config.encoder_channels}",
        f"slots\n{count} x {model.slots.output_dim}",
        f"paintings, logits\n{count} x 4 x {side} x {side}",
        f"reconstruction\n3 x {side} x {side}",
    ]
    width = len(parts) * BOX[0] + len(shapes) * ARROW
    height, middle = 1.6, 0.1 + BOX[1] / 2
    figure = Figure(figsize=(width, height))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width), ylim=(0, height))
    axis.axis("off")
    for number, text in enumerate(shapes):
        left = number * (BOX[0] + ARROW)
        right = left + ARROW
        ends = ((left + 0.04, middle), (right - 0.04, middle))
        axis.add_patch(FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=12, color="0.3"))
        at_edge = {0: ("left", left + 0.04), len(parts): ("right", right - 0.04)}
        align, x = at_edge.get(number, ("center", (left + right) / 2))
        axis.text(x, 0.2 + BOX[1], text, ha=align, va="bottom", fontsize=8.5)
        if number < len(parts):
            name, details, color = parts[number]
            look = {"boxstyle": "round,pad=0.02,rounding_size=0.08", "edgecolor": "0.3"}
            axis.add_patch(FancyBboxPatch((right, 0.1), *BOX, facecolor=(*color, 0.35), **look))
            centre, top = right + BOX[0] / 2, 0.1 + BOX[1] - 0.06
            axis.text(centre, top, name, ha="center", va="top", fontsize=10, weight="bold")
            axis.text(centre, 0.15, details, ha="center", va="bottom", fontsize=8.5)
    return figure


def _describe_size(part: torch.nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in part.parameters()):,} parameters"


def training_frames(images: Tensor, snapshots: Mapping[int, Tensor]) -> list[Figure]:
    """One figure per training step: images `(B, 3, H, W)` above, segmentations below.

    snapshots: segmentations `(B, H, W)` by step.
    """
    pictures = [to_picture(image) for image in images]
    titles = [""] * len(pictures)
    return [
        picture_rows_figure([pictures, [slot_map(m) for m in maps]], titles, f"step {step:,}")
        for step, maps in snapshots.items()
    ]


OPERATIONS = ("drop", "swap", "move")


def operate_on_slot(
    model: ObjectDiscovery,
    output: DiscoveryOutput,
    operation: str,
    number: int,
    directions: Tensor,
    down: float = 0.0,
    right: float = 0.0,
) -> tuple[DiscoveryOutput, list[int]]:
    """Applies an operation to slot `number` of the first of two scenes and decodes both scenes
    again.

    `drop` removes the slot from both scenes. `swap` exchanges the slot with the slot of the same
    number in the second scene. `move` shifts the slot by `down` and `right`, in sides of the
    picture.

    Returns:
        The new output, and for each of its slots the number that the slot had before.

    Raises:
        ValueError: another operation.
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
    """One row per scene `(B, 3, H, W)`: picture and owners of the pixels, before and after an
    operation.

    The owners are computed from the decoder's masks.

    numbers: the number that each slot of `after` had before, so that it keeps its colour.
    """
    owners = torch.tensor(numbers)[after.segmentation.cpu()]
    rows = [
        [
            to_picture(image),
            to_picture(before.reconstruction[index]),
            slot_map(before.segmentation[index]),
            to_picture(after.reconstruction[index]),
            slot_map(owners[index]),
        ]
        for index, image in enumerate(images)
    ]
    titles = ["input", "reconstruction", "owners before", "new picture", "owners after"]
    return picture_rows_figure(rows, titles, title)


def decomposition_figure(images: Tensor, output: DiscoveryOutput) -> Figure:
    """Decomposition of images `(B, 3, H, W)`: reconstruction, owners of the pixels, and each slot.

    Each slot's picture shows its reconstruction through its mask, on white, in a frame of the
    slot's colour.
    """
    count = output.masks.shape[1]
    owners = output.log_joint(images).argmax(dim=1)  # (B, H, W)
    rows = []
    for index, image in enumerate(images):
        masks = output.masks[index, :, None]  # (K, 1, H, W)
        painted = masks * output.reconstructions[index].clamp(0, 1) + (1 - masks)  # (K, 3, H, W)
        whole = to_picture(output.reconstruction[index])
        slots = [to_picture(slot) for slot in painted]
        rows.append([to_picture(image), whole, slot_map(owners[index]), *slots])
    titles = ["input", "reconstruction", "slots", *(f"slot {k}" for k in range(count))]
    figure = picture_rows_figure(rows, titles)
    for position, axis in enumerate(figure.axes):
        slot = position % len(titles) - 3
        if slot >= 0:
            axis.axis("on")
            axis.set(xticks=[], yticks=[])
            for spine in axis.spines.values():
                spine.set(color=slot_color(slot), linewidth=2)
    return figure


def comparison_figure(
    images: Tensor,
    maps: Mapping[str, Tensor],
    notes: Mapping[str, str] | None = None,
    true: Tensor | None = None,
) -> Figure:
    """Segmentations `(B, H, W)` by name beside the images `(B, 3, H, W)`.

    notes: a second line for the titles of some columns, by name, such as a score. true: true masks
    `(B, H, W)`, drawn before the segmentations.
    """
    rows = [[to_picture(image)] for image in images]
    if true is not None:
        rows = [[*row, label_map(mask)] for row, mask in zip(rows, true, strict=True)]
    rows = [[*row, *(slot_map(m[index]) for m in maps.values())] for index, row in enumerate(rows)]
    notes = notes or {}
    titles = [f"{name}\n{notes[name]}" if name in notes else name for name in maps]
    return picture_rows_figure(rows, ["input", *(["true"] if true is not None else []), *titles])


def iterations_figure(images: Tensor, history: Sequence[SlotState]) -> Figure:
    """The owners of each input after each iteration: the slots' colours, mixed by responsibility.

    images: `(B, 3, H, W)`. The inputs must lie on a square grid over the image.
    """
    rows = []
    for index, image in enumerate(images):
        row = [to_picture(image)]
        for state in history:
            responsibilities = state.responsibilities[index].detach().cpu().numpy()  # (N, K)
            side = round(len(responsibilities) ** 0.5)
            colors = slot_color(np.arange(responsibilities.shape[1]))
            row.append((responsibilities @ colors).clip(0, 1).reshape(side, side, 3))
        rows.append(row)
    return picture_rows_figure(
        rows, ["input", *(f"iteration {t + 1}" for t in range(len(history)))]
    )
