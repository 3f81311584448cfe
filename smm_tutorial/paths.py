"""Where data, checkpoints, results and downloads lie.

A checkout keeps everything under `data/`. A wheel has the committed part inside the package and
keeps downloads in the user's cache folder. The environment variable `SMM_DATA` replaces either by a
folder of your own.
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


def data_root() -> Path:
    """The folder that holds `packs/`, `checkpoints/` and `results/`.

    Raises:
        NotADirectoryError: `SMM_DATA` is set to something that is no folder.
        FileNotFoundError: neither a checkout's `data/` nor a wheel's `_data/` is there.
    """
    chosen = os.environ.get("SMM_DATA")
    if chosen:
        folder = Path(chosen).expanduser().resolve()
        if not folder.is_dir():
            raise NotADirectoryError(
                f"SMM_DATA is {chosen!r}, but there is no such folder: create it, or unset "
                "SMM_DATA to use the data that comes with the course"
            )
        return folder

    root = repository_root()
    folder = root / "data" if root else PACKAGE / "_data"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"the course's data folder {folder} is missing: clone the repository afresh, "
            "reinstall the package, or set SMM_DATA to a folder that holds packs/, checkpoints/ "
            "and results/"
        )
    return folder


def packs_dir() -> Path:
    """The folder of small packed data sets, each with its provenance."""
    return data_root() / "packs"


def checkpoints_dir() -> Path:
    """The folder of trained weights, each with its record."""
    return data_root() / "checkpoints"


def results_dir() -> Path:
    """The folder of result records (JSON), written by runs."""
    return data_root() / "results"


def downloads_dir() -> Path:
    """The folder of downloads: ignored by git in a checkout, else in the user's cache.

    It may not exist yet; whoever downloads creates it.
    """
    if os.environ.get("SMM_DATA") or repository_root():
        return data_root() / "downloads"
    return Path(platformdirs.user_cache_dir("smm-tutorial", appauthor=False)) / "downloads"


def runs_dir() -> Path:
    """The folder of training runs that are not finished, beside the downloads; it may not exist."""
    return downloads_dir().parent / "runs"
