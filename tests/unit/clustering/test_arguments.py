"""What all models of clustering accept, what they refuse, and that a seed repeats a fit."""

import numpy as np
import pytest

from smm_tutorial.clustering import GaussianMixtureEM, KMeans, SoftKMeans
from tests.unit.clustering.examples import K, overlapping_points


@pytest.mark.parametrize(
    "model",
    [
        lambda random_state: KMeans(K, random_state=random_state),
        lambda random_state: KMeans(K, init="random", random_state=random_state),
        lambda random_state: SoftKMeans(K, random_state=random_state),
        lambda random_state: GaussianMixtureEM(K, random_state=random_state),
    ],
)
def test_a_seed_repeats_a_fit_and_the_global_generator_is_left_alone(model):
    points = overlapping_points()

    def start_means(random_state):
        return model(random_state).fit(points).history_[0].means

    global_state = np.random.get_state()[1].copy()
    np.testing.assert_array_equal(start_means(3), start_means(3))
    np.testing.assert_array_equal(start_means(3), start_means(np.random.default_rng(3)))
    generator = np.random.default_rng(3)
    assert not np.array_equal(start_means(generator), start_means(generator))
    np.testing.assert_array_equal(np.random.get_state()[1], global_state)


every_model = pytest.mark.parametrize(
    "model", [KMeans(3), SoftKMeans(3), GaussianMixtureEM(3)], ids=lambda m: type(m)
)


GOOD = np.arange(20.0).reshape(10, 2)


def with_value(value):
    points = GOOD.copy()
    points[4, 1] = value
    return points


@every_model
@pytest.mark.parametrize(
    ("points", "message"),
    [
        (with_value(np.nan), r"finite.*first is nan at \[4, 1\].*np.isfinite"),
        (with_value(np.inf), r"finite.*first is inf at \[4, 1\].*np.isfinite"),
        (with_value(-1e200), r"at most 1e\+100.*rescale"),
        (np.empty((0, 2)), r"empty, got shape \(0, 2\): pass at least one point"),
        (np.empty((5, 0)), r"empty, got shape \(5, 0\)"),
        (np.arange(10.0), r"got shape \(10,\): use points.reshape\(-1, 1\)"),
        (np.zeros((4, 2, 2)), r"got shape \(4, 2, 2\): use points.reshape\(-1, features\)"),
        (GOOD[:2], "3 components need at least as many points, got 2: ask for at most 2"),
        (GOOD.astype(complex), "real numbers, got dtype complex128"),
        (np.array([["a", "b"]] * 5), "real numbers, got dtype <U1"),
    ],
)
def test_points_that_cannot_be_used(model, points, message):
    with pytest.raises(ValueError, match=message):
        model.fit(points)


@pytest.mark.parametrize("model", [KMeans, SoftKMeans, GaussianMixtureEM])
def test_predicting_before_fit_or_for_other_features(model):
    with pytest.raises(
        ValueError, match=rf"{model.__name__} is not fitted yet: call fit\(points\) first"
    ):
        model(3).predict(GOOD)
    with pytest.raises(
        ValueError, match="must have the 2 features .* got 1: select the same columns"
    ):
        model(3).fit(GOOD).predict(GOOD[:, :1])
    with pytest.raises(ValueError, match="finite"):
        model(3).fit(GOOD).predict(with_value(np.nan))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: GaussianMixtureEM(2, covariance_type="round"),
            "one of full, tied, diag, spherical, got 'round'",
        ),
        (lambda: GaussianMixtureEM(0), "n_components must be an integer >= 1, got 0"),
        (lambda: GaussianMixtureEM(2.5), "n_components must be an integer >= 1, got 2.5"),
        (lambda: GaussianMixtureEM(2, tol=-1), "tol must be a finite number >= 0, got -1"),
        (
            lambda: GaussianMixtureEM(2, reg_covar=np.nan),
            "reg_covar must be a finite number >= 0, got nan",
        ),
        (lambda: GaussianMixtureEM(2, max_iter=-1), "max_iter must be an integer >= 0, got -1"),
        (
            lambda: SoftKMeans(2, temperature=0),
            "temperature must be a finite number >= 1e-100, got 0",
        ),
        (lambda: SoftKMeans(2, temperature=np.inf), "temperature must be a finite number"),
        (lambda: KMeans(0), "n_clusters must be an integer >= 1, got 0"),
        (
            lambda: KMeans(2, init="first"),
            "init must be 'k-means\\+\\+', 'random' or an array .* got 'first'",
        ),
    ],
)
def test_settings_that_cannot_be_used(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (KMeans(2, init=np.zeros((2, 3))), r"init must have shape \(2, 2\), got \(2, 3\)"),
        (KMeans(2, init=[[0, np.nan], [1, 1]]), "init must be finite"),
        (
            SoftKMeans(2, means_init=np.zeros((3, 2))),
            r"means_init must have shape \(2, 2\), got \(3, 2\)",
        ),
        (
            GaussianMixtureEM(2, means_init=np.zeros(2)),
            r"means_init must have shape \(2, 2\), got \(2,\)",
        ),
        (GaussianMixtureEM(2, means_init=np.full((2, 2), np.inf)), "means_init must be finite"),
        (
            GaussianMixtureEM(2, weights_init=np.ones(3) / 3),
            r"weights_init must have shape \(2,\), got \(3,\)",
        ),
        (
            GaussianMixtureEM(2, weights_init=[0.5, 0.6]),
            "sum to 1, .* 1.1: divide them by their sum",
        ),
        (
            GaussianMixtureEM(2, weights_init=[-0.5, 1.5]),
            "weights_init must be >= 0 .* smallest -0.5",
        ),
        (
            GaussianMixtureEM(2, precisions_init=np.ones((2, 2))),
            r"must have shape \(2, 2, 2\), got \(2, 2\)",
        ),
        (
            GaussianMixtureEM(2, covariance_type="diag", precisions_init=np.ones(2)),
            r"precisions_init must have shape \(2, 2\), got \(2,\)",
        ),
        (
            GaussianMixtureEM(2, covariance_type="tied", precisions_init=[[1, 2], [2, 1]]),
            "precisions_init must be positive, as matrices symmetric and positive definite",
        ),
        (
            GaussianMixtureEM(2, covariance_type="tied", precisions_init=[[1, 0.5], [0, 1]]),
            "symmetric and positive definite.*np.linalg.inv",
        ),
        (
            GaussianMixtureEM(2, covariance_type="spherical", precisions_init=[1, 0]),
            "precisions_init must be positive",
        ),
    ],
)
def test_starts_that_cannot_be_used(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(GOOD)


def test_points_may_be_lists_integers_or_single_precision():
    expected = KMeans(2, init=GOOD[:2]).fit(GOOD).cluster_centers_
    for points in (GOOD.tolist(), GOOD.astype(int), GOOD.astype(np.float32)):
        np.testing.assert_array_equal(
            KMeans(2, init=GOOD[:2]).fit(points).cluster_centers_, expected
        )
