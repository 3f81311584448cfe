"""Every notebook keeps to the rules and says what its source says. All lists are globs."""

import ast
import inspect
import re

import jupytext
import nbformat
import pytest

from smm_tutorial.course.address import read_stamp, stamped_files
from smm_tutorial.course.notebooks import differences, notebook_path
from smm_tutorial.exercises.core import all_tasks
from tests.gates.project import NOTEBOOK_FOLDER, REPOSITORY, TEMPLATE, VERSION, notebooks, sources
from tests.gates.rules import EXERCISE, RULES, SOURCE_RULES, code_cells
from tests.shared import ROOT

LARGEST_NOTEBOOK = 3_000_000  # bytes

every_notebook = pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
every_source = pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)


def exercises_of(path):
    """The answers' stubs in a source: [(name of the exercise, parameters)]."""
    found = []
    for _, cell in code_cells(jupytext.read(path)):
        if not EXERCISE.search(cell.source):
            continue
        for node in ast.parse(cell.source).body:
            if isinstance(node, ast.FunctionDef) and node.decorator_list:
                arguments = [argument.arg for argument in node.args.args + node.args.kwonlyargs]
                found.append((node.decorator_list[0].args[0].value, arguments))
    return found


@every_source
def test_a_notebook_says_what_its_source_says(path):
    assert differences(path) == []


def test_no_notebook_is_without_a_source():
    assert set(notebooks()) == {notebook_path(source) for source in sources()}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@every_notebook
def test_a_notebook_keeps_to_the_rule(path, rule):
    assert rule(nbformat.read(path, as_version=4), path.stem) == []


@pytest.mark.parametrize("rule", SOURCE_RULES, ids=lambda rule: rule.__name__)
@every_source
def test_a_source_keeps_to_the_rule(path, rule):
    assert rule(jupytext.read(path), path.stem) == []


@every_notebook
def test_a_notebook_is_small_enough_to_open_anywhere(path):
    assert path.stat().st_size < LARGEST_NOTEBOOK


@every_notebook
def test_the_first_code_cell_is_the_one_of_the_template(path):
    wanted = code_cells(jupytext.read(TEMPLATE))[0][1]
    _, found = code_cells(nbformat.read(path, as_version=4))[0]

    assert found.source == wanted.source
    assert found.metadata.get("tags") == wanted.metadata.get("tags") == ["setup"]


@every_notebook
def test_the_links_below_the_title_lead_somewhere(path):
    header = nbformat.read(path, as_version=4).cells[0].source
    assert f"](source/{path.stem}.py)" in header
    assert (NOTEBOOK_FOLDER / "source" / f"{path.stem}.py").is_file()
    assert ("colab-badge" in header) == read_stamp(ROOT).published


def test_every_file_that_names_the_repository_names_this_address_and_version():
    stamp = read_stamp(ROOT)
    assert (stamp.address, stamp.version) == (REPOSITORY, VERSION)
    for path, text in stamped_files(ROOT, stamp).items():
        assert text == path.read_text(encoding="utf-8"), (
            f"{path.name}: run python -m smm_tutorial.course.address"
        )


@every_source
def test_an_answers_parameters_are_those_of_its_solution(path):
    for name, parameters in exercises_of(path):
        assert name in all_tasks(), f"{path.name} asks for {name}, which is not on file"
        assert parameters == list(inspect.signature(all_tasks()[name].solution).parameters), name


@pytest.mark.parametrize("task", all_tasks().values(), ids=lambda task: task.name)
def test_an_exercise_is_set_once_and_in_its_own_notebook(task):
    number = re.search(r"\.nb(\d\d)_", task.solution.__module__)[1]
    if not any(path.stem.startswith(number) for path in sources()):
        pytest.skip(f"notebook {number} is not written yet")
    where = [path.stem for path in sources() for name, _ in exercises_of(path) if name == task.name]

    message = f"{task.name} of nb{number} is set in {where}"
    assert len(where) == 1 and where[0].startswith(number), message
