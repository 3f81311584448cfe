"""Disks that fill up: in the middle of a file, or once some files are written."""

import errno
import io
import os


class FullDisk(io.FileIO):
    """A file on a disk with room for `room` more bytes; what fits is written, as on a real one."""

    room = 0

    def write(self, content) -> int:
        fits = bytes(content)[: type(self).room]
        if not fits and len(content):
            raise OSError(errno.ENOSPC, "No space left on device")
        type(self).room -= len(fits)
        return super().write(fits)


def fill_disk_after(files: int, monkeypatch) -> None:
    """Let `files` more files reach the disk, none after them: it is full."""
    real, written = os.fsync, []

    def nearly_full(descriptor):
        written.append(descriptor)
        if len(written) > files:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", nearly_full)
