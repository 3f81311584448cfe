"""Tasks of notebook 09: a threshold by F1, purity, a slot without its place, a sampled slot."""

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Task, mistake, register
from smm_tutorial.exercises.samples import generator, normal

# a threshold by F1


def best_threshold(weights: Tensor, is_empty: Tensor, thresholds: Tensor) -> Tensor:
    found = weights < thresholds[:, None]  # (T, N)
    right = (found & is_empty).sum(dim=1)
    f1 = 2 * right / (found.sum(dim=1) + is_empty.sum()).clamp_min(1)
    return thresholds[f1.argmax()]


def _counts(weights, is_empty, thresholds):
    found = weights < thresholds[:, None]
    return found, (found & is_empty).sum(dim=1)


@mistake("You choose by precision. A tiny threshold finds few slots, but surely. Choose by F1.")
def _threshold_by_precision(weights, is_empty, thresholds):
    found, right = _counts(weights, is_empty, thresholds)
    return thresholds[(right / found.sum(dim=1).clamp_min(1)).argmax()]


@mistake("You choose by recall. A huge threshold finds every slot. Choose by F1.")
def _threshold_by_recall(weights, is_empty, thresholds):
    _, right = _counts(weights, is_empty, thresholds)
    return thresholds[(right / is_empty.sum()).argmax()]


@mistake(
    "You choose by accuracy: the share of slots that are judged rightly. F1 ignores the slots "
    "that are rightly called full."
)
def _threshold_by_accuracy(weights, is_empty, thresholds):
    found, _ = _counts(weights, is_empty, thresholds)
    return thresholds[(found == is_empty).sum(dim=1).argmax()]


@mistake("Empty slots have *small* weights: a slot counts as empty if its weight is below.")
def _threshold_from_above(weights, is_empty, thresholds):
    found = weights > thresholds[:, None]
    right = (found & is_empty).sum(dim=1)
    f1 = 2 * right / (found.sum(dim=1) + is_empty.sum()).clamp_min(1)
    return thresholds[f1.argmax()]


@mistake("You return the position of the best threshold. Return the threshold itself.")
def _position_of_threshold(weights, is_empty, thresholds):
    found, right = _counts(weights, is_empty, thresholds)
    f1 = 2 * right / (found.sum(dim=1) + is_empty.sum()).clamp_min(1)
    return f1.argmax()


