"""Records: kept, found, brought up to version 2, refused."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from smm_tutorial import checkpoints, cli, datasets, discovery, paths, results
from smm_tutorial.discovery.model import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.results.records import KINDS, Protocol, read_kept_record
from tests.toys import toy_scenes


def scored(value, **scores):
    """An entry of `scores` as version 1 has it."""
    return {"fg_ari": value, "mbo": 0.5, "miou": 0.5, "ari": 0.5, "images": 320} | scores


def entry(set_name, value=0.5, **scores):
    """An entry of `scores` as version 2 has it."""
    return {"set": set_name, "starts": 1, "selection": "all"} | scored(value) | scores


AP = dict.fromkeys(("inf", "1", "0.5", "0.25", "0.125", "0.0625"), 0.5)
OLD = {
    "name": "comparison-mixture-clevr6-ci-seed0",
    "command": "smm-tutorial train discovery",
    "kind": "comparison",
    "contestant": "mixture",
    "config": {"slots": "mixture", "image_size": 32},
    "training": {"seed": 0, "learning_rate": 0.001, "loss": {"coordinate_weight": 1.0}},
    "variant": None,
    "profile": "ci",
    "data": "clevr6",
    "step": 3,
    "minutes": 0.5,
    "scores": {
        "clevr6, test": scored(0.5),
        "clevr6, test, best of 8 starts": scored(0.6, starts=8),
        "CLEVR as released (15 images), slots by BIC": scored(0.7, images=15),
        "stacks, best of 2 starts, slots by BIC": scored(0.8),
    },
    "validation": [{"fg_ari": 0.4, "mbo": 0.4, "ap_inf": 0.4, "ap_0.5": 0.4}],
    "provenance": {"hardware": {"cpus": 2, "gpu": None}},
}
DATA = {"discovery": "clevr6", "set-prediction": "clevr6-whole"}


def upgraded(**changes):
    return results.upgrade_record(OLD | changes)


def with_scores(*entries, **changes):
    """The old record, as version 2, with these scores."""
    return upgraded(**changes) | {"scores": list(entries)}


def test_old_sentences_become_fields_and_no_number_changes():
    record = upgraded()
    assert record["version"] == 2 and "kind" not in record and "variant" not in record
    assert (record["task"], record["purpose"], record["ablation"]) == (
        "discovery",
        "comparison",
        None,
    )
    fields = ("set", "images", "starts", "selection", "fg_ari")
    assert [tuple(scores[field] for field in fields) for scores in record["scores"]] == [
        ("clevr6", 320, 1, "all", 0.5),
        ("clevr6", 320, 8, "all", 0.6),
        ("clevr-official", 15, 1, "bic", 0.7),
        ("stacks", 320, 2, "bic", 0.8),
    ]
    assert {key: record[key] for key in ("name", "config", "step", "validation")} == {
        key: OLD[key] for key in ("name", "config", "step", "validation")
    }
    assert "clevr6, test" in OLD["scores"], "the given record has changed"
    assert results.upgrade_record(record) is record


def test_titles_of_protocols_are_the_old_sentences():
    titles = [Protocol.of(scores).title("discovery") for scores in upgraded()["scores"]]
    assert titles == list(OLD["scores"])


@pytest.mark.parametrize("kind", KINDS)
def test_old_kinds_become_task_and_purpose_by_the_field_or_by_the_name(kind):
    record = OLD | {"kind": kind, "name": "any", "scores": {}, "data": DATA[KINDS[kind][0]]}
    record["variant"] = "bare"
    by_field = results.upgrade_record(record)
    record |= {"kind": None, "name": f"{kind}-mixture-clevr6-ci-seed0"}
    by_name = results.upgrade_record(record)
    for new in (by_field, by_name):
        assert (new["task"], new["purpose"]) == KINDS[kind]


def test_the_oldest_records_get_a_contestant_and_what_needs_no_training_is_a_baseline():
    oldest = {key: OLD[key] for key in OLD if key not in ("kind", "contestant")}
    assert results.upgrade_record(oldest)["contestant"] == "mixture"
    pixels = {"name": "discovery-pixels", "config": {}, "scores": {"stacks": scored(0.4)}}
    pixels = results.upgrade_record(pixels | {"provenance": OLD["provenance"]})
    assert (pixels["task"], pixels["purpose"]) == ("discovery", "baseline")
    assert "contestant" not in pixels
    assert pixels["scores"] == [entry("stacks", 0.4)]


def test_sets_have_no_starts_and_benchmarks_keep_their_scores():
    scores = {"CLEVR as released (4 images, at most 6 objects)": {"images": 4, "ap": AP}}
    record = upgraded(kind="set-comparison", scores=scores, data="clevr6-whole")
    assert record["scores"] == [{"set": "clevr-official", "images": 4, "ap": AP}]
    row = {"value": 1.0, "unit": "s", "bar": ">= 1"}
    benchmark = {"name": "benchmark-input", "scores": {"a row": row}}
    assert results.upgrade_record(benchmark) == {"version": 2} | benchmark


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, "seed0 has version 3, but this smm_tutorial knows 1 and 2: bring the cou"),
        ({"version": "2"}, "has version '2', but"),
        ({"version": True}, "has version True, but"),
        ({"version": 10**400}, "has version 1000.*, but"),
        ({"kind": "contest"}, "seed0 is damaged.*kind must be one of .*, got 'contest'"),
        ({"scores": {"the moon": {}}}, "scores on unknown data, 'the moon'.*make it again"),
        ({"scores": {"": {}}}, "scores on unknown data, ''"),
        ({"scores": [scored(0.5)]}, "scores must be an object"),
        ({"task": "discovery"}, r"seed0 is damaged.*\(version is missing\)"),
        ({"name": "../outside"}, r"name: '../outside' is refused.*no '/'|must stay below"),
        ({"name": None}, "name: a file's name must be text"),
    ],
)
def test_what_no_version_had_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        upgraded(**change)


def test_a_later_version_is_refused_where_it_is_read_and_not_overwritten(data_folder, capsys):
    path = data_folder / "results" / f"{OLD['name']}.json"
    path.write_text(json.dumps(OLD | {"version": 3}))
    before = path.read_text()
    for use in (results.read_record, lambda name: results.keep_record(OLD)):
        with pytest.raises(ValueError, match="has version 3.*bring the course up to date"):
            use(OLD["name"])
    assert cli.main(["report", "comparison"]) == 1
    assert "has version 3" in capsys.readouterr().err
    assert path.read_text() == before


@pytest.mark.parametrize("content", [b'{"name": "a"', b"[1, 2]", b'{"scores": {}}', b"\xff\xfe{"])
def test_a_damaged_record_is_named_with_the_way_out(data_folder, content):
    path = data_folder / "results" / "a.json"
    path.write_bytes(content)
    for read in (lambda: results.read_record("a"), results.read_records):
        with pytest.raises(ValueError, match=r"a\.json is damaged, or no record.*git checkout"):
            read()


def test_whatever_is_written_is_version_2_and_read_back_alike(data_folder):
    path = results.write_record(OLD)
    assert json.loads(path.read_text()) == upgraded() == results.read_record(OLD["name"])
    old_file = data_folder / "results" / "search-a.json"
    old_file.write_text(json.dumps(OLD | {"name": "search-a", "kind": "search"}))
    assert results.read_record("search-a")["purpose"] == "search"


def test_records_are_chosen_by_their_fields_and_come_by_name(data_folder):
    for name in ("b", "a", "c"):
        results.write_record(
            OLD | {"name": name, "kind": "search" if name == "c" else "comparison"}
        )
    results.write_record({"name": "benchmark-a", "scores": {}, "provenance": {}})
    found = results.read_records(task="discovery", purpose="comparison")
    assert [record["name"] for record in found] == ["a", "b"]
    assert [record["name"] for record in results.read_records()] == ["a", "b", "benchmark-a", "c"]


def test_scores_are_found_by_their_protocol():
    record = upgraded()
    assert results.find_scores(record, "clevr6")["fg_ari"] == 0.5
    assert results.find_scores(record, "clevr6", starts=8)["fg_ari"] == 0.6
    assert results.find_scores(record, "clevr-official", 15, selection="bic")["fg_ari"] == 0.7
    assert results.find_scores(record, "clevr-official", 320, selection="bic") is None
    assert results.find_scores(record, "stacks") is None


def test_added_scores_replace_those_of_the_same_protocol_alone():
    record = with_scores(entry("stacks", 0.1, images=5), entry("clevr6"))
    results.add_scores(record, entry("stacks", 0.2, images=5))
    results.add_scores(record, entry("stacks", 0.3))
    results.add_scores(record, entry("stacks", 0.4, images=5, starts=8))
    assert [scores["fg_ari"] for scores in record["scores"]] == [0.2, 0.5, 0.3, 0.4]


def test_a_kept_record_keeps_earlier_scores_of_the_same_run(data_folder):
    results.keep_record(with_scores(entry("stacks", 0.1), entry("clevr6", 0.2)))
    results.keep_record(with_scores(entry("clevr6", 0.3), entry("cogent-a", 0.4)))
    kept = results.read_record(OLD["name"])["scores"]
    assert [(scores["set"], scores["fg_ari"]) for scores in kept] == [
        ("stacks", 0.1),
        ("clevr6", 0.3),
        ("cogent-a", 0.4),
    ]
    results.keep_record(with_scores(entry("clevr6"), step=4))  # another run
    assert results.read_record(OLD["name"])["scores"] == [entry("clevr6")]


KEEPER = """
import sys
from smm_tutorial import results
process, keep = int(sys.argv[1]), sys.argv[2]
for starts in range(1, 7):
    record = results.read_record(sys.argv[3])
    scores = record["scores"][0] | {"starts": 10 * process + starts, "images": 1}
    if keep == "scores":
        results.keep_scores(record, scores)
    else:
        results.keep_record(record | {"scores": [scores]})
