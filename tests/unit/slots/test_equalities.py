"""The chain of equalities: with the neural parts off, the slot modules are classical clustering."""

import math

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from torch.testing import assert_close

from smm_tutorial.slots import SlotAttention, SlotMixture
from tests.naive_slots import NaiveSlotMixture
from tests.unit.slots.cases import PLAIN, blobs, from_noise, random, tensors_of


@pytest.mark.parametrize("iterations", [1, 2, 5, 20])
def test_mixture_without_neural_parts_is_diagonal_em(iterations):
    points, means = blobs()
    module = from_noise(SlotMixture(4, 3, 3, variance_floor=1e-9, **PLAIN)).double()
    out = module(
        torch.tensor(points)[None], num_iterations=iterations, noise=torch.tensor(means)[None]
    )
    em = GaussianMixture(
        4,
        covariance_type="diag",
        means_init=means,
        precisions_init=np.ones((4, 3)),
        weights_init=np.full(4, 0.25),
        max_iter=iterations,
        tol=0,
        reg_covar=0,
    )
    with pytest.warns(match="did not converge"):
        em.fit(points)
    # scikit-learn stops after its last M-step, as the module does
    assert_close(out.means[0], torch.tensor(em.means_), atol=1e-8, rtol=0)
    assert_close(out.variances[0], torch.tensor(em.covariances_), atol=1e-8, rtol=0)
    assert_close(out.weights[0], torch.tensor(em.weights_), atol=1e-8, rtol=0)


def soft_k_means(points, means, variance, steps, normalise=lambda means: means):
    """As in a textbook: softmax over clusters of -distance^2 / (2 variance), weighted means."""
    for _ in range(steps):
        distances = ((points[:, None] - normalise(means)[None]) ** 2).sum(-1)  # (N, K)
        logits = -distances / (2 * variance)
        assignments = np.exp(logits - logits.max(1, keepdims=True))
        assignments /= assignments.sum(1, keepdims=True)
        means = assignments.T @ points / assignments.sum(0)[:, None]
    return means, assignments


@pytest.mark.parametrize("variance", [0.2, 1.0, 5.0])
def test_mixture_with_fixed_spherical_variance_and_equal_weights_is_soft_k_means(variance):
    points, means = blobs(1)
    module = from_noise(SlotMixture(4, 3, 3, variances="fixed", weights="fixed", **PLAIN)).double()
    with torch.no_grad():
        module.start_log_variance.fill_(math.log(variance))
    out = module(torch.tensor(points)[None], num_iterations=6, noise=torch.tensor(means)[None])
    expected_means, expected_assignments = soft_k_means(points, means, variance, 6)
    assert_close(out.means[0], torch.tensor(expected_means), atol=1e-10, rtol=0)
    assert_close(out.responsibilities[0], torch.tensor(expected_assignments), atol=1e-10, rtol=0)


def test_soft_k_means_tends_to_k_means_as_the_variance_tends_to_zero():
    points, means = blobs(2)
    module = from_noise(
        SlotMixture(4, 3, 3, variances="fixed", weights="fixed", variance_floor=1e-6, **PLAIN)
    ).double()
    with torch.no_grad():
        module.start_log_variance.fill_(math.log(1e-5))
    out = module(torch.tensor(points)[None], num_iterations=50, noise=torch.tensor(means)[None])
    hard = KMeans(4, init=means, n_init=1, max_iter=50, tol=0).fit(points)
    assert_close(out.means[0], torch.tensor(hard.cluster_centers_), atol=1e-6, rtol=0)
    assert (out.responsibilities[0].argmax(1).numpy() == hard.labels_).all()


def layer_norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def test_attention_without_neural_parts_is_soft_k_means_on_normalised_features():
    """Normalised means all have the norm sqrt(D): dot product and distance differ by a constant.

    softmax(q.k / sqrt(D)) = softmax(-|q - k|^2 / (2 sqrt(D))) for equal |q|. This is soft k-means
    of variance sqrt(D), whose means are normalised before they are compared. LayerNorm's epsilon
    keeps |q| from being exactly equal, hence this test's large D, large spread and tolerance.
    """
    rng = np.random.default_rng(0)
    points, means = rng.normal(size=(200, 16)) * 30, rng.normal(size=(4, 16)) * 30
    module = from_noise(SlotAttention(4, 16, 16, projections="identity", update="none")).double()
    out = module(torch.tensor(points)[None], num_iterations=4, noise=torch.tensor(means)[None])
    expected, assignments = soft_k_means(
        layer_norm(points), means, math.sqrt(16), 4, normalise=layer_norm
    )
    assert_close(out.slots[0], torch.tensor(expected), atol=1e-3, rtol=0)
    assert_close(out.responsibilities[0], torch.tensor(assignments), atol=1e-3, rtol=0)


