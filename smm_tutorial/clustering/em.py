"""Mixtures fitted by EM: `GaussianMixtureEM`, and `SoftKMeans`, its special case with all but the
means held fixed.
"""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from .checks import check_number, check_points, check_start, require_fitted
from .em_steps import COVARIANCE_TYPES, Parameters, e_step, m_step, normalise
from .kmeans import KMeans, k_means_plus_plus, squared_distances

LOWEST_TEMPERATURE = (
    1e-100  # a squared distance over less could overflow; the limit itself is KMeans
)


@dataclass(frozen=True)
class MixtureStep:
    """One entry of a mixture's `history_`: the parameters after t iterations and what an E step
    makes of them.

    `lower_bound` is the mean log-likelihood of a point, in nats, at these parameters: the E step
    makes EM's bound touch it. An entry stores its parameters (at most K D^2 numbers) and a
    reference to the points, which all entries share; `responsibilities (N, K)` are not stored but
    computed, by one E step, at each read.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    covariance_type: str
    lower_bound: float
    points: np.ndarray

    @property
    def responsibilities(self) -> np.ndarray:
        """p(component | point) at this entry's parameters, (N, K)."""
        parameters = Parameters(self.weights, self.means, self.covariances)
        return e_step(self.points, parameters, self.covariance_type)[1]


