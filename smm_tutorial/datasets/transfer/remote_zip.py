"""Single members of a zip file on a server: its table of contents, then just the bytes that are
wanted.

A zip file ends with a directory that tells where each member lies, how long it is and its checksum
(CRC-32). Python's `zipfile` reads that directory through a file object whose reads become range
requests; the members then come in requests of their own, neighbours together, a few at a time. Each
one is checked before it is handed on.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import NamedTuple

from tqdm import tqdm

from smm_tutorial.datasets.image_files import PROGRESS_AFTER
from smm_tutorial.datasets.transfer.remote_file import DownloadError, Remote

CONNECTIONS = 4  # at once: few enough to be no burden
TOGETHER = 8_000_000  # bytes that one request fetches at most, unless a single member is larger
TAIL = (
    1 << 18
)  # bytes at the end that are fetched first: they hold the directory of a small zip file
LOCAL_HEADER = struct.Struct("<4s5H3L2H")  # what stands before a member's bytes
MEMBER_BEGINS = b"PK\x03\x04"
ENCRYPTED = 1  # a bit of a member's flags
REMEDY = "fetch it again; if it stays so, the archive on the server is damaged"


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
        try:
            with zipfile.ZipFile(_Window(remote)) as archive:
                self.members = {info.filename: info for info in archive.infolist()}
                directory_start = archive.start_dir
        except (zipfile.BadZipFile, struct.error, NotImplementedError) as error:
            raise DownloadError(
                f"{remote.url} is no whole zip file ({error}): check the address"
            ) from error
        self._starts = sorted(info.header_offset for info in self.members.values()) + [
            directory_start
        ]

    def fetch(
        self, members: Iterable[zipfile.ZipInfo], keep: Callable[[zipfile.ZipInfo, bytes], None]
    ) -> None:
        """Fetches members and hands each, checked, to `keep`, from several threads and in any
        order.

        Raises:
            DownloadError: as `Remote.read`, or a member is damaged. What `keep` had received by
            then stays with it.
        """
        spans = self._spans(members)
        total = sum(span.stop - span.start for span in spans)
        with tqdm(
            total=total, unit="B", unit_scale=True, desc="fetching", delay=PROGRESS_AFTER
        ) as bar:

            def fetch_span(span: Span) -> None:
                content = memoryview(self.remote.read(span.start, span.stop))
                for info in span.members:
                    keep(info, self._unpacked(info, content[info.header_offset - span.start :]))
                bar.update(span.stop - span.start)

            with ThreadPoolExecutor(CONNECTIONS) as pool:
                try:
                    tasks = [pool.submit(fetch_span, span) for span in spans]
                    done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
                    for task in done:
                        task.result()
                finally:
                    pool.shutdown(cancel_futures=True)

    def stream(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """One member's content, unpacked piece by piece; its checksum is checked at its end, if you
        go that far.

        Raises:
            DownloadError: as `Remote.read`, or the member is damaged.
        """
        stop = self._stop(info)
        start = info.header_offset + self._header_length(info, self._first_bytes(info, stop))
        unpack, checksum, length = _unpacker(info, self.remote.url), 0, 0
        for begin in range(start, start + info.compress_size, TOGETHER // 4):
            piece = self.remote.read(begin, min(begin + TOGETHER // 4, start + info.compress_size))
            try:
                content = unpack(piece)
            except zlib.error as error:
                raise self._damaged(info, str(error)) from error
            checksum, length = zlib.crc32(content, checksum), length + len(content)
            yield content
        if (length, checksum) != (info.file_size, info.CRC):
            raise self._damaged(info, "length or checksum differ")

    def _spans(self, members: Iterable[zipfile.ZipInfo]) -> list[Span]:
        """The members in the order in which they lie, neighbours together."""
        spans: list[Span] = []
        for info in sorted(members, key=lambda info: info.header_offset):
            start, stop = info.header_offset, self._stop(info)
            if spans and spans[-1].stop == start and stop - spans[-1].start <= TOGETHER:
                spans[-1] = Span(spans[-1].start, stop, [*spans[-1].members, info])
            else:
                spans.append(Span(start, stop, [info]))
        return spans

    def _stop(self, info: zipfile.ZipInfo) -> int:
        """Where the next member, or the directory, begins."""
        return self._starts[bisect_right(self._starts, info.header_offset)]

    def _first_bytes(self, info: zipfile.ZipInfo, stop: int) -> memoryview:
        return memoryview(
            self.remote.read(info.header_offset, min(stop, info.header_offset + 1024))
        )

    def _header_length(self, info: zipfile.ZipInfo, content: memoryview) -> int:
        """How many bytes stand before the member's own, which begin with `content`."""
        if len(content) < LOCAL_HEADER.size or bytes(content[:4]) != MEMBER_BEGINS:
            raise self._damaged(info, "its header is not where the directory says")
        *_, name_length, extra_length = LOCAL_HEADER.unpack_from(content)
        return LOCAL_HEADER.size + name_length + extra_length

    def _unpacked(self, info: zipfile.ZipInfo, content: memoryview) -> bytes:
        """The member whose header `content` begins with, checked."""
        start = self._header_length(info, content)
        try:
            unpacked = _unpacker(info, self.remote.url)(content[start : start + info.compress_size])
        except zlib.error as error:
            raise self._damaged(info, str(error)) from error
        if len(unpacked) != info.file_size or zlib.crc32(unpacked) != info.CRC:
            raise self._damaged(info, "length or checksum differ")
        return unpacked

    def _damaged(self, info: zipfile.ZipInfo, fault: str) -> DownloadError:
        return DownloadError(f"{info.filename} in {self.remote.url} is damaged ({fault}): {REMEDY}")


def _unpacker(info: zipfile.ZipInfo, url: str) -> Callable[[bytes], bytes]:
    """What turns a member's packed bytes, piece after piece, into its content, never more than the
    directory says.
    """
    if info.flag_bits & ENCRYPTED or info.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):
        raise DownloadError(
            f"{info.filename} in {url} is encrypted or packed in an unusual way: unpack it by hand"
        )
    if info.compress_type == zipfile.ZIP_STORED:
        return bytes
    inflater, left = zlib.decompressobj(-zlib.MAX_WBITS), info.file_size

    def unpack(packed: bytes) -> bytes:
        nonlocal left
        content = inflater.decompress(packed, left + 1)  # a zero would mean no bound
        left = max(0, left - len(content))
        return content

    return unpack


class _Window(io.RawIOBase):
    """A remote file as `zipfile` wants one: it can be read anywhere. Its end comes at once, for the
    directory.
    """

    def __init__(self, remote: Remote) -> None:
        super().__init__()
        self._remote = remote
        size = remote.version().bytes
        if size is None:
            raise DownloadError(
                f"{remote.url} does not tell its size: fetch it whole with a browser or curl"
            )
        self._size, self._position = size, 0
        self._tail_start = max(0, size - TAIL)
        self._tail = remote.read(self._tail_start, size)

    def readable(self) -> bool:
        return True

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

    def readinto(self, buffer) -> int:
        start, stop = self._position, min(self._position + len(buffer), self._size)
        if start >= stop:
            return 0
        if start >= self._tail_start:
            content = self._tail[start - self._tail_start : stop - self._tail_start]
        else:
            content = self._remote.read(start, stop)
        buffer[: len(content)] = content
        self._position = stop
        return len(content)
