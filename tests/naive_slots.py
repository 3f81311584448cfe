"""`SlotMixture` with its two steps in the naive broadcast form, word for word from the densities.

The reference that the matrix form is tested against and measured against. It makes tensors of size
B K N D.
"""

import math

import torch
from torch import Tensor

from smm_tutorial.slots.mixture import SlotMixture


class NaiveSlotMixture(SlotMixture):
    """Same parameters, same options, same result as `SlotMixture`; slow and hungry."""

    def expectation(
        self,
        queries: Tensor,
        keys: Tensor,
        key_squares: Tensor,
        key_centre: Tensor,
        variances: Tensor,
        log_weights: Tensor,
    ) -> Tensor:
        differences = (keys + key_centre)[:, None] - queries[:, :, None]  # (B, K, N, D)
        variances = variances[:, :, None]  # (B, K, 1, D)
        log_density = -0.5 * (
            differences.square() / variances + variances.log() + math.log(2 * math.pi)
        ).sum(dim=3)
        joint = log_weights[..., None] + log_density  # (B, K, N)
        return joint - torch.logsumexp(joint, dim=1, keepdim=True)

    def maximisation(
        self, log_gamma: Tensor, values: Tensor, squares: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        gamma = log_gamma.exp()  # (B, K, N)
        totals = gamma.sum(dim=2)  # (B, K)
        shares = (gamma / totals[..., None])[..., None]  # (B, K, N, 1)
        means = (shares * values[:, None]).sum(dim=2)  # (B, K, D)
        spread = (shares * (values[:, None] - means[:, :, None]).square()).sum(dim=2)  # (B, K, D)
        return (totals / values.shape[1]).log(), means, spread