"""


@pytest.mark.parametrize("keep", ["scores", "record"])
def test_processes_that_keep_scores_at_once_lose_none(data_folder, keep):
    results.write_record(with_scores(entry("clevr6")))
    processes = [
        subprocess.Popen([sys.executable, "-c", KEEPER, str(number), keep, OLD["name"]])
        for number in range(4)
    ]
    assert [process.wait() for process in processes] == [0] * 4
    assert len(results.read_record(OLD["name"])["scores"]) == 1 + 4 * 6


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/b", "..", ".hidden", "C:\\x", "a\0"])
def test_a_name_leads_to_no_file_elsewhere(data_folder, name):
    record = with_scores(name=OLD["name"]) | {"name": name}
    for use in (results.write_record, results.keep_record, read_kept_record):
        with pytest.raises(results.RecordError, match="is refused as a file's name"):
            use(record)
    with pytest.raises(ValueError, match="is refused as a file's name"):
        results.read_record(name)
    with pytest.raises(results.RecordError, match="is refused as a file's name"):
        results.write_record(record, data_folder / "runs")
    assert not list(data_folder.glob("**/*.json"))


def test_what_is_of_no_task_takes_no_scores(data_folder):
    with pytest.raises(results.RecordError, match="the record mine .*task is missing"):
        read_kept_record({"name": "mine", "model": "ObjectDiscovery"})


def test_an_old_record_of_a_run_finds_the_kept_one_of_the_same_run(data_folder):
    assert read_kept_record(OLD) == upgraded()
    results.keep_record(with_scores(entry("stacks")))
    assert read_kept_record(OLD)["scores"] == [entry("stacks")]
    with pytest.raises(ValueError, match="is of a run with another step"):
        read_kept_record(OLD | {"step": 4})


def test_a_checkpoint_of_version_1_is_evaluated_into_version_2(data_folder, monkeypatch):
    monkeypatch.setattr(
        datasets, "load", lambda name, split, size, **options: toy_scenes(size=size)
    )
    model = ObjectDiscovery(DiscoveryConfig(image_size=16, slot_dim=8, encoder_channels=8))
    old = OLD | {"model": "ObjectDiscovery", "config": asdict(model.config)}
    old |= {"name": "variant-bare-mixture", "kind": "variant", "variant": "bare"}
    path = data_folder / "checkpoints" / f"{old['name']}.safetensors"
    checkpoints.write(path, model.state_dict(), old)
    record, scores = discovery.score_by_name(old["name"], "stacks", None, 0, "a command", starts=4)
    results.add_scores(record, scores)
    assert (record["version"], record["purpose"], record["ablation"]) == (2, "ablation", "bare")
    titles = [Protocol.of(scores).title("discovery") for scores in record["scores"]]
    assert titles == [*OLD["scores"], "stacks, best of 4 starts"]
    assert record["scores"][-1]["command"] == "a command"


def test_records_of_committed_checkpoints_are_those_in_the_results():
    for name in checkpoints.available():
        _, record = checkpoints.read(paths.checkpoints_dir() / f"{name}.safetensors")
        record = results.upgrade_record(record)
        kept = read_kept_record(record)  # refuses another run
        for field in ("version", "task", "purpose", "contestant", "data"):
            assert record.get(field) == kept.get(field)  # a tokenizer has no contestant
        for scores in record["scores"]:
            assert results.find_scores(kept, *Protocol.of(scores))


def test_results_are_read_and_tabled_without_torch():
    program = """
import sys
from smm_tutorial import results
groups = results.read_groups("discovery")
assert results.describe_differences(groups) and results.shift_table(groups, ("mbo",))
print(sorted({"torch", "numpy", "scipy", "matplotlib", "smm_tutorial.datasets"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
