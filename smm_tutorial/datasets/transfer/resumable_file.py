"""A download that continues where it stopped.

The file on disk is always a prefix of the file on the server, so an interruption or a full disk
loses nothing. Beside the file, `name.source.json` notes the version on the server. A file without
this note counts as complete.
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

LONGEST_NOTE = 1 << 20  # bytes; a note has some hundreds


def note_path(path: Path) -> Path:
    """The path of the note about `path`: which version of a remote file it is the beginning of."""
    return path.with_name(path.name + ".source.json")


def is_beginning(path: Path) -> bool:
    """Whether the file was downloaded here, completely or not; False for one without a note."""
    return note_path(path).is_file()


def delete_download(path: Path) -> None:
    """Deletes a file and the note beside it."""
    path.unlink(missing_ok=True)
    note_path(path).unlink(missing_ok=True)


def read_note(path: Path) -> Version | None:
    """The version of the remote file that `path` is the beginning of; None if nothing was begun.

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
    """A remote file that is read from its beginning. Bytes are kept on disk and then read from
    there.

    Args:
        remote: the file on the server.
        path: where the bytes are kept.

    Raises (while reading):
        DownloadError: as in `Remote.stream`, or the remote file has changed since the beginning.
        DatasetError: the disk is full, or the file on disk is damaged or changes meanwhile.
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
        """Deletes the kept bytes, because their content is damaged. A file without a note stays."""
        self.close()
        if is_beginning(self.path):
            delete_download(self.path)

    def _read_pieces(self) -> Iterator[bytes]:
        """First the bytes on disk, then the rest from the server."""
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
        """The number of bytes on disk."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def _read_kept(self) -> Iterator[bytes]:
        """The bytes on disk."""
        try:
            with self.path.open("rb") as kept:
                while piece := kept.read(PIECE):
                    yield piece
        except OSError as error:
            raise DatasetError(f"cannot read {self.path} ({error.strerror}): check it") from error

    def _fetch_rest(self, position: int) -> Iterator[bytes]:
        """The bytes after `position`. Each piece is written to disk before it is returned."""
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
        if version.bytes is None:  # the length is known at the end: the file now counts as complete
            self._write_note(version._replace(bytes=position))

    def _append(self, growing: io.FileIO, piece: memoryview, position: int) -> None:
        """Writes a piece after the `position` bytes that were written before.

        Raises:
            DatasetError: the disk is full, or another process deletes or writes the file.
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
