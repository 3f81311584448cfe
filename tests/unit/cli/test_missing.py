"""`train` on images that are not here: who is asked, and what is then downloaded."""

import pytest

from smm_tutorial import cli, datasets, paths
from smm_tutorial.cli import missing
from smm_tutorial.datasets.others import clevr_download
from smm_tutorial.training.processes import Processes
from tests.official import CLEVR_COUNT, CLEVR_IMAGES, clevr_archive
from tests.servers import FileServer

TRAIN = ["train", "discovery", "--profile", "ci", "--steps", "2", "--size", "16", "--data", "clevr"]
TRAIN += ["--limit", str(CLEVR_COUNT)]


@pytest.fixture
def downloads(data_folder, tmp_path, monkeypatch):
    """Downloads go into a folder of their own, and CLEVR comes from a server of the test's own."""
    monkeypatch.setattr(paths, "downloads_dir", lambda: tmp_path / "downloads")
    with FileServer({"clevr.zip": clevr_archive(CLEVR_IMAGES)}) as server:

        def download(count=100):
            return clevr_download.download_clevr(count=count, url=server.url("clevr.zip"))

        monkeypatch.setitem(datasets.DOWNLOADS, "clevr", download)
        monkeypatch.setattr(missing.sys.stdin, "isatty", lambda: True, raising=False)
        yield tmp_path / "downloads"


def answer(monkeypatch, *answers):
    """Gives these answers in turn. The list of questions is returned."""
    asked, left = [], list(answers)

    def reply(question):
        asked.append(question)
        return left.pop(0)

    monkeypatch.setattr("builtins.input", reply)
    return asked


def test_a_yes_downloads_once_and_is_not_asked_for_again(downloads, monkeypatch, capsys):
    asked = answer(monkeypatch, "y")
    assert cli.main(TRAIN) == 0
    said = capsys.readouterr().out
    assert f"CLEVR v1.0: 0 of {CLEVR_COUNT} images are here" in said
    assert "0.2 MB an image" in said and "Licence: CC BY 4.0" in said
    assert missing.count_images_here("clevr") == CLEVR_COUNT
    assert cli.main([*TRAIN, "--seed", "1"]) == 0 and len(asked) == 1


def test_a_no_downloads_nothing_and_names_the_ways_out(downloads, monkeypatch, capsys):
    answer(monkeypatch, "")
    assert cli.main(TRAIN) == 1
    said = capsys.readouterr().err
    assert "nothing was downloaded" in said
    assert f"smm-tutorial data download clevr --count {CLEVR_COUNT}" in said
    assert not downloads.exists()


def test_processes_of_torchrun_do_not_download(downloads, monkeypatch, capsys):
    monkeypatch.setattr(missing, "read_processes", lambda: Processes(1, 2, 2, "localhost:29500"))
    assert cli.main([*TRAIN, "--yes"]) == 1
    said = capsys.readouterr().err
    assert "processes of torchrun cannot share a download" in said
    assert f"run `smm-tutorial data download clevr --count {CLEVR_COUNT}` first" in said
    assert not downloads.exists()


def test_without_a_terminal_only_yes_downloads(downloads, monkeypatch, capsys):
    asked = answer(monkeypatch)
    monkeypatch.setattr(missing.sys.stdin, "isatty", lambda: False, raising=False)
    assert cli.main(TRAIN) == 1
    assert "nobody can be asked: repeat with --yes" in capsys.readouterr().err
    assert cli.main([*TRAIN, "--yes"]) == 0 and not asked


@pytest.mark.parametrize("name", sorted(missing.IMAGES))
def test_every_set_that_is_asked_for_can_be_downloaded(name, downloads):
    assert name in datasets.DOWNLOADS and missing.count_images_here(name) == 0


def test_nobody_is_asked_about_a_folder_of_the_users_own(downloads, monkeypatch, tmp_path, capsys):
    answer(monkeypatch)
    assert cli.main([*TRAIN, "--root", str(tmp_path)]) == 1
    assert "nothing was downloaded" not in capsys.readouterr().err
