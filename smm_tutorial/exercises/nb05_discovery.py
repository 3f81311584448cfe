"""Tasks of notebook 05: what an object-discovery model makes of its slots, and how it is judged."""

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
        text="""Each slot paints a whole picture, `paintings` (B, K, 3, H, W), and says how much it
        wants each pixel, `logits` (B, K, H, W). Return the reconstruction (B, 3, H, W): slots
        compete for every pixel by a softmax.""",
        minutes=5,
        difficulty=1,
        hints=(
            """Which axis of the logits must sum to one after the softmax: the one that counts
            slots, or those of pixels?""",
            """`logits.softmax(dim=1)`, an axis for the colour channels, a product, a sum over
            slots.""",
        ),
        solution=compose,
        cases=_compose_cases,
        mistakes=(_compose_over_pixels, _compose_without_softmax, _compose_mean),
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


register(
    Task(
        name="discovery.attention_map",
        title="Who holds which cell",
        text="""Slots share out N inputs, the cells of a square grid, row after row. From
        `responsibilities` (B, N, K) make the integer map (B, size, size) of the slot that holds
        each pixel; enlarge by nearest neighbour.""",
        minutes=8,
        difficulty=2,
        hints=(
            "Bring the slots to the front of the cells before you cut N into rows and columns.",
            """`responsibilities.mT.unflatten(2, (side, side))`, then `interpolate(...,
            mode='nearest')`, then `argmax(1)`.""",
        ),
        solution=attention_map,
        cases=lambda: {
            "a 4 x 4 grid to 8 pixels": (
                torch.rand(2, 16, 3, generator=generator(4)).softmax(2),
                8,
            ),
            "a 2 x 2 grid to 2 pixels": (torch.rand(1, 4, 5, generator=generator(5)).softmax(2), 2),
        },
        mistakes=(_map_without_transpose, _map_mirrored),
    )
)


# best overlap


def best_overlap(true: Tensor, predicted: Tensor) -> float:
    overlaps = []
    for label in true.unique():
        if label == 0:  # the background is no object
            continue
        mine = true == label
        segments = [predicted == segment for segment in predicted.unique()]
        ious = [(mine & segment).sum() / (mine | segment).sum() for segment in segments]
        overlaps.append(max(ious).item())
    return sum(overlaps) / len(overlaps)


@mistake("You count the background (label 0) as an object.")
def _overlap_with_background(true, predicted):
    return best_overlap(true + 1, predicted)


@mistake(
    "You divide by the object alone: then one segment that takes the whole image scores 1. "
    "Divide by the union."
)
def _overlap_of_intersections(true, predicted):
    shares = []
    for label in true[true != 0].unique():
        inside = predicted[true == label]  # the segments of this object's pixels
        shares.append(max((inside == segment).float().mean().item() for segment in inside.unique()))
    return sum(shares) / len(shares)


@mistake("You average over segments; ask for every *object* which segment serves it best.")
def _overlap_by_segment(true, predicted):
    return best_overlap(predicted + 1, torch.where(true == 0, -1, true))


@mistake(
    "A label that owns no pixel is no object: loop over the labels that occur, `true.unique()`."
)
def _overlap_with_absent_labels(true, predicted):
    absent = int(true.max()) - len(true[true != 0].unique())
    present = len(true[true != 0].unique())
    return best_overlap(true, predicted) * present / (present + absent)


def _overlap_cases() -> dict[str, tuple]:
    squares = torch.zeros(6, 6, dtype=torch.long)
    squares[:3, :3] = 1
    squares[4:, 3:] = 2
    cells = torch.arange(6)[:, None] // 3 * 2 + torch.arange(6) // 3  # four cells of the image
    return {
        "two squares, cut into four cells": (squares, cells),
        "two squares, found exactly": (squares, squares + 3),
        "two squares in one segment": (squares, torch.zeros_like(squares)),
        "objects 1 and 4, no others": (torch.where(squares == 2, 4, squares), cells),
    }


register(
    Task(
        name="discovery.best_overlap",
        title="Mean best overlap",
        text="""For one image, given the integer maps `true` (0 = background) and `predicted`, both
        (H, W): for each true object take the best intersection over union that any predicted
        segment reaches; return the mean (a float).""",
        minutes=12,
        difficulty=2,
        hints=(
            """Two loops: over the objects (labels above 0), and inside over the segments that
            occur.""",
            """`(a & b).sum() / (a | b).sum()` for two boolean maps; keep the largest for each
            object, then average.""",
        ),
        solution=best_overlap,
        cases=_overlap_cases,
        mistakes=(
            _overlap_with_background,
            _overlap_of_intersections,
            _overlap_by_segment,
            _overlap_with_absent_labels,
        ),
    )
)
