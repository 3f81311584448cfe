"""Proof that everything works on this machine: the tests that need a GPU, and every notebook."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from smm_tutorial.paths import repository_root

AT_ONCE = 4  # checks
RUN_NOTEBOOK = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=600, resources={"metadata": {"path": sys.argv[2]}}).execute()
"""
LAST_LINES = 12  # of the output of a failed check


@dataclass(frozen=True)
class Check:
    """One check and its outcome: `passed`, `failed`, or the reason why it did not run or finish."""

    name: str
    outcome: str
    output: str = ""


def run_checks(seconds: float) -> list[Check]:
    """Run the GPU's tests and then all notebooks on the smallest profile.

    seconds: the time limit for each check.
    """
    root = repository_root()
    if root is None:
        return [Check("tests and notebooks", "not tried: they are in the repository, clone it")]
    tests = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "--import-mode=importlib"]
    works = [("tests/gpu", [*tests, "-p", "no:cacheprovider", "tests/gpu"])]
    for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        works.append((path.name, [sys.executable, "-c", RUN_NOTEBOOK, str(path), str(path.parent)]))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda work: _run(*work, root, seconds), works))


def _run(name: str, command: list[str], root: Path, seconds: float) -> Check:
    environment = os.environ | {"SMM_PROFILE": "ci"}
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, timeout=seconds, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired as expired:
        output = (expired.stdout or b"").decode(errors="replace")
        return Check(name, f"not finished in {seconds:.0f} s", _last_lines(output))
    output = _last_lines(done.stdout + done.stderr)
    return Check(name, "passed" if done.returncode == 0 else "failed", output)


def _last_lines(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-LAST_LINES:])
