"""The form of the code: linted, formatted, in short lines and files, without exceptions."""

import subprocess
import sys
import tokenize
import tomllib

import jupytext
import pytest

from tests.gates.project import NOTEBOOK_FOLDER, TEMPLATE, sources
from tests.gates.rules import code_cells
from tests.shared import ROOT

MOST_LINES = 400  # of a file of the library
CODE = [
    path for name in ("smm_tutorial", "tests", "notebooks") for path in (ROOT / name).rglob("*.py")
]
NOTEBOOK_SETTINGS = tomllib.loads((NOTEBOOK_FOLDER / "source" / "ruff.toml").read_text())
EXCEPTIONS = ("fmt: off", "fmt: skip", "yapf: disable")


def ruff(*arguments, stdin=None):
    command = [sys.executable, "-m", "ruff", *arguments]
    return subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True)


def find_exceptions(path):
    """The numbers of lines whose comment keeps the formatter away."""
    with tokenize.open(path) as file:
        comments = [
            t for t in tokenize.generate_tokens(file.readline) if t.type == tokenize.COMMENT
        ]
    return [t.start[0] for t in comments if any(words in t.string for words in EXCEPTIONS)]


def find_long_lines(notebook, longest):
    """Lines of code cells with more than `longest` characters: ["cell number: line"]."""
    return [
        f"cell {number}: {line}"
        for number, cell in code_cells(notebook)
        for line in cell.source.splitlines()
        if len(line) > longest
    ]


def find_long_files(folder):
    lengths = {path: len(path.read_bytes().splitlines()) for path in folder.rglob("*.py")}
    return sorted(
        path.relative_to(folder).as_posix() for path in lengths if lengths[path] > MOST_LINES
    )


def test_ruff_is_content():
    run = ruff("check", ".")

    assert run.returncode == 0, f"run `ruff check --fix`:\n{run.stdout}{run.stderr}"


def test_code_is_formatted():
    run = ruff("format", "--check", "smm_tutorial", "tests", "notebooks/source")

    assert run.returncode == 0, f"run `ruff format`:\n{run.stdout}{run.stderr}"


def test_nothing_is_kept_from_the_formatter():
    found = {str(path.relative_to(ROOT)): find_exceptions(path) for path in CODE}

    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize("path", [*sources(), TEMPLATE], ids=lambda path: path.stem)
def test_lines_of_code_in_notebooks_fit_into_colab(path):
    assert find_long_lines(jupytext.read(path), NOTEBOOK_SETTINGS["line-length"]) == []


def test_no_file_of_the_library_is_long():
    assert find_long_files(ROOT / "smm_tutorial") == []


# the checks themselves


@pytest.mark.parametrize("file", ["smm_tutorial/new.py", "tests/unit/slots/test_new.py"])
@pytest.mark.parametrize("line", [f"x = '{'a b ' * 24}'", f"# {'a b ' * 25}", "import os"])
def test_ruff_finds_a_fault(file, line):
    assert ruff("check", "--stdin-filename", file, "-", stdin="x = 1\n").returncode == 0
    assert ruff("check", "--stdin-filename", file, "-", stdin=line + "\n").returncode == 1


def test_unformatted_code_is_found():
    form = ("format", "--check", "--stdin-filename", "smm_tutorial/new.py", "-")

    assert ruff(*form, stdin="x = 1\n").returncode == 0
    assert ruff(*form, stdin="x=1\n").returncode == 1


def test_an_exception_is_found_in_comments_only(tmp_path):
    path = tmp_path / "code.py"
    path.write_text("x = 'fmt: skip'\ny = [1,  2]  # fmt: skip\n# fmt: off\n")

    assert find_exceptions(path) == [2, 3]


def test_a_long_line_is_found_in_code_only():
    text = f"# %% [markdown]\n# {'word ' * 30}\n\n# %%\nx = 1\n# {'y' * 20}\n"
    notebook = jupytext.reads(text, fmt="py:percent")

    assert find_long_lines(notebook, 22) == []
    assert find_long_lines(notebook, 21) == [f"cell 2: # {'y' * 20}"]


def test_a_long_file_is_found(tmp_path):
    (tmp_path / "long.py").write_text("x = 1\n" * (MOST_LINES + 1))
    (tmp_path / "short.py").write_text("x = 1\n" * MOST_LINES)

    assert find_long_files(tmp_path) == ["long.py"]
