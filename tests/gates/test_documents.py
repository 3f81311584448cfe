"""What documents name exists: files, sections, commands. No path is of somebody's own machine."""

import os
import re

import jupytext
import pytest

from tests.gates.project import NOTEBOOK_FOLDER, TEMPLATE, all_files, documents, sources, text_files
from tests.gates.rules import markdown, undescribed_images
from tests.shared import ROOT

LINK = re.compile(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
CODE = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
ENDINGS = "py|ipynb|md|toml|txt|yml|cff|npz|safetensors|json"
FILE_NAME = re.compile(rf"(?<![\w./*<{{-])[\w./-]*\w\.(?:{ENDINGS})\b(?![\w*>}}/])")
MAKE_TARGET = re.compile(r"(?:^|`)make ([a-z]+)", re.MULTILINE)
# They stand for names that a reader fills in or has elsewhere.
PLACEHOLDERS = ("NN", "path/to", "CLEVR_", "data/downloads")
OTHERS_FOLDERS = "home|root|Users|tmp|work|opt|mnt|scratch"
OWN_MACHINE = re.compile(rf"(?<![\w./:*-])/(?:{OTHERS_FOLDERS})/\w|[A-Z]:\\+Users\\+\w")

prose = [(path, path.read_text(encoding="utf-8")) for path in documents()]
prose += [(path, markdown(jupytext.read(path))) for path in [*sources(), TEMPLATE]]
files = [file.relative_to(ROOT).as_posix() for file in all_files()]
every_text = pytest.mark.parametrize(
    ("path", "text"), prose, ids=[str(path.relative_to(ROOT)) for path, _ in prose]
)


def folder_of(path):
    """Where relative links of a text start; those of a notebook's source, at the notebook."""
    return NOTEBOOK_FOLDER if path.suffix == ".py" else path.parent


def anchors(path):
    """The anchors that code hosts give to the headings of a Markdown file."""
    text = CODE.sub("", path.read_text(encoding="utf-8"))
    headings = [heading.lower() for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
    return {re.sub(r"[^\w -]", "", heading).strip().replace(" ", "-") for heading in headings}


def broken_links(path, text):
    """Relative links whose file, or whose section in a Markdown file, does not exist."""
    broken = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (folder_of(path) / name) if name else path
        lacks_section = anchor and target.suffix == ".md" and anchor not in anchors(target)
        if not target.exists() or lacks_section:
            broken.append(link)
    return broken


def missing_files(text, files):
    """File names in code spans that no file of the project has, whole or as the end of a path."""
    named = {name for code in CODE.findall(text) for name in FILE_NAME.findall(code)}
    real = {name for name in named if not any(mark in name for mark in PLACEHOLDERS)}
    endings = {os.path.normpath(name) for name in real}
    return sorted(
        name for name in endings if not any(f"/{file}".endswith(f"/{name}") for file in files)
    )


def missing_targets(text, makefile):
    """Targets of `make` in code spans that the Makefile does not have."""
    named = {target for code in CODE.findall(text) for target in MAKE_TARGET.findall(code)}
    known = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    return sorted(named - known)


@every_text
def test_links_lead_somewhere(path, text):
    assert broken_links(path, text) == []


@every_text
def test_files_that_are_named_exist(path, text):
    assert missing_files(text, files) == []


@every_text
def test_commands_that_are_named_exist(path, text):
    assert missing_targets(text, (ROOT / "Makefile").read_text(encoding="utf-8")) == []


@every_text
def test_images_in_prose_have_alt_text(path, text):
    assert undescribed_images(CODE.sub("", text)) == []


def test_nothing_points_at_somebodys_own_machine():
    found = []
    for path in text_files():
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        numbers = [number for number, line in enumerate(lines, 1) if OWN_MACHINE.search(line)]
        found += [f"{path.relative_to(ROOT)}:{n}: {lines[n - 1].strip()[:100]}" for n in numbers]
    assert found == []


def test_the_readme_names_the_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert "make course" in text and "make test" in text


def test_continuous_integration_runs_the_readmes_test_command():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert re.search(r"^make test\b", script, re.MULTILINE)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


# the checks themselves


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A heading, here\n")

    section = "#a-heading-here"
    good = f"[a](page.md) [b]({section}) [c](https://example.org/x) [d](page.md{section})"
    assert broken_links(page, good) == []
    assert broken_links(page, "[a](pages.md) [b](#heading)") == ["pages.md", "#heading"]


def test_a_missing_file_is_found():
    there = ["smm_tutorial/slots.py", "README.md"]

    good = "`slots.py`, `smm_tutorial/slots.py`, `NN_name.py`, `results/*.json`"
    assert missing_files(good, there) == []
    wrong = ["slot.py", "tutorial/slots.py"]
    assert missing_files("`slot.py` and `tutorial/slots.py`", there) == wrong


def test_a_missing_command_is_found():
    makefile = "course: x\ntest: y\n"
    assert missing_targets("`make course`, ```\nmake tests\n```, make sure", makefile) == ["tests"]


@pytest.mark.parametrize("line", ["see /{}/ada/data", "'/{}/x'", r"C:\{}\ada", "(/{}/run)"])
def test_an_own_path_is_found(line):
    assert OWN_MACHINE.search(line.format("Users"))  # filled in, so that this file is not found


@pytest.mark.parametrize(
    "line", ["https://example.org/home/x", "/path/to/python", "framework/work/x", "~/data"]
)
def test_other_paths_are_left_alone(line):
    assert not OWN_MACHINE.search(line)
