"""Set prediction from the command line: train, evaluate, report, and what makes no sense."""

from dataclasses import asdict

import pytest

from smm_tutorial import checkpoints, cli, discovery, results, set_prediction
from smm_tutorial.set_prediction.recipe import SIZES
from tests.toys import toy_sets as made_up_sets

TRAIN = ["train", "set-prediction", "--profile", "ci", "--steps", "3"]
NAME = "set-prediction-mixture-clevr6-whole-ci-steps3-seed0"


def test_train_evaluate_and_report(toy_sets, capsys):
    assert cli.main([*TRAIN, "--keep"]) == 0
    model, record = checkpoints.load(NAME)
    assert record["command"] == "smm-tutorial train set-prediction --profile ci --steps 3 --keep"
    assert record["config"] == asdict(model.config) and record["step"] == 3
    assert record["training"]["loss"] == {"coordinate_weight": 3.0, "objective": "likelihood"}
    assert record["scenes"] == SIZES["ci"].scenes
    assert "ap_inf" in record["validation"][-1] and "revision" in record["provenance"]
    (scores,) = record["scores"]
    expected = set_prediction.evaluate(model, made_up_sets())
    assert {key: scores[key] for key in ("ap", "right")} == {
        key: expected[key] for key in ("ap", "right")
    }

    command = ["evaluate", NAME, "--data", "clevr-renders", "--root", "somewhere", "--keep"]
    assert cli.main(command) == 0
    kept = results.read_record(NAME)["scores"]
    assert [entry["set"] for entry in kept] == ["clevr6-whole", "clevr-renders"]
    assert kept[1]["command"].endswith("--root PATH --keep")
    capsys.readouterr()
    assert cli.main(["report", "set-prediction"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("| model | scored on | images | AP | AP at 1 | AP at 0.5 |")
    assert len(rows) == 2
    assert rows[0].startswith(
        "| SMM, 64 px, from random parameters, seed 0 | clevr6-whole, test | 8 |"
    )

    assert cli.main(["evaluate", NAME, "--num-slots", "9", "--keep"]) == 0
    assert "clevr6-whole, test, 9 slots" in capsys.readouterr().out
    *_, more = results.read_record(NAME)["scores"]
    assert more["slots"] == 9 and more["command"].endswith(f"{NAME} --num-slots 9 --keep")
    wanted = set_prediction.evaluate(model, made_up_sets(), num_slots=9)
    assert (more["ap"], more["right"]) == (wanted["ap"], wanted["right"])
    assert len(set_prediction.predict_sets(model, made_up_sets(), num_slots=9)[0]) == 9

    assert cli.main([*TRAIN, "--coordinate-weight", "8", "--keep", "record"]) == 0
    assert "SMM, 64 px, coordinates x8, from random parameters, seed 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "stacks"], "no sets are scored on 'stacks': known are clevr6-whole"),
        (["--starts", "2"], "--starts and --selection need a model that reconstructs images"),
        (["--selection", "bic"], "--starts and --selection need a model that reconstructs images"),
        (["--data", "clevr-renders"], "needs the folder of the renders"),
    ],
)
def test_what_makes_no_sense_for_sets_is_refused(toy_sets, capsys, arguments, message):
    assert cli.main(TRAIN) == 0
    assert cli.main(["evaluate", NAME, *arguments]) == 1
    assert message in capsys.readouterr().err


def test_object_discovery_has_no_option_for_the_number_of_slots(capsys):
    assert cli.main(["evaluate", "untrained", "--num-slots", "9"]) == 1
    assert "--num-slots is for set predictors" in capsys.readouterr().err


def test_a_model_of_masks_predicts_no_sets(toy_sets):
    model = discovery.build_model(discovery.DiscoveryRun(profile="ci").config, seed=0)
    record = {"name": "masks", "model": "ObjectDiscovery", "config": asdict(model.config)}
    checkpoints.write(toy_sets / "checkpoints" / "masks.safetensors", model.state_dict(), record)
    with pytest.raises(
        checkpoints.CheckpointError,
        match="is a ObjectDiscovery, but only a SetPredictor predicts sets",
    ):
        set_prediction.score_by_name("masks", "clevr6-whole", None, 0, "")
