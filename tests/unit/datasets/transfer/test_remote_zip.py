"""Single members of zip files on a server that misbehaves."""

import io
import random
import signal
import struct
import threading
import tracemalloc
import zipfile

import pytest

from smm_tutorial.datasets.transfer import remote_file, remote_zip
from smm_tutorial.datasets.transfer.answers import Version
from smm_tutorial.datasets.transfer.remote_file import DownloadError, Remote
from smm_tutorial.datasets.transfer.remote_zip import RemoteZip
from smm_tutorial.datasets.transfer.workers import pause
from tests.servers import IMPATIENT, Fault, FileServer, RawServer, give_part, noise, zipped

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


# Ctrl-C


def interrupt():
    """Ctrl-C, as the main thread gets it."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def test_ctrl_c_ends_a_download_at_once_though_its_servers_are_silent(monkeypatch):
    monkeypatch.setattr(remote_zip, "TOGETHER", 1)  # each member is a request
    content, kept, silences = zipped(MEMBERS), [], []
    arrived = threading.Barrier(remote_zip.CONNECTIONS, interrupt)  # when all threads wait

    def answer(asked):
        if asked.number < 2:  # size and directory
            yield from give_part(content, asked)
            return
        arrived.wait()
        silences.append(asked.over.wait(30))  # shorter than the client's patience for five tries

    with RawServer(answer) as server:
        archive = RemoteZip(Remote(server.url()))
        with pytest.raises(KeyboardInterrupt):
            archive.fetch(archive.members.values(), lambda *member: kept.append(member))
        assert not silences and not kept  # all of them are silent still


def interrupted_pause(seconds, stopped):
    interrupt()
    pause(seconds, stopped)


def test_ctrl_c_ends_waits_for_a_busy_server(monkeypatch):
    content = zipped(MEMBERS)
    with FileServer({"zip": content}) as server:
        archive = RemoteZip(Remote(server.url("zip")))
        server.always["zip"] = Fault(status=503, headers={"Retry-After": "9999"})
        before = set(threading.enumerate())
        monkeypatch.setattr(remote_file, "pause", interrupted_pause)
        with pytest.raises(KeyboardInterrupt):
            archive.fetch(archive.members.values(), lambda *member: None)
        for thread in set(threading.enumerate()) - before:
            thread.join(30)
            assert not thread.is_alive()  # none sleeps on


def test_after_an_error_nothing_more_is_kept_and_the_archive_can_be_used_again():
    content = bytearray(zipped({"bad": noise(500), **MEMBERS}))
    content[content.index(b"bad") + 100] ^= 1
    with FileServer({"zip": bytes(content)}) as server:
        archive = RemoteZip(Remote(server.url("zip"), IMPATIENT))
        kept = []
        with pytest.raises(DownloadError, match="bad in .* is damaged"):
            archive.fetch(archive.members.values(), lambda info, _: kept.append(info))
        count = len(kept)
        good = archive.members[next(iter(MEMBERS))]
        archive.fetch([good], lambda info, content: kept.append(content))
        assert kept[count:] == [MEMBERS[good.filename]]


# odd directories


class Bytes:
    """A remote file in memory: `head`, then zeros up to `size` bytes in all, then `content`."""

    url = "http://server/zip"

    def __init__(self, content, size=None, head=b""):
        self.head, self.content, self.size = head, content, size or len(content)
        self.most = 0  # bytes read at once

    def version(self):
        return Version(self.size, None, None)

    def read(self, start, stop, stopped=None):
        assert 0 <= start <= stop <= self.size, "a part that is not there is asked for"
        self.most = max(self.most, stop - start)
        tail = self.size - len(self.content)
        part = self.head[start:stop]
        part += bytes(max(0, min(stop, tail) - start - len(part)))
        return part + self.content[max(0, start - tail) : max(0, stop - tail)]


def end_record(entries, size, offset):
    """The end of a zip file, in the format for large ones."""
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    return large + locator + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, 9, 9, 0)


def test_a_directory_of_gigabytes_is_refused_before_it_is_read():
    for directory in (10_000_000_000, (1 << 25) + 1):
        remote = Bytes(end_record(1 << 30, directory, 0), 18_000_000_000)
        with pytest.raises(DownloadError, match="no whole zip file .* bytes to read, .* at most"):
            RemoteZip(remote)
        assert remote.most <= remote_zip.TAIL


def claim(content, **fields):
    """The zip file with other numbers in the directory's first entry."""
    content, start = bytearray(content), content.index(b"PK\1\2")
    for name, value in fields.items():
        place = {"compress_size": 20, "file_size": 24, "header_offset": 42}[name]
        content[start + place : start + place + 4] = struct.pack("<L", value)
    return bytes(content)


