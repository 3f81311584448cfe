"""k-means: Lloyd's two steps, k-means++ seeds, and the rule for empty clusters."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from smm_tutorial.clustering.checks import check_number, check_points, check_start, require_fitted


@dataclass(frozen=True)
class KMeansStep:
    """One entry of `KMeans.history_`."""

    means: np.ndarray  # (K, D)
    labels: np.ndarray  # (N,): the nearest mean of each point
    inertia: float  # the summed squared distance of points to their nearest mean

    @property
    def responsibilities(self) -> np.ndarray:
        """The labels as one-hot rows (N, K), made at each read."""
        return np.eye(len(self.means))[self.labels]


def squared_distances(points: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Squared Euclidean distance of every point (N, D) to every mean (K, D) -> (N, K)."""
    return np.stack([np.sum((points - mean) ** 2, axis=1) for mean in means], axis=1)


def k_means_plus_plus(
    points: np.ndarray, num_means: int, generator: np.random.Generator
) -> np.ndarray:
    """Seeds (K, D), drawn from the points one after another.

    The probability of a point is proportional to its squared distance to the nearest seed so far.
    Source: Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", 2007, section
    2.2. scikit-learn draws several candidates for each seed and keeps the best, so its seeds
    differ.
    """
    seeds = [points[generator.integers(len(points))]]
    while len(seeds) < num_means:
        nearest = squared_distances(points, seeds).min(axis=1)  # (N,)
        total = nearest.sum()
        # If every point lies on a seed already, draw uniformly.
        probabilities = nearest / total if total > 0 else None
        seeds.append(points[generator.choice(len(points), p=probabilities)])
    return np.stack(seeds)


def fill_empty_clusters(labels: np.ndarray, distances: np.ndarray, num_clusters: int) -> np.ndarray:
    """Give each empty cluster the point that is farthest from its own mean; new labels (N,).

    `distances (N,)` are those of each point to its own mean. A cluster keeps its last point, and a
    point on its mean stays. So with fewer distinct points than clusters, some clusters stay empty.
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


class KMeans:
    """k-means by Lloyd's algorithm: assign points to their nearest means, average them, repeat.

    Parameters, with scikit-learn's meaning: `n_clusters`; `init`, "k-means++", "random" (K
    different points) or an array (K, D); `max_iter`, where 0 keeps the start; `tol`: the iteration
    has converged once the summed squared movement of the means, in units of the mean feature
    variance, is at most `tol`; `random_state`, an int, a numpy Generator or None. A fit makes one
    start (scikit-learn's n_init=1). Of equally near means the first one wins.

    An empty cluster takes the point that is farthest from its own mean (`fill_empty_clusters`).
    This is scikit-learn's rule with one exception: no cluster gives its last point away. If no
    point can move, the empty cluster's mean stays in its place.

    Attributes: `cluster_centers_ (K, D)`, `labels_ (N,)`, `inertia_` (summed squared distance to
    the nearest mean), `n_iter_`, `converged_`, `history_` (list of `KMeansStep`).

    Raises ValueError for points, starts and settings that cannot be used. Source: Lloyd, "Least
    squares quantization in PCM", 1982.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: str | ArrayLike = "k-means++",
        max_iter: int = 300,
        tol: float = 1e-4,
        random_state: int | np.random.Generator | None = None,
    ):
        check_number("n_clusters", n_clusters, Integral, 1)
        check_number("max_iter", max_iter, Integral, 0)
        check_number("tol", tol, Real, 0)
        if isinstance(init, str) and init not in ("k-means++", "random"):
            starts = "'k-means++', 'random' or an array (n_clusters, features)"
            raise ValueError(f"init must be {starts}, got {init!r}")
        self.n_clusters = n_clusters
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, points: ArrayLike) -> Self:
        """Alternate Lloyd's two steps on points (N, D) until the means rest."""
        points = check_points(points, num_components=self.n_clusters)
        smallest_move = self.tol * points.var(axis=0).mean()
        history = [self._assign(points, self._start(points))]
        self.converged_ = False
        for _ in range(self.max_iter):
            step = history[-1]
            means = self._update(points, step)
            history.append(self._assign(points, means))
            if np.sum((means - step.means) ** 2) <= smallest_move:
                self.converged_ = True
                break
        self.cluster_centers_ = history[-1].means
        self.labels_ = history[-1].labels
        self.inertia_ = history[-1].inertia
        self.history_ = history
        self.n_iter_ = len(history) - 1
        return self

    def predict(self, points: ArrayLike) -> np.ndarray:
        """The index of the nearest mean for each point (M, D) -> (M,)."""
        require_fitted(self)
        points = check_points(points, num_features=self.cluster_centers_.shape[1])
        return squared_distances(points, self.cluster_centers_).argmin(axis=1)

    def _start(self, points: np.ndarray) -> np.ndarray:
        generator = np.random.default_rng(self.random_state)
        if not isinstance(self.init, str):
            return check_start("init", self.init, (self.n_clusters, points.shape[1]))
        if self.init == "random":
            return points[generator.choice(len(points), self.n_clusters, replace=False)]
        return k_means_plus_plus(points, self.n_clusters, generator)

    def _assign(self, points: np.ndarray, means: np.ndarray) -> KMeansStep:
        distances = squared_distances(points, means)  # (N, K)
        return KMeansStep(means, distances.argmin(axis=1), float(distances.min(axis=1).sum()))

    def _update(self, points: np.ndarray, step: KMeansStep) -> np.ndarray:
        distances = np.sum((points - step.means[step.labels]) ** 2, axis=1)  # (N,)
        labels = fill_empty_clusters(step.labels, distances, self.n_clusters)
        means = step.means.copy()
        for k in np.unique(labels):
            means[k] = points[labels == k].mean(axis=0)
        return means
