"""How many slots an image needs: as BIC chooses the components of a mixture, a slot is kept if it
raises the log-likelihood by more than its penalty.

A spare slot does no harm to the likelihood, so it cuts an object in two, or shares the ground with
another. No label is needed to see that: without it the others explain the image nearly as well.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from smm_tutorial.discovery.model import DiscoveryOutput

#: That say roughly what a slot paints: where, two numbers, and in which colour, three.
NUMBERS_OF_A_SLOT = 5


@dataclass
class SelectedSlots:
    """What is left of a mixture of K slots at every pixel when the surplus ones are gone.

    kept: `(B, K)`, bool, at least one of an image. log_joint, log_masks: `(B, K, H, W)` of the
    mixture of those kept, -inf for the others. penalised_likelihood: `(B,)`, log-likelihood of the
    image in nats, up to a constant, less the penalties of the slots kept; it compares starts of the
    same image.
    """

    kept: Tensor
    log_joint: Tensor
    log_masks: Tensor
    penalised_likelihood: Tensor


def slot_penalty(height: int, width: int) -> float:
    """What a slot must add to the log-likelihood of an image, nats: half a log of the pixels for
    each of its numbers.

    The Bayesian information criterion (Schwarz, The Annals of Statistics 6(2), 1978), with the
    pixels as observations. How many numbers a decoder really chooses is not known; five gives
    19 nats at 48 x 48, and 10 to 40 do as well.
    """
    return NUMBERS_OF_A_SLOT / 2 * math.log(height * width)


def select_all_slots(output: DiscoveryOutput, images: Tensor) -> SelectedSlots:
    """Keeps all slots, without a penalty."""
    kept = torch.ones(output.log_masks.shape[:2], dtype=torch.bool, device=output.log_masks.device)
    log_joint = output.log_joint(images)
    return SelectedSlots(kept, log_joint, output.log_masks, _log_likelihood(log_joint))


def select_slots_by_bic(output: DiscoveryOutput, images: Tensor) -> SelectedSlots:
    """Takes away, one at a time, the slot whose loss costs least, as long as that is less than its
    penalty.

    images: `(B, 3, H, W)`, which the slots have painted. The masks of those left are normalised
    anew; nothing is painted again.
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
        best = likelihoods.argmax(dim=1)  # (B,); -inf where there is nothing to take
        better = likelihoods.amax(dim=1) > selected.penalised_likelihood  # (B,)
        if not better.any():
            break
        for slot, candidate in enumerate(fewer):
            selected = _where(better & (best == slot), candidate, selected)
    return selected


def _drop_slot(
    slot: int, selected: SelectedSlots, log_densities: Tensor, penalty: float
) -> SelectedSlots:
    """Every image without one slot; -inf likelihood where it is gone already, or the last."""
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
    """`one` for the images `(B,)` where the condition holds, `other` for the rest."""
    fields = zip(vars(one).values(), vars(other).values(), strict=True)
    return SelectedSlots(
        *(torch.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in fields)
    )


def _log_likelihood(log_joint: Tensor) -> Tensor:
    """Of an image, nats, up to a constant -> `(B,)`."""
    return log_joint.logsumexp(dim=1).sum(dim=(1, 2))
