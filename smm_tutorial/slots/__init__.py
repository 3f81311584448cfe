"""Two slot modules: Slot Attention and the Slot Mixture Module (SMM).

Both modules turn inputs `(B, N, D_in)` into K slots. They run a few iterations of soft clustering
with learned parts. The two modules differ only in the loops of `SlotAttention.forward` and
`SlotMixture.forward`. They share the code in `slots.base`: the start of the slots, the update of a
mean, the options, the checks and the output. The output is a `SlotOutput`; on request it holds a
`SlotState` per iteration.

`slots.slot_model` puts an encoder before a slot module. Every task's model begins so. `CONTESTANTS`
lists the modules that are compared. `as_mixture_step` converts a state to a step of a mixture in
`clustering`. `choose_farthest_points` chooses where slots start.
`slots.slot_selection` removes slots that an image does not need.

Shapes: batch B, inputs N, slots K, D = `slot_dim`. Inside a module, responsibilities are logarithms
of shape `(B, K, N)`, because the matrix products need this shape. A `SlotOutput` holds them as
probabilities of shape `(B, N, K)`.
"""

from smm_tutorial.slots.as_mixture import as_mixture_step
from smm_tutorial.slots.attention import SlotAttention
from smm_tutorial.slots.base import SlotOutput, SlotState
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.slots.mixture import SlotMixture
from smm_tutorial.slots.starts import choose_farthest_points

__all__ = [
    "CONTESTANTS",
    "SlotAttention",
    "SlotMixture",
    "SlotOutput",
    "SlotState",
    "as_mixture_step",
    "choose_farthest_points",
]
