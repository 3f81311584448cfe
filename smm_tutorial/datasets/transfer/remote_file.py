"""Files and parts of files over HTTP, politely, so that a fault leaves on disk what is right or
nothing.

`Remote` reads any part of a file on a server and `GrowingFile` keeps the beginning of one, as far
as it was needed. Both go on where a connection was cut, wait when the server asks for it, and
refuse a file that changes meanwhile.
"""

from __future__ import annotations

import errno
import io
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple

import requests
from filelock import FileLock, Timeout

from smm_tutorial import __version__, paths
from smm_tutorial.datasets.scene_images import DatasetError

PIECE = 1 << 15  # bytes that go to disk at once, and that a cut connection loses at most
BUSY = (429, 500, 502, 503, 504)  # statuses that may pass
CUT = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
LOCK_NAME = ".lock"
SOURCE_SUFFIX = ".source.json"
SPARE_ROOM = 50_000_000  # bytes that a download leaves free


class DownloadError(DatasetError):
    """A server that cannot be reached, refuses, or sends something other than it said; names
    address and way out.
    """


class ChangedError(DownloadError):
    """A file on a server that is no longer the one that was begun."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, in seconds, and how often to ask again."""

    tries: int = 5
    connecting: float = 10.0
    reading: float = 30.0  # between two pieces, not for the whole
    first_wait: float = 1.0  # doubles with each failure in a row
    longest_wait: float = 60.0


class Version(NamedTuple):
    """What a server says about a file, to see whether it is still the same one."""

    bytes: int | None
    etag: str | None
    modified: str | None


