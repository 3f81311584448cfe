"""Files on servers, whole or in part.

`Remote` goes on where a connection was cut, waits when the server asks for it, and refuses a file
that changes meanwhile.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import requests

from smm_tutorial import __version__
from smm_tutorial.datasets.scene_images import DatasetError

PIECE = 1 << 15  # bytes that go to disk at once, and that a cut connection loses at most
BUSY = (429, 500, 502, 503, 504)  # statuses that may pass
CUT = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class DownloadError(DatasetError):
    """A server that fails, or sends something other than it said; names address and way out."""


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
        self._sessions = threading.local()  # a session's open connection belongs to one thread

    def version(self) -> Version:
        """Size and marks of the file; asks the server once."""
        if self._known is None:
            next(self._read_pieces(0, 1, must_be_part=False))
        return self._known

    def expect(self, version: Version) -> None:
        """From now on refuses any other version than this one.

        Raises:
            ChangedError: the server has told another version already.
        """
        if self._known is None:
            self._known = version
        for was, now in zip(self._known, version, strict=True):
            if was is not None and now is not None and was != now:
                raise ChangedError(
                    f"{self.url} has changed on the server ({was} before, {now} now): what was "
                    "fetched before belongs to the old version; start the download afresh"
                )

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`, all of them.

        Raises:
            DownloadError: the server fails, gives no parts of files, or the file has changed.
        """
        return b"".join(self._read_pieces(start, stop, must_be_part=True))

    def stream(self, start: int = 0) -> Iterator[bytes]:
        """The bytes from `start` to the end, in pieces; without the server's parts, begins anew.

        Raises:
            DownloadError: the server fails, or the file has changed or ends too early.
        """
        return self._read_pieces(start, None, must_be_part=False)

    def _read_pieces(self, start: int, stop: int | None, must_be_part: bool) -> Iterator[bytes]:
        position, failures = start, 0
        while True:
            try:
                with self._ask(position, stop) as response:
                    self._check_response(response, position, must_be_part)
                    skip = position if response.status_code == 200 else 0
                    end = stop if stop is not None else self._known.bytes
                    for piece in response.iter_content(PIECE):
                        fresh = piece[skip:]
                        skip = max(0, skip - len(piece))
                        if end is not None:  # some servers send more than they were asked for
                            fresh = fresh[: end - position]
                        if fresh:
                            position, failures = position + len(fresh), 0
                            yield fresh
                if end is None or position == end:
                    return
                raise requests.ConnectionError(f"it ended after {position:,} of {end:,} bytes")
            except CUT as error:
                failures += 1
                self._wait_or_give_up(failures, error)
            except requests.RequestException as error:
                raise DownloadError(
                    f"cannot ask for {self.url} ({error}): check the address"
                ) from error

    def _ask(self, start: int, stop: int | None) -> requests.Response:
        """A response whose body is the file from `start` (status 206) or all of it (200)."""
        if not hasattr(self._sessions, "session"):
            self._sessions.session = requests.Session()
            self._sessions.session.headers["User-Agent"] = f"smm-tutorial/{__version__}"
        headers = {"Accept-Encoding": "identity"}
        if start or stop is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        timeout = (self.patience.connecting, self.patience.reading)
        return self._sessions.session.get(self.url, headers=headers, timeout=timeout, stream=True)

    def _check_response(self, response: requests.Response, start: int, must_be_part: bool) -> None:
        status, headers = response.status_code, response.headers
        answer = f"{status} {response.reason}"
        marks = headers.get("ETag"), headers.get("Last-Modified")
        if status in BUSY:
            raise requests.ConnectionError(f"it answers {answer}", response=response)
        if status == 416:
            raise DownloadError(
                f"{self.url} ends before byte {start:,}: it changed or was cut short on the server"
            )
        if status not in (200, 206):
            raise DownloadError(
                f"{self.url} answers {answer}: check the address on the data set's page, "
                "and pass the one you find there"
            )
        if status == 200:
            length = headers.get("Content-Length")
            self.expect(Version(int(length) if length is not None else None, *marks))
            if must_be_part:
                raise DownloadError(
                    f"{self.url} does not give parts of files: "
                    "fetch it whole with a browser or curl and unpack it"
                )
            return
        part = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", "").strip())
        if part is None or int(part[1]) != start:
            raise DownloadError(
                f"{self.url} sent another part than asked for: try again later, or fetch it whole"
            )
        self.expect(Version(None if part[2] == "*" else int(part[2]), *marks))

    def _wait_or_give_up(self, failures: int, error: requests.RequestException) -> None:
        if failures >= self.patience.tries:
            raise DownloadError(
                f"gave up on {self.url} after {failures} tries ({error}): "
                "check the connection, or try again later; what has been fetched is kept"
            )
        wait = self.patience.first_wait * 2 ** (failures - 1)
        if error.response is not None:
            wait = max(wait, parse_retry_after(error.response.headers.get("Retry-After")))
        time.sleep(min(wait, self.patience.longest_wait))


def parse_retry_after(header: str | None) -> float:
    """Seconds from now that the header Retry-After tells; 0 where it is absent or unreadable."""
    try:
        if header is None or header.isdecimal():
            return float(header or 0)
        return parsedate_to_datetime(header).timestamp() - time.time()
    except ValueError:
        return 0.0
