"""Training in several processes: the losses of one, whatever happens to them in between."""

import multiprocessing
import os
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.multiprocessing import ProcessRaisedException
from torch.testing import assert_close

from smm_tutorial import checkpoints, cli, datasets
from smm_tutorial.discovery.loss import ReconstructionLoss
from smm_tutorial.experiments import run as named_run
from smm_tutorial.scenes import random_scene
from smm_tutorial.set_prediction.loss import SetLoss
from smm_tutorial.set_prediction.model import SetPredictionConfig, SetPredictor
from smm_tutorial.training import processes
from smm_tutorial.training.logs import read_log
from smm_tutorial.training.loop import NonFiniteError, fit, step_generator
from smm_tutorial.training.processes import ProcessError, Share
from tests.toy_runs import CONFIG, TinyLoss, mean_of_weights, tiny_model
from tests.toys import toy_scenes

AVERAGED = replace(CONFIG, ema_decay=0.9)


def train(model, loss, folder=None, **options):
    return fit(model, loss, AVERAGED, folder, progress=False, log_every=1, save_every=2, **options)


def with_a_parameter_that_nothing_uses(model):
    model.unused = nn.Parameter(torch.ones(3))
    return model


def test_two_processes_train_like_one_though_interrupted_and_killed_on_the_way(tmp_path, capfd):
    state = tmp_path / "state.safetensors"
    model = with_a_parameter_that_nothing_uses(tiny_model())
    with pytest.raises(KeyboardInterrupt):
        train(model, TinyLoss(model, "interrupted"), tmp_path, devices=2)
    assert "goes on from there" in capfd.readouterr().out
    interrupted_at = checkpoints.read(state)[1]["step"]
    assert 5 <= interrupted_at < 12 and len(read_log(tmp_path)) == interrupted_at

    state.unlink()  # back to the start
    model = with_a_parameter_that_nothing_uses(tiny_model())
    with pytest.raises(
        ProcessError, match=r"process (1 .* was killed \(SIGKILL\)|0 .* failed): the run has ended"
    ):
        train(model, TinyLoss(model, "killed"), tmp_path, devices=2)
    assert checkpoints.read(state)[1]["step"] == 4

    model = with_a_parameter_that_nothing_uses(
        tiny_model(seed=7)
    )  # its weights come from the state
    run = train(model, TinyLoss(model), tmp_path, devices=2, evaluate=mean_of_weights)
    assert multiprocessing.active_children() == []

    alone = with_a_parameter_that_nothing_uses(tiny_model())
    whole = train(alone, TinyLoss(alone), evaluate=mean_of_weights)
    log = read_log(tmp_path)
    assert (
        run.step == 12
        and [entry["step"] for entry in log] == list(range(1, 13))
        and run.log == log[4:]
    )
    for name in ("loss", "squared_error", "owned"):
        expected = torch.tensor([entry[name] for entry in whole.log])
        assert_close(torch.tensor([entry[name] for entry in log]), expected, rtol=1e-3, atol=1e-5)
    for ours, expected in zip(model.parameters(), alone.parameters(), strict=True):
        assert_close(ours, expected, rtol=1e-3, atol=1e-4)
    assert log[-1]["mean_of_weights"] == pytest.approx(whole.log[-1]["mean_of_weights"], abs=1e-5)


class OneProcess:
    """Stands in for Fabric: its process fails as torch's do, with a text."""

    local_rank, device = 0, torch.device("cpu")

    def launch(self, work):
        try:
            work(self)
        except RuntimeError as error:
            raise ProcessRaisedException(f"Traceback\nRuntimeError: {error}", 0, 1) from None


@pytest.mark.parametrize(
    ("raised", "expected", "message"),
    [
        (
            NonFiniteError("step 3: loss is not finite"),
            NonFiniteError,
            "^step 3: loss is not finite$",
        ),
        (
            checkpoints.CheckpointError("of another run"),
            checkpoints.CheckpointError,
            "^of another run$",
        ),
        (
            RuntimeError("Connection closed by peer"),
            ProcessError,
            "process 0 .* failed: .*Connection closed by peer",
        ),
    ],
)
def test_what_a_process_raises_is_raised(raised, expected, message):
    def train(fabric, model):
        raise raised

    with pytest.raises(expected, match=message):
        processes.run(OneProcess(), train, tiny_model())


