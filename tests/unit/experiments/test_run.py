"""What the runs of every task share: seeds, choices, and what a record must say."""

import json

import pytest
import torch
from torch import nn

from smm_tutorial import checkpoints, discovery, results
from smm_tutorial.experiments.run import build_seeded, save_run
from smm_tutorial.results.provenance import provenance
from smm_tutorial.slots.base import check_choice

FIELDS = {
    "version",
    "name",
    "task",
    "purpose",
    "command",
    "contestant",
    "model",
    "config",
    "training",
    "ablation",
    "profile",
    "data",
    "step",
    "minutes",
    "images_per_s",
    "peak_memory_mib",
    "validation",
    "scores",
    "provenance",
}  # of a record of object discovery, as `results.records` documents them


def test_a_seed_decides_what_is_built_and_the_global_randomness_stays():
    before = torch.get_rng_state()
    one, same, other = (build_seeded(lambda: nn.Linear(3, 2), seed) for seed in (0, 0, 1))
    assert torch.equal(one.weight, same.weight) and not torch.equal(one.weight, other.weight)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_choice_is_refused_with_the_known_ones():
    check_choice("profile", "ci", {"ci": 1, "laptop": 2})
    with pytest.raises(ValueError, match="profile must be one of 'ci', 'laptop', got 'huge'"):
        check_choice("profile", "huge", {"ci": 1, "laptop": 2})


@pytest.fixture
def trained(toy_data):
    run = discovery.DiscoveryRun(profile="ci", steps=1)
    return run, *discovery.train_and_record(run, "smm-tutorial train", progress=False)


def test_a_record_has_every_field_and_what_the_run_used(trained):
    run, model, record = trained
    assert record.keys() == FIELDS
    assert (record["name"], record["step"], record["command"]) == (
        run.name,
        1,
        "smm-tutorial train",
    )
    assert record["provenance"]["hardware"]["threads"] == torch.get_num_threads()
    assert record["provenance"].keys() == provenance().keys()
    assert record["training"]["loss"] == {"objective": "mixture", "price": 0.001, "num_slots": 6}


@pytest.mark.parametrize("keep", [None, "record", "checkpoint"])
def test_what_is_kept_lies_under_data_and_the_rest_in_the_runs_folder(trained, toy_data, keep):
    run, model, record = trained
    checkpoint, kept = save_run(model, record, keep)
    assert checkpoint.parent == (toy_data / "checkpoints" if keep == "checkpoint" else run.folder)
    assert kept.parent == (toy_data / "results" if keep else run.folder)
    assert json.loads(kept.read_text())["name"] == run.name
    assert checkpoints.load(run.name).record == record
    assert bool(results.read_records(task="discovery")) == bool(keep)
