"""Files on a server that misbehaves, whole and in part."""

import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smm_tutorial.datasets.transfer import remote_file
from smm_tutorial.datasets.transfer.remote_file import ChangedError, DownloadError, Remote
from tests.servers import IMPATIENT, Fault, FileServer, noise

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
