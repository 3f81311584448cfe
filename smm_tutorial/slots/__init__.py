"""The slot modules: Slot Attention, the Slot Mixture Module, and what they share."""

from smm_tutorial.slots.attention import SlotAttention
from smm_tutorial.slots.base import NeuralUpdate, SlotModule, SlotOutput, SlotStart, SlotState
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.slots.mixture import SlotMixture

__all__ = [
    "CONTESTANTS",
    "NeuralUpdate",
    "SlotAttention",
    "SlotMixture",
    "SlotModule",
    "SlotOutput",
    "SlotStart",
    "SlotState",
]
