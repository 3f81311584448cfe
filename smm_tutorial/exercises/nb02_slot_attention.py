"""Tasks of notebook 02: from soft k-means to Slot Attention, in torch."""

import math

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Case, Mistake, Task, register


def _random(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _shares(seed: int, *shape: int) -> Tensor:
    """Positive shares that sum to 1 along the last axis."""
    return (1.5 * _random(seed, *shape)).softmax(dim=-1)


# --------------------------------------------------------------------------------------------------
# without a distance


def shares_by_dot_product(points: Tensor, means: Tensor, temperature: float) -> Tensor:
    bias = -means.square().sum(dim=1) / (2 * temperature)  # (K,)
    return (points @ means.T / temperature + bias).softmax(dim=1)


def _bare_dot_product(points: Tensor, means: Tensor, temperature: float) -> Tensor:
    return (points @ means.T / temperature).softmax(dim=1)


def _bias_upside_down(points: Tensor, means: Tensor, temperature: float) -> Tensor:
    bias = means.square().sum(dim=1) / (2 * temperature)
    return (points @ means.T / temperature + bias).softmax(dim=1)


def _product_halved_too(points: Tensor, means: Tensor, temperature: float) -> Tensor:
    return ((points @ means.T - means.square().sum(dim=1)) / (2 * temperature)).softmax(dim=1)


def _bias_not_halved(points: Tensor, means: Tensor, temperature: float) -> Tensor:
    return ((points @ means.T - means.square().sum(dim=1)) / temperature).softmax(dim=1)


def _dot_product_cases() -> list[Case]:
    return [
        Case(
            "seven points, three means, temperature 2",
            (_random(0, 7, 2), 2 * _random(1, 3, 2), 2.0),
        ),
        Case(
            "five points in four dimensions, two means, temperature 0.7",
            (_random(2, 5, 4), _random(3, 2, 4), 0.7),
        ),
    ]


register(
    Task(
        name="slots.shares_by_dot_product",
        title="Soft k-means without a distance",
        text="Return the shares (N, K) of soft k-means, `softmax(-d**2 / (2 * temperature))` over the means, for `points` "
        "(N, D) and `means` (K, D), by a dot product and a bias for each mean: compute no distance.",
        minutes=8,
        difficulty=2,
        hints=(
            "Expand the square. One of the three terms is the same for all means: what does a softmax do with it?",
            "Logits: `points @ means.T / temperature`, plus `-means.square().sum(dim=1) / (2 * temperature)`.",
        ),
        solution=shares_by_dot_product,
        cases=_dot_product_cases,
        mistakes=(
            Mistake(
                _bare_dot_product,
                "Long means win too much: their own square is missing (the *point's* square cancels).",
            ),
            Mistake(
                _bias_upside_down,
                "The sign of the bias is turned: a long mean must pay for its length.",
            ),
            Mistake(
                _product_halved_too,
                "The product appears twice in the square: divide it by T, only the bias by 2T.",
            ),
            Mistake(
                _bias_not_halved, "The bias is twice too strong: divide the mean's square by 2T."
            ),
        ),
    )
)


# -------------------------------------------------------------------------------------------------------------- attend


def attend(queries: Tensor, keys: Tensor) -> Tensor:
    logits = keys @ queries.mT / math.sqrt(queries.shape[-1])  # (..., N, K)
    return logits.softmax(dim=-1)


def _attend_over_inputs(queries: Tensor, keys: Tensor) -> Tensor:
    return (keys @ queries.mT / math.sqrt(queries.shape[-1])).softmax(dim=-2)


def _attend_without_scale(queries: Tensor, keys: Tensor) -> Tensor:
    return (keys @ queries.mT).softmax(dim=-1)


def _attend_with_width(queries: Tensor, keys: Tensor) -> Tensor:
    return (keys @ queries.mT / queries.shape[-1]).softmax(dim=-1)


def _attend_transposed(queries: Tensor, keys: Tensor) -> Tensor:
    return (queries @ keys.mT / math.sqrt(queries.shape[-1])).softmax(dim=-2)


def _attend_cases() -> list[Case]:
    return [
        Case("two sets of six inputs, three slots", (_random(4, 2, 3, 5), _random(5, 2, 6, 5))),
        Case("one set of seven inputs, two slots, no batch", (_random(6, 2, 9), _random(7, 7, 9))),
    ]


register(
    Task(
        name="slots.attend",
        title="Slots compete",
        text="Given `queries` (..., K, D) of the slots and `keys` (..., N, D) of the inputs, return the shares (..., N, K): "
        "dot products divided by the square root of D, with a softmax in which the *slots* compete for each input.",
        minutes=6,
        difficulty=1,
        hints=(
            "`keys @ queries.mT` has the shape (..., N, K): a row an input. Along which axis must shares sum to one?",
            "`(keys @ queries.mT / math.sqrt(queries.shape[-1])).softmax(dim=-1)`.",
        ),
        solution=attend,
        cases=_attend_cases,
        mistakes=(
            Mistake(
                _attend_over_inputs,
                "Your columns sum to one: inputs compete for slots. Normalise along the slots.",
            ),
            Mistake(
                _attend_without_scale,
                "The shares are too firm: divide the products by the square root of D.",
            ),
            Mistake(
                _attend_with_width,
                "The shares are too vague: divide by the square root of D, not by D.",
            ),
            Mistake(
                _attend_transposed,
                "Rows must be inputs, columns slots: (..., N, K), as `keys @ queries.mT` gives.",
            ),
        ),
    )
)


# -------------------------------------------------------------------------------------------------------- weighted mean


def weighted_mean(shares: Tensor, values: Tensor) -> Tensor:
    weights = shares / shares.sum(dim=-2, keepdim=True)  # (..., N, K), each column sums to 1
    return weights.mT @ values  # (..., K, D)


def _weighted_sum(shares: Tensor, values: Tensor) -> Tensor:
    return shares.mT @ values


def _mean_over_all_inputs(shares: Tensor, values: Tensor) -> Tensor:
    return shares.mT @ values / values.shape[-2]


def _softmax_once_more(shares: Tensor, values: Tensor) -> Tensor:
    return shares.softmax(dim=-2).mT @ values


def _squared_shares(shares: Tensor, values: Tensor) -> Tensor:
    weights = shares / shares.sum(dim=-2, keepdim=True)
    return (weights * shares).mT @ values


def _mean_cases() -> list[Case]:
    return [
        Case(
            "two sets of seven inputs, three slots", (_shares(8, 2, 7, 3), _random(9, 2, 7, 4) + 2)
        ),
        Case(
            "one set of five inputs, two slots, no batch",
            (_shares(10, 5, 2), _random(11, 5, 3) - 1),
        ),
    ]


register(
    Task(
        name="slots.weighted_mean",
        title="What a slot holds",
        text="Given `shares` (..., N, K) and `values` (..., N, D), return each slot's weighted mean (..., K, D). "
        "A slot's weights must sum to one, however much or little it holds.",
        minutes=5,
        difficulty=1,
        hints=(
            "It is the M step of notebook 01: a sum weighted by shares, divided by the slot's own total.",
            "`weights = shares / shares.sum(dim=-2, keepdim=True)`, then one matrix product with `weights.mT`.",
        ),
        solution=weighted_mean,
        cases=_mean_cases,
        mistakes=(
            Mistake(
                _weighted_sum,
                "That is the sum, not the mean: it grows with the inputs that a slot holds.",
            ),
            Mistake(
                _mean_over_all_inputs,
                "Divide by the slot's own total of shares, not by the number of inputs.",
            ),
            Mistake(
                _softmax_once_more,
                "A second softmax flattens the shares: divide them by their sum instead.",
            ),
            Mistake(
                _squared_shares,
                "The shares enter twice: once they are weights, leave them out of the product.",
            ),
        ),
    )
)


# ----------------------------------------------------------------------------------------------------------------- GRU


def gru_step(
    update: Tensor, state: Tensor, w_in: Tensor, w_state: Tensor, b_in: Tensor, b_state: Tensor
) -> Tensor:
    from_input = (update @ w_in.T + b_in).chunk(3, dim=-1)  # reset, keep, new: (K, D) each
    from_state = (state @ w_state.T + b_state).chunk(3, dim=-1)
    reset = (from_input[0] + from_state[0]).sigmoid()
    keep = (from_input[1] + from_state[1]).sigmoid()
    new = (from_input[2] + reset * from_state[2]).tanh()
    return keep * state + (1 - keep) * new


def _gru_gate_turned(
    update: Tensor, state: Tensor, w_in: Tensor, w_state: Tensor, b_in: Tensor, b_state: Tensor
) -> Tensor:
    from_input, from_state = (
        (update @ w_in.T + b_in).chunk(3, -1),
        (state @ w_state.T + b_state).chunk(3, -1),
    )
    reset, keep = (
        (from_input[0] + from_state[0]).sigmoid(),
        (from_input[1] + from_state[1]).sigmoid(),
    )
    return (1 - keep) * state + keep * (from_input[2] + reset * from_state[2]).tanh()


def _gru_without_reset(
    update: Tensor, state: Tensor, w_in: Tensor, w_state: Tensor, b_in: Tensor, b_state: Tensor
) -> Tensor:
    from_input, from_state = (
        (update @ w_in.T + b_in).chunk(3, -1),
        (state @ w_state.T + b_state).chunk(3, -1),
    )
    keep = (from_input[1] + from_state[1]).sigmoid()
    return keep * state + (1 - keep) * (from_input[2] + from_state[2]).tanh()


def _gru_gates_swapped(
    update: Tensor, state: Tensor, w_in: Tensor, w_state: Tensor, b_in: Tensor, b_state: Tensor
) -> Tensor:
    from_input, from_state = (
        (update @ w_in.T + b_in).chunk(3, -1),
        (state @ w_state.T + b_state).chunk(3, -1),
    )
    keep, reset = (
        (from_input[0] + from_state[0]).sigmoid(),
        (from_input[1] + from_state[1]).sigmoid(),
    )
    return keep * state + (1 - keep) * (from_input[2] + reset * from_state[2]).tanh()


def _gru_reset_before_product(
    update: Tensor, state: Tensor, w_in: Tensor, w_state: Tensor, b_in: Tensor, b_state: Tensor
) -> Tensor:
    dim = state.shape[-1]
    from_input, from_state = (
        (update @ w_in.T + b_in).chunk(3, -1),
        (state @ w_state.T + b_state).chunk(3, -1),
    )
    reset, keep = (
        (from_input[0] + from_state[0]).sigmoid(),
        (from_input[1] + from_state[1]).sigmoid(),
    )
    new = (from_input[2] + (reset * state) @ w_state[2 * dim :].T + b_state[2 * dim :]).tanh()
    return keep * state + (1 - keep) * new


def _gru_without_tanh(
    update: Tensor, state: Tensor, w_in: Tensor, w_state: Tensor, b_in: Tensor, b_state: Tensor
) -> Tensor:
    from_input, from_state = (
        (update @ w_in.T + b_in).chunk(3, -1),
        (state @ w_state.T + b_state).chunk(3, -1),
    )
    reset, keep = (
        (from_input[0] + from_state[0]).sigmoid(),
        (from_input[1] + from_state[1]).sigmoid(),
    )
    return keep * state + (1 - keep) * (from_input[2] + reset * from_state[2])


def _gru_cases() -> list[Case]:
    def weights(seed: int, dim: int) -> tuple[Tensor, ...]:
        return (
            _random(seed, 3 * dim, dim),
            _random(seed + 1, 3 * dim, dim),
            _random(seed + 2, 3 * dim),
            _random(seed + 3, 3 * dim),
        )

    return [
        Case("three slots of four", (_random(12, 3, 4), _random(13, 3, 4), *weights(14, 4))),
        Case("two slots of three", (_random(20, 2, 3), _random(21, 2, 3), *weights(22, 3))),
    ]


register(
    Task(
        name="slots.gru_step",
        title="A gated recurrent unit",
        text="Return the new `state` (K, D) of torch's GRU cell for the input `update` (K, D). `w_in` and `w_state` "
        "(3 D, D), `b_in` and `b_state` (3 D) hold the parts for reset gate, update gate (here: keep) and new state, in "
        "this order.",
        minutes=12,
        difficulty=2,
        hints=(
            "Two products, `update @ w_in.T + b_in` and `state @ w_state.T + b_state`, each cut in three by `chunk(3, -1)`.",
            "`keep * state + (1 - keep) * new`; the reset gate multiplies the state's part of `new`, inside the tanh.",
        ),
        solution=gru_step,
        cases=_gru_cases,
        mistakes=(
            Mistake(
                _gru_gate_turned,
                "The gate is turned: in torch, a gate near 1 *keeps* the old state.",
            ),
            Mistake(
                _gru_without_reset,
                "The reset gate is missing: it multiplies the state's part of the new state.",
            ),
            Mistake(
                _gru_gates_swapped,
                "Two gates are swapped: the first third is reset, the second one keeps.",
            ),
            Mistake(
                _gru_reset_before_product,
                "Reset multiplies *after* the product with `w_state`, bias included.",
            ),
            Mistake(
                _gru_without_tanh,
                "The new state goes through a tanh, which keeps it between -1 and 1.",
            ),
        ),
    )
)


# ------------------------------------------------------------------------------------------------------------ log joint


def log_joint(points: Tensor, means: Tensor, factors: Tensor, log_weights: Tensor) -> Tensor:
    differences = points[..., :, None, :] - means[..., None, :, :]  # (..., N, K, 2)
    whitened = torch.einsum("...kij,...nkj->...nki", factors, differences)
    log_determinants = factors.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)  # (..., K)
    log_densities = (
        log_determinants[..., None, :] - math.log(2 * math.pi) - 0.5 * whitened.square().sum(dim=-1)
    )
    return log_weights[..., None, :] + log_densities


