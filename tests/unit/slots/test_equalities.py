"""Slot modules: the chain of equalities, invariances, limits, gradients, and what wrong input is
told.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from torch.testing import assert_close

from smm_tutorial.slots.attention import SlotAttention
from smm_tutorial.slots.mixture import SlotMixture
from tests.naive_slots import NaiveSlotMixture

MODULES = [SlotAttention, SlotMixture]
STARTS = ["shared", "per_slot", "background"]
PLAIN = {
    "projections": "identity",
    "normalisation": "none",
    "update": "none",
}  # nothing neural is left


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def from_noise(module):
    """The module with starts at exactly the noise it is given."""
    with torch.no_grad():
        module.start.mean.zero_()
        module.start.log_scale.zero_()
    return module


def blobs(seed=0, num_points=300, dim=3, clusters=4):
    """Points `(N, D)` around `clusters` centres, and one point near each as a start `(K, D)`;
    numpy, float64.
    """
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, dim)) * 3
    scales = rng.uniform(0.3, 1.0, size=(clusters, dim))
    labels = rng.integers(clusters, size=num_points)
    return centres[labels] + rng.normal(size=(num_points, dim)) * scales[
        labels
    ], centres + rng.normal(size=centres.shape)


# ------------------------------------------------------------------------------------------- the
# chain of equalities


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
    """The textbook, in numpy: softmax over clusters of -distance^2 / (2 variance), then weighted
    means.
    """
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
    """Normalised means all have (almost) the norm sqrt(D): dot product and distance then differ by
    a constant.

    softmax(q.k / sqrt(D)) = softmax(-|q - k|^2 / (2 sqrt(D))) for equal |q|: soft k-means of
    variance sqrt(D), whose means are normalised before they are compared. LayerNorm's epsilon keeps
    |q| from being exactly equal, hence the large D and spread of this test and its tolerance.
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
    for a, b in zip(_tensors(fast(x, noise=noise)), _tensors(naive(x, noise=noise)), strict=True):
        assert_close(a, b, atol=1e-10, rtol=1e-10)


def test_matrix_form_in_float32_stays_within_the_derived_tolerance_far_from_zero():
    """Centred, the expanded square loses about eps * |x - mean|^2 / variance, wherever the data
    lie.
    """
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
    """Untrained, the module's clusters are nearly those of EM on the rotated inputs; random ones
    are not.
    """
    torch.manual_seed(0)
    x, noise = random(4, 60, 16), 0.5 * random(4, 5, 16, seed=1)
    agreement = {}
    for initialisation in ("clustering", "random"):
        module = from_noise(
            SlotMixture(5, 16, 16, normalisation="none", initialisation=initialisation)
        ).double()
        em = from_noise(SlotMixture(5, 16, 16, **PLAIN)).double()
        rotated = module.to_keys(x) if initialisation == "clustering" else x
        ours, theirs = (
            module(x, noise=noise).responsibilities,
            em(rotated, noise=noise).responsibilities,
        )
        agreement[initialisation] = (ours.argmax(2) == theirs.argmax(2)).double().mean().item()
    assert agreement["clustering"] > 0.8 > agreement["random"] + 0.3


# ------------------------------------------------------------------------------------------------------- properties


def _tensors(out):
    return [
        t
        for t in (out.slots, out.responsibilities, out.means, out.variances, out.weights)
        if t is not None
    ]


@pytest.mark.parametrize("module_class", MODULES)
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    inputs=st.integers(1, 12),
    slots=st.integers(1, 6),
    start=st.sampled_from(STARTS),
)
def test_order_of_inputs_changes_nothing(module_class, seed, inputs, slots, start):
    torch.manual_seed(0)
    module = module_class(slots, 5, 8, start=start).double()
    x, noise = random(2, inputs, 5, seed=seed), random(2, slots, 8, seed=seed + 1)
    order = torch.randperm(inputs, generator=torch.Generator().manual_seed(seed))
    out, shuffled = module(x, noise=noise), module(x[:, order], noise=noise)
    assert_close(out.slots, shuffled.slots)
    assert_close(out.responsibilities[:, order], shuffled.responsibilities)


