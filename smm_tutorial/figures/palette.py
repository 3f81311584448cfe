"""One colour a slot."""

import numpy as np
from torch import Tensor

#: One colour a slot, the same in every panel of a figure. The first eight are Okabe and Ito's, safe
#: for colour-blind eyes.
SLOT_COLORS = np.array(
    [
        (0.60, 0.60, 0.60),
        (0.90, 0.62, 0.00),
        (0.34, 0.71, 0.91),
        (0.00, 0.62, 0.45),
        (0.94, 0.89, 0.26),
        (0.00, 0.45, 0.70),
        (0.84, 0.37, 0.00),
        (0.80, 0.47, 0.65),
        (0.15, 0.15, 0.15),
        (0.55, 0.34, 0.29),
        (0.74, 0.84, 0.55),
        (0.42, 0.24, 0.60),
    ]
)


def color_map(segmentation: Tensor) -> np.ndarray:
    """An integer map `(H, W)` in the slots' colours -> `(H, W, 3)` in [0, 1]. Colours repeat after
    the twelfth slot.
    """
    return SLOT_COLORS[segmentation.cpu().numpy() % len(SLOT_COLORS)]


#: The slots' colours, those that show best on white first; component k has COMPONENT_COLORS[k %
#: 12].
COMPONENT_COLORS = SLOT_COLORS[[5, 1, 3, 7, 6, 2, 11, 9, 10, 4, 8, 0]]


def component_colors(count: int) -> np.ndarray:
    """One colour a component, (count, 3); they repeat after the twelfth."""
    return COMPONENT_COLORS[np.arange(count) % len(COMPONENT_COLORS)]
