"""The linter has nothing to say."""

import subprocess
import sys

from tests.gates.project import ROOT


def test_ruff_is_content():
    run = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True
    )

    assert run.returncode == 0, f"run `ruff check --fix`:\n{run.stdout}{run.stderr}"
