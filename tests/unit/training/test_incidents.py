"""A run that meets an incident at any operation on its files ends as one that met none.

Killed, interrupted, terminated, its disk full, its folder deleted: the weights, the optimiser, the
average and the log are bit-equal in the end, but for times.

A kill is tried at every point, the rest at one point in a few; with `SMM_EVERY_POINT=1` at every
one.
"""

import itertools
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from smm_tutorial import checkpoints
from smm_tutorial.files import DRAFT_SUFFIX
from smm_tutorial.training import loop
from smm_tutorial.training.config import TrainingConfig
from smm_tutorial.training.logs import read_log
from smm_tutorial.training.loop import fit
from smm_tutorial.training.state import CannotWriteError
from tests.incidents import (
    WRITES,
    FileOperations,
    at_point,
    delete_folder,
    fill_disk,
    leave_copies,
    make_read_only,
)
from tests.shared import ROOT

CONFIG = TrainingConfig(steps=24, batch_size=4, warmup_steps=3, seed=1, ema_decay=0.9)
TIMES = {"seconds", "images_per_s"}
STRIDE = 1 if "SMM_EVERY_POINT" in os.environ else 9


class Vectors:
    """Batches of random numbers."""

    def place(self, device, share):
        pass

    def draw(self, generator):
        return torch.randn(4, 3, generator=generator)


class Tied(nn.Module):
    """Two layers that share their weight."""

    def __init__(self):
        super().__init__()
        self.there, self.back = nn.Linear(3, 3), nn.Linear(3, 3)
        self.back.weight = self.there.weight

    def forward(self, vectors):
        return self.back(self.there(vectors))


@pytest.fixture(autouse=True)
def one_fabric(monkeypatch):
    """Building one takes longer than all that is tested here."""
    fabric = loop.start_fabric("32-true")
    monkeypatch.setattr(loop, "start_fabric", lambda precision: fabric)


def run(folder, happen=lambda operations: None):
    """The whole run, or the rest of it -> its operations on files."""
    operations = FileOperations(folder, happen)

    def loss(model, vectors, step):
        operations.pass_point("step")
        return {"loss": (model(vectors) - vectors).square().mean()}

    def evaluate(model):
        operations.pass_point("evaluation")
        return {"norm": nn.utils.parameters_to_vector(model.parameters()).norm().item()}

    torch.manual_seed(0)
    options = {"save_every": 2, "log_every": 1, "evaluate_every": 3, "progress": False}
    with operations.watched():
        try:
            fit(Tied(), Vectors(), loss, CONFIG, folder, evaluate=evaluate, **options)
        finally:
            operations.happen = lambda operations: None
    return operations


def outcome(folder):
    """All that a run leaves, but for times."""
    tensors, record = checkpoints.read(folder / "state.safetensors")
    log = [
        {key: value for key, value in entry.items() if key not in TIMES}
        for entry in read_log(folder)
    ]
    values = {name: tensor.tolist() for name, tensor in tensors.items()}
    readings = {name: value for name, value in record["readings"].items() if name not in TIMES}
    left = sorted(path.name for path in folder.iterdir() if path.name != ".lock")
    return values, record["step"], readings, log, left


@pytest.fixture
def expected(tmp_path):
    run(tmp_path / "expected")
    values, step, readings, log, left = outcome(tmp_path / "expected")
    assert [entry["step"] for entry in log] == list(range(1, 25))
    assert [entry["step"] for entry in log if "norm" in entry] == list(range(3, 25, 3))
    assert step == 24 and left == ["log.jsonl", "state.safetensors"]
    return values, step, readings, log, left


def test_a_run_killed_at_any_point_goes_on_bit_equal(tmp_path, expected):
    operations = run(tmp_path / "whole", leave_copies(tmp_path))
    assert len(operations.seen) >= 200
    tried = set()
    for point, name in enumerate(operations.seen):
        folder = tmp_path / str(point)
        found = frozenset((file.name, file.read_bytes()) for file in folder.iterdir())
        if found not in tried:  # else it would end as that one did
            tried.add(found)
            run(folder)
            assert outcome(folder) == expected, (point, name)
    assert len(tried) >= 80
    left = {name for found in tried for name, _ in found}
    assert any(name.endswith(DRAFT_SUFFIX) for name in left)  # which are gone in the end


def some_points(tmp_path):
    """Points of a run, folders, and whether something is written between a point and the end."""
    seen = run(tmp_path / "whole").seen
    last_write = max(point for point, name in enumerate(seen) if name in WRITES)
    last_save = len(seen) - 12
    for point in [*range(0, last_save, STRIDE), *range(last_save, len(seen))]:
        yield point, tmp_path / str(point), point <= last_write


