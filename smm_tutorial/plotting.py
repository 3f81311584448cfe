"""Figures of the course: every figure is a function that returns a `matplotlib.figure.Figure`."""

import base64
import html
import io

import matplotlib.pyplot as plt
from IPython import get_ipython
from IPython.display import display
from matplotlib.figure import Figure

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
    alt = " ".join(alt.split())
    if len(alt) < MINIMUM_ALT_LENGTH:
        raise ValueError(
            f"alt must describe the figure in at least {MINIMUM_ALT_LENGTH} characters, got {alt!r}: "
            "say what is drawn and what one sees in it"
        )
    if get_ipython() is None:
        print(f"Figure: {alt}")
    else:
        picture = {"image/png": png(figure, dpi), "text/plain": "<Figure>"}
        display(picture, metadata={"image/png": {"alt": alt}}, raw=True)
        folded = f"<details><summary>Figure in words</summary>{html.escape(alt)}</details>"
        display({"text/html": folded, "text/plain": f"Figure in words: {alt}"}, raw=True)
    plt.close(figure)


def png(figure: Figure, dpi: int) -> str:
    """The figure as a base64 PNG, cropped to what is drawn."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode("ascii")
