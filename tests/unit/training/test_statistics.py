"""Running means and variances: they belong to finished steps, whatever ends a run."""

import pytest
import torch
from torch import nn

from smm_tutorial.training.config import TrainingConfig
from smm_tutorial.training.loop import NonFiniteError, fit
from smm_tutorial.training.parameters import drop_frozen_gradients, group_parameters
from tests.unit.training.test_incidents import Vectors

CONFIG = TrainingConfig(steps=8, batch_size=4, warmup_steps=2, seed=1, ema_decay=0.9)


class Standardised(nn.Module):
    """A network that standardises by the batch."""

    shared_parts = ("first",)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3, affine=False)
        self.last = nn.Linear(3, 1)

    def forward(self, vectors):
        return self.last(self.norm(self.first(vectors)))


def squares(model, vectors, step):
    return {"loss": model(vectors).square().mean()}


def train(model, folder=None, loss=squares, **options):
    return fit(model, Vectors(), loss, CONFIG, folder, progress=False, **options)


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_equal(one, other):
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.needs_cpu("the pretended device swaps parameters, which a traceback still holds")
def test_an_interrupted_step_leaves_no_trace(tmp_path):
    whole, parts = Standardised(), Standardised()
    train(whole)

    def interrupted(model, vectors, step):
        scalars = squares(model, vectors, step)
        if step == 5:
            raise KeyboardInterrupt
        return scalars

    with pytest.raises(KeyboardInterrupt):
        train(parts, tmp_path, interrupted)
    train(parts, tmp_path)
    assert_equal(state(parts), state(whole))
    assert parts.norm.num_batches_tracked == 8


def test_a_loss_that_is_not_finite_leaves_the_statistics_of_the_last_step():
    model, good = Standardised(), Standardised()
    train(good, stop_at=3)

    def broken(model, vectors, step):
        return squares(model, vectors * (float("nan") if step == 3 else 1.0), step)

    with pytest.raises(NonFiniteError, match="step 3: loss is not finite"):
        train(model, loss=broken)
    assert_equal(state(model.norm), state(good.norm))


def test_a_network_in_eval_mode_is_trained_in_training_mode():
    one, other = Standardised(), Standardised().eval()
    for model in (one, other):
        train(model, evaluate=lambda model: {}, evaluate_every=3)
    assert_equal(state(one), state(other))


def test_gradients_of_frozen_parts_are_dropped():
    """Several processes compute them; they must reach neither clipping nor the optimiser."""
    model = Standardised()
    config = TrainingConfig(steps=8, batch_size=4, frozen_steps=2)
    optimizer = torch.optim.AdamW(group_parameters(model, config))
    for step, dropped in ((1, True), (2, False)):
        squares(model, torch.randn(4, 3), step)["loss"].backward()
        drop_frozen_gradients(optimizer, step, config)
        assert (model.first.weight.grad is None) == dropped
        assert model.last.weight.grad is not None
