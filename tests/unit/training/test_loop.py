"""The training loop: repeatable, resumable to the bit, and careful with what is on disk."""

import itertools
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
from torch import nn

from smm_tutorial import checkpoints, files
from smm_tutorial.discovery.recipe import make_loss
from smm_tutorial.files import FolderBusyError
from smm_tutorial.training.config import TrainingConfig, learning_rate_factor
from smm_tutorial.training.logs import read_log
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


ODD_RECORDS = {
    "no training": lambda record: record.pop("training"),
    "a training of text": lambda record: record.update(training="12 steps"),
    "no step": lambda record: record.pop("step"),
    "a step of text": lambda record: record.update(step="3"),
    "a step that is true": lambda record: record.update(step=True),
    "a step below 0": lambda record: record.update(step=-1),
    "a step beyond the end": lambda record: record.update(step=13),
    "a fraction of a step": lambda record: record.update(step=2.5),
    "no seconds": lambda record: record.pop("seconds"),
    "seconds that are no number": lambda record: record.update(seconds=float("nan")),
    "readings of text": lambda record: record.update(readings={"loss": "low"}),
    "choices that are a list": lambda record: record.update(choices=[]),
}
ODD_TENSORS = {
    "a foreign one": lambda tensors: tensors.update(foo=torch.zeros(1)),
    "one of a foreign part": lambda tensors: tensors.update({"foo.a": torch.zeros(1)}),
    "one of the average": lambda tensors: tensors.update({"average.a": torch.zeros(1)}),
    "a foreign moment": lambda tensors: tensors.update({"optimizer.0.foo": torch.zeros(1)}),
    "the optimiser's without a number": lambda tensors: tensors.update(
        {"optimizer.a.exp_avg": torch.zeros(1)}
    ),
    "of a parameter that is not there": lambda tensors: tensors.update(
        {"optimizer.99.exp_avg": torch.zeros(1)}
    ),
    "a moment of another shape": lambda tensors: tensors.update(
        {"optimizer.0.exp_avg": torch.zeros(1)}
    ),
    "no moment": lambda tensors: tensors.pop("optimizer.0.exp_avg"),
    "no weight": lambda tensors: tensors.pop(next(iter(tensors))),
}


@pytest.mark.parametrize("change", ODD_RECORDS.values(), ids=ODD_RECORDS)
def test_a_state_with_an_odd_record_is_refused(tmp_path, change):
    train(tiny_model(), tmp_path, stop_at=3)
    tensors, record = checkpoints.read(tmp_path / "state.safetensors")
    change(record)
    checkpoints.write(tmp_path / "state.safetensors", tensors, record)
    with pytest.raises(checkpoints.CheckpointError, match=r"state.safetensors is .*delete"):
        train(tiny_model(), tmp_path)


@pytest.mark.parametrize("change", ODD_TENSORS.values(), ids=ODD_TENSORS)
def test_a_state_with_odd_tensors_is_refused(tmp_path, change):
    train(tiny_model(), tmp_path, stop_at=3)
    tensors, record = checkpoints.read(tmp_path / "state.safetensors")
    change(tensors)
    checkpoints.write(tmp_path / "state.safetensors", tensors, record)
    with pytest.raises(
        checkpoints.CheckpointError, match="state.safetensors is of another model.*delete"
    ):
        train(tiny_model(), tmp_path)


@pytest.mark.parametrize(
    "line",
    ["null", "[]", "3", '{"nostep": 1}', '{"step": null}', '{"step": true}', '{"step": -1}']
    + ['{"step": 1.5}', "", "{", "[" * 100_000, '{"step": ' + "1" * 5_000 + "}", "\xff"],
    ids=lambda line: line[:12],
)
def test_a_log_with_an_odd_line_is_refused(tmp_path, line):
    content = b'{"step": 1}\n' + line.encode("latin-1") + b'\n{"step": 2}\n'
    (tmp_path / "log.jsonl").write_bytes(content)
    with pytest.raises(
        checkpoints.CheckpointError, match=r"log.jsonl is damaged: line 2 .*delete that line"
    ):
        train(tiny_model(), tmp_path)
    assert (tmp_path / "log.jsonl").read_bytes() == content


