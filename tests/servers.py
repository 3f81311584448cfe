"""Web servers on this machine: one of files, which misbehaves on request, and one of raw bytes."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import socketserver
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import numpy as np

from smm_tutorial.datasets.transfer.remote_file import Patience

IMPATIENT = Patience(tries=3, connecting=2.0, reading=0.4, first_wait=0.01, longest_wait=0.02)


@dataclass
class Fault:
    """What goes wrong with one request.

    Args:
        status: answered instead of the file, with `headers`.
        cut_after: the connection breaks after so many bytes of the answer's body.
        stall: seconds of silence before the answer.
        extra_length: bytes that the answer promises and does not send.
        shift: sends a part that begins so many bytes later than the one asked for.
        too_much: sends a part that ends so many bytes later than the one asked for, or earlier
            where it is below zero.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    stall: float = 0.0
    extra_length: int = 0
    shift: int = 0
    too_much: int = 0


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """Clients that hang up are what these tests are about."""


class FileServer:
    """Serves `files` (address path to bytes) on a port of its own while it is entered.

    `faults` lists, by path, what goes wrong with the next requests, one after the other; `always`
    tells what goes wrong with each. `asked` records (path, first byte, byte after the last) of
    every request.
    """

    def __init__(self, files: dict[str, bytes] | None = None, gives_parts: bool = True) -> None:
        self.files = dict(files or {})
        self.gives_parts = gives_parts
        self.faults: dict[str, list[Fault]] = {}
        self.always: dict[str, Fault] = {}
        self.asked: list[tuple[str, int, int | None]] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())

    def __enter__(self) -> FileServer:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(self, *exception) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{path}"

    def bytes_sent_for(self, path: str) -> int:
        """How much of a file was asked for, all requests together."""
        length = len(self.files[path])
        return sum(
            (length if stop is None else min(stop, length)) - start
            for p, start, stop in self.asked
            if p == path
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments) -> None:
                pass

            def do_GET(self) -> None:
                with server.lock:
                    server.at_once += 1
                    server.most_at_once = max(server.most_at_once, server.at_once)
                try:
                    server.answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the client had enough
                finally:
                    with server.lock:
                        server.at_once -= 1

        return Handler

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.lstrip("/")
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        stop = int(asked[2]) + 1 if asked and asked[2] else None
        with self.lock:
            self.asked.append((path, start, stop))
            fault = (
                self.faults[path].pop(0)
                if self.faults.get(path)
                else self.always.get(path, Fault())
            )
        if fault.stall:
            time.sleep(fault.stall)
        if fault.status is not None or path not in self.files:
            request.send_response(fault.status or 404)
            for name, value in {"Content-Length": "0", **fault.headers}.items():
                request.send_header(name, value)
            request.end_headers()
            return

        content = self.files[path]
        if asked and self.gives_parts:
            if start >= len(content):
                request.send_response(416)
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
            start += fault.shift
            end = len(content) + min(0, fault.too_much) if stop is None else stop + fault.too_much
            body = content[start:end]
            request.send_response(206)
            total = len(content) + fault.extra_length
            request.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{total}")
        else:
            body = content
            request.send_response(200)
        request.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
        request.send_header("Content-Length", str(len(body) + fault.extra_length))
        request.end_headers()
        if fault.cut_after is not None and fault.cut_after < len(body):
            body = body[: fault.cut_after]
            request.close_connection = True
        if fault.extra_length:
            request.close_connection = True
        request.wfile.write(body)


class Asked(NamedTuple):
    """A request to a `RawServer`."""

    number: int  # of the requests before it
    path: str
    start: int
    stop: int | None
    user: str | None  # with the password
    over: threading.Event  # set when the test is over: an answer that waits should wait for it


class RawServer:
    """Answers each request with the bytes that `answer` gives, whatever they are, and hangs up.

    `asked` records the requests. An answer may go on for ever: it ends when the client hangs up.
    """

    def __init__(self, answer: Callable[[Asked], Iterable[bytes]]) -> None:
        self.asked: list[Asked] = []
        self.over = threading.Event()
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                head = b""
                while line := self.rfile.readline().strip():
                    head += line + b"\n"
                if not head:
                    return
                part = re.search(rb"Range: bytes=(\d+)-(\d*)", head)
                user = re.search(rb"Authorization: Basic (\S+)", head)
                asked = Asked(
                    len(server.asked),
                    head.split()[1].decode(),
                    int(part[1]) if part else 0,
                    int(part[2]) + 1 if part and part[2] else None,
                    base64.b64decode(user[1]).decode() if user else None,
                    server.over,
                )
                server.asked.append(asked)
                for piece in answer(asked):
                    self.wfile.write(piece)

        self._server = _QuietTCPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> RawServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str = "file", user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self._server.server_address[1]}/{path}"


class _QuietTCPServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address) -> None:
        """Clients that hang up are what these tests are about."""


def head(status: str, **headers: str | int) -> bytes:
    """The beginning of an answer; `Content_Range` stands for Content-Range."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def give_part(content: bytes, asked: Asked, **headers: str | int) -> Iterable[bytes]:
    """A well-behaved answer with the part that was asked for; `headers` add to it."""
    body = content[asked.start : asked.stop]
    last = asked.start + len(body) - 1
    told = {
        "Content_Range": f"bytes {asked.start}-{last}/{len(content)}",
        "Content_Length": len(body),
    }
    yield head("206 Partial Content", **{**told, **headers})
    yield body


def noise(length: int, seed: int = 0) -> bytes:
    """Bytes that cannot be packed."""
    return np.random.default_rng(seed).integers(0, 256, length, dtype=np.uint8).tobytes()


def zipped(members: dict[str, bytes], packed: bool = False) -> bytes:
    """A zip file of these members, in this order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(
        buffer, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    ) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    """A .tar.gz of these members, in this order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