def _slots_with_weights(seed: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Empty slots have small weights, but not always. A few full slots have tiny weights."""
    drawn = generator(seed)
    is_empty = torch.rand(count, generator=drawn) < 0.3
    noise = torch.rand(count, generator=drawn, dtype=torch.float64)
    full = torch.where(noise < 0.04, 0.1 * noise, 0.02 + 0.3 * noise)
    weights = torch.where(is_empty, 0.006 + 0.12 * noise**2, full)
    return weights, is_empty, torch.linspace(0.005, 0.3, 60, dtype=torch.float64)


register(
    Task(
        name="concepts.best_threshold",
        title="A threshold for empty slots",
        text="""`weights` (N,) are the weights of N slots, and `is_empty` (N,) tells which slots are
        really empty. A slot *counts* as empty if its weight is below the threshold. For each of the
        `thresholds` (T,), compute F1: twice the number of slots that rightly count as empty,
        divided by the number of slots that count as empty plus the number of slots that are empty.
        Return the threshold with the largest F1. (If several are equal, return the first one.)""",
        minutes=7,
        difficulty=2,
        hints=(
            "`weights < thresholds[:, None]` is (T, N): one row per threshold.",
            "`(found & is_empty).sum(dim=1)` counts the right ones. `argmax` finds the best row.",
        ),
        solution=best_threshold,
        cases=lambda: {
            "200 slots": _slots_with_weights(0, 200),
            "300 other slots": _slots_with_weights(1, 300),
        },
        mistakes=(
            _threshold_by_precision,
            _threshold_by_recall,
            _threshold_by_accuracy,
            _threshold_from_above,
            _position_of_threshold,
        ),
    )
)


# purity


def purity(concepts: Tensor, values: Tensor) -> Tensor:
    table = torch.zeros(int(concepts.max()) + 1, int(values.max()) + 1, dtype=torch.float64)
    for concept, value in zip(concepts.tolist(), values.tolist(), strict=True):
        table[concept, value] += 1
    return table.max(dim=1).values.sum() / len(values)


def _table(concepts, values):
    table = torch.zeros(int(concepts.max()) + 1, int(values.max()) + 1, dtype=torch.float64)
    for concept, value in zip(concepts.tolist(), values.tolist(), strict=True):
        table[concept, value] += 1
    return table


@mistake(
    "You take the largest concept of each value. Take the most frequent value of each concept."
)
def _purity_of_values(concepts, values):
    return _table(concepts, values).max(dim=0).values.sum() / len(values)


@mistake(
    "You average over the concepts. A concept with many objects counts more: add the counts, "
    "and divide once."
)
def _mean_purity(concepts, values):
    table = _table(concepts, values)
    return (table.max(dim=1).values / table.sum(dim=1).clamp_min(1)).mean()


@mistake("You return a count. Divide by the number of objects.")
def _purity_as_count(concepts, values):
    return _table(concepts, values).max(dim=1).values.sum()


@mistake("The numbers of concepts and of values are arbitrary, so equal numbers mean nothing.")
def _share_of_equal_numbers(concepts, values):
    return (concepts == values).double().mean()


def _named(seed: int, count: int, concepts: int, values: int) -> tuple[Tensor, Tensor]:
    drawn = generator(seed)
    given = torch.randint(concepts, (count,), generator=drawn)
    others = torch.randint(values, (count,), generator=drawn)
    follows = torch.rand(count, generator=drawn) < 0.6
    return given, torch.where(follows, (given + 1) % values, others)


register(
    Task(
        name="concepts.purity",
        title="How pure are concepts?",
        text="""`concepts` (N,) holds the concept of each object, and `values` (N,) its true colour,
        as a number. In each concept, the most frequent colour is its name. Return the purity: the
        share of all objects whose colour is the name of their concept.""",
        minutes=6,
        difficulty=1,
        hints=(
            "Count first: a table with one row per concept and one column per colour.",
            "The largest number of each row counts. Sum these numbers, and divide by N.",
        ),
        solution=purity,
        cases=lambda: {"60 objects": _named(0, 60, 5, 4), "90 objects": _named(1, 90, 4, 6)},
        mistakes=(_purity_of_values, _mean_purity, _purity_as_count, _share_of_equal_numbers),
    )
)


# a slot without its place


def remove_place(slots: Tensor, centres: Tensor) -> Tensor:
    terms = torch.cat([torch.ones_like(centres[:, :1]), centres], dim=1)  # (N, 3)
    weights = torch.linalg.lstsq(terms, slots).solution  # (3, F)
    return slots - terms @ weights


@mistake("Your function of the place goes through zero. Add a constant: a column of ones.")
def _removed_without_constant(slots, centres):
    return slots - centres @ torch.linalg.lstsq(centres, slots).solution


@mistake("You return what the place predicts. Subtract it from the slots.")
def _only_the_place(slots, centres):
    terms = torch.cat([torch.ones_like(centres[:, :1]), centres], dim=1)
    return terms @ torch.linalg.lstsq(terms, slots).solution


@mistake("You subtract the mean slot. The place still shifts the slots: fit them by the centres.")
def _only_the_mean(slots, centres):
    return slots - slots.mean(dim=0)


@mistake("You removed each coordinate on its own, one after the other. Fit both together.")
def _one_coordinate_after_the_other(slots, centres):
    for number in (0, 1):
        terms = torch.cat([torch.ones_like(centres[:, :1]), centres[:, [number]]], dim=1)
        slots = slots - terms @ torch.linalg.lstsq(terms, slots).solution
    return slots


register(
    Task(
        name="concepts.remove_place",
        title="A slot without its place",
        text="""`slots` is (N, F), one row per object. `centres` (N, 2) tells where each object
        stands. Fit each of the F numbers by a linear function of the two coordinates, with a
        constant, by least squares. Return the slots minus this prediction, (N, F).""",
        minutes=7,
        difficulty=2,
        hints=(
            "Build a matrix (N, 3) with a column of ones and the two coordinates.",
            "`torch.linalg.lstsq(terms, slots).solution` is (3, F).",
        ),
        solution=remove_place,
        cases=lambda: {
            "twelve objects, four numbers": _placed(0, 12, 4),
            "twenty objects, seven numbers": _placed(1, 20, 7),
        },
        mistakes=(
            _removed_without_constant,
            _only_the_place,
            _only_the_mean,
            _one_coordinate_after_the_other,
        ),
    )
)


def _placed(seed: int, count: int, numbers: int) -> tuple[Tensor, Tensor]:
    centres = torch.rand(count, 2, generator=generator(seed), dtype=torch.float64)
    shift = normal(seed + 10, 2, numbers)
    return normal(seed + 20, count, numbers) + 3 * centres @ shift + 1.5, centres


# a sampled slot


def sample_slots(weights: Tensor, means: Tensor, variances: Tensor, uniform: Tensor, noise: Tensor):
    concepts = (uniform[:, None] >= weights.cumsum(0)[:-1]).sum(dim=1)  # (N,)
    return means[concepts] + variances[concepts].sqrt() * noise


def _chosen(weights, uniform):
    return (uniform[:, None] >= weights.cumsum(0)[:-1]).sum(dim=1)


@mistake("Multiply the noise by the standard deviation: the square root of the variance.")
def _sampled_with_variances(weights, means, variances, uniform, noise):
    concepts = _chosen(weights, uniform)
    return means[concepts] + variances[concepts] * noise


@mistake(
    "You choose all concepts with equal probability. Concept k has the probability weights[k]."
)
def _sampled_evenly(weights, means, variances, uniform, noise):
    concepts = (uniform * len(weights)).long()
    return means[concepts] + variances[concepts].sqrt() * noise


@mistake(
    "You return the means of all concepts, mixed by the weights. A sample comes from *one* concept."
)
def _sampled_mean(weights, means, variances, uniform, noise):
    return (weights @ means) + (weights @ variances).sqrt() * noise


@mistake("You take the most probable concept each time. Let the uniform numbers choose.")
def _sampled_from_largest(weights, means, variances, uniform, noise):
    concepts = weights.argmax().expand(len(uniform))
    return means[concepts] + variances[concepts].sqrt() * noise


@mistake("Add the noise of the Gaussian: you return the means of the chosen concepts.")
def _sampled_without_noise(weights, means, variances, uniform, noise):
    return means[_chosen(weights, uniform)]


def _mixture(seed: int, concepts: int, numbers: int, count: int) -> tuple[Tensor, ...]:
    weights = torch.rand(concepts, generator=generator(seed), dtype=torch.float64) + 0.1
    variances = 0.1 + torch.rand(concepts, numbers, generator=generator(seed), dtype=torch.float64)
    uniform = torch.rand(count, generator=generator(seed + 1), dtype=torch.float64)
    means, noise = normal(seed + 2, concepts, numbers), normal(seed + 3, count, numbers)
    return weights / weights.sum(), means, variances, uniform, noise


register(
    Task(
        name="concepts.sample_slots",
        title="Draw slots from a mixture",
        text="""A mixture has `weights` (C,), `means` and `variances` (C, F). Draw N slots. First
        choose a concept for each slot: with `uniform` (N,), numbers between 0 and 1, take the first
        concept whose cumulative weight is larger than the number. Then return the concept's mean
        plus its standard deviation times `noise` (N, F).""",
        minutes=7,
        difficulty=2,
        hints=(
            """`weights.cumsum(0)` are the cumulative weights. Count how many of them a number
            reaches or exceeds.""",
            "`variances[concepts].sqrt() * noise` has the right spread.",
        ),
        solution=sample_slots,
        cases=lambda: {
            "three concepts, eight slots": _mixture(0, 3, 2, 8),
            "five concepts, twenty slots": _mixture(1, 5, 4, 20),
        },
        mistakes=(
            _sampled_with_variances,
            _sampled_evenly,
            _sampled_mean,
            _sampled_from_largest,
            _sampled_without_noise,
        ),
    )
)
