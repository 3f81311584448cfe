"""Options and limits of the slot modules, half precision, and what wrong input is told."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from smm_tutorial.slots import SlotAttention, SlotMixture
from tests.unit.slots.cases import MODULES, PLAIN, from_noise, random, tensors_of
from tests.wrong_types import KINDS, NO_SIZES, no_float32


@pytest.mark.parametrize(
    ("content", "width"),
    [("mean", 8), ("mean_and_variance", 16), ("mean_and_log_variance", 16), ("reduced", 8)],
)
def test_content_decides_the_width_of_a_slot(content, width):
    module = SlotMixture(3, 5, 8, content=content)
    out = module(random(2, 6, 5, dtype=torch.float32))
    assert out.slots.shape == (2, 3, width)
    if content == "mean_and_variance":
        assert_close(out.slots, torch.cat([out.means, out.variances], 2))
    if content == "mean_and_log_variance":
        assert_close(out.slots, torch.cat([out.means, out.variances.log()], 2))


@pytest.mark.parametrize("module_class", MODULES)
def test_the_last_state_of_a_history_reads_as_the_slots(module_class):
    module = module_class(3, 5, 8)
    out = module(random(2, 6, 5, dtype=torch.float32), return_history=True)
    assert_close(module.read_state(out.history[-1]), out.slots)


def test_fixed_variances_and_weights_stay_at_their_start():
    module = SlotMixture(4, 5, 8, variances="fixed", weights="fixed")
    out = module(random(2, 6, 5, dtype=torch.float32))
    assert_close(out.weights, torch.full((2, 4), 0.25))
    assert_close(out.variances, module.start_log_variance.exp().expand(2, 4, 8))


def test_dot_product_density_with_fixed_weights_attends_as_slot_attention_does():
    torch.manual_seed(0)
    attention = SlotAttention(4, 5, 8).double()
    mixture = SlotMixture(4, 5, 8, density="dot_product", weights="fixed").double()
    mixture.load_state_dict(attention.state_dict(), strict=False)
    x, noise = random(2, 9, 5), random(2, 4, 8, seed=1)
    expected, got = attention(x, noise=noise), mixture(x, noise=noise)
    assert_close(got.responsibilities, expected.responsibilities)
    assert_close(got.means, expected.slots)


@pytest.mark.parametrize("module_class", MODULES)
def test_an_empty_cluster_stays_finite(module_class):
    module = from_noise(module_class(2, 3, 3, **PLAIN))
    noise = torch.tensor([[[0.0, 0, 0], [1e4, -1e4, 1e4]]])
    x = random(1, 50, 3, dtype=torch.float32).abs() * torch.tensor([-1.0, 1, -1])
    assert module(x, noise=noise, num_iterations=1).responsibilities[..., 1].max() < 1e-6
    out = module(x, noise=noise)
    assert all(t.isfinite().all() for t in tensors_of(out))
    out.slots.sum().backward()
    assert all(p.grad.isfinite().all() for p in module.parameters() if p.grad is not None)


@pytest.mark.parametrize("module_class", MODULES)
@pytest.mark.parametrize(("inputs", "slots"), [(1, 3), (9, 1), (1, 1)])
def test_one_input_one_slot_and_constant_inputs(module_class, inputs, slots):
    module = module_class(slots, 5, 8)
    out = module(torch.full((2, inputs, 5), 3.0))
    assert all(t.isfinite().all() for t in tensors_of(out))
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
    with torch.no_grad():
        exact = module(x, noise=noise)
    out = module.to(dtype)(x.to(dtype), noise=noise)
    assert out.slots.dtype == dtype and out.responsibilities.dtype == torch.float32
    assert_close(out.responsibilities, exact.responsibilities, atol=0.15, rtol=0)
    assert_close(out.slots.float(), exact.slots, atol=0.15, rtol=0.1)


@pytest.mark.parametrize("module_class", MODULES)
@pytest.mark.parametrize("update", ["neural", "none"])
@pytest.mark.parametrize("normalisation", ["layer", "inputs", "none"])
@pytest.mark.parametrize("projections", ["learned", "identity"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_slots_keep_the_type_of_the_module(module_class, update, normalisation, projections, dtype):
    options = {"update": update, "normalisation": normalisation, "projections": projections}
    module = module_class(4, 8, 8, **options).to(dtype)
    out = module(random(2, 9, 8, dtype=dtype), return_history=True)
    assert out.slots.dtype == dtype
    assert all(state.means.dtype == dtype for state in out.history)
    out.slots.float().sum().backward()


@pytest.mark.parametrize("module_class", MODULES)
def test_a_device_without_autocast_computes_too(module_class):
    with torch.device("meta"):
        out = module_class(4, 5, 8)(torch.zeros(2, 9, 5))
    assert out.slots.is_meta and out.slots.shape[:2] == (2, 4)


@pytest.mark.parametrize("module_class", MODULES)
@pytest.mark.parametrize("kind", KINDS)
def test_inputs_of_another_type_are_refused(module_class, kind):
    inputs, message = no_float32(2, 9, 5)[kind]
    with pytest.raises(ValueError, match="^inputs must .*" + message.format(name="inputs")):
        module_class(4, 5, 8)(inputs)


@pytest.mark.parametrize("module_class", MODULES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_noise_of_any_floats_starts_the_slots(module_class, dtype):
    module, inputs = module_class(4, 5, 8), random(2, 9, 5, dtype=torch.float32)
    noise = random(2, 4, 8, dtype=dtype)
    assert torch.equal(module(inputs, noise=noise).slots, module(inputs, noise=noise.float()).slots)


@pytest.mark.parametrize("module_class", MODULES)
@pytest.mark.parametrize("kind", ["numpy", "list", "integers", "booleans", "complex"])
def test_noise_that_is_no_tensor_of_floats_is_refused(module_class, kind):
    noise, _ = no_float32(2, 4, 8)[kind]
    with pytest.raises(ValueError, match="^noise must be a tensor of floats, got "):
        module_class(4, 5, 8)(torch.zeros(2, 9, 5), noise=noise)


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_of_another_type_is_refused(kind):
    means, message = no_float32(2, 4, 8)[kind]
    with pytest.raises(ValueError, match="^start must .*" + message.format(name="start")):
        SlotMixture(4, 5, 8)(torch.zeros(2, 9, 5), start=(means, torch.ones(2, 4, 8)))


SIZES = ("num_slots", "input_dim", "slot_dim", "num_iterations", "mlp_dim")


@pytest.mark.parametrize("module_class", MODULES)
@pytest.mark.parametrize("value", NO_SIZES, ids=repr)
def test_what_is_no_size_is_refused_by_its_name(module_class, value):
    good = dict.fromkeys(SIZES, 4)
    for name in SIZES:
        if (name, value) != ("mlp_dim", None):  # that stands for its default
            with pytest.raises(ValueError, match=f"^{name} must be a whole number of at least 1"):
                module_class(**good | {name: value})
    for name in ("num_slots", "num_iterations"):
        if value is not None:  # that stands for the module's own
            with pytest.raises(ValueError, match=f"^{name} must be a whole number of at least 1"):
                module_class(**good)(torch.zeros(1, 5, 4), **{name: value})


@pytest.mark.parametrize("module_class", MODULES)
@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_sizes_from_numpy_are_those_of_python(module_class, kind):
    module = module_class(kind(3), kind(5), kind(8), kind(2), kind(6))
    assert all(type(getattr(module, name)) is int for name in SIZES)
    out = module(torch.zeros(1, 9, 5), num_iterations=kind(4), num_slots=kind(2))
    assert out.slots.shape[:2] == (1, 2)


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


@pytest.mark.parametrize("module_class", MODULES)
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda c: c(0, 5, 8), "num_slots must be a whole number of at least 1, got 0"),
        (
            lambda c: c(3, 5, 8, num_iterations=0),
            "num_iterations must be a whole number of at least 1, got 0",
        ),
        (
            lambda c: c(3, 5, 8, start="learned"),
            "start must be one of 'shared', 'per_slot', 'background', 'farthest_points', got 'lea",
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
        (
            lambda c: c(3, 5, 8)(torch.zeros(2, 9, 5), num_slots=0),
            "num_slots must be a whole number of at least 1, got 0",
        ),
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
    with pytest.raises(ValueError, match="density must be one of 'gaussian', 'dot_product', got"):
        SlotMixture(3, 5, 8, density="scaled_distance")
    with pytest.raises(ValueError, match="variance_floor must be a number above 0, got 0.0"):
        SlotMixture(3, 5, 8, variance_floor=0.0)


def test_a_start_that_does_not_fit_is_refused():
    module, inputs = SlotMixture(3, 5, 8), torch.zeros(2, 9, 5)
    means, variances = torch.zeros(2, 3, 8), torch.ones(2, 3, 8)
    assert module(inputs, start=(means, variances)).slots.shape == (2, 3, 16)
    message = r"start must be means and variances, each \(2, 3, 8\), .* got \(2, 3, 8\) and \(8,\)"
    with pytest.raises(ValueError, match=message):
        module(inputs, start=(means, variances[0, 0]))
    with pytest.raises(ValueError, match="and noise must be None"):
        module(inputs, noise=means, start=(means, variances))
