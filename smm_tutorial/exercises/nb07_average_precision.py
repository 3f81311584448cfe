"""Tasks of notebook 07: how average precision judges sets, and how to score the wrong images."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Task, mistake, register

# true positives


def true_positives(alike: Tensor, distances: Tensor, threshold: float) -> Tensor:
    claimed, right = set(), []
    for row, far in zip(alike, distances, strict=True):
        nearest = torch.where(row, far, math.inf).argmin().item()
        right.append(bool(row.any() and far[nearest] < threshold and nearest not in claimed))
        if right[-1]:
            claimed.add(nearest)
    return torch.tensor(right)


@mistake(
    "You skip targets that are taken and try the next nearest target. By CLEVR's rule, the second "
    "prediction of one object is wrong, even if another object of this kind is near."
)
def _positives_next_nearest(alike, distances, threshold):
    free, right = alike.clone(), []
    for k in range(len(alike)):
        nearest = torch.where(free[k], distances[k], math.inf).argmin().item()
        right.append(bool(free[k].any() and distances[k, nearest] < threshold))
        if right[-1]:
            free[:, nearest] = False
    return torch.tensor(right)


@mistake("A distance equal to the threshold is too far: `<`, not `<=`.")
def _positives_at_the_threshold(alike, distances, threshold):
    return true_positives(alike, distances, math.nextafter(threshold, math.inf))


@mistake(
    "You take the nearest target of *any* kind and then ask whether it is alike. First keep the "
    "targets that are alike, then take the nearest."
)
def _positives_nearest_of_any_kind(alike, distances, threshold):
    nearest = distances.argmin(dim=1, keepdim=True)  # (K, 1)
    only = torch.zeros_like(alike).scatter(1, nearest, alike.gather(1, nearest))
    return true_positives(only, distances, threshold)


@mistake("In your answer no target is ever taken, so two predictions of one object are both right.")
def _positives_without_claims(alike, distances, threshold):
    return (alike & (distances < threshold)).any(dim=1)


@mistake("Only a right prediction takes a target. A prediction that is too far takes none.")
def _positives_far_ones_claim(alike, distances, threshold):
    claimed, right = set(), []
    for row, far in zip(alike, distances, strict=True):
        nearest = torch.where(row, far, math.inf).argmin().item()
        right.append(bool(row.any() and far[nearest] < threshold and nearest not in claimed))
        if row.any():
            claimed.add(nearest)
    return torch.tensor(right)


@mistake("Your answer accepts targets of every kind. Use `alike`.")
def _positives_of_any_kind(alike, distances, threshold):
    return true_positives(torch.ones_like(alike), distances, threshold)


def _positives_cases() -> dict[str, tuple]:
    twins = torch.tensor(
        [[True, True, False], [True, True, False], [False, False, True], [True, True, False]]
    )
    places = torch.tensor(
        [[0.2, 0.9, 1.5], [0.3, 0.4, 1.0], [0.1, 0.6, 0.5], [2.0, 0.1, 0.7]], dtype=torch.float64
    )
    none = torch.tensor([[False, False], [True, False], [True, False]])
    few = torch.tensor([[0.1, 0.2], [3.0, 0.3], [0.4, 0.2]], dtype=torch.float64)
    return {
        "two targets of one kind, four predictions": (twins, places, 1.0),
        "the same, stricter": (twins, places, 0.5),
        "a prediction like no target, and one too far": (none, few, 0.5),
    }


register(
    Task(
        name="sets.true_positives",
        title="Which predictions are right",
        text="""The predictions of one image are sorted by probability, the highest first.
        `alike[k, t]` says whether prediction k has the size, material, shape and colour of target
        t. `distances[k, t]` says how far apart they are. By the rule of CLEVR, a prediction looks
        only at targets *like it*, and there at the nearest target. The prediction is right if this
        target is nearer than `threshold` (not equal) and not taken. A right prediction takes its
        target. If the nearest target is taken already, the prediction is wrong: it does not look at
        another target. Return a boolean tensor (K,).""",
        minutes=12,
        difficulty=3,
        hints=(
            """Go through the predictions in order and remember which targets are taken. Put the
            distance of targets of another kind to infinity before you look for the nearest.""",
            """`torch.where(alike[k], distances[k], torch.inf)` holds the distances that count. A
            right prediction needs three things: a target like it, near enough, not yet taken.""",
        ),
        solution=true_positives,
        cases=_positives_cases,
        mistakes=(
            _positives_next_nearest,
            _positives_at_the_threshold,
            _positives_nearest_of_any_kind,
            _positives_without_claims,
            _positives_far_ones_claim,
            _positives_of_any_kind,
        ),
    )
)


# average precision


def average_precision(right: Tensor, num_targets: int) -> float:
    found = right.cumsum(dim=0)
    zero = torch.zeros(1)
    precision = torch.cat([zero, found / torch.arange(1, len(right) + 1), zero])
    recall = torch.cat([zero, found / num_targets, torch.ones(1)])
    hull = precision.flip(0).cummax(dim=0).values.flip(0)
    return ((recall[1:] - recall[:-1]) * hull[1:]).sum().item()


def _area(right: Tensor, hull: Tensor, num_targets: float) -> float:
    return (hull[right].sum() / num_targets).item()


def _precision_at(right: Tensor) -> Tensor:
    return right.cumsum(dim=0) / torch.arange(1, len(right) + 1)


@mistake("The maximum is missing: a later, higher precision must replace earlier, lower values.")
def _precision_without_maximum(right, num_targets):
    return _area(right, _precision_at(right), num_targets)


@mistake("Your maximum looks at earlier ranks. It must look at later ranks, at higher recall.")
def _precision_maximum_from_left(right, num_targets):
    return _area(right, _precision_at(right).cummax(dim=0).values, num_targets)


def _padded(right: Tensor, num_targets: int) -> tuple[Tensor, Tensor]:
    """Precision and recall, padded as the task says, (M + 2,) each."""
    precision = torch.cat([torch.zeros(1), _precision_at(right), torch.zeros(1)])
    recall = torch.cat([torch.zeros(1), right.cumsum(dim=0) / num_targets, torch.ones(1)])
    return precision, recall


@mistake(
    "Your maximum starts at the first rank. Start it at the last rank: `flip` before and after."
)
def _precision_padded_maximum_from_left(right, num_targets):
    precision, recall = _padded(right, num_targets)
    return (recall.diff() * precision.cummax(dim=0).values[1:]).sum().item()


def _hull(precision: Tensor) -> Tensor:
    return precision.flip(0).cummax(dim=0).values.flip(0)


@mistake("You use trapezoids. Use rectangles: their height is the precision at the right end.")
def _precision_by_trapezoids(right, num_targets):
    precision, recall = _padded(right, num_targets)
    return torch.trapezoid(_hull(precision), recall).item()


@mistake("Recall is a share of *all* targets, found or not: divide by `num_targets`.")
def _precision_over_found(right, num_targets):
    return average_precision(right, max(1, int(right.sum())))


@mistake("You average precision over ranks. Precision counts only where recall rises.")
def _precision_over_ranks(right, num_targets):
    return _precision_at(right).mean().item()


@mistake(
    "Recall that was never reached must add no area. Sum only over the rises of recall, and take "
    "the precision at the *right* end of each rise."
)
def _precision_to_the_end(right, num_targets):
    never_reached = 1 - right.sum().item() / num_targets
    last = _precision_at(right)[-1].item()
    return average_precision(right, num_targets) + never_reached * last


@mistake("This is the precision of the whole list. The area needs the precision at every rank.")
def _precision_last(right, num_targets):
    return _precision_at(right)[-1].item()


register(
    Task(
        name="sets.average_precision",
        title="The area under the curve",
        text="""`right` (R,) says which of R predictions are right, the highest probability first.
        There are `num_targets` objects. After each rank, precision is the share of right
        predictions so far, and recall is the share of objects found so far. Replace each precision
        by the largest precision at this place *or at a later place*. Every rise of recall is the
        width of a rectangle. The first rise begins at 0. The height of a rectangle is the precision
        at its right end. Return the sum of all areas, a number.""",
        minutes=10,
        difficulty=2,
        hints=(
            """`found = right.cumsum(0)` counts right predictions. Precision divides it by 1, 2, 3,
            ..., and recall divides it by `num_targets`. `torch.cat` puts a 0 before the recall.""",
            """`cummax` gives the largest value so far. It looks at earlier places, so turn the
            precision around before and after, with `flip`. `diff` gives the rises of recall.""",
        ),
        solution=average_precision,
        cases=lambda: {
            "three right of five, four targets": (
                torch.tensor([True, False, True, True, False]),
                4,
            ),
            "a late find": (torch.tensor([False, False, True, False, True, True, False]), 3),
            "four right of seven, six targets": (
                torch.tensor([True, True, False, True, False, False, True]),
                6,
            ),
            "nothing right": (torch.tensor([False, False]), 2),
        },
        mistakes=(
            _precision_without_maximum,
            _precision_maximum_from_left,
            _precision_padded_maximum_from_left,
            _precision_by_trapezoids,
            _precision_over_found,
            _precision_over_ranks,
            _precision_to_the_end,
            _precision_last,
        ),
    )
)


# half a loop


def scored_images(order: Sequence[int], batch_size: int) -> Sequence[int]:
    return order[::batch_size]


@mistake("This is the first batch. Only the loop over images stops. The loop over batches goes on.")
def _scored_first_batch(order, batch_size):
    return order[:batch_size]


@mistake(
    "The loop over images returns in its first round, so it scores the *first* image of a batch."
)
def _scored_last_of_each(order, batch_size):
    return order[batch_size - 1 :: batch_size]


@mistake("The last batch is shorter, but its first image is scored as well.")
def _scored_in_whole_batches(order, batch_size):
    return order[: len(order) // batch_size * batch_size : batch_size]


@mistake("The number of images is right. But take one image of *each batch*, not the first of all.")
def _scored_as_many_from_the_front(order, batch_size):
    return order[: -(-len(order) // batch_size)]


@mistake("This is the first image of the first batch. The loop over batches goes on after it.")
def _scored_first_image_only(order, batch_size):
    return order[:1]


register(
    Task(
        name="sets.scored_images",
        title="A return in the wrong place",
        text="""An evaluation cuts a list of images into batches. The last batch may be shorter. For
        each batch it calls a function with a loop over the images of the batch. By mistake,
        `return` stands inside this loop. Given are a list `order` of the images' numbers, and
        `batch_size`. Return a list: the numbers of the images that are really scored.""",
        minutes=3,
        difficulty=1,
        hints=(
            "How far does a loop get whose body ends in `return`?",
            """At which places of `order` do batches begin? A slice with a step can take exactly
            these places.""",
        ),
        solution=scored_images,
        cases=lambda: {
            "seven images in batches of three": ([4, 0, 6, 2, 5, 1, 3], 3),
            "six in batches of two": ([5, 3, 1, 0, 2, 4], 2),
        },
        mistakes=(
            _scored_first_batch,
            _scored_last_of_each,
            _scored_in_whole_batches,
            _scored_as_many_from_the_front,
            _scored_first_image_only,
        ),
    )
)
