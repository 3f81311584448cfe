"""The environment that `make` sets up, with a stand-in for Python that writes down its calls."""

import os
import shutil
import subprocess

import pytest

from tests.shared import ROOT

pytestmark = pytest.mark.skipif(
    shutil.which("make") is None or os.name == "nt", reason="make is not installed"
)

MAKEFILE = ROOT / "Makefile"
STAND_IN = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip install "*) exit "${PIP_EXIT:-0}" ;;
    "-c "*) exit "${TOO_OLD:-0}" ;;
esac
"""


@pytest.fixture
def setup(tmp_path):
    """Run the set-up in a project of its own -> (exit status, what was printed, Python's calls)."""
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(MAKEFILE, project)
    for name in ("pyproject.toml", "constraints.txt"):
        (project / name).write_text("")
    python = tmp_path / "stand-in-python"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    calls = tmp_path / "calls"

    def run(**environment):
        calls.write_text("")
        command = ["make", "-C", project, ".venv/.installed", f"PYTHON={python}"]
        # Without the settings of a make that may be running these tests.
        outer = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MAKE", "MFLAGS"))
        }
        env = outer | {"CALLS": str(calls)} | environment
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        lines = calls.read_text().splitlines()
        asked = [line.split(" --disable")[0] for line in lines if not line.startswith("-c")]
        return done.returncode, done.stdout + done.stderr, asked

    run.project = project
    return run


def test_a_fresh_clone_gets_an_environment_and_a_second_run_asks_nothing(setup):
    status, _, asked = setup()
    assert (status, asked) == (0, ["-m venv .venv", "-m pip install"])

    status, _, asked = setup()
    assert (status, asked) == (0, [])


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_requirement_installs_into_the_same_environment(setup, name):
    setup()
    stamp = setup.project / ".venv" / ".installed"
    later = stamp.stat().st_mtime + 10
    os.utime(setup.project / name, (later, later))

    assert setup()[2] == ["-m pip --version", "-m pip install"]


def test_a_failed_installation_is_tried_again_in_the_same_environment(setup):
    status, _, _ = setup(PIP_EXIT="1")
    assert status != 0 and not (setup.project / ".venv" / ".installed").exists()

    status, _, asked = setup()
    assert (status, asked) == (0, ["-m pip --version", "-m pip install"])


def test_an_installation_that_was_killed_starts_afresh(setup):
    setup()
    (setup.project / ".venv" / ".installed").unlink()
    (setup.project / ".venv" / ".installing").touch()
    leftover = setup.project / ".venv" / "half-written"
    leftover.touch()

    assert setup()[2] == ["-m venv .venv", "-m pip install"]
    assert not leftover.exists()


def test_an_environment_without_python_starts_afresh(setup):
    (setup.project / ".venv").mkdir()

    assert setup()[2] == ["-m venv .venv", "-m pip install"]


def test_a_python_that_is_too_old_is_named_with_the_remedy(setup):
    status, said, asked = setup(TOO_OLD="1")

    assert status != 0 and asked == []
    assert "needs Python 3.11 or newer" in said and "make PYTHON=" in said
    assert not (setup.project / ".venv").exists()
