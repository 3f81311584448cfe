"""Experiments, records, report and command line."""

import json
from dataclasses import asdict, replace

import pytest
import torch

from smm_tutorial import checkpoints, cli, datasets, discovery, paths, results, slots
from smm_tutorial.profiles import PROFILES, current_profile
from smm_tutorial.set_prediction.model import SetPredictionConfig, SetPredictor
from tests.toys import toy_scenes


@pytest.fixture
def own_data(data_folder, monkeypatch):
    """A data folder of this test's own, with toy scenes for `clevr6`."""
    monkeypatch.setattr(
        datasets, "load", lambda name, split, size, **options: toy_scenes(size=size)
    )
    return data_folder


def test_profile_by_name_by_hardware_and_an_unknown_one(monkeypatch):
    monkeypatch.setenv("SMM_PROFILE", "paper")
    assert current_profile() is PROFILES["paper"]
    monkeypatch.delenv("SMM_PROFILE")
    assert current_profile().name == ("gpu" if torch.cuda.is_available() else "laptop")
    monkeypatch.setenv("SMM_PROFILE", "huge")
    with pytest.raises(
        ValueError, match="SMM_PROFILE is 'huge'; known profiles are ci, laptop, gpu, paper"
    ):
        current_profile()


def comparison(slots, seed=0, **options):
    return discovery.DiscoveryRun(
        "", slots, "clevr6", PROFILES["ci"], seed, kind="comparison", **options
    )


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_compared_networks_differ_in_the_slot_module_alone(profile):
    configs = {slots: discovery.discovery_config(slots, profile) for slots in slots.CONTESTANTS}
    attention, wide, reduced, mixture = (
        configs[slots] for slots in ("attention", "attention-wide", "mixture-reduced", "mixture")
    )
    assert attention == replace(mixture, slots="attention") and wide == replace(
        attention, slot_dim=2 * attention.slot_dim
    )
    assert reduced == replace(mixture, slot_options=mixture.slot_options | {"content": "reduced"})
    with torch.device("meta"):
        models = {slots: discovery.ObjectDiscovery(config) for slots, config in configs.items()}
    assert len({str(model.encoder) for model in models.values()}) == 1
    assert (
        str(models["attention"].decoder)
        == str(models["mixture-reduced"].decoder)
        != str(models["mixture"].decoder)
    )
    assert str(models["attention-wide"].decoder) == str(models["mixture"].decoder)
    assert {
        slots: model.slots.output_dim // profile.discovery.slot_dim
        for slots, model in models.items()
    } == {"attention": 1, "attention-wide": 2, "mixture-reduced": 1, "mixture": 2}


def test_compared_runs_share_training_and_loss_but_for_the_learning_rate(monkeypatch):
    for name, factor in (
        ("attention", 0.5),
        ("attention-wide", 0.5),
        ("mixture-reduced", 1.0),
        ("mixture", 1.0),
    ):
        monkeypatch.setitem(discovery.LEARNING_RATE_FACTORS, name, factor)
    runs = [comparison(name) for name in slots.CONTESTANTS]
    assert [run.name for run in runs] == [
        f"comparison-{slots}-clevr6-ci-seed0"
        for slots in ("attention", "attention-wide", "mixture-reduced", "mixture")
    ]
    assert all(run.loss_options == runs[0].loss_options for run in runs)
    assert [run.training.learning_rate for run in runs] == [0.8e-3, 0.8e-3, 1.6e-3, 1.6e-3]
    assert all(
        replace(run.training, learning_rate=1.0) == replace(runs[0].training, learning_rate=1.0)
        for run in runs
    )
    alone = discovery.DiscoveryRun("", "attention", "clevr6", PROFILES["ci"], 0)
    assert (
        alone.training.learning_rate == 1.6e-3
        and alone.name == "discovery-attention-clevr6-ci-seed0"
    )


def test_a_search_for_the_learning_rate_leaves_the_run_alone():
    run, searched = (
        comparison("mixture", 3, image_size=64),
        comparison("mixture", 3, steps=7, learning_rate=4e-4),
    )
    assert run.name == run.folder.name == "comparison-mixture-clevr6-ci-64px-seed3"
    assert searched.training.learning_rate == 4e-4 and searched.kind == "search"
    assert searched.name == searched.folder.name == "search-mixture-clevr6-ci-rate0.0004-seed3"
    alone = discovery.DiscoveryRun("", "mixture", "clevr6", PROFILES["ci"], 0, learning_rate=4e-4)
    assert (alone.kind, alone.name) == ("discovery", "discovery-mixture-clevr6-ci-rate0.0004-seed0")


