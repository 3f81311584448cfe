"""An iteration of `GaussianMixtureEM` against scikit-learn's, from the same start."""

import statistics
import time
import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from smm_tutorial.clustering import GaussianMixtureEM

NUM_POINTS, NUM_FEATURES, NUM_COMPONENTS = 20_000, 8, 10
ITERATIONS = 10  # EM iterations in one timed fit; both libraries run one more E step at the end
REPEATS = 9


def _points() -> np.ndarray:
    """(N, D) from K unit Gaussians that overlap a little."""
    rng = np.random.default_rng(0)
    centres = 2 * rng.normal(size=(NUM_COMPONENTS, NUM_FEATURES))
    labels = rng.integers(NUM_COMPONENTS, size=NUM_POINTS)
    return centres[labels] + rng.normal(size=(NUM_POINTS, NUM_FEATURES))


def _interleaved_seconds(points: np.ndarray, settings: dict) -> tuple[float, float]:
    """Median seconds of our fit and of scikit-learn's. They alternate: a busy moment hits both."""
    ours, theirs = [], []
    for repeat in range(REPEATS + 1):
        for estimator, seconds in ((GaussianMixtureEM, ours), (GaussianMixture, theirs)):
            began = time.perf_counter()
            estimator(NUM_COMPONENTS, **settings).fit(points)
            if repeat > 0:  # the first turn warms up
                seconds.append(time.perf_counter() - began)
    return statistics.median(ours), statistics.median(theirs)


def measure() -> Iterator[dict]:
    points = _points()
    sizes = f"N={NUM_POINTS} D={NUM_FEATURES} K={NUM_COMPONENTS}"
    unit_precisions = {
        "diag": np.ones((NUM_COMPONENTS, NUM_FEATURES)),
        "full": np.tile(np.eye(NUM_FEATURES), (NUM_COMPONENTS, 1, 1)),
        "tied": np.eye(NUM_FEATURES),
        "spherical": np.ones(NUM_COMPONENTS),
    }
    for covariance_type, precisions in unit_precisions.items():
        settings = dict(
            covariance_type=covariance_type,
            tol=0,  # never converged: both run all iterations
            max_iter=ITERATIONS,
            weights_init=np.full(NUM_COMPONENTS, 1 / NUM_COMPONENTS),
            means_init=points[:NUM_COMPONENTS],
            precisions_init=precisions,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            ours, theirs = _interleaved_seconds(points, settings)
        yield {
            "name": f"EM iteration, {covariance_type}, {sizes}",
            "value": ours / theirs,
            "unit": "x scikit-learn",
            "bar": "<= 1.2",
        }
