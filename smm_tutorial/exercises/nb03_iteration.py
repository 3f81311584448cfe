"""Task of notebook 03: a whole iteration of the Slot Mixture Module."""

from collections.abc import Callable

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Task, mistake, register
from smm_tutorial.exercises.nb03_slot_mixture import (
    log_responsibilities,
    variance_about,
    weights_and_means,
)
from smm_tutorial.exercises.samples import normal, positive

# one iteration


def one_iteration(
    means: Tensor,
    variances: Tensor,
    weights: Tensor,
    keys: Tensor,
    values: Tensor,
    to_queries: Callable[[Tensor], Tensor],
    update: Callable[[Tensor, Tensor], Tensor],
    floor: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    gamma = log_responsibilities(to_queries(means), keys, variances, weights.log()).exp()
    weights, weighted_means = weights_and_means(gamma, values)
    means = update(weighted_means, means)  # (B, K, D)
    variances = variance_about(gamma, values, means).clamp_min(floor)
    return means, variances, weights, gamma


def _iteration_parts(means, variances, weights, keys, values, to_queries, update):
    """Responsibilities, new weights, and the weighted means."""
    gamma = log_responsibilities(to_queries(means), keys, variances, weights.log()).exp()
    return gamma, *weights_and_means(gamma, values)


@mistake("The variances are about the *updated* means: call `update` first.")
def _iteration_about_weighted_means(
    means, variances, weights, keys, values, to_queries, update, floor
):
    gamma, weights, weighted_means = _iteration_parts(
        means, variances, weights, keys, values, to_queries, update
    )
    variances = variance_about(gamma, values, weighted_means).clamp_min(floor)
    return update(weighted_means, means), variances, weights, gamma


@mistake("Use the given weights in the E-step. They are not equal in general.")
def _iteration_without_weights(means, variances, weights, keys, values, to_queries, update, floor):
    equal = torch.full_like(weights, 1 / weights.shape[1])
    return one_iteration(means, variances, equal, keys, values, to_queries, update, floor)


@mistake("The floor is missing: no variance may be below it.")
def _iteration_without_floor(means, variances, weights, keys, values, to_queries, update, floor):
    return one_iteration(means, variances, weights, keys, values, to_queries, update, 0.0)


@mistake("You add the floor to each variance. The floor is a limit: `clamp_min`.")
def _iteration_with_added_floor(means, variances, weights, keys, values, to_queries, update, floor):
    means, variances, weights, gamma = one_iteration(
        means, variances, weights, keys, values, to_queries, update, 0.0
    )
    return means, variances + floor, weights, gamma


@mistake("The E-step compares *queries* with keys: `to_queries(means)`.")
def _iteration_without_queries(means, variances, weights, keys, values, to_queries, update, floor):
    gamma = log_responsibilities(means, keys, variances, weights.log()).exp()
    weights, weighted_means = weights_and_means(gamma, values)
    means = update(weighted_means, means)
    return means, variance_about(gamma, values, means).clamp_min(floor), weights, gamma


@mistake("You return the weighted means. Call `update(weighted_means, means)`.")
def _iteration_without_update(means, variances, weights, keys, values, to_queries, update, floor):
    gamma, weights, weighted_means = _iteration_parts(
        means, variances, weights, keys, values, to_queries, update
    )
    variances = variance_about(gamma, values, weighted_means).clamp_min(floor)
    return weighted_means, variances, weights, gamma


@mistake("You swapped the arguments of `update`: first the weighted means, then the old means.")
def _iteration_with_swapped_update(
    means, variances, weights, keys, values, to_queries, update, floor
):
    def swapped(weighted_means, means):
        return update(means, weighted_means)

    return one_iteration(means, variances, weights, keys, values, to_queries, swapped, floor)


@mistake("Use the *old* weights in the E-step. The new weights are for the next iteration.")
def _iteration_with_new_weights(means, variances, weights, keys, values, to_queries, update, floor):
    _, _, weights, _ = one_iteration(
        means, variances, weights, keys, values, to_queries, update, floor
    )
    return one_iteration(means, variances, weights, keys, values, to_queries, update, floor)


def _iteration_cases() -> dict[str, tuple]:
    def case(seed: int, batch: int, inputs: int, slots: int, dim: int) -> tuple:
        to_queries, turn = normal(seed, 2, dim, dim)
        return (
            normal(seed + 1, batch, slots, dim),
            positive(seed + 2, batch, slots, dim),
            normal(seed + 3, batch, slots).softmax(dim=1),
            normal(seed + 4, batch, inputs, dim),
            normal(seed + 5, batch, inputs, dim) + 1,
            lambda means: torch.tanh(means) @ to_queries,
            lambda weighted_means, means: 0.5 * torch.tanh(weighted_means @ turn) + 0.5 * means,
            0.6,
        )

    return {
        "two sets, three slots": case(30, 2, 8, 3, 4),
        "one set, two slots": case(40, 1, 6, 2, 3),
    }


register(
    Task(
        name="smm.one_iteration",
        title="One iteration of the Slot Mixture Module",
        text="""Put the parts together. Given: the slots' `means` and `variances` (B, K, D) and
        `weights` (B, K), `keys` and `values` (B, N, D), and two functions. `to_queries(means)`
        returns the queries (B, K, D). `update(weighted_means, means)` returns the updated means
        from the weighted means and the old means. Do the E-step and the M-step, and call `update`.
        Then compute the variances about the updated means. No variance may be below `floor`. Return
        the updated means, the new variances, the new weights and the responsibilities (B, N,
        K).""",
        minutes=10,
        difficulty=2,
        hints=(
            """You have written every part: `log_responsibilities`, `weights_and_means`,
            `variance_about`. The E-step uses the old variances and weights.""",
            """Call `update` before you compute the variances. `clamp_min` makes a limit from
            below.""",
        ),
        solution=one_iteration,
        cases=_iteration_cases,
        # The parts may be the learner's own, and each of them may round in its own way.
        rtol=1e-4,
        atol=1e-5,
        mistakes=(
            _iteration_about_weighted_means,
            _iteration_without_weights,
            _iteration_without_floor,
            _iteration_with_added_floor,
            _iteration_without_queries,
            _iteration_without_update,
            _iteration_with_swapped_update,
            _iteration_with_new_weights,
        ),
    )
)
