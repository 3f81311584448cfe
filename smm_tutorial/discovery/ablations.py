"""Object discovery with something left out: what each ablation changes."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ablation:
    """What a run does otherwise: fields of its `DiscoveryConfig`, and of its `LossChoices`."""

    network: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)


_BARE_LOSS = {"objective": "squared_error", "price": 0.0, "num_slots": None}

#: By name. `complete` leaves nothing out, and is what the others are held against.
ABLATIONS = {
    "complete": Ablation(),
    "no-price": Ablation(loss={"price": 0.0}),
    "no-share": Ablation({"mask_prior": "none"}),
    "squared-error": Ablation(loss={"objective": "squared_error"}),
    "no-fewer-slots": Ablation(loss={"num_slots": None}),
    # An encoder that hardly sees colour beside position.
    "quiet-colours": Ablation({"contrast": 0.04}),
    # Torch's random weights in the slots.
    "random-start": Ablation({"slot_options": {"gradient": "last"}}),
    # None of the other choices; and a decoder besides that sees a single pixel.
    "bare": Ablation({"mask_prior": "none"}, _BARE_LOSS),
    "bare-one-pixel": Ablation({"mask_prior": "none", "decoder": "pixel"}, _BARE_LOSS),
}
