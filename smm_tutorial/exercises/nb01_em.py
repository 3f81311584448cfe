"""Tasks of notebook 01: from k-means to EM for mixtures of Gaussians, in numpy."""

import numpy as np

from smm_tutorial.exercises.core import Task, mistake, register


def _points(seed: int, count: int, features: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, features)) * np.arange(1, features + 1)


def _shares(seed: int, count: int, components: int) -> np.ndarray:
    """Responsibilities (N, K), rows that sum to 1, nothing symmetric."""
    return np.random.default_rng(seed).dirichlet(np.arange(1, components + 1), size=count)


# nearest


def nearest_mean(points: np.ndarray, means: np.ndarray) -> np.ndarray:
    differences = points[:, None] - means  # (N, K, D)
    return (differences**2).sum(axis=2).argmin(axis=1)  # (N,)


@mistake("You ask for every mean which point is nearest; ask every point for its mean.")
def _nearest_point(points, means):
    return ((points[:, None] - means) ** 2).sum(axis=2).argmin(axis=0)


@mistake("That is the farthest mean: `argmin`, not `argmax`.")
def _farthest_mean(points, means):
    return ((points[:, None] - means) ** 2).sum(axis=2).argmax(axis=1)


@mistake("Signed differences cancel when summed: square them first.")
def _nearest_without_square(points, means):
    return (points[:, None] - means).sum(axis=2).argmin(axis=1)


register(
    Task(
        name="em.nearest_mean",
        title="The first half of k-means",
        text="""Given `points` (N, D) and `means` (K, D), return the index (N,) of each point's
        nearest mean.""",
        minutes=5,
        difficulty=1,
        hints=(
            "`points[:, None] - means` holds every difference; its shape is (N, K, D).",
            "Square, sum over the features (axis 2), and take `argmin` over the means (axis 1).",
        ),
        solution=nearest_mean,
        cases=lambda: {
            "seven points, three means": (_points(0, 7, 2), _points(1, 3, 2)),
            "four points in five dimensions, two means": (_points(2, 4, 5), _points(3, 2, 5)),
        },
        mistakes=(_nearest_point, _farthest_mean, _nearest_without_square),
    )
)


# soft assignment


def soft_assignment(points: np.ndarray, means: np.ndarray, temperature: float) -> np.ndarray:
    squared = ((points[:, None] - means) ** 2).sum(axis=2)  # (N, K)
    shares = np.exp(-squared / (2 * temperature))
    return shares / shares.sum(axis=1, keepdims=True)


@mistake("Your columns sum to one. Means compete for each point: normalise along a row.")
def _shares_of_points(points, means, temperature):
    shares = np.exp(-((points[:, None] - means) ** 2).sum(axis=2) / (2 * temperature))
    return shares / shares.sum(axis=0, keepdims=True)


@mistake("A factor is off: divide the squared distance by *twice* the temperature.")
def _shares_without_half(points, means, temperature):
    return soft_assignment(points, means, temperature / 2)


@mistake("The exponent holds the distance; it should hold its square.")
def _shares_of_plain_distances(points, means, temperature):
    shares = np.exp(-np.linalg.norm(points[:, None] - means, axis=2) / (2 * temperature))
    return shares / shares.sum(axis=1, keepdims=True)


@mistake("You multiply by the temperature; hot means vague, so divide by it.")
def _shares_upside_down(points, means, temperature):
    shares = np.exp(-((points[:, None] - means) ** 2).sum(axis=2) * temperature / 2)
    return shares / shares.sum(axis=1, keepdims=True)


register(
    Task(
        name="em.soft_assignment",
        title="Sharing a point out",
        text="""Return the shares (N, K) of soft k-means: each row is a softmax of `-d**2 / (2 *
        temperature)`, where d is the distance from a point of `points` (N, D) to a mean of `means`
        (K, D).""",
        minutes=6,
        difficulty=1,
        hints=(
            """Squared distances as before, then `np.exp`, then divide; each point's shares must sum
            to one.""",
            """`shares / shares.sum(axis=1, keepdims=True)`, with `shares = np.exp(-squared / (2 *
            temperature))`.""",
        ),
        solution=soft_assignment,
        cases=lambda: {
            "six points, three means, temperature 2": (_points(4, 6, 2), _points(5, 3, 2), 2.0),
            "five points, two means, temperature 0.5": (
                _points(6, 5, 3) / 3,
                _points(7, 2, 3) / 3,
                0.5,
            ),
        },
        mistakes=(
            _shares_of_points,
            _shares_without_half,
            _shares_of_plain_distances,
            _shares_upside_down,
        ),
    )
)


