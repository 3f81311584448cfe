"""The rules themselves: a good notebook passes them all, and each fails on its own fault."""

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.gates import rules

HEADER = """# 01 · A title

**What you will do.** This.

**What you will be able to do.** That.

**What you need.** Nothing.

**Minutes.** About 15: 10 to read, 3 for the exercises, 2 to run on a laptop."""
LAST = """## Summary

All of it.

## Further reading

- [A book](https://example.org): what it adds to this notebook."""
ALT = "A line that rises from left to right."


def figure(alt):
    return new_output("display_data", {"image/png": "aGk="}, metadata={"image/png": {"alt": alt}})


def exercise(number):
    source = f'@exercise("toy.part_{number}")\ndef answer(x):\n    ...'
    output = new_output("display_data", {"text/plain": "[To do] A part"})
    return new_code_cell(source, outputs=[output], execution_count=number + 1)


@pytest.fixture
def good():
    cells = [
        new_markdown_cell(HEADER),
        new_code_cell("show(figure)", outputs=[figure(ALT)], execution_count=1),
        new_markdown_cell("**Predict first.** What will come?\n\n![a picture of a slot](slot.png)"),
        *(exercise(number) for number in (1, 2, 3)),
        new_markdown_cell(LAST),
    ]
    return new_notebook(cells=cells)


@pytest.mark.parametrize("rule", rules.RULES + rules.SOURCE_RULES, ids=lambda rule: rule.__name__)
def test_a_good_notebook_passes(good, rule):
    assert rule(good, "01_title") == []


def first_figure(notebook):
    return notebook.cells[1].outputs[0]


def spoil(change):
    """A copy of the good notebook on which `change` was made."""

    def make(notebook):
        spoiled = copy.deepcopy(notebook)
        change(spoiled)
        return spoiled

    return make


def replace_in(index, old, new):
    def change(notebook):
        assert old in notebook.cells[index].source
        notebook.cells[index].source = notebook.cells[index].source.replace(old, new)

    return change


def add_output(output):
    return lambda notebook: notebook.cells[1].outputs.append(output)


def clear_all(notebook):
    for cell in notebook.cells[1:]:
        if cell.cell_type == "code":
            cell.outputs = []


def add_code(source):
    return lambda notebook: notebook.cells.append(new_code_cell(source))


def html(text):
    return new_output("display_data", {"text/html": text})


FAULTS = [
    (
        rules.is_executed_in_order,
        lambda nb: nb.cells[1].update(execution_count=None),
        "counts are [None, 2, 3, 4]",
    ),
    (
        rules.is_executed_in_order,
        lambda nb: nb.cells[1].update(execution_count=7),
        "counts are [7, 2, 3, 4]",
    ),
    (rules.has_outputs, clear_all, "no cell has an output"),
    (
        rules.has_no_error,
        add_output(new_output("error", ename="ValueError", evalue="no")),
        "ends in ValueError: no",
    ),
    (
        rules.has_no_noise,
        add_output(new_output("stream", name="stderr", text="50%|##")),
        "writes to stderr: '50%|##'",
    ),
    (rules.has_no_widget_state, lambda nb: nb.metadata.update(widgets={}), "metadata.widgets"),
    (
        rules.has_no_widget_state,
        add_output(new_output("display_data", {rules.WIDGET_VIEW: {}})),
        "widget view",
    ),
    (
        rules.has_a_full_header,
        replace_in(0, "**What you need.**", "You need"),
        "lacks what you need",
    ),
    (rules.has_a_full_header, replace_in(0, "About 15: 10", "few"), "lacks minutes"),
    (
        rules.has_a_full_header,
        replace_in(0, "# 01", "# 02"),
        "the title says 02, the file's name 01_title",
    ),
    (rules.has_a_full_header, lambda nb: nb.cells.pop(0), "lacks a title"),
    (rules.closes_well, replace_in(-1, "## Summary", "## End"), "does not close with"),
    (
        rules.closes_well,
        replace_in(-1, ": what it adds to this notebook.", ""),
        "says nothing about '- [A book]",
    ),
    (rules.closes_well, replace_in(-1, "- [A book]", "[A book]"), "further reading is empty"),
    (rules.has_exercises, lambda nb: nb.cells.pop(3), "has 2 exercises"),
    (rules.has_exercises, replace_in(4, "toy.part_2", "toy.part_1"), "has 2 exercises"),
    (
        rules.has_exercises,
        replace_in(2, "**Predict first.**", "Well?"),
        "never asks to predict first",
    ),
    (rules.leaves_exercises_open, lambda nb: nb.cells[3].outputs.clear(), "an exercise is done"),
    (rules.has_short_cells, replace_in(1, "show(figure)", "x = 1\n" * 26), "cell 2 has 26 lines"),
    (
        rules.describes_its_figures,
        lambda nb: first_figure(nb).metadata.clear(),
        "cell 2 makes an image without alt",
    ),
    (
        rules.describes_its_figures,
        add_output(html("<p><img src='a.gif'></p>")),
        "cell 2: an image without alt text",
    ),
    (
        rules.describes_its_figures,
        add_output(html("<img alt='' src='a.gif'>")),
        "cell 2: an image without alt text",
    ),
    (
        rules.describes_its_figures,
        replace_in(2, "![a picture of a slot]", "![]"),
        "an image without alt text: ![]",
    ),
    (
        rules.imports_from_faces,
        add_code("from smm_tutorial.slots.mixture import SlotMixture"),
        "cell 8 imports smm_tutorial.slots.mixture: import from the room's face, smm_tutorial.slot",
    ),
    (
        rules.imports_from_faces,
        add_code("def f():\n    import smm_tutorial.scenes.camera"),
        "imports smm_tutorial.scenes.camera",
    ),
    (
        rules.imports_few_modules,
        add_code(f"from smm_tutorial import {', '.join('abcdefghijklm')}"),
        "it imports 13 modules, more than 12: smm_tutorial.a, ",
    ),
]


@pytest.mark.parametrize(("rule", "change", "words"), FAULTS)
def test_a_rule_fails_on_its_fault(good, rule, change, words):
    problems = rule(spoil(change)(good), "01_title")

    assert problems and words in problems[0], problems


def test_every_rule_has_a_fault_that_it_fails_on():
    assert {rule for rule, _, _ in FAULTS} == {*rules.RULES, *rules.SOURCE_RULES}


def test_a_notebook_may_import_faces_stable_names_and_files_of_its_subject(good):
    add_code("from smm_tutorial import figures, slots\nfrom smm_tutorial.metrics import mean_iou")(
        good
    )
    add_code("from smm_tutorial.scenes.masks import scene_masks\nimport torch.nn.functional")(good)
    assert rules.imports_from_faces(good, "05_discovery") == []

    add_code("from smm_tutorial.scenes.camera import project")(good)
    assert rules.imports_from_faces(good, "04_clevr_scenes") == []
    assert len(rules.imports_from_faces(good, "05_discovery")) == 1


def test_the_first_cell_may_fetch_the_library_as_it_must(good):
    good.cells[1].source = "from smm_tutorial.course.dependencies import install_missing"

    assert rules.imported_modules(good) == []


def test_the_welcome_needs_no_exercise():
    welcome = new_notebook(cells=[new_markdown_cell("# 00 · Welcome")])

    assert rules.has_exercises(welcome, "00_welcome") == []


def test_the_good_notebook_is_valid(good):
    nbformat.validate(good)
