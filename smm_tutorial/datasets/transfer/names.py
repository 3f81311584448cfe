"""Names that archives, annotations and manifests give to files, before anything is done with them.

`disk` writes and deletes by folder and name and refuses what leaves the folder. Here a name is
refused earlier: before the file is fetched, with the source that told the name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from smm_tutorial import files
from smm_tutorial.datasets.scene_images import DatasetError

MANIFEST = "manifest.json"
ARCHIVES = "archives"  # below the data set's folder: beginnings of archives, and notes of them
STAGING = ".fetching"  # images wait here until all of them and their records are there
RESERVED = (MANIFEST, ARCHIVES, STAGING, files.LOCK_NAME)


class UntrustedError(DatasetError):
    """A source that tells names which no file of a data set has; names the source."""


def check_file_name(name: str, source: str | Path) -> str:
    """The name, if it stays below the folder that it is joined to.

    Args:
        name: a file's, as the source tells it.
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
        source: an address or a file that tells the names, for messages.
        taken: names of files that are in the folder already.
    """

    def __init__(self, source: str | Path, taken: Iterable[str] = ()) -> None:
        self.source = source
        self._taken = {_fold(name): name for name in taken}

    def check(self, name: str) -> str:
        """The name, if a file of it can lie beside the others on every operating system.

        Raises:
            UntrustedError: the name leaves its folder, belongs to the download itself, or differs
                from another one only by case.
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
    """What names of one file have in common on systems that ignore case."""
    return unicodedata.normalize("NFC", name).casefold()
