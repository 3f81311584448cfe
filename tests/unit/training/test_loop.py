"""The training loop: repeatable, resumable to the bit, and careful with what is on disk."""

import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
from lightning_utilities.core import rank_zero

from smm_tutorial import checkpoints, files
from smm_tutorial.discovery.recipe import make_loss
from smm_tutorial.training.config import TrainingConfig, learning_rate_factor
from smm_tutorial.training.loop import NonFiniteError, fit, step_generator
from tests import toy_runs
from tests.toy_runs import CONFIG, LOSS, RandomImages, tiny_model


def train(model, folder=None, config=CONFIG, **options):
    return toy_runs.train(model, folder, config, **{"save_every": 3} | options)


def assert_same_weights(a, b):
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(x, y), name


def interrupt_by(loss, folder):
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_model(), RandomImages(), loss, CONFIG, folder, progress=False, save_every=100)


def test_two_runs_of_one_seed_are_bit_equal_and_leave_the_global_randomness_alone():
    before = torch.get_rng_state()
    a, b, other = tiny_model(), tiny_model(), tiny_model()
    (
        train(a),
        train(b),
        train(other, config=TrainingConfig(steps=12, batch_size=4, warmup_steps=3, seed=2)),
    )
    assert_same_weights(a, b)
    assert not torch.equal(a.encoder.embed_positions.weight, other.encoder.embed_positions.weight)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("stop_at", [1, 5, 11])
def test_a_run_that_stops_and_goes_on_is_bit_equal_to_one_that_does_not(tmp_path, stop_at):
    whole, first, second = tiny_model(), tiny_model(), tiny_model(seed=7)
    train(whole)
    train(first, tmp_path, stop_at=stop_at)
    run = train(second, tmp_path)
    assert run.step == 12
    assert_same_weights(whole, second)


@pytest.mark.needs_cpu("autocast is not pretended")
def test_half_precision_trains_and_announces_nothing(monkeypatch):
    model, told, logger = tiny_model(), [], rank_zero.log
    monkeypatch.setattr(logger, "callHandlers", told.append)
    logger.setLevel(logging.INFO)
    train(
        model, config=TrainingConfig(steps=2, batch_size=4, warmup_steps=1, precision="bf16-mixed")
    )
    assert told == [] and logger.level == logging.INFO
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


KILLED_RUN = """
import sys, time
sys.path.insert(0, {root!r})
from tests.unit.training.test_loop import *
config = TrainingConfig(steps=60, batch_size=4, warmup_steps=3, seed=1)
def slow_loss(model, batch, step):
    time.sleep(0.05)
    return make_loss(LOSS, config.steps)(model, batch, step)
print("started", flush=True)
train(tiny_model(), {folder!r}, config, loss=slow_loss, save_every=1)
"""


@pytest.mark.needs_cpu("it trains in a process of its own")
def test_a_run_killed_at_a_random_moment_goes_on_bit_equal(tmp_path, request):
    config = TrainingConfig(steps=60, batch_size=4, warmup_steps=3, seed=1)
    script = KILLED_RUN.format(root=str(request.config.rootpath), folder=str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "started\n"
        while not (tmp_path / "state.safetensors").exists():
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(random.uniform(0.0, 1.5))
        process.kill()  # no clean-up, no last words
    killed_at = checkpoints.read(tmp_path / "state.safetensors")[1]["step"]
    assert 1 <= killed_at < 60
    resumed, whole = tiny_model(seed=5), tiny_model()
    train(resumed, tmp_path, config)
    train(whole, config=config)
    assert_same_weights(whole, resumed)


def test_the_log_has_each_step_once_after_a_resume(tmp_path):
    train(tiny_model(), tmp_path, stop_at=8, log_every=1, save_every=3)
    state = tmp_path / "state.safetensors"
    kept = state.read_bytes()
    train(tiny_model(), tmp_path, log_every=1)
    state.write_bytes(kept)  # as if killed before the last save
    with open(tmp_path / "log.jsonl", "a") as log:
        log.write('{"step": 13, "lo')  # and in the middle of a line
    train(tiny_model(), tmp_path, log_every=1)
    assert [
        json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()
    ] == list(range(1, 13))


def test_a_non_finite_loss_stops_the_run_names_step_and_tensor_and_keeps_the_last_state(tmp_path):
    model = tiny_model()
    train(model, tmp_path, stop_at=6)
    kept, weights = (tmp_path / "state.safetensors").read_bytes(), None

    def poisoned(wrapped, images, step):
        nonlocal weights
        loss = wrapped(images).reconstruction.mean()
        if step == 8:
            weights = [p.clone() for p in model.parameters()]
            loss = loss * float("nan")
        return {"loss": loss}

    with pytest.raises(
        NonFiniteError, match=r"step 8: loss is not finite.*keeps the last good state"
    ):
        fit(model, RandomImages(), poisoned, CONFIG, tmp_path, progress=False, save_every=100)
    assert (tmp_path / "state.safetensors").read_bytes() == kept
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))


