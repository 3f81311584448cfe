"""Mixtures fitted by EM: `GaussianMixtureEM`, and `SoftKMeans`, which fits only the means."""

import warnings
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning

from smm_tutorial.arguments import check_whole, show_value
from smm_tutorial.clustering.checks import (
    LARGEST_VARIANCE,
    check_new_points,
    check_real,
    check_training_points,
    make_generator,
    note_features,
)
from smm_tutorial.clustering.em_steps import COVARIANCE_TYPES, Parameters, e_step, m_step, normalise
from smm_tutorial.clustering.kmeans import k_means_plus_plus, run_lloyd, squared_distances
from smm_tutorial.clustering.starts import check_means, check_weights, invert_precisions

LOWEST_TEMPERATURE = 1e-100  # below it a quotient could overflow; KMeans is the limit at 0


@dataclass(frozen=True)
class MixtureStep:
    """One entry of a mixture's `history_`: the parameters after t iterations.

    `lower_bound` is the mean log-likelihood of a point, in nats, with these parameters. After an E
    step the bound of EM equals this number. All entries share one array of points. An entry does
    not store its `responsibilities`: each access computes them by one E step.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    covariance_type: str
    lower_bound: float
    points: np.ndarray

    @property
    def responsibilities(self) -> np.ndarray:
        """p(component | point) with the parameters of this entry, (N, K)."""
        parameters = Parameters(self.weights, self.means, self.covariances)
        return e_step(self.points, parameters, self.covariance_type)[1]


class _Mixture(DensityMixin, BaseEstimator):
    """The EM loop, and the methods of a fitted mixture. Subclasses define the start and the steps.

    A subclass defines `_choose_start`, `_e_step` and `_m_step`.
    """

    def __init__(self, n_components, tol, max_iter, means_init, random_state):
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.means_init = means_init
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Alternates E and M steps on points (N, D) until the bound changes by less than `tol`.

        The method ignores `y`. It returns the model itself.
        """
        num_components = check_whole("n_components", self.n_components)
        max_iter = check_whole("max_iter", self.max_iter, least=0)
        tol = check_real("tol", self.tol)
        generator = make_generator(self.random_state)
        points = check_training_points(X, num_components)
        parameters = self._choose_start(points, num_components, generator)
        history = []
        previous_bound = -np.inf
        converged = False
        for _ in range(max_iter):
            lower_bound, responsibilities = self._bounded_e_step(points, parameters)
            history.append(MixtureStep(*parameters, self.covariance_type, lower_bound, points))
            parameters = self._m_step(points, responsibilities, parameters)
            if abs(lower_bound - previous_bound) < tol:
                converged = True
                break
            previous_bound = lower_bound
        final_bound, _ = self._bounded_e_step(points, parameters)
        history.append(MixtureStep(*parameters, self.covariance_type, final_bound, points))

        note_features(self, X, points)
        self.weights_, self.means_, self.covariances_ = parameters
        self.history_ = history
        self.converged_ = converged
        self.n_iter_ = len(history) - 1
        self.lower_bound_ = history[max(self.n_iter_ - 1, 0)].lower_bound
        if max_iter > 0 and tol > 0 and not converged:
            warnings.warn(
                f"EM has not converged after max_iter = {max_iter} iterations: raise max_iter or "
                "tol, or set tol to 0 for exactly max_iter iterations",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def fit_predict(self, X: ArrayLike, y: None = None) -> np.ndarray:
        """Fits points (N, D), then returns the most responsible component of each point (N,)."""
        return self.fit(X).predict(X)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Computes log p(x) of each point (M, D) under the mixture, in nats -> (M,)."""
        return self._posterior(X)[0]

    def score(self, X: ArrayLike, y: None = None) -> float:
        """Computes the mean log-likelihood of points (M, D), in nats per point."""
        return float(self.score_samples(X).mean())

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Computes p(component | point) for points (M, D) -> (M, K). Each row sums to 1."""
        return self._posterior(X)[1]

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Finds the most responsible component of each point (M, D) -> (M,)."""
        return self.predict_proba(X).argmax(axis=1)

    def _bounded_e_step(
        self, points: np.ndarray, parameters: Parameters
    ) -> tuple[float, np.ndarray]:
        """Computes the mean log-likelihood of a point, in nats, and responsibilities (N, K)."""
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow raises ValueError below
            log_likelihoods, responsibilities = self._e_step(
                points, parameters, self.covariance_type
            )
            lower_bound = float(log_likelihoods.mean())
        if not np.isfinite(lower_bound):
            raise ValueError(
                f"the mean log-likelihood of a point is {lower_bound}, float64 cannot hold the "
                "densities: rescale X and the start, e.g. to a variance of 1 for each feature, or "
                "start from wider components"
            )
        return lower_bound, responsibilities

    def _posterior(self, X: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        points = check_new_points(self, X)
        parameters = Parameters(self.weights_, self.means_, self.covariances_)
        kind = self.history_[-1].covariance_type  # the setting may have changed since the fit
        with np.errstate(over="ignore", invalid="ignore"):
            log_likelihoods, responsibilities = self._e_step(points, parameters, kind)
        lost = ~np.isfinite(log_likelihoods)
        if lost.any():
            raise ValueError(
                f"the point X[{lost.argmax()}] is so far from all components that float64 cannot "
                "hold its density: drop that point, or fit X in other units"
            )
        return log_likelihoods, responsibilities


class SoftKMeans(_Mixture):
    """Soft k-means: every point belongs to every mean, by a softmax over its squared distances.

    Soft k-means equals EM for a mixture with equal weights and one shared, fixed, spherical
    variance. This variance is the `temperature`, in squared units of the points. MacKay's stiffness
    beta is 1 / temperature. As the temperature tends to 0, soft k-means becomes k-means. There is
    one exception: a mean without points stays in its place.

    Parameters: `n_components`, `temperature` (from 1e-100 to 1e200), `tol`, `max_iter`,
    `means_init (K, D)` (by default k-means++ seeds) and `random_state`. Attributes, warnings and
    errors are those of `GaussianMixtureEM`. Here `weights_` is 1 / K, and `covariances_ (K,)` is
    the temperature.

    Source: MacKay, "Information Theory, Inference, and Learning Algorithms", 2003, chapter 20,
    "soft K-means".
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
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ):
        super().__init__(n_components, tol, max_iter, means_init, random_state)
        self.temperature = temperature

    def _choose_start(
        self, points: np.ndarray, num_components: int, generator: np.random.Generator
    ) -> Parameters:
        temperature = check_real(
            "temperature", self.temperature, LOWEST_TEMPERATURE, LARGEST_VARIANCE
        )
        if self.means_init is None:
            means = k_means_plus_plus(points, num_components, generator)
        else:
            means = check_means("means_init", self.means_init, (num_components, points.shape[1]))
        weights = np.full(num_components, 1 / num_components)
        return Parameters(weights, means, np.full(num_components, temperature))

    def _e_step(
        self, points: np.ndarray, parameters: Parameters, covariance_type: str
    ) -> tuple[np.ndarray, np.ndarray]:
        num_components, num_features = parameters.means.shape
        temperature = float(parameters.covariances[0])
        scores = -squared_distances(points, parameters.means) / (2 * temperature)  # (N, K)
        log_totals, responsibilities = normalise(scores)
        log_volume = 0.5 * num_features * np.log(2 * np.pi * temperature)
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

    From the same start, each step equals that of scikit-learn's `GaussianMixture`.

    Parameters, with scikit-learn's meaning:

    - `n_components`: K.
    - `covariance_type`: "full", "tied", "diag" or "spherical".
    - `tol`: EM has converged if `lower_bound_` changes by less than this number, in nats per point.
    - `reg_covar`: added to every variance, in squared units of the points.
    - `max_iter`: the largest number of iterations; 0 keeps the start.
    - `weights_init (K,)`, `means_init (K, D)` and `precisions_init` (inverse covariances, in the
      shape of the type): the start. The k-means algorithm and one M step on its clusters give the
      missing parts. Given means are the start of k-means, so that weights and covariances belong
      to them. A fit makes only one start.
    - `random_state`: an int, a numpy Generator or RandomState, or None.

    Attributes: `weights_ (K,)`, `means_ (K, D)`, `covariances_`, `n_iter_`, `converged_`,
    `history_` (list of `MixtureStep`) and `lower_bound_`. As in scikit-learn, `lower_bound_` is the
    mean log-likelihood of a point *before* the last M step. `history_[-1].lower_bound` is the mean
    log-likelihood after that step. With `reg_covar` = 0 the bound never decreases. A positive
    `reg_covar` is not part of the likelihood, so the bound of a narrow component can decrease a
    little.

    `fit` issues scikit-learn's ConvergenceWarning if EM has not converged after `max_iter`
    iterations. With `tol` = 0 there is no warning: `fit` then does exactly `max_iter` iterations.
    `fit` raises ValueError for unusable points, starts and settings. It also raises ValueError if a
    component collapses (its covariance is not positive definite), or if float64 cannot hold the
    densities. It raises TypeError for points that are not numbers.

    Sources: Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM
    algorithm", 1977; Bishop, "Pattern Recognition and Machine Learning", 2006, section 9.2.
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
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ):
        super().__init__(n_components, tol, max_iter, means_init, random_state)
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.weights_init = weights_init
        self.precisions_init = precisions_init

    def bic(self, X: ArrayLike) -> float:
        """Computes the Bayesian information criterion on points (M, D), in nats; lower is better.

        Source: Schwarz 1978. The value here is -2 times Schwarz's.
        """
        log_likelihoods = self.score_samples(X)
        price = self._num_parameters() * np.log(len(log_likelihoods))
        return float(-2 * log_likelihoods.sum() + price)

    def aic(self, X: ArrayLike) -> float:
        """Computes the Akaike information criterion on points (M, D), in nats; lower is better.

        Source: Akaike 1974.
        """
        return float(-2 * self.score_samples(X).sum() + 2 * self._num_parameters())

    def _num_parameters(self) -> int:
        num_components, num_features = self.means_.shape
        triangle = num_features * (num_features + 1) // 2
        in_covariances = {
            "full": num_components * triangle,
            "tied": triangle,
            "diag": num_components * num_features,
            "spherical": num_components,
        }[self.history_[-1].covariance_type]
        return in_covariances + num_components * num_features + num_components - 1

    def _choose_start(
        self, points: np.ndarray, num_components: int, generator: np.random.Generator
    ) -> Parameters:
        kind = self.covariance_type
        if not (isinstance(kind, str) and kind in COVARIANCE_TYPES):
            types = ", ".join(COVARIANCE_TYPES)
            raise ValueError(f"covariance_type must be one of {types}, got {show_value(kind)}")
        reg_covar = check_real("reg_covar", self.reg_covar, most=LARGEST_VARIANCE)
        num_features = points.shape[1]
        given = {}
        if self.weights_init is not None:
            given["weights"] = check_weights(self.weights_init, num_components)
        if self.means_init is not None:
            given["means"] = check_means(
                "means_init", self.means_init, (num_components, num_features)
            )
        if self.precisions_init is not None:
            given["covariances"] = invert_precisions(
                self.precisions_init, kind, num_components, num_features
            )
        if len(given) == len(Parameters._fields):
            return Parameters(**given)
        means = given.get("means")
        if means is None:
            means = k_means_plus_plus(points, num_components, generator)
        clusters, _ = run_lloyd(points, means)
        found = m_step(points, clusters[-1].responsibilities, kind, reg_covar)
        return found._replace(**given)

    def _e_step(
        self, points: np.ndarray, parameters: Parameters, covariance_type: str
    ) -> tuple[np.ndarray, np.ndarray]:
        return e_step(points, parameters, covariance_type)

    def _m_step(
        self, points: np.ndarray, responsibilities: np.ndarray, parameters: Parameters
    ) -> Parameters:
        return m_step(points, responsibilities, self.covariance_type, float(self.reg_covar))
