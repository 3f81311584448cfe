"""Write the repository's address and version on everything that names them.

    python -m smm_tutorial.course.address                               what pyproject.toml says
    python -m smm_tutorial.course.address https://github.com/me/course  a new address, published
    python -m smm_tutorial.course.address --check                       which files differ?

Whoever forks the course runs the second command once. The address lies in pyproject.toml, and the
version in `smm_tutorial/__init__.py`. The command writes both into the first cell of every
notebook, and into CITATION.cff. Notebooks show a Colab badge only after the address was published:
a badge must not lead nowhere.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import nbformat

import smm_tutorial
from smm_tutorial.files import write_atomically
from smm_tutorial.paths import repository_root

COLAB = "https://colab.research.google.com"
GITHUB = "https://github.com/"
ADDRESS = re.compile(r"https://[\w.-]+/[\w.-]+/[\w.-]+")


class Stamp(NamedTuple):
    """What is written. published: whether the address answers to everybody."""

    address: str
    version: str
    published: bool

    def links(self, notebook: str) -> str:
        """The line of links below a notebook's title, in Markdown. notebook: its name."""
        source = f"[The source of this notebook](source/{notebook}.py)"
        if not self.published or not self.address.startswith(GITHUB):
            return source
        place = f"{self.address.removeprefix(GITHUB)}/blob/v{self.version}/notebooks"
        badge = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]"
        return f"{badge}({COLAB}/github/{place}/{notebook}.ipynb) · {source}"

    def write_on_text(self, text: str, notebook: str) -> str:
        """Writes address, version and links on a cell, or on a whole source in Python."""
        text = re.sub(r'(?m)^ADDRESS = ".*"$', f'ADDRESS = "{self.address}"', text)
        text = re.sub(r'"--branch=v[^"]*"', f'"--branch=v{self.version}"', text)
        links = re.compile(r"(?m)^((?:# )?)(?:\[!\[Open in Colab\].*|\[The source of this .*)$")
        return links.sub(lambda line: line[1] + self.links(notebook), text)

    def write_on_project(self, text: str) -> str:
        """Writes address and publication on the text of pyproject.toml."""
        text = re.sub(r'(?m)^Repository = ".*"$', f'Repository = "{self.address}"', text)
        return re.sub(r"(?m)^published = \w+", f"published = {str(self.published).lower()}", text)

    def write_on_citation(self, text: str) -> str:
        """Writes address and version on the text of CITATION.cff."""
        text = re.sub(r"(?m)^repository-code: .*$", f"repository-code: {self.address}", text)
        return re.sub(r"(?m)^version: .*$", f"version: {self.version}", text)


def read_stamp(root: Path) -> Stamp:
    """Reads the address from pyproject.toml, and the version from the library."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    published = project["tool"]["smm-tutorial"]["published"]
    return Stamp(project["project"]["urls"]["Repository"], smm_tutorial.__version__, published)


def check_address(address: str) -> str:
    """Returns the address. Raises `ValueError` unless it names a host, an owner and a project."""
    if not ADDRESS.fullmatch(address):
        raise ValueError(
            f"the address must be like {GITHUB}owner/name, with nothing behind it, got {address!r}"
        )
    return address


def stamped_files(root: Path, stamp: Stamp) -> dict[Path, str]:
    """Makes the new text of every file on which something is written."""
    found = {}
    for name, write in (
        ("pyproject.toml", stamp.write_on_project),
        ("CITATION.cff", stamp.write_on_citation),
    ):
        found[root / name] = write((root / name).read_text(encoding="utf-8"))
    for path in sorted((root / "notebooks/source").glob("*.py")):
        found[path] = stamp.write_on_text(path.read_text(encoding="utf-8"), path.stem)
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        found[path] = _write_on_notebook(path, stamp)
    return found


def _write_on_notebook(path: Path, stamp: Stamp) -> str:
    """Makes the new text of a notebook. Only texts of cells change; outputs stay as they are."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = stamp.write_on_text(cell.source, path.stem)
    return nbformat.writes(notebook) + "\n"


def main(arguments: list[str]) -> int:
    """Writes or checks the stamps; the exit status is 1 if `--check` finds a difference."""
    prog = "python -m smm_tutorial.course.address"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.split("\n")[0])
    parser.add_argument("address", nargs="?", help="of the published repository")
    parser.add_argument("--check", action="store_true", help="only say which files differ")
    options = parser.parse_args(arguments)
    root = repository_root()
    if root is None:
        sys.exit("the notebooks are in the repository, not in the installed package: clone it")
    stamp = read_stamp(root)
    if options.address:
        try:
            stamp = stamp._replace(address=check_address(options.address), published=True)
        except ValueError as error:
            sys.exit(str(error))
    differing = {
        path: text
        for path, text in stamped_files(root, stamp).items()
        if text != path.read_text(encoding="utf-8")
    }
    for path, text in differing.items():
        if not options.check:
            write_atomically(path, text.encode())
        print(f"{path.relative_to(root)} {'differs' if options.check else 'written'}")
    return int(options.check and bool(differing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
