"""k-means: equal to scikit-learn step for step, and its rule for empty clusters."""

import numpy as np
import pytest
import sklearn.cluster
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smm_tutorial.clustering import KMeans, k_means_plus_plus
from tests.unit.clustering.examples import K, fit_sklearn, overlapping_points, seeds

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def assert_equals_sklearns_k_means(points, init, max_iter=300):
    theirs = fit_sklearn(
        sklearn.cluster.KMeans(
            len(init), init=init, n_init=1, algorithm="lloyd", max_iter=max_iter
        ),
        points,
    )
    ours = KMeans(len(init), init=init, max_iter=max_iter).fit(points)
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    np.testing.assert_array_equal(ours.predict(points), theirs.labels_)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-9)
    assert ours.n_iter_ == theirs.n_iter_
    return ours


@pytest.mark.parametrize("seed", range(5))
def test_k_means_equals_sklearn_after_every_iteration(seed):
    points = overlapping_points(seed)
    for max_iter in (1, 2, 3, 5, 300):
        ours = assert_equals_sklearns_k_means(points, points[:K], max_iter)
    assert ours.converged_ and ours.n_iter_ > 5


def test_k_means_fills_two_empty_clusters_as_sklearn_does():
    points = overlapping_points()
    nowhere_near = np.array([points[0], points[1], [1e3, 1e3, 1e3], [-1e3, 2e3, 1e3]])
    ours = assert_equals_sklearns_k_means(points, nowhere_near, max_iter=1)
    assert set(np.bincount(ours.history_[0].labels, minlength=K)[2:]) == {0}
    assert (np.bincount(ours.labels_, minlength=K) > 0).all()
    assert_equals_sklearns_k_means(points, nowhere_near)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_k_means_stops_early_where_sklearn_does_in_any_unit(scale):
    points = scale * overlapping_points()
    theirs = sklearn.cluster.KMeans(K, init=points[:K], n_init=1, algorithm="lloyd", tol=1e-2).fit(
        points
    )
    ours = KMeans(K, init=points[:K], tol=1e-2).fit(points)
    assert ours.converged_
    assert (
        1 < ours.n_iter_ == theirs.n_iter_ < KMeans(K, init=points[:K], tol=0).fit(points).n_iter_
    )


def test_an_empty_cluster_never_takes_the_last_point_of_another():
    points = np.array([[0.0], [20.0], [99.4], [100.0], [100.6]])
    means = KMeans(4, init=[[10.0], [100.0], [1e6], [2e6]], max_iter=1).fit(points).cluster_centers_
    # The first cluster keeps 20, its last point.
    np.testing.assert_allclose(means.ravel(), [20, 100.3, 0, 99.4])


def test_with_fewer_distinct_points_than_clusters_an_empty_one_stays_where_it_was():
    model = KMeans(3, init=[[0.0], [5.0], [9.0]]).fit([[0.0], [0.0], [0.0], [5.0]])
    np.testing.assert_array_equal(model.cluster_centers_.ravel(), [0, 5, 9])
    assert model.converged_ and model.inertia_ == 0


@settings(max_examples=100, deadline=None)
@given(
    points=arrays(
        np.float64, st.tuples(st.integers(4, 12), st.just(2)), elements=st.integers(0, 3)
    ),
    init=st.sampled_from(["k-means++", "random"]),
    seed=seeds,
)
def test_k_means_inertia_never_increases_even_with_repeated_points(points, init, seed):
    model = KMeans(4, init=init, random_state=seed).fit(points)
    assert (np.diff([step.inertia for step in model.history_]) < 1e-12).all()
    assert np.isfinite(model.cluster_centers_).all()
    assert model.converged_


@pytest.mark.parametrize("seed", range(10))
def test_k_means_plus_plus_seeds_no_point_twice_while_others_are_left(seed):
    points = np.array([[0.0], [0.0], [0.0], [0.0], [0.0], [5.0], [100.0]])
    drawn = k_means_plus_plus(points, 3, np.random.default_rng(seed))
    assert sorted(drawn.ravel()) == [0, 5, 100]
    more_than_distinct_points = k_means_plus_plus(points, 5, np.random.default_rng(seed))
    assert len(more_than_distinct_points) == 5


def test_a_random_start_takes_no_point_twice():
    points = overlapping_points(num_points=12)
    model = KMeans(12, init="random", max_iter=0, random_state=0).fit(points)
    assert model.inertia_ == 0 and len(np.unique(model.labels_)) == 12
