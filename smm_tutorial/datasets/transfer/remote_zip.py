"""Reads single members of a zip file on a server, without the rest of the file.

Python's `zipfile` reads, unpacks and checks. It sees the remote file through a window of bytes in
memory. One request fetches members that lie beside each other, and a few requests run at a time.
Values from the file's directory are checked against bounds before they are used.
"""

from __future__ import annotations

import io
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from smm_tutorial.datasets.image_files import PROGRESS_AFTER
from smm_tutorial.datasets.transfer.answers import show_text
from smm_tutorial.datasets.transfer.disk import check_free_space, write_file
from smm_tutorial.datasets.transfer.manifests import is_whole
from smm_tutorial.datasets.transfer.names import FileNames
from smm_tutorial.datasets.transfer.remote_file import DownloadError, Remote
from smm_tutorial.datasets.transfer.workers import Work

CONNECTIONS = 4  # at once: few enough not to burden the server
TOGETHER = 8_000_000  # most bytes of one request, unless a single member is larger
TAIL = 1 << 18  # bytes at the end that are read first: they hold the directory of a small zip file
AHEAD = 2_000_000  # bytes that are read ahead for the next reads
SMALL = 1 << 20  # bytes that any member may unpack to
MOST_UNPACKED = 50  # most bytes from one packed byte; COCO's annotations have 5
STREAMED = 1 << 16  # bytes per piece of unpacked content
LONGEST_DIRECTORY = 1 << 25  # bytes; CLEVR and COCO, of 100,000 files, have 12 million
LARGEST_MEMBER = 1 << 30  # bytes in memory; COCO's annotations have 450 million
LONGEST_FRAME = 30 + 2 * 65_535 + 24  # bytes around a member's content: header, name, extra, end
ENCRYPTED = 1  # a bit of a member's flags
FAULTS = (  # what `zipfile` raises on damaged content
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    ValueError,
    NotImplementedError,
)


class Span(NamedTuple):
    """Members that lie beside each other, and the bytes that they take."""

    start: int
    stop: int
    members: list[zipfile.ZipInfo]


