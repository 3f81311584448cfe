"""Slot Attention (Locatello et al. 2020, arXiv 2006.15055)."""

import math

import torch
from torch import Tensor

from smm_tutorial.slots.base import SlotModule, SlotOutput, SlotState, in_full_precision


class SlotAttention(SlotModule):
    """Slot Attention (arXiv 2006.15055). Comments give the line numbers of the paper's algorithm 1.

    Slots compete for each input: the attention is a softmax *over slots* of scaled dot products.
    The neural update then moves each slot to the weighted mean of the values. `SlotModule`
    describes the sizes and options.
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
        """Finds the slots of each set of inputs.

        Args:
            inputs: `(B, N, D_in)`.
            num_iterations: number of iterations; by default the module's own.
            num_slots: K; by default the module's own.
            noise: `(B, K, D)`, fixes where the slots start; by default the noise is random.
            return_history: whether the output holds a `SlotState` per iteration.

        Returns:
            `SlotOutput` with slots `(B, K, D)`.

        Raises:
            ValueError: inputs or noise of a wrong type or shape, or a number below 1.
        """
        iterations, num_slots = self.check_call(inputs, num_iterations, num_slots)
        inputs = self.norm_inputs(inputs)  # line 3
        keys = self.to_keys(inputs)  # (B, N, D)
        values = self.to_values(inputs)  # (B, N, D)
        slots = start = self.start(len(inputs), num_slots, noise, values)  # (B, K, D), line 1
        history = []
        for iteration in range(1, iterations + 1):  # line 4
            first, last = iteration == 1, iteration == iterations
            slots = self.cut_gradient(slots, start, first, last)
            with torch.set_grad_enabled(self.records_gradient(last)):
                queries = self.to_queries(self.norm_means(slots))  # (B, K, D), line 6
                log_attention = self.attend(queries, keys)  # (B, K, N), line 7, eq. 1
                weighted_means = self.gather(log_attention, values)  # (B, K, D), line 8, eq. 2
                slots = self.move(slots, weighted_means)  # (B, K, D), lines 9 and 10
            if return_history:
                history.append(SlotState(slots, log_attention.exp().mT))
        return SlotOutput(slots, log_attention.exp().mT, history=history)

    @in_full_precision
    def attend(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Computes the logarithm of the attention `(B, K, N)`, which sums to 1 over slots.

        queries: `(B, K, D)`. keys: `(B, N, D)`.
        """
        return (queries @ keys.mT / math.sqrt(self.slot_dim)).log_softmax(dim=1)

    @in_full_precision
    def gather(self, log_attention: Tensor, values: Tensor) -> Tensor:
        """Computes the weighted means `(B, K, D)` of the values `(B, N, D)`.

        log_attention: `(B, K, N)`. A softmax over inputs normalises it, so that an empty slot does
        not divide by zero.
        """
        return log_attention.softmax(dim=2) @ values
