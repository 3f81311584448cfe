"""The slot modules that are compared, in every task."""

from typing import Literal, NamedTuple


class Contestant(NamedTuple):
    """A slot module as it stands in a comparison."""

    module: Literal["attention", "mixture"]
    widening: int = 1  # how many times as wide as a recipe's slot_dim
    options: dict = {}  # of the module, beside those of the recipe


#: A slot of SMM holds means and variances, twice the numbers of Slot Attention's. Hence the other
#: two: `attention-wide` has as many as `mixture`, `mixture-reduced` as few as `attention`.
CONTESTANTS = {
    "attention": Contestant("attention"),
    "attention-wide": Contestant("attention", widening=2),
    "mixture-reduced": Contestant("mixture", options={"content": "reduced"}),
    "mixture": Contestant("mixture"),
}
