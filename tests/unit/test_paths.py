"""Where things live: in a checkout, in an installed wheel, in a folder of the reader's choice."""

import pytest

from smm_tutorial import checkpoints, cli, datasets, paths
from tests.shared import ROOT


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """The package as a wheel leaves it: no project file beside it, the data inside."""
    package = tmp_path / "site-packages" / "smm_tutorial"
    (package / "_data").mkdir(parents=True)
    monkeypatch.delenv("SMM_DATA", raising=False)
    monkeypatch.setattr(paths, "PACKAGE", package)
    return package


def test_a_checkout_keeps_everything_in_its_data_folder(monkeypatch):
    monkeypatch.delenv("SMM_DATA", raising=False)

    assert paths.repository_root() == ROOT
    assert paths.packs_dir() == ROOT / "data" / "packs"
    assert paths.checkpoints_dir() == ROOT / "data" / "checkpoints"
    assert paths.results_dir() == ROOT / "data" / "results"
    assert paths.downloads_dir() == ROOT / "data" / "downloads"


def test_a_wheel_carries_its_data_and_downloads_to_the_users_cache(wheel):
    assert paths.repository_root() is None
    assert paths.packs_dir() == wheel / "_data" / "packs"
    assert wheel not in paths.downloads_dir().parents
    assert "smm-tutorial" in paths.downloads_dir().parts


def test_a_wheel_in_another_projects_checkout_is_not_taken_for_ours(wheel):
    (wheel.parent / "pyproject.toml").write_text('[project]\nname = "another"\n')

    assert paths.repository_root() is None


def test_a_folder_of_ones_own_takes_what_is_written_and_leaves_what_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("SMM_DATA", str(tmp_path))

    assert paths.downloads_dir() == tmp_path / "downloads"
    assert paths.runs_dir() == tmp_path / "runs"
    assert paths.packs_dir() == ROOT / "data" / "packs"
    assert paths.checkpoints_dir() == ROOT / "data" / "checkpoints"
    assert paths.results_dir() == ROOT / "data" / "results"


@pytest.mark.parametrize("name", ["packs", "checkpoints", "results"])
def test_a_folder_of_that_name_in_ones_own_replaces_the_courses(tmp_path, monkeypatch, name):
    monkeypatch.setenv("SMM_DATA", str(tmp_path))
    (tmp_path / name).mkdir()

    found = {"packs": paths.packs_dir(), "checkpoints": paths.checkpoints_dir()}
    found["results"] = paths.results_dir()
    assert [place for place, folder in found.items() if folder == tmp_path / place] == [name]


def test_a_wheel_with_a_folder_of_ones_own_reads_its_own_data(wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("SMM_DATA", str(tmp_path))

    assert paths.packs_dir() == wheel / "_data" / "packs"
    assert paths.runs_dir() == tmp_path / "runs"


@pytest.mark.parametrize("kind", ["nowhere", "a file"])
def test_a_folder_of_ones_own_must_exist(tmp_path, monkeypatch, kind):
    chosen = tmp_path / kind
    if kind == "a file":
        chosen.touch()
    monkeypatch.setenv("SMM_DATA", str(chosen))

    message = f"SMM_DATA is .*{kind}.* create it, or unset SMM_DATA"
    for folder in (paths.packs_dir, paths.downloads_dir, paths.runs_dir):
        with pytest.raises(NotADirectoryError, match=message):
            folder()


def test_the_advice_to_set_smm_data_loses_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SMM_DATA", str(tmp_path))

    assert len(datasets.load("clevr6", split="val", size=16, limit=2)) == 2
    assert checkpoints.available()
    assert cli.main(["data", "list"]) == 0
    assert cli.main(["report", "discovery"]) == 0
    assert "| " in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_missing_data_is_named_with_the_remedy(wheel):
    (wheel / "_data").rmdir()

    with pytest.raises(FileNotFoundError, match="_data is missing: .*reinstall the package"):
        paths.packs_dir()
    assert "smm-tutorial" in paths.runs_dir().parts  # which a download does not need
