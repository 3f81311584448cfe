"""The network of set prediction: each slot predicts one object as a vector.

The network learns from scene records (Slot Attention, arXiv 2006.15055, sec. 3.3; SMM, arXiv
2311.04640, sec. 4).
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from smm_tutorial.arguments import check_choice
from smm_tutorial.networks.encoders import ConvEncoder, Convolutions
from smm_tutorial.set_prediction.targets import COORDINATES, OBJECT_DIM, PROPERTY_SLICES, REAL
from smm_tutorial.slots.base import SlotOutput, widen
from smm_tutorial.slots.slot_model import SlotModel, settle_config

NUM_COORDINATES = 3
Reading = Literal["plain", "standardised"]


@dataclass(frozen=True)
class SetPredictionConfig:
    """All choices that define a `SetPredictor`. The defaults are the paper's sizes.

    Compared models differ in `slots` alone.

    reading: how the heads read the slots. `plain`: as they are. `standardised`: each number of a
    slot minus its mean, divided by its spread, both averaged over training. Variances can be a
    thousand times smaller or larger than means and than each other. Heads learn slowly from such
    numbers.

    Raises `ValueError` for an unknown slot module or reading, and for a size that is not a whole
    number of at least 1.
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
    reading: Reading = "plain"  # how the heads read the slots, see above
    slot_options: dict = field(default_factory=dict)  # of the slot module: start, content, ...

    def __post_init__(self):
        settle_config(self)
        check_choice("reading", self.reading, Reading)


@dataclass
class SetPrediction:
    """The prediction of a `SetPredictor` for B images: one object per slot.

    predictions: `(B, K, 19)`, float32 or wider, in the order of `set_targets`: coordinates in (-1,
    1), four groups of probabilities that each sum to one, and the probability in (0, 1) that the
    object is real. slot_output: the slots from which the predictions were read. logits: `(I, B, K,
    19)`, the outputs of the heads before `activate`. With a history, I is the number of iterations.
    Without a history, I is 1, the last iteration.
    """

    predictions: Tensor
    slot_output: SlotOutput
    logits: Tensor | None = None


class SetHeads(nn.Module):
    """Slots `(B, K, D)` -> predictions `(B, K, 19)`: one MLP for coordinates, one for all other
    numbers.
    """

    def __init__(self, slot_dim: int, hidden_dim: int):
        super().__init__()
        self.coordinates, self.properties = (
            nn.Sequential(nn.Linear(slot_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, width))
            for width in (NUM_COORDINATES, OBJECT_DIM - NUM_COORDINATES)
        )

    def forward(self, slots: Tensor) -> Tensor:
        return activate(self.logits(slots))

    def logits(self, slots: Tensor) -> Tensor:
        """The outputs `(..., K, 19)` of the two MLPs, before `activate`."""
        return torch.cat([widen(self.coordinates(slots)), widen(self.properties(slots))], dim=-1)


def activate_places(logits: Tensor) -> Tensor:
    """Coordinates `(..., 3)` in (-1, 1), of outputs of `SetHeads` `(..., 19)`."""
    return torch.tanh(logits[..., COORDINATES] / 2)  # 2 sigmoid(x) - 1


def activate(logits: Tensor) -> Tensor:
    """Outputs of `SetHeads` `(..., 19)` -> coordinates in (-1, 1), and probabilities."""
    parts = [
        activate_places(logits),
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
        """Predicts an object from each slot; with a history, after every iteration."""
        states = [self.slots.read_state(state) for state in slot_output.history]
        slots = torch.stack(states or [slot_output.slots])  # (I, B, K, D)
        if self.standardise is not None:
            slots = self.standardise(slots.flatten(0, 2)).view_as(slots)
        logits = self.heads.logits(slots)  # (I, B, K, 19)
        return SetPrediction(activate(logits[-1]), slot_output, logits)
