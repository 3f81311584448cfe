"""A download that goes on where it stopped.

The file on disk is at any time a prefix of the file on the server, so a cut connection, a kill or a
full disk loses nothing. Beside it, `name.source.json` tells of which version it is a prefix. A file
without that note is taken as whole.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer.answers import Version, show_text
from smm_tutorial.datasets.transfer.disk import write_error, write_file
from smm_tutorial.datasets.transfer.remote_file import PIECE, ChangedError, Remote

LONGEST_NOTE = 1 << 20  # bytes: a note has some hundreds


def note_path(path: Path) -> Path:
    """Where it is noted which version of a remote file `path` is the beginning of."""
    return path.with_name(path.name + ".source.json")


def is_beginning(path: Path) -> bool:
    """Whether the file was fetched here, perhaps not to its end; False for one taken as whole."""
    return note_path(path).is_file()


def delete_download(path: Path) -> None:
    """Deletes a file and the note beside it."""
    path.unlink(missing_ok=True)
    note_path(path).unlink(missing_ok=True)


def read_note(path: Path) -> Version | None:
    """Which version of a remote file `path` is the beginning of; None where nothing was begun.

    Raises:
        DatasetError: the note is damaged.
    """
    if not is_beginning(path):
        return None
    note = note_path(path)
    try:
        with note.open(encoding="utf-8-sig") as file:
            content = json.loads(file.read(LONGEST_NOTE))
        version = Version(*(content[field] for field in Version._fields))
        if not (version.bytes is None or type(version.bytes) is int and version.bytes >= 0):
            raise ValueError(f"bytes is {version.bytes!r:.40}")
        for mark in version[1:]:
            if not (mark is None or isinstance(mark, str)):
                raise ValueError(f"{mark!r:.40} is no text")
        return version
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DatasetError(
            f"{note} is damaged ({type(error).__name__}: {show_text(str(error))}): delete it and "
            f"{path} and fetch again"
        ) from error


class ResumableFile(io.RawIOBase):
    """A remote file to read from its beginning; what is read is kept, and read from disk next time.

    Args:
        remote: where it comes from.
        path: where it is kept.

    Raises (while reading):
        DownloadError: as `Remote.stream`; also when the remote file is not the one that was begun.
        DatasetError: the disk is full, or what lies there is damaged or changes meanwhile.
    """

    def __init__(self, remote: Remote, path: Path) -> None:
        super().__init__()
        self.remote, self.path = remote, path
        self._pieces = self._read_pieces()
        self._pending = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if not self._pending:
            self._pending = memoryview(next(self._pieces, b""))
        count = min(len(buffer), len(self._pending))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count

    def close(self) -> None:
        self._pieces.close()
        super().close()

    def discard(self) -> None:
        """Deletes what was kept, for its content is damaged; a file not begun here stays."""
        self.close()
        if is_beginning(self.path):
            delete_download(self.path)

    def _read_pieces(self) -> Iterator[bytes]:
        """First what lies on disk, then the rest from the server."""
        begun = read_note(self.path)
        position = self._find_size()
        if begun is not None and begun.bytes is not None and position > begun.bytes:
            raise DatasetError(
                f"{self.path} has {position:,} bytes, more than the {begun.bytes:,} of the file "
                f"that {note_path(self.path).name} tells of: delete both and fetch again"
            )
        if position:
            yield from self._read_kept()
        if position and (begun is None or begun.bytes == position):
            return
        try:
            if position:
                self.remote.expect(begun)
            else:
                self._write_note(self.remote.version())
            yield from self._fetch_rest(position)
        except ChangedError as error:
            both = f"{self.path} and {note_path(self.path).name}"
            raise ChangedError(f"{error}: delete {both} first") from error

    def _find_size(self) -> int:
        """How many bytes lie on disk."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def _read_kept(self) -> Iterator[bytes]:
        """What lies on disk."""
        try:
            with self.path.open("rb") as kept:
                while piece := kept.read(PIECE):
                    yield piece
        except OSError as error:
            raise DatasetError(f"cannot read {self.path} ({error.strerror}): check it") from error

    def _fetch_rest(self, position: int) -> Iterator[bytes]:
        """What comes after `position`, and is on disk before it is handed on."""
        try:
            growing = self.path.open("ab", buffering=0)
        except OSError as error:
            raise write_error(error, self.path) from error
        with growing:
            for piece in self.remote.stream(position):
                self._append(growing, memoryview(piece), position)
                position += len(piece)
                yield piece
        version = self.remote.version()
        if version.bytes is None:  # at its end the length is known: it is whole from now on
            self._write_note(version._replace(bytes=position))

    def _append(self, growing: io.FileIO, piece: memoryview, position: int) -> None:
        """Writes a piece where `position` bytes were written before.

        Raises:
            DatasetError: the disk is full, or something else deletes or writes the file.
        """
        if self._find_size() != position or not is_beginning(self.path):
            raise DatasetError(
                f"{self.path} or its note was written or deleted by something else meanwhile: "
                f"delete it and {note_path(self.path).name}, and fetch again"
            )
        try:
            while piece:
                piece = piece[growing.write(piece) :]
        except OSError as error:
            raise write_error(error, self.path) from error

    def _write_note(self, version: Version) -> None:
        note = {"url": self.remote.url, **version._asdict()}
        content = (json.dumps(note, indent=2) + "\n").encode()
        write_file(self.path.parent, note_path(self.path).name, content)
