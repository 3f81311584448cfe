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
    "You skip targets that are taken and try the next nearest. By CLEVR's rule the second "
    "prediction of one object is wrong, even if a twin is near."
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


@mistake("Nothing is ever taken: two predictions of one object would both be right.")
def _positives_without_claims(alike, distances, threshold):
    return (alike & (distances < threshold)).any(dim=1)


@mistake("A prediction that is too far takes nothing: only a right one claims.")
def _positives_far_ones_claim(alike, distances, threshold):
    claimed, right = set(), []
    for row, far in zip(alike, distances, strict=True):
        nearest = torch.where(row, far, math.inf).argmin().item()
        right.append(bool(row.any() and far[nearest] < threshold and nearest not in claimed))
        if row.any():
            claimed.add(nearest)
    return torch.tensor(right)


@mistake("The kinds do not matter in your answer: use `alike`.")
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
        text="""One image's predictions are sorted, the surest first. `alike[k, t]` says whether
        prediction k has the size, material, shape and colour of target t, and `distances[k, t]` how
        far apart they are. By the rule of CLEVR, a prediction looks at the nearest target *like
        it*. It is right if that one is nearer than `threshold` (not equal) and no earlier
        prediction was right about it. If it is taken, the prediction is wrong: it does not look
        further. Return a boolean tensor (K,).""",
        minutes=12,
        difficulty=3,
        hints=(
            """Go through the predictions in order and remember which targets are taken. Put the
            distance of targets of another kind to infinity before you look for the nearest.""",
            """`nearest = torch.where(alike[k], distances[k], torch.inf).argmin().item()`; right if
            it is alike, near enough and not yet taken; only a right one takes it.""",
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


@mistake("The running maximum is missing: a later, higher precision lifts earlier ones.")
def _precision_without_maximum(right, num_targets):
    return _area(right, _precision_at(right), num_targets)


@mistake("Your maximum runs from the left; it must look right, at higher recall.")
def _precision_maximum_from_left(right, num_targets):
    return _area(right, _precision_at(right).cummax(dim=0).values, num_targets)


@mistake("Recall counts all targets, found or not: divide by `num_targets`.")
def _precision_over_found(right, num_targets):
    return average_precision(right, max(1, int(right.sum())))


@mistake("You average precision over ranks. It counts only where recall steps.")
def _precision_over_ranks(right, num_targets):
    return _precision_at(right).mean().item()


@mistake("Recall that was never reached earns nothing: pad the precision with 0 at its end.")
def _precision_to_the_end(right, num_targets):
    never_reached = 1 - right.sum().item() / num_targets
    last = _precision_at(right)[-1].item()
    return average_precision(right, num_targets) + never_reached * last


@mistake("That is the precision of the whole list; the area looks at every rank.")
def _precision_last(right, num_targets):
    return _precision_at(right)[-1].item()


register(
    Task(
        name="sets.average_precision",
        title="The area under the curve",
        text="""`right` (M,) are all predictions, the surest first; `num_targets` objects were to be
        found. After each rank, precision is the share of right ones so far, recall the share of
        targets found. Pad recall with 0 and 1, precision with 0 and 0. Replace each precision by
        the largest at its place *or to its right*. Return the sum of precision times the step of
        recall that leads to it (a float).""",
        minutes=10,
        difficulty=2,
        hints=(
            """`found = right.cumsum(0)`; precision divides it by 1, 2, 3, ..., recall by
            `num_targets`. `torch.cat` pads them.""",
            """The maximum from the right: `precision.flip(0).cummax(0).values.flip(0)`. A step of
            recall is `recall[1:] - recall[:-1]`, and goes with `precision[1:]`.""",
        ),
        solution=average_precision,
        cases=lambda: {
            "three right of five, four targets": (
                torch.tensor([True, False, True, True, False]),
                4,
            ),
            "a late find": (torch.tensor([False, False, True, False, True, True, False]), 3),
            "nothing right": (torch.tensor([False, False]), 2),
        },
        mistakes=(
            _precision_without_maximum,
            _precision_maximum_from_left,
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


@mistake("That is the first batch. The loop over batches goes on; the one inside stops.")
def _scored_first_batch(order, batch_size):
    return order[:batch_size]


@mistake("The loop returns in its first round: it is the first image of each batch.")
def _scored_last_of_each(order, batch_size):
    return order[batch_size - 1 :: batch_size]


@mistake("The last batch is shorter, but its first image is scored as well.")
def _scored_in_whole_batches(order, batch_size):
    return order[: len(order) // batch_size * batch_size : batch_size]


@mistake("As many, but not these: one of *each batch*, not the first of the list.")
def _scored_as_many_from_the_front(order, batch_size):
    return order[: -(-len(order) // batch_size)]


register(
    Task(
        name="sets.scored_images",
        title="A return in the wrong place",
        text="""An evaluation cuts a list of images into batches, the last one perhaps shorter, and
        scores each batch with a loop over its images. By mistake, `return` stands inside that loop.
        Given the images' numbers `order` (a list) and `batch_size`, return the list of the images
        that are really scored.""",
        minutes=3,
        difficulty=1,
        hints=(
            "How far does a loop get whose body ends in `return`?",
            """One image a batch, the first: every `batch_size`-th of the list. A slice with a step
            says it.""",
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
        ),
    )
)
