"""Single members of zip files on a server that misbehaves."""

import io
import tracemalloc
import zipfile

import pytest

from smm_tutorial.datasets.transfer import remote_zip
from smm_tutorial.datasets.transfer.remote_file import DownloadError, Remote
from smm_tutorial.datasets.transfer.remote_zip import RemoteZip
from tests.servers import IMPATIENT, Fault, FileServer, noise, zipped

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
        assert server.bytes_sent_for("zip") < 500_000  # directory and members, not the other 2 MB
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
    content = zipped({"bomb": bytes(50_000_000)}, packed=True)
    size = (50_000_000).to_bytes(4, "little")
    with FileServer({"zip": content.replace(size, (1000).to_bytes(4, "little"))}) as server:
        tracemalloc.start()
        with pytest.raises(DownloadError, match="bomb in .* is damaged"):
            take(server, ["bomb"])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 5_000_000  # bytes: nor does it unpack in memory alone


def test_a_member_packed_in_an_unusual_way_is_refused_and_named():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("odd", b"content")
    with FileServer({"zip": buffer.getvalue()}) as server:
        with pytest.raises(DownloadError, match="odd in .*/zip is .* packed in an unusual way"):
            take(server, ["odd"])


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
