"""Several processes share work: in order, as it comes, and they end with whoever asked."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import joblib
import pytest
import torch

from smm_tutorial import datasets
from smm_tutorial.datasets.own import rendered
from smm_tutorial.datasets.own.rendering import Look, available_processes, map_in_processes
from smm_tutorial.datasets.scene_images import DatasetError
from tests.shared import ROOT

LOOK = Look(3, 4, 8, 8, samples=1)
PATIENCE = 100  # seconds until a wait counts as one without end


def wait_until(condition, what):
    """Waits for what another process does."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"waited {PATIENCE} s for {what}"
        time.sleep(0.02)


def is_running(pid):
    """Whether a process runs that is no child of this one."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"  # ended, but nobody asked how
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_results_come_in_order_and_while_others_are_still_worked_on(tmp_path):
    def work(number):
        if number == 1:
            wait_until((tmp_path / "taken").exists, "the first result to be taken")
        return number, os.getpid(), torch.get_num_threads()

    with closing(map_in_processes(work, range(4), workers=2)) as results:
        found = [next(results)]
        (tmp_path / "taken").touch()
        found += results
    numbers, pids, threads = zip(*found, strict=True)
    assert numbers == (0, 1, 2, 3) and set(threads) == {1} and os.getpid() not in pids


def test_an_error_in_a_process_arrives_with_its_message():
    def work(number):
        raise KeyError(f"number {number}")

    with pytest.raises(KeyError, match="number [01]"):
        list(map_in_processes(work, range(2), workers=2))


def test_a_killed_process_is_an_error_and_what_was_rendered_before_is_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(rendered.RENDERED_VARIANTS, "clevr", LOOK)
    monkeypatch.setattr(rendered, "CHUNK", 1)
    real = rendered._render_and_pack

    def dying(look, chunk):
        if chunk.start == 2:
            wait_until(lambda: list(tmp_path.rglob("train-*-000000-*")), "the first chunk")
            os.kill(os.getpid(), signal.SIGKILL)
        return real(look, chunk)

    options = {"folder": tmp_path, "count": 3}
    with monkeypatch.context() as patch:
        patch.setattr(rendered, "_render_and_pack", dying)
        with pytest.raises(DatasetError, match="one of 2 processes .* memory: ask again with few"):
            datasets.load("rendered", workers=2, **options)
    kept = next(tmp_path.rglob("train-*-000000-*"))
    before = kept.stat().st_mtime_ns
    assert len(datasets.load("rendered", **options)) == 3 and kept.stat().st_mtime_ns == before


def test_who_stops_early_ends_the_processes_without_a_word(tmp_path, recwarn):
    def work(number):
        (tmp_path / str(os.getpid())).touch()
        if number:
            wait_until(lambda: False, "the end")

    with closing(map_in_processes(work, range(9), workers=2)) as results:
        next(results)
    assert not any(is_running(int(path.name)) for path in tmp_path.iterdir())
    assert not recwarn


def test_a_process_that_may_start_no_others_does_the_work_itself(monkeypatch):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    with pytest.warns(UserWarning, match="setting n_jobs=1"):
        assert list(map_in_processes(lambda number: os.getpid(), [0, 1], 2)) == [os.getpid()] * 2


SCRIPT = """
import sys
from smm_tutorial import datasets
from smm_tutorial.datasets.own.rendering import Look
datasets.RENDERED_VARIANTS["mine"] = Look(3, 4, 8, 8, samples=1)
print("begun")
data = datasets.load("rendered", variant="mine", count=17, workers=2, folder=sys.argv[1])
print(data.images.long().sum().item())
"""


def test_a_script_needs_no_main_guard_and_two_processes_render_what_one_does(tmp_path, monkeypatch):
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), str(tmp_path / "two")]
    run = subprocess.run(command, env=environment, timeout=PATIENCE, stdout=subprocess.PIPE)
    assert run.returncode == 0 and run.stdout.count(b"begun") == 1

    monkeypatch.setitem(rendered.RENDERED_VARIANTS, "mine", LOOK)
    datasets.load("rendered", variant="mine", count=17, folder=tmp_path / "one")
    one, two = (
        {path.name for path in (tmp_path / count).rglob("*.zip")}  # with checksums
        for count in ("one", "two")
    )
    assert one == two and len(one) == 2


ENDLESS = """
import os, sys, time
from pathlib import Path
from smm_tutorial.datasets.own.rendering import map_in_processes

def work(number):
    Path(sys.argv[1], str(os.getpid())).touch()
    while True:
        time.sleep(0.01)

sys.argv[1:] = ["FOLDER"]
list(map_in_processes(work, range(9), workers=2))
"""


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks up processes in /proc")
@pytest.mark.parametrize("way", ["SIGINT", "SIGKILL"])
def test_ctrl_c_and_a_killed_program_leave_no_process_behind(tmp_path, way):
    command = [sys.executable, "-c", ENDLESS.replace("FOLDER", str(tmp_path))]
    program = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2, "two processes to work")
    workers = [int(path.name) for path in tmp_path.iterdir()]
    if way == "SIGINT":
        os.killpg(program.pid, signal.SIGINT)  # as the terminal does
    else:
        program.kill()
    _, words = program.communicate(timeout=PATIENCE)
    assert words.count("Traceback") == (way == "SIGINT")  # the program's own, none of a worker's
    wait_until(lambda: not any(map(is_running, workers)), "the processes to end")


def test_as_many_processes_as_this_one_may_use_cores(monkeypatch):
    assert available_processes() == joblib.cpu_count() >= 1
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # as a container's limit
    assert available_processes() == 1
