"""Colours and line styles. A slot has one colour, the same in every panel of a figure.

Grey is the background of true masks. No slot and no object has it.

The colours from `ORANGE` to `PURPLE` are Okabe and Ito's, which colour-blind readers can tell
apart.
"""

import numpy as np
from torch import Tensor

GRAY = (0.60, 0.60, 0.60)
ORANGE = (0.90, 0.62, 0.00)
SKY_BLUE = (0.34, 0.71, 0.91)
GREEN = (0.00, 0.62, 0.45)
YELLOW = (0.94, 0.89, 0.26)
BLUE = (0.00, 0.45, 0.70)
VERMILION = (0.84, 0.37, 0.00)
PURPLE = (0.80, 0.47, 0.65)
BLACK = (0.15, 0.15, 0.15)
BROWN = (0.55, 0.34, 0.29)
LIME = (0.74, 0.84, 0.55)
VIOLET = (0.42, 0.24, 0.60)

NEUTRAL, EMPHASIS = BLACK, VERMILION  # for curves and marks that belong to no component
LINE_STYLES = ("-", "--", ":", "-.")

#: Colours over pictures: of slot 0, 1, ..., and of the first, second, ... object of a mask.
SLOT_COLORS = np.array(
    [ORANGE, SKY_BLUE, GREEN, YELLOW, BLUE, VERMILION, PURPLE, BLACK, BROWN, LIME, VIOLET]
)
BACKGROUND = np.array(GRAY)  # of true masks
#: The same colours for points and curves on white paper: those that show best come first.
COLORS_ON_WHITE = np.array(
    [BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY_BLUE, VIOLET, BROWN, LIME, YELLOW, BLACK, GRAY]
)


def slot_color(number: int | np.ndarray) -> np.ndarray:
    """The colour (3,) of a slot, or one colour for each element of an array; they repeat after
    eleven.
    """
    return SLOT_COLORS[number % len(SLOT_COLORS)]


def label_color(label: int | np.ndarray) -> np.ndarray:
    """The colour (3,) of a label of true masks, or one for each element of an array. Label 0 is
    grey.
    """
    label = np.asarray(label)
    return np.where(label[..., None] == 0, BACKGROUND, slot_color(label - 1))


def slot_map(owners: Tensor) -> np.ndarray:
    """Colours `(H, W, 3)` in [0, 1] for a map `(H, W)` of the slots that own the pixels."""
    return slot_color(owners.cpu().numpy())


def label_map(mask: Tensor) -> np.ndarray:
    """Colours `(H, W, 3)` in [0, 1] for a true mask `(H, W)`. The background is grey."""
    return label_color(mask.cpu().numpy())


def component_colors(count: int) -> np.ndarray:
    """Colours (count, 3) of components or curves on white paper; they repeat after twelve."""
    return COLORS_ON_WHITE[np.arange(count) % len(COLORS_ON_WHITE)]
