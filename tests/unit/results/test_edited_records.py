"""Records edited by hand, and odd files beside them: `report` names file and field, and no more."""

import copy
import json
import os
import random
import shutil

import pytest

from smm_tutorial import cli, discovery, figures, paths, report, results, set_prediction
from smm_tutorial.fidelity.report import data_quality_table, effects_table
from smm_tutorial.results.schema import SET_SCORES
from smm_tutorial.set_prediction.scores import THRESHOLDS

REPORTS = ("discovery", "comparison", "set-prediction", "set-comparison", "data")
#: One of each kind, and those that stand beside them in tables.
NAMES = [
    "benchmark-input",
    "benchmark-raytrace",
    "raytracer-effects",
    "discovery-pixels",
    "discovery-mixture-clevr6-laptop-48px-seed0",
    "comparison-mixture-clevr6-laptop-48px-seed0",
    "comparison-attention-clevr6-laptop-48px-seed0",
    "search-mixture-clevr6-laptop-48px-rate0.0016-seed0",
    "variant-bare-mixture-clevr6-laptop-seed0",
    "set-prediction-mixture-clevr6-whole-laptop-weight1-pretrained-seed0",
    "set-comparison-mixture-clevr6-whole-laptop-pretrained-seed0",
    "set-comparison-attention-clevr6-whole-laptop-pretrained-seed0",
    "set-search-mixture-clevr6-whole-laptop-rate0.0005-pretrained-seed0",
]
COMMITTED = {name: paths.results_dir() / f"{name}.json" for name in NAMES}
EDITS = 8  # of each record
DELETED = object()
VALUES = [DELETED, None, "x", -1, 2.5, True, [], {}, [1], {"a": 1}, 10**400]
VALUES += [float("inf"), float("nan"), "two\nlines"]
#: By any table: their edits change nothing.
UNREAD = {"standard_errors", "slot_masks", "by_objects", "versions", "slot_options", "revision"}


@pytest.fixture
def folder(data_folder):
    """Some of the committed records, to edit."""
    for path in COMMITTED.values():
        shutil.copy(path, data_folder / "results")
    return data_folder / "results"


def list_fields(value, place=()):
    """Where the fields of a record lie; of a list, the first and the last."""
    names = value if isinstance(value, dict) else range(0, len(value), max(1, len(value) - 1))
    for name in names:
        if name not in UNREAD:
            yield (*place, name)
            if isinstance(value[name], dict | list):
                yield from list_fields(value[name], (*place, name))


def edit(record, place, value):
    record = copy.deepcopy(record)
    parent = record
    for name in place[:-1]:
        parent = parent[name]
    if value is DELETED:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value
    return record


def make_tables(name):
    """Every table and figure that reads records; they return, or raise."""
    record = results.read_record(name)
    for table in (*report.README_PARTS.values(), data_quality_table):
        table()
    discovery.full_comparison_report()
    discovery.ablation_table()
    set_prediction.search_table()
    if name == "raytracer-effects":
        effects_table(record)
        figures.effect_costs_figure(record)


@pytest.mark.parametrize("name", NAMES)
def test_an_edited_record_is_refused_by_file_and_field_or_still_good(folder, name):
    path = folder / f"{name}.json"
    original = json.loads(path.read_text())
    places = list(list_fields(original))
    rng = random.Random(name)
    for place, value in zip(
        rng.choices(places, k=EDITS), rng.choices(VALUES, k=EDITS), strict=True
    ):
        path.write_text(json.dumps(edit(original, place, value)))
        field = f"[{place[-1]}]" if isinstance(place[-1], int) else place[-1]
        try:
            make_tables(name)
        except ValueError as error:
            assert name in str(error) and field in str(error), f"{place} = {value!r}"
        # Any other error is the traceback that a user would see.


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        (NAMES[4], ("validation",), [], r"\(validation must be a list of at least 1, got \[\]\)"),
        (NAMES[5], ("scores", 2, "fg_ari"), "0.5", r"scores\[2\].fg_ari must be a number from -1 "),
        (NAMES[5], ("training", "seed"), DELETED, r"\(training.seed is missing\)"),
        (NAMES[5], ("task",), DELETED, r"\(task is missing\)"),
        (NAMES[5], ("version",), DELETED, r"\(version is missing\)"),
        (NAMES[5], ("name",), NAMES[6], f"name must be '{NAMES[5]}' as the file's, got "),
        (NAMES[5], ("scores", 0, "set"), "{0.__class__}", r"scores\[0\].set must be one of"),
        (NAMES[8], ("ablation",), None, "ablation must be text on one line, got None"),
        (NAMES[9], ("scores", 0, "ap", "0.25"), True, r"ap.0.25 must be a number .*, got True"),
        (NAMES[2], ("scores", "all effects"), DELETED, r"\(scores.all effects is missing\)"),
        (NAMES[0], ("scores",), [], r"benchmark-input.json .* \(scores must be an object"),
    ],
)
def test_the_message_names_file_field_and_way_out(folder, capsys, name, place, value, message):
    path = folder / f"{name}.json"
    path.write_text(json.dumps(edit(json.loads(path.read_text()), place, value)))
    with pytest.raises(results.RecordError, match=message) as error:
        results.read_record(name)
    assert str(path) in str(error.value) and "git checkout" in str(error.value)
    assert cli.main(["report", "discovery"]) == 1
    assert str(error.value) in capsys.readouterr().err


ODD_FILES = {
    "empty": b"",
    "cut": b'{"name": "odd", "scores": [',
    "deep": b"[" * 100_000,
    "null": b"null",
    "a list": b"[]",
    "a number of thousands of digits": b'{"name": "odd", "step": ' + b"9" * 5000 + b"}",
    "no text": b"\xff\x00\xfe",
}


@pytest.mark.parametrize("kind", ODD_FILES)
def test_a_file_that_is_no_record_is_named(folder, capsys, kind):
    (folder / "odd.json").write_bytes(ODD_FILES[kind])
    for experiment in REPORTS[:-1]:
        assert cli.main(["report", experiment]) == 1
        message = capsys.readouterr().err
        assert "odd.json" in message and "take it out of the folder" in message


def test_folders_and_lost_links_are_named(folder, capsys):
    (folder / "odd.json").mkdir()
    assert cli.main(["report", "discovery"]) == 1
    assert "odd.json is damaged, or no record" in capsys.readouterr().err
    (folder / "odd.json").rmdir()
    os.symlink("nowhere", folder / "odd.json")
    assert cli.main(["report", "discovery"]) == 1
    assert "odd.json is damaged, or no record" in capsys.readouterr().err


def test_a_byte_order_mark_and_hidden_files_of_other_systems_do_no_harm(folder, capsys):
    path = folder / f"{NAMES[4]}.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    (folder / "._odd.json").write_bytes(b"\0\5\x16\7")
    assert cli.main(["report", "discovery"]) == 0


def test_the_schema_knows_every_threshold_of_average_precision():
    assert list(SET_SCORES["ap"]) == list(THRESHOLDS)


def test_an_ablation_that_was_scored_on_other_data_too_keeps_its_line(folder):
    before = discovery.ablation_table()
    record = results.read_record(NAMES[8])
    results.add_scores(record, record["scores"][0] | {"set": "stacks", "fg_ari": 0.0})
    results.write_record(record)
    assert discovery.ablation_table() == before
