"""What the gates look at: the checkout, its project file, its notebooks and its documents."""

import os
import tomllib
from pathlib import Path

import smm_tutorial
from smm_tutorial.course.notebooks import source_paths
from tests.shared import ROOT

NOTEBOOK_FOLDER = ROOT / "notebooks"
TEMPLATE = NOTEBOOK_FOLDER / "source" / "_template.py"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REPOSITORY = PROJECT["project"]["urls"]["Repository"]
VERSION = smm_tutorial.__version__


def sources() -> list[Path]:
    """The numbered sources."""
    return source_paths(NOTEBOOK_FOLDER)


def notebooks() -> list[Path]:
    """Every notebook that lies where people open them, numbered or not."""
    return sorted(NOTEBOOK_FOLDER.glob("*.ipynb"))


def documents() -> list[Path]:
    """Every Markdown file of the project."""
    return [path for path in text_files() if path.suffix == ".md"]


def text_files() -> list[Path]:
    """Every file of the project that holds text."""
    return [path for path in all_files() if is_text(path)]


def all_files() -> list[Path]:
    """Every file of the project: what lies here, but for the folders that .gitignore names."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = {".git", *(line.rstrip("/") for line in lines if line.endswith("/"))}
    found = []
    for folder, subfolders, names in os.walk(ROOT):
        place = Path(folder).relative_to(ROOT)
        subfolders[:] = sorted(
            name for name in subfolders if not {name, (place / name).as_posix()} & ignored
        )
        found += [Path(folder) / name for name in sorted(names) if name not in ignored]
    return found


def is_text(path: Path) -> bool:
    """Whether a file has no zero byte at its beginning: git's own test."""
    with path.open("rb") as file:
        return b"\0" not in file.read(8000)
