"""k-means: Lloyd's two steps, k-means++ seeds, and the rule for empty clusters."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike

from .checks import check_number, check_points, check_start, require_fitted


@dataclass(frozen=True)
class KMeansStep:
    """One entry of `KMeans.history_`: `means (K, D)`, each point's nearest mean `labels (N,)`, and
    their `inertia`.
    """

    means: np.ndarray
    labels: np.ndarray
    inertia: float

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
    """Seeds (K, D): each next one is a point drawn with probability ~ its squared distance to the
    nearest seed so far.

    Source: Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", 2007, section
    2.2. (scikit-learn draws several candidates for each seed and keeps the best, so its seeds
    differ.)
    """
    seeds = [points[generator.integers(len(points))]]
    while len(seeds) < num_means:
        nearest = squared_distances(points, seeds).min(axis=1)  # (N,)
        total = nearest.sum()
        probabilities = (
            nearest / total if total > 0 else None
        )  # every point is a seed already: draw uniformly
        seeds.append(points[generator.choice(len(points), p=probabilities)])
    return np.stack(seeds)


def fill_empty_clusters(labels: np.ndarray, distances: np.ndarray, num_clusters: int) -> np.ndarray:
    """Labels (N,) in which each empty cluster has received the point farthest from its own mean.

    `distances (N,)` are each point's to its own mean. A cluster never gives its last point away,
    and a point that lies on its mean stays: with fewer distinct points than clusters, some clusters
    remain empty.
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
    """k-means by Lloyd's algorithm: assign each point to its nearest mean, move each mean to its
    points, repeat.

    Parameters, with scikit-learn's meaning: `n_clusters`; `init`, "k-means++", "random" (K
    different points) or an array (K, D); `max_iter`, where 0 keeps the start; `tol`, the summed
    squared movement of the means, in units of the mean feature variance, at or below which the
    iteration has converged; `random_state`, an int, a numpy Generator or None. One start a fit
    (scikit-learn's n_init=1). Equally near means: the first wins.

    Empty clusters: each takes the point that lies farthest from its own mean
    (`fill_empty_clusters`). That is scikit-learn's rule, but for one case: here no cluster gives
    its last point away. Where no point can move, the mean stays where it was.

    Attributes: `cluster_centers_ (K, D)`, `labels_ (N,)`, `inertia_` (summed squared distance to
    the nearest mean), `n_iter_`, `converged_`, `history_` (list of `KMeansStep`; the labels are
    stored, N integers a step).

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
            raise ValueError(
                f"init must be 'k-means++', 'random' or an array (n_clusters, features), got {init!r}"
            )
        self.n_clusters, self.init, self.max_iter, self.tol = n_clusters, init, max_iter, tol
        self.random_state = random_state

    def fit(self, points: ArrayLike) -> "KMeans":
        """Alternate Lloyd's two steps on points (N, D) until the means rest; returns the model."""
        points = check_points(points, num_components=self.n_clusters)
        smallest_move = self.tol * points.var(axis=0).mean()
        history, self.converged_ = [self._assign(points, self._start(points))], False
        for _ in range(self.max_iter):
            step = history[-1]
            means = self._update(points, step)
            history.append(self._assign(points, means))
            if np.sum((means - step.means) ** 2) <= smallest_move:
                self.converged_ = True
                break
        last = history[-1]
        self.cluster_centers_, self.labels_, self.inertia_ = last.means, last.labels, last.inertia
        self.history_, self.n_iter_ = history, len(history) - 1
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
