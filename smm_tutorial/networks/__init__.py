"""Everything between pixels and slots that does not cluster."""

from smm_tutorial.networks.decoders import BroadcastDecoder, PaperDecoder, PixelDecoder
from smm_tutorial.networks.encoders import ConvEncoder, Convolutions
from smm_tutorial.networks.positions import fourier_grid, position_grid

__all__ = [
    "BroadcastDecoder",
    "ConvEncoder",
    "Convolutions",
    "PaperDecoder",
    "PixelDecoder",
    "fourier_grid",
    "position_grid",
]
