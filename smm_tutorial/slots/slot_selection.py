"""Chooses how many slots an image needs, as BIC chooses the number of components of a mixture.

BIC is the Bayesian information criterion: a slot is kept only if it raises the log-likelihood by
more than its penalty. A surplus slot does not lower the likelihood. So it may cut an object in two,
or share the ground with another slot. The choice needs no labels: without a surplus slot, the other
slots explain the image nearly as well.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

#: About five numbers describe what a slot paints: two numbers its place, three numbers its colour.
NUMBERS_OF_A_SLOT = 5


class PixelMixture(Protocol):
    """A mixture of what K slots paint at every pixel, such as `discovery.DiscoveryOutput`."""

    log_masks: Tensor  # (B, K, H, W), the logarithms of the weights

    def log_joint(self, images: Tensor) -> Tensor:
        """Computes log(mask x density of the pixel) -> `(B, K, H, W)`, up to a constant."""


@dataclass
class SelectedSlots:
    """The mixture of slots at every pixel after surplus slots were removed.

    kept: `(B, K)`, bool; at least one slot per image.
    log_joint, log_masks: `(B, K, H, W)`, of the mixture of kept slots; -inf for removed slots.
    penalised_likelihood: `(B,)`, in nats. It is the log-likelihood of the image, up to a constant,
    minus the penalties of the kept slots. It compares starts of the same image.
    """

    kept: Tensor
    log_joint: Tensor
    log_masks: Tensor
    penalised_likelihood: Tensor


def slot_penalty(height: int, width: int) -> float:
    """Computes the log-likelihood, in nats, that a slot must add to an image to be kept.

    This is the Bayesian information criterion (Schwarz, The Annals of Statistics 6(2), 1978) with
    the pixels as observations: log(pixels) / 2 per number of a slot. We do not know how many
    numbers a decoder really chooses. Five numbers give 19 nats at 48 x 48 pixels; penalties of 10
    to 40 nats work as well.
    """
    return NUMBERS_OF_A_SLOT / 2 * math.log(height * width)


def select_all_slots(output: PixelMixture, images: Tensor) -> SelectedSlots:
    """Keeps all slots, without a penalty. images: `(B, 3, H, W)`."""
    kept = torch.ones(output.log_masks.shape[:2], dtype=torch.bool, device=output.log_masks.device)
    log_joint = output.log_joint(images)
    return SelectedSlots(kept, log_joint, output.log_masks, _log_likelihood(log_joint))


def select_slots_by_bic(output: PixelMixture, images: Tensor) -> SelectedSlots:
    """Removes surplus slots of each image, one after another.

    Each round removes the slot that lowers the log-likelihood least. The removal ends when this
    loss is larger than the slot's penalty. The masks of the kept slots are normalised again; the
    decoder does not run again.

    output: the model's output for the images. images: `(B, 3, H, W)`.
    """
    penalty = slot_penalty(*images.shape[2:])
    selected = select_all_slots(output, images)
    log_densities = selected.log_joint - output.log_masks  # (B, K, H, W)
    num_slots = output.log_masks.shape[1]
    penalties = penalty * selected.kept.sum(dim=1)  # (B,)
    selected.penalised_likelihood = selected.penalised_likelihood - penalties
    for _ in range(num_slots - 1):
        fewer = [_drop_slot(slot, selected, log_densities, penalty) for slot in range(num_slots)]
        likelihoods = torch.stack([candidate.penalised_likelihood for candidate in fewer], dim=1)
        best = likelihoods.argmax(dim=1)  # (B,); a slot that cannot be removed has -inf
        better = likelihoods.amax(dim=1) > selected.penalised_likelihood  # (B,)
        if not better.any():
            break
        for slot, candidate in enumerate(fewer):
            selected = _where(better & (best == slot), candidate, selected)
    return selected


def _drop_slot(
    slot: int, selected: SelectedSlots, log_densities: Tensor, penalty: float
) -> SelectedSlots:
    """Removes one slot from every image.

    An image without this slot, or with this slot alone, does not change; its likelihood is -inf.
    """
    kept = selected.kept.clone()
    kept[:, slot] = False
    possible = selected.kept[:, slot] & kept.any(dim=1)  # (B,)
    log_masks = selected.log_masks.masked_fill(~kept[:, :, None, None], -torch.inf)
    log_masks = torch.where(possible[:, None, None, None], log_masks, selected.log_masks)
    log_masks = log_masks.log_softmax(dim=1)
    log_joint = log_masks + log_densities
    likelihood = _log_likelihood(log_joint) - penalty * kept.sum(dim=1)
    return SelectedSlots(kept, log_joint, log_masks, likelihood.where(possible, -torch.inf))


def _where(condition: Tensor, one: SelectedSlots, other: SelectedSlots) -> SelectedSlots:
    """Takes `one` for the images where the condition `(B,)` is true, `other` for the others."""
    fields = zip(vars(one).values(), vars(other).values(), strict=True)
    return SelectedSlots(
        *(torch.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in fields)
    )


def _log_likelihood(log_joint: Tensor) -> Tensor:
    """Computes the log-likelihood of each image, in nats, up to a constant -> `(B,)`."""
    return log_joint.logsumexp(dim=1).sum(dim=(1, 2))
