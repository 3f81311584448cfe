"""Parts that a model shares with other tasks: slower than the rest, or frozen at first."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from smm_tutorial.training.config import TrainingConfig, learning_rate_factor
from smm_tutorial.training.parameters import group_parameters
from tests.toy_runs import CONFIG, tiny_model, train

SHARED = ("encoder.", "slots.")


def weights(model):
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def changed(before, model):
    """Which of the two kinds of parts changed: (shared, others)."""
    moved = {name: not torch.equal(value, before[name]) for name, value in weights(model).items()}
    of_shared = [flag for name, flag in moved.items() if name.startswith(SHARED)]
    of_others = [flag for name, flag in moved.items() if not name.startswith(SHARED)]
    return any(of_shared), any(of_others)


@pytest.mark.parametrize("shared_rate", [1.0, 0.1])
def test_frozen_parts_wait_while_the_others_learn(shared_rate):
    config = replace(CONFIG, frozen_steps=5, shared_rate=shared_rate)
    model = tiny_model()
    before = weights(model)
    train(model, config=config, stop_at=5)
    assert changed(before, model) == (False, True)
    assert all(parameter.requires_grad for parameter in model.parameters())
    model = tiny_model()
    train(model, config=config, stop_at=6)
    assert changed(before, model) == (True, True)


def test_shared_parts_move_by_their_share_of_the_learning_rate():
    """The first step of AdamW is the learning rate times the gradient's sign."""
    model = tiny_model()
    before = weights(model)
    config = replace(CONFIG, shared_rate=0.25)
    train(model, config=config, stop_at=1)
    rate = config.learning_rate * learning_rate_factor(0, config)
    for name, value in weights(model).items():
        largest = (value - before[name]).abs().max().item()
        if largest:
            expected = rate * (0.25 if name.startswith(SHARED) else 1)
            assert largest == pytest.approx(expected, rel=0.02), name


def test_usual_settings_train_exactly_as_before():
    one, other = tiny_model(), tiny_model()
    train(one)
    train(other, config=replace(CONFIG, frozen_steps=0, shared_rate=1.0))
    for left, right in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("stop_at", [3, 5, 8])
def test_a_run_resumes_bit_equal_in_every_phase(tmp_path, stop_at):
    config = replace(CONFIG, frozen_steps=5, shared_rate=0.5, ema_decay=0.9)
    whole = tiny_model()
    train(whole, config=config)
    resumed = tiny_model()
    train(resumed, tmp_path, config, stop_at=stop_at)
    resumed = tiny_model()
    train(resumed, tmp_path, config)
    for left, right in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(left, right)


def test_a_model_without_shared_parts_is_refused():
    config = replace(CONFIG, frozen_steps=2)
    with pytest.raises(ValueError, match="Linear shares none: leave both out"):
        group_parameters(nn.Linear(2, 2), config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frozen_steps": -1}, "frozen_steps must be at least 0, got -1"),
        ({"shared_rate": 0.0}, "shared_rate must be a number above 0, got 0.0"),
        ({"shared_rate": float("nan")}, "shared_rate must be a number above 0, got nan"),
        ({"frozen_steps": 1.5}, "frozen_steps must be a whole number, got 1.5"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(4, 2, **settings)
