"""Files on servers, read completely or in part.

`Remote` reconnects after a connection broke, waits if the server asks for it, and refuses a file
that changes during the download. Impossible values in an answer are not believed, and every wait
has an end.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import requests

from smm_tutorial import __version__
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer.addresses import follow_redirect, is_on_the_web, show_address
from smm_tutorial.datasets.transfer.answers import (
    Version,
    find_difference,
    is_packed_twice,
    parse_length,
    parse_length_without_part,
    parse_part,
    parse_retry_after,
    show_text,
)
from smm_tutorial.datasets.transfer.bounded_session import CUT, BoundedSession, find_cause
from smm_tutorial.datasets.transfer.workers import StoppedError, pause

PIECE = 1 << 15  # bytes written to disk at once; a broken connection loses no more than that
PROGRESS = 1 << 10  # bytes: an answer with fewer bytes counts as a failure
LONGEST_UNTOLD = 1 << 34  # bytes: most of a file of unknown length; all official files are smaller
REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 10  # for one request
BUSY = (429, 500, 502, 503, 504)  # statuses after which a new try may help
Span = tuple[int, int | None]  # first byte, and the byte after the last, or None if unknown


class DownloadError(DatasetError):
    """A server fails, or sends something else than announced. The message says what to do."""


class ChangedError(DownloadError):
    """A file on a server has changed since its download began."""


@dataclass(frozen=True)
class Patience:
    """Limits for waiting for a server, in seconds, and for the number of tries."""

    tries: int = 5
    connecting: float = 10.0
    reading: float = 30.0  # for the headers, and then for each 32,768 bytes
    first_wait: float = 1.0  # doubles with each failure in a row
    longest_wait: float = 60.0


class Remote:
    """A file on a server.

    Args:
        url: its address.
        patience: how long to wait and how often to ask again.

    Attributes:
        url: the address as messages and notes may show it, without passwords and queries.
    """

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        self.url = show_address(url)
        self.patience = patience or Patience()
        self._address = url
        self._known: Version | None = None
        self._sessions = threading.local()  # a session's open connection belongs to one thread

    def version(self) -> Version:
        """Size and marks of the file. Only the first call asks the server.

        Raises:
            DownloadError: the server fails.
        """
        if self._known is None:
            next(self._read_pieces(0, 1, must_be_part=False), None)
            if self._known.bytes is None:  # some servers give the length only with the whole file
                next(self._read_pieces(0, None, must_be_part=False), None)
        return self._known

    def expect(self, version: Version) -> None:
        """Refuse any other version than this one from now on.

        Raises:
            ChangedError: the server has already reported another version.
        """
        known = self._known or version
        if difference := find_difference(known, version):
            raise ChangedError(
                f"{self.url} has changed on the server ({difference}): what was "
                "fetched before belongs to the old version; start the download afresh"
            )
        both = zip(known, version, strict=True)
        self._known = Version(*(now if was is None else was for was, now in both))

    def read(self, start: int, stop: int, stopped: threading.Event | None = None) -> bytes:
        """All bytes from `start` to below `stop`.

        Args:
            start, stop: the first byte, and the byte after the last.
            stopped: another thread sets it to end the reading soon.

        Raises:
            DownloadError: the server fails, cannot send parts of files, or the file has changed.
            StoppedError: `stopped` was set.
        """
        if start >= stop:
            return b""
        return b"".join(self._read_pieces(start, stop, must_be_part=True, stopped=stopped))

    def stream(self, start: int = 0) -> Iterator[bytes]:
        """The bytes from `start` to the end, in pieces.

        A server that cannot send parts of files sends the file again from its beginning.

        Raises:
            DownloadError: the server fails, or the file has changed or ends too early.
        """
        return self._read_pieces(start, None, must_be_part=False)

    def _read_pieces(
        self,
        start: int,
        stop: int | None,
        must_be_part: bool,
        stopped: threading.Event | None = None,
    ) -> Iterator[bytes]:
        position, failures = start, 0
        stopped = stopped or threading.Event()
        while True:
            asked = position
            try:
                with self._ask(position, stop) as response:
                    part = self._find_part(response, position, stop, must_be_part)
                    for piece in self._receive(response, part, position):
                        if stopped.is_set():
                            raise StoppedError
                        position += len(piece)
                        yield piece
                end = self._known.bytes if stop is None else stop
                if end is None or position == end:
                    return
                raise requests.ConnectionError(f"it ended after {position:,} of {end:,} bytes")
            except CUT as error:
                failures = 1 if position - asked >= PROGRESS else failures + 1
                self._wait_or_give_up(failures, error, stopped)
            except (requests.RequestException, ValueError) as error:
                kind = type(error).__name__  # the error's message may hold a password
                raise DownloadError(
                    f"cannot ask for {self.url} ({kind}): check the address, and the proxy where "
                    "one is set"
                ) from None

    def _ask(self, start: int, stop: int | None) -> requests.Response:
        """A response whose body is the file from `start` (status 206) or all of it (200)."""
        if not hasattr(self._sessions, "session"):
            self._sessions.session = BoundedSession()
            self._sessions.session.headers["User-Agent"] = f"smm-tutorial/{__version__}"
        headers = {"Accept-Encoding": "identity"}
        if start or stop is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        timeout = (self.patience.connecting, self.patience.reading)
        address = self._address
        for _ in range(MOST_REDIRECTS + 1):
            if not is_on_the_web(address):
                leads = "" if address == self._address else f", to which {self.url} leads"
                raise DownloadError(
                    f"cannot ask for {show_address(address)}{leads}: "
                    "check the address, which has to begin with https:// or http://"
                )
            response = self._sessions.session.get(
                address, headers=headers, timeout=timeout, stream=True
            )
            if response.status_code not in REDIRECTS or "Location" not in response.headers:
                return response
            response.close()
            address = follow_redirect(address, response.headers["Location"])
        raise DownloadError(
            f"{self.url} redirects more than {MOST_REDIRECTS} times: "
            "check the address on the data set's page, and pass the one you find there"
        )

    def _find_part(
        self, response: requests.Response, start: int, stop: int | None, must_be_part: bool
    ) -> Span:
        """The part of the file in the answer's body. Raises if it is not the requested part."""
        status, headers = response.status_code, response.headers
        marks = headers.get("ETag") or None, headers.get("Last-Modified") or None
        if status in BUSY:
            raise requests.ConnectionError(
                f"it answers {status} {show_text(response.reason)}", response=response
            )
        if status == 416:
            self._check_end(headers.get("Content-Range", ""), start, stop)
            return start, start
        if status not in (200, 206):
            raise DownloadError(
                f"{self.url} answers {status} {show_text(response.reason)}: check the address on "
                "the data set's page, and pass the one you find there"
            )
        coding = (headers.get("Transfer-Encoding") or "identity").lower()
        if coding not in ("identity", "chunked"):
            raise DownloadError(
                f"{self.url} is sent in an unusual way (Transfer-Encoding: {show_text(coding)}): "
                "fetch it whole with a browser or curl"
            )
        if status == 200:
            self.expect(Version(self._find_length(headers, coding), *marks))
            if must_be_part:
                raise DownloadError(
                    f"{self.url} does not give parts of files: "
                    "fetch it whole with a browser or curl and unpack it"
                )
            return 0, self._known.bytes if stop is None else stop
        told = headers.get("Content-Range", "")
        part = parse_part(told)
        if part is None or not part.start == start < part.stop:
            raise DownloadError(
                f"{self.url} sent another part than asked for (Content-Range: {show_text(told)}; "
                f"asked from byte {start:,}): try again later, or fetch it whole"
            )
        self.expect(Version(part.length, *marks))
        ends = part.stop, stop, self._known.bytes
        return start, min(end for end in ends if end is not None)

    def _check_end(self, told: str, start: int, stop: int | None) -> None:
        """Raises if the server has no bytes from `start` on, unless the file ends there."""
        if (length := parse_length_without_part(told)) is not None:
            self.expect(Version(length, None, None))
        known = self._known.bytes if self._known else None
        # a file of unknown length ends at the first byte that the server does not have
        untold = self._known is not None and known is None and start > 0
        if stop is not None or not (untold or known == start):
            raise DownloadError(
                f"{self.url} ends before byte {start:,}: it changed or was cut short on the server"
            )

    def _find_length(self, headers: Mapping[str, str], coding: str) -> int | None:
        """The length of the whole file, if the answer contains it."""
        told = headers.get("Content-Length")
        if told is None or coding == "chunked":
            return None
        if (length := parse_length(told)) is None:
            raise DownloadError(
                f"{self.url} gives an impossible length (Content-Length: {show_text(told)}): "
                "try again later, or fetch it whole with a browser or curl"
            )
        return length

    def _receive(self, response: requests.Response, part: Span, position: int) -> Iterator[bytes]:
        """The part's bytes from `position` on, as they are sent. Bytes after the part are not read.

        The header Content-Encoding describes the file's own compression (.tar.gz), so nothing is
        unpacked.
        """
        coding = response.raw.headers.pop("Content-Encoding", None)  # urllib3 looks for it there
        at, stop = part
        while stop is None or at < stop:
            count = PIECE if stop is None else min(PIECE, stop - at)
            piece = response.raw.read(count)
            if not piece:
                return
            if at == 0 and coding and is_packed_twice(piece):
                raise DownloadError(
                    f"{self.url} is packed once more by the server on its way "
                    f"(Content-Encoding: {show_text(coding)}), although it was asked not to: fetch "
                    "it whole with a browser, or with curl --compressed"
                )
            fresh = piece[max(0, position - at) :]
            at += len(piece)
            if fresh:
                yield fresh
            if stop is None and at > LONGEST_UNTOLD:
                raise DownloadError(
                    f"{self.url} does not tell its length and goes on after {at:,} bytes: "
                    "check the address, or fetch it whole with a browser or curl"
                )

    def _wait_or_give_up(self, failures: int, error: Exception, stopped: threading.Event) -> None:
        if failures >= self.patience.tries:
            raise DownloadError(
                f"gave up on {self.url} after {failures} tries ({find_cause(error)}): "
                "check the connection, or try again later; what has been fetched is kept"
            ) from None
        wait = self.patience.first_wait * 2 ** (failures - 1)
        if (response := getattr(error, "response", None)) is not None:
            wait = max(wait, parse_retry_after(response.headers.get("Retry-After")))
        pause(min(wait, self.patience.longest_wait), stopped)
