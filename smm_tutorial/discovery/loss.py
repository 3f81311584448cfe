"""The loss of object discovery: it measures how badly the slots explain their images."""

from typing import Literal

from torch import Tensor, nn

from smm_tutorial.arguments import check_choice
from smm_tutorial.discovery.model import DiscoveryOutput

Objective = Literal["mixture", "squared_error"]


def reconstruction_loss(
    output: DiscoveryOutput, images: Tensor, price: float = 0.0, objective: Objective = "mixture"
) -> dict[str, Tensor]:
    """Computes how badly the paintings of the slots explain the images.

    Args:
        output: the output of the model for the images.
        images: `(B, 3, H, W)` in [0, 1].
        price: the cost of pixels outside the largest slot, as squared error. If these pixels were
            the whole image, the loss would grow by `price`.
        objective: `mixture` is the negative log-likelihood of a pixel under the mixture of the
            slots' paintings (as in IODINE, Greff et al. 2019, arXiv 1903.00450). It is scaled to
            units of squared error: it equals the mean squared error if one slot owns the pixel.
            `squared_error` is the error of the mixed image (Slot Attention, arXiv 2006.15055). It
            allows two slots to blend into the right colour.

    Both objectives allow the slot of an object to paint some ground around the object. The price
    prevents this. It must be less than the error that an object's own slot saves, and more than the
    error that a slot for a piece of ground saves. Then one slot takes the whole ground.

    Returns:
        Scalars: `loss`; `squared_error` of the mixed image; `owned`, the share of an image outside
        its largest slot.

    Raises:
        ValueError: an unknown objective.
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
    """Computes the price in a training step. The price grows from 0 in the second quarter.

    Slots must find objects before the price makes the slots small. So the price is 0 in the first
    quarter of the steps, and the full `price` from half of the steps on.

    step: counts from 0. steps: of the whole run.
    """
    return price * min(1.0, max(0.0, 4 * step / steps - 1))
