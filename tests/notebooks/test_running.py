"""Running notebooks as tests: all are collected, failing cells fail, kernels get the profile."""

import os
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.gates.project import NOTEBOOK_FOLDER, notebooks
from tests.shared import ROOT


def pytest_run(*arguments, **environment):
    """One run of pytest with the project's own settings."""
    settings = ["-q", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT]
    command = [sys.executable, "-m", "pytest", *settings, *arguments]
    env = os.environ | environment
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env)


STRICT = [path for path in notebooks() if path.name[:2] in ("01", "02", "03")]


def compared(path):
    """nbval with every output compared; the project's own options would make it lax."""
    strict = ("--import-mode=importlib", "--nbval", "--nbval-current-env")
    return pytest_run("-o", "addopts=", *strict, path)


def test_every_notebook_is_run_once():
    listed = pytest_run("--collect-only", NOTEBOOK_FOLDER).stdout
    lax = [path for path in notebooks() if f"notebooks/{path.name}::" in listed]
    assert sorted(lax + STRICT) == notebooks() and notebooks()


@pytest.mark.parametrize("path", STRICT, ids=lambda path: path.stem)
def test_every_output_of_the_theory_comes_again(path):
    """Cells tagged `nbval-ignore-output` are left out: timings and training differ by processor."""
    run = compared(path)
    assert run.returncode == 0, run.stdout


def test_an_output_that_changed_is_seen(tmp_path):
    path = tmp_path / "changed.ipynb"
    cell = new_code_cell("print(1)", outputs=[new_output("stream", text="2\n")], execution_count=1)
    nbformat.write(new_notebook(cells=[cell]), path)
    assert "1 failed" in compared(path).stdout


def test_a_cell_that_raises_fails_and_the_profile_reaches_the_kernel(tmp_path):
    path = tmp_path / "cells.ipynb"
    sources = (
        "import os",
        "assert os.environ['SMM_PROFILE'] == 'gpu'",
        "assert os.environ['SMM_PROFILE'] == 'ci'",
    )
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)

    run = pytest_run(path, SMM_PROFILE="gpu")

    assert run.returncode == 1
    assert "Cell 2" in run.stdout and "Cell 1" not in run.stdout, run.stdout
    assert "1 failed, 2 passed" in run.stdout.splitlines()[-1]