class RemoteZip:
    """A zip file on a server.

    Args:
        remote: the file.

    Raises:
        DownloadError: the server cannot be reached or cannot send parts of files, the file is not a
            zip file, or its directory is damaged.
    """

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self._window = _Window(remote)
        try:
            self._archive = zipfile.ZipFile(self._window)
            self._stops = _find_stops(self._archive)
            self._window.most = LARGEST_MEMBER
        except FAULTS as error:
            raise DownloadError(
                f"{remote.url} is no whole zip file ({show_text(str(error))}): check the address"
            ) from error
        self.members = {info.filename: info for info in self._archive.infolist()}

    def save(self, folder: Path, members: Mapping[str, zipfile.ZipInfo]) -> None:
        """Downloads members into a folder. members: by their names in the folder. Complete files
        there stay.

        Raises:
            DatasetError: as in `fetch`, the disk is full, or a name leaves the folder.
        """
        names = FileNames(self.remote.url)
        missing = {
            info.filename: name
            for name, info in members.items()
            if not is_whole(folder / names.check(name), (info.file_size, info.CRC))
        }
        wanted = [self.members[name] for name in missing]
        self._check_sizes(wanted)
        check_free_space(folder, sum(info.file_size for info in wanted))
        self.fetch(
            wanted, lambda info, content: write_file(folder, missing[info.filename], content)
        )

    def fetch(
        self, members: Iterable[zipfile.ZipInfo], keep: Callable[[zipfile.ZipInfo, bytes], None]
    ) -> None:
        """Downloads and checks members, and calls `keep` for each.

        `keep` is called from several threads, in any order. The first error, or Ctrl-C, ends
        everything at once, even if the server does not answer.

        Raises:
            DownloadError: as in `Remote.read`, or a member is damaged or too large for memory.
                After the error `keep` is not called again.
        """
        members = list(members)
        self._check_sizes(members)
        spans = self._find_spans(members)
        total = sum(span.stop - span.start for span in spans)
        bar = tqdm(total=total, unit="B", unit_scale=True, desc="fetching", delay=PROGRESS_AFTER)

        def fetch_span(span: Span) -> None:
            self._window.hold(span.start, span.stop, work.stopped)
            for info in span.members:
                content = b"".join(self._unpack(info, info.file_size + 1))
                with work.unless_stopped():
                    keep(info, content)
            with work.unless_stopped():
                bar.update(span.stop - span.start)

        work = Work(spans, fetch_span, CONNECTIONS)
        with bar:
            work.finish()

    def stream(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """The content of one member, unpacked piece by piece. The checksum is checked at the end.

        Raises:
            DownloadError: as in `Remote.read`, or the member is damaged.
        """
        return self._unpack(info, STREAMED)

    def _name(self, info: zipfile.ZipInfo) -> str:
        """The name of a member and of its archive, for messages."""
        return f"{show_text(info.filename)} in {self.remote.url}"

    def _check_sizes(self, members: list[zipfile.ZipInfo]) -> None:
        """Raises `DownloadError` for members that would fill the memory, such as zip bombs."""
        for info in members:
            if (size := max(info.file_size, info.compress_size)) > LARGEST_MEMBER:
                raise DownloadError(
                    f"{self._name(info)} claims {size:,} bytes, and {LARGEST_MEMBER:,} are held in "
                    "memory at most: unpack it by hand"
                )
            packed = self._stops[info.header_offset] - info.header_offset
            if info.file_size > SMALL + MOST_UNPACKED * packed:
                raise DownloadError(
                    f"{self._name(info)} claims to unpack from {packed:,} to {info.file_size:,} "
                    "bytes, which no file of a data set does: check the address"
                )

    def _find_spans(self, members: list[zipfile.ZipInfo]) -> list[Span]:
        """The members in their order in the file. Neighbours are put together."""
        spans: list[Span] = []
        for info in sorted(members, key=lambda info: info.header_offset):
            start = info.header_offset
            stop = min(self._stops[start], start + info.compress_size + LONGEST_FRAME)
            if spans and spans[-1].stop == start and stop - spans[-1].start <= TOGETHER:
                spans[-1] = Span(spans[-1].start, stop, [*spans[-1].members, info])
            else:
                spans.append(Span(start, stop, [info]))
        return spans

    def _unpack(self, info: zipfile.ZipInfo, piece: int) -> Iterator[bytes]:
        """The content in pieces of `piece` bytes, never more than the directory says."""
        usual = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if not usual or info.flag_bits & ENCRYPTED:
            raise DownloadError(
                f"{self._name(info)} is encrypted or packed in an unusual way: unpack it by hand"
            )
        unpacked = 0
        try:
            with self._archive.open(info) as member:
                while content := member.read(piece):
                    unpacked += len(content)
                    yield content
            if unpacked != info.file_size:
                raise EOFError(f"{unpacked:,} bytes, {info.file_size:,} expected")
        except FAULTS as error:
            raise DownloadError(
                f"{self._name(info)} is damaged ({show_text(str(error))}): fetch it again; "
                "if it stays so, the archive on the server is damaged"
            ) from error


def _find_stops(archive: zipfile.ZipFile) -> dict[int, int]:
    """The latest possible end of each member's bytes, by their start.

    Raises:
        BadZipFile: a member starts before the file or inside its directory.
    """
    starts = sorted(info.header_offset for info in archive.infolist())
    if starts and not 0 <= starts[0] <= starts[-1] < archive.start_dir:
        raise zipfile.BadZipFile("its directory names places that are not in it")
    return dict(pairwise([*starts, archive.start_dir]))


class _Held(threading.local):
    """The part of a file that the current thread holds in memory."""

    start = 0
    content = b""
    stopped: threading.Event | None = None  # set to end this thread's reading


class _Window:
    """A remote file in the form that `zipfile` needs: several threads can read any part of it.

    Once the directory is read, `zipfile` sets the position and reads under its own lock.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        size = remote.version().bytes
        if size is None:
            raise DownloadError(
                f"{remote.url} does not tell its size: fetch it whole with a browser or curl"
            )
        self.most = LONGEST_DIRECTORY  # bytes to read at once
        self._size, self._position, self._held = size, 0, _Held()
        self.hold(max(0, size - TAIL), size)

    def hold(self, start: int, stop: int, stopped: threading.Event | None = None) -> None:
        """Downloads a part of the file. It replaces the part that the current thread held."""
        self._held.content = self._remote.read(start, stop, stopped)
        self._held.start, self._held.stopped = start, stopped

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("sought before the beginning")  # like a file, as zipfile expects
        self._position = base + offset
        return self._position

    def read(self, count: int = -1) -> bytes:
        start = self._position
        stop = self._size if count < 0 else min(start + count, self._size)
        if start >= stop:
            return b""
        if stop - start > self.most:
            raise zipfile.BadZipFile(f"{stop - start:,} bytes to read, {self.most:,} at most")
        held = self._held
        if start < held.start or stop > held.start + len(held.content):
            self.hold(start, max(stop, min(start + AHEAD, self._size)), held.stopped)
        self._position = stop
        return held.content[start - held.start : stop - held.start]
