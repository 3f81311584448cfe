"""Minutes of a notebook: what is counted, what was measured, and where it is written."""

import json

import jupytext
import pytest

from smm_tutorial.course.notebooks import keep_run_seconds
from smm_tutorial.exercises import minutes
from smm_tutorial.exercises.core import find_task
from smm_tutorial.exercises.minutes import Minutes, count_minutes, fill_header, fill_table
from tests.gates.project import sources
from tests.shared import ROOT

SETUP = "# %%\nsetup = 1\n"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source" / "09_small.py"
    path.parent.mkdir()
    return path


def reading(source, *cells):
    source.write_text("\n\n".join([SETUP, *cells]))
    return count_minutes(source).reading


def test_words_lines_figures_and_formulas_take_time(source):
    prose = "# %% [markdown]\n# " + "word " * (20 * minutes.WORDS)
    code = "# %%\n" + "x = 1\n" * (10 * minutes.CODE_LINES)
    figures = "# %%\n" + "show(1)\n" * 20
    assert reading(source, prose) == 20
    assert reading(source, prose, code) == 30
    assert reading(source, prose, code, figures) == 40  # and 20 lines, a minute
    assert reading(source, prose, "# %% [markdown]\n" + "# $$x$$\n" * 10) == 30
    assert reading(source, "# %%\n" + "# a comment\n" * 1000) == minutes.ROUND_TO


def test_tasks_say_how_long_they_take_and_runs_are_measured(source, monkeypatch):
    task = '# %%\n@exercise("em.log_sum_exp")\ndef log_sum_exp(values):\n    ...'
    reading(source, task)
    found = count_minutes(source)
    assert found.exercises == find_task("em.log_sum_exp").minutes and found.running == {}
    for profile, seconds in {"laptop": 201.4, "gpu": 20.0}.items():
        monkeypatch.setenv("SMM_PROFILE", profile)
        keep_run_seconds(source, seconds)
    kept = json.loads((source.parent / "run_seconds.json").read_text())
    assert kept == {"09_small": {"laptop": 201, "gpu": 20}}
    assert str(count_minutes(source)) == (
        f"About {5 + found.exercises + 3}: 5 to read, {found.exercises} for the exercises, "
        "3 to run on a laptop, 1 to run on a GPU."
    )


def test_the_minutes_go_into_the_header_and_the_table():
    found = Minutes(reading=60, exercises=25, running={"laptop": 3.4})
    header = fill_header("# 01 · X\n\n**Minutes.** Few.\n\nText.", found)
    line = "**Minutes.** About 88: 60 to read, 25 for the exercises, 3 to run on a laptop."
    assert header == f"# 01 · X\n\n{line}\n\nText."
    row = "| [06 · Judging](notebooks/06_judging.ipynb) | judge | 1 | 2 | 3 |\n| other | 9 |"
    filled = fill_table(row, "06_judging", found)
    assert filled == row.replace("| 1 | 2 | 3 |", "| 60 | 25 | 3 |")


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_headers_and_readme_say_the_minutes_that_were_counted(path):
    found = count_minutes(path)
    header = jupytext.read(path).cells[0].source
    assert f"**Minutes.** {found}" in header, "run python -m smm_tutorial.exercises.minutes"
    readme = (ROOT / "README.md").read_text()
    assert fill_table(readme, path.stem, found) == readme
