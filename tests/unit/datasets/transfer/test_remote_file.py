"""Files on a server that misbehaves, whole and in part."""

import gzip
import itertools
import logging
import random
import socket
import time
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smm_tutorial.datasets.transfer import bounded_session, remote_file
from smm_tutorial.datasets.transfer.remote_file import ChangedError, DownloadError, Patience, Remote
from tests.servers import (
    IMPATIENT,
    Fault,
    FileServer,
    RawServer,
    give_part,
    head,
    noise,
    tarred,
    zipped,
)

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
    monkeypatch.setattr(remote_file, "pause", lambda seconds, stopped: slept.append(seconds))
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
    assert starts == sorted(starts)  # nothing twice but what was lost
    assert starts[0] == 0 and starts[-1] > 300_000


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
    with pytest.raises(DownloadError, match="ends before byte 1,000,000: it .* was cut short"):
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


def read_twice(headers):
    """Two parts from a server that adds these headers to its answers, one after the other."""
    given = itertools.cycle(headers)
    with RawServer(lambda asked: give_part(CONTENT, asked, **next(given))) as server:
        remote = Remote(server.url(), IMPATIENT)
        return remote.read(0, 10) + remote.read(10, 20)


DAY = {"Last_Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}


@pytest.mark.parametrize(
    "headers",
    [
        [{"ETag": '"a"'}, {"ETag": 'W/"a"'}],
        [{"ETag": '"a-1"', **DAY}, {"ETag": '"a-2"', **DAY}],
        [{"ETag": 'W/"a-1"', **DAY}, {"ETag": '"a-2"', **DAY}],
        [{"ETag": '"a"', **DAY}, {"ETag": '"a"', "Last_Modified": "nonsense"}],
        [{"ETag": "", **DAY}, DAY],
    ],
)
def test_machines_that_mark_one_file_in_their_own_way_serve_one_download(headers):
    assert read_twice(headers) == CONTENT[:20]


@pytest.mark.parametrize(
    "headers",
    [
        [{"ETag": '"a-1"'}, {"ETag": '"a-2"'}],
        [{"ETag": '"a"', "Content_Range": "bytes 0-9/99"}, {"ETag": '"a"'}],
    ],
)
def test_marks_that_nothing_makes_up_for_are_a_change(headers):
    with pytest.raises(ChangedError, match="has changed on the server"):
        read_twice(headers)


ARCHIVE = tarred({"member": noise(100_000)})
CODINGS = [
    "gzip",
    "x-gzip",
    "GZIP",
    "X-GZip",
    "deflate",
    "br",
    "zstd",
    "gzip, " * 9 + "gzip",
    "odd",
]


@pytest.mark.parametrize("coding", CODINGS)
def test_a_label_on_a_packed_file_unpacks_nothing(coding):
    with RawServer(lambda asked: give_part(ARCHIVE, asked, Content_Encoding=coding)) as server:
        remote = Remote(server.url("file.tar.gz"), IMPATIENT)
        assert fetched(remote) == ARCHIVE
        assert fetched(remote, 1000) == ARCHIVE[1000:]
        assert remote.read(10, 20) == ARCHIVE[10:20]


@pytest.mark.parametrize("file", [ARCHIVE, zipped({"member": noise(5000)})], ids=["gzip", "zip"])
def test_a_file_that_a_server_packs_on_its_way_is_refused_with_the_way_out(file):
    packed = gzip.compress(file)
    answer = head("200 OK", Content_Encoding="gzip", Content_Length=len(packed)) + packed
    with RawServer(lambda asked: [answer]) as server:
        with pytest.raises(DownloadError, match="packed once more .* curl --compressed"):
            fetched(Remote(server.url("file.tar.gz"), IMPATIENT))


def chunked(content, size=7000):
    for start in range(0, len(content), size):
        piece = content[start : start + size]
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


@pytest.mark.parametrize("coding", ["", "gzip"])
def test_a_file_that_comes_in_chunks_is_read_and_a_missing_chunk_is_noticed(coding):
    beginning = head("200 OK", Transfer_Encoding="chunked", Content_Encoding=coding)
    pieces = [beginning, *chunked(ARCHIVE)]
    with RawServer(lambda asked: pieces) as server:
        assert fetched(Remote(server.url(), IMPATIENT)) == ARCHIVE
    with RawServer(lambda asked: pieces[: -3 if asked.number < 2 else None]) as server:
        assert fetched(Remote(server.url(), IMPATIENT)) == ARCHIVE
        assert len(server.asked) == 3
    with RawServer(lambda asked: pieces[:-3]) as server:
        with pytest.raises(DownloadError, match="gave up on .*IncompleteRead"):
            fetched(Remote(server.url(), IMPATIENT))


def test_a_body_shorter_than_its_length_is_noticed():
    beginning = head("200 OK", Content_Length=len(ARCHIVE), Content_Encoding="gzip")
    with RawServer(lambda asked: [beginning, ARCHIVE[:-1]]) as server:
        with pytest.raises(DownloadError, match="gave up on .*IncompleteRead"):
            fetched(Remote(server.url(), IMPATIENT))


class Endless:
    """Bytes that go on until the client hangs up, or for far too long."""

    def __init__(self, beginning, piece, wait=0.0):
        self.beginning, self.piece, self.wait, self.ended = beginning, piece, wait, False

    def __call__(self, asked):
        yield self.beginning
        pieces = 1 if self.wait else 1 + (1 << 16) // len(self.piece)  # more than sockets hold
        for _ in range(100 if self.wait else 10_000):
            if self.wait and asked.over.wait(self.wait):
                return
            yield self.piece * pieces
        self.ended = True


MORE = bytes(1 << 16)
WHOLE = {"Content_Range": f"bytes 0-9/{len(CONTENT)}"}


@pytest.mark.parametrize(
    ("beginning", "piece", "start", "stop"),
    [
        (head("206 Part", **WHOLE), MORE, 0, 10),
        (head("206 Part", **WHOLE, Transfer_Encoding="chunked"), b"5\r\n\0\0\0\0\0\r\n", 0, 10),
        (head("206 Part", **WHOLE, Content_Length="12, 12"), MORE, 0, 10),
        (head("200 OK", Content_Length=10), MORE, 0, None),
        (head("200 OK", Content_Length="10, 10"), MORE, 0, None),
    ],
)
def test_a_server_that_sends_on_and_on_is_left_when_all_is_there(beginning, piece, start, stop):
    endless = Endless(beginning, piece)
    with RawServer(endless) as server:
        remote = Remote(server.url(), IMPATIENT)
        got = fetched(remote) if stop is None else remote.read(start, stop)
    assert got == bytes(10) and not endless.ended


@pytest.mark.parametrize(
    ("beginning", "piece", "words"),
    [
        (head("200 OK"), MORE, "does not give parts of files"),
        (head("200 OK", Transfer_Encoding="chunked"), b"1\r\n\0\r\n", "does not give parts"),
        (head("302 Found", Location="/other", Content_Length=1 << 40), MORE, "redirects more"),
        (b"HTTP/1.1 206 Part\r\n", b"X: y\r\n", "gave up on .*100 headers"),
        (b"HTTP/1.1 206 Part\r\nX: ", b"y" * 9999, "gave up on .*65536"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "gave up on .*headers go on"),
        (b"", MORE, "gave up on .*65536"),
        (head("404 Not Found"), MORE, "answers 404 Not Found: check the address"),
        (head("503 Busy"), MORE, "gave up on .*it answers 503 Busy"),
        (
            head("206 Part", **WHOLE, Transfer_Encoding="chunked") + b"0\r\n",
            b"X: y\r\n",
            "gave up on .*headers go on",
        ),
        (
            head("206 Part", **WHOLE, Transfer_Encoding="chunked"),
            b"1;" + b"x" * 60_000 + b"\r\n\0\r\n" * 2,
            "gave up on",
        ),
        (head("206 Part", **WHOLE, Transfer_Encoding="chunked") + b"-1\r\n", MORE, "below zero"),
    ],
)
def test_an_answer_without_end_is_left(beginning, piece, words):
    endless = Endless(beginning, piece)
    with RawServer(endless) as server:
        with pytest.raises(DownloadError, match=words) as caught:
            Remote(server.url(), IMPATIENT).read(0, 10)
    assert server.url() in str(caught.value) and not endless.ended


@pytest.mark.parametrize("coding", ["identity", "chunked"])
def test_a_file_of_untold_length_is_read_to_its_end_and_not_for_ever(monkeypatch, coding):
    beginning = head("200 OK", **({"Transfer_Encoding": coding} if coding == "chunked" else {}))
    pieces = chunked(CONTENT) if coding == "chunked" else [CONTENT]
    pieces = [beginning, *pieces]
    with RawServer(lambda asked: pieces) as server:
        assert fetched(Remote(server.url(), IMPATIENT)) == CONTENT
    monkeypatch.setattr(remote_file, "LONGEST_UNTOLD", 500_000)
    endless = Endless(beginning, MORE if coding == "identity" else b"4000\r\n%b\r\n" % MORE[:16384])
    with RawServer(endless) as server:
        with pytest.raises(DownloadError, match="does not tell its length and goes on after"):
            fetched(Remote(server.url(), IMPATIENT))
    assert not endless.ended


PROMPT = Patience(tries=1, connecting=2.0, reading=0.3)


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        (b"HTTP/1.1 200", b" "),
        (b"HTTP/1.1 206 Part\r\n", b"X: y\r\n"),
        (head("206 Part", **WHOLE), b"\0"),
        (head("206 Part", **WHOLE, Transfer_Encoding="chunked"), b"1\r\nx\r\n"),
    ],
)
def test_a_server_that_trickles_is_given_up_with_what_was_waited_for(beginning, piece):
    endless = Endless(beginning, piece, wait=0.1)
    with RawServer(endless) as server:
        with pytest.raises(
            DownloadError,
            match=r"gave up on .*silent, or slower than 109,227 bytes a second, for 0\.3 s",
        ):
            Remote(server.url(), PROMPT).read(0, 1000)
    assert not endless.ended


