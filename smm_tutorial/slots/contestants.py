"""The contestants: the slot modules that every task compares."""

from typing import Literal, NamedTuple


class Contestant(NamedTuple):
    """A slot module and its options in a comparison."""

    module: Literal["attention", "mixture"]
    widening: int = 1  # the slot_dim of the recipe is multiplied by this number
    options: dict = {}  # of the module, in addition to the options of the recipe


#: The compared modules by name. A slot of SMM holds means and variances, so it has twice as many
#: numbers as a slot of Slot Attention. Two more contestants remove this difference. Slots of
#: `attention-wide` are as wide as slots of `mixture`. Slots of `mixture-reduced` are as narrow as
#: slots of `attention`. The clusters of `mixture-fixed` have equal weights, as in the authors'
#: code.
CONTESTANTS = {
    "attention": Contestant("attention"),
    "attention-wide": Contestant("attention", widening=2),
    "mixture-reduced": Contestant("mixture", options={"content": "reduced"}),
    "mixture-fixed": Contestant("mixture", options={"weights": "fixed"}),
    "mixture": Contestant("mixture"),
}
