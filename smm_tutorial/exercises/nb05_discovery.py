"""Tasks of notebook 05: what an object-discovery model makes of its slots, and its loss."""

import math

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Task, mistake, register
from smm_tutorial.exercises.samples import generator

# compose


def compose(paintings: Tensor, logits: Tensor) -> Tensor:
    masks = logits.softmax(dim=1)  # (B, K, H, W), slots compete for every pixel
    return (masks[:, :, None] * paintings).sum(dim=1)  # (B, 3, H, W)


@mistake("Your masks sum to one over the pixels of a slot: slots must compete, dim=1.")
def _compose_over_pixels(paintings, logits):
    masks = logits.flatten(2).softmax(dim=2).view_as(logits)
    return (masks[:, :, None] * paintings).sum(dim=1)


@mistake("Your masks sum to one along a row of pixels: slots must compete, and slots are dim 1.")
def _compose_along_rows(paintings, logits):
    return (logits.softmax(dim=-1)[:, :, None] * paintings).sum(dim=1)


@mistake("Your masks sum to one along a column of pixels: slots must compete, dim=1.")
def _compose_along_columns(paintings, logits):
    return (logits.softmax(dim=-2)[:, :, None] * paintings).sum(dim=1)


@mistake("A sigmoid treats each slot alone, so your masks do not sum to one: use a softmax.")
def _compose_by_sigmoid(paintings, logits):
    return (logits.sigmoid()[:, :, None] * paintings).sum(dim=1)


@mistake("You take the one slot with the largest logit. Mix all slots, each times its mask.")
def _compose_by_largest(paintings, logits):
    masks = torch.nn.functional.one_hot(logits.argmax(dim=1), logits.shape[1]).movedim(-1, 1)
    return (masks[:, :, None] * paintings).sum(dim=1)


@mistake("The masks need an axis for the three colour channels: `masks[:, :, None]`.")
def _compose_without_channel_axis(paintings, logits):
    return (logits.softmax(dim=1) * paintings).sum(dim=1)


@mistake("Logits are no shares yet: they can be negative. A softmax is missing.")
def _compose_without_softmax(paintings, logits):
    return (logits[:, :, None] * paintings).sum(dim=1)


@mistake("The masks already sum to one over slots: sum, do not average once more.")
def _compose_mean(paintings, logits):
    return (logits.softmax(dim=1)[:, :, None] * paintings).mean(dim=1)


def _compose_cases() -> dict[str, tuple]:
    one = torch.rand(1, 1, 3, 2, 2, generator=generator(0))
    several = torch.rand(2, 3, 3, 4, 4, generator=generator(1))
    return {
        "two images, three slots": (several, torch.randn(2, 3, 4, 4, generator=generator(2))),
        "one slot owns every pixel": (one, torch.randn(1, 1, 2, 2, generator=generator(3))),
    }


register(
    Task(
        name="discovery.compose",
        title="From paintings to a picture",
        text="""Each slot paints a whole picture, `paintings` (B, K, 3, H, W). Its `logits` (B, K,
        H, W) say how much the slot claims each pixel. At every pixel, a softmax over the slots
        turns the logits into masks. Return the picture (B, 3, H, W): the sum over the slots of mask
        times painting.""",
        minutes=5,
        difficulty=1,
        hints=(
            """Which axis of the logits must sum to one after the softmax: the one that counts
            slots, or those of pixels?""",
            """After the softmax the masks are (B, K, H, W), but the paintings are (B, K, 3, H, W).
            Which new axis do the masks need before you multiply? Over which axis do you sum?""",
        ),
        solution=compose,
        cases=_compose_cases,
        mistakes=(
            _compose_over_pixels,
            _compose_along_rows,
            _compose_along_columns,
            _compose_by_sigmoid,
            _compose_by_largest,
            _compose_without_channel_axis,
            _compose_without_softmax,
            _compose_mean,
        ),
    )
)


# pixel loss


def pixel_loss(images: Tensor, paintings: Tensor, log_masks: Tensor, scale: float) -> Tensor:
    squares = (paintings - images[:, None]).square().sum(dim=2)  # (B, K, H, W)
    log_joint = log_masks - squares / (2 * scale**2)
    return -(2 * scale**2 / 3) * log_joint.logsumexp(dim=1).mean()


def _log_joint(images, paintings, log_masks, scale):
    return log_masks - (paintings - images[:, None]).square().sum(dim=2) / (2 * scale**2)


@mistake("That is the squared error of the composed picture: blends of two wrong colours cost 0.")
def _loss_of_composed_picture(images, paintings, log_masks, scale):
    return ((log_masks.exp()[:, :, None] * paintings).sum(dim=1) - images).square().mean()


@mistake("The exponent of a Gaussian is -square / (2 scale^2): a factor 2 is lost.")
def _loss_without_half(images, paintings, log_masks, scale):
    squares = (paintings - images[:, None]).square().sum(dim=2)
    return -(2 * scale**2 / 3) * (log_masks - squares / scale**2).logsumexp(dim=1).mean()


