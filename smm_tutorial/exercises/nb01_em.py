"""Tasks of notebook 01: from k-means to EM for mixtures of Gaussians, in numpy."""

import numpy as np

from smm_tutorial.exercises.core import Case, Mistake, Task, register


def _points(seed: int, count: int, features: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, features)) * np.arange(1, features + 1)


def _shares(seed: int, count: int, components: int) -> np.ndarray:
    """Responsibilities (N, K), rows that sum to 1, nothing symmetric."""
    return np.random.default_rng(seed).dirichlet(np.arange(1, components + 1), size=count)


# ------------------------------------------------------------------------------------------------------------- nearest


def nearest_mean(points: np.ndarray, means: np.ndarray) -> np.ndarray:
    differences = points[:, None] - means  # (N, K, D)
    return (differences**2).sum(axis=2).argmin(axis=1)  # (N,)


def _nearest_point(points: np.ndarray, means: np.ndarray) -> np.ndarray:
    return ((points[:, None] - means) ** 2).sum(axis=2).argmin(axis=0)


def _farthest_mean(points: np.ndarray, means: np.ndarray) -> np.ndarray:
    return ((points[:, None] - means) ** 2).sum(axis=2).argmax(axis=1)


def _nearest_without_square(points: np.ndarray, means: np.ndarray) -> np.ndarray:
    return (points[:, None] - means).sum(axis=2).argmin(axis=1)


def _nearest_cases() -> list[Case]:
    return [
        Case("seven points, three means", (_points(0, 7, 2), _points(1, 3, 2))),
        Case("four points in five dimensions, two means", (_points(2, 4, 5), _points(3, 2, 5))),
    ]


register(
    Task(
        name="em.nearest_mean",
        title="The first half of k-means",
        text="Given `points` (N, D) and `means` (K, D), return the index (N,) of each point's nearest mean.",
        minutes=5,
        difficulty=1,
        hints=(
            "`points[:, None] - means` holds every difference; its shape is (N, K, D).",
            "Square, sum over the features (axis 2), and take `argmin` over the means (axis 1).",
        ),
        solution=nearest_mean,
        cases=_nearest_cases,
        mistakes=(
            Mistake(
                _nearest_point,
                "You ask for every mean which point is nearest; ask every point for its mean.",
            ),
            Mistake(_farthest_mean, "That is the farthest mean: `argmin`, not `argmax`."),
            Mistake(
                _nearest_without_square, "Signed differences cancel when summed: square them first."
            ),
        ),
    )
)


# ------------------------------------------------------------------------------------------------------ soft assignment


def soft_assignment(points: np.ndarray, means: np.ndarray, temperature: float) -> np.ndarray:
    squared = ((points[:, None] - means) ** 2).sum(axis=2)  # (N, K)
    shares = np.exp(-squared / (2 * temperature))
    return shares / shares.sum(axis=1, keepdims=True)


def _shares_of_points(points: np.ndarray, means: np.ndarray, temperature: float) -> np.ndarray:
    shares = np.exp(-((points[:, None] - means) ** 2).sum(axis=2) / (2 * temperature))
    return shares / shares.sum(axis=0, keepdims=True)


def _shares_without_half(points: np.ndarray, means: np.ndarray, temperature: float) -> np.ndarray:
    return soft_assignment(points, means, temperature / 2)


def _shares_of_plain_distances(
    points: np.ndarray, means: np.ndarray, temperature: float
) -> np.ndarray:
    shares = np.exp(-np.linalg.norm(points[:, None] - means, axis=2) / (2 * temperature))
    return shares / shares.sum(axis=1, keepdims=True)


def _shares_upside_down(points: np.ndarray, means: np.ndarray, temperature: float) -> np.ndarray:
    shares = np.exp(-((points[:, None] - means) ** 2).sum(axis=2) * temperature / 2)
    return shares / shares.sum(axis=1, keepdims=True)


def _soft_cases() -> list[Case]:
    return [
        Case("six points, three means, temperature 2", (_points(4, 6, 2), _points(5, 3, 2), 2.0)),
        Case(
            "five points, two means, temperature 0.5",
            (_points(6, 5, 3) / 3, _points(7, 2, 3) / 3, 0.5),
        ),
    ]


register(
    Task(
        name="em.soft_assignment",
        title="Sharing a point out",
        text="Return the shares (N, K) of soft k-means: each row is a softmax of `-d**2 / (2 * temperature)`, where d is "
        "the distance from a point of `points` (N, D) to a mean of `means` (K, D).",
        minutes=6,
        difficulty=1,
        hints=(
            "Squared distances as before, then `np.exp`, then divide; each point's shares must sum to one.",
            "`shares / shares.sum(axis=1, keepdims=True)`, with `shares = np.exp(-squared / (2 * temperature))`.",
        ),
        solution=soft_assignment,
        cases=_soft_cases,
        mistakes=(
            Mistake(
                _shares_of_points,
                "Your columns sum to one. Means compete for each point: normalise along a row.",
            ),
            Mistake(
                _shares_without_half,
                "A factor is off: divide the squared distance by *twice* the temperature.",
            ),
            Mistake(
                _shares_of_plain_distances,
                "The exponent holds the distance; it should hold its square.",
            ),
            Mistake(
                _shares_upside_down,
                "You multiply by the temperature; hot means vague, so divide by it.",
            ),
        ),
    )
)


