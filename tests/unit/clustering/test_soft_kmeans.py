"""Soft k-means: EM with one fixed spherical variance, between k-means and a single mean."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smm_tutorial.clustering import KMeans, Parameters, SoftKMeans, e_step, m_step
from tests.unit.clustering.examples import K, overlapping_points, seeds


@settings(max_examples=50, deadline=None)
@given(seed=seeds, temperature=st.floats(1e-3, 1e3))
def test_the_bound_of_soft_k_means_never_decreases(seed, temperature):
    points = overlapping_points(seed, num_points=80)
    model = SoftKMeans(K, temperature=temperature, tol=0, max_iter=15, random_state=seed).fit(
        points
    )
    bounds = np.array([step.lower_bound for step in model.history_])
    assert (np.diff(bounds) > -1e-12 * np.abs(bounds).max()).all()


@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
def test_soft_k_means_is_em_with_one_fixed_spherical_variance_and_equal_weights(temperature):
    points = overlapping_points()
    model = SoftKMeans(K, temperature=temperature, tol=0, max_iter=10, means_init=points[:K]).fit(
        points
    )
    fixed = Parameters(np.full(K, 1 / K), points[:K], np.full(K, temperature))
    for step in model.history_:
        np.testing.assert_allclose(step.means, fixed.means, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(step.weights, fixed.weights)
        np.testing.assert_array_equal(step.covariances, fixed.covariances)
        log_likelihoods, responsibilities = e_step(points, fixed, "spherical")
        assert step.lower_bound == pytest.approx(log_likelihoods.mean(), rel=1e-10)
        np.testing.assert_allclose(step.responsibilities, responsibilities, rtol=0, atol=1e-9)
        fixed = fixed._replace(means=m_step(points, responsibilities, "spherical").means)
    np.testing.assert_allclose(
        model.predict_proba(points), model.history_[-1].responsibilities, rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        model.score_samples(points),
        e_step(points, Parameters(model.weights_, model.means_, model.covariances_), "spherical")[
            0
        ],
    )


def test_soft_k_means_tends_to_k_means_as_the_temperature_tends_to_zero():
    points = overlapping_points()
    hard = KMeans(K, init=points[:K], tol=0).fit(points)
    distances = []
    for temperature in (1.0, 1e-2, 1e-6, 1e-90):
        soft = SoftKMeans(
            K, temperature=temperature, tol=0, max_iter=hard.n_iter_, means_init=points[:K]
        ).fit(points)
        pairs = zip(soft.history_, hard.history_, strict=True)
        distances.append(max(np.abs(ours.means - theirs.means).max() for ours, theirs in pairs))
    assert distances[0] > 0.1
    assert distances[2] < 1e-9 and distances[3] < 1e-9
    np.testing.assert_array_equal(
        soft.history_[-1].responsibilities, hard.history_[-1].responsibilities
    )
    np.testing.assert_array_equal(soft.predict(points), hard.labels_)


def test_hot_soft_k_means_puts_every_mean_on_the_mean_of_all_points():
    points = overlapping_points()
    model = SoftKMeans(K, temperature=1e6, tol=0, max_iter=3, means_init=points[:K]).fit(points)
    np.testing.assert_allclose(model.means_, np.tile(points.mean(axis=0), (K, 1)), atol=1e-4)


def test_a_soft_mean_without_points_stays_where_it_was():
    points = overlapping_points()
    lonely = np.array([1e3, 1e3, 1e3])
    model = SoftKMeans(2, temperature=1e-3, means_init=[points[0], lonely]).fit(points)
    np.testing.assert_array_equal(model.means_[1], lonely)
    np.testing.assert_allclose(model.means_[0], points.mean(axis=0))
