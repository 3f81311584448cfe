"""Tasks of notebook 02: from soft k-means to Slot Attention, in torch."""

import math

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Method, Task, mistake, register
from smm_tutorial.exercises.samples import normal


def _shares(seed: int, *shape: int) -> Tensor:
    """Positive shares that sum to 1 along the last axis."""
    return (1.5 * normal(seed, *shape)).softmax(dim=-1)


# without a distance


def shares_by_dot_product(points: Tensor, means: Tensor, temperature: float) -> Tensor:
    bias = -means.square().sum(dim=1) / (2 * temperature)  # (K,)
    return (points @ means.T / temperature + bias).softmax(dim=1)


@mistake("Long means win too much: their own square is missing (the *point's* square cancels).")
def _bare_dot_product(points, means, temperature):
    return (points @ means.T / temperature).softmax(dim=1)


@mistake("The sign of the bias is turned: a long mean must pay for its length.")
def _bias_upside_down(points, means, temperature):
    bias = means.square().sum(dim=1) / (2 * temperature)
    return (points @ means.T / temperature + bias).softmax(dim=1)


@mistake("The product appears twice in the square: divide it by T, only the bias by 2T.")
def _product_halved_too(points, means, temperature):
    return ((points @ means.T - means.square().sum(dim=1)) / (2 * temperature)).softmax(dim=1)


@mistake("The bias is twice too strong: divide the mean's square by 2T.")
def _bias_not_halved(points, means, temperature):
    return ((points @ means.T - means.square().sum(dim=1)) / temperature).softmax(dim=1)


@mistake("The bias is not divided by the temperature: divide the mean's square by 2T, not by 2.")
def _bias_without_temperature(points, means, temperature):
    bias = -means.square().sum(dim=1) / 2
    return (points @ means.T / temperature + bias).softmax(dim=1)


@mistake("Your columns sum to one, but rows must: the softmax runs over the means, `dim=1`.")
def _softmax_over_points(points, means, temperature):
    bias = -means.square().sum(dim=1) / (2 * temperature)
    return (points @ means.T / temperature + bias).softmax(dim=0)


register(
    Task(
        name="slots.shares_by_dot_product",
        title="Soft k-means without a distance",
        text="""Return the shares (N, K) of soft k-means, `softmax(-d**2 / (2 * temperature))` over
        the means, for `points` (N, D) and `means` (K, D), by a dot product and a bias for each
        mean: compute no distance.""",
        minutes=8,
        difficulty=2,
        hints=(
            """Expand the square. One of the three terms is the same for all means: what does a
            softmax do with it?""",
            """Two terms are left. One is a matrix product (N, K), the other one number per mean
            (K,). By what is each of them divided?""",
        ),
        solution=shares_by_dot_product,
        cases=lambda: {
            "seven points, three means, temperature 2": (normal(0, 7, 2), 2 * normal(1, 3, 2), 2.0),
            "five points in four dimensions, two means, temperature 0.7": (
                normal(2, 5, 4),
                normal(3, 2, 4),
                0.7,
            ),
        },
        mistakes=(
            _bare_dot_product,
            _bias_upside_down,
            _product_halved_too,
            _bias_not_halved,
            _bias_without_temperature,
            _softmax_over_points,
        ),
        method=Method(
            banned=("cdist", "pdist", "dist"),
            most_values=lambda points, means, temperature: max(
                points.numel(), means.numel(), len(points) * len(means)
            ),
            hint="Compute no distance, neither by `cdist` nor from all differences (N, K, D): "
            "expand the square, and let one matrix product `points @ means.T` do the work.",
        ),
    )
)


# attend


def attend(queries: Tensor, keys: Tensor) -> Tensor:
    logits = keys @ queries.mT / math.sqrt(queries.shape[-1])  # (..., N, K)
    return logits.softmax(dim=-1)


@mistake("Your columns sum to one, so the slots do not compete. Normalise along the slots.")
def _attend_over_inputs(queries, keys):
    return (keys @ queries.mT / math.sqrt(queries.shape[-1])).softmax(dim=-2)


@mistake("The shares are too firm: divide the products by the square root of D.")
def _attend_without_scale(queries, keys):
    return (keys @ queries.mT).softmax(dim=-1)


@mistake("The shares are too vague: divide by the square root of D, not by D.")
def _attend_with_width(queries, keys):
    return (keys @ queries.mT / queries.shape[-1]).softmax(dim=-1)


@mistake("Rows must be inputs, columns slots: (..., N, K), as `keys @ queries.mT` gives.")
def _attend_transposed(queries, keys):
    return (queries @ keys.mT / math.sqrt(queries.shape[-1])).softmax(dim=-2)


