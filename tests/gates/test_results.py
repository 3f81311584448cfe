"""README and committed results say the same."""

import json
from itertools import groupby

import pytest

from smm_tutorial import paths, report
from smm_tutorial.comparisons import TASKS
from smm_tutorial.experiments import LEARNING_RATE_FACTORS
from smm_tutorial.profiles import PROFILES
from smm_tutorial.set_experiments import SET_LEARNING_RATE_FACTORS
from tests.gates.project import ROOT

PROGRAMS = ("smm-tutorial", "python -m smm_tutorial", "python -m tests.benchmarks")


def test_the_readme_shows_the_records_as_they_are():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == report.readme_with_table(readme), "run `smm-tutorial report discovery --keep`"


def test_every_record_says_what_made_it():
    for path in paths.results_dir().glob("*.json"):
        record = json.loads(path.read_text())
        assert record["name"] == path.stem
        assert record["provenance"]["revision"] != "unknown"
        for scores in record["scores"].values():
            command = scores.get("command", record.get("command", ""))
            assert any(program in command for program in PROGRAMS)


@pytest.mark.parametrize(
    ("task", "search", "part", "factors"),
    [
        ("comparison", "search", "discovery", LEARNING_RATE_FACTORS),
        ("set-comparison", "set-search", "set_prediction", SET_LEARNING_RATE_FACTORS),
    ],
)
def test_compared_runs_take_the_best_rate_of_the_search_which_lies_between_worse_ones(task, search, part, factors):
    found = [json.loads(path.read_text()) for path in sorted(paths.results_dir().glob(f"{search}-*.json"))]
    for slots, records in groupby(sorted(found, key=lambda r: r["contestant"]), lambda r: r["contestant"]):
        by_rate = {r["training"]["learning_rate"]: r["validation"][-1][TASKS[task].choosing] for r in records}
        best = max(by_rate, key=by_rate.__getitem__)
        assert best == factors[slots] * getattr(PROFILES["laptop"], part).learning_rate
        assert min(by_rate) < best < max(by_rate), f"{slots}: the search ends at its best rate"
