"""README and committed results say the same."""

import json

from smm_tutorial import paths, report
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
