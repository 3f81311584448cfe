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
from smm_tutorial.datasets.transfer.disk import write_error, write_file
from smm_tutorial.datasets.transfer.remote_file import PIECE, ChangedError, Remote, Version


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


class ResumableFile(io.RawIOBase):
    """A remote file to read from its beginning; what is read is kept, and read from disk next time.

    Args:
        remote: where it comes from.
        path: where it is kept.

    Raises (while reading):
        DownloadError: as `Remote.stream`; also when the remote file is not the one that was begun.
        DatasetError: the disk is full.
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
        position = 0
        if self.path.is_file():
            with self.path.open("rb") as kept:
                while piece := kept.read(PIECE):
                    yield piece
                position = kept.tell()
        begun = self._read_note()
        if position and (begun is None or begun.bytes == position):
            return
        try:
            if begun is None:
                note = {"url": self.remote.url, **self.remote.version()._asdict()}
                content = (json.dumps(note, indent=2) + "\n").encode()
                write_file(self.path.parent, note_path(self.path).name, content)
            else:
                self.remote.expect(begun)
            with self.path.open("ab", buffering=0) as growing:
                for piece in self.remote.stream(position):
                    self._append(growing, memoryview(piece))
                    yield piece
        except ChangedError as error:
            both = f"{self.path} and {note_path(self.path).name}"
            raise ChangedError(f"{error}: delete {both} first") from error

    def _read_note(self) -> Version | None:
        """Which version the bytes on disk belong to; None where nothing was begun."""
        if not is_beginning(self.path):
            return None
        note = note_path(self.path)
        try:
            content = json.loads(note.read_text(encoding="utf-8"))
            return Version(*(content[field] for field in Version._fields))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{note} is damaged ({error}): delete it and {self.path} and fetch again"
            ) from error

    def _append(self, growing: io.RawIOBase, piece: memoryview) -> None:
        try:
            while piece:
                piece = piece[growing.write(piece) :]
        except OSError as error:
            raise write_error(error, self.path) from error
