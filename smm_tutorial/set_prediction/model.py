"""The network of set prediction: what is where, one vector per slot.

It learns from scene records (Slot Attention, arXiv 2006.15055, sec. 3.3; SMM, arXiv 2311.04640,
sec. 4).
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from smm_tutorial.networks.encoders import ConvEncoder, Convolutions
from smm_tutorial.set_prediction.targets import COORDINATES, OBJECT_DIM, PROPERTY_SLICES, REAL
from smm_tutorial.slots.base import SlotOutput, check_choice, widen
from smm_tutorial.slots.slot_model import SlotModel, settle_config

NUM_COORDINATES = 3
Reading = Literal["plain", "standardised"]


@dataclass(frozen=True)
class SetPredictionConfig:
    """Everything that decides a `SetPredictor`; by default the paper's sizes.

    Compared models differ in `slots` alone.
    reading: the heads get slots as they are, `plain` | `standardised`: each number of a slot minus
    its mean, over its spread, both averaged over training. Variances differ by factors of a
    thousand from means and among themselves, and heads learn slowly from such numbers.

    Raises `ValueError` for an unknown slot module or reading, and a size that is no whole number of
    at least 1.
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
    reading: Reading = "plain"  # how the heads get the slots
    slot_options: dict = field(default_factory=dict)  # of the slot module: start, content, ...

    def __post_init__(self):
        settle_config(self)
        check_choice("reading", self.reading, Reading)


@dataclass
class SetPrediction:
    """What a set predictor says of images: one object a slot.

    predictions: `(B, K, 19)`, float32 at least, in the order of `set_targets`: coordinates in
    (-1, 1), four groups that sum to one, and how sure it is that the object is real, in (0, 1).
    slot_output: what the predictions were read from.
    logits: `(I, B, K, 19)`, the heads' outputs that `activate` makes predictions of; those of each
    of I iterations if a history was asked for, else of the last alone.
    """

    predictions: Tensor
    slot_output: SlotOutput
    logits: Tensor | None = None


class SetHeads(nn.Module):
    """Slots `(B, K, D)` -> predictions `(B, K, 19)`: an MLP for coordinates, one for the rest."""

    def __init__(self, slot_dim: int, hidden_dim: int):
        super().__init__()
        self.coordinates, self.properties = (
            nn.Sequential(nn.Linear(slot_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, width))
            for width in (NUM_COORDINATES, OBJECT_DIM - NUM_COORDINATES)
        )

    def forward(self, slots: Tensor) -> Tensor:
        return activate(self.logits(slots))

    def logits(self, slots: Tensor) -> Tensor:
        """What the MLPs give, before it becomes coordinates and probabilities -> `(..., K, 19)`."""
        return torch.cat([widen(self.coordinates(slots)), widen(self.properties(slots))], dim=-1)


def activate(logits: Tensor) -> Tensor:
    """Outputs of `SetHeads` `(..., 19)` -> coordinates in (-1, 1), and probabilities."""
    parts = [
        torch.tanh(logits[..., COORDINATES] / 2),  # 2 sigmoid(x) - 1
        *(logits[..., group].softmax(dim=-1) for group in PROPERTY_SLICES.values()),
        logits[..., REAL:].sigmoid(),
    ]
    return torch.cat(parts, dim=-1)


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
        width = self.slots.output_dim
        standardised = config.reading == "standardised"
        self.standardise = nn.BatchNorm1d(width, affine=False) if standardised else None
        self.heads = SetHeads(width, config.head_dim)

    def decode(self, slot_output: SlotOutput) -> SetPrediction:
        """Reads each slot as an object; after each iteration where a history was kept."""
        states = [self.slots.read_state(state) for state in slot_output.history]
        slots = torch.stack(states or [slot_output.slots])  # (I, B, K, D)
        if self.standardise is not None:
            slots = self.standardise(slots.flatten(0, 2)).view_as(slots)
        logits = self.heads.logits(slots)  # (I, B, K, 19)
        return SetPrediction(activate(logits[-1]), slot_output, logits)
