"""EM for Gaussian mixtures: equal to scikit-learn step for step, monotone and equivariant."""

import warnings

import numpy as np
import pytest
import sklearn.mixture
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from smm_tutorial.clustering import GaussianMixtureEM, SoftKMeans, log_gaussians, m_step
from tests.unit.clustering.examples import (
    D,
    K,
    N,
    all_covariance_types,
    covariances_of_type,
    fit_sklearn,
    inverse,
    overlapping_points,
    seeds,
    start,
)


@all_covariance_types
def test_em_equals_sklearn_after_every_iteration(covariance_type):
    points = overlapping_points()
    same_start = start(covariance_type, points)
    elsewhere = overlapping_points(seed=1)
    history = GaussianMixtureEM(K, tol=0, max_iter=20, **same_start).fit(points).history_
    their_bounds = []
    for n in range(1, 21):
        theirs = fit_sklearn(
            sklearn.mixture.GaussianMixture(K, tol=0, max_iter=n, **same_start), points
        )
        ours = GaussianMixtureEM(K, tol=0, max_iter=n, **same_start).fit(points)
        for name in ("weights_", "means_", "covariances_"):
            np.testing.assert_allclose(
                getattr(ours, name), getattr(theirs, name), rtol=0, atol=1e-6
            )
            np.testing.assert_array_equal(getattr(ours, name), getattr(history[n], name[:-1]))
        bounds = [step.lower_bound for step in ours.history_]
        their_bounds.append(theirs.lower_bound_)
        np.testing.assert_allclose(bounds, [*their_bounds, theirs.score(points)], rtol=0, atol=1e-8)
        assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=0, abs=1e-8)
        assert ours.n_iter_ == theirs.n_iter_ == n
        assert not ours.converged_
        np.testing.assert_allclose(
            ours.score_samples(elsewhere), theirs.score_samples(elsewhere), rtol=0, atol=1e-8
        )
        np.testing.assert_allclose(
            ours.predict_proba(elsewhere), theirs.predict_proba(elsewhere), rtol=0, atol=1e-8
        )
        np.testing.assert_array_equal(ours.predict(elsewhere), theirs.predict(elsewhere))


@all_covariance_types
def test_em_stops_where_sklearn_stops_and_gives_its_criteria(covariance_type):
    points = overlapping_points()
    settings_of_both = dict(
        tol=1e-4, reg_covar=1e-3, max_iter=500, **start(covariance_type, points)
    )
    theirs = sklearn.mixture.GaussianMixture(K, **settings_of_both).fit(points)
    ours = GaussianMixtureEM(K, **settings_of_both).fit(points)
    assert theirs.n_iter_ > 5
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, True)
    for criterion in ("score", "bic", "aic"):
        assert getattr(ours, criterion)(points) == pytest.approx(
            getattr(theirs, criterion)(points), rel=1e-8
        )


@all_covariance_types
def test_densities_equal_scipys(covariance_type):
    points = overlapping_points()
    means = points[:K]
    covariances = covariances_of_type(covariance_type)
    matrices = {
        "full": lambda: covariances,
        "tied": lambda: [covariances] * K,
        "diag": lambda: [np.diag(variances) for variances in covariances],
        "spherical": lambda: [variance * np.eye(D) for variance in covariances],
    }[covariance_type]()
    expected = [
        multivariate_normal(mean, matrix).logpdf(points)
        for mean, matrix in zip(means, matrices, strict=True)
    ]
    np.testing.assert_allclose(
        log_gaussians(points, means, covariances, covariance_type),
        np.transpose(expected),
        rtol=1e-10,
    )