class _Mixture:
    """The EM loop and what a fitted mixture answers; subclasses say how to start and what the two
    steps are.
    """

    def __init__(self, n_components, tol, max_iter, means_init, random_state):
        check_number("n_components", n_components, Integral, 1)
        check_number("max_iter", max_iter, Integral, 0)
        check_number("tol", tol, Real, 0)
        self.n_components, self.tol, self.max_iter = n_components, tol, max_iter
        self.means_init, self.random_state = means_init, random_state

    def fit(self, points: ArrayLike) -> Self:
        """Alternate E and M steps on points (N, D) until the bound gains less than `tol`; returns
        the model.
        """
        points = check_points(points, num_components=self.n_components)
        parameters = self._start(points)
        history, self.converged_, previous_bound = [], False, -np.inf
        for _ in range(self.max_iter):
            log_likelihoods, responsibilities = self._e_step(points, parameters)
            lower_bound = float(log_likelihoods.mean())
            history.append(MixtureStep(*parameters, self.covariance_type, lower_bound, points))
            parameters = self._m_step(points, responsibilities, parameters)
            if abs(lower_bound - previous_bound) < self.tol:
                self.converged_ = True
                break
            previous_bound = lower_bound
        final_bound = float(self._e_step(points, parameters)[0].mean())
        history.append(MixtureStep(*parameters, self.covariance_type, final_bound, points))

        self.weights_, self.means_, self.covariances_ = parameters
        self.history_, self.n_iter_ = history, len(history) - 1
        self.lower_bound_ = history[max(self.n_iter_ - 1, 0)].lower_bound
        return self

    def score_samples(self, points: ArrayLike) -> np.ndarray:
        """log p(x) of each point (M, D) under the mixture, in nats -> (M,)."""
        return self._posterior(points)[0]

    def score(self, points: ArrayLike) -> float:
        """The mean log-likelihood of a point, in nats."""
        return float(self.score_samples(points).mean())

    def predict_proba(self, points: ArrayLike) -> np.ndarray:
        """Responsibilities p(component | point) of points (M, D) -> (M, K); rows sum to 1."""
        return self._posterior(points)[1]

    def predict(self, points: ArrayLike) -> np.ndarray:
        """The most responsible component of each point (M, D) -> (M,)."""
        return self.predict_proba(points).argmax(axis=1)

    def _posterior(self, points: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        require_fitted(self)
        points = check_points(points, num_features=self.means_.shape[1])
        return self._e_step(points, Parameters(self.weights_, self.means_, self.covariances_))


class SoftKMeans(_Mixture):
    """Soft k-means: every point belongs to every mean, by a softmax over its squared distances.

    The same as EM for a mixture with equal weights and one shared, fixed, spherical variance, the
    `temperature` (squared units of the points; 1 / temperature is MacKay's stiffness beta). As it
    tends to 0 the softmax becomes the nearest mean and this becomes k-means, except that a mean
    left without points stays where it was.

    Parameters: `n_components`, `temperature` >= 1e-100, `tol`, `max_iter`, `means_init (K, D)`
    (else k-means++ seeds), `random_state`. Attributes as in `GaussianMixtureEM`, with `weights_` =
    1 / K and `covariances_ (K,)` = temperature.

    Raises ValueError for points, starts and settings that cannot be used. Source: MacKay,
    "Information Theory, Inference, and Learning Algorithms", 2003, chapter 20, "soft K-means".
    """

    covariance_type = "spherical"

    def __init__(
        self,
        n_components: int = 1,
        *,
        temperature: float = 1.0,
        tol: float = 1e-3,
        max_iter: int = 100,
        means_init: ArrayLike | None = None,
        random_state: int | np.random.Generator | None = None,
    ):
        super().__init__(n_components, tol, max_iter, means_init, random_state)
        check_number("temperature", temperature, Real, LOWEST_TEMPERATURE)
        self.temperature = temperature

    def _start(self, points: np.ndarray) -> Parameters:
        if self.means_init is not None:
            means = check_start("means_init", self.means_init, (self.n_components, points.shape[1]))
        else:
            means = k_means_plus_plus(
                points, self.n_components, np.random.default_rng(self.random_state)
            )
        equal_weights = np.full(self.n_components, 1 / self.n_components)
        return Parameters(equal_weights, means, np.full(self.n_components, float(self.temperature)))

    def _e_step(self, points: np.ndarray, parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
        num_components, num_features = parameters.means.shape
        scores = -squared_distances(points, parameters.means) / (2 * self.temperature)  # (N, K)
        log_totals, responsibilities = normalise(scores)
        log_constant = np.log(num_components) + 0.5 * num_features * np.log(
            2 * np.pi * self.temperature
        )
        return log_totals - log_constant, responsibilities

    def _m_step(
        self, points: np.ndarray, responsibilities: np.ndarray, parameters: Parameters
    ) -> Parameters:
        counts = responsibilities.sum(axis=0)  # (K,)
        held = counts > 0
        means = parameters.means.copy()
        means[held] = (responsibilities.T @ points)[held] / counts[held, None]
        return parameters._replace(means=means)


class GaussianMixtureEM(_Mixture):
    """A mixture of K Gaussians, fitted by expectation-maximisation; scikit-learn's
    `GaussianMixture`, step for step.

    Parameters, with scikit-learn's meaning: `n_components`; `covariance_type`, "full", "tied",
    "diag" or "spherical"; `tol`, the gain of `lower_bound_` below which EM has converged;
    `reg_covar`, added to every variance; `max_iter`, where 0 keeps the start; `weights_init (K,)`,
    `means_init (K, D)`, `precisions_init` (inverse covariances, in the shape of the type);
    `random_state`, an int, a numpy Generator or None. One start a fit. What is not given comes from
    one M step on the clusters of `KMeans`, which itself starts at `means_init` if that is given, so
    that weights and covariances belong to those means.

    Attributes: `weights_ (K,)`, `means_ (K, D)`, `covariances_`, `n_iter_`, `converged_`,
    `history_` (list of `MixtureStep`), and `lower_bound_`, the mean log-likelihood of a point that
    the last iteration's E step found, so *before* its M step, as in scikit-learn;
    `history_[-1].lower_bound` is the one after it. With `reg_covar` = 0 the bound never decreases;
    the floor, which is no part of the likelihood, can cost a component near it a little.

    Raises ValueError for points, starts and settings that cannot be used, and when a component
    collapses to a covariance that is not positive definite. Sources: Dempster, Laird and Rubin,
    "Maximum likelihood from incomplete data via the EM algorithm", 1977; Bishop, "Pattern
    Recognition and Machine Learning", 2006, section 9.2.
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: int | np.random.Generator | None = None,
    ):
        super().__init__(n_components, tol, max_iter, means_init, random_state)
        check_number("reg_covar", reg_covar, Real, 0)
        if covariance_type not in COVARIANCE_TYPES:
            raise ValueError(
                f"covariance_type must be one of {', '.join(COVARIANCE_TYPES)}, got {covariance_type!r}"
            )
        self.covariance_type, self.reg_covar = covariance_type, reg_covar
        self.weights_init, self.precisions_init = weights_init, precisions_init

    def bic(self, points: ArrayLike) -> float:
        """Bayesian information criterion on points (M, D), in nats; lower is better. Source:
        Schwarz 1978, times -2.
        """
        log_likelihoods = self.score_samples(points)
        return float(
            -2 * log_likelihoods.sum() + self._num_parameters() * np.log(len(log_likelihoods))
        )

    def aic(self, points: ArrayLike) -> float:
        """Akaike information criterion on points (M, D), in nats; lower is better. Source: Akaike
        1974.
        """
        return float(-2 * self.score_samples(points).sum() + 2 * self._num_parameters())

    def _num_parameters(self) -> int:
        num_components, num_features = self.means_.shape
        triangle = num_features * (num_features + 1) // 2
        in_covariances = {
            "full": num_components * triangle,
            "tied": triangle,
            "diag": num_components * num_features,
            "spherical": num_components,
        }[self.covariance_type]
        return in_covariances + num_components * num_features + num_components - 1

    def _start(self, points: np.ndarray) -> Parameters:
        given = Parameters(
            self._checked_weights(),
            self._checked_means(points.shape[1]),
            self._checked_covariances(points.shape[1]),
        )
        if all(part is not None for part in given):
            return given
        seeds = "k-means++" if given.means is None else given.means
        clusters = KMeans(self.n_components, init=seeds, random_state=self.random_state).fit(points)
        found = m_step(
            points, clusters.history_[-1].responsibilities, self.covariance_type, self.reg_covar
        )
        return Parameters(
            *(
                mine if mine is not None else theirs
                for mine, theirs in zip(given, found, strict=True)
            )
        )

    def _checked_weights(self) -> np.ndarray | None:
        if self.weights_init is None:
            return None
        weights = check_start("weights_init", self.weights_init, (self.n_components,))
        if (weights < 0).any() or not np.isclose(weights.sum(), 1, rtol=0, atol=1e-8):
            raise ValueError(
                f"weights_init must be >= 0 and sum to 1, got the smallest {weights.min():g} and the sum "
                f"{weights.sum():g}: divide them by their sum"
            )
        return weights

    def _checked_means(self, num_features: int) -> np.ndarray | None:
        if self.means_init is None:
            return None
        return check_start("means_init", self.means_init, (self.n_components, num_features))

    def _checked_covariances(self, num_features: int) -> np.ndarray | None:
        """The inverse of `precisions_init`, or None."""
        if self.precisions_init is None:
            return None
        shape = {
            "full": (self.n_components, num_features, num_features),
            "tied": (num_features, num_features),
            "diag": (self.n_components, num_features),
            "spherical": (self.n_components,),
        }[self.covariance_type]
        precisions = check_start("precisions_init", self.precisions_init, shape)
        if self.covariance_type in ("diag", "spherical"):
            usable = (precisions > 0).all()
        else:
            transposed = np.swapaxes(precisions, -1, -2)
            usable = (
                np.allclose(precisions, transposed) and (np.linalg.eigvalsh(precisions) > 0).all()
            )
        if not usable:
            raise ValueError(
                "precisions_init must be positive, as matrices symmetric and positive definite, got others: "
                "pass inverse covariances, e.g. np.linalg.inv(covariances) or 1 / variances"
            )
        return (
            1 / precisions
            if precisions.ndim < 2 or self.covariance_type == "diag"
            else np.linalg.inv(precisions)
        )

    def _e_step(self, points: np.ndarray, parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
        return e_step(points, parameters, self.covariance_type)

    def _m_step(
        self, points: np.ndarray, responsibilities: np.ndarray, parameters: Parameters
    ) -> Parameters:
        return m_step(points, responsibilities, self.covariance_type, self.reg_covar)
