"""Points and starts that the tests of clustering share."""

import warnings

import numpy as np
import pytest
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from smm_tutorial.clustering import COVARIANCE_TYPES

N, D, K = 300, 3, 4
all_covariance_types = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
seeds = st.integers(0, 2**32 - 1)


def overlapping_points(seed=0, num_points=N):
    """Points (N, D) from K Gaussians of unlike shapes that overlap, so that EM moves for many
    iterations.
    """
    rng = np.random.default_rng(seed)
    centres = 1.5 * rng.normal(size=(K, D))
    shapes = rng.normal(size=(K, D, D))
    labels = rng.integers(K, size=num_points)
    return centres[labels] + np.einsum(
        "nij,nj->ni", shapes[labels], rng.normal(size=(num_points, D))
    )


def covariances_of_type(covariance_type, seed=0):
    """Positive definite covariances, unlike for each component, in the shape of their type."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(K, D, D))
    full = roots @ roots.transpose(0, 2, 1) + 0.5 * np.eye(D)
    variances = rng.uniform(0.5, 2, size=(K, D))
    return {"full": full, "tied": full[0], "diag": variances, "spherical": variances[:, 0]}[
        covariance_type
    ]


def inverse(covariances, covariance_type):
    return np.linalg.inv(covariances) if covariance_type in ("full", "tied") else 1 / covariances


def start(covariance_type, points, seed=0):
    """The same start for both libraries: unequal weights, K of the points as means, unlike
    precisions.
    """
    rng = np.random.default_rng(seed)
    return {
        "covariance_type": covariance_type,
        "weights_init": rng.dirichlet(np.full(K, 5.0)),
        "means_init": points[rng.choice(len(points), K, replace=False)],
        "precisions_init": inverse(covariances_of_type(covariance_type, seed), covariance_type),
    }


def fit_sklearn(estimator, points):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(points)
