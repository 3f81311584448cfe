"""Training in several processes: the losses of one, whatever happens to them in between."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch
from torch.testing import assert_close

from smm_tutorial import checkpoints, files
from smm_tutorial.discovery.recipe import make_loss
from smm_tutorial.training.batches import Share
from smm_tutorial.training.logs import read_log
from smm_tutorial.training.loop import step_generator
from smm_tutorial.training.processes import is_first_process, read_processes, start_fabric
from tests.several_processes import model_with_an_unused_parameter, run
from tests.shared import ROOT
from tests.toy_runs import LOSS, tiny_model, toy_batches

pytestmark = pytest.mark.needs_cpu("it trains in processes of their own")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


def start(folder, incident="none", processes=2):
    """`torchrun` with a tiny run, in a process group of its own, as a terminal starts it."""
    command = [*TORCHRUN, str(processes), "-m", "tests.several_processes", str(folder), incident]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process):
    """-> exit status, output and errors; nothing is left running."""
    try:
        out, errors = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, errors


def test_two_processes_train_like_one_though_interrupted_and_killed_on_the_way(tmp_path):
    state = tmp_path / "state.safetensors"
    process = start(tmp_path, "interrupted")
    while not (tmp_path / "waits").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches every process of the terminal
    status, out, _ = end(process)
    assert status != 0 and "goes on from there" in out
    interrupted_at = checkpoints.read(state)[1]["step"]
    assert 5 <= interrupted_at < 12 and len(read_log(tmp_path)) == interrupted_at

    state.unlink()  # back to the start
    status, _, errors = end(start(tmp_path, "killed"))
    assert status == 1 and "Signal 9 (SIGKILL) received" in errors
    assert checkpoints.read(state)[1]["step"] in (4, 5)  # torchrun ends the first, which may save

    status, _, errors = end(start(tmp_path))
    assert status == 0, errors
    alone = model_with_an_unused_parameter(seed=7)
    whole = run(alone, tmp_path / "alone")
    log = read_log(tmp_path)
    assert [entry["step"] for entry in log] == list(range(1, 13))
    for name in ("loss", "squared_error", "owned"):
        expected = torch.tensor([entry[name] for entry in whole.log])
        assert_close(torch.tensor([entry[name] for entry in log]), expected, rtol=1e-3, atol=1e-5)
    tensors, record = checkpoints.read(state)
    assert record["step"] == 12
    for name, expected in alone.state_dict().items():
        assert_close(tensors[f"average.{name}"], expected, rtol=1e-3, atol=1e-4)
    assert log[-1]["mean_of_weights"] == pytest.approx(whole.log[-1]["mean_of_weights"], abs=1e-5)


def test_a_batch_that_the_processes_cannot_share_is_refused(tmp_path):
    status, _, errors = end(start(tmp_path, processes=3))
    assert status == 1
    assert "batch_size must be a multiple of the 3 processes, got 4" in errors


def test_all_processes_learn_that_another_run_trains_in_the_folder(tmp_path):
    with files.lock_folder(tmp_path, "training in"):
        status, _, errors = end(start(tmp_path))
    assert status == 1
    refusals = [line for line in errors.splitlines() if "FolderBusyError: another process" in line]
    assert len(refusals) == 2 and read_log(tmp_path) == []


def test_the_mean_over_the_shares_of_a_batch_is_the_loss_of_the_batch():
    model, loss = tiny_model(), make_loss(LOSS, steps=4)
    targets = torch.rand(12, 3, 19)  # of the twelve toy scenes

    def drawn(share):
        batches = toy_batches(model, 8, targets=targets)
        batches.place(torch.device("cpu"), share)
        return batches.draw(step_generator(0, 3))

    joint, parts = drawn(Share()), [drawn(Share(rank, 4)) for rank in range(4)]
    for field in joint._fields:
        shares = torch.cat([getattr(part, field) for part in parts])
        assert torch.equal(shares, getattr(joint, field))
    with torch.no_grad():
        whole = loss(model, joint, 3)
        losses = [loss(model, part, 3) for part in parts]
    assert len({one["loss"].item() for one in losses}) == 4  # not one share four times
    for name, value in whole.items():
        assert_close(torch.stack([one[name] for one in losses]).mean(), value)


def test_shares_are_equal_parts_in_order():
    batch = torch.arange(6)
    assert torch.equal(torch.cat([Share(rank, 3).of(batch) for rank in range(3)]), batch)
    assert Share(1, 3).of(batch).tolist() == [2, 3] and torch.equal(Share().of(batch), batch)


@pytest.mark.parametrize(("rank", "first"), [(None, True), ("0", True), ("1", False)])
def test_the_first_process_writes_and_reports(monkeypatch, rank, first):
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    assert is_first_process() is first


ENVIRONMENT = {
    "TORCHELASTIC_RUN_ID": "1",
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}


@pytest.fixture
def environment(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def test_the_processes_are_read_from_torchruns_environment(environment, monkeypatch):
    found = read_processes()
    assert (found.rank, found.world_size, found.num_machines) == (3, 4, 2)
    assert found.meeting == "127.0.0.1:29500"
    for name in ENVIRONMENT:
        monkeypatch.delenv(name)
    assert read_processes() is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MASTER_PORT", "http", "MASTER_PORT must be a whole number from 1 to 65535, got 'http'"),
        ("MASTER_PORT", "0", "MASTER_PORT must be a whole number from 1 to 65535, got '0'"),
        ("MASTER_PORT", "70000", "MASTER_PORT must be a whole number from 1 to 65535, got '70000'"),
        ("MASTER_PORT", None, "MASTER_PORT must be a whole number from 1 to 65535, got None"),
        ("WORLD_SIZE", "two", "WORLD_SIZE must be a whole number from 1 on, got 'two'"),
        ("WORLD_SIZE", "0", "WORLD_SIZE must be a whole number from 1 on, got '0'"),
        ("WORLD_SIZE", "5", "WORLD_SIZE must be a multiple of LOCAL_WORLD_SIZE = 2, got 5"),
        ("LOCAL_WORLD_SIZE", "", "LOCAL_WORLD_SIZE must be a whole number from 1 on, got ''"),
        ("RANK", "4", "RANK must be a whole number from 0 to 3, got '4'"),
        ("RANK", "-1", "RANK must be a whole number from 0 to 3, got '-1'"),
        ("LOCAL_RANK", "2", "LOCAL_RANK must be a whole number from 0 to 1, got '2'"),
        ("GROUP_RANK", "2", "GROUP_RANK must be a whole number from 0 to 1, got '2'"),
        ("GROUP_RANK", "1.0", "GROUP_RANK must be a whole number from 0 to 1, got '1.0'"),
        ("MASTER_ADDR", "no.such.host.invalid", "MASTER_ADDR is 'no.such.host.invalid', and no"),
        ("MASTER_ADDR", "a" * 70, "MASTER_ADDR is 'aaaa.*and no machine is found"),
    ],
)
def test_an_odd_environment_is_refused_at_once(environment, monkeypatch, name, value, message):
    monkeypatch.delenv(name)
    if value is not None:
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        start_fabric("32-true")


def test_a_later_process_that_torchrun_did_not_start_is_refused(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("RANK", "1")  # all that it would write it would leave to the first one
    with pytest.raises(ValueError, match="RANK is '1', but this process was not started by torch"):
        start_fabric("32-true")


WAITING = """
from datetime import timedelta
from smm_tutorial.training import processes
processes.QUIET, processes.PATIENCE = 0.0, timedelta(seconds=2)
processes.start_fabric("32-true")
"""


def test_a_process_whose_companions_do_not_come_says_what_it_waits_for_and_gives_up():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    alone = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    environment = os.environ | ENVIRONMENT | alone | {"GROUP_RANK": "0", "MASTER_PORT": port}
    command = [sys.executable, "-c", WAITING]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert f"process 1 of 2 waits for the others at 127.0.0.1:{port}, at most" in done.stdout
    expected = f"TimeoutError: the 2 processes did not meet at 127.0.0.1:{port}"
    assert done.returncode == 1 and expected in done.stderr
