"""Downloads that go on where they stopped, from a server that misbehaves."""

import errno
import io
import json
from pathlib import Path

import pytest

from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer.remote_file import ChangedError, DownloadError, Remote
from smm_tutorial.datasets.transfer.resumable_file import ResumableFile
from tests.full_disk import FullDisk
from tests.servers import IMPATIENT, Fault, FileServer, RawServer, give_part, head, noise

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


def give_with_marks(etags):
    """A server whose machines answer in turn, each with its own ETag."""
    day = "Wed, 21 Oct 2015 07:28:00 GMT"
    return RawServer(
        lambda asked: give_part(
            CONTENT, asked, ETag=etags[asked.number % len(etags)], Last_Modified=day
        )
    )


@pytest.mark.parametrize("etags", [['"a"', 'W/"a"', '"b"'], ['W/"a"', 'W/"b"']])
def test_a_download_goes_on_at_another_machine(etags, tmp_path):
    with give_with_marks(etags) as server:
        read_some(server, tmp_path / "file", 10)
        assert read_some(server, tmp_path / "file") == CONTENT


@pytest.mark.parametrize("coding", ["x-gzip", "GZIP", "br"])
def test_a_labelled_archive_is_kept_as_it_is_and_gone_on_with(coding, tmp_path):
    with RawServer(lambda asked: give_part(CONTENT, asked, Content_Encoding=coding)) as server:
        read_some(server, tmp_path / "file", 10)
        assert 0 < (tmp_path / "file").stat().st_size < len(CONTENT)
        assert read_some(server, tmp_path / "file") == CONTENT


@pytest.mark.parametrize("told", [f"bytes */{len(CONTENT)}", ""])
def test_a_file_of_untold_length_is_whole_once_it_came_to_its_end(told, tmp_path):
    def answer(asked):
        if asked.start >= len(CONTENT):
            return [head("416 Range", Content_Range=told)]
        if asked.stop is None and asked.start == 0:
            return [head("200 OK"), CONTENT]
        last = min(asked.stop or len(CONTENT), len(CONTENT)) - 1
        return give_part(CONTENT, asked, Content_Range=f"bytes {asked.start}-{last}/*")

    path = tmp_path / "file"
    with RawServer(answer) as server:
        assert read_some(server, path) == CONTENT
        server.asked.clear()
        assert read_some(server, path) == CONTENT and not server.asked
        note = path.with_name("file.source.json")  # as after a kill between the last byte and it
        note.write_text(json.dumps({**json.loads(note.read_text()), "bytes": None}))
        assert read_some(server, path) == CONTENT and path.read_bytes() == CONTENT


# notes


def write_note(path, text):
    path.with_name(path.name + ".source.json").write_bytes(text.encode("utf-8"))


ODD_NOTES = {
    "empty": "",
    "cut": '{"bytes": 1',
    "list": "[]",
    "null": "null",
    "a field missing": '{"bytes": 5, "etag": null}',
    "bytes as text": '{"bytes": "5", "etag": null, "modified": null}',
    "negative bytes": '{"bytes": -5, "etag": null, "modified": null}',
    "bytes true": '{"bytes": true, "etag": null, "modified": null}',
    "bytes not whole": '{"bytes": 1e400, "etag": null, "modified": null}',
    "bytes without end": '{"bytes": %s, "etag": null, "modified": null}' % ("9" * 5000),
    "etag a number": '{"bytes": 5, "etag": 7, "modified": null}',
    "modified a list": '{"bytes": 5, "etag": null, "modified": []}',
    "deep": "[" * 100_000,
    "long": " " * (1 << 20) + "{}",
}