def test_a_bad_gradient_is_named(tmp_path):
    model = tiny_model()

    def bad_gradient(wrapped, images, step):
        out = wrapped(images)
        return {
            "loss": out.reconstruction.mean()
            + 0 * model.encoder.embed_positions.bias.sum().mul(0).sqrt()
        }

    with pytest.raises(
        NonFiniteError, match="step 0: gradient of encoder.embed_positions.bias is not finite"
    ):
        fit(model, RandomImages(), bad_gradient, CONFIG, progress=False)


def test_a_state_of_another_run_or_a_damaged_one_is_refused(tmp_path):
    train(tiny_model(), tmp_path, stop_at=3)
    with pytest.raises(checkpoints.CheckpointError, match="a run with another seed"):
        train(
            tiny_model(), tmp_path, TrainingConfig(steps=12, batch_size=4, warmup_steps=3, seed=2)
        )
    state = tmp_path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(checkpoints.CheckpointError, match="state.safetensors is damaged"):
        train(tiny_model(), tmp_path)


def test_an_interrupt_saves_the_last_finished_step_and_says_how_to_go_on(tmp_path, capsys):
    def interrupted(wrapped, images, step):
        if step == 5:
            raise KeyboardInterrupt
        return {"loss": wrapped(images).reconstruction.mean()}

    interrupt_by(interrupted, tmp_path)
    assert "holds step 5: the same call goes on from there" in capsys.readouterr().out
    assert checkpoints.read(tmp_path / "state.safetensors")[1]["step"] == 5


@pytest.mark.parametrize("where", ["in the loss", "in the update"])
def test_a_run_that_is_interrupted_anywhere_goes_on_bit_equal(tmp_path, monkeypatch, where):
    """An interrupt in the update waits for its end: weights are never saved half updated."""
    update, updates = torch.optim.AdamW.step, []

    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)  # where Python sees the signal, at the latest

    def watched_update(self, *arguments, **options):
        updates.append(where == "in the update" and len(updates) == 3 and interrupt())
        return update(self, *arguments, **options)

    def interrupted(wrapped, batch, step):
        if where == "in the loss" and step == 4:
            interrupt()
        return make_loss(LOSS, CONFIG.steps)(wrapped, batch, step)

    whole, first, second = tiny_model(), tiny_model(), tiny_model(seed=7)
    train(whole)
    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", watched_update)
        with pytest.raises(KeyboardInterrupt):
            train(first, tmp_path, loss=interrupted, save_every=100)
    assert checkpoints.read(tmp_path / "state.safetensors")[1]["step"] == 4
    train(second, tmp_path)
    assert_same_weights(whole, second)


def test_a_second_interrupt_waits_until_the_state_is_saved(tmp_path, monkeypatch):
    write = files.write_atomically

    def interrupted_write(path, content):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)
        write(path, content)

    def interrupted(wrapped, images, step):
        if step == 2:
            monkeypatch.setattr(files, "write_atomically", interrupted_write)
            raise KeyboardInterrupt
        return {"loss": wrapped(images).reconstruction.mean()}

    interrupt_by(interrupted, tmp_path)
    assert checkpoints.read(tmp_path / "state.safetensors")[1]["step"] == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.needs_cpu("only one thread pretends")
def test_a_run_in_a_thread_trains_as_in_the_main_one():
    """Handlers of signals can be set in the main thread alone; no other is interrupted."""
    ours, theirs = tiny_model(), tiny_model()
    train(ours)
    thread = threading.Thread(target=train, args=(theirs,))
    thread.start()
    thread.join()
    assert_same_weights(ours, theirs)


def test_evaluation_is_logged_and_does_not_change_the_training(tmp_path):
    plain, watched = tiny_model(), tiny_model()
    train(plain)
    train(
        watched,
        tmp_path,
        evaluate=lambda model: {"training": float(model.training)},
        evaluate_every=5,
    )
    assert_same_weights(plain, watched)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(entry["step"], entry["training"]) for entry in log] == [(5, 0.0), (10, 0.0), (12, 0.0)]


def test_the_learning_rate_warms_up_and_falls_to_zero():
    factors = [
        learning_rate_factor(step, TrainingConfig(steps=100, batch_size=1, warmup_steps=10))
        for step in range(100)
    ]
    assert factors[0] == 0.1 and factors[9] == factors[10] == 1.0
    assert (
        all(a > b for a, b in zip(factors[10:], factors[11:], strict=False)) and factors[-1] < 1e-3
    )


def test_step_randomness_differs_between_steps_and_seeds():
    draws = {
        tuple(torch.rand(2, generator=step_generator(seed, step)).tolist())
        for seed in range(3)
        for step in range(50)
    }
    assert len(draws) == 150


def test_impossible_configurations_are_refused():
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        TrainingConfig(steps=0, batch_size=4)
