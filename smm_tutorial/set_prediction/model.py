"""The network of set prediction: what is where, one vector per slot.

It learns from scene records (Slot Attention, arXiv 2006.15055, sec. 3.3; SMM, arXiv 2311.04640,
sec. 4).
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from smm_tutorial.networks.encoders import ConvEncoder, Convolutions
from smm_tutorial.set_prediction.targets import OBJECT_DIM, PROPERTY_SLICES
from smm_tutorial.slots.base import SlotOutput, widen
from smm_tutorial.slots.slot_model import SlotModel, settle_config

NUM_COORDINATES = 3


@dataclass(frozen=True)
class SetPredictionConfig:
    """Everything that decides a `SetPredictor`; by default the paper's sizes.

    Compared models differ in `slots` alone. Raises `ValueError` for an unknown slot module and a
    size that is no whole number of at least 1.
    """

    slots: Literal["attention", "mixture"] = "mixture"
    image_size: int = 128  # S, pixels
    num_slots: int = 10  # K, at least as many as a scene has objects
    slot_dim: int = 64
    num_iterations: int = 7
    convolutions: Convolutions = "paper"
    encoder_channels: int = 64
    encoder_stride: int = 4
    head_dim: int = 64  # hidden width of the two heads
    slot_options: dict = field(default_factory=dict)  # of the slot module: start, content, ...

    def __post_init__(self):
        settle_config(self)


@dataclass
class SetPrediction:
    """What a set predictor says of images: one object a slot.

    predictions: `(B, K, 19)`, float32 at least, in the order of `set_targets`: coordinates in
    (-1, 1), four groups that sum to one, and how sure it is that the object is real, in (0, 1).
    slot_output: what the predictions were read from.
    """

    predictions: Tensor
    slot_output: SlotOutput


class SetHeads(nn.Module):
    """Slots `(B, K, D)` -> predictions `(B, K, 19)`: an MLP for coordinates, one for the rest."""

    def __init__(self, slot_dim: int, hidden_dim: int):
        super().__init__()
        self.coordinates, self.properties = (
            nn.Sequential(nn.Linear(slot_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, width))
            for width in (NUM_COORDINATES, OBJECT_DIM - NUM_COORDINATES)
        )

    def forward(self, slots: Tensor) -> Tensor:
        coordinates = widen(self.coordinates(slots))  # (B, K, 3)
        properties = widen(self.properties(slots))  # (B, K, 16)
        groups = properties[..., :-1].split(
            [values.stop - values.start for values in PROPERTY_SLICES.values()], dim=2
        )
        parts = [
            torch.tanh(coordinates / 2),  # 2 sigmoid(x) - 1
            *(group.softmax(dim=2) for group in groups),
            properties[..., -1:].sigmoid(),
        ]
        return torch.cat(parts, dim=2)


class SetPredictor(SlotModel):
    """Encoder, slots, heads. Images are `(B, 3, S, S)` in [0, 1]."""

    def __init__(self, config: SetPredictionConfig):
        encoder = ConvEncoder(
            config.image_size,
            config.encoder_channels,
            config.encoder_stride,
            convolutions=config.convolutions,
        )
        super().__init__(config, encoder)
        self.heads = SetHeads(self.slots.output_dim, config.head_dim)

    def decode(self, slot_output: SlotOutput) -> SetPrediction:
        """Reads each slot as an object."""
        return SetPrediction(self.heads(slot_output.slots), slot_output)
