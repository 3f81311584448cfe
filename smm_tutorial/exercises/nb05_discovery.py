"""Tasks of notebook 05: what an object-discovery model makes of its slots, and how it is judged."""

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Case, Mistake, Task, register


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ----------------------------------------------------------------------------------------------------------- compose


def compose(paintings: Tensor, logits: Tensor) -> Tensor:
    masks = logits.softmax(dim=1)  # (B, K, H, W), slots compete for every pixel
    return (masks[:, :, None] * paintings).sum(dim=1)  # (B, 3, H, W)


def _compose_over_pixels(paintings: Tensor, logits: Tensor) -> Tensor:
    masks = logits.flatten(2).softmax(dim=2).view_as(logits)
    return (masks[:, :, None] * paintings).sum(dim=1)


def _compose_without_softmax(paintings: Tensor, logits: Tensor) -> Tensor:
    return (logits[:, :, None] * paintings).sum(dim=1)


def _compose_mean(paintings: Tensor, logits: Tensor) -> Tensor:
    return (logits.softmax(dim=1)[:, :, None] * paintings).mean(dim=1)


def _compose_cases() -> list[Case]:
    one = torch.rand(1, 1, 3, 2, 2, generator=_generator(0))
    several = torch.rand(2, 3, 3, 4, 4, generator=_generator(1))
    return [
        Case(
            "two images, three slots", (several, torch.randn(2, 3, 4, 4, generator=_generator(2)))
        ),
        Case("one slot owns every pixel", (one, torch.randn(1, 1, 2, 2, generator=_generator(3)))),
    ]


register(
    Task(
        name="discovery.compose",
        title="From paintings to a picture",
        text="Each slot paints a whole picture, `paintings` (B, K, 3, H, W), and says how much it wants each pixel, "
        "`logits` (B, K, H, W). Return the reconstruction (B, 3, H, W): slots compete for every pixel by a softmax.",
        minutes=5,
        difficulty=1,
        hints=(
            "Which axis of the logits must sum to one after the softmax: the one that counts slots, or those of pixels?",
            "`logits.softmax(dim=1)`, an axis for the colour channels, a product, a sum over slots.",
        ),
        solution=compose,
        cases=_compose_cases,
        mistakes=(
            Mistake(
                _compose_over_pixels,
                "Your masks sum to one over the pixels of a slot: slots must compete, dim=1.",
            ),
            Mistake(
                _compose_without_softmax,
                "Logits are no shares yet: they can be negative. A softmax is missing.",
            ),
            Mistake(
                _compose_mean,
                "The masks already sum to one over slots: sum, do not average once more.",
            ),
        ),
    )
)


# --------------------------------------------------------------------------------------------------- responsibilities


def attention_map(responsibilities: Tensor, size: int) -> Tensor:
    side = round(responsibilities.shape[1] ** 0.5)
    grid = responsibilities.mT.unflatten(2, (side, side))  # (B, K, side, side)
    return torch.nn.functional.interpolate(grid, size=(size, size), mode="nearest").argmax(dim=1)


def _map_without_transpose(responsibilities: Tensor, size: int) -> Tensor:
    batch, inputs, slots = responsibilities.shape
    side = round(inputs**0.5)
    grid = responsibilities.reshape(batch, slots, side, side)
    return torch.nn.functional.interpolate(grid, size=(size, size), mode="nearest").argmax(dim=1)


def _map_mirrored(responsibilities: Tensor, size: int) -> Tensor:
    return attention_map(responsibilities, size).mT


def _map_cases() -> list[Case]:
    return [
        Case(
            "a 4 x 4 grid to 8 pixels",
            (torch.rand(2, 16, 3, generator=_generator(4)).softmax(2), 8),
        ),
        Case(
            "a 2 x 2 grid to 2 pixels", (torch.rand(1, 4, 5, generator=_generator(5)).softmax(2), 2)
        ),
    ]


register(
    Task(
        name="discovery.attention_map",
        title="Who holds which cell",
        text="Slots share out N inputs, the cells of a square grid, row after row. From `responsibilities` (B, N, K) make "
        "the integer map (B, size, size) of the slot that holds each pixel; enlarge by nearest neighbour.",
        minutes=8,
        difficulty=2,
        hints=(
            "Bring the slots to the front of the cells before you cut N into rows and columns.",
            "`responsibilities.mT.unflatten(2, (side, side))`, then `interpolate(..., mode='nearest')`, then `argmax(1)`.",
        ),
        solution=attention_map,
        cases=_map_cases,
        mistakes=(
            Mistake(
                _map_without_transpose,
                "A reshape does not move axes: transpose N and K first, `.mT`.",
            ),
            Mistake(
                _map_mirrored,
                "Your map is transposed: cells run along rows first, so (height, width) is the order.",
            ),
        ),
    )
)


# -------------------------------------------------------------------------------------------------------- best overlap


def best_overlap(true: Tensor, predicted: Tensor) -> float:
    overlaps = []
    for label in true.unique():
        if label == 0:  # the background is no object
            continue
        mine = true == label
        ious = [
            ((mine & (predicted == segment)).sum() / (mine | (predicted == segment)).sum()).item()
            for segment in predicted.unique()
        ]
        overlaps.append(max(ious))
    return sum(overlaps) / len(overlaps)


def _overlap_with_background(true: Tensor, predicted: Tensor) -> float:
    return best_overlap(true + 1, predicted)


def _overlap_of_intersections(true: Tensor, predicted: Tensor) -> float:
    shares = [
        max(
            ((true == label) & (predicted == segment)).sum() / (true == label).sum()
            for segment in predicted.unique()
        )
        for label in true.unique()
        if label != 0
    ]
    return float(sum(shares) / len(shares))


def _overlap_by_segment(true: Tensor, predicted: Tensor) -> float:
    return best_overlap(predicted + 1, torch.where(true == 0, -1, true))


def _overlap_cases() -> list[Case]:
    squares = torch.zeros(6, 6, dtype=torch.long)
    squares[:3, :3], squares[4:, 3:] = 1, 2
    cells = torch.arange(6)[:, None] // 3 * 2 + torch.arange(6) // 3  # four cells of the image
    return [
        Case("two squares, cut into four cells", (squares, cells)),
        Case("two squares, found exactly", (squares, squares + 3)),
        Case("two squares in one segment", (squares, torch.zeros_like(squares))),
    ]


register(
    Task(
        name="discovery.best_overlap",
        title="Mean best overlap",
        text="For one image, given the integer maps `true` (0 = background) and `predicted`, both (H, W): for each true "
        "object take the best intersection over union that any predicted segment reaches; return the mean (a float).",
        minutes=12,
        difficulty=2,
        hints=(
            "Two loops: over the objects (labels above 0), and inside over the segments that occur.",
            "`(a & b).sum() / (a | b).sum()` for two boolean maps; keep the largest for each object, then average.",
        ),
        solution=best_overlap,
        cases=_overlap_cases,
        mistakes=(
            Mistake(_overlap_with_background, "You count the background (label 0) as an object."),
            Mistake(
                _overlap_of_intersections,
                "You divide by the object alone: then one segment that takes the whole image scores 1. Divide by the union.",
            ),
            Mistake(
                _overlap_by_segment,
                "You average over segments; ask for every *object* which segment serves it best.",
            ),
        ),
    )
)
