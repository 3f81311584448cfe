"""Single members of a zip file on a server, without the rest of it.

Python's `zipfile` reads, unpacks and checks; it sees the remote file through a window of bytes held
in memory. Members that lie beside each other come with one request, a few requests at a time.
"""

from __future__ import annotations

import io
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from smm_tutorial.datasets.image_files import PROGRESS_AFTER
from smm_tutorial.datasets.transfer.disk import check_free_space, write_file
from smm_tutorial.datasets.transfer.manifests import is_whole
from smm_tutorial.datasets.transfer.names import FileNames
from smm_tutorial.datasets.transfer.remote_file import DownloadError, Remote

CONNECTIONS = 4  # at once: few enough to be no burden
TOGETHER = 8_000_000  # bytes that one request fetches at most, unless a single member is larger
TAIL = 1 << 18  # bytes at the end, fetched first: they hold the directory of a small zip file
AHEAD = 2_000_000  # bytes that are fetched beyond what is read, for the next reads
SMALL = 1 << 20  # bytes that any member may unpack to
MOST_UNPACKED = 50  # bytes that one packed byte may become: COCO's annotations come from 5 to 1
STREAMED = 1 << 16  # bytes of a piece of unpacked content
ENCRYPTED = 1  # a bit of a member's flags
FAULTS = (  # what `zipfile` raises on damaged content
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    UnicodeDecodeError,
    NotImplementedError,
)


class Span(NamedTuple):
    """Members that lie beside each other, and where."""

    start: int
    stop: int
    members: list[zipfile.ZipInfo]


class RemoteZip:
    """A zip file on a server.

    Args:
        remote: the file.

    Raises:
        DownloadError: it cannot be reached, gives no parts, or is no zip file.
    """

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self._window = _Window(remote)
        try:
            self._archive = zipfile.ZipFile(self._window)
        except FAULTS as error:
            raise DownloadError(
                f"{remote.url} is no whole zip file ({error}): check the address"
            ) from error
        self.members = {info.filename: info for info in self._archive.infolist()}
        starts = sorted(info.header_offset for info in self.members.values())
        self._stops = dict(pairwise([*starts, self._archive.start_dir]))  # of each member's bytes

    def save(self, folder: Path, members: Mapping[str, zipfile.ZipInfo]) -> None:
        """Fetches members into a folder, under the names given; those that are whole there stay.

        Raises:
            DatasetError: as `fetch`, the disk is full, a name leaves the folder, or a member claims
                to unpack to far more than it is packed into.
        """
        names = FileNames(self.remote.url)
        for name, info in members.items():
            names.check(name)
            self._check_size(info)
        missing = {
            info.filename: name
            for name, info in members.items()
            if not is_whole(folder / name, (info.file_size, info.CRC))
        }
        wanted = [self.members[name] for name in missing]
        check_free_space(folder, sum(info.file_size for info in wanted))
        self.fetch(
            wanted, lambda info, content: write_file(folder, missing[info.filename], content)
        )

    def fetch(
        self, members: Iterable[zipfile.ZipInfo], keep: Callable[[zipfile.ZipInfo, bytes], None]
    ) -> None:
        """Fetches members and hands each, checked, to `keep`, from several threads in any order.

        Raises:
            DownloadError: as `Remote.read`, or a member is damaged. What `keep` had received by
                then stays with it.
        """
        spans = self._find_spans(members)
        total = sum(span.stop - span.start for span in spans)
        bar = tqdm(total=total, unit="B", unit_scale=True, desc="fetching", delay=PROGRESS_AFTER)

        def fetch_span(span: Span) -> None:
            self._window.hold(span.start, span.stop)
            for info in span.members:
                keep(info, b"".join(self._unpack(info, info.file_size + 1)))
            bar.update(span.stop - span.start)

        with bar, ThreadPoolExecutor(CONNECTIONS) as pool:
            try:
                tasks = [pool.submit(fetch_span, span) for span in spans]
                done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
                for task in done:
                    task.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def stream(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """One member's content, unpacked piece by piece; its checksum is checked at its end.

        Raises:
            DownloadError: as `Remote.read`, or the member is damaged.
        """
        return self._unpack(info, STREAMED)

    def _check_size(self, info: zipfile.ZipInfo) -> None:
        packed = self._stops[info.header_offset] - info.header_offset
        if info.file_size > SMALL + MOST_UNPACKED * packed:
            raise DownloadError(
                f"{info.filename} in {self.remote.url} claims to unpack from {packed:,} to "
                f"{info.file_size:,} bytes, which no file of a data set does: check the address"
            )

    def _find_spans(self, members: Iterable[zipfile.ZipInfo]) -> list[Span]:
        """The members in the order in which they lie, neighbours together."""
        spans: list[Span] = []
        for info in sorted(members, key=lambda info: info.header_offset):
            start, stop = info.header_offset, self._stops[info.header_offset]
            if spans and spans[-1].stop == start and stop - spans[-1].start <= TOGETHER:
                spans[-1] = Span(spans[-1].start, stop, [*spans[-1].members, info])
            else:
                spans.append(Span(start, stop, [info]))
        return spans

    def _unpack(self, info: zipfile.ZipInfo, piece: int) -> Iterator[bytes]:
        """The member's content in pieces of so many bytes, never more than the directory says."""
        usual = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if not usual or info.flag_bits & ENCRYPTED:
            raise DownloadError(
                f"{info.filename} in {self.remote.url} is encrypted or packed in an unusual way: "
                "unpack it by hand"
            )
        try:
            with self._archive.open(info) as member:
                while content := member.read(piece):
                    yield content
        except FAULTS as error:
            raise DownloadError(
                f"{info.filename} in {self.remote.url} is damaged ({error}): fetch it again; "
                "if it stays so, the archive on the server is damaged"
            ) from error


class _Held(threading.local):
    """The part of a file that this thread has in memory."""

    start = 0
    content = b""


class _Window:
    """A remote file as `zipfile` wants one: it can be read anywhere, by several threads.

    `zipfile` sets the position and reads under a lock of its own, once the directory is read.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        size = remote.version().bytes
        if size is None:
            raise DownloadError(
                f"{remote.url} does not tell its size: fetch it whole with a browser or curl"
            )
        self._size, self._position, self._held = size, 0, _Held()
        self.hold(max(0, size - TAIL), size)

    def hold(self, start: int, stop: int) -> None:
        """Fetches a part of the file, in place of the one that this thread held."""
        self._held.content = self._remote.read(start, stop)
        self._held.start = start

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("sought before the beginning")  # as a file does, and as zipfile expects
        self._position = base + offset
        return self._position

    def read(self, count: int = -1) -> bytes:
        start = self._position
        stop = self._size if count < 0 else min(start + count, self._size)
        if start >= stop:
            return b""
        held = self._held
        if start < held.start or stop > held.start + len(held.content):
            self.hold(start, max(stop, min(start + AHEAD, self._size)))  # reads ahead
        self._position = stop
        return held.content[start - held.start : stop - held.start]
