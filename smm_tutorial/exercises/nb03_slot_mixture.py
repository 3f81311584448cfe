"""Tasks of notebook 03: the Slot Mixture Module, line by line.

Shapes: batch B, inputs N, slots K, features D. Assignments lie as `(B, N, K)`.
"""

import math

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Task, mistake, register
from smm_tutorial.exercises.samples import normal, positive


def _gamma(seed: int, batch: int, inputs: int, slots: int) -> Tensor:
    """Responsibilities (B, N, K), rows that sum to 1, nothing symmetric."""
    return (normal(seed, batch, inputs, slots) + torch.arange(slots)).softmax(dim=2)


def _gamma_in_float32() -> Tensor:
    """Responsibilities (1, 4, 2) of which float32 loses no digit: each slot has 2 inputs."""
    first = torch.tensor([1.0, 0.5, 0.25, 0.25])
    return torch.stack([first, 1 - first], dim=1)[None]


def whole_numbers(*shape: int) -> Tensor:
    """0, 1, 2, ... in float32: sums and products of them are exact."""
    return torch.arange(float(math.prod(shape))).reshape(shape)


# where the border lies


def border_radius(narrow: float, wide: float, weight: float, dim: int) -> float:
    # How far the narrow slot is ahead at the mean, in the logarithm.
    gain = math.log(weight / (1 - weight)) + 0.5 * dim * math.log(wide / narrow)
    return math.sqrt(gain / (0.5 / narrow - 0.5 / wide))


@mistake("Every feature adds half a log variance: the determinant has `dim` factors.")
def _border_on_a_line(narrow, wide, weight, dim):
    return border_radius(narrow, wide, weight, 1)


@mistake("Unequal weights do not cancel: add `log(weight / (1 - weight))`.")
def _border_of_equal_weights(narrow, wide, weight, dim):
    return border_radius(narrow, wide, 0.5, dim)


@mistake("You return the squared distance: take the root.")
def _border_squared(narrow, wide, weight, dim):
    return border_radius(narrow, wide, weight, dim) ** 2


@mistake("The exponent is `-r**2 / (2 * variance)`: your factor 1/2 is missing.")
def _border_without_halves(narrow, wide, weight, dim):
    gain = math.log(weight / (1 - weight)) + 0.5 * dim * math.log(wide / narrow)
    return math.sqrt(gain / (1 / narrow - 1 / wide))


register(
    Task(
        name="smm.border_radius",
        title="Where the core ends",
        text="""Two slots have the same mean. The first slot has the variance `narrow` in each of
        `dim` features, the second slot has the variance `wide`. The first slot has the weight
        `weight`, the second slot `1 - weight`. At the mean, the first slot has the larger
        responsibility. At which distance from the mean are both responsibilities 1/2? Return this
        distance as a float.""",
        minutes=8,
        difficulty=2,
        hints=(
            """Set the two weighted log densities equal. A log density contains the distance r as
            `-r**2 / (2 * variance)`.""",
            """Each log density also contains `-(dim / 2) * log(variance)`. Collect the terms with
            `r**2` on one side of the equation. Then take the root.""",
        ),
        solution=border_radius,
        cases=lambda: {
            "variances 1 and 9 in the plane, weight 0.7": (1.0, 9.0, 0.7, 2),
            "variances 0.2 and 1.5 in five dimensions, weight 0.4": (0.2, 1.5, 0.4, 5),
        },
        mistakes=(
            _border_on_a_line,
            _border_of_equal_weights,
            _border_squared,
            _border_without_halves,
        ),
    )
)


# E-step


def log_responsibilities(
    queries: Tensor, keys: Tensor, variances: Tensor, log_weights: Tensor
) -> Tensor:
    differences = keys[:, :, None] - queries[:, None]  # (B, N, K, D)
    variances = variances[:, None]  # (B, 1, K, D)
    terms = differences**2 / variances + variances.log() + math.log(2 * math.pi)
    log_density = -0.5 * terms.sum(dim=3)  # (B, N, K)
    return (log_weights[:, None] + log_density).log_softmax(dim=2)


