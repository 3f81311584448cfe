"""Files out of a .tar.gz on a server, from its beginning and only as far as needed.

A .tar.gz has no table of contents, so what is wanted is found by reading from the start. The
archive's beginning stays on disk (see `ResumableFile`): asking for more later goes on where it
stopped. An archive that was unpacked to its end is deleted.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from smm_tutorial.datasets.image_files import PROGRESS_AFTER
from smm_tutorial.datasets.transfer.disk import write_file
from smm_tutorial.datasets.transfer.manifests import (
    UNPACKED_SUFFIX,
    Entry,
    entry_of,
    extend_manifest,
    is_whole,
    read_manifest,
)
from smm_tutorial.datasets.transfer.remote_file import DownloadError, Patience, Remote
from smm_tutorial.datasets.transfer.resumable_file import ResumableFile, delete_download

FOLDER = "archives"  # below the data set's folder
PIXELS = (".png", ".map")


class _DamagedError(Exception):
    """A member whose content is broken; tar itself keeps no checksum of it."""


DAMAGE = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, _DamagedError)


def unpack_tar(
    url: str,
    target: Path,
    place: Callable[[str], str | None],
    arrived: Callable[[str], bool],
    patience: Patience | None = None,
) -> bool:
    """Unpacks wanted files of a .tar.gz into a folder until there are enough.

    Args:
        url: of the archive.
        target: the folder; its manifest lists what is there already and is brought up to date.
        place: says where in the folder a member goes, by its name; None for one that is never
            wanted. What passes by is kept even if nobody asked for it yet, for a whole archive is
            not fetched twice.
        arrived: told the place of each file that is there; returns whether that is enough.
        patience: with the server.

    Returns:
        Whether there were enough; False when the archive came to its end before.

    Raises:
        DatasetError: the server fails, the disk is full (what is whole stays) or the archive is
            damaged (its beginning is deleted, files that were whole stay).
    """
    path = target / FOLDER / url.rsplit("/", 1)[-1]
    done = path.with_name(path.name + UNPACKED_SUFFIX)
    if done.is_file():
        return False
    known = read_manifest(target)
    added: dict[str, Entry] = {}
    with (
        ResumableFile(Remote(url, patience), path) as packed,
        tqdm(desc=path.name, delay=PROGRESS_AFTER, unit="file") as bar,
    ):
        try:
            with (
                gzip.GzipFile(fileobj=io.BufferedReader(packed, 1 << 20)) as unpacked,
                tarfile.open(fileobj=unpacked, mode="r|") as archive,
            ):
                for member in archive:
                    name = place(member.name.removeprefix("./")) if member.isfile() else None
                    if name is None:
                        continue
                    if name not in known or not is_whole(target / name, known[name]):
                        content = archive.extractfile(member).read()
                        _check_content(name, content)
                        write_file(target / name, content)
                        known[name] = added[name] = entry_of(content)
                    bar.update()
                    if arrived(name):
                        return True
                while unpacked.read(1 << 20):
                    pass  # to the end, where the checksum of the whole stands
        except DAMAGE as error:
            packed.discard()
            raise DownloadError(
                f"{url} arrived damaged ({error}): its beginning was deleted; fetch it again"
            ) from error
        finally:
            extend_manifest(target, added)
    write_file(done, b"all of it\n")
    delete_download(path)
    return False


def _check_content(name: str, content: bytes) -> None:
    """Tells a broken PNG by its checksums, and broken JSON by its form."""
    try:
        if name.endswith(PIXELS):
            with Image.open(io.BytesIO(content)) as image:
                image.verify()
        elif name.endswith(".json"):
            json.loads(content)
    except Exception as error:  # Pillow raises a dozen kinds for broken files
        raise _DamagedError(f"{name}: {error}") from error
