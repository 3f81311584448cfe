"""Downloads that go on where they stopped, from a server that misbehaves."""

import io
import json
from pathlib import Path

import pytest

from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer.remote_file import ChangedError, DownloadError, Remote
from smm_tutorial.datasets.transfer.resumable_file import ResumableFile
from tests.full_disk import FullDisk
from tests.servers import IMPATIENT, Fault, FileServer, noise

CONTENT = noise(1_000_000)


@pytest.fixture
def server():
    with FileServer({"file": CONTENT}) as running:
        yield running


def read_some(server, path, count=-1):
    with ResumableFile(Remote(server.url("file"), IMPATIENT), path) as file:
        return io.BufferedReader(file).read(count)


def test_a_resumable_file_fetches_each_byte_once_and_keeps_a_beginning(server, tmp_path):
    path = tmp_path / "new folder" / "kept"
    path.parent.mkdir()
    assert read_some(server, path, 10) == CONTENT[:10]
    kept = path.read_bytes()
    assert 10 <= len(kept) < len(CONTENT) and kept == CONTENT[: len(kept)]
    server.asked.clear()
    assert read_some(server, path) == CONTENT and path.read_bytes() == CONTENT
    assert min(start for _, start, stop in server.asked if stop is None) == len(kept)
    server.asked.clear()
    assert read_some(server, path) == CONTENT and not server.asked  # offline from now on


def test_a_resumable_file_survives_a_fault(server, tmp_path):
    server.faults["file"] = [Fault(), Fault(cut_after=500_000), *[Fault(cut_after=0)] * 3]
    with pytest.raises(DownloadError, match="gave up"):
        read_some(server, tmp_path / "kept")
    kept = (tmp_path / "kept").read_bytes()
    assert 0 < len(kept) <= 500_000 and kept == CONTENT[: len(kept)]
    assert read_some(server, tmp_path / "kept") == CONTENT


def test_a_resumable_file_does_not_mix_two_versions(server, tmp_path):
    read_some(server, tmp_path / "kept", 10)
    kept = (tmp_path / "kept").read_bytes()
    server.files["file"] = CONTENT[::-1]
    with pytest.raises(
        ChangedError, match=r"has changed.*delete .*kept and kept\.source\.json first"
    ):
        read_some(server, tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == kept
    (tmp_path / "kept.source.json").write_text("{")
    with pytest.raises(DatasetError, match=r"kept\.source\.json is damaged .*delete it"):
        read_some(server, tmp_path / "kept")


def test_a_file_that_somebody_put_there_is_taken_as_whole(server, tmp_path):
    (tmp_path / "kept").write_bytes(b"mine")
    assert read_some(server, tmp_path / "kept") == b"mine" and not server.asked
    with ResumableFile(Remote(server.url("file")), tmp_path / "kept") as file:
        file.discard()
    assert (tmp_path / "kept").read_bytes() == b"mine"


def test_a_full_disk_leaves_a_resumable_file_usable(server, tmp_path, monkeypatch):
    usual = Path.open
    monkeypatch.setattr(FullDisk, "room", 300_000)

    def opened(path, mode="r", *arguments, **options):
        return FullDisk(path, mode) if mode == "ab" else usual(path, mode, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        with pytest.raises(
            DatasetError, match=r"cannot write .*kept \(No space left on device\): free some space"
        ):
            read_some(server, tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == CONTENT[:300_000]
    assert read_some(server, tmp_path / "kept") == CONTENT


def test_the_marks_of_a_version_are_kept_beside_the_file(server, tmp_path):
    read_some(server, tmp_path / "kept", 10)
    source = json.loads((tmp_path / "kept.source.json").read_text())
    assert source["url"] == server.url("file") and source["etag"]
    assert source["bytes"] == len(CONTENT)
