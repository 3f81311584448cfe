"""Slot Attention (Locatello et al. 2020, arXiv 2006.15055)."""

import math

import torch
from torch import Tensor

from smm_tutorial.slots.base import (
    SlotModule,
    SlotOutput,
    SlotState,
    _full_precision,
    _straight_through,
)


class SlotAttention(SlotModule):
    """Slot Attention (arXiv 2006.15055, algorithm 1).

    Inputs are shared out by scaled dot products, normalised *over slots*; each slot then moves to
    the weighted mean of its values by the neural update. Sizes and options: see `SlotModule`.
    """

    def forward(
        self,
        inputs: Tensor,
        num_iterations: int | None = None,
        num_slots: int | None = None,
        noise: Tensor | None = None,
        *,
        return_history: bool = False,
    ) -> SlotOutput:
        """inputs `(B, N, D_in)`, noise `(B, K, D)` or None (then drawn) -> `SlotOutput`, slots `(B,
        K, D)`.
        """
        iterations, num_slots = self.checked(inputs, num_iterations, num_slots)
        inputs = self.norm_inputs(inputs)
        keys, values = self.to_keys(inputs), self.to_values(inputs)  # (B, N, D)
        slots = start = self.start(len(inputs), num_slots, noise)  # (B, K, D)
        history = []
        for last in [False] * (iterations - 1) + [True]:
            if last and self.gradient == "last":
                slots = _straight_through(slots, start)
            with torch.set_grad_enabled(self.records_gradient(last)):
                log_attention = self.attend(
                    self.to_queries(self.norm_means(slots)), keys
                )  # (B, K, N)
                slots = self.move(slots, self.gather(log_attention, values))  # (B, K, D)
            if return_history:
                history.append(SlotState(slots, log_attention.exp().mT))
        return SlotOutput(slots, log_attention.exp().mT, history=history)

    @_full_precision
    def attend(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Log of the attention `(B, K, N)`: softmax over slots of queries `(B, K, D)` times keys
        `(B, N, D)`.
        """
        return (queries @ keys.mT / math.sqrt(self.slot_dim)).log_softmax(dim=1)

    @_full_precision
    def gather(self, log_attention: Tensor, values: Tensor) -> Tensor:
        """Weighted means `(B, K, D)`. The weights are normalised over inputs in log space: no slot
        divides by zero.
        """
        return log_attention.softmax(dim=2) @ values