@mistake("The log variances are missing. Without them, wide slots own too many inputs.")
def _log_responsibilities_without_determinant(queries, keys, variances, log_weights):
    squares = (keys[:, :, None] - queries[:, None]) ** 2 / variances[:, None]
    return (log_weights[:, None] - 0.5 * squares.sum(dim=3)).log_softmax(dim=2)


@mistake("You normalise over inputs. Normalise over slots: dim 2.")
def _log_responsibilities_over_inputs(queries, keys, variances, log_weights):
    squares = (keys[:, :, None] - queries[:, None]) ** 2 / variances[:, None]
    joint = log_weights[:, None] - 0.5 * (squares + variances[:, None].log()).sum(dim=3)
    return joint.log_softmax(dim=1)


@mistake("The weights are missing: add `log_weights` before you normalise.")
def _log_responsibilities_without_weights(queries, keys, variances, log_weights):
    return log_responsibilities(queries, keys, variances, torch.zeros_like(log_weights))


@mistake("The square needs its factor 1/2.")
def _log_responsibilities_without_half(queries, keys, variances, log_weights):
    squares = (keys[:, :, None] - queries[:, None]) ** 2 / variances[:, None]
    joint = log_weights[:, None] - (squares + 0.5 * variances[:, None].log()).sum(dim=3)
    return joint.log_softmax(dim=2)


@mistake("Not normalised yet: over slots, exp of the result must sum to 1.")
def _joint_instead_of_responsibilities(queries, keys, variances, log_weights):
    squares = (keys[:, :, None] - queries[:, None]) ** 2 / variances[:, None]
    terms = squares + variances[:, None].log() + math.log(2 * math.pi)
    return log_weights[:, None] - 0.5 * terms.sum(dim=3)


register(
    Task(
        name="smm.log_responsibilities",
        title="The E-step",
        text="""Given: `queries` and `variances` (B, K, D), `keys` (B, N, D), `log_weights` (B, K).
        A responsibility is weight times diagonal Gaussian density of the key, normalised over
        slots. Return the logarithms of all responsibilities, (B, N, K). Compute with logarithms
        all the time, since densities underflow.""",
        minutes=10,
        difficulty=2,
        hints=(
            """`keys[:, :, None] - queries[:, None]` is (B, N, K, D). What does a diagonal log
            density sum over features?""",
            """Each feature contributes `difference**2 / variance` and a log variance, both times
            -1/2. Sum over features, and add the log weights. `log_softmax` normalises.""",
        ),
        solution=log_responsibilities,
        cases=lambda: {
            "two sets of seven inputs, three slots": (
                normal(0, 2, 3, 4),
                normal(1, 2, 7, 4),
                positive(2, 2, 3, 4),
                normal(3, 2, 3).log_softmax(dim=1),
            ),
            "an input far away, where densities underflow": (
                normal(4, 1, 2, 3),
                normal(5, 1, 5, 3) * 60,
                positive(6, 1, 2, 3),
                normal(7, 1, 2).log_softmax(dim=1),
            ),
            "one slot alone, in float32": (
                whole_numbers(1, 1, 3),
                whole_numbers(1, 4, 3),
                torch.full((1, 1, 3), 2.0),
                torch.zeros(1, 1),
            ),
        },
        mistakes=(
            _log_responsibilities_without_determinant,
            _log_responsibilities_over_inputs,
            _log_responsibilities_without_weights,
            _log_responsibilities_without_half,
            _joint_instead_of_responsibilities,
        ),
    )
)


# weights and means