@mistake("You average the channels' squares. The log density of a pixel *sums* over the channels.")
def _loss_of_mean_over_channels(images, paintings, log_masks, scale):
    squares = (paintings - images[:, None]).square().mean(dim=2)
    log_joint = log_masks - squares / (2 * scale**2)
    return -(2 * scale**2 / 3) * log_joint.logsumexp(dim=1).mean()


@mistake("The logarithm of a sum is no sum of logarithms: `logsumexp` over the slots, not a sum.")
def _loss_of_summed_logarithms(images, paintings, log_masks, scale):
    log_joint = _log_joint(images, paintings, log_masks, scale)
    return -(2 * scale**2 / 3) * log_joint.sum(dim=1).mean()


@mistake("You mix over pixels instead of slots: the slots are dim 1.")
def _loss_over_pixels(images, paintings, log_masks, scale):
    log_joint = _log_joint(images, paintings, log_masks, scale)
    return -(2 * scale**2 / 3) * log_joint.flatten(2).logsumexp(dim=2).mean()


@mistake("The densities underflow to 0, and log 0 is -inf: use `logsumexp`, not `exp`, then `log`.")
def _loss_by_densities(images, paintings, log_masks, scale):
    squares = (paintings - images[:, None]).square().sum(dim=2)
    densities = (log_masks.exp() * (-squares / (2 * scale**2)).exp()).sum(dim=1)
    return -(2 * scale**2 / 3) * densities.log().mean()


@mistake(
    "Your densities underflow to 0. A small number inside the log hides that: use `logsumexp`."
)
def _loss_by_densities_and_a_small_number(images, paintings, log_masks, scale):
    likelihood = _log_joint(images, paintings, log_masks, scale).exp().sum(dim=1)
    return -(2 * scale**2 / 3) * (likelihood + 1e-8).log().mean()


@mistake("The constant -(3/2) log(2 pi scale^2) belongs to the density, not to this loss: omit it.")
def _loss_with_the_constant(images, paintings, log_masks, scale):
    constant = -1.5 * math.log(2 * math.pi * scale**2)
    likelihood = _log_joint(images, paintings, log_masks, scale).logsumexp(dim=1) + constant
    return -(2 * scale**2 / 3) * likelihood.mean()


@mistake("The exponent of a Gaussian is -square / (2 scale^2): you did not square the scale.")
def _loss_of_scale_not_squared(images, paintings, log_masks, scale):
    squares = (paintings - images[:, None]).square().sum(dim=2)
    return -(2 * scale**2 / 3) * (log_masks - squares / (2 * scale)).logsumexp(dim=1).mean()


@mistake("That is the slots' squared error, averaged with the masks. The mixture adds densities.")
def _loss_of_expected_square(images, paintings, log_masks, scale):
    squares = (paintings - images[:, None]).square().mean(dim=2)
    return (log_masks.exp() * squares).sum(dim=1).mean()


@mistake("The masks are missing: the log joint is log mask - squares / (2 scale^2).")
def _loss_without_masks(images, paintings, log_masks, scale):
    squares = (paintings - images[:, None]).square().sum(dim=2)
    return -(2 * scale**2 / 3) * (-squares / (2 * scale**2)).logsumexp(dim=1).mean()


@mistake("That is the mean log-likelihood. The factor -(2 scale^2 / 3) is missing.")
def _loss_without_unit(images, paintings, log_masks, scale):
    return _log_joint(images, paintings, log_masks, scale).logsumexp(dim=1).mean()


@mistake("That is the mean of -log p without its constant. The factor 2 scale^2 / 3 is missing.")
def _loss_of_factor_one(images, paintings, log_masks, scale):
    return -_log_joint(images, paintings, log_masks, scale).logsumexp(dim=1).mean()


@mistake(
    "You average the channels' squares, and leave out the 3 in front. The log masks are then three "
    "times too heavy: *sum* over the channels, and divide the whole by 3."
)
def _loss_of_mean_over_channels_without_third(images, paintings, log_masks, scale):
    squares = (paintings - images[:, None]).square().mean(dim=2)
    log_joint = log_masks - squares / (2 * scale**2)
    return -2 * scale**2 * log_joint.logsumexp(dim=1).mean()


@mistake("The sign is turned: training makes the loss small, so a likely picture must cost little.")
def _loss_with_turned_sign(images, paintings, log_masks, scale):
    return -pixel_loss(images, paintings, log_masks, scale)


def _pixel_loss_cases() -> dict[str, tuple]:
    def case(seed: int, batch: int, slots: int, side: int, scale: float) -> tuple:
        images = torch.rand(batch, 3, side, side, generator=generator(seed))
        paintings = torch.rand(batch, slots, 3, side, side, generator=generator(seed + 1))
        logits = torch.randn(batch, slots, side, side, generator=generator(seed + 2))
        return images, paintings, logits.log_softmax(dim=1), scale

    return {
        "two images, three slots": case(6, 2, 3, 4, 0.3),
        "four slots": case(9, 1, 4, 3, 0.5),
        "paintings far from the image": case(12, 1, 2, 3, 0.01),  # underflows in float64 too
    }


