"""The state of a `SlotMixture`, read as a mixture."""

import numpy as np
import pytest
import torch

from smm_tutorial.clustering import GaussianMixtureEM
from smm_tutorial.slots.as_mixture import as_mixture_step, reorder_to_groups
from smm_tutorial.slots.attention import SlotAttention
from smm_tutorial.slots.mixture import SlotMixture


@pytest.fixture(scope="module")
def mixture():
    """Points (1, 40, 2), and a history of three iterations of a module of two slots on them."""
    torch.manual_seed(0)
    points = torch.randn(1, 40, 2) * torch.tensor([3.0, 1.0])
    return points, SlotMixture(2, 2, 2, normalisation="none")(points, return_history=True).history


@pytest.fixture(scope="module")
def steps(mixture):
    points, history = mixture
    return [as_mixture_step(points, state) for state in history]


def test_a_state_becomes_the_mixture_that_it_is(mixture):
    points, history = mixture
    step = as_mixture_step(points, history[-1])

    em = GaussianMixtureEM(
        2,
        covariance_type="diag",
        max_iter=0,
        weights_init=step.weights / step.weights.sum(),
        means_init=step.means,
        precisions_init=1 / step.covariances,
    ).fit(step.points)
    np.testing.assert_allclose(step.responsibilities, em.predict_proba(step.points), atol=1e-5)
    np.testing.assert_array_equal(step.means, history[-1].means[0].detach().double())
    assert step.lower_bound == pytest.approx(em.score(step.points), rel=1e-5)


def test_a_state_of_slot_attention_is_refused():
    points = torch.randn(1, 5, 2)
    state = SlotAttention(2, 2, 4)(points, return_history=True).history[0]

    with pytest.raises(ValueError, match="it is Slot Attention's: pass a state of a SlotMixture"):
        as_mixture_step(points, state)


def test_slots_are_put_in_the_order_of_the_groups(steps):
    step = steps[-1]
    groups = step.responsibilities.argmax(axis=1)

    np.testing.assert_array_equal(reorder_to_groups(step, groups).means, step.means)
    swapped = reorder_to_groups(step, 1 - groups)
    for name in ("means", "covariances", "weights"):
        np.testing.assert_array_equal(getattr(swapped, name), getattr(step, name)[::-1])
