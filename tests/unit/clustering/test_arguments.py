"""What all models of clustering accept, what they refuse, and that a seed repeats a fit."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn.base import clone

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
    older = np.random.RandomState
    np.testing.assert_array_equal(start_means(older(3)), start_means(older(3)))
    for generator in (np.random.default_rng(3), older(3)):
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
        (np.empty((0, 2)), r"empty, 0 sample\(s\) \(shape=\(0, 2\)\) while a minimum of 1"),
        (np.empty((5, 0)), r"empty, 0 feature\(s\) \(shape=\(5, 0\)\) while a minimum of 1"),
        (np.arange(10.0), r"got shape \(10,\).*: X.reshape\(-1, 1\) for one feature"),
        (np.zeros((4, 2, 2)), r"got shape \(4, 2, 2\).*: X.reshape\(-1, features\)"),
        (GOOD[:2], "each of 3 components, got n_samples = 2: ask for at most 2 components"),
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
        ValueError, match="1 features, but .* is expecting 2 .*: select the same columns"
    ):
        model(3).fit(GOOD).predict(GOOD[:, :1])
    with pytest.raises(ValueError, match="finite"):
        model(3).fit(GOOD).predict(with_value(np.nan))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            GaussianMixtureEM(2, covariance_type="round"),
            "covariance_type must be one of full, tied, diag, spherical, got 'round'",
        ),
        (GaussianMixtureEM(2, covariance_type=np.zeros(2)), "covariance_type .* got array"),
        (GaussianMixtureEM(0), "n_components must be a whole number of at least 1, got 0"),
        (GaussianMixtureEM(2, tol=10**400), "tol must be a finite number .* an integer of"),
        (GaussianMixtureEM(2, tol=-1), "tol must be a finite number of at least 0, got -1"),
        (GaussianMixtureEM(2, reg_covar=np.nan), "reg_covar must be a finite number from 0 .* nan"),
        (GaussianMixtureEM(2, reg_covar=1e300), r"reg_covar must be .* to 1e\+200, got 1e\+300"),
        (GaussianMixtureEM(2, max_iter=-1), "max_iter must be a whole number of at least 0"),
        (SoftKMeans(2, temperature=0), "temperature must be a finite number from 1e-100 .* got 0"),
        (SoftKMeans(2, temperature=np.inf), "temperature must be a finite number .* got inf"),
        (KMeans(0), "n_clusters must be a whole number of at least 1, got 0"),
        (KMeans(2, init="first"), "init must be 'k-means.*', 'random' or an array .* got 'first'"),
        (KMeans(2, random_state=-1), "random_state must be a whole number of at least 0, got -1"),
    ],
)
def test_settings_that_cannot_be_used(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(GOOD)


all_settings = pytest.mark.parametrize(
    ("model", "setting"),
    [
        (model, setting)
        for model in (KMeans(2), SoftKMeans(2), GaussianMixtureEM(2))
        for setting in model.get_params()
        if setting not in ("init", "covariance_type") and not setting.endswith("_init")
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
NO_NUMBERS = [True, np.True_, "2", b"2", [2], {}, 2j, np.nan, np.inf, np.array(2), object()]
NO_WHOLE_NUMBERS = [2.0, np.float32(2), Fraction(2), torch.tensor(2), Decimal(2)]


@all_settings
def test_every_setting_that_is_no_number_is_refused_by_its_name(model, setting):
    values = list(NO_NUMBERS)
    if setting not in ("tol", "reg_covar", "temperature"):
        values += NO_WHOLE_NUMBERS
    if setting != "random_state":
        values.append(None)
    for value in values:
        changed = clone(model).set_params(**{setting: value})
        with pytest.raises(ValueError, match=f"^{setting} must be a (whole|finite) number"):
            changed.fit(GOOD)


@all_settings
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.uint64])
def test_whole_settings_of_every_integer_type_mean_what_plain_integers_mean(model, setting, kind):
    # 100 is a float16 or an overflow, where arithmetic stays in the setting's type.
    value = 3 if setting in ("n_clusters", "n_components") else 100

    def centres(number):
        model_of_number = clone(model).set_params(**{"random_state": 0, setting: number})
        return model_of_number.fit(GOOD).history_[-1]

    ours, plain = centres(kind(value)), centres(value)
    np.testing.assert_array_equal(ours.means, plain.means)
    np.testing.assert_array_equal(ours.responsibilities, plain.responsibilities)


@pytest.mark.parametrize("number", [np.float16(0.5), np.longdouble(0.5), Fraction(1, 2)])
def test_real_settings_of_every_type_mean_what_floats_mean(number):
    for setting in ("tol", "reg_covar"):
        ours, plain = (
            GaussianMixtureEM(2, random_state=0, **{setting: value}).fit(GOOD).covariances_
            for value in (number, 0.5)
        )
        assert ours.dtype == np.float64
        np.testing.assert_array_equal(ours, plain)
    hot = SoftKMeans(2, temperature=np.float16(6e4), random_state=0).fit(GOOD)
    assert np.isfinite(hot.score(GOOD))


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
            "precisions_init must be positive; matrices must be symmetric and positive definite",
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


def masked(values):
    values = np.ma.masked_array(values, mask=np.zeros(np.shape(values), bool))
    values[(1,) * values.ndim] = np.ma.masked
    return values


def with_object(values, thing):
    values = np.asarray(values).astype(object)
    values[(1,) * values.ndim] = thing
    return values


def in_rows(values):
    return [row for row in values]


LOSSY = [
    (masked, "is masked, and its mask would be lost.*compress_rows.*filled"),
    (lambda values: in_rows(masked(values)), "is masked, and its mask would be lost"),
    (lambda values: scipy.sparse.csr_matrix(np.atleast_2d(values)), "is sparse.*toarray"),
    (lambda values: scipy.sparse.coo_array(np.atleast_2d(values)), "is sparse.*toarray"),
    (lambda values: torch.tensor(values, requires_grad=True), "cannot be read.*detach"),
    (lambda values: torch.tensor(values).to_sparse(), "cannot be read.*to_dense"),
    (lambda values: torch.tensor(values).bfloat16(), "cannot be read.*BFloat16"),
    (lambda values: [in_rows(values), [1.0]], "cannot be read.*inhomogeneous"),
    (lambda values: np.asarray(values).astype(complex), "real numbers.*Complex data not supported"),
    (lambda values: np.asarray(values).astype(str), "real numbers, got dtype <U"),
    (lambda values: np.asarray(values).astype("M8[s]"), "real numbers, got dtype datetime64"),
    (lambda values: with_object(values, "2"), "real numbers, got text"),
    (lambda values: with_object(values, 10**400), "real numbers that float64 holds"),
    (lambda values: with_object(values, None), "finite.*(nan|NaN)"),
]
all_lossy = pytest.mark.parametrize(("change", "message"), LOSSY, ids=[m for _, m in LOSSY])


@every_model
@all_lossy
def test_points_that_would_lose_something_are_refused_to_fit_and_to_predict(model, change, message):
    fitted = clone(model).fit(GOOD)
    for ask in (clone(model).fit, fitted.predict, fitted.score):
        with pytest.raises(ValueError, match=f"^X .*{message}"):
            ask(change(GOOD))


STARTS = {
    "init": (KMeans(2), GOOD[:2]),
    "means_init": (SoftKMeans(2), GOOD[:2]),
    "weights_init": (GaussianMixtureEM(2), np.array([0.5, 0.5])),
    "precisions_init": (GaussianMixtureEM(2, covariance_type="tied"), np.eye(2)),
}


@pytest.mark.parametrize("name", STARTS)
@all_lossy
def test_starts_that_would_lose_something_are_refused_by_their_name(name, change, message):
    model, values = STARTS[name]
    with pytest.raises(ValueError, match=f"^{name} .*{message}"):
        clone(model).set_params(**{name: change(values)}).fit(GOOD)


@every_model
@pytest.mark.parametrize("thing", [{}, 2j, object()], ids=type)
def test_things_that_are_no_numbers_are_a_type_error(model, thing):
    with pytest.raises(TypeError, match="^X must be real numbers: float"):
        model.fit(with_object(GOOD, thing))


def mapped_to_disk(values, folder):
    path = folder / "points.npy"
    np.save(path, values)
    return np.load(path, mmap_mode="r")


@every_model
def test_points_may_be_in_any_container(model, tmp_path):
    read_only = GOOD.copy()
    read_only.flags.writeable = False
    containers = [
        *(GOOD.tolist(), tuple(map(tuple, GOOD)), in_rows(GOOD), GOOD.astype(int)),
        *(GOOD.astype(np.float32), GOOD.astype(object), np.asfortranarray(GOOD), read_only),
        *(GOOD[::-1][::-1], GOOD.astype(">f8"), mapped_to_disk(GOOD, tmp_path), memoryview(GOOD)),
        *(torch.tensor(GOOD), torch.tensor(GOOD).half(), np.ma.masked_array(GOOD)),
    ]
    model = clone(model).set_params(random_state=0)
    expected = model.fit(GOOD).history_[-1].means
    before = GOOD.copy()
    for points in containers:
        means = model.fit(points).history_[-1].means
        assert type(means) is np.ndarray and means.flags.writeable
        np.testing.assert_array_equal(means, expected)
        assert type(model.predict(points)) is np.ndarray
    np.testing.assert_array_equal(GOOD, before)


@pytest.mark.parametrize("name", STARTS)
def test_starts_may_be_in_any_container(name):
    model, values = STARTS[name]

    def means(start):
        return clone(model).set_params(**{name: start}, random_state=0).fit(GOOD).history_[-1].means

    for start in (values.tolist(), tuple(values), torch.tensor(values), values.astype(np.float32)):
        np.testing.assert_array_equal(means(start), means(values))
