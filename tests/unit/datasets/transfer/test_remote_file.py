"""Downloads: parts of files, files that grow, zip members, each against a server that
misbehaves.
"""

import errno
import io
import json
import os
import socket
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smm_tutorial import paths
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer import remote_file, remote_zip
from smm_tutorial.datasets.transfer.remote_file import (
    ChangedError,
    DownloadError,
    GrowingFile,
    Remote,
)
from smm_tutorial.datasets.transfer.remote_zip import RemoteZip
from tests.servers import IMPATIENT, Fault, FileServer, FullDisk, zipped


def noise(length, seed=0):
    """Bytes that cannot be packed."""
    return np.random.default_rng(seed).integers(0, 256, length, dtype=np.uint8).tobytes()


CONTENT = noise(1_000_000)


@pytest.fixture
def server():
    with FileServer({"file": CONTENT}) as running:
        yield running


@pytest.fixture
def remote(server):
    return Remote(server.url("file"), IMPATIENT)


@pytest.fixture
def waits(monkeypatch):
    """The seconds that the client would have slept."""
    slept = []
    monkeypatch.setattr(remote_file.time, "sleep", slept.append)
    return slept


def fetched(remote, start=0):
    return b"".join(remote.stream(start))


@settings(max_examples=10)
@given(st.integers(0, 999_999), st.integers(1, 300_000))
def test_any_part_of_a_file_can_be_read(start, length):
    stop = min(start + length, len(CONTENT))
    with FileServer({"file": CONTENT}) as server:
        assert Remote(server.url("file"), IMPATIENT).read(start, stop) == CONTENT[start:stop]


def test_a_cut_connection_is_taken_up_where_it_broke(server, remote):
    server.faults["file"] = [Fault(cut_after=300_000), Fault(cut_after=100_000), Fault(cut_after=7)]
    assert fetched(remote) == CONTENT
    starts = [start for _, start, _ in server.asked]
    assert (
        starts == sorted(starts) and starts[0] == 0 and starts[-1] > 300_000
    )  # nothing twice but what was lost


def test_a_connection_that_is_always_cut_before_it_brings_anything_is_given_up(server, remote):
    server.always["file"] = Fault(cut_after=0)
    with pytest.raises(
        DownloadError, match=r"gave up on http.*/file after 3 tries.*what has been fetched is kept"
    ):
        fetched(remote)
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_given_the_time_it_asks_for(server, waits, status):
    server.faults["file"] = [
        Fault(status=status, headers={"Retry-After": "7"}),
        Fault(status=status),
        Fault(status=status),
    ]
    assert fetched(Remote(server.url("file"))) == CONTENT
    assert waits == [7.0, 2.0, 4.0]  # its own wish, then a wait that doubles


def test_a_wait_ends_some_day(server, waits):
    soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 9000))
    server.faults["file"] = [
        Fault(status=429, headers={"Retry-After": when}) for when in ("9000", soon, "nonsense")
    ]
    assert fetched(Remote(server.url("file"))) == CONTENT
    assert waits == [60.0, 60.0, 4.0]


def test_what_is_not_there_is_not_asked_for_twice(server):
    with pytest.raises(DownloadError, match=r"/nothing answers 404 .*check the address"):
        fetched(Remote(server.url("nothing"), IMPATIENT))
    assert len(server.asked) == 1


def test_silence_is_waited_for_and_then_given_up(server, remote):
    server.faults["file"] = [Fault(stall=0.8)]
    assert fetched(remote) == CONTENT
    server.always["file"] = Fault(stall=0.8)
    with pytest.raises(DownloadError, match="gave up on .* after 3 tries"):
        fetched(remote)


def test_a_server_that_is_not_there_is_named():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
    with pytest.raises(DownloadError, match=f"gave up on {address} .*check the connection"):
        fetched(Remote(address, IMPATIENT))
    with pytest.raises(DownloadError, match="cannot ask for nonsense"):
        fetched(Remote("nonsense", IMPATIENT))


