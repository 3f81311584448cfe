"""Safe access to files: atomic writes, checked names, and locks between processes.

Names from outside (an archive, a manifest, a record) must be checked. Use `join_name` before you
write or delete a file with such a name, and `check_name` before you read it. Read JSON from outside
with `read_json` or `parse_json`.
"""

import errno
import json
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

LOCK_NAME = ".lock"
DRAFT_SUFFIX = ".smm-part"  # of a file that is not yet complete; a killed process leaves it
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, lone surrogates
LONGEST_PART = 255  # bytes in the name of a file or folder that file systems accept


class ForeignNameError(ValueError):
    """A name from outside does not name a file inside its folder."""


class FolderBusyError(RuntimeError):
    """Another process works in the folder."""


class JsonError(ValueError):
    """Text from outside is not valid JSON, or too deep or too large to be read."""


def check_name(name: str) -> str:
    """Returns the name, after a check that it stays inside its folder on every operating system.

    "/" separates the parts of a name. The function checks only the text. It does not check whether
    a link in the folder leads out of the folder; `join_name` does.

    Raises:
        ForeignNameError: the name is not a text or is empty. Or it is absolute, or has a drive
            letter, backslashes or control characters. Or a part is empty, too long, "." or "..".
    """
    if not isinstance(name, str):
        raise ForeignNameError(f"a file's name must be text, got {name!r}")
    parts = name.split("/")
    # Windows ignores dots and blanks at a part's end, so ".. " is ".." there.
    wrong = any(not part.rstrip(" .") for part in parts) or ":" in parts[0] or "\\" in name
    if wrong or UNPRINTABLE.search(name) or any(len(p.encode()) > LONGEST_PART for p in parts):
        raise ForeignNameError(
            f"{name[:200]!r} is refused as a file's name: it must stay below its folder, as "
            "'images/1.png' does"
        )
    return name


def check_plain_name(name: str) -> str:
    """Returns the name, after a check that it names a visible file directly in a folder.

    Raises:
        ForeignNameError: as `check_name`. Also if the name has a "/" or begins with a dot.
    """
    if "/" in check_name(name) or name.startswith("."):
        raise ForeignNameError(
            f"{name[:200]!r} is refused as a file's name: it must have no '/' and not begin with "
            "a dot"
        )
    return name


def join_name(folder: Path, name: str) -> Path:
    """Returns the path of a file in a folder, in order to write or delete the file.

    Raises:
        ForeignNameError: as `check_name`. Also if a link in the folder leads out of the folder.
    """
    path = Path(folder) / check_name(name)
    if not path.parent.resolve().is_relative_to(Path(folder).resolve()):
        raise ForeignNameError(
            f"{path} is refused: a link in {folder} leads out of it; remove the link"
        )
    return path


def read_json(path: Path) -> Any:
    """Reads a JSON file -> its content. See `parse_json`.

    Raises:
        JsonError: as `parse_json`. The message names the file.
        OSError: the file cannot be read.
    """
    return parse_json(Path(path).read_bytes(), str(path))


def parse_json(content: str | bytes, source: str) -> Any:
    """Parses JSON text -> its content. Accepts a byte order mark and UTF-16; Windows writes both.

    Args:
        content: the text.
        source: the origin of the text, for the message.

    Raises:
        JsonError: the text is not valid JSON, is nested too deeply for Python, or holds an integer
            of thousands of digits. The message names the source.
    """
    try:
        if isinstance(content, bytes):
            content = content.decode(json.detect_encoding(content))
        return json.loads(content.removeprefix("\ufeff"))
    except RecursionError as error:
        raise JsonError(f"{source} is nested too deeply to be read as JSON") from error
    except ValueError as error:
        raise JsonError(f"{source} is not whole JSON ({error})") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Writes `content` to `path`, completely or not at all.

    After a kill or on a full disk, the old file at `path` is unchanged.

    Raises `OSError` (disk full, no permission). The incomplete draft is then deleted.
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
    """Lets one process at a time work in `folder`, inside the `with` block.

    A killed process frees the lock. The process that holds the lock may enter again. The function
    deletes incomplete files of killed processes. It uses no lock if the folder is read-only or its
    disk has no file locks. If the disk has no file locks, the function warns.

    Args:
        folder: the folder; it is created if it does not exist.
        work: the work in the folder, for messages, such as "fetching into" or "training in".
        patience: the longest time to wait for another process, in seconds.

    Raises:
        FolderBusyError: another process still works in the folder after this time.
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
                    with suppress(OSError):  # in a shared folder, another user may own the file
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
