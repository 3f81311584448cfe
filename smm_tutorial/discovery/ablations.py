"""The ablations of object discovery: runs that leave out a part of the recipe."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ablation:
    """The changes of an ablation: fields of `DiscoveryConfig`, `LossChoices`, `TrainingConfig`.

    slots: options of the slot module that differ from the recipe's.
    """

    network: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    slots: dict[str, Any] = field(default_factory=dict)


_BARE_LOSS = {"objective": "squared_error", "price": 0.0, "num_slots": None}

#: The ablations by name. `complete` leaves nothing out; the others are compared with it.
ABLATIONS = {
    "complete": Ablation(),
    "no-price": Ablation(loss={"price": 0.0}),
    "no-share": Ablation({"mask_prior": "none"}),
    "squared-error": Ablation(loss={"objective": "squared_error"}),
    "no-fewer-slots": Ablation(loss={"num_slots": None}),
    # The encoder's features depend on position, and hardly on colour.
    "quiet-colours": Ablation({"contrast": 0.04}),
    # The slot module as its class makes it: random first weights, a shared start, and inputs that
    # are not normalised over a picture.
    "random-start": Ablation(
        slots={"initialisation": "random", "normalisation": "layer", "start": "shared"}
    ),
    # All slots start at one learned place, plus noise, as in Slot Attention.
    "shared-start": Ablation(slots={"start": "shared"}),
    # The weights of the last step are used, not their average over the last steps.
    "no-average": Ablation(training={"ema_decay": None}),
    # `bare` leaves out the first four parts together. `bare-one-pixel` also has a decoder that
    # computes each pixel on its own.
    "bare": Ablation({"mask_prior": "none"}, _BARE_LOSS),
    "bare-one-pixel": Ablation({"mask_prior": "none", "decoder": "pixel"}, _BARE_LOSS),
}