@pytest.mark.parametrize("note", ODD_NOTES.values(), ids=ODD_NOTES)
def test_a_damaged_note_is_named_with_the_way_out(note, server, tmp_path):
    (tmp_path / "kept").write_bytes(CONTENT[:5])
    write_note(tmp_path / "kept", note)
    with pytest.raises(DatasetError, match=r"kept\.source\.json is damaged .*: delete it and"):
        read_some(server, tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == CONTENT[:5]


def test_a_note_with_a_byte_order_mark_is_read(server, tmp_path):
    (tmp_path / "kept").write_bytes(CONTENT[:5])
    write_note(tmp_path / "kept", '\ufeff{"bytes": 1000000, "etag": null, "modified": null}')
    assert read_some(server, tmp_path / "kept") == CONTENT


def test_a_file_longer_than_its_note_says_is_refused_before_it_is_read(server, tmp_path):
    (tmp_path / "kept").write_bytes(CONTENT + b"more")
    write_note(tmp_path / "kept", '{"bytes": 1000000, "etag": null, "modified": null}')
    with pytest.raises(DatasetError, match="1,000,004 bytes, more than the 1,000,000 "):
        read_some(server, tmp_path / "kept", 10)


@pytest.mark.parametrize("content", [None, b""])
def test_a_note_without_a_beginning_binds_nobody(content, server, tmp_path):
    if content is not None:
        (tmp_path / "kept").write_bytes(content)
    write_note(tmp_path / "kept", '{"bytes": 7, "etag": "old", "modified": null}')
    assert read_some(server, tmp_path / "kept") == CONTENT
    assert json.loads((tmp_path / "kept.source.json").read_text())["bytes"] == len(CONTENT)


def test_a_note_holds_no_password_and_no_query(tmp_path):
    with RawServer(lambda asked: give_part(CONTENT, asked)) as server:
        url = server.url("file?token=secret", "me:secret@")
        with ResumableFile(Remote(url, IMPATIENT), tmp_path / "kept") as file:
            assert io.BufferedReader(file).read() == CONTENT
        note = (tmp_path / "kept.source.json").read_text()
    assert "secret" not in note and server.url("file") in note


# the disk


def tamper(path, kind):
    if kind == "deleted":
        path.unlink()
    elif kind == "replaced":
        path.unlink()
        path.write_bytes(b"another")
    elif kind == "appended to":
        path.write_bytes(path.read_bytes() + b"more")
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:5])
    else:
        path.with_name(path.name + ".source.json").unlink()


@pytest.mark.parametrize("kind", ["deleted", "replaced", "appended to", "cut", "note deleted"])
def test_a_file_that_something_else_changes_meanwhile_is_refused(kind, server, tmp_path):
    path = tmp_path / "kept"
    with ResumableFile(Remote(server.url("file"), IMPATIENT), path) as file:
        assert file.read(10) == CONTENT[:10]
        tamper(path, kind)
        with pytest.raises(DatasetError, match=r"kept or its note was .*: delete it and kept\."):
            while file.read(1 << 16):
                pass


@pytest.mark.parametrize("refused", ["kept", ".kept.source.json"])
def test_a_disk_that_refuses_a_file_is_named(refused, server, tmp_path, monkeypatch):
    usual = io.open

    def refuse(file, *arguments, **options):
        if Path(str(file)).name.startswith(refused):
            raise OSError(errno.EROFS, "Read-only file system")
        return usual(file, *arguments, **options)

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(io, "open", refuse)  # what Path.open calls
    with pytest.raises(DatasetError, match=r"cannot write .*kept.* \(Read-only file system\)"):
        read_some(server, tmp_path / "kept")


def test_a_disk_that_fills_up_anywhere_loses_nothing(server, tmp_path, monkeypatch):
    path, usual, room = tmp_path / "kept", Path.open, iter([0, 1, 32_767, 40_000, 300_000, 999_999])

    def opened(file, mode="r", *arguments, **options):
        return FullDisk(file, mode) if mode == "ab" else usual(file, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", opened)
    for bytes_left in room:
        monkeypatch.setattr(FullDisk, "room", bytes_left)
        before = path.stat().st_size if path.is_file() else 0
        if before + bytes_left < len(CONTENT):
            with pytest.raises(DatasetError, match="No space left on device.*: free some space"):
                read_some(server, path)
            assert path.read_bytes() == CONTENT[: before + bytes_left]
        else:
            assert read_some(server, path) == CONTENT
    assert path.read_bytes() == CONTENT