def test_a_server_without_parts_serves_a_stream_but_no_part(server, remote):
    server.gives_parts = False
    server.faults["file"] = [Fault(cut_after=600_000)]
    assert fetched(remote) == CONTENT  # begins again and skips what it had
    assert fetched(remote, 123_456) == CONTENT[123_456:]
    with pytest.raises(DownloadError, match="does not give parts of files: fetch it whole"):
        remote.read(5, 10)


def test_a_server_without_parts_that_always_cuts_is_given_up(server, remote):
    server.gives_parts = False
    server.always["file"] = Fault(cut_after=600_000)
    with pytest.raises(DownloadError, match="gave up"):
        fetched(remote)


def test_a_file_that_changes_meanwhile_is_refused(server, remote):
    server.faults["file"] = [Fault(cut_after=600_000)]
    pieces = remote.stream()
    next(pieces)
    server.files["file"] = CONTENT[::-1]
    with pytest.raises(ChangedError, match="has changed on the server.*start the download afresh"):
        list(pieces)


def test_a_promise_of_too_many_bytes_is_not_believed(server, remote):
    server.always["file"] = Fault(extra_length=10)
    with pytest.raises(DownloadError, match="gave up on .*IncompleteRead"):
        fetched(remote)


def test_another_part_than_asked_for_is_refused(server, remote):
    server.always["file"] = Fault(shift=1)
    with pytest.raises(DownloadError, match="sent another part"):
        remote.read(10, 20)


def test_a_part_that_is_longer_than_asked_for_is_cut(server, remote):
    server.always["file"] = Fault(too_much=100_000)
    assert remote.read(10, 20) == CONTENT[10:20]


def test_after_a_part_that_is_shorter_than_asked_for_the_rest_is_asked_for(server, remote):
    server.faults["file"] = [Fault(too_much=-4), Fault(), Fault(too_much=-500_000)]
    assert remote.read(10, 20) == CONTENT[10:20]
    assert fetched(remote, 100) == CONTENT[100:]
    assert [start for _, start, _ in server.asked] == [10, 16, 100, 500_000]


def read_some(server, path, count=-1):
    with GrowingFile(Remote(server.url("file"), IMPATIENT), path) as growing:
        return io.BufferedReader(growing).read(count)


def test_a_growing_file_fetches_each_byte_once_and_keeps_a_beginning(server, tmp_path):
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


def test_a_growing_file_survives_a_fault(server, tmp_path):
    server.faults["file"] = [Fault(), Fault(cut_after=500_000), *[Fault(cut_after=0)] * 3]
    with pytest.raises(DownloadError, match="gave up"):
        read_some(server, tmp_path / "kept")
    kept = (tmp_path / "kept").read_bytes()
    assert 0 < len(kept) <= 500_000 and kept == CONTENT[: len(kept)]
    assert read_some(server, tmp_path / "kept") == CONTENT


def test_a_growing_file_does_not_mix_two_versions(server, tmp_path):
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
    with GrowingFile(Remote(server.url("file")), tmp_path / "kept") as growing:
        growing.forget()
    assert (tmp_path / "kept").read_bytes() == b"mine"


def test_a_full_disk_leaves_a_growing_file_usable(server, tmp_path, monkeypatch):
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


