"""What a download does to the disk: files written whole or not at all, by one process at a time."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from smm_tutorial import files, paths
from smm_tutorial.datasets.scene_images import DatasetError

PATIENCE = 3600.0  # seconds to wait for another process that fetches into the same folder
SPARE_ROOM = 50_000_000  # bytes that a download leaves free


def folder_or_downloads(folder: str | Path | None, name: str = "") -> Path:
    """`folder`, or where it is None the folder `name` in the course's downloads."""
    return Path(folder) if folder is not None else paths.downloads_dir() / name


def write_file(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; raises `DatasetError` where the disk refuses."""
    try:
        files.write_atomically(path, content)
    except OSError as error:
        raise write_error(error, path) from error


def write_error(error: OSError, path: Path) -> DatasetError:
    """The error, with a way out, for a file that could not be written."""
    remedy = "check it"
    if error.errno == errno.ENOSPC:
        remedy = "free some space, or set SMM_DATA to a folder on another disk"
    return DatasetError(
        f"cannot write {path} ({error.strerror}): {remedy}; what has been written whole is kept"
    )


def check_free_space(folder: Path, needed: int) -> None:
    """Raises `DatasetError` where `folder`'s disk has not `needed` bytes to spare."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_ROOM:
        raise DatasetError(
            f"{folder} has {free / 1e9:.2f} GB free and the download needs {needed / 1e9:.2f} GB: "
            "free some space, ask for fewer images, or set SMM_DATA to a folder on another disk"
        )


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lets one process at a time work in `folder`; the others wait. A killed process lets go.

    Raises `DatasetError` where another one goes on for longer than `PATIENCE`.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(files.lock_folder(folder, "fetching into", PATIENCE))
        except files.FolderBusyError as error:
            raise DatasetError(str(error)) from error
        yield