def test_attention_differs_from_soft_k_means_where_norms_differ():
    points, means = blobs(3)
    module = from_noise(SlotAttention(4, 3, 3, **PLAIN)).double()
    out = module(torch.tensor(points)[None], num_iterations=1, noise=torch.tensor(means)[None])
    _, assignments = soft_k_means(points, means, math.sqrt(3), 1)
    norms = torch.tensor((means**2).sum(1)) / (2 * math.sqrt(3))  # what the dot product leaves out
    corrected = (out.responsibilities[0].log() - norms).softmax(1)
    assert (out.responsibilities[0] - torch.tensor(assignments)).abs().max() > 0.1
    assert_close(corrected, torch.tensor(assignments), atol=1e-10, rtol=0)


@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize(("slots", "inputs", "dim"), [(1, 1, 1), (3, 7, 5), (7, 64, 16)])
def test_matrix_form_equals_naive_form_in_float64(slots, inputs, dim, offset):
    torch.manual_seed(0)
    fast = SlotMixture(slots, dim, dim, normalisation="none").double()
    naive = NaiveSlotMixture(slots, dim, dim, normalisation="none").double()
    naive.load_state_dict(fast.state_dict())
    x, noise = random(2, inputs, dim) + offset, random(2, slots, dim, seed=1)
    got, expected = (tensors_of(module(x, noise=noise)) for module in (fast, naive))
    assert_close(got, expected, atol=1e-10, rtol=1e-10)


def test_matrix_form_in_float32_stays_within_the_derived_tolerance_far_from_zero():
    """The expanded square loses about eps * |x - mean|^2 / variance, wherever the data lie."""
    eps = torch.finfo(torch.float32).eps
    points, means = blobs(4, dim=8)
    module = from_noise(SlotMixture(4, 8, 8, **PLAIN))
    exact = from_noise(NaiveSlotMixture(4, 8, 8, **PLAIN)).double()
    for offset in (0.0, 1000.0):
        x = (torch.tensor(points) + offset).float()[None]  # what float32 can hold of the data
        noise = (torch.tensor(means) + offset).float()[None]
        got, expected = module(x, noise=noise), exact(x.double(), noise=noise.double())
        spread = (points - points.mean(0)).astype(np.float64)
        largest = (spread**2).sum(1).max()
        rounding = eps * max(largest, 1.0) / expected.variances.min().item()
        # the data themselves are rounded to eps * offset when the means are added up
        bound = 10 * (rounding + eps * offset)
        assert_close(got.means.double(), expected.means, atol=bound, rtol=0)
        assert_close(got.variances.double(), expected.variances, atol=bound, rtol=0)
        assert_close(got.responsibilities.double(), expected.responsibilities, atol=bound, rtol=0)
        assert bound < 0.02  # the bound says something


def test_clustering_initialisation_starts_close_to_em():
    """The untrained module's clusters are nearly those of EM on the rotated inputs."""
    torch.manual_seed(0)
    x, noise = random(4, 60, 16), 0.5 * random(4, 5, 16, seed=1)
    agreement = {}
    for initialisation in ("clustering", "random"):
        module = from_noise(
            SlotMixture(5, 16, 16, normalisation="none", initialisation=initialisation)
        ).double()
        em = from_noise(SlotMixture(5, 16, 16, **PLAIN)).double()
        rotated = module.to_keys(x) if initialisation == "clustering" else x
        ours = module(x, noise=noise).responsibilities
        theirs = em(rotated, noise=noise).responsibilities
        agreement[initialisation] = (ours.argmax(2) == theirs.argmax(2)).double().mean().item()
    assert agreement["clustering"] > 0.8 > agreement["random"] + 0.3