@all_covariance_types
@settings(max_examples=25, deadline=None)
@given(seed=seeds, scale=st.sampled_from([1e-3, 1.0, 1e4]))
def test_the_bound_never_decreases(covariance_type, seed, scale):
    points = scale * overlapping_points(seed, num_points=80)
    wide = points.var(axis=0).max() * {
        "full": np.tile(np.eye(D), (2, 1, 1)),
        "tied": np.eye(D),
    }.get(covariance_type, np.ones((2, D) if covariance_type == "diag" else 2))
    model = GaussianMixtureEM(
        2,
        covariance_type=covariance_type,
        tol=0,
        reg_covar=0,
        max_iter=15,
        weights_init=[0.5, 0.5],
        means_init=points[:2],
        precisions_init=inverse(wide, covariance_type),
    )
    try:
        model.fit(points)
    except ValueError as error:
        assert "has collapsed" in str(error)
        reject()  # rare: without the floor a component may shrink onto a single point
    assert (np.diff([step.lower_bound for step in model.history_]) > -1e-9).all()


@all_covariance_types
def test_order_of_points_and_of_components_is_carried_through(covariance_type):
    points = overlapping_points()
    same_start = start(covariance_type, points)
    model = GaussianMixtureEM(K, tol=0, max_iter=10, **same_start).fit(points)

    shuffle = np.random.default_rng(0).permutation(N)
    shuffled = GaussianMixtureEM(K, tol=0, max_iter=10, **same_start).fit(points[shuffle])
    np.testing.assert_allclose(shuffled.means_, model.means_, atol=1e-9)
    np.testing.assert_allclose(
        shuffled.history_[-1].responsibilities,
        model.history_[-1].responsibilities[shuffle],
        atol=1e-9,
    )

    order = np.array([2, 0, 3, 1])
    permuted_start = {
        name: value if name == "covariance_type" or np.shape(value) == (D, D) else value[order]
        for name, value in same_start.items()
    }
    permuted = GaussianMixtureEM(K, tol=0, max_iter=10, **permuted_start).fit(points)
    np.testing.assert_allclose(permuted.means_, model.means_[order], atol=1e-9)
    np.testing.assert_allclose(permuted.weights_, model.weights_[order], atol=1e-9)
    np.testing.assert_allclose(
        permuted.predict_proba(points), model.predict_proba(points)[:, order], atol=1e-9
    )


@all_covariance_types
def test_far_from_the_origin_the_fit_is_the_same(covariance_type):
    points = overlapping_points()
    offset = 1e6
    same_start = start(covariance_type, points)
    near = GaussianMixtureEM(K, tol=0, max_iter=5, **same_start).fit(points)
    far_start = same_start | {"means_init": same_start["means_init"] + offset}
    far = GaussianMixtureEM(K, tol=0, max_iter=5, **far_start).fit(points + offset)
    np.testing.assert_allclose(far.covariances_, near.covariances_, rtol=0, atol=1e-7)
    np.testing.assert_allclose(far.means_ - offset, near.means_, rtol=0, atol=1e-7)


@all_covariance_types
def test_an_entry_of_history_gives_the_next_one(covariance_type):
    points = overlapping_points()
    model = GaussianMixtureEM(
        K, covariance_type=covariance_type, tol=0, max_iter=6, random_state=0
    ).fit(points)
    points_as_fitted = points.copy()
    points[:] = np.nan  # the caller may reuse the array: history_ has its own
    assert len(model.history_) == model.n_iter_ + 1 == 7
    for now, then in zip(model.history_[:-1], model.history_[1:], strict=True):
        expected = m_step(points_as_fitted, now.responsibilities, covariance_type, reg_covar=1e-6)
        np.testing.assert_array_equal(then.weights, expected.weights)
        np.testing.assert_array_equal(then.means, expected.means)
        np.testing.assert_array_equal(then.covariances, expected.covariances)
    np.testing.assert_array_equal(
        model.predict_proba(points_as_fitted), model.history_[-1].responsibilities
    )
    assert all(step.points is model.history_[0].points for step in model.history_)


