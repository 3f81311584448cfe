"""Encoders and decoders: the networks before and after the slot module.

A `ConvEncoder` turns an image into the inputs of the slot module. A decoder paints each slot. There
are three decoders: `PixelDecoder`, `BroadcastDecoder`, and the papers' `PaperDecoder`. Encoder and
decoders use position embeddings (`position_grid`, `fourier_grid`). These networks do not depend on
a task or on a slot module; their sizes are arguments.

For image reconstruction, a `DiscreteVAE` turns images into tokens and back, and a
`TokenTransformer` predicts tokens from slots.
"""

from smm_tutorial.networks.decoders import BroadcastDecoder, PaperDecoder, PixelDecoder
from smm_tutorial.networks.dvae import DiscreteVAE, draw_gumbel, gumbel_softmax
from smm_tutorial.networks.encoders import ConvEncoder
from smm_tutorial.networks.positions import fourier_grid, position_grid
from smm_tutorial.networks.transformer import TokenTransformer

__all__ = [
    "BroadcastDecoder",
    "ConvEncoder",
    "DiscreteVAE",
    "PaperDecoder",
    "PixelDecoder",
    "TokenTransformer",
    "draw_gumbel",
    "fourier_grid",
    "gumbel_softmax",
    "position_grid",
]