def weights_and_means(gamma: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    totals = gamma.sum(dim=1)  # (B, K): each slot's number of inputs
    return totals / gamma.shape[1], gamma.mT @ values / totals[..., None]


@mistake("Your weights are counts: divide by N, so that they sum to 1.")
def _weights_as_counts(gamma, values):
    return gamma.sum(dim=1), weights_and_means(gamma, values)[1]


@mistake("Divide a slot's mean by the slot's total, `gamma.sum(dim=1)`, not by N.")
def _means_over_all_inputs(gamma, values):
    return gamma.mean(dim=1), gamma.mT @ values / gamma.shape[1]


@mistake("You normalised over inputs before you summed: now every weight is 1 / K.")
def _weights_after_normalising(gamma, values):
    shares = gamma / gamma.sum(dim=1, keepdim=True)
    return shares.sum(dim=1) / gamma.shape[2], shares.mT @ values


register(
    Task(
        name="smm.weights_and_means",
        title="Weights and weighted means",
        text="""Given: responsibilities `gamma` (B, N, K), which sum to 1 over slots, and `values`
        (B, N, D). Return the mixture weights (B, K) and the weighted means (B, K, D).""",
        minutes=5,
        difficulty=1,
        hints=(
            """Compute the slots' totals, `gamma.sum(dim=1)`. The weights are the totals divided by
            a number. The means are sums divided by the totals.""",
            """A matrix product with `gamma.mT` sums the values of each slot, weighted with `gamma`,
            (B, K, D). The totals need one more dimension before you divide.""",
        ),
        solution=weights_and_means,
        cases=lambda: {
            "two sets of nine inputs, three slots": (_gamma(8, 2, 9, 3), normal(9, 2, 9, 4) + 3),
            "six inputs, two slots": (_gamma(10, 1, 6, 2), normal(11, 1, 6, 5)),
            "four inputs, in float32": (_gamma_in_float32(), whole_numbers(1, 4, 3)),
        },
        mistakes=(_weights_as_counts, _means_over_all_inputs, _weights_after_normalising),
    )
)


# variance


def variance_about(gamma: Tensor, values: Tensor, means: Tensor) -> Tensor:
    shares = gamma / gamma.sum(dim=1, keepdim=True)  # (B, N, K), sum to 1 over inputs
    squares = (values[:, :, None] - means[:, None]) ** 2  # (B, N, K, D)
    return (shares[..., None] * squares).sum(dim=1)  # (B, K, D)


@mistake("Your variance is about the weighted mean. Use the updated mean, `means`.")
def _variance_about_weighted_mean(gamma, values, means):
    return variance_about(gamma, values, weights_and_means(gamma, values)[1])


@mistake("Divide by the slot's total, `gamma.sum(dim=1)`, not by N.")
def _variance_over_all_inputs(gamma, values, means):
    return (gamma[..., None] * (values[:, :, None] - means[:, None]) ** 2).mean(dim=1)


@mistake("You return standard deviations: leave the squares as they are.")
def _deviation_instead_of_variance(gamma, values, means):
    return variance_about(gamma, values, means).sqrt()


@mistake("Every value counts alike in your mean: weight the squares by the shares.")
def _variance_without_gamma(gamma, values, means):
    return ((values[:, :, None] - means[:, None]) ** 2).mean(dim=1)


register(
    Task(
        name="smm.variance_about",
        title="The variance, about which mean?",
        text="""Given: `gamma` (B, N, K), `values` (B, N, D) and the *updated* `means` (B, K, D).
        Square the difference between value and updated mean. Return the means of these squares over
        the inputs, weighted with `gamma`: the variances (B, K, D).""",
        minutes=6,
        difficulty=1,
        hints=(
            """First divide `gamma` by the slots' totals. The results are shares: they sum to 1 over
            the inputs. The mean is given, so do not compute another mean.""",
            """`values[:, :, None] - means[:, None]` is (B, N, K, D). The shares need one more
            dimension before you multiply.""",
        ),
        solution=variance_about,
        cases=lambda: {
            "two sets, three slots, means well off": (
                _gamma(12, 2, 8, 3),
                normal(13, 2, 8, 4),
                normal(14, 2, 3, 4),
            ),
            "five inputs, two slots": (
                _gamma(15, 1, 5, 2),
                normal(16, 1, 5, 3) - 2,
                normal(17, 1, 2, 3),
            ),
            "four inputs, in float32": (
                _gamma_in_float32(),
                whole_numbers(1, 4, 3),
                whole_numbers(1, 2, 3),
            ),
        },
        mistakes=(
            _variance_about_weighted_mean,
            _variance_over_all_inputs,
            _deviation_instead_of_variance,
            _variance_without_gamma,
        ),
    )
)
