"""A fit ends in a finite model or in an error that says why, whatever numbers it is given."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from smm_tutorial.clustering import COVARIANCE_TYPES, GaussianMixtureEM, KMeans, SoftKMeans
from tests.unit.clustering.examples import (
    D,
    K,
    all_covariance_types,
    covariances_of_type,
    inverse,
    overlapping_points,
    seeds,
    start,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

POINTS = overlapping_points()
TYPES = [
    *(np.float16, np.float32, np.float64, np.longdouble),
    *(bool, np.int8, np.uint8, np.int64, np.uint64, object),
]
NAMES_OF_CULPRITS = (
    r"^X |of X |X\[\d+\]|^component \d+ has collapsed|^(init|means_init|weights_init|"
    "precisions_init) |^the mean log-likelihood of a point is"
)


def assert_finite(model, points):
    """All that a fit leaves behind is finite, and so is what the model says of its own points."""
    steps = model.history_
    assert all(np.isfinite(step.means).all() for step in steps)
    assert np.isfinite(model.score(points))
    assert set(model.predict(points)) <= set(range(len(steps[-1].means)))
    if isinstance(model, KMeans):
        assert np.isfinite([step.inertia for step in steps]).all()
        assert np.isfinite(model.transform(points)).all()
        return
    assert np.isfinite([step.lower_bound for step in steps]).all()
    assert all(np.isfinite(step.weights).all() for step in steps)
    assert all(np.isfinite(step.covariances).all() for step in steps)
    for responsibilities in (model.predict_proba(points), steps[0].responsibilities):
        np.testing.assert_allclose(responsibilities.sum(axis=1), 1)


scales = st.one_of(
    st.sampled_from([1.0, 1e-3, 1e3]),
    st.integers(-323, 308).map(lambda exponent: float(f"1e{exponent}")),
)


@st.composite
def odd_points(draw):
    """Points (N, D) of any type, with a scale for each feature, often repeated, seldom whole."""
    count, features = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(seeds))
    points = rng.normal(size=(count, features))
    if draw(st.booleans()):
        points = np.round(points)
    units = [draw(scales) for _ in range(features)]
    offset = draw(scales) if draw(st.booleans()) else 0
    with np.errstate(all="ignore"):
        points = points * units + offset
        if draw(st.integers(0, 9)) == 0:
            points[rng.integers(count), 0] = draw(st.sampled_from([np.nan, np.inf, -1e300]))
        return points.astype(draw(st.sampled_from(TYPES)))


@st.composite
def odd_models(draw, features):
    """A model of any class, with odd settings, from an odd start or from its own."""
    count = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(seeds))
    of_both = {"tol": draw(st.sampled_from([0, 1e-3, 1e100])), "max_iter": draw(st.integers(0, 6))}
    of_both["random_state"] = 0
    means = None
    if draw(st.booleans()):
        with np.errstate(over="ignore"):
            means = draw(scales) * rng.normal(size=(count, features))
    kind = draw(st.sampled_from([KMeans, SoftKMeans, GaussianMixtureEM]))
    if kind is KMeans:
        return KMeans(count, init="k-means++" if means is None else means, **of_both)
    of_both["means_init"] = means
    if kind is SoftKMeans:
        return SoftKMeans(count, temperature=min(max(draw(scales), 1e-100), 1e200), **of_both)
    covariance_type = draw(st.sampled_from(COVARIANCE_TYPES))
    shape = {
        "full": (count, features, features),
        "tied": (features, features),
        "diag": (count, features),
        "spherical": (count,),
    }[covariance_type]
    precisions = np.broadcast_to(
        draw(scales) * (np.eye(features) if covariance_type in ("full", "tied") else 1), shape
    )
    return GaussianMixtureEM(
        count,
        covariance_type=covariance_type,
        reg_covar=draw(st.sampled_from([0, 1e-6, 1e-200, 1e200])),
        weights_init=rng.dirichlet(np.ones(count)) if draw(st.booleans()) else None,
        precisions_init=precisions if draw(st.booleans()) else None,
        **of_both,
    )


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_fit_ends_in_a_finite_model_or_in_an_error_that_names_its_cause(data):
    points = data.draw(odd_points())
    model = data.draw(odd_models(points.shape[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            model.fit(points)
        except (ValueError, TypeError) as error:
            with pytest.raises(type(error), match=NAMES_OF_CULPRITS):
                raise
        else:
            assert_finite(model, points)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (KMeans(K, init=np.full((K, D), 1e200)), r"init must be at most 1e\+100 .* got 1e\+200"),
        (SoftKMeans(K, means_init=np.full((K, D), -1e200)), r"means_init must be at most 1e\+100"),
        (GaussianMixtureEM(K, means_init=np.full((K, D), 1e101)), "means_init must be at most"),
        (
            GaussianMixtureEM(
                2,
                covariance_type="spherical",
                weights_init=[0.5, 0.5],
                means_init=np.full((2, D), 1e50),
                precisions_init=[1e250, 1e250],
            ),
            "mean log-likelihood of a point is .* rescale X and the start.* wider components",
        ),
        (
            GaussianMixtureEM(2, covariance_type="diag", precisions_init=np.full((2, D), 1e-320)),
            "precisions_init is so small that float64 cannot hold its inverse.* 9.99989e-321",
        ),
        (
            GaussianMixtureEM(2, covariance_type="tied", precisions_init=1e-310 * np.eye(D)),
            "precisions_init is so small",
        ),
        (
            GaussianMixtureEM(
                2, covariance_type="tied", precisions_init=np.eye(D) + [[0, 1e300, 0]] * D
            ),
            "precisions_init must be positive",
        ),
        (
            GaussianMixtureEM(2, covariance_type="tied", precisions_init=np.ones((D, D))),
            "precisions_init must be positive",
        ),
        (GaussianMixtureEM(2, weights_init=[1e308, 1e308]), "weights_init must be .* sum inf"),
        (GaussianMixtureEM(2, weights_init=[np.nan, 1]), "weights_init must be finite"),
    ],
)
def test_a_start_that_overflows_is_an_error_that_names_it(model, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message):
            model.fit(POINTS)


def test_a_point_too_far_for_float64_is_named():
    model = GaussianMixtureEM(2, reg_covar=0, random_state=0).fit(1e-100 * POINTS)
    far = np.concatenate([1e-100 * POINTS, [[1e99] * D]])
    for ask in (model.predict, model.predict_proba, model.score_samples, model.score):
        with pytest.raises(ValueError, match=r"X\[300\] is so far from all components"):
            ask(far)


def test_a_component_too_far_for_float64_has_no_responsibility():
    # Its squared distance, divided by its variance, overflows. That is the limit, not a fault.
    model = GaussianMixtureEM(
        2,
        covariance_type="spherical",
        weights_init=[0.5, 0.5],
        means_init=[[0.0] * D, [1e90] * D],
        precisions_init=[1, 1e200],
        max_iter=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        responsibilities = model.fit(POINTS).predict_proba(POINTS)
        np.testing.assert_array_equal(model.history_[0].responsibilities, responsibilities)
    np.testing.assert_array_equal(responsibilities, [[1, 0]] * len(POINTS))


@pytest.mark.parametrize("scale", [1e-323, 1e-310, 1e-160])
def test_points_whose_squared_distances_vanish_are_an_error(scale):
    points = scale * np.round(POINTS)
    for model in (KMeans(3), KMeans(3, init="random"), GaussianMixtureEM(3)):
        with pytest.raises(ValueError, match=r"float64 cannot hold the square .* rescale .* X / "):
            model.fit(points)


@pytest.mark.parametrize("scale", [2.0**-480, 2.0**-40, 2.0**320])
def test_k_means_does_not_depend_on_the_unit(scale):
    ours = KMeans(K, random_state=0).fit(scale * POINTS)
    plain = KMeans(K, random_state=0).fit(POINTS)
    np.testing.assert_array_equal(ours.labels_, plain.labels_)
    np.testing.assert_array_equal(ours.cluster_centers_, scale * plain.cluster_centers_)


@all_covariance_types
def test_a_start_may_be_in_the_unit_of_each_feature(covariance_type):
    units = np.array([1e-60, 1.0, 1e60])
    if covariance_type == "spherical":
        units = np.full(D, 1e60)
    unit_of_entry = {
        "full": np.outer(units, units),
        "tied": np.outer(units, units),
        "diag": units**2,
        "spherical": units[0] ** 2,
    }[covariance_type]
    same_start = start(covariance_type, POINTS) | {"reg_covar": 0, "tol": 0, "max_iter": 10}
    plain = GaussianMixtureEM(K, **same_start).fit(POINTS)
    same_start["means_init"] = units * same_start["means_init"]
    same_start["precisions_init"] = same_start["precisions_init"] / unit_of_entry
    ours = GaussianMixtureEM(K, **same_start).fit(units * POINTS)
    np.testing.assert_allclose(ours.means_, units * plain.means_, rtol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(units * POINTS), plain.predict_proba(POINTS))


def test_precisions_that_are_not_symmetric_are_refused_in_any_unit():
    skew = np.eye(D)
    skew[0, 1] = 0.5
    for unit in (1e-60, 1.0, 1e60):
        model = GaussianMixtureEM(K, covariance_type="tied", precisions_init=skew / unit**2)
        with pytest.raises(ValueError, match="precisions_init must be .* symmetric"):
            model.fit(unit * POINTS)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.longdouble])
@all_covariance_types
def test_a_start_needs_no_more_digits_than_its_type_has(covariance_type, kind):
    # In float32, seven equal weights sum to 1 + 1e-7, and an inverse is symmetric up to rounding.
    model = GaussianMixtureEM(7, weights_init=np.full(7, 1 / 7).astype(kind), random_state=0)
    weights = model.fit(POINTS).history_[0].weights
    assert weights.dtype == np.float64
    assert weights.sum() == pytest.approx(1, abs=1e-15)
    np.testing.assert_allclose(weights, 1 / 7)

    precisions = inverse(covariances_of_type(covariance_type), covariance_type).astype(kind)
    if covariance_type in ("full", "tied"):
        precisions[..., 0, 1] *= 1 + 2 * np.finfo(kind).eps
    given = {"covariance_type": covariance_type, "precisions_init": precisions, "max_iter": 0}
    covariances = GaussianMixtureEM(K, **given).fit(POINTS).covariances_
    np.testing.assert_allclose(
        covariances, covariances_of_type(covariance_type), rtol=0.2 if kind == np.float16 else 1e-4
    )


def test_weights_in_double_precision_must_sum_to_one_and_are_taken_as_they_are():
    weights = np.full(7, 1 / 7)
    model = GaussianMixtureEM(7, weights_init=weights, max_iter=0, random_state=0).fit(POINTS)
    np.testing.assert_array_equal(model.weights_, weights)
    for wrong in (weights + 1e-7, (weights + 1e-3).astype(np.float32)):
        with pytest.raises(ValueError, match="weights_init must be .* sum to 1"):
            clone(model).set_params(weights_init=wrong).fit(POINTS)


@pytest.mark.parametrize("model", [KMeans(K), SoftKMeans(K), GaussianMixtureEM(K)], ids=type)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int8, object])
def test_points_of_every_type_are_computed_in_double_precision(model, kind):
    points = (3 * POINTS).astype(kind)
    ours, plain = (
        clone(model).set_params(random_state=0, max_iter=5).fit(values)
        for values in (points, points.astype(np.float64))
    )
    assert ours.score(points) == plain.score(points.astype(np.float64))
    for mine, theirs in zip(ours.history_, plain.history_, strict=True):
        assert mine.means.dtype == np.float64
        np.testing.assert_array_equal(mine.means, theirs.means)


@pytest.mark.parametrize("value", [0.0, 5e-324, 1e-200, 1.0, 1e99])
def test_equal_points_make_a_finite_model_or_a_collapsed_one(value):
    points = np.full((6, 2), value)
    for model in (KMeans(3), SoftKMeans(3)):
        assert_finite(clone(model).set_params(random_state=0).fit(points), points)
    for covariance_type in COVARIANCE_TYPES:
        model = GaussianMixtureEM(3, covariance_type=covariance_type, random_state=0)
        with pytest.raises(ValueError, match="has collapsed.*raise reg_covar"):
            clone(model).set_params(reg_covar=0).fit(points)
        if value <= 1:
            assert_finite(model.fit(points), points)
