"""Running notebooks as tests: every one is collected, a failing cell fails, and the profile reaches the kernel."""

import os
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.gates.project import NOTEBOOK_FOLDER, ROOT, notebooks


def pytest_run(*arguments, **environment):
    """One run of pytest with the project's own settings."""
    command = [sys.executable, "-m", "pytest", "-q", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | environment)


def test_every_notebook_is_collected():
    if not notebooks():
        pytest.skip("no notebook is made yet")
    listed = pytest_run("--collect-only", NOTEBOOK_FOLDER).stdout

    missing = [path.name for path in notebooks() if f"notebooks/{path.name}::" not in listed]
    assert missing == []


def test_a_cell_that_raises_fails_and_the_profile_reaches_the_kernel(tmp_path):
    path = tmp_path / "cells.ipynb"
    sources = ("import os", "assert os.environ['SMM_PROFILE'] == 'gpu'", "assert os.environ['SMM_PROFILE'] == 'ci'")
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)

    run = pytest_run(path, SMM_PROFILE="gpu")

    assert run.returncode == 1
    assert "Cell 2" in run.stdout and "Cell 1" not in run.stdout, run.stdout
    assert "1 failed, 2 passed" in run.stdout.splitlines()[-1]
