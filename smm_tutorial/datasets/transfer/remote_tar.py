"""Reads files of a .tar.gz on a server, from its beginning and only as far as needed.

A .tar.gz has no table of contents, so files are found by reading from the start. The archive's
beginning stays on disk (see `ResumableFile`). A later request for more files continues there. An
archive that was unpacked to its end is deleted.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from PIL import Image
from tqdm import tqdm

from smm_tutorial.datasets.image_files import PROGRESS_AFTER
from smm_tutorial.datasets.transfer.addresses import show_address
from smm_tutorial.datasets.transfer.disk import join_name, write_file
from smm_tutorial.datasets.transfer.manifests import (
    UNPACKED_SUFFIX,
    Entry,
    entry_of,
    extend_manifest,
    is_whole,
    read_manifest,
)
from smm_tutorial.datasets.transfer.names import (
    ARCHIVES,
    FileNames,
    UntrustedError,
    check_file_name,
)
from smm_tutorial.datasets.transfer.remote_file import DownloadError, Patience, Remote
from smm_tutorial.datasets.transfer.resumable_file import (
    ResumableFile,
    delete_download,
    is_beginning,
)
from smm_tutorial.files import parse_json

PIXELS = (".png", ".map")
LARGEST_FILE = 1 << 24  # bytes; the largest files of the data sets, lists of a split, have 1 MB
LONGEST_HEADER = 1 << 15  # bytes of a file's name and attributes; 512 to 2,048 are usual


class _DamagedError(Exception):
    """A member with damaged content. The tar format has no checksum of the content."""


DAMAGE = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, _DamagedError)


class _Member(NamedTuple):
    """A file in an archive, with a function that reads it before the next member is requested."""

    name: str
    read: Callable[[], bytes]


def unpack_tar(
    url: str,
    target: Path,
    place: Callable[[str], str | None],
    arrived: Callable[[str], bool],
    patience: Patience | None = None,
) -> bool:
    """Unpacks wanted files of a .tar.gz into a folder until there are enough.

    Args:
        url: of the archive.
        target: the folder. Its manifest lists the files that are there, and is updated.
        place: a function from a member's name to its path in the folder; None for members that are
            never wanted. All other members are kept, even if they are not needed yet, so that the
            archive is downloaded only once.
        arrived: a function that gets the path of each file and returns whether there are enough
            files.
        patience: with the server.

    Returns:
        Whether there were enough files; False if the archive ended before.

    Raises:
        DatasetError: the server fails; the disk is full; or the archive is damaged or gives a
            wanted member a name that leaves the folder (its beginning is deleted). Complete files
            always stay.
    """
    path = _archive_path(url, target)
    done = path.name + UNPACKED_SUFFIX
    if (path.parent / done).is_file():
        delete_download(path)  # if an earlier deletion was interrupted
        return False
    remote = Remote(url, patience)
    known = read_manifest(target)
    names = FileNames(remote.url, known)
    added: dict[str, Entry] = {}
    with (
        ResumableFile(remote, path) as packed,
        closing(_read_members(packed)) as members,
        tqdm(desc=path.name, delay=PROGRESS_AFTER, unit="file") as bar,
    ):
        try:
            for member in members:
                name = place(member.name.removeprefix("./"))
                if name is None:
                    continue
                names.check(name)
                if name not in known or not is_whole(target / name, known[name]):
                    content = member.read()
                    _check_content(name, content)
                    write_file(target, name, content)
                    known[name] = added[name] = entry_of(content)
                bar.update()
                if arrived(name):
                    return True
        except DAMAGE as error:
            packed.discard()
            raise DownloadError(
                f"{remote.url} arrived damaged ({error}): its beginning was deleted; fetch it again"
            ) from error
        except UntrustedError:
            packed.discard()
            raise
        finally:
            extend_manifest(target, added)
    write_file(path.parent, done, b"all of it\n")
    delete_download(path)
    return False


def was_interrupted(url: str, target: Path) -> bool:
    """Whether the download of an archive was begun and the archive was not unpacked to its end."""
    return is_beginning(_archive_path(url, target))


def _archive_path(url: str, target: Path) -> Path:
    """The path at which the beginning of an archive is kept."""
    name = urlsplit(url).path.rsplit("/", 1)[-1]
    return join_name(target, f"{ARCHIVES}/{check_file_name(name, show_address(url))}")


def _read_members(packed: ResumableFile) -> Iterator[_Member]:
    """The plain files in a .tar.gz, in the archive's order."""
    with gzip.GzipFile(fileobj=io.BufferedReader(packed, 1 << 20)) as unpacked:
        metered = _MeteredFile(unpacked, LONGEST_HEADER)
        with tarfile.open(fileobj=metered, mode="r:") as archive:
            while (info := archive.next()) is not None:
                if info.isreg():
                    yield _Member(info.name, partial(_read_content, archive, metered, info))
                archive.members.clear()  # a small archive can hold millions of members
                archive.pax_headers.clear()
                metered.granted = LONGEST_HEADER
        while unpacked.read(1 << 20):
            pass  # read to the end, where the checksum of the whole archive is


def _read_content(archive: tarfile.TarFile, metered: _MeteredFile, info: tarfile.TarInfo) -> bytes:
    if not 0 <= info.size <= LARGEST_FILE:
        raise _DamagedError(f"{info.name[:200]} claims {info.size:,} bytes")
    metered.granted = LARGEST_FILE
    return archive.extractfile(info).read()


class _MeteredFile:
    """An unpacked archive that is read forward. Each read needs a grant of bytes.

    The reason: `tarfile` reads names and attributes into memory, and the archive may claim any
    length.
    """

    def __init__(self, file: gzip.GzipFile, granted: int) -> None:
        self._file = file
        self.granted = granted  # bytes

    def read(self, count: int) -> bytes:
        if not 0 <= count <= self.granted:
            raise _DamagedError(f"it claims {count:,} bytes where a name or an attribute stands")
        self.granted -= count
        return self._file.read(count)

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, position: int) -> int:
        if position < self.tell():
            raise _DamagedError("it claims a size below zero")
        return self._file.seek(position)


def _check_content(name: str, content: bytes) -> None:
    """Raises for a broken PNG (by its checksums) and for broken JSON (by parsing it)."""
    try:
        if name.endswith(PIXELS):
            with Image.open(io.BytesIO(content)) as image:
                image.verify()
        elif name.endswith(".json"):
            parse_json(content, name)
    except Exception as error:  # Pillow raises errors of many kinds for broken files
        raise _DamagedError(f"{name}: {error}") from error
