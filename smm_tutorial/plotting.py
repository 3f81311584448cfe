"""Figures of the course: every figure is a function that returns a `matplotlib.figure.Figure`."""

import base64
import html
import io
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from smm_tutorial.models.discovery import DiscoveryOutput
from smm_tutorial.slots import SlotState

MINIMUM_ALT_LENGTH = 20  # characters: enough for a sentence that says what is to be seen


def show(figure: Figure, alt: str, dpi: int = 100) -> None:
    """Display `figure` below the cell, together with the text that stands in for it, and close it.

    The picture is a PNG whose output metadata carries `alt`, which exporters to HTML use as the image's alt attribute.
    JupyterLab does not read that metadata, so the same text also follows the picture, folded, for everyone.

    Args:
        figure: what to show.
        alt: one or two sentences that say what the figure shows, for readers who cannot see it.
        dpi: pixels per inch of the PNG.

    Raises:
        ValueError: `alt` is too short to describe anything.
    """
    _display("image/png", png(figure, dpi), alt)
    plt.close(figure)


def _display(kind: str, data: str, alt: str) -> None:
    """Displays base64 data of a media type with its alt text; outside a notebook, prints the text."""
    alt = " ".join(alt.split())
    if len(alt) < MINIMUM_ALT_LENGTH:
        raise ValueError(
            f"alt must describe the figure in at least {MINIMUM_ALT_LENGTH} characters, got {alt!r}: "
            "say what is drawn and what one sees in it"
        )
    if get_ipython() is None:
        print(f"Figure: {alt}")
        return
    display({kind: data, "text/plain": "<Figure>"}, metadata={kind: {"alt": alt}}, raw=True)
    folded = f"<details><summary>Figure in words</summary>{html.escape(alt)}</details>"
    display({"text/html": folded, "text/plain": f"Figure in words: {alt}"}, raw=True)


def show_film(frames: Sequence[Figure], alt: str, dpi: int = 80, milliseconds: int = 700) -> None:
    """Display figures of one size as a looping animation (GIF), with the text that stands in for it, and close them.

    Put a static figure of the frames beside it: not every reader sees motion, and paper shows none.

    Raises:
        ValueError: no frames, or `alt` is too short to describe anything.
    """
    if not frames:
        raise ValueError("a film needs at least one frame")
    pictures = []
    for frame in frames:
        buffer = io.BytesIO()
        frame.savefig(buffer, format="png", dpi=dpi)
        pictures.append(Image.open(buffer).convert("RGB").quantize(128))
        plt.close(frame)
    film = io.BytesIO()
    pictures[0].save(film, "GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0)
    _display("image/gif", base64.b64encode(film.getvalue()).decode("ascii"), alt)


def png(figure: Figure, dpi: int) -> str:
    """The figure as a base64 PNG, cropped to what is drawn."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode("ascii")


#: One colour a slot, the same in every panel of a figure. The first eight are Okabe and Ito's, safe for colour-blind eyes.
SLOT_COLORS = np.array(
    [
        (0.60, 0.60, 0.60), (0.90, 0.62, 0.00), (0.34, 0.71, 0.91), (0.00, 0.62, 0.45), (0.94, 0.89, 0.26),
        (0.00, 0.45, 0.70), (0.84, 0.37, 0.00), (0.80, 0.47, 0.65), (0.15, 0.15, 0.15), (0.55, 0.34, 0.29),
        (0.74, 0.84, 0.55), (0.42, 0.24, 0.60),
    ]
)  # fmt: skip
PANEL = 1.25  # inches, the side of a small picture


def color_map(segmentation: Tensor) -> np.ndarray:
    """An integer map `(H, W)` in the slots' colours -> `(H, W, 3)` in [0, 1]. Colours repeat after the twelfth slot."""
    return SLOT_COLORS[segmentation.cpu().numpy() % len(SLOT_COLORS)]


def displayable(image: Tensor) -> np.ndarray:
    """An image `(3, H, W)` as matplotlib wants it: `(H, W, 3)`, cut to [0, 1]."""
    return image.detach().cpu().clamp(0, 1).permute(1, 2, 0).numpy()


def panels(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], title: str | None = None) -> Figure:
    """Rows of small pictures `(H, W, 3)`, with a title over each column."""
    columns = len(titles)
    figure = Figure(figsize=(PANEL * columns, PANEL * len(rows) + (0.55 if title else 0.25)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, text in zip(axes[0], titles, strict=True):
        axis.set_title(text, fontsize=9)
    for row_axes, row in zip(axes, rows, strict=True):
        for axis, pixels in zip(row_axes, row, strict=False):
            axis.imshow(pixels, interpolation="nearest")
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def decomposition_figure(images: Tensor, output: DiscoveryOutput, title: str | None = None) -> Figure:
    """How a model takes scenes apart: input, reconstruction, who is responsible for which pixel, what each slot paints.

    images `(B, 3, H, W)`. A slot's painting is shown through its mask on white; its frame has the slot's colour.
    """
    count = output.masks.shape[1]
    owners = output.log_joint(images).argmax(dim=1)  # (B, H, W)
    rows = []
    for index, image in enumerate(images):
        masks = output.masks[index, :, None]  # (K, 1, H, W)
        painted = masks * output.reconstructions[index].clamp(0, 1) + (1 - masks)  # (K, 3, H, W)
        rows.append(
            [displayable(image), displayable(output.reconstruction[index]), color_map(owners[index])]
            + [displayable(slot) for slot in painted]
        )
    figure = panels(rows, ["input", "reconstruction", "slots"] + [f"slot {k}" for k in range(count)], title)
    for position, axis in enumerate(figure.axes):
        if (slot := position % (count + 3) - 3) >= 0:
            axis.axis("on")
            axis.set(xticks=[], yticks=[])
            for spine in axis.spines.values():
                spine.set(color=SLOT_COLORS[slot % len(SLOT_COLORS)], linewidth=2)
    return figure


def comparison_figure(images: Tensor, maps: Mapping[str, Tensor], title: str | None = None) -> Figure:
    """Segmentations `(B, H, W)` by name beside the images `(B, 3, H, W)`."""
    rows = [[displayable(image)] + [color_map(m[index]) for m in maps.values()] for index, image in enumerate(images)]
    return panels(rows, ["input", *maps], title)


def iterations_figure(images: Tensor, history: Sequence[SlotState], title: str | None = None) -> Figure:
    """Who holds each input after each iteration: the inputs' slots laid over the image's grid, mixed by responsibility."""
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


def log_figure(log: Sequence[dict], names: Mapping[str, str]) -> Figure:
    """Curves of a run's log over its steps, one panel for each scalar that `names` gives a title."""
    figure = Figure(figsize=(3.6 * len(names), 2.4), layout="constrained")
    for axis, (name, label) in zip(figure.subplots(1, len(names), squeeze=False)[0], names.items(), strict=True):
        points = [(entry["step"], entry[name]) for entry in log if name in entry]
        axis.plot(*zip(*points, strict=True), color=SLOT_COLORS[5])
        axis.set(xlabel="training step", title=label)
        axis.grid(alpha=0.3)
    return figure
