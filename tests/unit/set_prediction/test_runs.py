"""Set prediction: runs, scores, records, tables, command line."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from smm_tutorial import checkpoints, cli, datasets, discovery, results, set_prediction, slots
from smm_tutorial.datasets import SceneImages
from smm_tutorial.datasets.named_sets import SET_EVALUATION_SETS, set_split
from smm_tutorial.profiles import PROFILES
from smm_tutorial.results.comparisons import CRITERIA
from smm_tutorial.scenes import random_scene
from smm_tutorial.set_prediction.average_precision import average_precision_clevr
from smm_tutorial.set_prediction.model import SetPredictor
from smm_tutorial.set_prediction.scores import THRESHOLDS, evaluate, predict_sets, score
from smm_tutorial.set_prediction.targets import COORDINATES, PROPERTY_SLICES, REAL, set_targets

CI = PROFILES["ci"]


def scenes(count=8, size=64, most=6):
    """Random images with the records of scenes that they do not show."""
    images = torch.randint(
        0,
        256,
        (count, 3, size, size),
        generator=torch.Generator().manual_seed(0),
        dtype=torch.uint8,
    )
    records = [random_scene(np.random.default_rng(i), 3, most).to_record() for i in range(count)]
    return SceneImages(
        images, [f"{i}.png" for i in range(count)], "toy", "test", "CC0", records=records
    )


@pytest.fixture
def own_data(data_folder, monkeypatch):
    """A data folder of this test's own, and scenes in place of everything that is rendered or
    read.
    """
    monkeypatch.setattr(datasets, "load", lambda name, split, size, **options: scenes(size=size))
    return data_folder


def run_of(slots, seed=0, **options):
    return set_prediction.SetPredictionRun("", slots, CI, seed, **options)


# ------------------------------------------------------------------------------------------------------------- scores


def test_perfect_predictions_score_one_everywhere():
    data = scenes()
    scores = score(data, set_targets(data.records, 6))
    assert scores["ap"] == dict.fromkeys(THRESHOLDS, 1.0) and scores["images"] == 8
    assert (scores["distance"], scores["count_error"]) == (0.0, 0.0) and set(
        scores["right"].values()
    ) == {1.0}
    numbers = [len(record["objects"]) for record in data.records]
    assert {int(n): entry["images"] for n, entry in scores["by_objects"].items()} == {
        n: numbers.count(n) for n in set(numbers)
    }
    assert all(entry["ap"]["0.0625"] == 1 for entry in scores["by_objects"].values())
    json.dumps(scores)


def test_scores_say_what_is_wrong():
    """Half a unit off along x; every third colour wrong in the first image; one object too many
    everywhere.
    """
    data = scenes()
    targets = set_targets(data.records, 7)
    predictions = targets.clone()
    predictions[..., COORDINATES.start] += 0.5 / 3 * targets[..., REAL]
    colours = predictions[0, :3, PROPERTY_SLICES["color"]]
    predictions[0, :3, PROPERTY_SLICES["color"]] = colours.roll(1, dims=1)
    predictions[:, -1] = torch.tensor(
        [9.0] * 3 + [0.0] * 15 + [0.9]
    )  # far away: the nearest of no object
    scores = score(data, predictions)
    objects = sum(len(record["objects"]) for record in data.records)
    assert scores["distance"] == pytest.approx(0.5, abs=1e-4) and scores["count_error"] == 1
    assert scores["right"] == {
        "size": 1,
        "material": 1,
        "shape": 1,
        "color": pytest.approx(1 - 3 / objects, abs=1e-4),
    }
    assert (
        scores["ap"]["0.25"] < 0.1 < 0.8 < scores["ap"]["1"]
    )  # by chance two objects are alike and half a unit apart
    for name, limit in THRESHOLDS.items():
        assert scores["ap"][name] == pytest.approx(
            average_precision_clevr(predictions, targets, limit), abs=1e-4
        )


def test_predictions_of_nothing_score_nothing():
    data = scenes(count=2)
    scores = score(data, torch.zeros(2, 6, 19))
    assert scores["distance"] is None and set(scores["right"].values()) == {0.0}
    assert scores["count_error"] == np.mean([len(record["objects"]) for record in data.records])


def test_scores_need_records():
    with pytest.raises(ValueError, match="has no records to score against"):
        score(replace(scenes(), records=None), torch.zeros(8, 6, 19))


def test_predictions_are_repeatable_and_alone_decide_the_scores():
    model, data = run_of("mixture").model.eval(), scenes(count=70)  # more than one batch
    predictions = predict_sets(model, data, seed=3)
    assert predictions.shape == (70, 7, 19) and torch.equal(
        predictions, predict_sets(model, data, seed=3)
    )
    assert not torch.equal(predictions, predict_sets(model, data, seed=4))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(predictions, predict_sets(model, data, seed=3))
    with torch.no_grad():
        noise = model.start_noise(64, torch.Generator().manual_seed(3))
        expected = model(data.batch(slice(0, 64)).images, noise=noise).predictions
    assert torch.equal(predictions[:64], expected)


# --------------------------------------------------------------------------------------------------------------- runs


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_compared_networks_differ_in_the_slot_module_alone(profile):
    configs = {
        slots: set_prediction.set_prediction_config(slots, profile) for slots in slots.CONTESTANTS
    }
    mixture, attention, wide = configs["mixture"], configs["attention"], configs["attention-wide"]
    assert attention == replace(mixture, slots="attention") and wide == replace(
        attention, slot_dim=2 * attention.slot_dim
    )
    assert configs["mixture-reduced"] == replace(
        mixture, slot_options=mixture.slot_options | {"content": "reduced"}
    )
    with torch.device("meta"):
        models = {slots: SetPredictor(config) for slots, config in configs.items()}
    assert len({str(model.encoder) for model in models.values()}) == 1
    width = profile.set_prediction.slot_dim
    assert {slots: model.slots.output_dim // width for slots, model in models.items()} == {
        "attention": 1,
        "attention-wide": 2,
        "mixture-reduced": 1,
        "mixture": 2,
    }


def test_compared_runs_share_everything_else_and_names_say_what_is_special():
    runs = [run_of(slots, kind="set-comparison") for slots in slots.CONTESTANTS]
    assert all(run.choices() == runs[0].choices() for run in runs)
    assert (
        runs[0].training.schedule == "one_cycle"
        and runs[0].name == "set-comparison-attention-clevr6-whole-ci-seed0"
    )
    weighted = run_of("mixture", 2, coordinate_weight=8.0)
    assert weighted.name == "set-prediction-mixture-clevr6-whole-ci-weight8-seed2"
    assert weighted.choices()["training"]["loss"] == {"coordinate_weight": 8.0}
    searched = run_of("mixture", kind="set-comparison", learning_rate=1e-4)
    assert (searched.kind, searched.name) == (
        "set-search",
        "set-search-mixture-clevr6-whole-ci-rate0.0001-seed0",
    )
    assert searched.training.learning_rate == 1e-4
    states = [run_of("mixture", seed).model.state_dict() for seed in (0, 0, 1)]
    same, other = (
        all(torch.equal(states[0][key], state[key]) for key in state) for state in states[1:]
    )
    assert same and not other


def test_a_run_may_begin_with_what_object_discovery_has_learned(own_data):
    pixels = discovery.DiscoveryRun("", "mixture", "clevr6", CI, 5).model
    record = {"name": "pixels", "model": "ObjectDiscovery", "config": asdict(pixels.config)}
    checkpoints.write(own_data / "checkpoints" / "pixels.safetensors", pixels.state_dict(), record)
    fresh, begun = run_of("mixture"), run_of("mixture", begin_with="pixels")
    assert begun.name == "set-prediction-mixture-clevr6-whole-ci-pretrained-seed0"
    assert begun.choices()["begun_with"] == "pixels" and begun.choices()["training"]["pretrained"]
    assert not fresh.choices()["training"]["pretrained"]
    given, before = pixels.state_dict(), fresh.model.state_dict()
    for name, tensor in begun.model.state_dict().items():
        assert torch.equal(tensor, before[name] if name.startswith("heads.") else given[name])
    with pytest.raises(
        checkpoints.CheckpointError,
        match="pixels has an encoder or slots of other sizes than this model",
    ):
        run_of("attention", begin_with="pixels")
    with pytest.raises(checkpoints.CheckpointError, match="there is no checkpoint 'nothing'"):
        run_of("mixture", begin_with="nothing")


def test_data_are_as_many_as_the_profile_says(monkeypatch):
    asked = []
    monkeypatch.setattr(datasets, "load", lambda *args, **options: asked.append(options))
    for split in ("train", "val"):
        set_prediction.set_data(split, CI)
    set_split("clevr-whole", "test", 128, 5)
    assert [(o["variant"], o["split"], o["size"], o["count"]) for o in asked] == [
        ("clevr6-whole", "train", 64, CI.set_prediction.scenes),
        ("clevr6-whole", "val", 64, 320),
        ("clevr-whole", "test", 128, 5),
    ]
    with pytest.raises(
        ValueError, match="no set is learned from 'clevr6': known are clevr6-whole, clevr-whole"
    ):
        set_split("clevr6", "train", 64, 5)


# ---------------------------------------------------------------------------------------------
# records, command line


def test_train_evaluate_and_report_from_the_command_line(own_data, capsys):
    train = ["train", "set-prediction", "--profile", "ci", "--steps", "3"]
    assert cli.main([*train, "--keep"]) == 0
    name = "set-prediction-mixture-clevr6-whole-ci-seed0"
    model, record = checkpoints.load(name)
    assert record["command"] == "smm-tutorial train set-prediction --profile ci --steps 3 --keep"
    assert record["config"] == asdict(model.config) and record["step"] == 3
    assert (
        record["training"]["loss"] == {"coordinate_weight": 1.0}
        and record["scenes"] == CI.set_prediction.scenes
    )
    assert "ap_inf" in record["validation"][-1] and "revision" in record["provenance"]
    (scores,) = record["scores"]
    data = scenes()
    assert {key: scores[key] for key in ("ap", "right")} == {
        key: evaluate(model, data)[key] for key in ("ap", "right")
    }

    assert (
        cli.main(["evaluate", name, "--data", "clevr-renders", "--root", "somewhere", "--keep"])
        == 0
    )
    kept = results.read_record(name)["scores"]
    assert [entry["set"] for entry in kept] == ["clevr6-whole", "clevr-renders"]
    assert kept[1]["command"].endswith("--root PATH --keep")
    capsys.readouterr()
    assert cli.main(["report", "set-prediction"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert (
        head.startswith("| model | scored on | images | AP | AP at 1 | AP at 0.5 |")
        and len(rows) == 2
    )
    assert rows[0].startswith("| SMM, 64 px, seed 0 | clevr6-whole, test | 8 |")

    assert cli.main([*train, "--coordinate-weight", "8", "--keep", "record"]) == 0
    assert "SMM, 64 px, coordinates x8, seed 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "stacks"], "no sets are scored on 'stacks': known are clevr6-whole"),
        (["--starts", "2"], "--starts and --selection choose by what slots paint"),
        (["--selection", "bic"], "--starts and --selection choose by what slots paint"),
        (["--data", "clevr-renders"], "needs the folder of the renders"),
    ],
)
def test_what_makes_no_sense_for_sets_is_refused(own_data, capsys, arguments, message):
    run = run_of("mixture")
    record = {
        "name": "sets",
        "model": "SetPredictor",
        "config": asdict(run.config),
        "data": "clevr6-whole",
    }
    checkpoints.write(own_data / "checkpoints" / "sets.safetensors", run.model.state_dict(), record)
    assert cli.main(["evaluate", "sets", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_model_of_masks_predicts_no_sets(own_data):
    with pytest.raises(
        checkpoints.CheckpointError,
        match="is a ObjectDiscovery, but only a SetPredictor predicts sets",
    ):
        model = discovery.DiscoveryRun("", "mixture", "clevr6", CI, 0).model
        record = {"name": "masks", "model": "ObjectDiscovery", "config": asdict(model.config)}
        checkpoints.write(
            own_data / "checkpoints" / "masks.safetensors", model.state_dict(), record
        )
        set_prediction.evaluated_record("masks", "clevr6-whole", None, 0, "")


def record_of(slots, seed, ap, **training):
    """The record of a compared run with that AP at every threshold."""
    run = run_of(slots, seed, kind="set-comparison")
    scores = {"set": "clevr6-whole", "images": 320, "ap": dict.fromkeys(THRESHOLDS, ap)}
    return {
        "version": 2,
        "name": run.name,
        "task": "set-prediction",
        "purpose": "comparison",
        "contestant": slots,
        "command": run.command,
        "config": asdict(run.config),
        **run.choices(),
        "profile": "ci",
        "data": run.data,
        "step": 20,
        "minutes": 20.0,
        "scores": [scores],
        "validation": [{"ap_inf": ap}],
        "provenance": {"hardware": {"cpus": 2, "gpu": None}},
    } | training


def test_a_comparison_of_sets_in_words_and_numbers(own_data, capsys):
    for slots, values in {
        "mixture": (0.8, 0.9, 1.0),
        "attention": (0.5, 0.6, 0.7),
        "attention-wide": (0.8, 0.7, 0.9),
    }.items():
        for seed, ap in enumerate(values):
            results.write_record(record_of(slots, seed, ap))
    assert cli.main(["report", "set-comparison"]) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("| ")]
    titles = [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]]
    assert titles == ["Slot Attention", "Slot Attention, slots twice as wide", "SMM"]
    assert "| 0.900 ± 0.100 | 0.900 ± 0.100 |" in lines[-1] and "| 3 | 2 | 20 steps" in lines[-1]
    where = "clevr6-whole, test (clevr6-whole, ci, 64 px)"
    assert (
        f"SMM minus Slot Attention, AP at 0.25 on {where}: +0.300 ± 0.141 (3 and 3 seeds): beyond the spread"
        in out
    )
    assert len([line for line in out.splitlines() if line.startswith("- ")]) == 3 * len(
        CRITERIA["set-prediction"].decisive
    )


def test_a_search_stands_beside_the_compared_run_that_it_would_better(own_data):
    for slots, seed, ap in (("mixture", 0, 0.5), ("mixture", 1, 0.6), ("attention", 0, 0.7)):
        results.write_record(
            record_of(slots, seed, ap) | {"validation": [{"ap_inf": ap, "ap_0.5": ap / 2}]}
        )
    searched = run_of("mixture", kind="set-comparison", learning_rate=1e-4)
    other = {
        "name": searched.name,
        "purpose": "search",
        **searched.choices(),
        "validation": [{"ap_inf": 0.4, "ap_0.5": 0.1}],
    }
    results.write_record(record_of("mixture", 0, 0.4) | other)
    _, _, *lines = set_prediction.search_table().splitlines()
    rate = f"{CI.set_prediction.learning_rate:g}"
    assert [line.split(" | ")[:4] for line in lines] == [
        ["| SMM", "0.0001", "0.400", "0.100"],
        ["| SMM", rate, "0.500", "0.250"],
    ]


def test_runs_with_other_coordinate_weights_are_not_compared():
    one, other = record_of("mixture", 0, 0.5), record_of("attention", 0, 0.5)
    other["training"]["loss"] = {"coordinate_weight": 8.0}
    with pytest.raises(ValueError, match="not comparable, they differ in loss"):
        results.group_records([one, other])


def test_without_records_one_line_says_so(own_data):
    assert set_prediction.comparison_report().startswith("No comparison has been trained yet")
    assert set_prediction.showcase_table().startswith("No run has been trained yet")
    assert set(SET_EVALUATION_SETS) == {
        "clevr6-whole",
        "clevr-whole",
        "clevr-renders",
        "clevr-official",
    }
