"""Tasks of notebook 01: the bound, the steps of EM and the BIC, in numpy."""

import numpy as np

from smm_tutorial.exercises.core import Task, mistake, register
from smm_tutorial.exercises.nb01_kmeans import make_points


def _shares(seed: int, count: int, components: int) -> np.ndarray:
    """Responsibilities (N, K), rows that sum to 1, nothing symmetric."""
    return np.random.default_rng(seed).dirichlet(np.arange(1, components + 1), size=count)


# the bound


def lower_bound(log_joint: np.ndarray, shares: np.ndarray) -> float:
    log_shares = np.log(np.where(shares > 0, shares, 1))  # 0 log 0 = 0
    return float((shares * (log_joint - log_shares)).sum(axis=1).mean())


@mistake("The part - sum q log q is missing: without this part the bound never touches.")
def _bound_without_entropy(log_joint, shares):
    return float((shares * log_joint).sum(axis=1).mean())


@mistake("The sign of log q is wrong: log(p / q) = log p - log q.")
def _bound_with_entropy_subtracted(log_joint, shares):
    log_shares = np.log(np.where(shares > 0, shares, 1))
    return float((shares * (log_joint + log_shares)).sum(axis=1).mean())


@mistake("0 * log 0 gave NaN: in the limit it is 0, and you must say so.")
def _bound_of_zero_times_infinity(log_joint, shares):
    with np.errstate(divide="ignore", invalid="ignore"):
        return float((shares * (log_joint - np.log(shares))).sum(axis=1).mean())


@mistake("Sum over the components, but take the mean over the points.")
def _bound_summed_over_points(log_joint, shares):
    return lower_bound(log_joint, shares) * len(shares)


@mistake("You take the mean over everything. Sum over the components; only points are averaged.")
def _bound_averaged_over_components(log_joint, shares):
    return lower_bound(log_joint, shares) / shares.shape[1]


@mistake("You add a small number to the shares. Keep them as they are: only a 0 needs care.")
def _bound_of_larger_shares(log_joint, shares):
    return float((shares * (log_joint - np.log(shares + 1e-8))).sum(axis=1).mean())


def _bound_cases() -> dict[str, tuple]:
    one_hot = np.eye(3)[[0, 2, 2, 1]]
    return {
        "five points, three components": (-(make_points(8, 5, 3) ** 2), _shares(9, 5, 3)),
        "shares of 0 and 1": (-(make_points(10, 4, 3) ** 2), one_hot),
    }


register(
    Task(
        name="em.lower_bound",
        title="The bound",
        text="""Given `log_joint` (N, K), the values log p(x, k), and any `shares` (N, K) whose rows
        sum to one, return the bound on the mean log-likelihood: the mean over points of the sum
        over k of q log(p(x, k) / q). A share of 0 contributes 0.""",
        minutes=10,
        difficulty=2,
        hints=(
            """A logarithm of a ratio is a difference of logarithms. Sum over components, then
            average over points.""",
            """Where a share is 0, its logarithm is minus infinity, and 0 times infinity is NaN. Put
            any finite number in place of this logarithm, for example with `np.where`.""",
        ),
        solution=lower_bound,
        cases=_bound_cases,
        mistakes=(
            _bound_without_entropy,
            _bound_with_entropy_subtracted,
            _bound_of_zero_times_infinity,
            _bound_summed_over_points,
            _bound_averaged_over_components,
            _bound_of_larger_shares,
        ),
        rtol=1e-9,
        atol=1e-12,
    )
)


# log-sum-exp


def log_sum_exp(values: np.ndarray) -> np.ndarray:
    largest = values.max(axis=1, keepdims=True)  # (N, 1)
    return (largest + np.log(np.exp(values - largest).sum(axis=1, keepdims=True)))[:, 0]


@mistake("exp(-2000) is 0 and exp(900) is infinite in float64: take the largest value out.")
def _log_of_naive_sum(values):
    with np.errstate(divide="ignore", over="ignore"):
        return np.log(np.exp(values).sum(axis=1))


@mistake("You took the largest value out and never put it back: add it to the log.")
def _largest_not_put_back(values):
    return np.log(np.exp(values - values.max(axis=1, keepdims=True)).sum(axis=1))


@mistake("One maximum for the whole table lets far rows underflow: one for each row.")
def _largest_of_all_rows(values):
    largest = values.max()
    with np.errstate(divide="ignore"):
        return largest + np.log(np.exp(values - largest).sum(axis=1))


