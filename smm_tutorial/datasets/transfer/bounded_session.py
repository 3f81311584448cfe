"""Requests that end even if a server answers very slowly or without end.

The timeout of `requests` bounds one read from the socket. A server that sends a byte now and then,
or endless headers, never exceeds it. Here `_Receiver` demands a least speed for all bytes, and
`_BoundedFile` bounds the lines of an answer (status, headers, sizes of chunks).
"""

from __future__ import annotations

import http.client
import io
import socket
import time

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from smm_tutorial.datasets.transfer.answers import show_text

PACE = 1 << 15  # bytes that a server must send per timeout, on average
LONGEST_HEAD = 1 << 20  # most bytes of an answer's lines, in addition to the bytes of its content
CUT = (requests.ConnectionError, requests.Timeout, ChunkedEncodingError, HTTPError)  # try again


class _Receiver(io.RawIOBase):
    """The bytes that a socket receives. A server that is too slow raises an error.

    Waiting uses up the timeout. Received bytes give it back, completely for every `PACE` bytes. The
    client's own time between two reads does not count.
    """

    def __init__(self, connection: socket.socket, file: io.IOBase) -> None:
        super().__init__()
        self.received = 0
        self._connection = connection
        self._file = file  # keeps the connection open
        self._timeout = self._left = connection.gettimeout()

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def readinto(self, buffer) -> int:
        if self._left <= 0:
            raise self._make_error()
        self._connection.settimeout(self._left)
        start = time.monotonic()
        try:
            count = self._connection.recv_into(buffer)
        except TimeoutError as error:
            raise self._make_error() from error
        waited = time.monotonic() - start
        self.received += count
        self._left = min(self._timeout, self._left - waited + self._timeout * count / PACE)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _make_error(self) -> TimeoutError:
        least = PACE / self._timeout
        return TimeoutError(
            f"it was silent, or slower than {least:,.0f} bytes a second, for {self._timeout:g} s"
        )


class _BoundedFile(io.BufferedReader):
    """A connection's bytes, with a bound on lines. Reads of a negative size are refused."""

    def __init__(self, connection: socket.socket, file: io.IOBase) -> None:
        super().__init__(_Receiver(connection, file))
        self._in_lines = 0

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        self._in_lines += len(line)
        content = self.raw.received - self._in_lines
        if self._in_lines > LONGEST_HEAD + content:
            raise http.client.HTTPException(f"its headers go on after {self._in_lines:,} bytes")
        return line

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:  # a chunk of a negative size makes `http.client` ask for this
            raise http.client.HTTPException("it sends a part of a size below zero")
        return super().read(size)


class _BoundedAnswer(http.client.HTTPResponse):
    """An answer that is read by a `_BoundedFile`."""

    def __init__(self, sock: socket.socket, *arguments, **options) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = _BoundedFile(sock, self.fp)

    def begin(self) -> None:
        super().begin()
        # urllib3 would print malformed headers together with the address and its secrets
        self.headers.defects.clear()
        self.headers.set_payload(None)


class _Connection(HTTPConnection):
    response_class = _BoundedAnswer


class _SecureConnection(HTTPSConnection):
    response_class = _BoundedAnswer


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


POOLS = {"http": _Pool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    """Lets `requests` use bounded connections, also through a proxy (except a SOCKS proxy)."""

    def init_poolmanager(self, *arguments, **options) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **options):
        manager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = POOLS
        return manager


class BoundedSession(requests.Session):
    """A session that requires a least speed of its servers. Every request needs a timeout.

    The session returns redirects to its caller instead of following them. `requests` would first
    read their content, however long, and drop parts of the address that it cannot decode.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mount("https://", _Adapter())
        self.mount("http://", _Adapter())

    def get_redirect_target(self, response: requests.Response) -> None:
        return None


def find_cause(error: BaseException) -> str:
    """The cause of an error below `requests` and urllib3, whose messages would show the whole
    address.
    """
    libraries = (requests.RequestException, HTTPError)
    while isinstance(error, libraries) and (inner := error.__cause__ or error.__context__):
        error = inner
    return show_text(getattr(error, "strerror", None) or str(error) or type(error).__name__)