def test_a_run_interrupted_at_any_point_goes_on_bit_equal(tmp_path, expected):
    for point, folder, _ in some_points(tmp_path):
        with pytest.raises(KeyboardInterrupt):
            run(folder, at_point(point, lambda operations: signal.raise_signal(signal.SIGINT)))
        run(folder)
        assert outcome(folder) == expected, point


class Ended(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_run_ended_at_any_point_has_saved_its_last_step_and_goes_on_bit_equal(
    tmp_path, expected, name
):
    def end(number, frame):
        raise Ended

    finished = []

    def send(operations):
        in_step = operations.seen[-1] == "step"
        finished.append(operations.seen.count("step") - in_step)
        signal.raise_signal(getattr(signal, name))

    previous = signal.signal(getattr(signal, name), end)
    try:
        for point, folder, _ in some_points(tmp_path):
            with pytest.raises(Ended):
                run(folder, at_point(point, send))
            if finished[-1]:
                record = checkpoints.read(folder / "state.safetensors")[1]
                assert record["step"] == finished[-1], point
            run(folder)
            assert outcome(folder) == expected, point
    finally:
        signal.signal(getattr(signal, name), previous)


def test_a_run_whose_disk_is_full_at_any_point_says_so_and_goes_on_bit_equal(tmp_path, expected):
    for point, folder, writes in some_points(tmp_path):
        with pytest.raises(CannotWriteError) if writes else nullcontext() as info:
            run(folder, at_point(point, fill_disk))
        if writes:
            assert str(folder) in str(info.value) and "make room on its disk" in str(info.value)
        run(folder)
        assert outcome(folder) == expected, point


def test_a_folder_that_takes_nothing_is_refused_before_the_first_step(tmp_path):
    operations = []

    def refuse(one):
        operations.append(one)
        make_read_only(one)

    with pytest.raises(CannotWriteError, match="choose a folder that may be written to"):
        run(tmp_path / "run", refuse)
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(CannotWriteError, match=f"{folder} cannot be written"):
            run(folder, operations.append)
    assert operations and not any("step" in one.seen for one in operations)


def test_the_log_is_on_the_disk_before_the_state_that_counts_on_it(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))

    def loss(model, vectors, step):
        return {"loss": model(vectors).square().sum()}

    fit(Tied(), Vectors(), loss, CONFIG, tmp_path, save_every=8, progress=False)
    log, state = ((tmp_path / name).stat().st_ino for name in ("log.jsonl", "state.safetensors"))
    assert synced[-2:] == [log, state]


def test_a_clock_that_is_set_back_changes_nothing(tmp_path, expected, monkeypatch):
    falling = itertools.count(10**9, -1000)
    monkeypatch.setattr(time, "time", lambda: float(next(falling)))
    run(tmp_path / "run")
    assert outcome(tmp_path / "run") == expected
    seconds = [entry["seconds"] for entry in read_log(tmp_path / "run")]
    assert seconds == sorted(seconds) and seconds[0] >= 0


ENDED_RUNS = """
import os, random, signal, sys, time
from pathlib import Path
from tests.incidents import at_point
from tests.unit.training.test_incidents import run
folder, times = Path(sys.argv[1]), random.Random(0)

def start(name, happen=lambda operations: None):
    child = os.fork()
    if not child:
        run(folder / name, happen)
        os._exit(0)
    return child

for number in range(int(sys.argv[2])):
    child = start(str(number))
    time.sleep(times.uniform(0.05, 0.4))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
child = start("ended", at_point(100, lambda operations: os.kill(os.getpid(), signal.SIGTERM)))
print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_processes_that_are_really_killed_go_on_bit_equal(tmp_path, expected):
    kills = 5 if STRIDE > 1 else 40
    command = [sys.executable, "-c", ENDED_RUNS, str(tmp_path), str(kills)]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"Ended by SIGTERM. {tmp_path}/ended/state.safetensors holds step " in out
    assert f"status {-signal.SIGTERM}" in out
    for name in [*map(str, range(kills)), "ended"]:
        run(tmp_path / name)
        assert outcome(tmp_path / name) == expected, name


def test_a_run_whose_folder_is_deleted_at_any_point_ends_as_if_it_was_not(tmp_path, expected):
    for point, folder, _ in some_points(tmp_path):
        try:
            run(folder, at_point(point, delete_folder))
        except CannotWriteError as error:
            assert "nothing was trained yet" in str(error)
        if not (folder / "state.safetensors").exists():  # all was done before, or nothing
            run(folder)
        assert outcome(folder) == expected, point
