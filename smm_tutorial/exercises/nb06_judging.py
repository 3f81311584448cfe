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


@mistake("m pixels make m (m - 1) / 2 pairs, not m^2 / 2: a pixel is no pair with itself.")
def _index_of_squares(counts):
    parts = (counts, counts.sum(dim=1), counts.sum(dim=0), counts.sum())
    both, in_true, in_predicted, every = [(part**2 / 2).sum() for part in parts]
    expected = in_true * in_predicted / every
    return ((both - expected) / ((in_true + in_predicted) / 2 - expected)).item()


@mistake("Below the line stands the *mean* of the two sums of pairs, not the smaller one.")
def _index_with_smaller_maximum(counts):
    both, in_true, in_predicted, every = _sums_of_pairs(counts)
    expected = in_true * in_predicted / every
    return ((both - expected) / (min(in_true, in_predicted) - expected)).item()


@mistake("Below the line stands the *mean* of the two sums of pairs, not the larger one.")
def _index_with_larger_maximum(counts):
    both, in_true, in_predicted, every = _sums_of_pairs(counts)
    expected = in_true * in_predicted / every
    return ((both - expected) / (max(in_true, in_predicted) - expected)).item()


@mistake(
    "Your `n_both` holds all pairs of pixels. Count the pairs inside each cell of the table, and "
    "then sum over the cells."
)
def _index_of_all_pairs(counts):
    _, in_true, in_predicted, every = _sums_of_pairs(counts)
    expected = in_true * in_predicted / every
    return ((every - expected) / ((in_true + in_predicted) / 2 - expected)).item()


@mistake(
    "That is the Rand index without adjustment: it counts pairs that are apart in both maps, too. "
    "Subtract what chance gives, above and below the line."
)
def _index_of_agreements(counts):
    both, in_true, in_predicted, every = _sums_of_pairs(counts)
    return ((every + 2 * both - in_true - in_predicted) / every).item()


@mistake("You divide by the number of cells of the table. Divide by the pairs of all its pixels.")
def _index_over_cells(counts):
    both, in_true, in_predicted, _ = _sums_of_pairs(counts)
    expected = in_true * in_predicted / counts.numel()
    return ((both - expected) / ((in_true + in_predicted) / 2 - expected)).item()


@mistake("The expectation divides by all *pairs*, not by all pixels.")
def _index_over_pixels(counts):
    both, in_true, in_predicted, _ = _sums_of_pairs(counts)
    expected = in_true * in_predicted / counts.sum()
    return ((both - expected) / ((in_true + in_predicted) / 2 - expected)).item()


