"""Object discovery from the command line: train, evaluate, report, and what is kept where."""

import argparse
import json
import threading
from dataclasses import asdict, replace

import numpy as np
import pytest

from smm_tutorial import checkpoints, cli, datasets, discovery, files, paths, results
from smm_tutorial.datasets.named_sets import EVALUATION_SETS
from smm_tutorial.discovery import runs
from smm_tutorial.files import FolderBusyError
from smm_tutorial.scenes import random_scene
from smm_tutorial.set_prediction.model import SetPredictionConfig, SetPredictor
from smm_tutorial.training.state import own_folder
from tests.toys import toy_scenes

TRAIN = ["train", "discovery", "--profile", "ci"]
NAME = "discovery-mixture-clevr6-ci-steps2-seed0"


def sets_of(record):
    return [entry["set"] for entry in record["scores"]]


def test_slot_attention_trains_by_the_same_command(toy_data):
    assert cli.main([*TRAIN, "--slots", "attention", "--steps", "2", "--keep"]) == 0
    model, record = checkpoints.load("discovery-attention-clevr6-ci-steps2-seed0")
    assert record["config"]["slots"] == "attention"
    assert type(model.slots).__name__ == "SlotAttention"


def test_train_evaluate_and_report(toy_data, capsys):
    assert cli.main([*TRAIN, "--steps", "2", "--keep"]) == 0
    record = json.loads((toy_data / "results" / f"{NAME}.json").read_text())
    assert record["command"] == "smm-tutorial train discovery --profile ci --steps 2 --keep"
    assert (record["step"], record["training"]["steps"], record["version"]) == (2, 2, 2)
    assert (record["task"], record["purpose"]) == ("discovery", "showcase")
    assert "revision" in record["provenance"] and record["provenance"]["hardware"]["threads"] >= 1
    assert checkpoints.load(NAME).record["config"] == record["config"]

    for what in (NAME, "untrained", "pixels"):
        command = ["evaluate", what, "--data", "clevr-renders", "--root", "somewhere", "--keep"]
        assert cli.main(command) == 0
    record = json.loads((toy_data / "results" / f"{NAME}.json").read_text())
    assert sets_of(record) == ["clevr6", "clevr-renders"]
    blender = record["scores"][1]
    expected = f"smm-tutorial evaluate {NAME} --data clevr-renders --root PATH --keep"
    assert blender["command"] == expected
    details = {"by_objects", "by_size", "standard_errors", "decoder_masks", "slot_masks"}
    assert details <= blender.keys()

    capsys.readouterr()
    assert cli.main(["report", "discovery"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| Gaussian mixture on raw pixels",
        "| SMM, untrained",
        "| SMM, 32 px, seed 0",
        "| SMM, 32 px, seed 0",
    ]


def test_a_kept_comparison_is_a_record_and_its_checkpoint_only_on_demand(toy_data, capsys):
    train = [*TRAIN, *"--slots mixture-reduced --steps 2 --seed 1 --kind comparison".split()]
    assert cli.main([*train, "--keep"]) == 0
    name = "comparison-mixture-reduced-clevr6-ci-steps2-seed1"
    kept = toy_data / "results" / f"{name}.json"
    assert checkpoints.available() == []
    record = json.loads(kept.read_text())
    assert (record["purpose"], record["contestant"]) == ("comparison", "mixture-reduced")
    assert record["config"]["slots"] == "mixture"
    assert record["config"]["slot_options"]["content"] == "reduced"

    # The checkpoint of the run on this machine is found; no score is lost.
    assert cli.main(["evaluate", name, "--data", "stacks", "--keep"]) == 0
    assert cli.main([*train, "--keep", "checkpoint"]) == 0
    assert checkpoints.available() == [name]
    record = json.loads(kept.read_text())
    assert sets_of(record) == ["clevr6", "stacks"]
    assert record["command"].endswith("--keep checkpoint")


def test_scores_do_not_go_into_the_record_of_another_run(toy_data, capsys):
    train = [*TRAIN, "--keep", "--steps", "2"]
    assert cli.main(train) == 0
    path = toy_data / "results" / f"{NAME}.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"step": 3, "scores": []}))
    assert cli.main(["evaluate", NAME, "--keep"]) == 1
    message = "is of a run with another step: scores of two runs do not go into one record"
    assert message in capsys.readouterr().err
    assert cli.main(train) == 1 and "--replace puts the new run" in capsys.readouterr().err
    assert cli.main([*train, "--replace"]) == 0  # the record of the other, scores and all
    assert sets_of(json.loads(path.read_text())) == ["clevr6"]


def test_a_run_here_is_found_by_its_name_or_its_file(toy_data, capsys):
    for rate in ("0.001", "0.002"):
        assert cli.main([*TRAIN, "--steps", "1", "--learning-rate", rate]) == 0
        name = f"discovery-mixture-clevr6-ci-steps1-rate{rate}-seed0"
        assert checkpoints.load(name).record["training"]["learning_rate"] == float(rate)
    file = paths.runs_dir() / name / f"{name}.safetensors"
    assert checkpoints.load(str(file)).record["name"] == name
    assert cli.main(["evaluate", str(file), "--keep"]) == 0
    (scores,) = results.read_record(name)["scores"]
    command = f"smm-tutorial evaluate {name}.safetensors --keep"  # no folder of this machine
    assert scores["command"] == command


@pytest.mark.parametrize(
    ("options", "recorded"),
    [
        (["--root", "."], "--root PATH"),
        (["--root", "e"], "--root PATH"),
        (["--root=some where"], "--root PATH"),
        (["--roo", "evaluate"], "--root PATH"),
        (["--sel", "bic", "--star=8"], "--starts 8 --selection bic"),
        (["--seed", "3", "--data", "stacks"], "--data stacks --seed 3"),
    ],
)
def test_a_record_names_the_command_and_no_folder_of_this_machine(
    toy_data, monkeypatch, options, recorded
):
    def watched(what, data, root, seed, command, starts, selection, iterations):
        raise ValueError(command)

    monkeypatch.setattr(discovery, "score_by_name", watched)
    with pytest.raises(ValueError) as seen:
        cli.evaluate.evaluate_model(parse(["evaluate", "untrained", *options]), "")
    assert str(seen.value) == f"smm-tutorial evaluate untrained {recorded}"


def parse(arguments):
    parser = argparse.ArgumentParser()
    cli.evaluate.add_to(parser.add_subparsers())
    return parser.parse_args(arguments)


def test_scores_that_others_keep_in_the_meantime_stay(toy_data):
    assert cli.main([*TRAIN, "--steps", "2", "--keep"]) == 0
    one = discovery.score_by_name(NAME, "stacks", None, 0, "one")
    other = discovery.score_by_name(NAME, "clevr-tex", None, 0, "other")
    for record, scores in (one, other):
        results.keep_scores(record, scores)
    assert sets_of(results.read_record(NAME)) == ["clevr6", "stacks", "clevr-tex"]


@pytest.mark.parametrize("name", ["../../outside", "{folder}/outside", "a/b", "..", ".hidden", ""])
def test_a_checkpoint_whose_record_is_named_elsewhere_writes_nothing(toy_data, capsys, name):
    assert cli.main([*TRAIN, "--steps", "2"]) == 0
    file = paths.runs_dir() / NAME / f"{NAME}.safetensors"
    tensors, record = checkpoints.read(file)
    record["name"] = name.format(folder=toy_data.parent)
    checkpoints.write(toy_data / "foreign.safetensors", tensors, record)
    before = sorted(toy_data.parent.rglob("*"))
    assert cli.main(["evaluate", str(toy_data / "foreign.safetensors"), "--keep"]) == 1
    assert "is refused as a file's name" in capsys.readouterr().err
    assert sorted(toy_data.parent.rglob("*")) == before


def test_only_object_discovery_is_scored_by_masks(toy_data):
    config = SetPredictionConfig(
        image_size=16, slot_dim=8, encoder_channels=8, convolutions="light"
    )
    model = SetPredictor(config)
    record = {"name": "sets", "model": "SetPredictor", "config": asdict(model.config)}
    checkpoints.write(toy_data / "checkpoints" / "sets.safetensors", model.state_dict(), record)
    with pytest.raises(
        checkpoints.CheckpointError,
        match="sets is a SetPredictor, but only models of object discovery",
    ):
        discovery.score_by_name("sets", "clevr6", None, 0, "")


def test_a_run_has_one_purpose(toy_data, capsys):
    assert cli.main([*TRAIN, "--kind", "comparison", "--variant", "complete"]) == 1
    assert "--variant and --kind comparison exclude each other" in capsys.readouterr().err


def test_an_ablation_and_a_search_are_named_so(toy_data):
    assert cli.main([*TRAIN, "--steps", "1", "--variant", "no-price", "--keep"]) == 0
    record = results.read_record("variant-no-price-mixture-clevr6-ci-steps1-seed0")
    assert (record["purpose"], record["ablation"]) == ("ablation", "no-price")
    assert record["training"]["loss"]["price"] == 0
    search = ["--kind", "comparison", "--learning-rate", "0.01", "--keep"]
    assert cli.main([*TRAIN, "--steps", "1", *search]) == 0
    assert (
        results.read_record("search-mixture-clevr6-ci-steps1-rate0.01-seed0")["purpose"] == "search"
    )


def test_a_second_call_goes_on_with_the_run_of_the_first(toy_data, capsys):
    for _ in range(2):
        assert cli.main([*TRAIN, "--steps", "2"]) == 0
    log = paths.runs_dir() / NAME / "log.jsonl"
    assert len(log.read_text().splitlines()) == 1  # the second call found nothing left to do


def test_a_trial_does_not_touch_the_checkpoint_of_the_full_run(toy_data):
    full, trial = [*TRAIN, "--keep"], [*TRAIN, "--keep", "--steps", "1"]
    assert cli.main(full) == 0
    kept = {
        path: path.read_bytes()
        for path in toy_data.glob("*/discovery-*-ci-seed0.*")  # a checkpoint and its record
    }
    assert len(kept) == 2
    assert cli.main(trial) == 0
    assert {path: path.read_bytes() for path in kept} == kept
    assert "discovery-mixture-clevr6-ci-steps1-seed0" in checkpoints.available()


def test_what_may_not_be_replaced_is_refused_before_the_first_step(toy_data, capsys, monkeypatch):
    train = [*TRAIN, "--keep", "--steps", "2"]
    assert cli.main(train) == 0
    assert cli.main(train) == 0  # the same run again may
    path = toy_data / "checkpoints" / f"{NAME}.safetensors"
    tensors, record = checkpoints.read(path)
    record["training"]["batch_size"] = 64
    checkpoints.write(path, tensors, record)
    before = path.read_bytes()
    monkeypatch.setattr(discovery, "train_and_record", None)
    capsys.readouterr()
    assert cli.main(train) == 1
    message = capsys.readouterr().err
    assert f"{path} is of another run by this name" in message
    assert "its training.batch_size is 64 and not 8): --replace puts the new run" in message
    assert path.read_bytes() == before
    monkeypatch.undo()
    monkeypatch.setenv("SMM_DATA", str(toy_data))


def test_an_interrupt_in_the_last_evaluation_loses_nothing(toy_data, monkeypatch, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "score", interrupted)
        assert cli.main([*TRAIN, "--steps", "2", "--keep"]) == 130
    assert cli.main([*TRAIN, "--steps", "2", "--keep"]) == 0
    (entry,) = results.read_record(NAME)["validation"]
    assert entry["step"] == 2 and {"fg_ari", "loss"} <= entry.keys()
    assert cli.main(["report", "discovery"]) == 0


def test_a_run_that_another_process_trains_is_refused(toy_data, capsys):
    outcome = []
    with files.lock_folder(paths.runs_dir() / NAME, "training in"):
        thread = threading.Thread(target=lambda: outcome.append(cli.main([*TRAIN, "--steps", "2"])))
        thread.start()
        thread.join()
    assert outcome == [1] and not (paths.runs_dir() / NAME / "state.safetensors").exists()
    expected = f"another process is training in {paths.runs_dir() / NAME}: wait for its end"
    assert expected in capsys.readouterr().err


def test_a_run_owns_its_folder_until_it_is_saved(toy_data, monkeypatch):
    refusals, save = [], cli.train.save_run

    def enter():
        with pytest.raises(FolderBusyError), own_folder(paths.runs_dir() / NAME):
            pass
        refusals.append(True)

    def watched(*arguments):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return save(*arguments)

    monkeypatch.setattr(cli.train, "save_run", watched)
    assert cli.main([*TRAIN, "--steps", "2"]) == 0
    assert refusals == [True]


def test_engine_options_reach_the_training(toy_data, monkeypatch):
    seen = {}

    def watched(run, command, **engine):
        seen.update(engine, run=run)
        raise ValueError("enough")

    monkeypatch.setattr(discovery, "train_and_record", watched)
    options = "--precision bf16-mixed --compile default --tensorboard board"
    assert cli.main([*TRAIN, *options.split()]) == 1
    assert (seen["run"].precision, seen["run"].compile) == ("bf16-mixed", "default")
    assert seen["tensorboard"] == "board"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "nothing"], "there is no checkpoint 'nothing': known are []"),
        (["evaluate", "pixels", "--data", "clevr-renders"], "the folder of the renders: --root"),
        ([*TRAIN, "--steps", "-1"], "steps must be at least 1, got -1"),
        ([*TRAIN, "--seed", "-1"], "seed must be at least 0, got -1"),
        ([*TRAIN, "--seed", str(2**63)], f"seed must be at most {2**63 - 1}, got {2**63}"),
        ([*TRAIN, "--learning-rate", "nan"], "learning_rate must be a number above 0, got nan"),
        ([*TRAIN, "--size", "0"], "size must be at least 12 pixels, got 0"),
        ([*TRAIN, "--size", "-32"], "size must be at least 12 pixels, got -32"),
        ([*TRAIN, "--size", "33"], "stride must be a power of 2 that divides image_size = 33"),
    ],
)
def test_expected_errors_are_one_line_and_status_1(toy_data, capsys, arguments, message):
    assert cli.main(arguments) == 1
    assert message in capsys.readouterr().err


