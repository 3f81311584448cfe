"""Classic clustering in numpy: k-means, soft k-means and EM for Gaussian mixtures.

Shapes: N points with D features, K components (clusters). `points (N, D)`, `means (K, D)`, `weights
(K,)`, `responsibilities (N, K)` with rows that sum to 1. Covariances by type, as in scikit-learn:

    full (K, D, D)    tied (D, D)    diag (K, D)    spherical (K,)

Names and meanings are scikit-learn's (`sklearn.cluster.KMeans`, `sklearn.mixture.GaussianMixture`);
all arithmetic is float64. Each model keeps `history_`, a list of n_iter_ + 1 steps: `history_[0]`
is the start, `history_[t]` the model after t iterations, and `means`, `responsibilities` of one
entry belong together.

A function that squares a distance subtracts first, (x - mu)^2, and never expands x^2 - 2 x mu +
mu^2: far from the origin the expanded form loses all its digits.
"""

from .em import GaussianMixtureEM, MixtureStep, SoftKMeans
from .em_steps import COVARIANCE_TYPES, Parameters, e_step, log_gaussians, m_step, normalise
from .kmeans import KMeans, KMeansStep, k_means_plus_plus, squared_distances

__all__ = [
    "COVARIANCE_TYPES",
    "GaussianMixtureEM",
    "KMeans",
    "KMeansStep",
    "MixtureStep",
    "Parameters",
    "SoftKMeans",
    "e_step",
    "k_means_plus_plus",
    "log_gaussians",
    "m_step",
    "normalise",
    "squared_distances",
]
