"""The repository's address on notebooks and project files: written by one command."""

import json
import re
import shutil
import tomllib

import nbformat
import pytest

import smm_tutorial
from smm_tutorial.course import address
from tests.shared import ROOT

FORK = "https://github.com/me/my-course"
NAMES = ["_template", "00_welcome"]


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The files on which the address is written, with two sources and one notebook."""
    (tmp_path / "notebooks/source").mkdir(parents=True)
    files = ["pyproject.toml", "CITATION.cff", "notebooks/00_welcome.ipynb"]
    for name in [*files, *(f"notebooks/source/{name}.py" for name in NAMES)]:
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(address, "repository_root", lambda: tmp_path)
    return tmp_path


def texts(folder):
    return {path: path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_fork_is_stamped_by_one_command(copy, capsys):
    before = texts(copy)
    assert address.main([FORK]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(before) == 5 and all(line.endswith(" written") for line in said)

    project = tomllib.loads((copy / "pyproject.toml").read_text())
    assert project["project"]["urls"]["Repository"] == FORK
    assert project["tool"]["smm-tutorial"]["published"] is True
    assert f"repository-code: {FORK}\n" in (copy / "CITATION.cff").read_text()
    notebook = nbformat.read(copy / "notebooks/00_welcome.ipynb", as_version=4)
    place = f"me/my-course/blob/v{smm_tutorial.__version__}/notebooks/00_welcome.ipynb"
    for text in (notebook.cells[0].source, (copy / "notebooks/source/00_welcome.py").read_text()):
        assert f"](https://colab.research.google.com/github/{place}) · [The source" in text
    for text in (notebook.cells[1].source, (copy / "notebooks/source/_template.py").read_text()):
        assert f'\nADDRESS = "{FORK}"\n' in text
    assert "smm-tutorial/smm-tutorial" not in "".join(texts(copy).values())
    assert address.main(["--check"]) == 0 and not capsys.readouterr().out


def test_only_the_stamped_texts_of_a_notebook_change(copy):
    path = copy / "notebooks/00_welcome.ipynb"
    before = json.loads(path.read_text())
    address.main([FORK])
    after = json.loads(path.read_text())
    changed = [
        index
        for index, (old, new) in enumerate(zip(before["cells"], after["cells"], strict=True))
        if old != new
    ]
    assert changed == [0, 1]
    for cells in (before["cells"], after["cells"]):
        for index in changed:
            cells[index].pop("source")
    assert before == after


def test_unpublished_notebooks_show_no_badge(copy, capsys):
    address.main([FORK])
    project = copy / "pyproject.toml"
    project.write_text(project.read_text().replace("published = true", "published = false"))
    capsys.readouterr()
    assert address.main(["--check"]) == 1
    assert "notebooks/00_welcome.ipynb differs" in capsys.readouterr().out
    address.main([])
    for text in texts(copy / "notebooks").values():
        assert "colab-badge" not in text and "[The source of this notebook](source/" in text


def test_a_host_that_colab_cannot_read_gets_no_badge():
    stamp = address.Stamp("https://example.org/me/my-course", "1.0", published=True)
    assert stamp.links("00_welcome") == "[The source of this notebook](source/00_welcome.py)"


@pytest.mark.parametrize("wrong", ["me/my-course", "http://github.com/me/x", f"{FORK}/tree/main"])
def test_an_address_of_another_form_is_refused_and_nothing_is_written(wrong, copy):
    before = texts(copy)
    with pytest.raises(SystemExit, match=r"must be like https://github.com/owner/name, .* got"):
        address.main([wrong])
    assert texts(copy) == before


def test_a_new_version_is_written_too(copy, monkeypatch):
    monkeypatch.setattr(smm_tutorial, "__version__", "9.8.7")
    address.main([])
    assert '"--branch=v9.8.7"' in (copy / "notebooks/source/_template.py").read_text()
    assert re.search(r"(?m)^version: 9\.8\.7$", (copy / "CITATION.cff").read_text())
