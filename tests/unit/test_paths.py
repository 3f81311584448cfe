"""Where things live: in a checkout, in an installed wheel, in a folder of the reader's choice."""

import pytest

from smm_tutorial import paths
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


def test_a_folder_of_ones_own_replaces_either(tmp_path, monkeypatch):
    monkeypatch.setenv("SMM_DATA", str(tmp_path))

    assert paths.packs_dir() == tmp_path / "packs"
    assert paths.downloads_dir() == tmp_path / "downloads"


def test_a_folder_of_ones_own_must_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("SMM_DATA", str(tmp_path / "nowhere"))

    message = "SMM_DATA is .*nowhere.* create it, or unset SMM_DATA"
    with pytest.raises(NotADirectoryError, match=message):
        paths.data_root()


def test_missing_data_is_named_with_the_remedy(wheel):
    (wheel / "_data").rmdir()

    message = "_data is missing: .*reinstall the package, or set SMM_DATA"
    with pytest.raises(FileNotFoundError, match=message):
        paths.data_root()
