"""Manifests: lists of downloaded files with length and checksum, to check the files offline."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from pathlib import Path

from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer.disk import delete_file, write_file
from smm_tutorial.datasets.transfer.names import ARCHIVES, MANIFEST, FileNames, UntrustedError
from smm_tutorial.files import JsonError, read_json

UNPACKED_SUFFIX = ".unpacked"  # of an empty file: its archive was unpacked to its end
Entry = tuple[int, int]  # length in bytes, CRC-32


def entry_of(content: bytes) -> Entry:
    """Length and checksum of a file's content."""
    return len(content), zlib.crc32(content)


def is_whole(path: Path, entry: Entry) -> bool:
    """Whether the file is there and has this length and checksum."""
    try:
        return has_length(path, entry) and entry_of(path.read_bytes()) == entry
    except OSError:
        return False


def has_length(path: Path, entry: Entry) -> bool:
    """Whether the file is there and has this length."""
    return path.is_file() and path.stat().st_size == entry[0]


def read_manifest(folder: Path) -> dict[str, Entry]:
    """The files of a download, by their path in `folder`; empty if there was no download.

    Raises:
        DatasetError: the manifest is damaged, or names files that no download writes.
    """
    path = folder / MANIFEST
    remedy = "delete it and download again, whole files are kept"
    try:
        content = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise DatasetError(f"cannot read {path} ({error.strerror}): {remedy}") from error
    except JsonError as error:
        raise DatasetError(f"{path} is damaged ({error.__cause__}): {remedy}") from error
    entries = content.get("files") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise DatasetError(f'{path} is damaged (it has no table "files"): {remedy}')
    names = FileNames(path)
    for name, entry in entries.items():
        if not (isinstance(entry, list) and len(entry) == 2 and all(map(_is_count, entry))):
            raise DatasetError(
                f"{path} is damaged ({name!r:.80} has {entry!r:.40} instead of length and "
                f"checksum): {remedy}"
            )
        try:
            names.check(name)
        except UntrustedError as error:
            raise DatasetError(f"{error}; {remedy}") from error
    return {name: (size, crc) for name, (size, crc) in entries.items()}


def _is_count(number: object) -> bool:
    return type(number) is int and 0 <= number < 1 << 63


def extend_manifest(folder: Path, files: dict[str, Entry]) -> None:
    """Adds files to the manifest, or replaces their entries."""
    known = read_manifest(folder)
    names = FileNames(folder, known)
    if added := {names.check(name): entry for name, entry in files.items()}:
        _write_manifest(folder, {**known, **added})


def _write_manifest(folder: Path, files: dict[str, Entry]) -> None:
    content = json.dumps({"files": dict(sorted(files.items()))}, separators=(",", ":")) + "\n"
    write_file(folder, MANIFEST, content.encode())


def find_damaged_files(folder: Path) -> list[str]:
    """Paths in `folder` of the manifest's files that are missing or have another content."""
    return [
        name for name, entry in read_manifest(folder).items() if not is_whole(folder / name, entry)
    ]


def discard_files(folder: Path, names: Iterable[str]) -> None:
    """Deletes files and their entries in the manifest. The next download then fetches them again.

    Raises:
        DatasetError: a file cannot be deleted, or a link in the folder leads out of it.
    """
    kept = read_manifest(folder)
    for mark in (folder / ARCHIVES).glob(f"*{UNPACKED_SUFFIX}"):
        delete_file(folder, f"{ARCHIVES}/{mark.name}")  # the archive must be read again
    for name in names:
        if kept.pop(name, None) is not None:
            delete_file(folder, name)
    _write_manifest(folder, kept)