@pytest.mark.parametrize(
    ("rank", "handler"), [(0, signal.default_int_handler), (1, signal.SIG_IGN)]
)
def test_an_interrupt_is_for_the_first_process_and_the_others_watch_their_parent(
    monkeypatch, tmp_path, rank, handler
):
    fabric, seen, watched = OneProcess(), [], []
    fabric.local_rank = rank
    monkeypatch.setattr(processes, "_end_with_parent", watched.append)
    before = signal.getsignal(signal.SIGINT)
    try:
        processes._work(
            fabric,
            lambda fabric, model: seen.append(signal.getsignal(signal.SIGINT)),
            tiny_model(),
            tmp_path,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [handler] and watched == [os.getppid()] * rank


def test_a_process_whose_parent_has_died_ends(monkeypatch):
    class Ended(Exception):
        pass

    def end(status):
        assert status != 0
        raise Ended

    parents = iter([17, 17, 1])
    monkeypatch.setattr(processes.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(processes.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(processes.os, "_exit", end)
    with pytest.raises(Ended):
        processes._end_with_parent(17)
    assert list(parents) == []


def set_loss():
    torch.manual_seed(0)
    model = SetPredictor(
        SetPredictionConfig(
            image_size=16,
            num_slots=4,
            slot_dim=8,
            num_iterations=2,
            encoder_channels=8,
            head_dim=8,
            convolutions="light",
        )
    )
    records = [random_scene(np.random.default_rng(i), 3, 4).to_record() for i in range(12)]
    return model, SetLoss(model, replace(toy_scenes(), records=records), 8)


def reconstruction_loss():
    model = tiny_model()
    return model, ReconstructionLoss(model, toy_scenes(), 8, price=0.1, steps=4)


@pytest.mark.parametrize("make", [set_loss, reconstruction_loss])
def test_the_mean_over_the_shares_of_a_batch_is_the_loss_of_the_batch(make):
    model, loss = make()
    with torch.no_grad():
        whole = loss(model, step_generator(0, 3), 3)
        parts = []
        for rank in range(4):
            loss.place(torch.device("cpu"), Share(rank, 4))
            parts.append(loss(model, step_generator(0, 3), 3))
    assert len({part["loss"].item() for part in parts}) == 4  # not one share four times
    for name, value in whole.items():
        assert_close(torch.stack([part[name] for part in parts]).mean(), value)


def test_shares_are_equal_parts_in_order():
    batch = torch.arange(6)
    assert torch.equal(torch.cat([Share(rank, 3).of(batch) for rank in range(3)]), batch)
    assert Share(1, 3).of(batch).tolist() == [2, 3] and torch.equal(Share().of(batch), batch)


def test_what_cannot_be_split_or_started_is_refused(monkeypatch):
    model = tiny_model()
    loss = TinyLoss(model)
    with pytest.raises(ValueError, match="batch_size must be a multiple of the 3 processes, got 4"):
        train(model, loss, devices=3)
    with pytest.raises(
        ValueError, match=r"function cannot be split over processes: give it place\(device, share\)"
    ):
        train(model, lambda model, generator, step: {}, devices=2)
    with pytest.raises(ValueError, match="devices and num_nodes must be at least 1, got 0 and 1"):
        train(model, loss, devices=0)
    with pytest.raises(ValueError, match="must be picklable to reach other processes.*no lambda"):
        train(model, loss, devices=2, evaluate=lambda model: {})
    with monkeypatch.context() as patch:
        patch.setenv("LOCAL_RANK", "1")
        with pytest.raises(
            ValueError, match="LOCAL_RANK is set, as by torchrun: start with plain python"
        ):
            train(model, loss, devices=2)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "ps1", "In [1]: ", raising=False)
        with pytest.raises(
            ValueError, match="a notebook or prompt cannot start several processes.*--devices N"
        ):
            train(model, loss, devices=2)
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        with pytest.raises(ValueError, match="devices is 2, and this machine has 1 GPUs"):
            train(model, loss, devices=2)


def test_the_command_line_hands_its_options_to_the_engine_and_a_dead_process_is_status_1(
    tmp_path, monkeypatch, capsys
):
    seen = {}

    def dying_fit(model, loss, config, run_dir, **options):
        seen.update(options, config=config)
        raise ProcessError("process 1 was killed")

    monkeypatch.setenv("SMM_DATA", str(tmp_path))
    monkeypatch.setattr(
        datasets, "load", lambda name, split, size, **options: toy_scenes(size=size)
    )
    monkeypatch.setattr(named_run, "fit", dying_fit)
    command = "train discovery --profile ci --devices 4 --nodes 2 --precision bf16-mixed --compile default --tensorboard board"
    assert cli.main(command.split()) == 1
    assert "process 1 was killed" in capsys.readouterr().err
    assert (seen["devices"], seen["num_nodes"], seen["tensorboard"]) == (4, 2, "board")
    assert (seen["config"].precision, seen["config"].compile) == ("bf16-mixed", "default")