@mistake("`.T` turns all axes round, the batch too. `.mT` turns only the last two.")
def _attend_with_all_axes_turned(queries, keys):
    turned = queries.permute(*reversed(range(queries.ndim)))  # `.T`, without its warning
    return (keys @ turned / math.sqrt(queries.shape[-1])).softmax(dim=-1)


register(
    Task(
        name="slots.attend",
        title="Slots compete",
        text="""Given `queries` (..., K, D) of the slots and `keys` (..., N, D) of the inputs,
        return the shares (..., N, K): dot products divided by the square root of D, with a softmax
        in which the *slots* compete for each input.""",
        minutes=6,
        difficulty=1,
        hints=(
            """Compare the shapes of `queries`, `keys` and the result. One matrix product gives all
            dot products, if the last two axes of one factor change places.""",
            """D is the length of the last axis of `queries`. Each input is a row of the result, and
            its shares must sum to one. Along which axis do the slots lie?""",
        ),
        solution=attend,
        cases=lambda: {
            "two sets of six inputs, three slots": (normal(4, 2, 3, 5), normal(5, 2, 6, 5)),
            "one set of seven inputs, two slots, no batch": (normal(6, 2, 9), normal(7, 7, 9)),
        },
        mistakes=(
            _attend_over_inputs,
            _attend_without_scale,
            _attend_with_width,
            _attend_transposed,
            _attend_with_all_axes_turned,
        ),
    )
)


# weighted mean


def weighted_mean(shares: Tensor, values: Tensor) -> Tensor:
    weights = shares / shares.sum(dim=-2, keepdim=True)  # (..., N, K), each column sums to 1
    return weights.mT @ values  # (..., K, D)


@mistake("That is the sum, not the mean: it grows with the inputs that a slot holds.")
def _weighted_sum(shares, values):
    return shares.mT @ values


@mistake("Divide by the slot's own total of shares, not by the number of inputs.")
def _mean_over_all_inputs(shares, values):
    return shares.mT @ values / values.shape[-2]


@mistake("A second softmax flattens the shares: divide them by their sum instead.")
def _softmax_once_more(shares, values):
    return shares.softmax(dim=-2).mT @ values


@mistake("A constant in the denominator shrinks what a slot holds that holds little: leave it out.")
def _mean_with_constant(shares, values):
    return (shares / (shares.sum(dim=-2, keepdim=True) + 1e-8)).mT @ values


@mistake("A constant on the shares gives every input a say: a slot that holds little drowns in it.")
def _mean_of_lifted_shares(shares, values):
    return weighted_mean(shares + 1e-8, values)


@mistake("The shares enter twice: once they are weights, leave them out of the product.")
def _squared_shares(shares, values):
    weights = shares / shares.sum(dim=-2, keepdim=True)
    return (weights * shares).mT @ values


@mistake(
    "A batch may stand in front, so count the axes from the end: inputs are axis -2. `.mT` turns "
    "the last two axes, `.T` turns all. Check that the totals have a shape that fits."
)
def _mean_of_one_set(shares, values):
    turned = shares.permute(*reversed(range(shares.ndim)))  # `.T`, without its warning
    return turned @ values / shares.sum(dim=0)[:, None]


register(
    Task(
        name="slots.weighted_mean",
        title="What a slot holds",
        text="""Given `shares` (..., N, K) and `values` (..., N, D), return each slot's weighted
        mean (..., K, D). A slot's weights must sum to one, however much or little the slot holds:
        add no small constant to the shares or to their sum.""",
        minutes=5,
        difficulty=1,
        hints=(
            """It is the M step of notebook 01: a sum weighted by shares, divided by the slot's own
            total.""",
            """A slot's total is a sum over inputs, axis -2 (`keepdim=True` keeps the axis). The
            transposed weights have the shape (..., K, N): what is left is one matrix product.""",
        ),
        solution=weighted_mean,
        cases=lambda: {
            "two sets of seven inputs, three slots": (_shares(8, 2, 7, 3), normal(9, 2, 7, 4) + 2),
            "one set of five inputs, two slots, no batch": (
                _shares(10, 5, 2),
                normal(11, 5, 3) - 1,
            ),
            "a slot that holds next to nothing": (
                _shares(38, 1, 6, 2) * torch.tensor([1.0, 1e-9], dtype=torch.float64),
                normal(39, 1, 6, 3) + 1,
            ),
        },
        mistakes=(
            _weighted_sum,
            _mean_over_all_inputs,
            _softmax_once_more,
            _mean_with_constant,
            _mean_of_lifted_shares,
            _squared_shares,
            _mean_of_one_set,
        ),
    )
)


