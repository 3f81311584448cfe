"""What the runs of every task share: seeds, choices, and what a record must say."""

import argparse
import json
import os
import shlex
import shutil
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from smm_tutorial import checkpoints, discovery, results, set_prediction
from smm_tutorial.cli import train
from smm_tutorial.experiments.run import build_seeded, check_kept, save_run
from smm_tutorial.files import DRAFT_SUFFIX
from smm_tutorial.results.provenance import provenance
from smm_tutorial.slots.base import check_choice
from smm_tutorial.training.state import CannotWriteError
from tests.incidents import FileOperations, at_point, fill_disk, leave_copies

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


@pytest.mark.parametrize(
    ("choices", "part"),
    [
        ({"steps": 7}, "steps7-"),
        ({"steps": 20}, ""),  # the recipe's own
        ({"rate": 1e-3}, "rate0.001-"),
        ({"rate": 0.0012345678}, "rate0.0012345678-"),
        ({"rate": 0.0012345679}, "rate0.0012345679-"),
        ({"precision": "bf16-mixed"}, "bf16-mixed-"),
        ({"compile": "default"}, "compiled-"),
        ({"steps": 7, "rate": 0.5, "precision": "32-true"}, "steps7-rate0.5-32-true-"),
    ],
)
def test_a_name_says_what_was_chosen_of_the_training(choices, part):
    pixels = discovery.DiscoveryRun(profile="ci", **choices)
    assert pixels.name == f"discovery-mixture-clevr6-ci-{part}seed0"
    sets = set_prediction.SetPredictionRun(profile="ci", **choices)
    assert sets.name == f"set-prediction-mixture-clevr6-whole-ci-{part}seed0"


RECORDS = [r for r in results.read_records() if r.get("command", "").startswith("smm-tutorial tr")]


@pytest.mark.parametrize("record", RECORDS, ids=[record["name"] for record in RECORDS])
def test_a_committed_runs_command_makes_a_run_of_its_name(record):
    parser = argparse.ArgumentParser()
    train.add_to(parser.add_subparsers())
    options = parser.parse_args(shlex.split(record["command"])[1:])
    choose = {
        train.train_discovery: train.choose_discovery,
        train.train_set_prediction: train.choose_set_prediction,
        train.train_tokenizer: train.choose_tokenizer,
        train.train_reconstruction: train.choose_reconstruction,
    }
    run = choose[options.run](options)
    assert run.name == record["name"]
    assert run.training.steps == record["training"]["steps"] == record["step"]


def kept_files(folder, name):
    return [folder / "checkpoints" / f"{name}.safetensors", folder / "results" / f"{name}.json"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("step", 2, "it has 2 steps and not 1"),
        ("data", "stacks", "its data is 'stacks' and not 'clevr6'"),
        ("ablation", "bare", "its ablation is 'bare' and not None"),
        ("training.precision", "16-mixed", "its training.precision is '16-mixed' and not '"),
        ("training.loss", {"price": 1}, r"its training.loss is {'price': 1} and not {"),
        ("config.slot_dim", 8, "its config.slot_dim is 8 and not 48"),
        ("training", None, "it cannot be read"),
    ],
)
def test_another_run_by_the_same_name_is_replaced_on_demand_alone(
    trained, toy_data, field, value, message
):
    run, model, record = trained
    other = json.loads(json.dumps(record))
    outer, _, inner = field.rpartition(".")
    (other[outer] if outer else other)[inner] = value
    checkpoint, kept = kept_files(toy_data, run.name)
    for keep in ("record", "checkpoint"):
        kept.write_text(json.dumps(other))
        before = kept.read_bytes()
        expected = f"{run.name}.json is of another run .*{message}"
        with pytest.raises(FileExistsError, match=expected):
            check_kept(run.choices, keep)
        with pytest.raises(FileExistsError, match=expected):
            save_run(model, record, keep)
        assert kept.read_bytes() == before and not checkpoint.exists()
        save_run(model, record, keep, replace=True)
        assert json.loads(kept.read_text()) == record
        save_run(model, record, keep)  # the same run again


