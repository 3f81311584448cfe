"""A committed checkpoint scores what its record says; every committed record is read."""

import hashlib

import pytest
from safetensors import safe_open

from smm_tutorial import checkpoints, discovery, paths, results
from smm_tutorial.datasets.named_sets import EVALUATION_SETS
from smm_tutorial.report import SHOWN_CHECKPOINT


def test_the_shown_checkpoint_scores_what_its_record_says():
    """To a thousandth: the last digit depends on the processor."""
    model, record = checkpoints.load(SHOWN_CHECKPOINT)
    test = EVALUATION_SETS[record["data"]].load(model.config.image_size)
    recorded = results.find_scores(results.read_record(SHOWN_CHECKPOINT), record["data"])
    scores = discovery.evaluate(model, test)
    assert scores["images"] == recorded["images"]
    for name in ("fg_ari", "mbo", "miou", "ari"):
        assert scores[name] == pytest.approx(recorded[name], abs=1e-3)


@pytest.mark.parametrize("name", checkpoints.available())
def test_every_committed_checkpoint_is_of_the_run_that_its_record_is_of(name):
    model, record = checkpoints.load(name)
    recorded = results.read_record(name)
    assert record["name"] == name == recorded["name"]
    assert type(model).__name__ == recorded["model"]
    for field in ("config", "step", "validation"):
        assert record[field] == recorded[field]


def test_every_committed_checkpoint_has_a_checksum_its_own_or_in_the_list():
    folder = paths.checkpoints_dir()
    own = set()
    for name in checkpoints.available():
        with safe_open(folder / f"{name}.safetensors", framework="pt") as file:
            own |= {f"{name}.safetensors"} if "sha256" in file.metadata() else set()
    lines = (folder / checkpoints.SUMS_NAME).read_text().splitlines()
    listed = dict(line.split("  ")[::-1] for line in lines)
    assert listed.keys().isdisjoint(own), "take them out of the list, they hold a newer sum"
    assert listed.keys() | own == {f"{name}.safetensors" for name in checkpoints.available()}
    for name, expected in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected


def test_every_committed_record_is_read():
    names = sorted(path.stem for path in paths.results_dir().glob("*.json"))
    assert [results.read_record(name)["name"] for name in names] == names
    assert {record["name"] for record in results.read_records(task="discovery")} <= set(names)
