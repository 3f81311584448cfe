"""How many slots an image needs: those that are worth their price are kept, as BIC chooses the
components of a mixture.

A spare slot does no harm to the likelihood, so it cuts an object in two, or shares the ground with
another. No label is needed to see that: without it the others explain the image nearly as well.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from smm_tutorial.discovery.model import DiscoveryOutput

NUMBERS_OF_A_SLOT = (
    5  # that say roughly what it paints: where, two numbers, and in which colour, three
)


@dataclass
class SelectedSlots:
    """What is left of a mixture of K slots at every pixel when the surplus ones are gone.

    kept: `(B, K)`, bool, at least one of an image. log_joint, log_masks: `(B, K, H, W)` of the
    mixture of those kept, -inf for the others. worth: `(B,)`, log-likelihood of the image in nats,
    up to a constant, less the prices of the slots kept; it compares starts of the same image.
    """

    kept: Tensor
    log_joint: Tensor
    log_masks: Tensor
    worth: Tensor


def price_of_a_slot(height: int, width: int) -> float:
    """What a slot must add to the log-likelihood of an image, nats: half a log of the pixels for
    each of its numbers.

    The Bayesian information criterion (Schwarz, The Annals of Statistics 6(2), 1978), with the
    pixels as observations. How many numbers a decoder really chooses is anybody's guess; five gives
    19 nats at 48 x 48, and 10 to 40 do as well.
    """
    return NUMBERS_OF_A_SLOT / 2 * math.log(height * width)


def all_slots(output: DiscoveryOutput, images: Tensor) -> SelectedSlots:
    """All of them, at no price: `worth` is the log-likelihood."""
    kept = torch.ones(output.log_masks.shape[:2], dtype=torch.bool, device=output.log_masks.device)
    log_joint = output.log_joint(images)
    return SelectedSlots(kept, log_joint, output.log_masks, _log_likelihood(log_joint))


def slots_by_bic(output: DiscoveryOutput, images: Tensor) -> SelectedSlots:
    """Takes away, one at a time, the slot whose loss costs least, as long as that is less than its
    price.

    images: `(B, 3, H, W)`, which the slots have painted. The masks of those left are normalised
    anew; nothing is painted again.
    """
    price = price_of_a_slot(*images.shape[2:])
    selected = all_slots(output, images)
    log_densities, count = (
        selected.log_joint - output.log_masks,
        selected.kept.sum(dim=1),
    )  # (B, K, H, W), (B,)
    selected.worth = selected.worth - price * count
    for _ in range(output.log_masks.shape[1] - 1):
        fewer = [
            _without(slot, selected, log_densities, price)
            for slot in range(output.log_masks.shape[1])
        ]
        worth = torch.stack(
            [candidate.worth for candidate in fewer], dim=1
        )  # (B, K); -inf where there is nothing to take
        best = worth.argmax(dim=1)
        better = worth.amax(dim=1) > selected.worth  # (B,)
        if not better.any():
            break
        for slot, candidate in enumerate(fewer):
            selected = _where(better & (best == slot), candidate, selected)
    return selected


def _without(
    slot: int, selected: SelectedSlots, log_densities: Tensor, price: float
) -> SelectedSlots:
    kept = selected.kept.clone()
    kept[:, slot] = False
    possible = selected.kept[:, slot] & kept.any(dim=1)  # (B,)
    log_masks = selected.log_masks.masked_fill(~kept[:, :, None, None], -torch.inf)
    log_masks = torch.where(
        possible[:, None, None, None], log_masks, selected.log_masks
    ).log_softmax(dim=1)
    log_joint = log_masks + log_densities
    worth = _log_likelihood(log_joint) - price * kept.sum(dim=1)
    return SelectedSlots(kept, log_joint, log_masks, worth.where(possible, -torch.inf))


def _where(condition: Tensor, one: SelectedSlots, other: SelectedSlots) -> SelectedSlots:
    """`one` for the images `(B,)` where the condition holds, `other` for the rest."""
    fields = zip(vars(one).values(), vars(other).values(), strict=True)
    return SelectedSlots(
        *(torch.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in fields)
    )


def _log_likelihood(log_joint: Tensor) -> Tensor:
    """Of an image, nats, up to a constant -> `(B,)`."""
    return log_joint.logsumexp(dim=1).sum(dim=(1, 2))