def test_time_that_the_client_takes_between_pieces_is_not_held_against_the_server(
    server, remote, monkeypatch
):
    now = [0.0]
    monkeypatch.setattr(bounded_session.time, "monotonic", lambda: now[0])
    pieces = []
    for piece in remote.stream():
        pieces.append(piece)
        now[0] += 1000
    assert b"".join(pieces) == CONTENT and len(server.asked) == 1


def test_answers_that_bring_next_to_nothing_do_not_go_on_for_ever(server, remote):
    server.always["file"] = Fault(cut_after=7)
    with pytest.raises(DownloadError, match="gave up on .* after 3 tries"):
        fetched(remote)
    assert len(server.asked) == 3


def test_a_server_that_never_tells_the_length_in_parts_is_asked_for_the_whole():
    def answer(asked):
        if asked.stop is None and asked.start == 0:
            return [head("200 OK", Content_Length=len(CONTENT)), CONTENT]
        last = min(asked.stop or len(CONTENT), len(CONTENT)) - 1
        return give_part(CONTENT, asked, Content_Range=f"bytes {asked.start}-{last}/*")

    with RawServer(answer) as server:
        remote = Remote(server.url(), IMPATIENT)
        assert remote.version().bytes == len(CONTENT)
        assert remote.read(10, 20) == CONTENT[10:20]
        assert fetched(remote, 999_000) == CONTENT[999_000:]


