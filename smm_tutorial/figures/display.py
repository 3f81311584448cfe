"""Display figures and films below a notebook's cell, together with texts that describe them."""

import base64
import html
import io
from collections.abc import Sequence

import matplotlib.pyplot as plt
from IPython import get_ipython
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image

MINIMUM_ALT_LENGTH = 20  # characters: enough for a sentence that describes a figure


def show(figure: Figure, alt: str, dpi: int = 100) -> None:
    """Display `figure` below the cell with a text that describes it, and close it.

    The picture is a PNG. Its output metadata carries `alt`, which exporters to HTML use as the alt
    attribute. JupyterLab does not read this metadata, so the text also follows the picture, folded.

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
    """Displays base64 data of type `kind` with its text. Outside a notebook, prints the text."""
    alt = " ".join(alt.split())
    if len(alt) < MINIMUM_ALT_LENGTH:
        raise ValueError(
            f"alt must describe the figure in at least {MINIMUM_ALT_LENGTH} characters, "
            f"got {alt!r}: say what is drawn and what one sees in it"
        )
    if get_ipython() is None:
        print(f"Figure: {alt}")
        return
    display({kind: data, "text/plain": "<Figure>"}, metadata={kind: {"alt": alt}}, raw=True)
    folded = f"<details><summary>Figure in words</summary>{html.escape(alt)}</details>"
    display({"text/html": folded, "text/plain": f"Figure in words: {alt}"}, raw=True)


def show_film(frames: Sequence[Figure], alt: str, dpi: int = 80, milliseconds: int = 700) -> None:
    """Display figures of one size as a looping film (GIF) with a text, and close them.

    Display a static figure of the frames too: some readers cannot see motion, and paper shows none.

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
    pictures[0].save(
        film, "GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0
    )
    _display("image/gif", base64.b64encode(film.getvalue()).decode("ascii"), alt)


def png(figure: Figure, dpi: int) -> str:
    """The figure as a PNG in base64. Empty margins are cut off."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode("ascii")
