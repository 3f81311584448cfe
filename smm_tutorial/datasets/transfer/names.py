"""Checks of file names in archives, annotations and manifests, before the names are used.

`disk` also refuses names that leave the folder. The checks here come earlier, before a file is
downloaded, and their messages name the source of the name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from smm_tutorial import files
from smm_tutorial.datasets.scene_images import DatasetError

MANIFEST = "manifest.json"
ARCHIVES = "archives"  # folder in the data set's folder, for beginnings of archives and their notes
STAGING = ".fetching"  # folder for images until all images and their records have arrived
RESERVED = (MANIFEST, ARCHIVES, STAGING, files.LOCK_NAME)


class UntrustedError(DatasetError):
    """A source gives a file name that no file of a data set has. The message names the source."""


def check_file_name(name: str, source: str | Path) -> str:
    """The name, if it stays below the folder that it is joined to.

    Args:
        name: of a file, from the source.
        source: an address or a file, for the message.

    Raises:
        UntrustedError: the name leaves its folder.
    """
    try:
        return files.check_name(name)
    except files.ForeignNameError as error:
        raise UntrustedError(
            f"{source} is not to be trusted: {error}; get the data from its official address"
        ) from error


class FileNames:
    """Checks the names of files that go from one source into one folder.

    Args:
        source: the address or file that the names come from, for messages.
        taken: names of files that are already in the folder.
    """

    def __init__(self, source: str | Path, taken: Iterable[str] = ()) -> None:
        self.source = source
        self._taken = {_fold(name): name for name in taken}

    def check(self, name: str) -> str:
        """The name, if such a file can lie beside the others on every operating system.

        Raises:
            UntrustedError: the name leaves its folder, belongs to the download itself, or differs
                from another name only by case.
        """
        folded = _fold(check_file_name(name, self.source))
        if folded.split("/")[0] in RESERVED or folded.endswith(files.DRAFT_SUFFIX):
            raise UntrustedError(
                f"{self.source} has a file {name!r}: such names are for the download itself; "
                "get the data from its official address"
            )
        other = self._taken.setdefault(folded, name)
        if other != name:
            raise UntrustedError(
                f"{self.source} has files {other!r} and {name!r}, which are one file on Windows "
                "and macOS; get the data from its official address"
            )
        return name


def _fold(name: str) -> str:
    """A key that is equal for names of the same file on systems that ignore case."""
    return unicodedata.normalize("NFC", name).casefold()
