"""The models stand in scikit-learn's company: its own checks, its tools and its warnings."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone, is_clusterer
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from smm_tutorial.clustering import GaussianMixtureEM, KMeans, SoftKMeans
from tests.unit.clustering.examples import K, all_covariance_types, overlapping_points

POINTS = overlapping_points()
every_class = pytest.mark.parametrize("kind", [KMeans, SoftKMeans, GaussianMixtureEM])


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([KMeans(), SoftKMeans(), GaussianMixtureEM()])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def count_name(kind):
    return "n_clusters" if kind is KMeans else "n_components"


@every_class
def test_a_model_is_the_last_step_of_a_pipeline(kind):
    scaled = StandardScaler().fit_transform(POINTS)
    pipeline = make_pipeline(StandardScaler(), kind(K, random_state=0))
    alone = kind(K, random_state=0)
    np.testing.assert_array_equal(pipeline.fit_predict(POINTS), alone.fit_predict(scaled))
    np.testing.assert_array_equal(pipeline.predict(POINTS), alone.predict(scaled))
    assert pipeline.score(POINTS) == alone.score(scaled)


def test_k_means_is_also_a_step_before_others():
    model = KMeans(K, random_state=0).fit(POINTS)
    pipeline = make_pipeline(KMeans(K, random_state=0), StandardScaler())
    np.testing.assert_array_equal(
        pipeline.fit_transform(POINTS), StandardScaler().fit_transform(model.transform(POINTS))
    )
    assert list(pipeline[:1].get_feature_names_out()) == [f"kmeans{k}" for k in range(K)]


def test_k_means_transforms_to_distances_and_scores_by_them():
    model = KMeans(K, random_state=0).fit(POINTS)
    distances = np.linalg.norm(POINTS[:, None] - model.cluster_centers_, axis=2)
    np.testing.assert_allclose(model.transform(POINTS), distances)
    np.testing.assert_array_equal(model.transform(POINTS).argmin(axis=1), model.labels_)
    assert model.score(POINTS) == -model.inertia_
    assert model.score(POINTS[:9]) == pytest.approx(-(distances[:9].min(axis=1) ** 2).sum())


@every_class
def test_a_grid_search_finds_the_setting_of_the_best_score(kind):
    name = count_name(kind)
    search = GridSearchCV(kind(random_state=0), {name: [1, K]}, cv=3).fit(POINTS)
    scores = [cross_val_score(kind(count, random_state=0), POINTS, cv=3).mean() for count in (1, K)]
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], scores)
    assert search.best_params_ == {name: K}
    assert np.isfinite(search.score(POINTS))


@every_class
def test_a_clone_has_the_settings_and_nothing_of_the_fit(kind):
    settings = {count_name(kind): 3, "tol": 0.5, "random_state": np.random.default_rng(0)}
    model = kind(**settings).fit(POINTS, None)
    copy = clone(model)
    assert copy.get_params()["tol"] == 0.5
    with pytest.raises(NotFittedError, match=r"not fitted yet: call fit\(points\) first"):
        copy.predict(POINTS)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(POINTS), model.predict(POINTS))


def test_models_say_what_they_are():
    assert is_clusterer(KMeans()) and get_tags(KMeans()).transformer_tags is not None
    for model in (SoftKMeans(), GaussianMixtureEM()):
        assert get_tags(model).estimator_type == "density_estimator"
        assert not hasattr(model, "transform")


@every_class
def test_settings_are_judged_by_fit_and_may_be_wrong_before(kind):
    model = kind().set_params(**{count_name(kind): 0})
    with pytest.raises(ValueError, match=f"{count_name(kind)} must be a whole number"):
        model.fit(POINTS)
    model.set_params(**{count_name(kind): 2}).fit(POINTS)
    assert model.n_features_in_ == POINTS.shape[1]


@pytest.mark.parametrize(
    ("fitted", "changed"),
    [
        (GaussianMixtureEM(3, covariance_type="spherical"), {"covariance_type": "diag"}),
        (GaussianMixtureEM(3, covariance_type="diag"), {"covariance_type": "full"}),
        (SoftKMeans(3), {"temperature": 9.0}),
    ],
    ids=str,
)
def test_a_fitted_model_is_not_moved_by_new_settings(fitted, changed):
    # As many components as features: the shapes of two covariance types would fit each other.
    model = clone(fitted).set_params(random_state=0).fit(POINTS)
    before = model.predict_proba(POINTS), model.score(POINTS)
    criterion = model.bic(POINTS) if isinstance(model, GaussianMixtureEM) else None
    model.set_params(**changed)
    np.testing.assert_array_equal(model.predict_proba(POINTS), before[0])
    assert model.score(POINTS) == before[1]
    if criterion is not None:
        assert model.bic(POINTS) == criterion


@every_class
def test_a_fit_that_fails_leaves_the_earlier_model_as_it_was(kind, frames):
    model = kind(2, random_state=0).fit(Frame(POINTS, ["x", "y", "z"]))
    before = dict(vars(model))
    for points in (
        POINTS[:1, :1],
        Frame(POINTS[:, :1] * np.nan, ["w"]),
        Frame(POINTS, [1, "y", 2]),
    ):
        with pytest.raises((ValueError, TypeError)):
            model.fit(points)
        assert vars(model) == before


class Frame:
    """As much of a pandas DataFrame as scikit-learn reads of any: names of columns, and values."""

    def __init__(self, values, columns):
        self.values, self.columns = values, columns
        self.shape = values.shape

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


def read_columns(frame):
    if not all(isinstance(name, str) for name in frame.columns):
        raise TypeError("Feature names are only supported if all are strings")
    return np.asarray(frame.columns, dtype=object)


@pytest.fixture
def frames(monkeypatch):
    """scikit-learn asks our frames for their names, whatever library of frames is installed."""
    monkeypatch.setattr(
        "sklearn.utils.validation._get_feature_names",
        lambda X: read_columns(X) if isinstance(X, Frame) else None,
    )


@every_class
def test_names_of_features_are_kept_and_compared(kind, frames):
    model = kind(2, random_state=0).fit(Frame(POINTS, ["x", "y", "z"]))
    assert list(model.feature_names_in_) == ["x", "y", "z"]
    np.testing.assert_array_equal(
        model.predict(Frame(POINTS, ["x", "y", "z"])),
        kind(2, random_state=0).fit(POINTS).predict(POINTS),
    )
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(Frame(POINTS, ["x", "z", "y"]))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(POINTS)
    assert not hasattr(model.fit(POINTS), "feature_names_in_")


@pytest.mark.parametrize(
    "model", [KMeans(5), SoftKMeans(5), GaussianMixtureEM(5)], ids=lambda model: type(model)
)
def test_reaching_max_iter_first_warns_at_the_line_of_the_fit(model):
    model = clone(model).set_params(random_state=0, max_iter=1)
    with pytest.warns(ConvergenceWarning, match="not converged after max_iter = 1 ") as caught:
        model.fit(POINTS)
    assert not model.converged_
    assert [warning.filename for warning in caught] == [__file__]


@every_class
def test_a_fit_that_ends_as_asked_does_not_warn(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kind(2, random_state=0, max_iter=1000).fit(POINTS).converged_
        kind(2, random_state=0, max_iter=0).fit(POINTS)
        if kind is not KMeans:  # its means come to rest, so with tol = 0 it converges too
            assert kind(2, random_state=0, tol=0, max_iter=2).fit(POINTS).n_iter_ == 2


@all_covariance_types
def test_the_k_means_that_a_mixture_starts_from_does_not_warn(covariance_type):
    few_different = np.repeat(POINTS[:3], 4, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GaussianMixtureEM(5, covariance_type=covariance_type, random_state=0).fit(few_different)


def test_clusters_that_stay_empty_warn():
    with pytest.warns(ConvergenceWarning, match="only 2 of 3 clusters have points"):
        KMeans(3, random_state=0).fit([[0.0], [0.0], [0.0], [5.0]])