@pytest.mark.parametrize("module_class", MODULES)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), inputs=st.integers(1, 12), slots=st.integers(1, 6))
def test_order_of_slots_carries_over(module_class, seed, inputs, slots):
    torch.manual_seed(0)
    module = module_class(slots, 5, 8).double()
    x, noise = random(2, inputs, 5, seed=seed), random(2, slots, 8, seed=seed + 1)
    order = torch.randperm(slots, generator=torch.Generator().manual_seed(seed))
    out, shuffled = module(x, noise=noise), module(x, noise=noise[:, order])
    assert_close(out.slots[:, order], shuffled.slots)
    assert_close(out.responsibilities[..., order], shuffled.responsibilities)


def test_a_background_start_keeps_the_other_slots_exchangeable():
    torch.manual_seed(0)
    module = SlotMixture(4, 5, 8, start="background").double()
    x, noise = random(2, 9, 5), random(2, 4, 8, seed=1)
    others, first_too = torch.tensor([0, 2, 3, 1]), torch.tensor([1, 0, 2, 3])
    assert_close(module(x, noise=noise).slots[:, others], module(x, noise=noise[:, others]).slots)
    assert not torch.allclose(
        module(x, noise=noise).slots[:, first_too], module(x, noise=noise[:, first_too]).slots
    )


@pytest.mark.parametrize("module_class", MODULES)
def test_assignments_sum_to_one_and_history_ends_in_the_output(module_class):
    module = module_class(4, 5, 8)
    out = module(
        random(3, 10, 5, dtype=torch.float32), num_iterations=5, num_slots=6, return_history=True
    )
    assert out.responsibilities.shape == (3, 10, 6) and out.slots.shape == (3, 6, module.output_dim)
    assert_close(out.responsibilities.sum(2), torch.ones(3, 10))
    assert len(out.history) == 5
    assert_close(out.history[-1].responsibilities, out.responsibilities)
    if module_class is SlotMixture:
        assert_close(out.weights, out.responsibilities.mean(1))  # pi_k: the mean responsibility
        assert_close(out.history[-1].variances, out.variances)
    assert module(random(3, 10, 5, dtype=torch.float32)).history == []


def test_variance_is_taken_about_the_updated_mean():
    torch.manual_seed(0)
    module = SlotMixture(3, 5, 8, num_iterations=2).double()
    x, noise = random(2, 20, 5), random(2, 3, 8, seed=1)
    out = module(x, noise=noise)
    values = module.to_values(module.norm_inputs(x))  # (B, N, D)
    shares = out.responsibilities / out.responsibilities.sum(1, keepdim=True)  # (B, N, K)
    squares = (values[:, :, None] - out.means[:, None]).square()  # (B, N, K, D)
    assert_close(out.variances, (shares[..., None] * squares).sum(1))


# --------------------------------------------------------------------------------------------------- options, limits


@pytest.mark.parametrize("content", ["mean", "mean_and_variance", "reduced"])
def test_content_decides_the_width_of_a_slot(content):
    module = SlotMixture(3, 5, 8, content=content)
    out = module(random(2, 6, 5, dtype=torch.float32))
    assert out.slots.shape == (2, 3, {"mean": 8, "mean_and_variance": 16, "reduced": 8}[content])
    if content == "mean_and_variance":
        assert_close(out.slots, torch.cat([out.means, out.variances], 2))


def test_fixed_variances_and_weights_stay_at_their_start():
    module = SlotMixture(4, 5, 8, variances="fixed", weights="fixed")
    out = module(random(2, 6, 5, dtype=torch.float32))
    assert_close(out.weights, torch.full((2, 4), 0.25))
    assert_close(out.variances, module.start_log_variance.exp().expand(2, 4, 8))