def test_variants_differ_from_the_complete_run_in_what_they_name():
    runs = {
        v: discovery.DiscoveryRun("", "mixture", "clevr6", PROFILES["ci"], 0, variant=v)
        for v in discovery.VARIANTS
    }
    complete, plain = (
        runs.pop("complete"),
        discovery.DiscoveryRun("", "mixture", "clevr6", PROFILES["ci"], 0),
    )
    assert (
        plain.name == "discovery-mixture-clevr6-ci-seed0"
        and complete.name == "variant-complete-mixture-clevr6-ci-seed0"
    )
    assert (plain.config, plain.loss_options) == (complete.config, complete.loss_options)
    for name, run in runs.items():
        differ = [run.config != complete.config, run.loss_options != complete.loss_options]
        assert all(differ) if name.startswith("bare") else sum(differ) == 1
    assert "initialisation" not in runs["random-start"].config.slot_options
    assert (runs["bare"].config.decoder, runs["bare-one-pixel"].config.decoder) == (
        "broadcast",
        "pixel",
    )
    assert runs["no-share"].config.mask_prior == "none"
    assert runs["squared-error"].loss_options["objective"] == "squared_error"
    assert complete.loss_options["price"] > 0 and runs["no-price"].loss_options["price"] == 0
    assert (
        complete.loss_options["num_slots"] < complete.config.num_slots
        and not runs["no-fewer-slots"].loss_options["num_slots"]
    )


def test_slot_attention_trains_by_the_same_command(own_data):
    assert (
        cli.main(
            [
                "train",
                "discovery",
                "--slots",
                "attention",
                "--profile",
                "ci",
                "--steps",
                "2",
                "--keep",
            ]
        )
        == 0
    )
    model, record = checkpoints.load("discovery-attention-clevr6-ci-seed0")
    assert (
        record["config"]["slots"] == "attention" and type(model.slots).__name__ == "SlotAttention"
    )


