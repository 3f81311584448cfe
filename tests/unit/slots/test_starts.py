"""The starts of the slots: where the means begin, and what they need."""

import pytest
import torch
from torch.testing import assert_close

from smm_tutorial.slots.starts import SlotStart, choose_farthest_points
from tests.unit.slots.cases import MODULES, random


def far_apart(points, number):
    """Farthest points of one set, by the definition, with loops."""
    chosen = [min(range(len(points)), key=lambda n: (points[n] - points.mean(0)).norm())]
    while len(chosen) < number:
        gaps = [min((point - points[c]).norm() for c in chosen) for point in points]
        chosen.append(max(range(len(points)), key=lambda n: gaps[n]))
    return points[chosen]


@pytest.mark.parametrize("number", [1, 2, 5, 12])
def test_farthest_points_are_those_of_the_definition(number):
    points = random(3, 12, 4)
    wanted = torch.stack([far_apart(one, number) for one in points])
    assert_close(choose_farthest_points(points, number), wanted, rtol=0, atol=0)


def test_farthest_points_far_from_zero_and_under_autocast():
    """Expanded squares would lose their digits far from zero, or in bfloat16."""
    points = torch.randn(4, 300, 16, generator=torch.Generator().manual_seed(0)) + 1000
    wanted = torch.stack([far_apart(each, 9) for each in points])
    with torch.autocast("cpu", torch.bfloat16):
        assert_close(choose_farthest_points(points, 9), wanted, rtol=0, atol=0)


def test_farthest_points_find_one_point_of_each_distant_group():
    centres = 100 * torch.eye(5)
    points = (centres[:, None] + random(5, 20, 5).float()).flatten(0, 1)[None]
    chosen = choose_farthest_points(points, 5)[0]
    assert sorted(torch.cdist(chosen, centres).argmin(dim=1).tolist()) == list(range(5))


def test_slots_begin_at_values_plus_scaled_noise():
    start = SlotStart(4, 6, "farthest_points").double()
    values, noise = random(2, 9, 6).requires_grad_(), random(2, 4, 6, seed=1)
    begun = start(2, 4, noise, values)
    points = choose_farthest_points(values, 4)
    assert_close(begun, points + start.log_scale.exp() * noise)
    begun.sum().backward()
    assert values.grad is None  # the start is a constant for the encoder
    assert start.log_scale.grad.abs().min() > 0
    assert not hasattr(start, "mean")


@pytest.mark.parametrize("module_class", MODULES)
def test_modules_start_at_their_values_whatever_the_number_of_slots(module_class):
    torch.manual_seed(0)
    module = module_class(4, 5, 8, start="farthest_points", gradient="last").double()
    with torch.no_grad():
        module.start.log_scale.fill_(-100.0)  # no noise
    x = random(2, 12, 5)
    out = module(x, num_slots=6)
    assert out.slots.shape == (2, 6, module.output_dim)
    assert_close(out.slots, module(x, num_slots=6).slots)  # nothing is drawn any more
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    assert_close(module(x[:, order], num_slots=6).slots, out.slots)
    torch.nn.functional.mse_loss(out.slots, torch.ones_like(out.slots)).backward()
    assert module.to_values.weight.grad.isfinite().all()
    with pytest.raises(
        ValueError, match="needs an input per slot, and there are 12: ask for fewer"
    ):
        module(x, num_slots=13)


@pytest.mark.parametrize("module_class", MODULES)
def test_the_first_assignment_tells_distant_groups_apart(module_class):
    torch.manual_seed(0)
    options = {"projections": "identity", "normalisation": "none", "update": "none"}
    module = module_class(3, 3, 3, 1, start="farthest_points", **options)
    groups = torch.arange(30) % 3
    x = (20 * torch.eye(3)[groups] + random(1, 30, 3).float())[:, torch.randperm(30)]
    owners = module(x, noise=torch.zeros(1, 3, 3)).responsibilities.argmax(dim=2)
    pairs = owners[0][:, None] == owners[0]
    assert torch.equal(pairs, x[0].argmax(dim=1)[:, None] == x[0].argmax(dim=1))