@pytest.mark.parametrize("total", ["*", len(CONTENT)])
@pytest.mark.parametrize("told", [f"bytes */{len(CONTENT)}", ""])
def test_asking_for_what_comes_after_the_last_byte_is_the_end(total, told):
    def answer(asked):
        if asked.start == len(CONTENT):
            return [head("416 Range", Content_Range=told)]
        return give_part(CONTENT, asked, Content_Range=f"bytes {asked.start}-{asked.start}/{total}")

    with RawServer(answer) as server:
        remote = Remote(server.url(), IMPATIENT)
        remote.read(0, 1)
        assert fetched(remote, len(CONTENT)) == b""


def test_a_file_that_became_shorter_is_a_change():
    def answer(asked):
        if asked.start:
            return [head("416 Range", Content_Range="bytes */5")]
        return give_part(CONTENT, asked)

    with RawServer(answer) as server:
        remote = Remote(server.url(), IMPATIENT)
        remote.read(0, 1)
        with pytest.raises(ChangedError, match="1,000,000 bytes before, 5 now"):
            fetched(remote, 100)
        with pytest.raises(DownloadError, match="ends before byte 100"):
            fetched(Remote(server.url(), IMPATIENT), 100)


@pytest.mark.parametrize("told", ["abc", "-5", "12, 13", "9" * 5000, "1e3", "\xff"])
def test_a_length_that_cannot_be_true_is_refused(told):
    with RawServer(lambda asked: [head("200 OK", Content_Length=told), b"x" * 12]) as server:
        with pytest.raises(DownloadError, match=f"{server.url()} .*: (try again|check)"):
            fetched(Remote(server.url(), IMPATIENT))