# the bound


def lower_bound(log_joint: np.ndarray, shares: np.ndarray) -> float:
    log_shares = np.log(np.where(shares > 0, shares, 1))  # 0 log 0 = 0
    return float((shares * (log_joint - log_shares)).sum(axis=1).mean())


@mistake("The entropy is missing, - sum q log q: without it the bound never touches.")
def _bound_without_entropy(log_joint, shares):
    return float((shares * log_joint).sum(axis=1).mean())


@mistake("The sign of the entropy is wrong: log(p / q) = log p - log q.")
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


def _bound_cases() -> dict[str, tuple]:
    one_hot = np.eye(3)[[0, 2, 2, 1]]
    return {
        "five points, three components": (-(_points(8, 5, 3) ** 2), _shares(9, 5, 3)),
        "shares of 0 and 1": (-(_points(10, 4, 3) ** 2), one_hot),
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
            """`shares * (log_joint - log_shares)`; where a share is 0, put any finite number in
            place of its logarithm.""",
        ),
        solution=lower_bound,
        cases=_bound_cases,
        mistakes=(
            _bound_without_entropy,
            _bound_with_entropy_subtracted,
            _bound_of_zero_times_infinity,
            _bound_summed_over_points,
        ),
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
            """`m = values.max(axis=1, keepdims=True)`; take it out before `np.exp`, add it back
            after `np.log`.""",
        ),
        solution=log_sum_exp,
        cases=lambda: {
            "values near zero": (_points(11, 4, 3),),
            "rows near -2000, 0 and 900": (_points(12, 3, 4) + [[-2000.0], [0.0], [900.0]],),
        },
        mistakes=(_log_of_naive_sum, _largest_not_put_back, _largest_of_all_rows),
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


register(
    Task(
        name="em.m_step_diagonal",
        title="The M step",
        text="""Given `points` (N, D) and `shares` (N, K), return `weights` (K,), `means` (K, D) and
        `variances` (K, D): the maximum of the bound for diagonal Gaussians.""",
        minutes=10,
        difficulty=2,
        hints=(
            """A component has N_k = sum of its shares points. Everything else is an average with
            its shares as weights.""",
            """`means = shares.T @ points / counts[:, None]`; the variances average `(points[:,
            None] - means) ** 2` alike.""",
        ),
        solution=m_step_diagonal,
        cases=lambda: {
            "nine points, three components": (_points(13, 9, 2) + 5, _shares(14, 9, 3)),
            "six points in four dimensions, two components": (_points(15, 6, 4), _shares(16, 6, 2)),
        },
        mistakes=(
            _m_step_over_all_points,
            _m_step_with_deviations,
            _m_step_unweighted_variance,
            _m_step_counts,
        ),
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


@mistake("The sign is turned: parameters cost, likelihood pays, lower is better.")
def _bic_upside_down(log_likelihood, num_points, num_components, num_features):
    return -bic_of_full_mixture(log_likelihood, num_points, num_components, num_features)


@mistake("The log-likelihood counts twice: the criterion is on the scale of -2 log p.")
def _bic_with_half_the_fit(log_likelihood, num_points, num_components, num_features):
    correct = bic_of_full_mixture(log_likelihood, num_points, num_components, num_features)
    return correct + log_likelihood


register(
    Task(
        name="em.bic",
        title="The price of a component",
        text="""Return the Bayesian information criterion of a mixture with full covariances:
        (number of free parameters) * log(N) - 2 * (log-likelihood summed over the points). Lower is
        better.""",
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
            _bic_upside_down,
            _bic_with_half_the_fit,
        ),
    )
)