def _log_sum_exp_about(chosen: np.ndarray, values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", over="ignore"):
        return (chosen + np.log(np.exp(values - chosen).sum(axis=1, keepdims=True)))[:, 0]


@mistake("You take out the mean of a row. A value far above the mean overflows: take the largest.")
def _mean_taken_out(values):
    return _log_sum_exp_about(values.mean(axis=1, keepdims=True), values)


@mistake(
    "You take out the smallest value of a row. Then a large value overflows: take the largest."
)
def _smallest_taken_out(values):
    return _log_sum_exp_about(values.min(axis=1, keepdims=True), values)


@mistake("You take out the first value of a row. A far larger value overflows: take the largest.")
def _first_taken_out(values):
    return _log_sum_exp_about(values[:, :1], values)


register(
    Task(
        name="em.log_sum_exp",
        title="Log-sum-exp",
        text="""Return `log(sum(exp(values)))` along each row of `values` (N, K), shape (N,),
        without overflow or underflow.""",
        minutes=6,
        difficulty=2,
        hints=(
            """exp(a) = exp(m) exp(a - m) for any m. Which m makes the largest exponential exactly
            1?""",
            """Take m = the largest value of the row. `values.max(axis=1, keepdims=True)` keeps
            these values as a column (N, 1).""",
        ),
        solution=log_sum_exp,
        cases=lambda: {
            "values near zero": (make_points(11, 4, 3),),
            "rows near -2000, 0 and 900": (make_points(12, 3, 4) + [[-2000.0], [0.0], [900.0]],),
            "rows with a small and a large value": (
                np.array([[-2000.0, 0.0], [0.0, -2000.0], [-600.0, 600.0]]),
            ),
        },
        mistakes=(
            _log_of_naive_sum,
            _largest_not_put_back,
            _largest_of_all_rows,
            _mean_taken_out,
            _smallest_taken_out,
            _first_taken_out,
        ),
        rtol=1e-9,
        atol=1e-12,
    )
)


# M step


def m_step_diagonal(
    points: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counts = shares.sum(axis=0)  # (K,)
    means = shares.T @ points / counts[:, None]  # (K, D)
    squares = (points[:, None] - means) ** 2  # (N, K, D), about the new means
    variances = (shares[:, :, None] * squares).sum(axis=0) / counts[:, None]  # (K, D)
    return counts / len(points), means, variances


@mistake("Divide a component's sums by its own count N_k, not by all N points.")
def _m_step_over_all_points(points, shares):
    means = shares.T @ points / len(points)
    variances = (shares[:, :, None] * (points[:, None] - means) ** 2).sum(axis=0) / len(points)
    return shares.mean(axis=0), means, variances


@mistake("You divide the means by N. Divide the means of component k by its own count N_k.")
def _m_step_means_over_all_points(points, shares):
    weights, _, variances = m_step_diagonal(points, shares)
    return weights, shares.T @ points / len(points), variances


@mistake("You divide the means by N: divide them by N_k, before the variances need them.")
def _m_step_about_means_over_all_points(points, shares):
    counts = shares.sum(axis=0)
    means = shares.T @ points / len(points)
    squares = (points[:, None] - means) ** 2
    variances = (shares[:, :, None] * squares).sum(axis=0) / counts[:, None]
    return counts / len(points), means, variances


@mistake("Your variances are about the mean of all points: subtract the component's new mean.")
def _m_step_about_the_middle(points, shares):
    weights, means, _ = m_step_diagonal(points, shares)
    squares = (points - points.mean(axis=0)) ** 2
    return weights, means, shares.T @ squares / shares.sum(axis=0)[:, None]


@mistake("You return standard deviations: leave the squares as they are.")
def _m_step_with_deviations(points, shares):
    weights, means, variances = m_step_diagonal(points, shares)
    return weights, means, np.sqrt(variances)


@mistake("The variances forget the shares: every component got all points alike.")
def _m_step_unweighted_variance(points, shares):
    weights, means, _ = m_step_diagonal(points, shares)
    return weights, means, ((points[:, None] - means) ** 2).mean(axis=0)


@mistake("Your weights are counts; divide them by N, so that they sum to one.")
def _m_step_counts(points, shares):
    _, means, variances = m_step_diagonal(points, shares)
    return shares.sum(axis=0), means, variances


@mistake("The means are right. Divide the variances, too, by N_k, not by all N points.")
def _m_step_variance_over_all_points(points, shares):
    weights, means, variances = m_step_diagonal(points, shares)
    return weights, means, variances * weights[:, None]


@mistake("You divide the variances by N_k - 1. The maximum of the bound divides by N_k.")
def _m_step_with_one_point_less(points, shares):
    weights, means, variances = m_step_diagonal(points, shares)
    counts = shares.sum(axis=0)[:, None]
    return weights, means, variances * counts / (counts - 1)


@mistake("Your means are sums: divide the sum of component k by N_k.")
def _m_step_with_sums(points, shares):
    weights, means, variances = m_step_diagonal(points, shares)
    return weights, shares.T @ points, variances


@mistake("Your means are sums: divide them by N_k, before the variances need them.")
def _m_step_about_sums(points, shares):
    counts = shares.sum(axis=0)
    means = shares.T @ points
    squares = (points[:, None] - means) ** 2
    variances = (shares[:, :, None] * squares).sum(axis=0) / counts[:, None]
    return counts / len(points), means, variances


@mistake("You average the squares of the points: subtract the new mean before you square.")
def _m_step_without_centre(points, shares):
    weights, means, _ = m_step_diagonal(points, shares)
    return weights, means, shares.T @ points**2 / shares.sum(axis=0)[:, None]


register(
    Task(
        name="em.m_step_diagonal",
        title="The M step",
        text="""Given `points` (N, D) and `shares` (N, K), return `weights` (K,), `means` (K, D) and
        `variances` (K, D): the maximum of the bound for diagonal Gaussians.""",
        minutes=10,
        difficulty=2,
        hints=(
            """N_k is the sum of the shares of component k. Means and variances are averages:
            multiply by the shares, sum over the points, divide by N_k.""",
            """`shares.T @ points` sums the points of each component, (K, D). `(points[:, None] -
            means) ** 2` holds the squares, (N, K, D). The shape of `shares[:, :, None]` is
            (N, K, 1).""",
        ),
        solution=m_step_diagonal,
        cases=lambda: {
            "nine points, three components": (make_points(13, 9, 2) + 5, _shares(14, 9, 3)),
            "six points in four dimensions, two components": (
                make_points(15, 6, 4),
                _shares(16, 6, 2),
            ),
        },
        mistakes=(
            _m_step_over_all_points,
            _m_step_means_over_all_points,
            _m_step_about_means_over_all_points,
            _m_step_about_the_middle,
            _m_step_with_deviations,
            _m_step_unweighted_variance,
            _m_step_counts,
            _m_step_variance_over_all_points,
            _m_step_with_one_point_less,
            _m_step_with_sums,
            _m_step_about_sums,
            _m_step_without_centre,
        ),
        rtol=1e-9,
        atol=1e-12,
    )
)


# BIC


def bic_of_full_mixture(
    log_likelihood: float, num_points: int, num_components: int, num_features: int
) -> float:
    in_one_covariance = num_features * (num_features + 1) // 2  # a symmetric matrix: one triangle
    free = num_components * (num_features + in_one_covariance) + num_components - 1
    return free * np.log(num_points) - 2 * log_likelihood


@mistake("A covariance is symmetric: count one triangle of it, not all D * D.")
def _bic_with_square_matrices(log_likelihood, num_points, num_components, num_features):
    free = num_components * (num_features + num_features**2) + num_components - 1
    return free * np.log(num_points) - 2 * log_likelihood


@mistake("The last weight is not free: they sum to one, so K - 1 of them are.")
def _bic_with_every_weight(log_likelihood, num_points, num_components, num_features):
    correct = bic_of_full_mixture(log_likelihood, num_points, num_components, num_features)
    return correct + np.log(num_points)


@mistake("You forgot the weights: they have K - 1 free numbers.")
def _bic_without_weights(log_likelihood, num_points, num_components, num_features):
    correct = bic_of_full_mixture(log_likelihood, num_points, num_components, num_features)
    return correct - (num_components - 1) * np.log(num_points)


@mistake(
    "You count D numbers for a covariance, as if it were diagonal. A full one has D (D + 1) / 2."
)
def _bic_with_diagonals(log_likelihood, num_points, num_components, num_features):
    free = num_components * 2 * num_features + num_components - 1
    return free * np.log(num_points) - 2 * log_likelihood


@mistake("The sign is wrong: parameters raise the BIC, a good fit lowers it.")
def _bic_upside_down(log_likelihood, num_points, num_components, num_features):
    return -bic_of_full_mixture(log_likelihood, num_points, num_components, num_features)


@mistake("The log-likelihood counts twice: the criterion is on the scale of -2 log p.")
def _bic_with_half_the_fit(log_likelihood, num_points, num_components, num_features):
    correct = bic_of_full_mixture(log_likelihood, num_points, num_components, num_features)
    return correct + log_likelihood


@mistake("You multiply the fit by N. It is a sum over the points already.")
def _bic_with_fit_times_points(log_likelihood, num_points, num_components, num_features):
    fit = log_likelihood * num_points
    return bic_of_full_mixture(fit, num_points, num_components, num_features)


register(
    Task(
        name="em.bic",
        title="The penalty for a component",
        text="""Return the Bayesian information criterion of a mixture with full covariances:
        (number of free parameters) * log(N) - 2 * (log-likelihood summed over the points). The
        argument `log_likelihood` is this sum. Lower is better.""",
        minutes=8,
        difficulty=2,
        hints=(
            """Count what can be chosen freely: K means, K symmetric matrices, and weights that must
            sum to one.""",
            "A symmetric D x D matrix has D (D + 1) / 2 free numbers; K weights have K - 1.",
        ),
        solution=bic_of_full_mixture,
        cases=lambda: {
            "three components in the plane": (-250.0, 100, 3, 2),
            "seven components of five features": (-1234.5, 1024, 7, 5),
        },
        mistakes=(
            _bic_with_square_matrices,
            _bic_with_every_weight,
            _bic_without_weights,
            _bic_with_diagonals,
            _bic_upside_down,
            _bic_with_half_the_fit,
            _bic_with_fit_times_points,
        ),
    )
)