@pytest.mark.parametrize("told", ["Bytes 3-7/1000000", "bytes  3 - 7 / 1000000", "BYTES=3-7/*"])
def test_a_part_is_known_in_the_ways_that_servers_write_it(told):
    with RawServer(lambda asked: give_part(CONTENT, asked, Content_Range=told)) as server:
        assert Remote(server.url(), IMPATIENT).read(3, 8) == CONTENT[3:8]


@pytest.mark.parametrize("told", ["", "3-7/9", "bytes 3-2/9", "bytes 3-7", "bytes 3-" + "9" * 5000])
def test_a_part_that_does_not_say_which_is_refused(told):
    with RawServer(lambda asked: give_part(CONTENT, asked, Content_Range=told)) as server:
        with pytest.raises(DownloadError, match="sent another part than asked for"):
            Remote(server.url(), IMPATIENT).read(3, 8)


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "odd"])
def test_what_is_packed_for_the_transfer_is_refused(coding):
    with RawServer(lambda asked: give_part(CONTENT, asked, Transfer_Encoding=coding)) as server:
        with pytest.raises(DownloadError, match="sent in an unusual way .*: fetch it whole"):
            Remote(server.url(), IMPATIENT).read(3, 8)


@pytest.mark.parametrize("when", ["1" * 400, "-7", "nan", "Thu, 01 Jan 99999 00:00:00 GMT", "\xff"])
def test_an_odd_wish_to_wait_is_no_traceback(server, waits, when):
    server.faults["file"] = [Fault(status=503, headers={"Retry-After": when})]
    assert fetched(Remote(server.url("file"))) == CONTENT
    assert len(waits) == 1 and 1 <= waits[0] <= 60


def test_what_follows_the_part_that_an_answer_names_is_not_taken_for_the_file():
    def answer(asked):
        if asked.number:
            return give_part(CONTENT, asked)
        return [head("206 Part", Content_Range=f"bytes 0-4/{len(CONTENT)}"), CONTENT[:5], MORE]

    with RawServer(answer) as server:
        assert Remote(server.url(), IMPATIENT).read(0, 20) == CONTENT[:20]


# redirects


def redirecting(location, status="302 Found"):
    def answer(asked):
        if asked.path == "/file":
            return [head(status, Location=location, Content_Length=0)]
        return give_part(CONTENT, asked)

    return RawServer(answer)


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
@pytest.mark.parametrize(
    "location", ["/other", "other?x=1", "/b\xc3\xa4r", "/b\xe4r \xff", "/%C3%A4", "?new"]
)
def test_a_redirect_is_followed_with_the_part_that_was_asked_for(status, location):
    with redirecting(location, status) as server:
        assert Remote(server.url(), IMPATIENT).read(10, 20) == CONTENT[10:20]
        assert [(asked.start, asked.stop) for asked in server.asked] == [(10, 20), (10, 20)]


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("file:///etc/passwd", "cannot ask for file.*, to which .*/file leads: .*https:// or"),
        ("ftp://me:secret@host/x", "cannot ask for ftp.*, to which .*/file leads"),
        ("javascript:secret", "cannot ask for javascript"),
        ("data:,secret", "cannot ask for data"),
        ("http://[bad", "cannot ask for .*/file .*: check the address"),
        ("http://:80/", "cannot ask for .*/file .*: check the address"),
        ("/file#secret", "redirects more than 10 times: check the address"),
    ],
)
def test_a_redirect_to_nowhere_is_refused_with_the_address_that_leads_there(location, words):
    with redirecting(location) as server, pytest.raises(DownloadError, match=words) as caught:
        Remote(server.url(), IMPATIENT).read(0, 10)
    assert "secret" not in str(caught.value)


# secrets


