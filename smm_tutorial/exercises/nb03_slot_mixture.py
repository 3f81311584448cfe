"""Tasks of notebook 03: the Slot Mixture Module, line by line, in torch.

Shapes: batch B, inputs N, slots K, features D. Assignments lie as `(B, N, K)`.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Case, Mistake, Task, register


def _normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _positive(seed: int, *shape: int) -> Tensor:
    return (0.7 * _normal(seed, *shape)).exp()


def _gamma(seed: int, batch: int, inputs: int, slots: int) -> Tensor:
    """Responsibilities (B, N, K), rows that sum to 1, nothing symmetric."""
    return (_normal(seed, batch, inputs, slots) + torch.arange(slots)).softmax(dim=2)


# -------------------------------------------------------------------------------------------------
# where the border lies


def border_radius(narrow: float, wide: float, weight: float, dim: int) -> float:
    gain = math.log(weight / (1 - weight)) + 0.5 * dim * math.log(
        wide / narrow
    )  # of the narrow slot, at the mean
    return math.sqrt(gain / (0.5 / narrow - 0.5 / wide))


def _border_on_a_line(narrow: float, wide: float, weight: float, dim: int) -> float:
    return border_radius(narrow, wide, weight, 1)


def _border_of_equal_weights(narrow: float, wide: float, weight: float, dim: int) -> float:
    return border_radius(narrow, wide, 0.5, dim)


def _border_squared(narrow: float, wide: float, weight: float, dim: int) -> float:
    return border_radius(narrow, wide, weight, dim) ** 2


def _border_without_halves(narrow: float, wide: float, weight: float, dim: int) -> float:
    gain = math.log(weight / (1 - weight)) + 0.5 * dim * math.log(wide / narrow)
    return math.sqrt(gain / (1 / narrow - 1 / wide))


register(
    Task(
        name="smm.border_radius",
        title="Where the core ends",
        text="Two slots share a mean, with the same variance in each of `dim` features: `narrow` for the first, `wide` for "
        "the second. The first has the weight `weight`, the second `1 - weight`. Return the distance from the mean at "
        "which both have responsibility 1/2. (Floats in, a float out; the first slot wins at the mean.)",
        minutes=8,
        difficulty=2,
        hints=(
            "Set the two weighted log densities equal. The distance r enters as -r**2 / (2 * variance).",
            "Each density also holds -(dim / 2) * log(variance). Collect what has r**2 on one side, then take the root.",
        ),
        solution=border_radius,
        cases=lambda: [
            Case("variances 1 and 9 in the plane, weight 0.7", (1.0, 9.0, 0.7, 2)),
            Case("variances 0.2 and 1.5 in five dimensions, weight 0.4", (0.2, 1.5, 0.4, 5)),
        ],
        mistakes=(
            Mistake(
                _border_on_a_line,
                "Every feature adds half a log variance: the determinant has `dim` factors.",
            ),
            Mistake(
                _border_of_equal_weights,
                "The weights do not cancel unless they are equal: log(weight / (1 - weight)).",
            ),
            Mistake(_border_squared, "That is the squared distance: take the root."),
            Mistake(
                _border_without_halves,
                "The exponent is -r**2 / (2 * variance): a factor 2 is lost.",
            ),
        ),
    )
)


# ------------------------------------------------------------------------------------------------------------- E-step


def log_responsibilities(
    queries: Tensor, keys: Tensor, variances: Tensor, log_weights: Tensor
) -> Tensor:
    differences = keys[:, :, None] - queries[:, None]  # (B, N, K, D)
    variances = variances[:, None]  # (B, 1, K, D)
    log_density = -0.5 * (differences**2 / variances + variances.log() + math.log(2 * math.pi)).sum(
        dim=3
    )  # (B, N, K)
    return (log_weights[:, None] + log_density).log_softmax(dim=2)


def _log_responsibilities_without_determinant(
    queries: Tensor, keys: Tensor, variances: Tensor, log_weights: Tensor
) -> Tensor:
    squares = (keys[:, :, None] - queries[:, None]) ** 2 / variances[:, None]
    return (log_weights[:, None] - 0.5 * squares.sum(dim=3)).log_softmax(dim=2)


def _log_responsibilities_over_inputs(
    queries: Tensor, keys: Tensor, variances: Tensor, log_weights: Tensor
) -> Tensor:
    squares = (keys[:, :, None] - queries[:, None]) ** 2 / variances[:, None]
    joint = log_weights[:, None] - 0.5 * (squares + variances[:, None].log()).sum(dim=3)
    return joint.log_softmax(dim=1)


def _log_responsibilities_without_weights(
    queries: Tensor, keys: Tensor, variances: Tensor, log_weights: Tensor
) -> Tensor:
    return log_responsibilities(queries, keys, variances, torch.zeros_like(log_weights))


def _log_responsibilities_without_half(
    queries: Tensor, keys: Tensor, variances: Tensor, log_weights: Tensor
) -> Tensor:
    squares = (keys[:, :, None] - queries[:, None]) ** 2 / variances[:, None]
    return (
        log_weights[:, None] - (squares + 0.5 * variances[:, None].log()).sum(dim=3)
    ).log_softmax(dim=2)


def _joint_instead_of_responsibilities(
    queries: Tensor, keys: Tensor, variances: Tensor, log_weights: Tensor
) -> Tensor:
    variances = variances[:, None]
    squares = (keys[:, :, None] - queries[:, None]) ** 2 / variances
    return log_weights[:, None] - 0.5 * (squares + variances.log() + math.log(2 * math.pi)).sum(
        dim=3
    )


def _expectation_cases() -> list[Case]:
    return [
        Case(
            "two sets of seven inputs, three slots",
            (
                _normal(0, 2, 3, 4),
                _normal(1, 2, 7, 4),
                _positive(2, 2, 3, 4),
                _normal(3, 2, 3).log_softmax(dim=1),
            ),
        ),
        Case(
            "an input far away, where densities underflow",
            (
                _normal(4, 1, 2, 3),
                _normal(5, 1, 5, 3) * 60,
                _positive(6, 1, 2, 3),
                _normal(7, 1, 2).log_softmax(dim=1),
            ),
        ),
    ]


register(
    Task(
        name="smm.log_responsibilities",
        title="The E-step",
        text="Given `queries` (B, K, D), `keys` (B, N, D), `variances` (B, K, D) and `log_weights` (B, K), return the "
        "logarithm of the responsibilities, (B, N, K): weight times diagonal Gaussian density of the keys, normalised over "
        "slots. Stay in the logarithm.",
        minutes=10,
        difficulty=2,
        hints=(
            "`keys[:, :, None] - queries[:, None]` is (B, N, K, D). What does a diagonal log density sum over features?",
            "-0.5 * (difference**2 / variance + log variance), summed; add the log weight; `log_softmax` over slots, dim 2.",
        ),
        solution=log_responsibilities,
        cases=_expectation_cases,
        mistakes=(
            Mistake(
                _log_responsibilities_without_determinant,
                "The log variances are missing: wide slots win everywhere.",
            ),
            Mistake(
                _log_responsibilities_over_inputs,
                "Normalised over inputs. Slots compete for each input: dim 2.",
            ),
            Mistake(
                _log_responsibilities_without_weights,
                "The weights are missing: add `log_weights` before you normalise.",
            ),
            Mistake(_log_responsibilities_without_half, "The square has lost its factor 1/2."),
            Mistake(
                _joint_instead_of_responsibilities,
                "Not normalised yet: over slots, exp of the result must sum to 1.",
            ),
        ),
    )
)


# --------------------------------------------------------------------------------------------------- weights and means


def weights_and_means(gamma: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    totals = gamma.sum(dim=1)  # (B, K): how many inputs each slot holds
    return totals / gamma.shape[1], gamma.mT @ values / totals[..., None]


def _weights_as_counts(gamma: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    return gamma.sum(dim=1), weights_and_means(gamma, values)[1]


def _means_over_all_inputs(gamma: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    return gamma.mean(dim=1), gamma.mT @ values / gamma.shape[1]


def _weights_after_normalising(gamma: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    shares = gamma / gamma.sum(dim=1, keepdim=True)
    return shares.sum(dim=1) / gamma.shape[2], shares.mT @ values


register(
    Task(
        name="smm.weights_and_means",
        title="Weights and weighted means",
        text="Given responsibilities `gamma` (B, N, K) that sum to 1 over slots, and `values` (B, N, D), return the mixture "
        "weights (B, K) and the weighted means (B, K, D).",
        minutes=5,
        difficulty=1,
        hints=(
            "A slot holds `gamma.sum(dim=1)` inputs. One of the results divides this by something, one divides by this.",
            "`gamma.mT @ values` sums values by responsibility, (B, K, D); divide by the totals, not by N.",
        ),
        solution=weights_and_means,
        cases=lambda: [
            Case(
                "two sets of nine inputs, three slots",
                (_gamma(8, 2, 9, 3), _normal(9, 2, 9, 4) + 3),
            ),
            Case("six inputs, two slots", (_gamma(10, 1, 6, 2), _normal(11, 1, 6, 5))),
        ],
        mistakes=(
            Mistake(
                _weights_as_counts, "Your weights are counts: divide by N, so that they sum to 1."
            ),
            Mistake(
                _means_over_all_inputs,
                "A slot's mean divides by what the slot holds, not by all N inputs.",
            ),
            Mistake(
                _weights_after_normalising,
                "You normalised over inputs before you summed: now every weight is 1 / K.",
            ),
        ),
    )
)


# ------------------------------------------------------------------------------------------------------------ variance


def variance_about(gamma: Tensor, values: Tensor, means: Tensor) -> Tensor:
    shares = gamma / gamma.sum(dim=1, keepdim=True)  # (B, N, K), sum to 1 over inputs
    squares = (values[:, :, None] - means[:, None]) ** 2  # (B, N, K, D)
    return (shares[..., None] * squares).sum(dim=1)  # (B, K, D)


def _variance_about_weighted_mean(gamma: Tensor, values: Tensor, means: Tensor) -> Tensor:
    return variance_about(gamma, values, weights_and_means(gamma, values)[1])


def _variance_over_all_inputs(gamma: Tensor, values: Tensor, means: Tensor) -> Tensor:
    return (gamma[..., None] * (values[:, :, None] - means[:, None]) ** 2).mean(dim=1)


def _deviation_instead_of_variance(gamma: Tensor, values: Tensor, means: Tensor) -> Tensor:
    return variance_about(gamma, values, means).sqrt()


def _variance_without_gamma(gamma: Tensor, values: Tensor, means: Tensor) -> Tensor:
    return ((values[:, :, None] - means[:, None]) ** 2).mean(dim=1)


register(
    Task(
        name="smm.variance_about",
        title="The variance, about which mean?",
        text="Given `gamma` (B, N, K), `values` (B, N, D) and the *updated* `means` (B, K, D), return the variances "
        "(B, K, D): for each slot, the mean square of values minus updated mean, weighted by gamma.",
        minutes=6,
        difficulty=1,
        hints=(
            "First turn `gamma` into shares that sum to 1 over the inputs of a slot. The mean is given: use it.",
            "`values[:, :, None] - means[:, None]` is (B, N, K, D); square, times `shares[..., None]`, sum over dim 1.",
        ),
        solution=variance_about,
        cases=lambda: [
            Case(
                "two sets, three slots, means well off",
                (_gamma(12, 2, 8, 3), _normal(13, 2, 8, 4), _normal(14, 2, 3, 4)),
            ),
            Case(
                "five inputs, two slots",
                (_gamma(15, 1, 5, 2), _normal(16, 1, 5, 3) - 2, _normal(17, 1, 2, 3)),
            ),
        ],
        mistakes=(
            Mistake(
                _variance_about_weighted_mean,
                "That is about the weighted mean. The slot has moved: use `means`.",
            ),
            Mistake(
                _variance_over_all_inputs,
                "Divide by what the slot holds, `gamma.sum(dim=1)`, not by N.",
            ),
            Mistake(
                _deviation_instead_of_variance,
                "You return standard deviations: leave the squares as they are.",
            ),
            Mistake(
                _variance_without_gamma,
                "Every slot got every value alike: weight the squares by the shares.",
            ),
        ),
    )
)


# -------------------------------------------------------------------------------------------------
# gradient of a start


def refine(
    step: Callable[[Tensor], Tensor], start: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        state = start
        for _ in range(iterations - 1):
            state = step(state)
    state = state.detach() + (
        start - start.detach()
    )  # the value of the one, the gradient of the other
    result = step(state)
    return result.detach(), torch.autograd.grad(result.sum(), start)[0]


def _refine_through_all(
    step: Callable[[Tensor], Tensor], start: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    state = start
    for _ in range(iterations):
        state = step(state)
    return state.detach(), torch.autograd.grad(state.sum(), start)[0]


def _refine_with_plain_detach(
    step: Callable[[Tensor], Tensor], start: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    return refine(step, start, iterations)[0], torch.zeros_like(start)


def _refine_once_more(
    step: Callable[[Tensor], Tensor], start: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    return refine(step, start, iterations + 1)


def _refine_from_the_start(
    step: Callable[[Tensor], Tensor], start: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    result = step(start)
    return refine(step, start, iterations)[0], torch.autograd.grad(result.sum(), start)[0]


def _bend(state: Tensor) -> Tensor:
    return torch.tanh(1.5 * state) + 0.1 * state**2


def _drift(state: Tensor) -> Tensor:
    return 0.5 * state + torch.sin(state)


register(
    Task(
        name="smm.refine",
        title="A gradient for the start",
        text="Apply `step` (a function of a tensor) `iterations` times, from `start` (which requires a gradient). Only the "
        "last application may record a gradient, yet the start must get one, as if the last step had begun at the start's "
        "place. Return the result, detached, and the gradient of its sum with respect to `start`.",
        minutes=10,
        difficulty=3,
        hints=(
            "Run all but the last step under `torch.no_grad()`. Then you need a tensor with one value and another gradient.",
            "`state.detach() + (start - start.detach())`; a step on this; `torch.autograd.grad(result.sum(), start)[0]`.",
        ),
        solution=refine,
        cases=lambda: [
            Case("four steps", (_bend, _normal(18, 5).requires_grad_(), 4)),
            Case("two steps of another function", (_drift, _normal(19, 2, 3).requires_grad_(), 2)),
        ],
        mistakes=(
            Mistake(
                _refine_through_all,
                "This gradient went through every step: record only the last one.",
            ),
            Mistake(
                _refine_with_plain_detach,
                "The start's gradient is zero: a plain `detach` cuts it off. Add it back.",
            ),
            Mistake(
                _refine_once_more,
                "One step too many: the recorded step is the last of `iterations`, not an extra one.",
            ),
            Mistake(
                _refine_from_the_start,
                "Your gradient belongs to a step *from the start*; step from where the loop came.",
            ),
        ),
    )
)


# ---------------------------------------------------------------------------------------------------- expanding the square


def expand_square(
    queries: Tensor, keys: Tensor, variances: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    quadratic = -0.5 * keys**2 @ (1 / variances).mT  # (B, N, K)
    cross = keys @ (queries / variances).mT  # (B, N, K)
    constant = -0.5 * (queries**2 / variances + variances.log()).sum(dim=2)  # (B, K)
    return quadratic, cross, constant


def _expand_with_doubled_cross(
    queries: Tensor, keys: Tensor, variances: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    quadratic, cross, constant = expand_square(queries, keys, variances)
    return quadratic, 2 * cross, constant


def _expand_with_negative_cross(
    queries: Tensor, keys: Tensor, variances: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    quadratic, cross, constant = expand_square(queries, keys, variances)
    return quadratic, -cross, constant


def _expand_without_precision(
    queries: Tensor, keys: Tensor, variances: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    _, cross, constant = expand_square(queries, keys, variances)
    return (-0.5 * (keys**2).sum(dim=2, keepdim=True)).expand_as(cross), cross, constant


def _expand_without_determinant(
    queries: Tensor, keys: Tensor, variances: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    quadratic, cross, _ = expand_square(queries, keys, variances)
    return quadratic, cross, -0.5 * (queries**2 / variances).sum(dim=2)


register(
    Task(
        name="smm.expand_square",
        title="Two matrix products",
        text="Split the sum over features of -((key - query)**2 / variance + log variance) / 2 into three parts and return "
        "them: what is quadratic in `keys` (B, N, D), and the cross term, both (B, N, K) and each one matrix product; and "
        "the constant (B, K) without keys, log variances included. `queries` and `variances` are (B, K, D).",
        minutes=10,
        difficulty=2,
        hints=(
            "(k - q)**2 / s = k**2 / s - 2 * k * q / s + q**2 / s. A sum over features of (key thing) * (slot thing) is `@`.",
            "`keys**2 @ (1 / variances).mT` times -1/2; `keys @ (queries / variances).mT`; the rest has no key in it.",
        ),
        solution=expand_square,
        cases=lambda: [
            Case(
                "two sets of seven inputs, three slots",
                (_normal(20, 2, 3, 4), _normal(21, 2, 7, 4), _positive(22, 2, 3, 4)),
            ),
            Case(
                "four inputs, two slots",
                (_normal(23, 1, 2, 3), _normal(24, 1, 4, 3) + 2, _positive(25, 1, 2, 3)),
            ),
        ],
        mistakes=(
            Mistake(
                _expand_with_doubled_cross,
                "The 2 of -2kq and the factor -1/2 cancel: the cross term is k q / s.",
            ),
            Mistake(_expand_with_negative_cross, "Signs: -1/2 times -2 is +1."),
            Mistake(
                _expand_without_precision,
                "The key's square is divided by each slot's variance: it differs over slots.",
            ),
            Mistake(_expand_without_determinant, "The log variances are missing in the constant."),
        ),
    )
)