def _joint_without_determinant(
    points: Tensor, means: Tensor, factors: Tensor, log_weights: Tensor
) -> Tensor:
    determinants = factors.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
    return log_joint(points, means, factors, log_weights) - determinants[..., None, :]


def _joint_with_determinant_subtracted(
    points: Tensor, means: Tensor, factors: Tensor, log_weights: Tensor
) -> Tensor:
    determinants = factors.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
    return log_joint(points, means, factors, log_weights) - 2 * determinants[..., None, :]


def _joint_without_weights(
    points: Tensor, means: Tensor, factors: Tensor, log_weights: Tensor
) -> Tensor:
    return log_joint(points, means, factors, torch.zeros_like(log_weights))


def _joint_with_transposed_factor(
    points: Tensor, means: Tensor, factors: Tensor, log_weights: Tensor
) -> Tensor:
    return log_joint(points, means, factors.mT, log_weights)


def _joint_without_constant(
    points: Tensor, means: Tensor, factors: Tensor, log_weights: Tensor
) -> Tensor:
    return log_joint(points, means, factors, log_weights) + math.log(2 * math.pi)


def _joint_cases() -> list[Case]:
    def factors(seed: int, *shape: int) -> Tensor:
        raw = _random(seed, *shape, 2, 2)
        return raw.tril(-1) + torch.diag_embed(raw.diagonal(dim1=-2, dim2=-1).exp())

    return [
        Case(
            "five points, three slots",
            (_random(30, 5, 2), _random(31, 3, 2), factors(32, 3), _shares(33, 3).log()),
        ),
        Case(
            "two sets of four points, two slots",
            (
                _random(34, 2, 4, 2),
                _random(35, 2, 2, 2),
                factors(36, 2, 2),
                _shares(37, 2, 2).log(),
            ),
        ),
    ]


