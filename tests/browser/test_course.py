"""What a newcomer does: start the course, open the welcome notebook and run all its cells."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import nbformat
import pytest

from smm_tutorial.course.launch import WELCOME
from smm_tutorial.paths import repository_root

START_TIMEOUT = 180  # seconds; a busy machine takes long to read JupyterLab from disk
RUN_TIMEOUT = 300  # seconds; on two cores the welcome takes less than one minute
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/lab/tree/notebooks/00_welcome\.ipynb\?token=\w+")


@pytest.fixture
def folder(tmp_path):
    """A copy of the notebooks, since the browser saves its run; the welcome has no output yet."""
    root = repository_root()
    if not (root / WELCOME).is_file():
        pytest.skip(f"{WELCOME} is not written yet")
    copy = tmp_path / "course"
    shutil.copytree(
        root / "notebooks", copy / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints")
    )
    shutil.copy(root / "pyproject.toml", copy)

    welcome = copy / WELCOME
    notebook = nbformat.read(welcome, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    nbformat.write(notebook, welcome)
    return copy


@contextmanager
def course(folder, *options):
    """The address of a course started as by `make course`, on a machine without a display."""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        environment[name] = str(folder.parent / name.lower())
    log = folder.parent / f"server-{time.monotonic_ns()}.log"
    command = [sys.executable, "-m", "smm_tutorial.course.launch", "--folder", folder, *options]
    with log.open("w") as output:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    try:
        yield wait_for_address(server, log)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


def wait_for_address(server, log):
    """The address that a reader is told to open."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and server.poll() is None:
        printed = ADDRESS.search(log.read_text())
        if printed:
            return printed
        time.sleep(0.2)
    pytest.fail(f"the course printed no address:\n{log.read_text()}")


def run_all_cells(page, welcome):
    """Choose Run > Run All Cells, then save until the file shows the run's end, or an error."""
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for()
    page.get_by_text("| Idle").first.wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    deadline = time.monotonic() + RUN_TIMEOUT
    while time.monotonic() < deadline:
        page.wait_for_timeout(1000)
        page.keyboard.press("Control+s")
        notebook = nbformat.read(welcome, as_version=4)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        if errors(cells) or all(cell.execution_count for cell in cells):
            return cells
    done = sum(bool(cell.execution_count) for cell in cells)
    pytest.fail(f"after {RUN_TIMEOUT} s only {done} of {len(cells)} cells had run")


def errors(cells):
    outputs = [output for cell in cells for output in cell.outputs]
    return [
        f"{output.ename}: {output.evalue}" for output in outputs if output.output_type == "error"
    ]


def test_the_welcome_notebook_runs_to_its_end_in_the_browser(folder, page):
    source = folder / "notebooks" / "source" / "00_welcome.py"
    before = source.read_text()

    with course(folder) as address:
        page.goto(address[0])
        cells = run_all_cells(page, folder / WELCOME)

    assert errors(cells) == []
    assert any(cell.outputs for cell in cells)
    assert source.read_text() == before, "a learner's run changed the notebook's source"


def test_a_taken_port_moves_on_to_the_next(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with course(folder, f"--port={port}") as address:
            assert int(address[1]) > port
