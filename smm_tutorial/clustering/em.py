"""Mixtures fitted by EM: `GaussianMixtureEM`, and `SoftKMeans`, where only the means are fitted."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from smm_tutorial.clustering.checks import check_number, check_points, check_start, require_fitted
from smm_tutorial.clustering.em_steps import COVARIANCE_TYPES, Parameters, e_step, m_step, normalise
from smm_tutorial.clustering.kmeans import KMeans, k_means_plus_plus, squared_distances

LOWEST_TEMPERATURE = 1e-100  # below, a quotient could overflow; for the limit 0 there is KMeans


@dataclass(frozen=True)
class MixtureStep:
    """One entry of a mixture's `history_`: the parameters after t iterations.

    `lower_bound` is the mean log-likelihood of a point, in nats, at these parameters: after an E
    step, EM's bound equals it. All entries share one array of points. `responsibilities` are not
    stored: each read computes them by one E step.
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
    """The EM loop, and the questions to a fitted mixture; subclasses define start and steps."""

    def __init__(self, n_components, tol, max_iter, means_init, random_state):
        check_number("n_components", n_components, Integral, 1)
        check_number("max_iter", max_iter, Integral, 0)
        check_number("tol", tol, Real, 0)
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.means_init = means_init
        self.random_state = random_state

    def fit(self, points: ArrayLike) -> Self:
        """Alternate E and M steps on points (N, D) until the bound gains less than `tol`."""
        points = check_points(points, num_components=self.n_components)
        parameters = self._start(points)
        history = []
        previous_bound = -np.inf
        self.converged_ = False
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
        self.history_ = history
        self.n_iter_ = len(history) - 1
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

    def _checked_means(self, num_features: int) -> np.ndarray | None:
        if self.means_init is None:
            return None
        return check_start("means_init", self.means_init, (self.n_components, num_features))

    def _posterior(self, points: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        require_fitted(self)
        points = check_points(points, num_features=self.means_.shape[1])
        return self._e_step(points, Parameters(self.weights_, self.means_, self.covariances_))


class SoftKMeans(_Mixture):
    """Soft k-means: every point belongs to every mean, by a softmax over its squared distances.

    It equals EM for a mixture with equal weights and one shared, fixed, spherical variance, the
    `temperature` (in squared units of the points; 1 / temperature is MacKay's stiffness beta). As
    the temperature tends to 0, soft k-means becomes k-means, except that a mean without points
    stays in its place.

    Parameters: `n_components`, `temperature` >= 1e-100, `tol`, `max_iter`, `means_init (K, D)`
    (default: k-means++ seeds), `random_state`. Attributes as in `GaussianMixtureEM`, with
    `weights_` = 1 / K and `covariances_ (K,)` = temperature.

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
        means = self._checked_means(points.shape[1])
        if means is None:
            generator = np.random.default_rng(self.random_state)
            means = k_means_plus_plus(points, self.n_components, generator)
        weights = np.full(self.n_components, 1 / self.n_components)
        return Parameters(weights, means, np.full(self.n_components, float(self.temperature)))

    def _e_step(self, points: np.ndarray, parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
        num_components, num_features = parameters.means.shape
        scores = -squared_distances(points, parameters.means) / (2 * self.temperature)  # (N, K)
        log_totals, responsibilities = normalise(scores)
        log_volume = 0.5 * num_features * np.log(2 * np.pi * self.temperature)
        return log_totals - (np.log(num_components) + log_volume), responsibilities

    def _m_step(
        self, points: np.ndarray, responsibilities: np.ndarray, parameters: Parameters
    ) -> Parameters:
        counts = responsibilities.sum(axis=0)  # (K,)
        has_points = counts > 0
        means = parameters.means.copy()
        means[has_points] = (responsibilities.T @ points)[has_points] / counts[has_points, None]
        return parameters._replace(means=means)


class GaussianMixtureEM(_Mixture):
    """A mixture of K Gaussians, fitted by expectation-maximisation.

    It equals scikit-learn's `GaussianMixture` step for step, from the same start.

    Parameters, with scikit-learn's meaning: `n_components`; `covariance_type`, "full", "tied",
    "diag" or "spherical"; `tol`, the gain of `lower_bound_` below which EM has converged;
    `reg_covar`, added to every variance; `max_iter`, where 0 keeps the start; `weights_init (K,)`,
    `means_init (K, D)`, `precisions_init` (inverse covariances, in the shape of the type);
    `random_state`, an int, a numpy Generator or None. A fit makes one start. What is not given
    comes from one M step on the clusters of `KMeans`. If `means_init` is given, `KMeans` starts
    there, so weights and covariances belong to those means.

    Attributes: `weights_ (K,)`, `means_ (K, D)`, `covariances_`, `n_iter_`, `converged_`,
    `history_` (list of `MixtureStep`) and `lower_bound_`. As in scikit-learn, `lower_bound_` is the
    mean log-likelihood of a point *before* the last M step; `history_[-1].lower_bound` is the one
    after it. With `reg_covar` = 0 the bound never decreases. A positive `reg_covar` is no part of
    the likelihood, so the bound of a narrow component can decrease a little.

    Raises ValueError for points, starts and settings that cannot be used, and if a component
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
            types = ", ".join(COVARIANCE_TYPES)
            raise ValueError(f"covariance_type must be one of {types}, got {covariance_type!r}")
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.weights_init = weights_init
        self.precisions_init = precisions_init

    def bic(self, points: ArrayLike) -> float:
        """Bayesian information criterion on points (M, D), in nats; lower is better.

        Source: Schwarz 1978, times -2.
        """
        log_likelihoods = self.score_samples(points)
        price = self._num_parameters() * np.log(len(log_likelihoods))
        return float(-2 * log_likelihoods.sum() + price)

    def aic(self, points: ArrayLike) -> float:
        """Akaike information criterion on points (M, D), in nats; lower is better (Akaike 1974)."""
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
        num_features = points.shape[1]
        weights = self._checked_weights()
        means = self._checked_means(num_features)
        covariances = self._checked_covariances(num_features)
        given = Parameters(weights, means, covariances)
        if all(part is not None for part in given):
            return given
        seeds = "k-means++" if means is None else means
        clusters = KMeans(self.n_components, init=seeds, random_state=self.random_state).fit(points)
        responsibilities = clusters.history_[-1].responsibilities
        found = m_step(points, responsibilities, self.covariance_type, self.reg_covar)
        return found._replace(
            **{name: part for name, part in given._asdict().items() if part is not None}
        )

    def _checked_weights(self) -> np.ndarray | None:
        if self.weights_init is None:
            return None
        weights = check_start("weights_init", self.weights_init, (self.n_components,))
        if (weights < 0).any() or not np.isclose(weights.sum(), 1, rtol=0, atol=1e-8):
            raise ValueError(
                f"weights_init must be >= 0 and sum to 1, got the smallest {weights.min():g} and "
                f"the sum {weights.sum():g}: divide them by their sum"
            )
        return weights

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
        are_matrices = self.covariance_type in ("full", "tied")
        if are_matrices:
            symmetric = np.allclose(precisions, np.swapaxes(precisions, -1, -2))
            usable = symmetric and (np.linalg.eigvalsh(precisions) > 0).all()
        else:
            usable = (precisions > 0).all()
        if not usable:
            raise ValueError(
                "precisions_init must be positive, as matrices symmetric and positive definite, "
                "got others: pass inverse covariances, e.g. np.linalg.inv(covariances) or "
                "1 / variances"
            )
        return np.linalg.inv(precisions) if are_matrices else 1 / precisions

    def _e_step(self, points: np.ndarray, parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
        return e_step(points, parameters, self.covariance_type)

    def _m_step(
        self, points: np.ndarray, responsibilities: np.ndarray, parameters: Parameters
    ) -> Parameters:
        return m_step(points, responsibilities, self.covariance_type, self.reg_covar)
