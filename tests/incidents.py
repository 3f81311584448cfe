"""Incidents at any one file operation: a program is killed, its disk fills up, its folder goes.

`FileOperations` counts what a program does to the files of a folder, and lets something happen at
those operations. A test goes through them all.
"""

import builtins
import errno
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHANGES = ("replace", "unlink", "mkdir")
WRITES = ("open", "write", "fsync", "mkdir")  # what a full disk refuses


class FileOperations:
    """What a program does to the files below a folder; `happen` is called before every operation.

    Opening counts, and every write twice: before it, and in the middle. Programs under test add
    points of their own by `pass_point`. seen: the names of all points so far. refusal: the code of
    the error that writing ends in from now on, such as `errno.ENOSPC`.
    """

    def __init__(self, folder: Path, happen: Callable[["FileOperations"], None]):
        self.folder, self.happen = folder, happen
        self.seen: list[str] = []
        self.refusal: int | None = None

    def pass_point(self, name: str) -> None:
        self.seen.append(name)
        self.happen(self)

    def operate(self, name: str) -> None:
        self.pass_point(name)
        if self.refusal and name in WRITES:
            raise OSError(self.refusal, os.strerror(self.refusal))

    @contextmanager
    def watched(self) -> Iterator["FileOperations"]:
        with pytest.MonkeyPatch.context() as patch:
            for name in CHANGES:
                patch.setattr(os, name, self._watch(name, getattr(os, name)))
            patch.setattr(os, "open", self._watch("open", os.open))
            patch.setattr(os, "fsync", self._watch("fsync", lambda descriptor: None))  # it is slow
            for module in (builtins, io):
                patch.setattr(module, "open", self._open)
            yield self

    def _watch(self, name: str, real: Callable) -> Callable:
        def operate(what, *arguments, **options):
            if isinstance(what, int) or self._is_below(what):
                self.operate(name)
            return real(what, *arguments, **options)

        return operate

    def _is_below(self, path: object) -> bool:
        return str(path).startswith(str(self.folder))

    def _open(self, path, mode="r", *arguments, real=io.open, **options):
        if not self._is_below(path) or mode in ("r", "rb"):
            return real(path, mode, *arguments, **options)
        self.operate("open")
        file = _WatchedFile(path, mode.replace("b", ""))
        file.operations = self
        return io.BufferedRandom(file) if "+" in mode else io.BufferedWriter(file)


class _WatchedFile(io.FileIO):
    """A file whose first write stops in the middle, as a write may."""

    operations: FileOperations
    halved = False

    def write(self, content) -> int:
        self.operations.operate("write")
        size = len(content) if self.halved else len(content) // 2 + 1
        self.halved = True
        return super().write(content[:size])


def at_point(point: int, happen: Callable[[FileOperations], None]) -> Callable:
    """Lets something happen at one point alone."""
    return lambda operations: len(operations.seen) == point + 1 and happen(operations)


def fill_disk(operations: FileOperations) -> None:
    operations.refusal = errno.ENOSPC


def make_read_only(operations: FileOperations) -> None:
    operations.refusal = errno.EROFS


def delete_folder(operations: FileOperations) -> None:
    shutil.rmtree(operations.folder, ignore_errors=True)


def leave_copies(folder: Path) -> Callable[[FileOperations], None]:
    """Leaves in `folder`, by the number of the point, what a kill would leave on the disk there."""

    def leave_copy(operations: FileOperations) -> None:
        copy = folder / str(len(operations.seen) - 1)
        copy.mkdir()
        if operations.folder.exists():
            shutil.copytree(operations.folder, copy, dirs_exist_ok=True)

    return leave_copy
