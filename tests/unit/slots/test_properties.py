"""Invariances of the slot modules, and what an iteration keeps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from smm_tutorial.slots import SlotMixture
from tests.unit.slots.cases import MODULES, STARTS, random


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
    shuffled = module(x, noise=noise[:, first_too]).slots
    assert not torch.allclose(module(x, noise=noise).slots[:, first_too], shuffled)


@pytest.mark.parametrize("module_class", MODULES)
def test_assignments_sum_to_one_and_history_ends_in_the_output(module_class):
    module, x = module_class(4, 5, 8), random(3, 10, 5, dtype=torch.float32)
    out = module(x, num_iterations=5, num_slots=6, return_history=True)
    assert out.responsibilities.shape == (3, 10, 6) and out.slots.shape == (3, 6, module.output_dim)
    assert_close(out.responsibilities.sum(2), torch.ones(3, 10))
    assert len(out.history) == 5
    assert_close(out.history[-1].responsibilities, out.responsibilities)
    if module_class is SlotMixture:
        assert_close(out.weights, out.responsibilities.mean(1))  # pi_k: the mean responsibility
        assert_close(out.history[-1].variances, out.variances)
    assert module(x).history == []


def test_variance_is_taken_about_the_updated_mean():
    torch.manual_seed(0)
    module = SlotMixture(3, 5, 8, num_iterations=2).double()
    x, noise = random(2, 20, 5), random(2, 3, 8, seed=1)
    out = module(x, noise=noise)
    values = module.to_values(module.norm_inputs(x))  # (B, N, D)
    shares = out.responsibilities / out.responsibilities.sum(1, keepdim=True)  # (B, N, K)
    squares = (values[:, :, None] - out.means[:, None]).square()  # (B, N, K, D)
    assert_close(out.variances, (shares[..., None] * squares).sum(1))