# log joint


def log_joint(points: Tensor, means: Tensor, factors: Tensor, log_weights: Tensor) -> Tensor:
    differences = points[..., :, None, :] - means[..., None, :, :]  # (..., N, K, 2)
    whitened = torch.einsum("...kij,...nkj->...nki", factors, differences)
    log_determinants = factors.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)  # (..., K)
    log_peaks = log_determinants - math.log(2 * math.pi)
    log_densities = log_peaks[..., None, :] - 0.5 * whitened.square().sum(dim=-1)
    return log_weights[..., None, :] + log_densities


@mistake("log |A| is missing: narrow Gaussians must be higher than wide ones.")
def _joint_without_determinant(points, means, factors, log_weights):
    determinants = factors.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
    return log_joint(points, means, factors, log_weights) - determinants[..., None, :]


@mistake("log |A| has the wrong sign: A is large where a Gaussian is narrow.")
def _joint_with_determinant_subtracted(points, means, factors, log_weights):
    determinants = factors.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
    return log_joint(points, means, factors, log_weights) - 2 * determinants[..., None, :]


@mistake("log |A| is halved. The half belongs to log |Sigma|, and A is already the square root.")
def _joint_with_half_the_determinant(points, means, factors, log_weights):
    determinants = factors.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
    return log_joint(points, means, factors, log_weights) - 0.5 * determinants[..., None, :]


@mistake("The weights are missing: add `log_weights`.")
def _joint_without_weights(points, means, factors, log_weights):
    return log_joint(points, means, factors, torch.zeros_like(log_weights))


@mistake("A is transposed: row i of A times the difference gives entry i.")
def _joint_with_transposed_factor(points, means, factors, log_weights):
    return log_joint(points, means, factors.mT, log_weights)


@mistake("The constant - log 2 pi of two dimensions is missing.")
def _joint_without_constant(points, means, factors, log_weights):
    return log_joint(points, means, factors, log_weights) + math.log(2 * math.pi)


@mistake("A is the factor of the *inverse* covariance: multiply by it, do not divide.")
def _joint_with_factor_of_covariance(points, means, factors, log_weights):
    inverse = torch.linalg.inv(factors)
    return log_joint(points, means, inverse, log_weights)


def _joint_cases() -> dict[str, tuple]:
    def factors(seed: int, *shape: int) -> Tensor:
        raw = normal(seed, *shape, 2, 2)
        return raw.tril(-1) + torch.diag_embed(raw.diagonal(dim1=-2, dim2=-1).exp())

    return {
        "five points, three slots": (
            normal(30, 5, 2),
            normal(31, 3, 2),
            factors(32, 3),
            _shares(33, 3).log(),
        ),
        "two sets of four points, two slots": (
            normal(34, 2, 4, 2),
            normal(35, 2, 2, 2),
            factors(36, 2, 2),
            _shares(37, 2, 2).log(),
        ),
        # only the determinant depends on A here, so a lost gradient of it shows
        "two points on the mean of the only slot": (
            torch.ones(2, 2, dtype=torch.float64),
            torch.ones(1, 2, dtype=torch.float64),
            factors(43, 1),
            torch.zeros(1, dtype=torch.float64),
        ),
    }


register(
    Task(
        name="slots.log_joint",
        title="How well the slots explain the points",
        text="""Slot k describes a Gaussian in the plane by a mean, a factor A and a log weight:
        `means` (..., K, 2), lower triangular `factors` A (..., K, 2, 2) with the inverse covariance
        A^T A, and `log_weights` (..., K). For `points` (..., N, 2) return log p(x, k) (..., N, K).
        The formula is log weight + log det A - log 2 pi - ||A (x - mean)||^2 / 2.""",
        minutes=10,
        difficulty=3,
        hints=(
            """Make the differences (..., N, K, 2) first, by `points[..., :, None, :] - means[...,
            None, :, :]`.""",
            """Multiply each difference by the A of its slot: a `torch.einsum` that sums over the
            columns of A. The determinant of a triangular matrix is the product of its diagonal.""",
        ),
        solution=log_joint,
        cases=_joint_cases,
        mistakes=(
            _joint_without_determinant,
            _joint_with_determinant_subtracted,
            _joint_with_half_the_determinant,
            _joint_without_weights,
            _joint_with_transposed_factor,
            _joint_without_constant,
            _joint_with_factor_of_covariance,
        ),
    )
)