class Remote:
    """A file on a server.

    Args:
        url: its address.
        patience: how long to wait and how often to ask again.
    """

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        self.url = url
        self.patience = patience or Patience()
        self._known: Version | None = None
        self._sessions = (
            threading.local()
        )  # a session keeps its connection open and belongs to one thread

    def version(self) -> Version:
        """Size and marks of the file; asks the server once."""
        if self._known is None:
            with self._open(0, 1, must_be_part=False):
                pass
        return self._known

    def expect(self, version: Version) -> None:
        """From now on refuse any other version than this one."""
        self._check_version(version)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`, all of them.

        Raises:
            DownloadError: the server cannot be reached, gives no parts of files, or the file has
            changed.
        """
        return b"".join(self._pieces(start, stop, must_be_part=True))

    def stream(self, start: int = 0) -> Iterator[bytes]:
        """The bytes from `start` to the end, piece by piece. A server without parts sends the
        beginning again.

        Raises:
            DownloadError: the server cannot be reached, the file has changed or ends too early.
        """
        return self._pieces(start, None, must_be_part=False)

    def _pieces(self, start: int, stop: int | None, must_be_part: bool) -> Iterator[bytes]:
        position, failures = start, 0
        while True:
            try:
                with self._open(position, stop, must_be_part) as response:
                    skip = position if response.status_code == 200 else 0
                    end = stop if stop is not None else self._known.bytes
                    for piece in response.iter_content(PIECE):
                        fresh, skip = piece[skip:], max(0, skip - len(piece))
                        if end is not None:
                            fresh = fresh[
                                : end - position
                            ]  # some servers send more than they were asked for
                        if fresh:
                            position, failures = position + len(fresh), 0
                            yield fresh
                if end is None or position == end:
                    return
                raise requests.ConnectionError(f"it ended after {position:,} of {end:,} bytes")
            except CUT as error:
                failures += 1
                self._wait_or_give_up(failures, str(error), None)

    @contextmanager
    def _open(
        self, start: int, stop: int | None, must_be_part: bool
    ) -> Iterator[requests.Response]:
        """A response whose body is the file from `start` (status 206) or from its beginning
        (200).
        """
        headers = {"Accept-Encoding": "identity"}
        if start or stop is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        failures = 0
        while True:
            try:
                timeout = (self.patience.connecting, self.patience.reading)
                response = self._session().get(
                    self.url, headers=headers, timeout=timeout, stream=True
                )
            except CUT as error:
                failures += 1
                self._wait_or_give_up(failures, str(error), None)
                continue
            except requests.RequestException as error:
                raise DownloadError(
                    f"cannot ask for {self.url} ({error}): check the address"
                ) from error
            with response:
                if response.status_code in BUSY:
                    failures += 1
                    reason = f"it answers {response.status_code} {response.reason}"
                    self._wait_or_give_up(failures, reason, response.headers.get("Retry-After"))
                    continue
                self._check_response(response, start, must_be_part)
                yield response
                return

    def _check_response(self, response: requests.Response, start: int, must_be_part: bool) -> None:
        status, headers = response.status_code, response.headers
        marks = headers.get("ETag"), headers.get("Last-Modified")
        if status == 206:
            match = re.fullmatch(
                r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("Content-Range", "").strip()
            )
            if match is None or int(match[1]) != start:
                raise DownloadError(
                    f"{self.url} sent another part than asked for: try again later, or fetch it whole"
                )
            self._check_version(Version(None if match[3] == "*" else int(match[3]), *marks))
        elif status == 200:
            length = headers.get("Content-Length")
            self._check_version(Version(int(length) if length is not None else None, *marks))
            if must_be_part:
                raise DownloadError(
                    f"{self.url} does not give parts of files: fetch it whole with a browser or curl and unpack it"
                )
        elif status == 416:
            raise DownloadError(
                f"{self.url} ends before byte {start:,}: it changed or was cut short on the server"
            )
        else:
            raise DownloadError(
                f"{self.url} answers {status} {response.reason}: check the address on the data set's page, "
                "and pass the one you find there"
            )

    def _check_version(self, version: Version) -> None:
        if self._known is None:
            self._known = version
        for was, now in zip(self._known, version, strict=True):
            if was is not None and now is not None and was != now:
                raise ChangedError(
                    f"{self.url} has changed on the server ({was} before, {now} now): what was fetched before belongs "
                    "to the old version; start the download afresh"
                )

    def _session(self) -> requests.Session:
        if not hasattr(self._sessions, "session"):
            self._sessions.session = requests.Session()
            self._sessions.session.headers["User-Agent"] = f"smm-tutorial/{__version__}"
        return self._sessions.session

    def _wait_or_give_up(self, failures: int, reason: str, retry_after: str | None) -> None:
        if failures >= self.patience.tries:
            raise DownloadError(
                f"gave up on {self.url} after {failures} tries ({reason}): check the connection, or try again later; "
                "what has been fetched is kept"
            )
        wait = self.patience.first_wait * 2 ** (failures - 1)
        time.sleep(min(max(wait, _seconds(retry_after)), self.patience.longest_wait))


def _seconds(retry_after: str | None) -> float:
    """The header Retry-After in seconds from now; 0 where it is absent or unreadable."""
    try:
        return float(retry_after or 0)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(retry_after).timestamp() - time.time()
    except ValueError:
        return 0.0


class GrowingFile(io.RawIOBase):
    """The beginning of a remote file: read from disk as far as it lies there, then from the server,
    and kept.

    The file at `path` is at any time a prefix of the remote one, so a cut, a kill or a full disk
    loses nothing. Beside it, `path.source.json` tells which version it is a prefix of; a file
    without that is taken as whole.

    Args:
        remote: where it comes from.
        path: where it is kept.

    Raises (while reading):
        DownloadError: as `Remote.stream`; also when the remote file is not the one that was begun.
        DatasetError: the disk is full.
    """

    def __init__(self, remote: Remote, path: Path) -> None:
        super().__init__()
        self.remote, self.path = remote, path
        self._source = path.with_name(path.name + SOURCE_SUFFIX)
        self._kept = path.open("rb") if path.is_file() else None
        self._growing: io.RawIOBase | None = None
        self._pieces: Iterator[bytes] | None = None
        self._pending = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if self._pieces is None:
            if self._kept is not None and (count := self._kept.readinto(buffer)):
                return count
            self._pieces = self._rest()
        if not self._pending:
            self._pending = memoryview(next(self._pieces, b""))
            self._append(self._pending)
        count = min(len(buffer), len(self._pending))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            for file in (self._kept, self._growing):
                if file is not None:
                    file.close()
        super().close()

    def forget(self) -> None:
        """Deletes what was kept, for its content is damaged; a file that was not begun here
        stays.
        """
        self.close()
        if self._source.is_file():
            self.path.unlink(missing_ok=True)
            self._source.unlink()

    def _rest(self) -> Iterator[bytes]:
        """What the disk does not have yet."""
        begun = self._begun_as()
        position = self._kept.tell() if self._kept is not None else 0
        if position and (begun is None or begun.bytes == position):
            return
        try:
            if begun is not None:
                self.remote.expect(begun)
            else:
                content = {"url": self.remote.url, **self.remote.version()._asdict()}
                write_or_explain(self._source, (json.dumps(content, indent=2) + "\n").encode())
            self._growing = self.path.open("ab", buffering=0)
            yield from self.remote.stream(position)
        except ChangedError as error:
            raise ChangedError(
                f"{error}: delete {self.path} and {self._source.name} first"
            ) from error

    def _begun_as(self) -> Version | None:
        """Which version the bytes on disk belong to; None where nothing was begun."""
        if not self._source.is_file():
            return None
        try:
            source = json.loads(self._source.read_text(encoding="utf-8"))
            return Version(*(source[field] for field in Version._fields))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{self._source} is damaged ({error}): delete it and {self.path} and fetch again"
            ) from error

    def _append(self, piece: memoryview) -> None:
        try:
            while piece:
                piece = piece[self._growing.write(piece) :]
        except OSError as error:
            raise full_disk(error, self.path) from error


def write_or_explain(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; raises `DatasetError` where the disk is full or
    refuses.
    """
    try:
        paths.write_atomically(path, content)
    except OSError as error:
        raise full_disk(error, path) from error


def full_disk(error: OSError, path: Path) -> DatasetError:
    """The message for a file that could not be written."""
    remedy = (
        "free some space, or set SMM_DATA to a folder on another disk"
        if error.errno == errno.ENOSPC
        else "check it"
    )
    return DatasetError(
        f"cannot write {path} ({error.strerror}): {remedy}; what has been written whole is kept"
    )


def check_room(folder: Path, needed: int) -> None:
    """Raises `DatasetError` where `folder`'s disk has not `needed` bytes to spare."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_ROOM:
        raise DatasetError(
            f"{folder} has {free / 1e9:.2f} GB free and the download needs {needed / 1e9:.2f} GB: free some space, ask "
            "for fewer images, or set SMM_DATA to a folder on another disk"
        )


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Lets one process at a time work in `folder`; the others wait and say so. A killed process
    lets go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"another process is fetching into {folder}: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
