"""README and committed results say the same."""

import json
from itertools import groupby

from smm_tutorial import paths, report
from smm_tutorial.discovery.recipe import LEARNING_RATE_FACTORS, SIZES
from smm_tutorial.results.records import VERSION, read_records
from smm_tutorial.set_prediction.tables import search_key
from tests.shared import ROOT

PROGRAMS = ("smm-tutorial", "python -m smm_tutorial", "python -m tests.benchmarks")


def test_the_readme_shows_the_records_as_they_are():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == report.fill_readme(readme), "run `smm-tutorial report discovery --keep`"


def test_every_record_says_what_made_it():
    for path in paths.results_dir().glob("*.json"):
        record = json.loads(path.read_text())
        assert record["name"] == path.stem and record["version"] == VERSION
        assert record["provenance"]["revision"] != "unknown"
        entries = record["scores"] if "task" in record else record["scores"].values()
        for scores in entries:
            command = scores.get("command", record.get("command", ""))
            assert any(program in command for program in PROGRAMS)


def test_compared_runs_of_discovery_take_the_best_rate_of_a_search_and_it_lies_between_worse_ones():
    searched = read_records(task="discovery", purpose="search")
    found = sorted(searched, key=lambda record: record["contestant"])
    for slots, records in groupby(found, lambda record: record["contestant"]):
        rated = [(record["training"]["learning_rate"], record) for record in records]
        by_rate = {rate: record["validation"][-1]["fg_ari"] for rate, record in rated}
        best = max(by_rate, key=by_rate.__getitem__)
        assert best == LEARNING_RATE_FACTORS[slots] * SIZES["laptop"].learning_rate
        assert min(by_rate) < best < max(by_rate), f"{slots}: the search ends at its best rate"


def test_no_searched_rate_of_set_prediction_is_better_than_the_one_that_compared_runs_share():
    compared = {
        search_key(record): record
        for record in read_records(task="set-prediction", purpose="comparison")
    }
    searched = read_records(task="set-prediction", purpose="search")
    assert searched
    for record in searched:
        other = compared[search_key(record)]
        assert (
            record["step"] == other["step"]
            and record["training"]["learning_rate"] != other["training"]["learning_rate"]
        )
        assert record["validation"][-1]["ap_inf"] < other["validation"][-1]["ap_inf"], record[
            "name"
        ]