def test_a_full_disk_leaves_the_old_file_or_none(tmp_path, monkeypatch):
    (tmp_path / "old").write_bytes(b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(paths.os, "fsync", full)
    for name in ("old", "new"):
        with pytest.raises(
            DatasetError, match=f"cannot write .*{name} .*free some space, or set SMM_DATA"
        ):
            remote_file.write_or_explain(tmp_path / name, b"fresh")
    assert [path.name for path in tmp_path.iterdir()] == ["old"] and (
        tmp_path / "old"
    ).read_bytes() == b"old"


def test_a_download_that_cannot_fit_is_not_begun(tmp_path):
    remote_file.check_room(tmp_path, 1000)
    with pytest.raises(DatasetError, match="GB free and the download needs 1000000.00 GB"):
        remote_file.check_room(tmp_path, 10**15)


MEMBERS = {f"folder/{index:05d}.bin": noise(index % 7 * 300, index) for index in range(40)}


def take(server, names):
    """What `RemoteZip` fetches, by name."""
    archive = RemoteZip(Remote(server.url("zip"), IMPATIENT))
    kept = {}
    archive.fetch(
        [archive.members[name] for name in names],
        lambda info, content: kept.__setitem__(info.filename, content),
    )
    return kept


@pytest.mark.parametrize("packed", [False, True])
def test_members_of_a_remote_zip_arrive_whole_without_the_rest(packed):
    long = {"long": b"slots and mixtures " * 200_000, "other": noise(2_000_000)}
    with FileServer({"zip": zipped({**MEMBERS, **long}, packed)}) as server:
        wanted = [*list(MEMBERS)[5:15], list(MEMBERS)[30]]
        assert take(server, wanted) == {name: MEMBERS[name] for name in wanted}
        assert (
            server.bytes_sent_for("zip") < 500_000
        )  # the directory and the members, not the other 2 MB
        assert len(server.asked) < 6  # neighbours come together
        archive = RemoteZip(Remote(server.url("zip"), IMPATIENT))
        assert b"".join(archive.stream(archive.members["long"])) == long["long"]


def test_few_connections_are_open_at_once(monkeypatch):
    monkeypatch.setattr(remote_zip, "TOGETHER", 1)
    with FileServer({"zip": zipped(MEMBERS)}) as server:
        server.always["zip"] = Fault(stall=0.02)
        assert take(server, MEMBERS) == MEMBERS
        assert 2 <= server.most_at_once <= 4  # more would be a burden


def test_a_directory_longer_than_the_first_look_is_read(monkeypatch):
    monkeypatch.setattr(remote_zip, "TAIL", 500)
    with FileServer({"zip": zipped(MEMBERS)}) as server:
        assert take(server, MEMBERS) == MEMBERS


def test_zip_files_in_the_format_for_large_ones_are_read():
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w") as archive,
        archive.open("large", "w", force_zip64=True) as member,
    ):
        member.write(b"content")
    with FileServer({"zip": buffer.getvalue()}) as server:
        assert take(server, ["large"]) == {"large": b"content"}


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_member_is_refused_and_named(packed):
    content = bytearray(zipped({"good": b"good" * 50, "bad": noise(500), "late": b"late"}, packed))
    content[content.index(b"bad") + 100] ^= 1
    with FileServer({"zip": bytes(content)}) as server:
        with pytest.raises(DownloadError, match=r"bad in .*/zip is damaged"):
            take(server, ["bad"])
        assert take(server, ["good", "late"]) == {"good": b"good" * 50, "late": b"late"}
        archive = RemoteZip(Remote(server.url("zip"), IMPATIENT))
        with pytest.raises(DownloadError, match=r"bad in .*/zip is damaged"):
            list(archive.stream(archive.members["bad"]))


def test_a_member_cannot_unpack_to_more_than_the_directory_says():
    content = zipped({"bomb": bytes(10_000_000)}, packed=True)
    size = (10_000_000).to_bytes(4, "little")
    with FileServer({"zip": content.replace(size, (1000).to_bytes(4, "little"))}) as server:
        with pytest.raises(DownloadError, match="bomb in .* is damaged"):
            take(server, ["bomb"])


BROKEN = {
    "text": b"no zip",
    "cut": zipped(MEMBERS)[:-30],
    "short": zipped(MEMBERS)[:500],
    "empty": b"",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_whole_zip_file_is_refused(content):
    with FileServer({"zip": content}) as server, pytest.raises(DownloadError, match="/zip"):
        take(server, [])


def test_a_zip_file_from_a_server_without_parts_is_refused_with_the_way_out():
    with FileServer({"zip": zipped(MEMBERS)}, gives_parts=False) as server:
        with pytest.raises(
            DownloadError,
            match="does not give parts of files: fetch it whole with a browser or curl",
        ):
            take(server, [])


def test_the_marks_of_a_version_are_kept_beside_the_file(server, tmp_path):
    read_some(server, tmp_path / "kept", 10)
    source = json.loads((tmp_path / "kept.source.json").read_text())
    assert (
        source["url"] == server.url("file") and source["bytes"] == len(CONTENT) and source["etag"]
    )
