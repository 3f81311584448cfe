"""Where data, checkpoints, results and downloads lie.

What comes with the course is read from a checkout's `data/`, or from inside the package where a
wheel was installed. What this machine makes (downloads and runs) is written to a checkout's
`data/`, or to the user's cache folder. The environment variable `SMM_DATA` moves the second place
to a folder of your own. A `packs/`, `checkpoints/` or `results/` in that folder replaces the
course's own.
"""

import os
from pathlib import Path

import platformdirs

PACKAGE = Path(__file__).resolve().parent


def repository_root() -> Path | None:
    """The checkout that this library is imported from, or None if it was installed from a wheel."""
    project_file = PACKAGE.parent / "pyproject.toml"
    project = project_file.read_text(encoding="utf-8") if project_file.is_file() else ""
    return PACKAGE.parent if 'name = "smm-tutorial"' in project else None


def course_data() -> Path:
    """The folder of what comes with the course: `packs/`, `checkpoints/` and `results/`.

    Raises:
        FileNotFoundError: neither a checkout's `data/` nor a wheel's `_data/` is there.
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
    """The folder that `SMM_DATA` names, or None where it is not set.

    Raises:
        NotADirectoryError: it names something that is no folder.
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
    """A folder of what is read: in the reader's own data if it is there, else the course's."""
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
    """The folder of what this machine makes: `downloads/` and `runs/`. It may not exist yet.

    It is `SMM_DATA` if that is set, else a checkout's `data/` (git ignores both), else the user's
    cache folder.
    """
    if own := own_data():
        return own
    if repository_root():
        return course_data()
    return Path(platformdirs.user_cache_dir("smm-tutorial", appauthor=False))


def downloads_dir() -> Path:
    """The folder of downloads and renders; whoever writes there creates it."""
    return written_data() / "downloads"


def runs_dir() -> Path:
    """The folder of training runs that are not finished; whoever trains creates it."""
    return written_data() / "runs"
