"""Files: written whole or not at all, inside their folder, by one process at a time.

Every name that comes from outside (an archive, a manifest, a record) goes through `join_name`
before anything is written or deleted under it, and through `check_name` before anything is read.
"""

import errno
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOCK_NAME = ".lock"
DRAFT_SUFFIX = ".smm-part"  # of a file that is being written; a killed process leaves it behind
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


class ForeignNameError(ValueError):
    """A name from outside that does not name a file below its folder."""


class FolderBusyError(RuntimeError):
    """A folder in which another process works."""


def check_name(name: str) -> str:
    """The name, if it stays below the folder that it is joined to, on every operating system.

    Parts are parted by "/". The name is only looked at: links that lie in the folder are followed.

    Raises:
        ForeignNameError: the name is no text or empty, absolute, has a drive letter, backslashes or
            control characters, or has a part that is empty, "." or "..".
    """
    if not isinstance(name, str):
        raise ForeignNameError(f"a file's name must be text, got {name!r}")
    parts = name.split("/")
    # Windows ignores dots and blanks at a part's end, so ".. " is ".." there.
    wrong = any(not part.rstrip(" .") for part in parts) or ":" in parts[0]
    if wrong or "\\" in name or CONTROL_CHARACTERS.search(name):
        raise ForeignNameError(
            f"{name[:200]!r} is refused as a file's name: it must stay below its folder, as "
            "'images/1.png' does"
        )
    return name


def join_name(folder: Path, name: str) -> Path:
    """Where a file of this name lies in the folder, to be written or deleted.

    Raises:
        ForeignNameError: as `check_name`, or a link in the folder leads out of it.
    """
    path = Path(folder) / check_name(name)
    if not path.parent.resolve().is_relative_to(Path(folder).resolve()):
        raise ForeignNameError(
            f"{path} is refused: a link in {folder} leads out of it; remove the link"
        )
    return path


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`; after a kill or on a full disk, `path` is as it was before.

    Raises `OSError` (disk full, no permission), after it removed what was written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}{DRAFT_SUFFIX}")
    try:
        with open(draft, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def lock_folder(folder: Path, work: str, patience: float = 0.0) -> Iterator[None]:
    """Lets one process at a time work in `folder`; a killed process lets go of it. Who works there
    may come in once more.

    What killed processes left half written is deleted. A folder that is read-only, or lies where
    locks do not work, is used without a lock. For the latter a warning says so.

    Args:
        folder: made if it is not there.
        work: what is done in it, for messages: "fetching into", "training in".
        patience: how many seconds to wait for another process.

    Raises:
        FolderBusyError: another process works there and goes on for longer than that.
    """
    lock = FileLock(folder / LOCK_NAME, fallback_to_soft=False, is_singleton=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _acquire(lock, folder, work, patience)
    except OSError as error:
        if error.errno not in READ_ONLY + NO_LOCKS:
            raise
        if error.errno in NO_LOCKS:
            warnings.warn(
                f"{folder} lies on a disk without file locks ({error.strerror}): see to it that "
                f"no other process is {work} it, or choose a folder on a local disk",
                stacklevel=4,
            )
        yield
        return
    try:
        for folder_name, _, names in os.walk(folder):
            for name in names:
                if name.endswith(DRAFT_SUFFIX):
                    Path(folder_name, name).unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, folder: Path, work: str, patience: float) -> None:
    try:
        lock.acquire(timeout=0)
        return
    except Timeout:
        if patience:
            print(
                f"another process is {work} {folder}: waiting for it, at most {patience:,.0f} s",
                flush=True,
            )
    try:
        lock.acquire(timeout=patience)
    except Timeout as error:
        raise FolderBusyError(
            f"another process is {work} {folder}: wait for its end, or end it"
        ) from error
