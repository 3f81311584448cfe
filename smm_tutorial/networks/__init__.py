"""Everything between pixels and slots that does not cluster.

A `ConvEncoder` turns an image into the inputs that slots share out. A decoder paints each slot:
`PixelDecoder`, `BroadcastDecoder`, or the papers' own, `PaperDecoder`. Both add positions to what
they see (`position_grid`, `fourier_grid`). The modules know nothing of slots' clustering or of a
task; sizes are arguments.
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
