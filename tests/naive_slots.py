"""`SlotMixture` with both steps in the naive broadcast form, word for word from the densities.

The matrix form is tested and timed against it. It makes tensors of size B K N D.
"""

import math

import torch
from torch import Tensor

from smm_tutorial.slots.mixture import Projected, SlotMixture


class NaiveSlotMixture(SlotMixture):
    """Same parameters, same options, same result as `SlotMixture`; slow and hungry."""

    def e_step(
        self, queries: Tensor, keys: Projected, variances: Tensor, log_weights: Tensor
    ) -> Tensor:
        keys = (keys.centred + keys.centre)[:, None]  # (B, 1, N, D)
        variances = variances[:, :, None]  # (B, K, 1, D)
        squares = (keys - queries[:, :, None]).square() / variances  # (B, K, N, D)
        log_density = -0.5 * (squares + variances.log() + math.log(2 * math.pi)).sum(dim=3)
        joint = log_weights[..., None] + log_density  # (B, K, N)
        return joint - torch.logsumexp(joint, dim=1, keepdim=True)

    def m_step(self, log_gamma: Tensor, values: Projected) -> tuple[Tensor, Tensor, Tensor]:
        gamma = log_gamma.exp()  # (B, K, N)
        totals = gamma.sum(dim=2)  # (B, K)
        shares = (gamma / totals[..., None])[..., None]  # (B, K, N, 1)
        values = (values.centred + values.centre)[:, None]  # (B, 1, N, D)
        means = (shares * values).sum(dim=2)  # (B, K, D)
        spread = (shares * (values - means[:, :, None]).square()).sum(dim=2)  # (B, K, D)
        return (totals / log_gamma.shape[2]).log(), means, spread
