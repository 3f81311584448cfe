"""Widgets of image reconstruction: cool a sample down, and watch a picture grow."""

from collections.abc import Sequence

import ipywidgets
from torch import Tensor

from smm_tutorial.figures.reconstruction import growing_figure, relaxed_figure
from smm_tutorial.widgets.controls import FigureSlider


def sample_cooler(logits: Tensor, noise: Tensor, temperatures: Sequence[float]) -> FigureSlider:
    """Relaxed samples of logits (V,) with Gumbel noise (samples, V), at one of the temperatures."""
    slider = ipywidgets.SelectionSlider(
        options=[(f"{one:g}", float(one)) for one in temperatures],
        description="temperature",
        continuous_update=False,
    )
    return FigureSlider(slider, lambda temperature: relaxed_figure(logits, noise, temperature))


def picture_grower(pictures: Sequence[Tensor], length: int) -> FigureSlider:
    """Pictures (3, S, S) of which the first tokens are shown, as they are generated.

    length: the number of tokens of a whole picture.
    """
    slider = ipywidgets.IntSlider(
        0, 0, length, description="tokens", continuous_update=False, step=1
    )
    return FigureSlider(slider, lambda tokens: growing_figure(pictures, tokens, length))
