"""Encoders and decoders: the networks before and after the slot module.

A `ConvEncoder` turns an image into the inputs of the slot module. A decoder paints each slot. There
are three decoders: `PixelDecoder`, `BroadcastDecoder`, and the papers' `PaperDecoder`. Encoder and
decoders use position embeddings (`position_grid`, `fourier_grid`). These networks do not depend on
a task or on a slot module; their sizes are arguments.
"""

from smm_tutorial.networks.decoders import BroadcastDecoder, PaperDecoder, PixelDecoder
from smm_tutorial.networks.encoders import ConvEncoder
from smm_tutorial.networks.positions import fourier_grid, position_grid

__all__ = [
    "BroadcastDecoder",
    "ConvEncoder",
    "PaperDecoder",
    "PixelDecoder",
    "fourier_grid",
    "position_grid",
]