def test_a_record_alone_is_not_kept_beside_the_checkpoint_of_another_run(trained, toy_data):
    run, model, record = trained
    checkpoint, kept = kept_files(toy_data, run.name)
    checkpoints.write(checkpoint, model.state_dict(), record | {"step": 5})
    for replaced in (False, True):
        with pytest.raises(FileExistsError, match="--keep checkpoint --replace puts the new run"):
            save_run(model, record, "record", replaced)
    assert not kept.exists()
    save_run(model, record, "checkpoint", replace=True)
    assert checkpoints.read(checkpoint)[1] == json.loads(kept.read_text()) == record


@pytest.mark.parametrize("content", [b"", b"null", b"{}", b"[1]"])
def test_damaged_files_are_replaced_on_demand_alone(trained, toy_data, content):
    run, model, record = trained
    for file in kept_files(toy_data, run.name):
        file.write_bytes(content)
        with pytest.raises(FileExistsError, match="it cannot be read"):
            save_run(model, record, "checkpoint")
        save_run(model, record, "checkpoint", replace=True)
        assert checkpoints.load(run.name).record == record == results.read_record(run.name)


def test_what_a_read_only_folder_cannot_keep_is_refused_before(trained, toy_data, monkeypatch):
    monkeypatch.setattr(os, "access", lambda folder, mode: folder != toy_data / "results")
    with pytest.raises(PermissionError, match="results, which is read-only: leave out --keep"):
        check_kept(trained[0].choices, "checkpoint")
    check_kept(trained[0].choices, None)


@pytest.mark.parametrize("keep", [None, "record", "checkpoint"])
def test_a_run_that_is_killed_while_it_is_saved_is_saved_by_the_next_call(
    trained, toy_data, tmp_path_factory, keep
):
    run, model, record = trained
    copies = tmp_path_factory.mktemp("copies")
    operations = FileOperations(toy_data, leave_copies(copies))
    with operations.watched():
        save_run(model, record, keep)
    assert len(operations.seen) >= 14
    for point in range(len(operations.seen)):
        shutil.rmtree(toy_data)
        shutil.copytree(copies / str(point), toy_data)
        checkpoint, kept = save_run(model, record, keep)
        assert checkpoints.read(checkpoint)[1] == json.loads(kept.read_text()) == record
        assert not list(toy_data.rglob(f".*{DRAFT_SUFFIX}"))


@pytest.mark.parametrize("keep", [None, "record", "checkpoint"])
def test_a_full_disk_says_where_the_run_is_safe(trained, toy_data, keep):
    run, model, record = trained
    for point in (0, 8):
        operations = FileOperations(toy_data, at_point(point, fill_disk))
        with operations.watched(), pytest.raises(CannotWriteError) as info:
            save_run(model, record, keep)
        assert f"make room on its disk; the trained run is whole in {run.folder}" in str(info.value)
    save_run(model, record, keep)


def test_a_state_of_a_run_that_began_otherwise_is_refused(toy_sets):
    for name in ("one", "other"):
        pixels = discovery.build_model(discovery.DiscoveryRun(profile="ci").config, seed=5)
        record = {"name": name, "model": "ObjectDiscovery", "config": asdict(pixels.config)}
        path = toy_sets / "checkpoints" / f"{name}.safetensors"
        checkpoints.write(path, pixels.state_dict(), record)
    run = set_prediction.SetPredictionRun(profile="ci", steps=3, begin_with="one")
    set_prediction.train(run, run.folder, stop_at=2, progress=False)
    with pytest.raises(checkpoints.CheckpointError, match="is of a run with another begun_with"):
        set_prediction.train(replace(run, begin_with="other"), run.folder, progress=False)
    assert set_prediction.train(run, run.folder, progress=False)[1].step == 3