@pytest.mark.parametrize("field", ["file_size", "compress_size"])
def test_a_member_too_large_for_memory_is_refused_before_it_is_fetched(field, tmp_path):
    remote = Bytes(claim(zipped({"bomb": b"x" * 99}), **{field: (1 << 30) + 1}))
    archive = RemoteZip(remote)
    remote.most = 0
    for fetch in (
        lambda: archive.fetch(archive.members.values(), lambda *member: None),
        lambda: archive.save(tmp_path, archive.members),
    ):
        with pytest.raises(DownloadError, match="bomb in .* claims 1,073,741,825 bytes, and"):
            fetch()
    assert not remote.most


def test_a_member_that_is_shorter_than_the_directory_says_is_refused():
    archive = RemoteZip(Bytes(claim(zipped({"short": b"x" * 99}, packed=True), file_size=1000)))
    for take_one in (fetch_one, stream_one):
        with pytest.raises(DownloadError, match="short in .* is damaged .99 bytes, 1,000 expected"):
            take_one(archive, archive.members["short"])


def test_what_lies_between_members_is_not_fetched_along():
    content, size = zipped({"member": b"content"}), 10_000_000_000
    start, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    directory, record = content[start:end], end_record(1, end - start, 0)
    record = end_record(1, end - start, size - len(directory) - len(record))
    remote = Bytes(directory + record, size, head=content[:start])
    assert fetch_one(RemoteZip(remote), RemoteZip(remote).members["member"]) == b"content"
    assert remote.most < 1_000_000


@pytest.mark.parametrize("offset", [1, 0x7FFFFFFF, 0xFFFFFFFE])
def test_a_member_that_lies_elsewhere_than_the_directory_says_is_refused(offset):
    content = claim(zipped({"member": b"content", "other": b"other"}), header_offset=offset)
    with pytest.raises(DownloadError, match="/zip"):
        archive = RemoteZip(Bytes(content))
        archive.fetch(archive.members.values(), lambda *member: None)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_members_with_one_name_the_last_is_taken():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for content in (b"first", b"second", b"last"):
            archive.writestr("name", content)
    kept = []
    archive = RemoteZip(Bytes(buffer.getvalue()))
    archive.fetch([archive.members["name"]], lambda _, content: kept.append(content))
    assert kept == [b"last"]


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside", "a\\b", ""])
def test_a_member_is_saved_in_its_folder_or_not_at_all(name, tmp_path):
    archive = RemoteZip(Bytes(zipped({"member": b"content"})))
    folder = tmp_path / "folder"
    with pytest.raises(DownloadError, match="http://server/zip cannot be unpacked: .* refused"):
        archive.save(folder, {name: archive.members["member"]})
    assert not list(tmp_path.rglob("*"))
    archive.save(folder, {"a/b": archive.members["member"]})
    assert (folder / "a" / "b").read_bytes() == b"content"


def damage(content, choose):
    """The zip file with a few bytes or numbers of its directory changed, or a part cut out."""
    content = bytearray(content)
    for _ in range(choose([1, 1, 2, 8])):
        start = content.find(b"PK\1\2") if b"PK\1\2" in content else 0
        place = choose(range(start, len(content) - 8))
        records = [at for at in range(len(content) - 50) if content[at : at + 2] == b"PK"] or [0]
        field = choose(records) + choose([6, 8, 10, 16, 20, 24, 28, 30, 34, 42])
        kind = choose(["byte", "field", "field", "cut"])
        if kind == "byte":
            content[place] = choose(range(256))
        elif kind == "field":
            value = choose([0, 1, 1 << 20, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF])
            content[field : field + 4] = struct.pack("<L", value)
        else:
            del content[place : place + choose([1, 4, 30])]
    return bytes(content)


@pytest.mark.parametrize("seed", range(10))
def test_a_damaged_zip_file_gives_right_members_or_is_refused_in_words(seed):
    choose = random.Random(seed).choice
    few = dict(list(MEMBERS.items())[:6])
    whole = [zipped(few), zipped(few, packed=True)]
    start = whole[0].index(b"PK\1\2")
    size = whole[0].index(b"PK\5\6") - start
    whole.append(whole[0][: start + size] + end_record(len(few), size, start))
    for _ in range(30):
        try:
            archive = RemoteZip(Bytes(damage(choose(whole), choose)))
        except DownloadError:
            continue
        for info in archive.members.values():
            for take_one in (fetch_one, stream_one):
                try:
                    content = take_one(archive, info)
                    assert (len(content), zipfile.crc32(content)) == (info.file_size, info.CRC)
                except DownloadError as error:
                    assert str(error).isprintable() and Bytes.url in str(error)


def fetch_one(archive, info):
    kept = []
    archive.fetch([info], lambda _, content: kept.append(content))
    return kept[0]


def stream_one(archive, info):
    return b"".join(archive.stream(info))
