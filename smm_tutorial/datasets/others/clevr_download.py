"""Downloads the first images of CLEVR v1.0 with their records, without the other 18 GB.

The official archive is one zip file; `RemoteZip` reads single members of it. A split's records are
one member too, of which only the beginning is unpacked. The result is a small CLEVR_v1.0 folder in
the official layout.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipInfo

from smm_tutorial.arguments import check_whole
from smm_tutorial.datasets.others.clevr import FOLDER, NAME, SOURCE, SPLITS
from smm_tutorial.datasets.others.sources import announce
from smm_tutorial.datasets.scene_images import DatasetError, check_split
from smm_tutorial.datasets.transfer.disk import (
    folder_or_downloads,
    lock_folder,
    move_file,
    write_file,
)
from smm_tutorial.datasets.transfer.manifests import (
    entry_of,
    extend_manifest,
    has_length,
    is_whole,
    read_manifest,
)
from smm_tutorial.datasets.transfer.names import STAGING
from smm_tutorial.datasets.transfer.remote_file import DownloadError, Patience, Remote
from smm_tutorial.datasets.transfer.remote_zip import RemoteZip
from smm_tutorial.files import JsonError, parse_json, read_json

EXCERPT = "excerpt"  # this field of a scenes file says that a download wrote the file
SCENES_BEGIN = re.compile(r'"scenes"\s*:\s*\[')
LONGEST_RECORD = 100_000  # characters: the longest of 200 official records has 6,000


def download_clevr(
    split: str = "train",
    count: int = 100,
    folder: str | Path | None = None,
    url: str = SOURCE.addresses["archive"],
    patience: Patience | None = None,
) -> Path:
    """Downloads the first `count` images of a split and, if the split has them, their records.

    Complete files that are already there are not downloaded again. An interrupted download
    continues where it stopped.

    Args:
        split: "train", "val" or "test".
        count: how many images.
        folder: the parent of the CLEVR_v1.0 folder; None takes the course's downloads.
        url: of the archive.
        patience: with the server.

    Returns:
        The CLEVR_v1.0 folder, for `load_clevr(root=...)`.

    Raises:
        ValueError: an unknown split or a count below 1.
        DatasetError: the server fails, the archive is damaged, or the disk is full. Complete files
            are kept.
    """
    check_split(NAME, split, SPLITS)
    check_whole("count", count)
    announce(NAME)
    target = folder_or_downloads(folder) / FOLDER
    with lock_folder(target):
        _check_scenes_file(target, split)
        count = max(count, _count_present(target, split))
        if not _has_all(target, split, count):
            _fetch(target, split, count, RemoteZip(Remote(url, patience)))
    return target


def _check_scenes_file(target: Path, split: str) -> None:
    name = _scenes_path(split)
    path = target / name
    if path.is_file() and name not in read_manifest(target) and not _read_excerpt(path):
        raise DatasetError(
            f"{path} was not written by a download: to keep your own files as they are, download "
            "into another folder"
        )


def _count_present(target: Path, split: str) -> int:
    """The number of images that earlier downloads have completed or begun, including gaps between
    them.

    The scenes file must list all images in the folder, else none can be loaded. So a new download
    never asks for fewer images.
    """
    numbered = re.compile(rf"images/{split}/CLEVR_{split}_(\d{{6}})\.png")
    found = [match for name in read_manifest(target) if (match := numbered.fullmatch(name))]
    numbers = [int(match[1]) + 1 for match in found if (target / match[0]).is_file()]
    return max([*numbers, len(_read_excerpt(target / _scenes_path(split)))])


def _read_excerpt(path: Path) -> list[Any]:
    """The records of a scenes file that a download wrote; an empty list for any other file."""
    try:
        content = read_json(path)
        return list(content["scenes"]) if EXCERPT in content["info"] else []
    except (OSError, JsonError, KeyError, TypeError):
        return []


def _has_all(target: Path, split: str, count: int) -> bool:
    """Whether all files of the manifest are there. Lengths are checked, contents are not."""
    files = read_manifest(target)
    names = [_image_path(split, index) for index in range(count)]
    if split != "test":
        names.append(_scenes_path(split))
    return all(name in files and has_length(target / name, files[name]) for name in names)


def _fetch(target: Path, split: str, count: int, archive: RemoteZip) -> None:
    members = _find_image_members(archive, split, count)
    files = {name: (info.file_size, info.CRC) for name, info in members.items()}
    missing = {n: info for n, info in members.items() if not is_whole(target / n, files[n])}
    archive.save(target / STAGING, missing)
    scenes = _read_scenes(archive, split, count)
    if scenes is not None:
        files[_scenes_path(split)] = entry_of(scenes)
    extend_manifest(target, files)  # first: the files then count as ours after a stop
    for name in missing:
        move_file(target / STAGING, name, target)
    if scenes is not None:
        write_file(target, _scenes_path(split), scenes)


def _find_image_members(archive: RemoteZip, split: str, count: int) -> dict[str, ZipInfo]:
    """The members of the first `count` images of the split, by their paths below CLEVR_v1.0."""
    found = {}
    for index in range(count):
        name = _image_path(split, index)
        if (info := archive.members.get(f"{FOLDER}/{name}")) is None:
            raise DownloadError(
                f"{archive.remote.url} has no {FOLDER}/{name}: "
                f"it holds {index} images of {split} in a row; "
                + ("ask for no more" if index else "check the address")
            )
        found[name] = info
    return found


def _read_scenes(archive: RemoteZip, split: str, count: int) -> bytes | None:
    """A scenes file for the first `count` images; None for a split without records."""
    name = _scenes_path(split)
    if (info := archive.members.get(f"{FOLDER}/{name}")) is None:
        if split != "test":
            raise DownloadError(f"{archive.remote.url} has no {FOLDER}/{name}: check the address")
        return None
    origin, records = parse_first_records(archive.stream(info), count)
    names = [record.get("image_filename") for record in records]
    if names != [Path(_image_path(split, index)).name for index in range(count)]:
        raise DownloadError(
            f"{name} in {archive.remote.url} does not list the first {count} images in order"
        )
    origin |= {EXCERPT: f"the first {count} records of the official file"}
    return json.dumps({"info": origin, "scenes": records}, separators=(",", ":")).encode()


def parse_first_records(
    pieces: Iterator[bytes], count: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The field "info" and the first `count` records of a scenes file that arrives in pieces.

    Raises:
        DownloadError: the content is not a scenes file, or ends before `count` records.
    """
    decode = codecs.getincrementaldecoder("utf-8")().decode
    parse = json.JSONDecoder().raw_decode
    text, origin, records = "", None, []
    for piece in pieces:
        try:
            text += decode(piece)
        except UnicodeDecodeError as error:
            raise DownloadError(
                f"the scenes file is no UTF-8 ({error}): check the address"
            ) from error
        if origin is None:
            if (match := SCENES_BEGIN.search(text)) is None:
                if len(text) > LONGEST_RECORD:
                    break
                continue
            origin = _parse_info(text[: match.end()])
            text = text[match.end() :]
        while len(records) < count:
            text = text.lstrip(" \t\r\n,")
            try:
                record, end = parse(text)
            except (ValueError, RecursionError) as error:
                if len(text) > LONGEST_RECORD:
                    raise DownloadError(
                        f"a record after the {len(records)}th is no JSON ({error}): fetch again"
                    ) from error
                break  # the rest of the record has not arrived yet
            if not isinstance(record, dict):
                raise DownloadError(
                    f"record {len(records)} of the scenes file is {record!r:.40}: check the address"
                )
            records.append(record)
            text = text[end:]
        if len(records) == count:
            return origin, records
    raise DownloadError(
        f"the scenes file holds {len(records)} records, expected at least {count}: "
        "check the address"
    )


def _parse_info(head: str) -> dict[str, Any]:
    """The field "info" of a scenes file that begins with `head`; empty if the field is not in
    `head`.
    """
    try:
        info = parse_json(head + "]}", "the scenes file's head").get("info", {})
        if isinstance(info, dict):
            return info
    except JsonError:
        pass
    raise DownloadError(f"no scenes file begins with {head[:40]!r}: check the address")


def _image_path(split: str, index: int) -> str:
    return f"images/{split}/CLEVR_{split}_{index:06d}.png"


def _scenes_path(split: str) -> str:
    return f"scenes/CLEVR_{split}_scenes.json"
