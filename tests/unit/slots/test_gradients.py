"""Gradients of the slot modules: right, and reaching every parameter."""

import pytest
import torch
from torch.testing import assert_close

from smm_tutorial.slots import SlotMixture
from tests.unit.slots.cases import CANCELS_QUERY_BIAS, MODULES, STARTS, random


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
@pytest.mark.parametrize("gradient", ["all", "last", "each"])
def test_every_parameter_is_trained_the_start_too(module_class, gradient):
    torch.manual_seed(0)
    module = module_class(3, 5, 8, gradient=gradient)
    out = module(random(2, 9, 5, dtype=torch.float32), return_history=True)
    states = out.history if gradient == "each" else out.history[-1:]
    slots = torch.stack([module.read_state(state) for state in states])
    (slots * random(*slots.shape, seed=3, dtype=torch.float32)).sum().backward()
    for name, parameter in module.named_parameters():
        if module_class in CANCELS_QUERY_BIAS and name == "norm_means.bias":
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


@pytest.mark.parametrize("module_class", MODULES)
def test_gradients_of_each_iteration_go_through_it_alone(module_class):
    """Those of a step from given slots: with fixed weights, a step is a call of one iteration."""
    torch.manual_seed(0)
    options = {"weights": "fixed"} if module_class is SlotMixture else {}
    module = module_class(3, 5, 8, gradient="each", **options).double()
    x, noise = random(2, 9, 5), random(2, 3, 8, seed=1)
    out = module(x, noise=noise, num_iterations=3, return_history=True)
    out.history[2].means.square().sum().backward()
    got = {name: p.grad for name, p in module.named_parameters()}
    assert got["start.mean"] is None or not got["start.mean"].any()
    assert got["to_values.weight"].norm() > 1e-6
    if module_class is SlotMixture:
        module.zero_grad()
        before = out.history[1]
        start = before.means.detach(), before.variances.detach()
        module(x, num_iterations=1, start=start).means.square().sum().backward()
        assert_close(module.to_values.weight.grad, got["to_values.weight"])