@all_covariance_types
def test_responsibilities_sum_to_one_however_far_the_point(covariance_type):
    points = overlapping_points()
    model = GaussianMixtureEM(K, covariance_type=covariance_type, random_state=0).fit(points)
    directions = np.random.default_rng(0).normal(size=(20, D))
    for distance in (1e2, 1e6, 1e12, 1e99):
        responsibilities = model.predict_proba(distance * directions)
        np.testing.assert_allclose(responsibilities.sum(axis=1), 1, rtol=0, atol=1e-12)
        assert (responsibilities >= 0).all()
        assert np.isfinite(model.score_samples(distance * directions)).all()
    soft = SoftKMeans(K, temperature=1e-3, random_state=0).fit(points)
    np.testing.assert_allclose(
        soft.predict_proba(1e99 * directions).sum(axis=1), 1, rtol=0, atol=1e-12
    )


@all_covariance_types
def test_a_collapsed_component_is_an_error_without_the_floor_and_as_wide_as_the_floor_with_it(
    covariance_type,
):
    same = np.tile([[1.0, 2.0]], (6, 1))
    apart = np.concatenate([same, same + 10])
    settings_of_both = dict(covariance_type=covariance_type, means_init=apart[[0, -1]])
    with pytest.raises(ValueError, match="component 0 has collapsed.*raise reg_covar"):
        GaussianMixtureEM(2, reg_covar=0, **settings_of_both).fit(apart)
    model = GaussianMixtureEM(2, reg_covar=0.25, **settings_of_both).fit(apart)
    floor = 0.25 * (np.eye(2) if covariance_type in ("full", "tied") else 1)
    np.testing.assert_allclose(
        model.covariances_, np.broadcast_to(floor, model.covariances_.shape), atol=1e-12
    )
    np.testing.assert_allclose(model.means_, apart[[0, -1]], atol=1e-12)


@all_covariance_types
def test_a_component_without_points_stays_finite_and_equals_sklearns(covariance_type):
    points = overlapping_points()
    same_start = start(covariance_type, points)
    same_start["means_init"] = np.concatenate([points[: K - 1], np.full((1, D), 1e4)])
    theirs = fit_sklearn(
        sklearn.mixture.GaussianMixture(K, tol=0, max_iter=5, **same_start), points
    )
    ours = GaussianMixtureEM(K, tol=0, max_iter=5, **same_start).fit(points)
    assert ours.weights_[-1] < 1e-12
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=0, atol=1e-6)


def test_a_weight_of_zero_means_no_responsibility():
    points = overlapping_points()
    same_start = start("diag", points) | {"weights_init": [0, 0.5, 0.25, 0.25]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        responsibilities = (
            GaussianMixtureEM(K, max_iter=0, **same_start).fit(points).predict_proba(points)
        )
    assert (responsibilities[:, 0] == 0).all()
    np.testing.assert_allclose(responsibilities.sum(axis=1), 1)


def separated_points(rng):
    centres = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]])
    return centres, centres[np.arange(90) % 3] + rng.normal(size=(90, 2))


@all_covariance_types
@pytest.mark.parametrize("seed", range(3))
def test_without_a_start_separated_clusters_are_found(covariance_type, seed):
    centres, points = separated_points(np.random.default_rng(seed))
    model = GaussianMixtureEM(3, covariance_type=covariance_type, random_state=seed).fit(points)
    assert sorted(model.predict(centres)) == [0, 1, 2]
    np.testing.assert_allclose(model.means_[model.predict(centres)], centres, atol=1)
    assert model.converged_


def test_given_means_keep_their_order_and_bring_their_own_covariances():
    centres, points = separated_points(np.random.default_rng(0))
    first = points[0::3]
    points[0::3] = centres[0] + 0.01 * (first - centres[0])  # a hundred times narrower
    for order in ([0, 1, 2], [2, 0, 1]):
        model = GaussianMixtureEM(
            3, covariance_type="spherical", means_init=centres[order], max_iter=0
        ).fit(points)
        np.testing.assert_array_equal(model.means_, centres[order])
        assert np.argmin(model.covariances_) == order.index(0)
        assert model.n_iter_ == 0 and len(model.history_) == 1
        assert model.lower_bound_ == pytest.approx(model.score(points))