@pytest.mark.parametrize(
    "answer",
    [
        head("404 Not Found"),
        head("503 Busy"),
        head("200 OK", Content_Length="abc"),
        head("200 OK", Content_Length="12, 13"),
        head("302 Found", Location="http://you:sekret@127.0.0.1:1/?sekret"),
        head("302 Found", Location="/file?sekret"),
        head("302 Found", Location="ftp://you:sekret@host/?sekret"),
        head("302 Found", Location="http://you:sekret@host:port/?sekret"),
        head("206 Part", Content_Range="bytes 5-6/7"),
        b"HTTP/1.1 206 Part\r\nno header\r\nContent-Length: 1\r\n\r\n",
        b"nonsense\r\n",
        b"",
    ],
)
def test_no_message_tells_a_password_or_a_query(answer, caplog):
    caplog.set_level(logging.WARNING)
    with RawServer(lambda asked: [answer]) as server:
        remote = Remote(server.url("file?token=sekret", "me:sekret@"), IMPATIENT)
        with pytest.raises(DownloadError) as caught:
            remote.read(0, 10)
    assert server.url("file") in str(caught.value)
    told = "".join(traceback.format_exception(caught.value)) + caplog.text + remote.url
    assert "sekret" not in told


@pytest.mark.parametrize(
    "address",
    [
        "http://me:sekret@127.0.0.1:1/file?sekret",
        "http://me:sekret@host:port/file",
        "http://me:sekret/sekret@host/file",
        "http://?sekret",
        "http://me:sekret@[::1/file",
        "http://me:sekret@" + "a" * 70 + ".invalid/file",
        "http://me:sekr\u00e9t\u20ac sekret@127.0.0.1:1/file",
        "http://me:sekret@b\u00fccher..invalid/file",
        "ftp://me:sekret@host/file",
        "me:sekret@host/file",
    ],
)
def test_no_message_about_an_address_tells_its_password(address):
    with pytest.raises(DownloadError, match="check the (address|connection)") as caught:
        Remote(address, IMPATIENT).read(0, 10)
    assert "sekret" not in "".join(traceback.format_exception(caught.value))


def test_a_password_reaches_the_server_and_nobody_else():
    with RawServer(lambda asked: give_part(CONTENT, asked)) as other:

        def answer(asked):
            return [head("302 Found", Location=other.url("file"))]

        with RawServer(answer) as server:
            remote = Remote(server.url("file", "me:secret@"), IMPATIENT)
            assert remote.read(0, 10) == CONTENT[:10]
        assert [asked.user for asked in server.asked + other.asked] == ["me:secret", None]


# anything


STATUSES = ["200 OK", "206 Part", "206", "416 R", "302 F", "100 C", "204 N", "999 x", "abc", "\xff"]
NAMES = ["Content-Length", "Content-Range", "ETag", "Last-Modified", "Retry-After", "Location"]
NAMES += ["Content-Encoding", "Transfer-Encoding", "Connection", "Set-Cookie", "no header", " x"]
VALUES = ["", "abc", "-5", "12, 12", "12, 13", "9" * 5000, "5", "\xff\x1b[2J", "nan", '"a\x01"']
VALUES += ["Thu, 01 Jan 99999 00:00:00 GMT", "gzip", "gzip, chunked", "chunked", "bytes 0-4/5"]
VALUES += [
    "bytes */5",
    "bytes 5-1/3",
    "bytes 0-4/*",
    "file:///x",
    "//",
    "http://[bad",
    "/\xff",
    "?",
]
BODIES = [b"", b"12345", bytes(9999), b"5\r\n12345\r\n0\r\n\r\n", b"-5\r\nx", b"zz\r\n", b"f" * 99]


def make_odd_answer(choose):
    lines = [f"HTTP/1.{choose([0, 1, 1, 9])} {choose(STATUSES[:3] + STATUSES)}"]
    lines += [f"{choose(NAMES)}{choose([': ', ':', ''])}{choose(VALUES)}" for _ in range(4)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + choose(BODIES)


@pytest.mark.parametrize("seed", range(10))
def test_an_odd_answer_is_used_or_refused_in_words(seed):
    choose = random.Random(seed).choice
    patience = Patience(tries=2, connecting=1.0, reading=0.2, first_wait=0.0)
    with RawServer(lambda asked: [make_odd_answer(choose)]) as server:
        for _ in range(20):
            remote = Remote(server.url("file?sekret"), patience)
            try:
                assert len(remote.read(0, 5)) == 5
                fetched(remote)
            except DownloadError as error:
                assert server.url("file") in str(error)
                assert str(error).isascii() and str(error).isprintable()
                assert "sekret" not in "".join(traceback.format_exception(error))