register(
    Task(
        name="discovery.pixel_loss",
        title="The likelihood of a picture",
        text="""Return the loss of `images` (B, 3, H, W) under a mixture at every pixel. Slot k
        paints `paintings` (B, K, 3, H, W) and has the mask exp(`log_masks`), (B, K, H, W). The log
        joint of slot and pixel is log mask - (sum over the 3 channels of (image - painting)^2) / (2
        scale^2), without a constant. For each pixel take log(sum over slots of exp(log joint)).
        Return the mean over all pixels and images, times -2 scale^2 / 3: one number, shape (). Far
        from every painting, `exp` gives 0 in floating point, and the log of 0 is -inf. Your
        function must work there, too.""",
        minutes=8,
        difficulty=2,
        hints=(
            """`images[:, None]` is (B, 1, 3, H, W) and can be compared with all paintings. Which
            dimension holds the channels? After you sum over it, which dimension holds the
            slots?""",
            """Which function of torch computes log(sum(exp(...))) along a dimension without
            underflow? Use it on the log joint (B, K, H, W). Which dimension are the slots?""",
        ),
        solution=pixel_loss,
        cases=_pixel_loss_cases,
        mistakes=(
            _loss_of_composed_picture,
            _loss_without_half,
            _loss_of_mean_over_channels,
            _loss_of_summed_logarithms,
            _loss_over_pixels,
            _loss_by_densities,
            _loss_by_densities_and_a_small_number,
            _loss_with_the_constant,
            _loss_of_scale_not_squared,
            _loss_of_expected_square,
            _loss_without_masks,
            _loss_without_unit,
            _loss_of_factor_one,
            _loss_of_mean_over_channels_without_third,
            _loss_with_turned_sign,
        ),
        rtol=1e-4,
    )
)


# attention map


def attention_map(responsibilities: Tensor, size: int) -> Tensor:
    side = round(responsibilities.shape[1] ** 0.5)
    grid = responsibilities.mT.unflatten(2, (side, side))  # (B, K, side, side)
    return torch.nn.functional.interpolate(grid, size=(size, size), mode="nearest").argmax(dim=1)


@mistake("A reshape does not move axes: transpose N and K first, `.mT`.")
def _map_without_transpose(responsibilities, size):
    batch, inputs, slots = responsibilities.shape
    side = round(inputs**0.5)
    grid = responsibilities.reshape(batch, slots, side, side)
    return torch.nn.functional.interpolate(grid, size=(size, size), mode="nearest").argmax(dim=1)


@mistake("Your map is transposed: cells run along rows first, so (height, width) is the order.")
def _map_mirrored(responsibilities, size):
    return attention_map(responsibilities, size).mT


@mistake(
    "You repeat the whole map side by side. Enlarge it: repeat each cell, `repeat_interleave`."
)
def _map_tiled(responsibilities, size):
    side = round(responsibilities.shape[1] ** 0.5)
    owners = responsibilities.argmax(dim=2).unflatten(1, (side, side))
    return owners.repeat(1, size // side, size // side)


@mistake("You blend neighbouring cells. Nearest neighbour gives each pixel the value of one cell.")
def _map_blended(responsibilities, size):
    side = round(responsibilities.shape[1] ** 0.5)
    grid = responsibilities.mT.unflatten(2, (side, side))
    return torch.nn.functional.interpolate(grid, size=(size, size), mode="bilinear").argmax(dim=1)


@mistake("Your map has one number per cell: enlarge it, so that it has one number per pixel.")
def _map_of_cells(responsibilities, size):
    side = round(responsibilities.shape[1] ** 0.5)
    return responsibilities.argmax(dim=2).unflatten(1, (side, side))


@mistake("Return integers, the slots' numbers: your map holds floating-point numbers.")
def _map_of_floats(responsibilities, size):
    return attention_map(responsibilities, size).float()


register(
    Task(
        name="discovery.attention_map",
        title="Who holds which cell",
        text="""The N inputs are the cells of a square grid, row after row. A cell is held by the
        slot with the largest of its `responsibilities` (B, N, K). Return the number of this slot
        for each pixel: an integer map (B, size, size). Enlarge the grid by nearest neighbour: a
        cell becomes a square of equal pixels.""",
        minutes=8,
        difficulty=2,
        hints=(
            """Which axis of the responsibilities counts slots? `argmax` over it leaves one number
            per cell, (B, N). Then cut N into rows and columns.""",
            """The grid has `side = round(N ** 0.5)` rows. Each row of cells becomes `size // side`
            rows of pixels, and columns likewise. `repeat_interleave` does this along one axis.""",
        ),
        solution=attention_map,
        cases=lambda: {
            "a 4 x 4 grid to 8 pixels": (
                torch.rand(2, 16, 3, generator=generator(4)).softmax(2),
                8,
            ),
            "a 2 x 2 grid to 2 pixels": (torch.rand(1, 4, 5, generator=generator(5)).softmax(2), 2),
        },
        mistakes=(
            _map_without_transpose,
            _map_mirrored,
            _map_tiled,
            _map_blended,
            _map_of_cells,
            _map_of_floats,
        ),
    )
)
