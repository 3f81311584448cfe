"""What a download put on disk, with length and checksum of each file, to be checked offline."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer.disk import write_file

NAME = "manifest.json"
UNPACKED_SUFFIX = ".unpacked"  # of the empty file that says that an archive was unpacked to its end
Entry = tuple[int, int]  # length in bytes, CRC-32


def entry_of(content: bytes) -> Entry:
    """Length and checksum of a file's content."""
    return len(content), zlib.crc32(content)


def is_whole(path: Path, entry: Entry) -> bool:
    """Whether the file is there and has this length and checksum."""
    try:
        return path.stat().st_size == entry[0] and entry_of(path.read_bytes()) == tuple(entry)
    except OSError:
        return False


def read_manifest(folder: Path) -> dict[str, Entry]:
    """The files of a download, by their path in `folder`; empty where there was none.

    Raises:
        DatasetError: the manifest is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return {}
    try:
        return {
            name: (int(size), int(crc))
            for name, (size, crc) in json.loads(path.read_text("utf-8"))["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path} is damaged ({error}): delete it and download again, whole files are kept"
        ) from error


def extend_manifest(folder: Path, files: dict[str, Entry]) -> None:
    """Adds files to the manifest, or replaces what it says of them."""
    _write_manifest(folder, {**read_manifest(folder), **files})


def _write_manifest(folder: Path, files: dict[str, Entry]) -> None:
    content = json.dumps({"files": dict(sorted(files.items()))}, separators=(",", ":")) + "\n"
    write_file(folder / NAME, content.encode())


def find_damaged_files(folder: Path) -> list[str]:
    """The files of the manifest that are missing or differ, by their path in `folder`."""
    return [
        name for name, entry in read_manifest(folder).items() if not is_whole(folder / name, entry)
    ]


def discard_files(folder: Path, names: list[str]) -> None:
    """Deletes files and what the manifest says of them: the next download fetches them again."""
    kept = {name: entry for name, entry in read_manifest(folder).items() if name not in set(names)}
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for mark in folder.glob(f"*/*{UNPACKED_SUFFIX}"):
        mark.unlink()  # the archive that held them has to be gone through again
    _write_manifest(folder, kept)
