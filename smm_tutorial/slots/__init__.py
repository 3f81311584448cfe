"""The slot modules, Slot Attention and the Slot Mixture Module (SMM), and what they share.

Both turn inputs `(B, N, D_in)` into K slots by a few rounds of soft clustering with learned parts.
What differs stands in the loop of `SlotAttention.forward` and `SlotMixture.forward`. Everything
else they share, in `slots.base`: where slots start, how a mean moves, options and checks, and what
comes out (`SlotOutput`, with a `SlotState` per iteration if asked for). `slots.slot_model` puts an
encoder before them, the beginning of every task's model. `CONTESTANTS` lists the modules that are
compared. `as_mixture_step` reads a state as a mixture of `clustering`.

Shapes: batch B, inputs N, slots K, D = `slot_dim`. Inside a module, responsibilities are logarithms
of shape `(B, K, N)`, as the matrix products need them. They come out as `(B, N, K)`.
"""

from smm_tutorial.slots.as_mixture import as_mixture_step
from smm_tutorial.slots.attention import SlotAttention
from smm_tutorial.slots.base import SlotOutput, SlotState
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.slots.mixture import SlotMixture

__all__ = [
    "CONTESTANTS",
    "SlotAttention",
    "SlotMixture",
    "SlotOutput",
    "SlotState",
    "as_mixture_step",
]
