"""The E step and the M step of EM for Gaussian mixtures, as functions of arrays."""

from contextlib import suppress
from typing import NamedTuple

import numpy as np

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
ROUNDING = 100 * np.finfo(np.float64).eps  # relative error that a mean over many points may carry


class Parameters(NamedTuple):
    """The parameters of a mixture: `weights (K,)`, `means (K, D)` and `covariances`.

    The shape of the covariances depends on their type: full (K, D, D), tied (D, D), diag (K, D),
    spherical (K,).
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


def cholesky_factors(
    means: np.ndarray, covariances: np.ndarray, covariance_type: str
) -> np.ndarray:
    """Computes L_k with Sigma_k = L_k L_k^T for each component -> (K, D, D).

    For diag and spherical covariances the result is only the diagonals of L_k, (K, D). If a matrix
    is not positive definite, its factor is zero.
    """
    num_components, num_features = means.shape
    if covariance_type in ("diag", "spherical"):
        variances = covariances if covariance_type == "diag" else covariances[:, None]
        return np.sqrt(np.broadcast_to(variances, means.shape))
    factors = np.zeros((num_components, num_features, num_features))
    for k, covariance in enumerate(np.broadcast_to(covariances, factors.shape)):
        with suppress(np.linalg.LinAlgError):
            factors[k] = np.linalg.cholesky(covariance)
    return factors


def refuse_collapsed(factors: np.ndarray, smallest: np.ndarray | float) -> None:
    """Raises `ValueError` if a spread of a component is at most `smallest`.

    The spreads of a component are the diagonal of its Cholesky factor.

    factors: (K, D, D) or (K, D), from `cholesky_factors`. smallest: a number or (K, D), in units of
    the points.
    """
    spreads = factors if factors.ndim == 2 else np.diagonal(factors, axis1=1, axis2=2)  # (K, D)
    collapsed = (spreads <= smallest).any(axis=1)
    if collapsed.any():
        raise ValueError(
            f"component {collapsed.argmax()} has collapsed, its covariance is not positive "
            "definite to float64's precision: raise reg_covar, lower n_components, or centre and "
            "rescale the points"
        )


def log_gaussians(
    points: np.ndarray, means: np.ndarray, covariances: np.ndarray, covariance_type: str
) -> np.ndarray:
    """Computes log N(x_n | mu_k, Sigma_k) of each point under each component -> (N, K), in nats.

    Raises `ValueError` if a covariance is not positive definite. Source: Bishop 2006, eq. (2.43).
    """
    num_points, num_features = points.shape
    factors = cholesky_factors(means, covariances, covariance_type)
    refuse_collapsed(factors, 0)
    log_densities = np.empty((num_points, len(means)), order="F")  # written column by column
    for k, factor in enumerate(factors):
        centred = points - means[k]  # (N, D)
        if factor.ndim == 2:
            whitened = centred @ np.linalg.inv(factor).T  # L^-1 (x - mu) for each row x
            mahalanobis = np.sum(whitened**2, axis=1)  # (N,)
            half_log_det = np.log(factor.diagonal()).sum()  # 1/2 log |Sigma_k|
        else:
            mahalanobis = centred**2 @ factor**-2
            half_log_det = np.log(factor).sum()
        log_densities[:, k] = -0.5 * (num_features * np.log(2 * np.pi) + mahalanobis) - half_log_det
    return log_densities


def normalise(log_joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Applies Bayes' rule to log p(x_n, k) (N, K) -> log p(x_n) (N,) and p(k | x_n) (N, K).

    The function subtracts the largest term of a row before exp (log-sum-exp). So the largest
    exponential of each row is 1. No row becomes 0/0, even if a point is far from every component.
    """
    largest = log_joint.max(axis=1, keepdims=True)  # (N, 1)
    responsibilities = np.exp(log_joint - largest)  # (N, K)
    totals = responsibilities.sum(axis=1, keepdims=True)  # (N, 1), between 1 and K
    responsibilities /= totals
    return (largest + np.log(totals))[:, 0], responsibilities


def e_step(
    points: np.ndarray, parameters: Parameters, covariance_type: str
) -> tuple[np.ndarray, np.ndarray]:
    """Computes the log-likelihood of each point (N,), in nats, and the responsibilities (N, K).

    points: (N, D). Raises `ValueError` if a covariance is not positive definite. Source: Bishop
    2006, eqs. (9.23) and (9.28).
    """
    weights, means, covariances = parameters
    # A weight of 0, or a density too small for float64, gives -inf: the responsibility is then 0.
    with np.errstate(divide="ignore", over="ignore"):
        log_joint = np.log(weights) + log_gaussians(points, means, covariances, covariance_type)
    return normalise(log_joint)


def m_step(
    points: np.ndarray, responsibilities: np.ndarray, covariance_type: str, reg_covar: float = 0.0
) -> Parameters:
    """Computes the parameters that maximise the bound for the given responsibilities.

    Source: Bishop 2006, eqs. (9.24) to (9.27). As in scikit-learn, the function adds ten float
    epsilons to each count N_k. So a component without points gets a weight near 0, the mean 0 and
    the variance `reg_covar`; it does not get NaN.

    Args:
        points: (N, D).
        responsibilities: (N, K).
        covariance_type: one of `COVARIANCE_TYPES`.
        reg_covar: added to every variance, in squared units of the points.

    Raises:
        ValueError: a component has collapsed. Its spread along some axis is 0, or no larger than
            the rounding error of its mean. (Identical points can give a spread of 1e-16, not 0.)
    """
    num_features = points.shape[1]
    counts = responsibilities.sum(axis=0) + 10 * np.finfo(np.float64).eps  # (K,) N_k
    means = (responsibilities.T @ points) / counts[:, None]  # (K, D)
    weights = counts / counts.sum()

    if covariance_type in ("full", "tied"):
        covariances = np.empty((len(means), num_features, num_features))
        for k, mean in enumerate(means):
            centred = points - mean
            covariances[k] = (responsibilities[:, k] * centred.T) @ centred / counts[k]
        if covariance_type == "tied":
            covariances = np.einsum("k,kij->ij", weights, covariances)
        covariances += reg_covar * np.eye(num_features)
    else:
        covariances = np.empty(means.shape)
        for k, mean in enumerate(means):
            covariances[k] = responsibilities[:, k] @ (points - mean) ** 2 / counts[k]
        if covariance_type == "spherical":
            covariances = covariances.mean(axis=1)  # (K,)
        covariances += reg_covar

    factors = cholesky_factors(means, covariances, covariance_type)
    refuse_collapsed(factors, ROUNDING * np.abs(means))
    return Parameters(weights, means, covariances)
