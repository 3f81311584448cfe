"""Classic clustering in numpy: k-means, soft k-means and EM for Gaussian mixtures.

The models use the names of `sklearn.cluster.KMeans` and `sklearn.mixture.GaussianMixture`, with the
same meaning. The models are scikit-learn estimators. They work in a Pipeline, in `clone`, and in a
grid search. Each model also keeps `history_`, a list of `n_iter_ + 1` steps: `history_[0]` is the
start, and `history_[t]` is the model after t iterations. `e_step` and `m_step` are the two steps of
EM as functions.

Shapes: N points with D features, K components (clusters). `points (N, D)`, `means (K, D)`,
`weights (K,)`, `responsibilities (N, K)` with rows that sum to 1. The shape of covariances depends
on their type:

    full (K, D, D)    tied (D, D)    diag (K, D)    spherical (K,)

All arithmetic is in float64, whatever type the points have. So `tol` and `reg_covar` mean the same
for all types. A fit ends with a finite model or with a ValueError. Squared distances are computed
as (x - mu)^2. The expanded form x^2 - 2 x mu + mu^2 would lose all its digits far from the origin.
"""

from smm_tutorial.clustering.em import GaussianMixtureEM, MixtureStep, SoftKMeans
from smm_tutorial.clustering.em_steps import (
    COVARIANCE_TYPES,
    Parameters,
    e_step,
    log_gaussians,
    m_step,
    normalise,
)
from smm_tutorial.clustering.kmeans import KMeans, KMeansStep, k_means_plus_plus

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
]
