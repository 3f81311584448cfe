"""Tasks of notebook 06: how masks are judged, and how a start of the slots is chosen."""

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Task, mistake, register
from smm_tutorial.exercises.samples import generator, normal

# adjusted Rand index


def rand_index(counts: Tensor) -> float:
    def pairs(n):
        return n * (n - 1) / 2

    both = pairs(counts).sum()
    in_true, in_predicted = pairs(counts.sum(dim=1)).sum(), pairs(counts.sum(dim=0)).sum()
    expected = in_true * in_predicted / pairs(counts.sum())
    maximum = (in_true + in_predicted) / 2
    return ((both - expected) / (maximum - expected)).item()


def _sums_of_pairs(counts):
    """Pairs in both, in the true map, in the predicted map, and of all pixels."""
    parts = (counts, counts.sum(dim=1), counts.sum(dim=0), counts.sum())
    return [(part * (part - 1) / 2).sum() for part in parts]


@mistake("That is the share of pairs, not yet adjusted: subtract what chance gives.")
def _index_without_chance(counts):
    both, in_true, in_predicted, _ = _sums_of_pairs(counts)
    return (both / ((in_true + in_predicted) / 2)).item()


@mistake("n pixels make n (n - 1) / 2 pairs, not n^2 / 2: a pixel is no pair with itself.")
def _index_of_squares(counts):
    parts = (counts, counts.sum(dim=1), counts.sum(dim=0), counts.sum())
    both, in_true, in_predicted, every = [(part**2 / 2).sum() for part in parts]
    expected = in_true * in_predicted / every
    return ((both - expected) / ((in_true + in_predicted) / 2 - expected)).item()


@mistake("The largest possible value is the *mean* of the two sums of pairs, not the smaller one.")
def _index_with_smaller_maximum(counts):
    both, in_true, in_predicted, every = _sums_of_pairs(counts)
    expected = in_true * in_predicted / every
    return ((both - expected) / (min(in_true, in_predicted) - expected)).item()


@mistake("The expectation divides by all *pairs*, not by all pixels.")
def _index_over_pixels(counts):
    both, in_true, in_predicted, _ = _sums_of_pairs(counts)
    expected = in_true * in_predicted / counts.sum()
    return ((both - expected) / ((in_true + in_predicted) / 2 - expected)).item()


register(
    Task(
        name="judging.rand_index",
        title="The adjusted Rand index",
        text="""`counts` (T, P): how many pixels have true label t and predicted label p. A set of n
        pixels makes n (n - 1) / 2 pairs. Let S be the pairs that share both labels (sum over the
        table), A the pairs that share the true label (sum over the T row totals), B the pairs that
        share the predicted label (sum over the P column totals), M all pairs of the image. Return
        (S - E) / ((A + B) / 2 - E) with E = A B / M, as a float.""",
        minutes=8,
        difficulty=2,
        hints=(
            """Write a small function for the pairs of n pixels first. It works on a whole tensor of
            counts, too.""",
            """Row totals are `counts.sum(dim=1)`, column totals `counts.sum(dim=0)`. Each of S, A,
            B, M is a sum of pairs.""",
        ),
        solution=rand_index,
        cases=lambda: {
            "two objects, three segments": (torch.tensor([[8.0, 1.0, 0.0], [2.0, 5.0, 4.0]]),),
            "worse than chance": (torch.tensor([[2.0, 2.0], [2.0, 2.0]]),),
            "three objects, two segments": (torch.tensor([[3.0, 1.0], [0.0, 6.0], [5.0, 1.0]]),),
        },
        mistakes=(
            _index_without_chance,
            _index_of_squares,
            _index_with_smaller_maximum,
            _index_over_pixels,
        ),
    )
)


# the most likely start


def most_likely_start(log_likelihoods: Tensor, owners: Tensor) -> Tensor:
    best = log_likelihoods.argmax(dim=0)  # (B,)
    return owners[best, torch.arange(owners.shape[1])]


@mistake("You chose one start for all images. Each image has a best start of its own.")
def _one_start_for_all(log_likelihoods, owners):
    return owners[log_likelihoods.sum(dim=1).argmax()]


@mistake("That is the *least* likely start.")
def _least_likely_start(log_likelihoods, owners):
    return owners[log_likelihoods.argmin(dim=0), torch.arange(owners.shape[1])]


@mistake("The starts are dim 0: you asked each start for its best image.")
def _best_image_of_each_start(log_likelihoods, owners):
    return owners[torch.arange(len(owners)), log_likelihoods.argmax(dim=1)]


@mistake("Labels are names: their mean over starts says nothing. Choose one start per image.")
def _mean_over_starts(log_likelihoods, owners):
    return owners.double().mean(dim=0).round().to(owners.dtype)


def _start_cases() -> dict[str, tuple]:
    def case(seed: int, starts: int, images: int, side: int) -> tuple:
        shape = (starts, images, side, side)
        return normal(seed, starts, images), torch.randint(7, shape, generator=generator(seed + 1))

    return {
        "three starts, four images": case(0, 3, 4, 2),
        "five starts, two images": case(2, 5, 2, 3),
    }


register(
    Task(
        name="judging.most_likely_start",
        title="The best of several starts",
        text="""The slots started S times. `log_likelihoods` (S, B) says how well each start
        explains each image, `owners` (S, B, H, W) which slot owns each pixel. Return the owners (B,
        H, W) of the most likely start of each image.""",
        minutes=5,
        difficulty=1,
        hints=(
            "One `argmax` gives the best start of each image. Along which dimension?",
            """Index with two tensors at once: `owners[best, images]` takes the pairs (best[0],
            images[0]), (best[1], images[1]), and so on. What must `images` be?""",
        ),
        solution=most_likely_start,
        cases=_start_cases,
        mistakes=(
            _one_start_for_all,
            _least_likely_start,
            _best_image_of_each_start,
            _mean_over_starts,
        ),
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
        name="judging.best_overlap",
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