# ----------------------------------------------------------------------------------------------------------- the bound


def lower_bound(log_joint: np.ndarray, shares: np.ndarray) -> float:
    log_shares = np.log(np.where(shares > 0, shares, 1))  # 0 log 0 = 0
    return float((shares * (log_joint - log_shares)).sum(axis=1).mean())


def _bound_without_entropy(log_joint: np.ndarray, shares: np.ndarray) -> float:
    return float((shares * log_joint).sum(axis=1).mean())


def _bound_with_entropy_subtracted(log_joint: np.ndarray, shares: np.ndarray) -> float:
    log_shares = np.log(np.where(shares > 0, shares, 1))
    return float((shares * (log_joint + log_shares)).sum(axis=1).mean())


def _bound_of_zero_times_infinity(log_joint: np.ndarray, shares: np.ndarray) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float((shares * (log_joint - np.log(shares))).sum(axis=1).mean())


def _bound_summed_over_points(log_joint: np.ndarray, shares: np.ndarray) -> float:
    return lower_bound(log_joint, shares) * len(shares)


def _bound_cases() -> list[Case]:
    one_hot = np.eye(3)[[0, 2, 2, 1]]
    return [
        Case("five points, three components", (-(_points(8, 5, 3) ** 2), _shares(9, 5, 3))),
        Case("shares of 0 and 1", (-(_points(10, 4, 3) ** 2), one_hot)),
    ]


register(
    Task(
        name="em.lower_bound",
        title="The bound",
        text="Given `log_joint` (N, K), the values log p(x, k), and any `shares` (N, K) whose rows sum to one, return the "
        "bound on the mean log-likelihood: the mean over points of the sum over k of q log(p(x, k) / q). "
        "A share of 0 contributes 0.",
        minutes=10,
        difficulty=2,
        hints=(
            "A logarithm of a ratio is a difference of logarithms. Sum over components, then average over points.",
            "`shares * (log_joint - log_shares)`; where a share is 0, put any finite number in place of its logarithm.",
        ),
        solution=lower_bound,
        cases=_bound_cases,
        mistakes=(
            Mistake(
                _bound_without_entropy,
                "The entropy is missing, - sum q log q: without it the bound never touches.",
            ),
            Mistake(
                _bound_with_entropy_subtracted,
                "The sign of the entropy is wrong: log(p / q) = log p - log q.",
            ),
            Mistake(
                _bound_of_zero_times_infinity,
                "0 * log 0 gave NaN: in the limit it is 0, and you must say so.",
            ),
            Mistake(
                _bound_summed_over_points,
                "Sum over the components, but take the mean over the points.",
            ),
        ),
    )
)


# -------------------------------------------------------------------------------------------------------- log-sum-exp


def log_sum_exp(values: np.ndarray) -> np.ndarray:
    largest = values.max(axis=1, keepdims=True)  # (N, 1)
    return (largest + np.log(np.exp(values - largest).sum(axis=1, keepdims=True)))[:, 0]


