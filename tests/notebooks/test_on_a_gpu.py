"""Notebooks that train also run where training happens on a GPU: here one of Apple, pretended."""

import os
import subprocess
import sys

import pytest

from tests.gates.project import sources
from tests.shared import ROOT

TRAINS = ("discovery.train(", "set_prediction.train(")
TRAINING = [path for path in sources() if any(call in path.read_text() for call in TRAINS)]
RUN = """
import os, sys
import jupytext
import matplotlib
from tests.pretended_device import PretendedDevice, let_training_find_it

matplotlib.use("agg")
cells = jupytext.read(sys.argv[1]).cells
os.chdir(os.path.dirname(sys.argv[1]))
let_training_find_it()
names = {"__name__": "__main__"}
with PretendedDevice():
    for number, cell in enumerate(cells, start=1):
        if cell.cell_type == "code":
            exec(compile(cell.source, f"cell {number}", "exec"), names)
print("every cell ran; trained on", names["device"])
"""


def test_some_notebooks_train():
    assert len(TRAINING) >= 2


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_every_cell_runs_where_models_come_back_from_a_gpu(path):
    environment = os.environ | {"SMM_PROFILE": "ci", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", RUN, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "trained on mps" in done.stdout