def test_dot_product_density_with_fixed_weights_attends_as_slot_attention_does():
    torch.manual_seed(0)
    attention, mixture = (
        SlotAttention(4, 5, 8).double(),
        SlotMixture(4, 5, 8, density="dot_product", weights="fixed").double(),
    )
    mixture.load_state_dict(attention.state_dict(), strict=False)
    x, noise = random(2, 9, 5), random(2, 4, 8, seed=1)
    assert_close(
        mixture(x, noise=noise).responsibilities, attention(x, noise=noise).responsibilities
    )
    assert_close(mixture(x, noise=noise).means, attention(x, noise=noise).slots)


@pytest.mark.parametrize("module_class", MODULES)
def test_an_empty_cluster_stays_finite(module_class):
    module = from_noise(module_class(2, 3, 3, **PLAIN))
    noise = torch.tensor([[[0.0, 0, 0], [1e4, -1e4, 1e4]]])
    x = random(1, 50, 3, dtype=torch.float32).abs() * torch.tensor([-1.0, 1, -1])
    assert module(x, noise=noise, num_iterations=1).responsibilities[..., 1].max() < 1e-6
    out = module(x, noise=noise)
    for tensor in _tensors(out):
        assert tensor.isfinite().all()
    out.slots.sum().backward()
    assert all(p.grad.isfinite().all() for p in module.parameters() if p.grad is not None)


@pytest.mark.parametrize("module_class", MODULES)
@pytest.mark.parametrize(("inputs", "slots"), [(1, 3), (9, 1), (1, 1)])
def test_one_input_one_slot_and_constant_inputs(module_class, inputs, slots):
    module = module_class(slots, 5, 8)
    out = module(torch.full((2, inputs, 5), 3.0))
    assert all(t.isfinite().all() for t in _tensors(out))
    if slots == 1:
        assert_close(out.responsibilities, torch.ones(2, inputs, 1))
    out.slots.sum().backward()
    assert all(p.grad.isfinite().all() for p in module.parameters() if p.grad is not None)


def test_no_variance_falls_below_the_floor():
    module = from_noise(SlotMixture(2, 3, 3, variance_floor=0.01, **PLAIN))
    out = module(torch.ones(1, 20, 3), noise=torch.zeros(1, 2, 3))
    assert_close(out.variances, torch.full((1, 2, 3), 0.01))