def test_a_model_is_scored_after_another_number_of_iterations(toy_data, capsys):
    assert cli.main([*TRAIN, "--steps", "2", "--keep"]) == 0
    for iterations in ("1", "6"):
        assert cli.main(["evaluate", NAME, "--iterations", iterations, "--keep"]) == 0
    record = results.read_record(NAME)
    usual, once, longer = record["scores"]
    assert (once["iterations"], longer["iterations"]) == (1, 6) and "iterations" not in usual
    assert once["command"] == f"smm-tutorial evaluate {NAME} --iterations 1 --keep"
    assert results.find_scores(record, "clevr6") == usual
    assert results.find_scores(record, "clevr6", iterations=6) == longer
    assert "clevr6, test, 6 iterations" in capsys.readouterr().out
    model = checkpoints.load(NAME).model
    test = EVALUATION_SETS["clevr6"].load(model.config.image_size)
    owners = discovery.segment(model, test, num_iterations=6)
    assert longer["mbo"] == discovery.score(test, owners)["mbo"]
    again = discovery.segment(model, test, num_iterations=model.config.num_iterations)
    assert usual["mbo"] == discovery.score(test, again)["mbo"]
    assert cli.main(["evaluate", NAME, "--iterations", "0"]) == 1
    assert "num_iterations must be a whole number of at least 1" in capsys.readouterr().err


def test_a_probe_of_frozen_slots_is_kept(toy_data, monkeypatch, capsys):
    assert cli.main([*TRAIN, "--steps", "2", "--keep"]) == 0
    capsys.readouterr()
    assert cli.main(["evaluate", NAME, "--probe"]) == 1
    assert "a probe needs both, to know which slot holds which object" in capsys.readouterr().err

    def with_records(name, split, size, **options):
        scenes = toy_scenes(size=size)
        records = [random_scene(np.random.default_rng(i), 3, 3).to_record() for i in range(12)]
        return replace(scenes, records=records)

    monkeypatch.setattr(datasets, "load", with_records)
    assert cli.main(["evaluate", NAME, "--probe", "--keep"]) == 0
    (scores,) = results.read_record(NAME)["scores"]
    assert scores["command"] == f"smm-tutorial evaluate {NAME} --probe --keep"
    assert set(scores["probe"]) == {"ap", "held", "images"} and scores["probe"]["images"] == 12
