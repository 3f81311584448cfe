"""Files on disk: written completely or not at all, in a folder that one process at a time uses.

Functions that write, move or delete take a folder and the name of a file below it. A name that
leaves the folder is refused.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from smm_tutorial import files, paths
from smm_tutorial.datasets.scene_images import DatasetError

PATIENCE = 3600.0  # seconds to wait for another process that works in the same folder
SPARE_ROOM = 50_000_000  # bytes that stay free after a download


def folder_or_downloads(folder: str | Path | None, name: str = "") -> Path:
    """`folder`, or the folder `name` in the course's downloads if `folder` is None."""
    return Path(folder) if folder is not None else paths.downloads_dir() / name


def write_file(folder: Path, name: str, content: bytes) -> None:
    """Writes a file completely or not at all.

    Raises:
        DatasetError: the file cannot be written, or the name leaves the folder.
    """
    path = join_name(folder, name)
    try:
        files.write_atomically(path, content)
    except OSError as error:
        raise write_error(error, path) from error


def move_file(folder: Path, name: str, target: Path) -> None:
    """Moves a file into the folder `target` and keeps its name. Raises as `write_file` does."""
    path = join_name(target, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        join_name(folder, name).replace(path)
    except OSError as error:
        raise write_error(error, path) from error


def delete_file(folder: Path, name: str) -> None:
    """Deletes a file. A missing file is no error.

    Raises:
        DatasetError: the file cannot be deleted, or the name leaves the folder.
    """
    path = join_name(folder, name)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise DatasetError(
            f"cannot delete {path} ({error.strerror}): delete it by hand, or ask its owner to"
        ) from error


def join_name(folder: Path, name: str) -> Path:
    """The path of a file to be written. Raises `DatasetError` if the path leaves the folder."""
    try:
        return files.join_name(folder, name)
    except files.ForeignNameError as error:
        raise DatasetError(f"{folder} is left as it is: {error}") from error


def write_error(error: OSError, path: Path) -> DatasetError:
    """A `DatasetError` for a file that could not be written; its message says what to do."""
    remedy = "check it"
    if error.errno == errno.ENOSPC:
        remedy = "free some space, or set SMM_DATA to a folder on another disk"
    elif error.errno in files.READ_ONLY:
        remedy = "download into a folder of your own, e.g. with folder= or --folder"
    return DatasetError(
        f"cannot write {path} ({error.strerror}): {remedy}; what has been written whole is kept"
    )


def check_free_space(folder: Path, needed: int) -> None:
    """Raises `DatasetError` if the disk of `folder` has less than `needed` bytes to spare."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, folder) from error
    free = shutil.disk_usage(folder).free
    if os.access(folder, os.W_OK) and free < needed + SPARE_ROOM:  # read-only disks are full
        raise DatasetError(
            f"{folder} has {free / 1e9:.2f} GB free and the download needs {needed / 1e9:.2f} GB: "
            "free some space, ask for fewer images, or set SMM_DATA to a folder on another disk"
        )


@contextmanager
def lock_folder(folder: Path, work: str = "fetching into") -> Iterator[None]:
    """Lets one process at a time work in `folder`. The other processes wait.

    A killed process releases the lock. work: what the process does there, for messages.

    Raises `DatasetError` if another process holds the lock for longer than `PATIENCE`, or if the
    folder cannot be made.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(files.lock_folder(folder, work, PATIENCE))
        except files.FolderBusyError as error:
            raise DatasetError(str(error)) from error
        except OSError as error:
            raise write_error(error, folder) from error
        yield
