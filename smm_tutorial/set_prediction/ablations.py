"""The ablations of set prediction: runs that change a part of the recipe."""

from typing import Any

#: Fields of `SetPredictionSizes` that an ablation replaces, by its name. `complete` replaces
#: nothing; the others are compared with it.
ABLATIONS: dict[str, dict[str, Any]] = {
    "complete": {},
    # The papers' loss: Huber distances to one-hot vectors, and to zeros for padding. Coordinates
    # count once, as in the next ablation.
    "huber": {"objective": "huber", "coordinate_weight": 1.0},
    "equal-coordinates": {"coordinate_weight": 1.0},
    # All slots start at one learned place, plus noise, as in Slot Attention.
    "shared-start": {"start": "shared"},
    "four-iterations": {"num_iterations": 4},
    # The heads read variances instead of their logarithms.
    "raw-variance": {"content": "mean_and_variance"},
    # The heads read the slots as they are.
    "unscaled": {"reading": "plain"},
    # The loss sees the heads after every iteration.
    "every-iteration": {"supervised": "each"},
    # The weights of the last step are used, not their average over the last steps.
    "no-average": {"ema_decay": None},
    "few-scenes": {"scenes": 2_048},
    # Of a run that begins with trained slots: encoder and slots change ten times more slowly.
    "slow-slots": {"shared_rate": 0.1},
    # The papers' choices, as far as they fit into a small network.
    "papers": {
        "objective": "huber",
        "coordinate_weight": 1.0,
        "start": "shared",
        "num_iterations": 4,
        "content": "mean_and_variance",
        "reading": "plain",
        "ema_decay": None,
        "head_dim": 64,
    },
}