def test_train_evaluate_and_report_from_the_command_line(own_data, capsys):
    assert cli.main(["train", "discovery", "--profile", "ci", "--steps", "2", "--keep"]) == 0
    name = "discovery-mixture-clevr6-ci-seed0"
    record = json.loads((own_data / "results" / f"{name}.json").read_text())
    assert record["command"] == "smm-tutorial train discovery --profile ci --steps 2 --keep"
    assert (
        record["step"] == 2
        and record["training"]["steps"] == 2
        and "revision" in record["provenance"]
    )
    assert checkpoints.load(name).record["config"] == record["config"]

    for what in (name, "untrained", "pixels"):
        assert (
            cli.main(["evaluate", what, "--data", "clevr-renders", "--root", "somewhere", "--keep"])
            == 0
        )
    record = json.loads((own_data / "results" / f"{name}.json").read_text())
    assert [scores["set"] for scores in record["scores"]] == ["clevr6", "clevr-renders"]
    blender = results.find_scores(record, "clevr-renders")
    assert (
        blender["command"]
        == f"smm-tutorial evaluate {name} --data clevr-renders --root PATH --keep"
    )
    assert {
        "by_objects",
        "by_size",
        "standard_errors",
        "decoder_masks",
        "slot_masks",
    } <= blender.keys()

    capsys.readouterr()
    assert cli.main(["report", "discovery"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| Gaussian mixture on raw pixels",
        "| SMM, untrained",
        "| SMM, 32 px, seed 0",
        "| SMM, 32 px, seed 0",
    ]


def test_a_kept_comparison_is_a_record_and_its_checkpoint_only_on_demand(own_data, capsys):
    train = "train discovery --slots mixture-reduced --profile ci --steps 2 --seed 1 --kind comparison".split()
    assert cli.main([*train, "--keep"]) == 0
    name = "comparison-mixture-reduced-clevr6-ci-seed1"
    kept = own_data / "results" / f"{name}.json"
    assert checkpoints.available() == []
    record = json.loads(kept.read_text())
    assert (record["task"], record["purpose"]) == ("discovery", "comparison")
    assert record["contestant"] == "mixture-reduced"
    assert (
        record["config"]["slots"] == "mixture"
        and record["config"]["slot_options"]["content"] == "reduced"
    )

    assert (
        cli.main(["evaluate", name, "--data", "stacks", "--keep"]) == 0
    )  # the checkpoint of the run on this machine
    assert cli.main([*train, "--keep", "checkpoint"]) == 0
    assert checkpoints.available() == [name]
    scored_on = [scores["set"] for scores in json.loads(kept.read_text())["scores"]]
    assert scored_on == ["clevr6", "stacks"]  # no score was lost
    assert json.loads(kept.read_text())["command"].endswith("--keep checkpoint")


def test_scores_do_not_go_into_the_record_of_another_run(own_data, capsys):
    train = ["train", "discovery", "--profile", "ci", "--keep"]
    assert cli.main([*train, "--steps", "2"]) == 0
    path = own_data / "results" / "discovery-mixture-clevr6-ci-seed0.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"step": 3, "scores": [{"set": "stacks"}]}))
    assert cli.main(["evaluate", record["name"], "--keep"]) == 1
    assert (
        "is of a run with another step: scores of two runs do not go into one record"
        in capsys.readouterr().err
    )
    assert (
        cli.main([*train, "--steps", "2"]) == 0
    )  # the new run's record replaces that of the other, scores and all
    assert [scores["set"] for scores in json.loads(path.read_text())["scores"]] == ["clevr6"]


def test_a_run_here_is_found_by_its_name_or_its_file(own_data, capsys):
    train = ["train", "discovery", "--profile", "ci", "--steps", "1"]
    for rate in ("0.001", "0.002"):
        assert cli.main([*train, "--learning-rate", rate]) == 0
        name = f"discovery-mixture-clevr6-ci-rate{rate}-seed0"
        assert discovery.load_discovery(name).record["training"]["learning_rate"] == float(rate)
    file = paths.runs_dir() / name / f"{name}.safetensors"
    assert discovery.load_discovery(str(file)).record["name"] == name
    assert cli.main(["evaluate", str(file), "--keep"]) == 0
    scores = results.find_scores(results.read_record(name), "clevr6")
    assert (
        scores["command"] == f"smm-tutorial evaluate {name}.safetensors --keep"
    )  # no folder of this machine


def test_only_object_discovery_is_scored_by_masks(own_data):
    model = SetPredictor(
        SetPredictionConfig(image_size=16, slot_dim=8, encoder_channels=8, convolutions="light")
    )
    checkpoints.write(
        own_data / "checkpoints" / "sets.safetensors",
        model.state_dict(),
        {"name": "sets", "model": "SetPredictor", "config": asdict(model.config)},
    )
    with pytest.raises(
        checkpoints.CheckpointError,
        match="sets is a SetPredictor, but only models of object discovery",
    ):
        discovery.load_discovery("sets")


def test_a_run_has_one_purpose(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "discovery", "--kind", "comparison", "--variant", "complete"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_a_second_call_goes_on_with_the_run_of_the_first(own_data, capsys):
    for _ in range(2):
        assert cli.main(["train", "discovery", "--profile", "ci", "--steps", "2"]) == 0
    folder = paths.runs_dir() / "discovery-mixture-clevr6-ci-seed0"
    assert (
        len((folder / "log.jsonl").read_text().splitlines()) == 1
    )  # the second call found nothing left to do


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "nothing"], "there is no checkpoint 'nothing': known are []"),
        (
            ["evaluate", "pixels", "--data", "clevr-renders"],
            "clevr-renders needs the folder of the renders: --root PATH",
        ),
        (
            ["evaluate", "pixels", "--starts", "8"],
            "starts and selection are of slots, and a mixture on pixels has none",
        ),
        (
            ["train", "discovery", "--profile", "ci", "--steps", "-1"],
            "steps must be at least 1, got -1",
        ),
    ],
)
def test_expected_errors_are_one_line_and_status_1(own_data, capsys, arguments, message):
    assert cli.main(arguments) == 1
    assert message in capsys.readouterr().err


def test_an_unknown_result_lists_the_known_ones(own_data):
    results.write_record({"name": "one"})
    with pytest.raises(FileNotFoundError, match="there is no result 'two'.*known: one"):
        results.read_record("two")


def test_tables_have_a_head_a_rule_and_one_line_a_row():
    assert results.markdown_table([["a", "b"], ["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
