"""The loss of object discovery: how badly slots explain the images that they were read from."""

from typing import Literal

from torch import Tensor, nn

from smm_tutorial.discovery.model import DiscoveryOutput
from smm_tutorial.slots.base import check_choice

Objective = Literal["mixture", "squared_error"]


def reconstruction_loss(
    output: DiscoveryOutput, images: Tensor, price: float = 0.0, objective: Objective = "mixture"
) -> dict[str, Tensor]:
    """How badly the paintings of the slots explain images `(B, 3, H, W)`.

    objective: `mixture`, the negative log-likelihood of a pixel under the mixture of the slots'
    paintings (as in IODINE, Greff et al. 2019, arXiv 1903.00450). Its unit is squared error: where
    one slot owns the pixel it is the mean squared error. | `squared_error` of the mixed image (Slot
    Attention, arXiv 2006.15055). Squared error accepts two slots that blend into the right colour.
    price: what it costs, in the same unit, when slots other than the largest own all of the image.
    Neither objective minds whether an object's slot also paints ground around it. A price below
    what an object saves, and above what a piece of ground saves, leaves the ground to one slot.

    Returns:
        Scalars: `loss`; `squared_error` of the mixed image; `owned`, the share of an image outside
        its largest slot.

    Raises:
        ValueError: there is no such objective.
    """
    check_choice("objective", objective, Objective)
    squared_error = nn.functional.mse_loss(output.reconstruction, images)
    if objective == "mixture":
        unit = 2 * output.pixel_scale**2 / images.shape[1]  # squared error per log-likelihood
        misfit = -unit * output.log_joint(images).logsumexp(dim=1).mean()
    else:
        misfit = squared_error
    owned = 1 - output.masks.mean(dim=(2, 3)).amax(dim=1).mean()
    loss = misfit + price * owned
    return {"loss": loss, "squared_error": squared_error.detach(), "owned": owned.detach()}


def price_of_step(price: float, step: int, steps: int) -> float:
    """The price in a step of so many: it grows from 0 to `price` over their second quarter.

    Slots must find objects before they can be kept small.
    """
    return price * min(1.0, max(0.0, 4 * step / steps - 1))