@pytest.mark.parametrize("module_class", MODULES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_follows_float32(module_class, dtype):
    torch.manual_seed(0)
    module = module_class(4, 16, 16)
    x, noise = random(2, 50, 16, dtype=torch.float32), random(2, 4, 16, seed=1, dtype=torch.float32)
    exact = module(x, noise=noise)
    out = module.to(dtype)(x.to(dtype), noise=noise)
    assert out.slots.dtype == dtype and out.responsibilities.dtype == torch.float32
    assert_close(out.responsibilities, exact.responsibilities, atol=0.15, rtol=0)
    assert_close(out.slots.float(), exact.slots, atol=0.15, rtol=0.1)


@pytest.mark.parametrize("module_class", MODULES)
def test_clustering_stays_in_float32_under_autocast(module_class):
    torch.manual_seed(0)
    module = module_class(4, 16, 16)
    x, noise = random(2, 50, 16, dtype=torch.float32), random(2, 4, 16, seed=1, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = module(x, noise=noise)
    assert out.responsibilities.dtype == torch.float32
    assert_close(out.responsibilities, module(x, noise=noise).responsibilities, atol=0.1, rtol=0)
    out.slots.float().sum().backward()


# --------------------------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("module_class", MODULES)
@pytest.mark.parametrize("start", STARTS)
def test_gradients_equal_finite_differences(module_class, start):
    torch.manual_seed(0)
    module = module_class(3, 4, 4, start=start).double()
    x, noise = random(1, 5, 4).requires_grad_(), random(1, 3, 4, seed=1)
    parameters = [p for p in module.parameters() if p.requires_grad]

    def outputs(x, *_):
        out = module(x, noise=noise)
        return (out.slots, out.responsibilities)

    assert torch.autograd.gradcheck(outputs, (x, *parameters), fast_mode=True)


@pytest.mark.parametrize("module_class", MODULES)
@pytest.mark.parametrize("gradient", ["all", "last"])
def test_every_parameter_is_trained_the_start_too(module_class, gradient):
    torch.manual_seed(0)
    module = module_class(3, 5, 8, gradient=gradient)
    out = module(random(2, 9, 5, dtype=torch.float32))
    (out.slots * random(*out.slots.shape, seed=3, dtype=torch.float32)).sum().backward()
    for name, parameter in module.named_parameters():
        if module_class is SlotAttention and name == "norm_means.bias":
            # it adds the same to every query: the softmax over slots cancels it
            assert parameter.grad.norm() < 1e-6
        else:
            assert parameter.grad is not None and parameter.grad.norm() > 1e-6, name


@pytest.mark.parametrize("module_class", MODULES)
def test_last_gradient_leaves_values_alone_and_equals_all_for_one_iteration(module_class):
    torch.manual_seed(0)
    every, last = module_class(3, 5, 8).double(), module_class(3, 5, 8, gradient="last").double()
    last.load_state_dict(every.state_dict())
    x, noise = random(2, 9, 5), random(2, 3, 8, seed=1)
    assert_close(every(x, noise=noise).slots, last(x, noise=noise).slots)
    gradients = []
    for module in (every, last):
        module(x, noise=noise, num_iterations=1).slots.square().sum().backward()
        gradients.append([p.grad for p in module.parameters()])
    assert_close(*gradients)


# -------------------------------------------------------------------------------------------------------- what fails


@pytest.mark.parametrize("module_class", MODULES)
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda c: c(0, 5, 8), "num_slots must be at least 1, got 0"),
        (lambda c: c(3, 5, 8, num_iterations=0), "num_iterations must be at least 1"),
        (
            lambda c: c(3, 5, 8, start="learned"),
            "start must be one of 'shared', 'per_slot', 'background', got 'learned'",
        ),
        (lambda c: c(3, 5, 8, projections="identity"), "needs input_dim = slot_dim, got 5 and 8"),
        (lambda c: c(3, 5, 8)(torch.zeros(2, 5, 8, 8)), r"features.flatten\(2\).transpose\(1, 2\)"),
        (
            lambda c: c(3, 5, 8)(torch.zeros(2, 9, 6)),
            r"inputs must be \(batch, inputs, 5\), got \(2, 9, 6\)",
        ),
        (lambda c: c(3, 5, 8)(torch.zeros(2, 0, 5)), r"got \(2, 0, 5\)"),
        (
            lambda c: c(3, 5, 8)(torch.zeros(2, 9, 5), noise=torch.zeros(2, 4, 8)),
            r"noise must be .* = \(2, 3, 8\), got",
        ),
        (lambda c: c(3, 5, 8)(torch.zeros(2, 9, 5), num_slots=0), "num_slots must be at least 1"),
        (
            lambda c: c(3, 5, 8, start="per_slot")(torch.zeros(2, 9, 5), num_slots=4),
            "has learned 3 starts",
        ),
    ],
)
def test_wrong_use_is_told_what_was_expected(module_class, make, message):
    with pytest.raises(ValueError, match=message):
        make(module_class)


def test_wrong_mixture_options_are_refused():
    with pytest.raises(ValueError, match="content must be one of"):
        SlotMixture(3, 5, 8, content="variance")
    with pytest.raises(ValueError, match="variance_floor must be above 0"):
        SlotMixture(3, 5, 8, variance_floor=0.0)
