"""k-means: Lloyd's two steps, k-means++ seeds, and the rule for empty clusters."""

import warnings
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning

from smm_tutorial.arguments import check_whole, show_value
from smm_tutorial.clustering.checks import (
    SMALLEST_SPREAD,
    check_new_points,
    check_real,
    check_training_points,
    make_generator,
    note_features,
)
from smm_tutorial.clustering.starts import check_means

MAX_ITER = 300
TOL = 1e-4


@dataclass(frozen=True)
class KMeansStep:
    """One entry of `KMeans.history_`: the clusters after t iterations."""

    means: np.ndarray  # (K, D)
    labels: np.ndarray  # (N,): the nearest mean of each point
    inertia: float  # sum over points of the squared distance to the nearest mean

    @property
    def responsibilities(self) -> np.ndarray:
        """The labels as one-hot rows (N, K). Each access computes them."""
        return np.eye(len(self.means))[self.labels]


def squared_distances(points: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Computes the squared distance of each point (N, D) to each mean (K, D) -> (N, K)."""
    return cdist(points, means, "sqeuclidean")


def k_means_plus_plus(
    points: np.ndarray, num_means: int, generator: np.random.Generator
) -> np.ndarray:
    """Draws K seeds (K, D) from the points (N, D), one after another.

    The probability of a point is proportional to its squared distance to the nearest seed so far.
    scikit-learn draws several candidates for each seed and keeps the best candidate, so its seeds
    differ.

    Source: Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", 2007, section
    2.2.
    """
    seeds = [points[generator.integers(len(points))]]
    nearest = np.full(len(points), np.inf)  # (N,)
    while len(seeds) < num_means:
        nearest = np.minimum(nearest, squared_distances(points, seeds[-1:])[:, 0])
        total = nearest.sum()
        # If every point already lies on a seed, draw uniformly.
        probabilities = nearest / total if total > 0 else None
        seeds.append(points[generator.choice(len(points), p=probabilities)])
    return np.stack(seeds)


def fill_empty_clusters(labels: np.ndarray, distances: np.ndarray, num_clusters: int) -> np.ndarray:
    """Gives each empty cluster the point that is farthest from its own mean -> new labels (N,).

    A cluster keeps its last point, and a point on its mean stays. So some clusters stay empty if
    there are fewer distinct points than clusters.

    labels: (N,), the cluster of each point. distances: (N,), squared, from each point to the mean
    of its cluster.
    """
    labels = labels.copy()
    sizes = np.bincount(labels, minlength=num_clusters)
    for empty in np.flatnonzero(sizes == 0):
        movable = (sizes[labels] > 1) & (distances > 0)
        if not movable.any():
            break
        farthest = np.argmax(np.where(movable, distances, -np.inf))
        sizes[labels[farthest]] -= 1
        sizes[empty] = 1
        labels[farthest] = empty
    return labels


def run_lloyd(
    points: np.ndarray, means: np.ndarray, max_iter: int = MAX_ITER, tol: float = TOL
) -> tuple[list[KMeansStep], bool]:
    """Alternates Lloyd's two steps until the means rest, at most `max_iter` times.

    Args:
        points: (N, D).
        means: (K, D), the start.
        max_iter: the largest number of iterations.
        tol: the means rest if their summed squared movement is at most `tol` times the mean
            variance of the features.

    Returns:
        The start and the step after each iteration, and whether the means rest.

    Raises:
        ValueError: the points lie so near each other that float64 cannot hold squared distances.
    """
    spread = np.ptp(points, axis=0).max()
    if 0 < spread < SMALLEST_SPREAD:
        raise ValueError(
            f"the points of X differ by at most {spread:g}, and float64 cannot hold the square of "
            f"that: rescale the points, e.g. X / {spread:g}"
        )
    smallest_move = tol * points.var(axis=0).mean()
    history = [assign_points(points, means)]
    for _ in range(max_iter):
        step = history[-1]
        means = update_means(points, step)
        history.append(assign_points(points, means))
        if np.sum((means - step.means) ** 2) <= smallest_move:
            return history, True
    return history, False


def assign_points(points: np.ndarray, means: np.ndarray) -> KMeansStep:
    """Assigns each point (N, D) to its nearest mean (K, D) -> the step with these means."""
    distances = squared_distances(points, means)  # (N, K)
    return KMeansStep(means, distances.argmin(axis=1), float(distances.min(axis=1).sum()))


def update_means(points: np.ndarray, step: KMeansStep) -> np.ndarray:
    """Fills empty clusters, then averages the points (N, D) of each cluster -> means (K, D)."""
    distances = np.sum((points - step.means[step.labels]) ** 2, axis=1)  # (N,)
    labels = fill_empty_clusters(step.labels, distances, len(step.means))
    means = step.means.copy()
    for k in np.unique(labels):
        means[k] = points[labels == k].mean(axis=0)
    return means


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """k-means by Lloyd's algorithm: assign points to their nearest means, average them, repeat.

    Parameters, with scikit-learn's meaning:

    - `n_clusters`: K.
    - `init`: "k-means++", "random" (K different points) or an array (K, D).
    - `max_iter`: the largest number of iterations; 0 keeps the start.
    - `tol`: the algorithm has converged if the summed squared movement of the means is at most
      `tol` times the mean variance of the features.
    - `random_state`: an int, a numpy Generator or RandomState, or None.

    A fit makes one start (scikit-learn's n_init=1). If two means are equally near to a point, the
    point belongs to the first of them.

    An empty cluster takes the point that is farthest from its own mean (`fill_empty_clusters`).
    This is scikit-learn's rule with one exception: no cluster gives its last point away. If no
    point can move, the empty cluster's mean stays in its place.

    Attributes: `cluster_centers_ (K, D)`, `labels_ (N,)`, `inertia_` (sum over points of the
    squared distance to the nearest mean), `n_iter_`, `converged_`, `history_` (list of
    `KMeansStep`).

    `fit` issues scikit-learn's ConvergenceWarning if the means still move after `max_iter`
    iterations, or if clusters stay empty. It raises ValueError for unusable points, starts and
    settings, and TypeError for points that are not numbers.

    Source: Lloyd, "Least squares quantization in PCM", 1982.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: str | ArrayLike = "k-means++",
        max_iter: int = MAX_ITER,
        tol: float = TOL,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ):
        self.n_clusters = n_clusters
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Alternates Lloyd's two steps on points (N, D) until the means rest. `y` is ignored.

        The method returns the model itself.
        """
        num_clusters = check_whole("n_clusters", self.n_clusters)
        max_iter = check_whole("max_iter", self.max_iter, least=0)
        tol = check_real("tol", self.tol)
        generator = make_generator(self.random_state)
        points = check_training_points(X, num_clusters)
        means = self._choose_start(points, num_clusters, generator)
        history, converged = run_lloyd(points, means, max_iter, tol)
        note_features(self, X, points)
        self.history_ = history
        self.converged_ = converged
        self.n_iter_ = len(history) - 1
        self.cluster_centers_ = history[-1].means
        self.labels_ = history[-1].labels
        self.inertia_ = history[-1].inertia
        if max_iter > 0:
            self._warn_of_weak_end(num_clusters)
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Finds the index of the nearest mean for each point (M, D) -> (M,)."""
        return self._squared_distances(X).argmin(axis=1)

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Computes the distance of each point (M, D) to each mean -> (M, K)."""
        return np.sqrt(self._squared_distances(X))

    def score(self, X: ArrayLike, y: None = None) -> float:
        """Computes minus the summed squared distance of points (M, D) to their nearest means."""
        return -float(self._squared_distances(X).min(axis=1).sum())

    @property
    def _n_features_out(self) -> int:
        """The number of columns of `transform`, for scikit-learn's `get_feature_names_out`."""
        return len(self.cluster_centers_)

    def _choose_start(
        self, points: np.ndarray, num_clusters: int, generator: np.random.Generator
    ) -> np.ndarray:
        if not isinstance(self.init, str):
            return check_means("init", self.init, (num_clusters, points.shape[1]))
        if self.init == "random":
            return points[generator.choice(len(points), num_clusters, replace=False)]
        if self.init == "k-means++":
            return k_means_plus_plus(points, num_clusters, generator)
        starts = "'k-means++', 'random' or an array (n_clusters, features)"
        raise ValueError(f"init must be {starts}, got {show_value(self.init)}")

    def _warn_of_weak_end(self, num_clusters: int) -> None:
        found = len(np.unique(self.labels_))
        if not self.converged_:
            problem = f"k-means has not converged after max_iter = {self.n_iter_} iterations: "
            remedy = "raise max_iter or tol"
        elif found < num_clusters:
            problem = f"only {found} of {num_clusters} clusters have points: "
            remedy = "X has too few different points, lower n_clusters"
        else:
            return
        # The warning points to the line that calls fit.
        warnings.warn(problem + remedy, ConvergenceWarning, stacklevel=3)

    def _squared_distances(self, X: ArrayLike) -> np.ndarray:
        points = check_new_points(self, X)
        return squared_distances(points, self.cluster_centers_)  # (M, K)
