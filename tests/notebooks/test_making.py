"""Making notebooks from their sources, on a small one."""

import jupytext
import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook, new_output

from smm_tutorial.course.notebooks import (
    WIDGET_VIEW,
    choose_sources,
    differences,
    make,
    notebook_path,
    source_paths,
    tidy_notebook,
)
from tests.gates.project import TEMPLATE
from tests.gates.rules import RULES

SOURCE = """# %% [markdown]
# A small notebook.

# %%
from IPython.display import display
from ipywidgets import IntSlider

display(IntSlider())

# %% tags=["kept"]
value = 6 * 7
print(value)
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source" / "03_small.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The template, made into a notebook: (its source, its notebook)."""
    source = tmp_path_factory.mktemp("made") / "source" / "00_template.py"
    source.parent.mkdir()
    source.write_text(TEMPLATE.read_text().replace("# NN ·", "# 00 ·"))
    return source, make(source)


def test_the_template_makes_a_notebook_that_keeps_to_every_rule(made):
    source, path = made

    notebook = nbformat.read(path, as_version=4)
    for rule in RULES:
        assert rule(notebook, "00_template") == []
    assert differences(source) == []


def test_a_made_notebook_is_executed_tidy_and_in_step(source):
    notebook = nbformat.read(make(source), as_version=4)

    _, widget, printing = notebook.cells
    assert printing.outputs == [{"output_type": "stream", "name": "stdout", "text": "42\n"}]
    assert [cell.execution_count for cell in (widget, printing)] == [1, 2]
    assert widget.outputs == []
    assert notebook.metadata.keys() == {"kernelspec", "language_info"}
    assert printing.metadata == {"tags": ["kept"]}
    assert differences(source) == []


def test_a_second_make_changes_nothing_and_an_edit_keeps_the_ids(source):
    first = make(source).read_bytes()
    assert make(source).read_bytes() == first

    source.write_text(SOURCE.replace("# %% tags", "# %%\nname = 'new'\n\n# %% tags"))
    again = nbformat.read(make(source), as_version=4)

    old_ids = [cell.id for cell in nbformat.reads(first.decode(), as_version=4).cells]
    ids = [cell.id for cell in again.cells]
    assert ids[:2] + ids[3:] == old_ids


def test_a_failing_cell_leaves_the_old_notebook_alone(source):
    old = notebook_path(source)
    jupytext.write(jupytext.read(source), old)
    before = old.read_bytes()
    source.write_text("# %%\nraise ValueError('no')\n")

    with pytest.raises(CellExecutionError, match="raise ValueError"):
        make(source)

    assert list(old.parent.glob("*.ipynb*")) == [old]
    assert old.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("6 * 7", "6 * 8", "cell 3: the text"),
        ("# A small notebook.", "# A notebook.", "cell 1: the text"),
        ('"kept"', '"lost"', "cell 3: the tags"),
        ("# %% [markdown]\n# A", "# %%\n# A", "cell 1: the type"),
        ("# %% tags", "# %%\nname = 'new'\n\n# %% tags", "has 3 cells, its source 4"),
    ],
)
def test_a_source_that_was_changed_is_noticed(source, old, new, words):
    jupytext.write(jupytext.read(source), notebook_path(source))
    assert differences(source) == []

    source.write_text(SOURCE.replace(old, new))

    assert any(words in problem for problem in differences(source)), differences(source)


def test_a_missing_notebook_is_noticed(source):
    assert differences(source) == ["03_small.ipynb is missing: run `make notebooks`"]


def test_widget_state_and_views_are_taken_out():
    view = new_output("display_data", {WIDGET_VIEW: {}, "text/plain": "IntSlider()"})
    figure = new_output("display_data", {"text/plain": "a figure"})
    cells = [new_code_cell("x", outputs=[view, figure])]
    notebook = new_notebook(cells=cells, metadata={"widgets": {"state": {}}})

    tidy = tidy_notebook(notebook)

    assert "widgets" not in tidy.metadata
    assert tidy.cells[0].outputs == [figure]


def test_sources_are_chosen_by_name(source):
    (source.parent / "_template.py").write_text(SOURCE)

    assert source_paths(source.parent.parent) == [source]
    assert choose_sources(source.parent.parent, ["03_small"]) == [source]
    with pytest.raises(SystemExit, match="no source for 04_large; there are: 03_small"):
        choose_sources(source.parent.parent, ["04_large"])
