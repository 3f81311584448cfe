"""JupyterLab as a learner may start it, without the course's own command: `jupyter lab`."""

import shutil

import pytest
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from jupytext.sync_contentsmanager import build_sync_jupytext_contents_manager_class

from tests.shared import ROOT

NAME = "01_em_gaussian_mixtures"
SETTINGS = ("pyproject.toml", "jupytext.toml", ".jupytext", "jupytext.yml")  # where jupytext looks


@pytest.fixture
def checkout(tmp_path):
    """What of this checkout decides about pairs: settings, a notebook and its source."""
    (tmp_path / "notebooks/source").mkdir(parents=True)
    found = [file for folder in ("", "notebooks/") for file in SETTINGS]
    for name in [*found, f"notebooks/{NAME}.ipynb", f"notebooks/source/{NAME}.py"]:
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("folder", ["", "notebooks/"], ids=["from the top", "from its folder"])
def test_saving_a_notebook_leaves_its_source_alone(checkout, folder):
    others = [path for path in checkout.rglob("*") if path.is_file() and path.suffix != ".ipynb"]
    before = {path: path.read_bytes() for path in others}
    with_extension = build_sync_jupytext_contents_manager_class(LargeFileManager)
    manager = with_extension(root_dir=str(checkout / folder))
    name = f"{NAME}.ipynb" if folder else f"notebooks/{NAME}.ipynb"
    model = manager.get(name)
    cells = [cell for cell in model["content"]["cells"] if "@exercise" in cell["source"]]
    cells[0]["source"] += "\n    # my answer"
    manager.save(model, name)

    assert "# my answer" in (checkout / "notebooks" / f"{NAME}.ipynb").read_text()
    after = [path for path in checkout.rglob("*") if path.is_file() and path.suffix != ".ipynb"]
    assert {path: path.read_bytes() for path in after} == before
