"""The ablations of image reconstruction: runs that change a part of the recipe."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ablation:
    """The changes of an ablation: fields of `ReconstructionConfig`, and options of the slot module.

    training: fields of `TrainingConfig`.
    trains_slots: whether encoder and slots are trained. Otherwise they stay as they began.
    """

    network: dict[str, Any] = field(default_factory=dict)
    slots: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    trains_slots: bool = True


#: The ablations by name. `complete` changes nothing; the others are compared with it.
ABLATIONS = {
    "complete": Ablation(),
    # The transformer reads no slots. It learns only how pictures look in general.
    "no-slots": Ablation({"memory": "nothing"}, trains_slots=False),
    # Encoder and slots keep their first weights, which cluster similar patches.
    "untrained-slots": Ablation(trains_slots=False),
    # The same with random first weights and a shared start, as the classes make them.
    "random-slots": Ablation(
        slots={"initialisation": "random", "normalisation": "layer", "start": "shared"},
        trains_slots=False,
    ),
    # In training, too, every token sees all earlier tokens.
    "none-hidden": Ablation({"hidden_tokens": 0.0}),
    # All tokens are predicted at once, each on its own.
    "all-at-once": Ablation({"decoding": "all_at_once"}),
    # Encoder and slots learn as fast as the transformer.
    "one-rate": Ablation(training={"shared_rate": 1.0}),
    "shared-start": Ablation(slots={"start": "shared"}),
    # The gradient flows through all iterations.
    "all-iterations": Ablation(slots={"gradient": "all"}),
}
#: The ablations of the tokenizer. `random-codes` starts with random weights instead of k-means.
TOKENIZER_ABLATIONS = ("complete", "random-codes")
