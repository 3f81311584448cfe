"""The folders of data, checkpoints, results and downloads.

The course comes with data, checkpoints and results. They are read from `data/` in a checkout, or
from the package if a wheel was installed. Downloads and runs of this machine are written to `data/`
in a checkout, or else to the user's cache folder.

The environment variable `SMM_DATA` names another folder for downloads and runs. If this folder
contains `packs/`, `checkpoints/` or `results/`, they replace the folders of the course.
"""

import os
from pathlib import Path

import platformdirs

PACKAGE = Path(__file__).resolve().parent


def repository_root() -> Path | None:
    """Returns the root folder of this library's checkout, or None for an installed wheel."""
    project_file = PACKAGE.parent / "pyproject.toml"
    project = project_file.read_text(encoding="utf-8") if project_file.is_file() else ""
    return PACKAGE.parent if 'name = "smm-tutorial"' in project else None


def course_data() -> Path:
    """Returns the folder that comes with the course: `packs/`, `checkpoints/` and `results/`.

    Raises:
        FileNotFoundError: this folder is missing (`data/` in a checkout, `_data/` in a wheel).
    """
    root = repository_root()
    folder = root / "data" if root else PACKAGE / "_data"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"the course's data folder {folder} is missing: clone the repository afresh, or "
            "reinstall the package"
        )
    return folder


def own_data() -> Path | None:
    """Returns the folder that `SMM_DATA` names, or None if `SMM_DATA` is not set.

    Raises:
        NotADirectoryError: `SMM_DATA` does not name a folder.
    """
    chosen = os.environ.get("SMM_DATA")
    if not chosen:
        return None
    folder = Path(chosen).expanduser().resolve()
    if not folder.is_dir():
        raise NotADirectoryError(
            f"SMM_DATA is {chosen!r}, but there is no such folder: create it, or unset "
            "SMM_DATA to keep downloads and runs where the course keeps them"
        )
    return folder


def _find_folder(name: str) -> Path:
    """Returns a folder to read: in `SMM_DATA` if the folder exists there, else in the course."""
    own = own_data()
    return own / name if own and (own / name).is_dir() else course_data() / name


def packs_dir() -> Path:
    """The folder of small packed data sets, each with its provenance."""
    return _find_folder("packs")


def checkpoints_dir() -> Path:
    """The folder of trained weights, each with its record."""
    return _find_folder("checkpoints")


def results_dir() -> Path:
    """The folder of result records (JSON), written by runs."""
    return _find_folder("results")


def written_data() -> Path:
    """Returns the folder for `downloads/` and `runs/` of this machine. It may not exist yet.

    This is the folder in `SMM_DATA` if it is set. Else it is `data/` in a checkout, where git
    ignores downloads and runs. Else it is the user's cache folder.
    """
    if own := own_data():
        return own
    if repository_root():
        return course_data()
    return Path(platformdirs.user_cache_dir("smm-tutorial", appauthor=False))


def downloads_dir() -> Path:
    """The folder of downloads and renders. Code that writes there must create it."""
    return written_data() / "downloads"


def runs_dir() -> Path:
    """The folder of training runs on this machine. Code that trains must create it."""
    return written_data() / "runs"