def _log_of_naive_sum(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", over="ignore"):
        return np.log(np.exp(values).sum(axis=1))


def _largest_not_put_back(values: np.ndarray) -> np.ndarray:
    return np.log(np.exp(values - values.max(axis=1, keepdims=True)).sum(axis=1))


def _largest_of_all_rows(values: np.ndarray) -> np.ndarray:
    largest = values.max()
    with np.errstate(divide="ignore"):
        return largest + np.log(np.exp(values - largest).sum(axis=1))


def _log_sum_exp_cases() -> list[Case]:
    return [
        Case("values near zero", (_points(11, 4, 3),)),
        Case(
            "rows near -2000, 0 and 900",
            (_points(12, 3, 4) + np.array([[-2000.0], [0.0], [900.0]]),),
        ),
    ]


register(
    Task(
        name="em.log_sum_exp",
        title="Log-sum-exp",
        text="Return `log(sum(exp(values)))` along each row of `values` (N, K), shape (N,), without overflow or underflow.",
        minutes=6,
        difficulty=2,
        hints=(
            "exp(a) = exp(m) exp(a - m) for any m. Which m makes the largest exponential exactly 1?",
            "`m = values.max(axis=1, keepdims=True)`; take it out before `np.exp`, add it back after `np.log`.",
        ),
        solution=log_sum_exp,
        cases=_log_sum_exp_cases,
        mistakes=(
            Mistake(
                _log_of_naive_sum,
                "exp(-2000) is 0 and exp(900) is infinite in float64: take the largest value out.",
            ),
            Mistake(
                _largest_not_put_back,
                "You took the largest value out and never put it back: add it to the log.",
            ),
            Mistake(
                _largest_of_all_rows,
                "One maximum for the whole table lets far rows underflow: one for each row.",
            ),
        ),
    )
)


# ------------------------------------------------------------------------------------------------------------ M step


def m_step_diagonal(
    points: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counts = shares.sum(axis=0)  # (K,)
    means = shares.T @ points / counts[:, None]  # (K, D)
    squares = (points[:, None] - means) ** 2  # (N, K, D), about the new means
    variances = (shares[:, :, None] * squares).sum(axis=0) / counts[:, None]  # (K, D)
    return counts / len(points), means, variances


def _m_step_over_all_points(
    points: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    means = shares.T @ points / len(points)
    variances = (shares[:, :, None] * (points[:, None] - means) ** 2).sum(axis=0) / len(points)
    return shares.mean(axis=0), means, variances


def _m_step_with_deviations(
    points: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    weights, means, variances = m_step_diagonal(points, shares)
    return weights, means, np.sqrt(variances)


def _m_step_unweighted_variance(
    points: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    weights, means, _ = m_step_diagonal(points, shares)
    return weights, means, ((points[:, None] - means) ** 2).mean(axis=0)


def _m_step_counts(
    points: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    _, means, variances = m_step_diagonal(points, shares)
    return shares.sum(axis=0), means, variances


def _m_step_cases() -> list[Case]:
    return [
        Case("nine points, three components", (_points(13, 9, 2) + 5, _shares(14, 9, 3))),
        Case(
            "six points in four dimensions, two components", (_points(15, 6, 4), _shares(16, 6, 2))
        ),
    ]


register(
    Task(
        name="em.m_step_diagonal",
        title="The M step",
        text="Given `points` (N, D) and `shares` (N, K), return `weights` (K,), `means` (K, D) and `variances` (K, D): the "
        "maximum of the bound for diagonal Gaussians.",
        minutes=10,
        difficulty=2,
        hints=(
            "A component has N_k = sum of its shares points. Everything else is an average with its shares as weights.",
            "`means = shares.T @ points / counts[:, None]`; the variances average `(points[:, None] - means) ** 2` alike.",
        ),
        solution=m_step_diagonal,
        cases=_m_step_cases,
        mistakes=(
            Mistake(
                _m_step_over_all_points,
                "Divide a component's sums by its own count N_k, not by all N points.",
            ),
            Mistake(
                _m_step_with_deviations,
                "You return standard deviations: leave the squares as they are.",
            ),
            Mistake(
                _m_step_unweighted_variance,
                "The variances forget the shares: every component got all points alike.",
            ),
            Mistake(
                _m_step_counts,
                "Your weights are counts; divide them by N, so that they sum to one.",
            ),
        ),
    )
)


# -------------------------------------------------------------------------------------------------------------- BIC


def bic_of_full_mixture(
    log_likelihood: float, num_points: int, num_components: int, num_features: int
) -> float:
    in_one_covariance = num_features * (num_features + 1) // 2  # a symmetric matrix: one triangle
    free = num_components * (num_features + in_one_covariance) + num_components - 1
    return free * np.log(num_points) - 2 * log_likelihood


def _bic_with_square_matrices(
    log_likelihood: float, num_points: int, num_components: int, num_features: int
) -> float:
    free = num_components * (num_features + num_features**2) + num_components - 1
    return free * np.log(num_points) - 2 * log_likelihood


def _bic_with_every_weight(
    log_likelihood: float, num_points: int, num_components: int, num_features: int
) -> float:
    correct = bic_of_full_mixture(log_likelihood, num_points, num_components, num_features)
    return correct + np.log(num_points)


def _bic_upside_down(
    log_likelihood: float, num_points: int, num_components: int, num_features: int
) -> float:
    return -bic_of_full_mixture(log_likelihood, num_points, num_components, num_features)


def _bic_with_half_the_fit(
    log_likelihood: float, num_points: int, num_components: int, num_features: int
) -> float:
    return (
        bic_of_full_mixture(log_likelihood, num_points, num_components, num_features)
        + log_likelihood
    )


def _bic_cases() -> list[Case]:
    return [
        Case("three components in the plane", (-250.0, 100, 3, 2)),
        Case("seven components of five features", (-1234.5, 1024, 7, 5)),
    ]


register(
    Task(
        name="em.bic",
        title="The price of a component",
        text="Return the Bayesian information criterion of a mixture with full covariances: "
        "(number of free parameters) * log(N) - 2 * (log-likelihood summed over the points). Lower is better.",
        minutes=8,
        difficulty=2,
        hints=(
            "Count what can be chosen freely: K means, K symmetric matrices, and weights that must sum to one.",
            "A symmetric D x D matrix has D (D + 1) / 2 free numbers; K weights have K - 1.",
        ),
        solution=bic_of_full_mixture,
        cases=_bic_cases,
        mistakes=(
            Mistake(
                _bic_with_square_matrices,
                "A covariance is symmetric: count one triangle of it, not all D * D.",
            ),
            Mistake(
                _bic_with_every_weight,
                "The last weight is not free: they sum to one, so K - 1 of them are.",
            ),
            Mistake(
                _bic_upside_down,
                "The sign is turned: parameters cost, likelihood pays, lower is better.",
            ),
            Mistake(
                _bic_with_half_the_fit,
                "The log-likelihood counts twice: the criterion is on the scale of -2 log p.",
            ),
        ),
    )
)