register(
    Task(
        name="slots.log_joint",
        title="What the slots say about the points",
        text="Slot k says a Gaussian in the plane: `means` (..., K, 2), lower triangular `factors` A (..., K, 2, 2) with "
        "inverse covariance A^T A, and `log_weights` (..., K). For `points` (..., N, 2) return log p(x, k), (..., N, K): "
        "log weight + log |A| - log 2 pi - |A (x - mean)|^2 / 2.",
        minutes=10,
        difficulty=3,
        hints=(
            "Make the differences (..., N, K, 2) first, by `points[..., :, None, :] - means[..., None, :, :]`.",
            "`torch.einsum('...kij,...nkj->...nki', factors, differences)`; log |A| sums the logs of A's diagonal.",
        ),
        solution=log_joint,
        cases=_joint_cases,
        mistakes=(
            Mistake(
                _joint_without_determinant,
                "log |A| is missing: narrow Gaussians must be higher than wide ones.",
            ),
            Mistake(
                _joint_with_determinant_subtracted,
                "log |A| has the wrong sign: A is large where a Gaussian is narrow.",
            ),
            Mistake(_joint_without_weights, "The weights are missing: add `log_weights`."),
            Mistake(
                _joint_with_transposed_factor,
                "A is transposed: row i of A times the difference gives entry i.",
            ),
            Mistake(
                _joint_without_constant, "The constant - log 2 pi of two dimensions is missing."
            ),
        ),
    )
)