def test_a_state_of_other_choices_is_refused_and_one_that_says_nothing_of_them_is_not(tmp_path):
    train(tiny_model(), tmp_path, stop_at=2)
    train(tiny_model(), tmp_path, stop_at=3, choices={"data": "clevr6", "begun_with": None})
    with pytest.raises(checkpoints.CheckpointError, match="of a run with another begun_with, data"):
        train(tiny_model(), tmp_path, choices={"data": "stacks", "begun_with": "pixels"})
    train(tiny_model(), tmp_path, choices={"data": "clevr6", "shape": (1, 2)})


# One run in a folder


@pytest.mark.needs_cpu("another thread trains, where nothing is pretended")
def test_a_folder_in_which_a_run_trains_is_refused_to_others(tmp_path):
    """Another thread stands for another process: locks tell them apart alike."""
    refusals = []

    def train_too():
        with pytest.raises(FolderBusyError, match=f"another process is training in {tmp_path}"):
            train(tiny_model(), tmp_path)
        refusals.append(True)

    def loss(model, batch, step):
        if step == 3:
            thread = threading.Thread(target=train_too)
            thread.start()
            thread.join()
        return make_loss(LOSS, CONFIG.steps)(model, batch, step)

    train(tiny_model(), tmp_path, loss=loss, log_every=1)
    assert refusals == [True]
    assert [entry["step"] for entry in read_log(tmp_path)] == list(range(1, 13))
    train(tiny_model(), tmp_path)  # it has let go


def test_the_owner_of_a_folder_may_train_in_it(tmp_path):
    with files.lock_folder(tmp_path, "training in"):
        assert train(tiny_model(), tmp_path).step == 12


# Evaluations


def watch(model):
    return {"mean": nn.utils.parameters_to_vector(model.parameters()).mean().item()}


@pytest.mark.parametrize("interrupted_at", [5, 10, 12])
def test_an_evaluation_that_was_interrupted_is_made_up_for(tmp_path, interrupted_at):
    calls = itertools.count(1)

    def interrupted(model):
        if min(5 * next(calls), 12) == interrupted_at:
            raise KeyboardInterrupt
        return watch(model)

    options = {"evaluate_every": 5, "log_every": 4}
    train(tiny_model(), tmp_path / "whole", evaluate=watch, **options)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_model(), tmp_path / "parts", evaluate=interrupted, **options)
    run = train(tiny_model(seed=7), tmp_path / "parts", evaluate=watch, **options)
    times = {"seconds": 0, "images_per_s": 0}
    whole, parts = (
        [entry | times for entry in read_log(tmp_path / name)] for name in ("whole", "parts")
    )
    assert whole == parts
    assert run.log[0]["step"] == interrupted_at and run.images_per_s > 0


def test_a_finished_run_that_was_never_evaluated_is_evaluated_once(tmp_path):
    train(tiny_model(), tmp_path, log_every=5)
    for expected in (1, 0):
        run = train(tiny_model(seed=7), tmp_path, log_every=5, evaluate=watch)
        assert len(run.log) == expected
    log = read_log(tmp_path)
    assert [entry["step"] for entry in log] == [5, 10, 12]
    assert {"mean", "loss"} <= log[-1].keys()


def test_a_finished_run_whose_log_is_lost_gets_its_last_entry_back(tmp_path):
    train(tiny_model(), tmp_path, evaluate=watch)
    entry = read_log(tmp_path)[-1]
    (tmp_path / "log.jsonl").unlink()
    run = train(tiny_model(seed=7), tmp_path, evaluate=watch)
    assert run.log == read_log(tmp_path) and run.log[0].keys() == entry.keys()
    assert (run.log[0]["loss"], run.log[0]["mean"]) == (entry["loss"], entry["mean"])


def test_an_older_state_says_nothing_of_its_loss_and_is_evaluated(tmp_path):
    train(tiny_model(), tmp_path)
    tensors, record = checkpoints.read(tmp_path / "state.safetensors")
    for name in ("readings", "choices"):
        del record[name]
    checkpoints.write(tmp_path / "state.safetensors", tensors, record)
    (tmp_path / "log.jsonl").unlink()
    run = train(tiny_model(seed=7), tmp_path, evaluate=watch)
    assert [entry.keys() for entry in run.log] == [{"step", "seconds", "mean"}]


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
