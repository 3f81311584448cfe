"""README and committed results say the same."""

import json
from itertools import groupby
from statistics import fmean

from smm_tutorial import paths, report
from smm_tutorial.discovery import recipe as discovery
from smm_tutorial.reconstruction import recipe as reconstruction
from smm_tutorial.results.records import VERSION, read_records
from smm_tutorial.set_prediction import recipe as set_prediction
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


def check_searches(tried, factors, rate, score, sign=1):
    """Each contestant's factor is its best tried one, and worse ones lie on both sides.

    A rate that was tried with several seeds counts by its mean. sign: -1 if lower is better.
    """
    found = sorted(tried, key=lambda record: record["contestant"])
    assert found
    for slots, records in groupby(found, lambda record: record["contestant"]):
        by_rate = {}
        for record in records:
            tried_rate = record["training"]["learning_rate"]
            by_rate.setdefault(tried_rate, []).append(sign * record["validation"][-1][score])
        means = {tried_rate: fmean(scores) for tried_rate, scores in by_rate.items()}
        best = max(means, key=means.__getitem__)
        assert best == factors[slots] * rate
        assert min(means) < best < max(means), f"{slots}: the search ends at its best rate"


def test_compared_runs_of_discovery_take_the_best_rate_of_a_search_and_it_lies_between_worse_ones():
    searched = read_records(task="discovery", purpose="search")
    rate = discovery.SIZES["laptop"].learning_rate
    check_searches(searched, discovery.LEARNING_RATE_FACTORS, rate, "fg_ari")


def test_compared_runs_of_set_prediction_take_the_best_rate_of_a_search_too():
    searched = read_records(task="set-prediction", purpose="search")
    sought = {search_key(record): record["step"] for record in searched}
    beside = [
        record
        for record in read_records(task="set-prediction", purpose="comparison")
        if sought.get(search_key(record)) == record["step"]
    ]
    assert {search_key(record) for record in beside} == sought.keys()
    rate = set_prediction.SIZES["laptop"].learning_rate
    check_searches(searched + beside, set_prediction.LEARNING_RATE_FACTORS, rate, "ap_inf")


def test_compared_runs_of_reconstruction_take_the_rate_with_the_fewest_nats_of_a_search():
    searched = read_records(task="reconstruction", purpose="search")
    if not searched and not read_records(task="reconstruction", purpose="comparison"):
        return  # nothing has been compared yet
    rate = reconstruction.SIZES["laptop"].learning_rate
    check_searches(searched, reconstruction.LEARNING_RATE_FACTORS, rate, "nats", sign=-1)
