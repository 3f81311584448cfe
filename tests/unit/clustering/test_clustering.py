"""Classic clustering: equal to scikit-learn step for step, monotone, equivariant, and clear when it
cannot run.
"""

import warnings

import numpy as np
import pytest
import sklearn.cluster
import sklearn.mixture
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning

from smm_tutorial.clustering import (
    COVARIANCE_TYPES,
    GaussianMixtureEM,
    KMeans,
    Parameters,
    SoftKMeans,
    e_step,
    k_means_plus_plus,
    log_gaussians,
    m_step,
)

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


# -------------------------------------------------------------------------------------------
# equality with scikit-learn
@all_covariance_types
def test_em_equals_sklearn_after_every_iteration(covariance_type):
    points = overlapping_points()
    same_start = start(covariance_type, points)
    elsewhere = overlapping_points(seed=1)
    history = GaussianMixtureEM(K, tol=0, max_iter=20, **same_start).fit(points).history_
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
        np.testing.assert_allclose(
            bounds, [*theirs.lower_bounds_, theirs.score(points)], rtol=0, atol=1e-8
        )
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
    np.testing.assert_allclose(
        means.ravel(), [20, 100.3, 0, 99.4]
    )  # 20 is all that the first cluster has left


def test_with_fewer_distinct_points_than_clusters_an_empty_one_stays_where_it_was():
    model = KMeans(3, init=[[0.0], [5.0], [9.0]]).fit([[0.0], [0.0], [0.0], [5.0]])
    np.testing.assert_array_equal(model.cluster_centers_.ravel(), [0, 5, 9])
    assert model.converged_ and model.inertia_ == 0


# ---------------------------------------------------------------------------------------------------- what always holds
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


@settings(max_examples=50, deadline=None)
@given(seed=seeds, temperature=st.floats(1e-3, 1e3))
def test_the_bound_of_soft_k_means_never_decreases(seed, temperature):
    points = overlapping_points(seed, num_points=80)
    model = SoftKMeans(K, temperature=temperature, tol=0, max_iter=15, random_state=seed).fit(
        points
    )
    bounds = np.array([step.lower_bound for step in model.history_])
    assert (np.diff(bounds) > -1e-12 * np.abs(bounds).max()).all()


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


# --------------------------------------------------------------------------------------------- soft
# k-means, in between
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


# -----------------------------------------------------------------------------------------------
# degenerate clusters
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


# ---------------------------------------------------------------------------------------------------------- the start
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
    points[0::3] = centres[0] + 0.01 * (
        points[0::3] - centres[0]
    )  # the first cluster is a hundred times narrower
    for order in ([0, 1, 2], [2, 0, 1]):
        model = GaussianMixtureEM(
            3, covariance_type="spherical", means_init=centres[order], max_iter=0
        ).fit(points)
        np.testing.assert_array_equal(model.means_, centres[order])
        assert np.argmin(model.covariances_) == order.index(0)
        assert model.n_iter_ == 0 and len(model.history_) == 1
        assert model.lower_bound_ == pytest.approx(model.score(points))


@pytest.mark.parametrize("seed", range(10))
def test_k_means_plus_plus_seeds_no_point_twice_while_others_are_left(seed):
    points = np.array([[0.0], [0.0], [0.0], [0.0], [0.0], [5.0], [100.0]])
    drawn = k_means_plus_plus(points, 3, np.random.default_rng(seed))
    assert sorted(drawn.ravel()) == [0, 5, 100]
    assert (
        len(k_means_plus_plus(points, 5, np.random.default_rng(seed))) == 5
    )  # fewer distinct points than seeds


def test_a_random_start_takes_no_point_twice():
    points = overlapping_points(num_points=12)
    model = KMeans(12, init="random", max_iter=0, random_state=0).fit(points)
    assert model.inertia_ == 0 and len(np.unique(model.labels_)) == 12


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


# ------------------------------------------------------------------------------------------------------ clear failures
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