register(
    Task(
        name="judging.rand_index",
        title="The adjusted Rand index",
        text="""`counts` (T, P): how many pixels have true label t and predicted label p. A set of m
        pixels makes m (m - 1) / 2 pairs. Count four kinds of pairs. `n_both`: pairs with equal true
        and equal predicted labels, summed over the table. `n_true`: pairs with equal true labels,
        summed over the T row totals. `n_pred`: pairs with equal predicted labels, summed over the P
        column totals. `n_all`: all pairs of pixels in the table. Return (n_both - n_chance) /
        ((n_true + n_pred) / 2 - n_chance), where n_chance is n_true n_pred / n_all. The result is a
        float.""",
        minutes=8,
        difficulty=1,
        hints=(
            """Write a small function for the pairs of m pixels first. It works on a whole tensor of
            counts, too.""",
            """Row totals are `counts.sum(dim=1)`, column totals `counts.sum(dim=0)`. First count
            the pairs of each cell or total, then sum these pairs.""",
        ),
        solution=rand_index,
        cases=lambda: {
            "counts [[8, 1, 0], [2, 5, 4]]": (torch.tensor([[8.0, 1.0, 0.0], [2.0, 5.0, 4.0]]),),
            "worse than chance: [[2, 2], [2, 2]]": (torch.tensor([[2.0, 2.0], [2.0, 2.0]]),),
            "counts [[3, 1], [0, 6], [5, 1]]": (
                torch.tensor([[3.0, 1.0], [0.0, 6.0], [5.0, 1.0]]),
            ),
        },
        mistakes=(
            _index_without_chance,
            _index_of_squares,
            _index_with_smaller_maximum,
            _index_with_larger_maximum,
            _index_of_all_pairs,
            _index_of_agreements,
            _index_over_cells,
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


@mistake(
    "Image b needs its own start only: `owners[best]` gives every image for each start. Index "
    "both dimensions at once."
)
def _all_images_of_each_start(log_likelihoods, owners):
    return owners[log_likelihoods.argmax(dim=0)]


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
        text="""The slots started S times on each of B images. `log_likelihoods` (S, B) says how
        well each start explains each image. `owners` (S, B, H, W) says which slot owns each pixel.
        For each image, choose the start with the largest log-likelihood. Return the owners (B, H,
        W) of the chosen starts.""",
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
            _all_images_of_each_start,
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


@mistake(
    "You take the segment that covers most of the object. Its IoU can be small, if the segment is "
    "large. Compare the IoU of every segment."
)
def _overlap_of_largest_intersection(true, predicted):
    overlaps = []
    for label in true[true != 0].unique():
        mine = true == label
        segment = predicted == predicted[mine].mode().values
        overlaps.append(((mine & segment).sum() / (mine | segment).sum()).item())
    return sum(overlaps) / len(overlaps)


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


@mistake("In `predicted`, 0 is a segment like any other: do not leave this segment out.")
def _overlap_without_segment_zero(true, predicted):
    overlaps = []
    for label in true[true != 0].unique():
        mine = true == label
        segments = [predicted == segment for segment in predicted.unique() if segment != 0]
        ious = [((mine & segment).sum() / (mine | segment).sum()).item() for segment in segments]
        overlaps.append(max(ious, default=0.0))
    return sum(overlaps) / len(overlaps)


@mistake("You weight each object by its pixels. Each object counts once, whatever its size.")
def _overlap_weighted_by_size(true, predicted):
    labels = true[true != 0].unique()
    alone = [best_overlap(torch.where(true == label, label, 0), predicted) for label in labels]
    sizes = [(true == label).sum().item() for label in labels]
    return sum(size * one for size, one in zip(sizes, alone, strict=True)) / sum(sizes)


def _overlap_cases() -> dict[str, tuple]:
    squares = torch.zeros(6, 6, dtype=torch.long)
    squares[:3, :3] = 1
    squares[4:, 3:] = 2
    cells = torch.arange(6)[:, None] // 3 * 2 + torch.arange(6) // 3  # four cells of the image
    row = torch.zeros_like(squares)
    row[0, :3] = 1
    corner = torch.zeros_like(squares)
    corner[0, 0] = 1  # a pixel of the row; all other pixels are one large segment
    return {
        "two squares, cut into four cells": (squares, cells),
        "two squares, found exactly": (squares, squares + 3),
        "two squares in one segment": (squares, torch.zeros_like(squares)),
        "a large segment covers most of the object": (row, corner),
        "objects 1 and 4, no others": (torch.where(squares == 2, 4, squares), cells),
    }


register(
    Task(
        name="judging.best_overlap",
        title="Mean best overlap",
        text="""`true` and `predicted` are integer maps (H, W) of one image. In `true`, 0 is the
        background, and each other label is an object. In `predicted`, each label is a segment, and
        label 0 is a segment, too. For each object, compute the intersection over union with every
        segment, and keep the largest one. Return the mean over the objects, a float. A large object
        counts as much as a small object.""",
        minutes=12,
        difficulty=2,
        hints=(
            """Write two loops. The outer loop runs over the objects, the labels above 0. The inner
            loop runs over the segments that occur.""",
            """`true == label` is a boolean map. For two boolean maps, `&` gives the pixels in both,
            and `|` gives the pixels in at least one.""",
        ),
        solution=best_overlap,
        cases=_overlap_cases,
        mistakes=(
            _overlap_with_background,
            _overlap_of_intersections,
            _overlap_of_largest_intersection,
            _overlap_by_segment,
            _overlap_with_absent_labels,
            _overlap_without_segment_zero,
            _overlap_weighted_by_size,
        ),
    )
)
