"""Tables of set prediction: comparisons in words and numbers, and searches beside them."""

from dataclasses import asdict

import pytest

from smm_tutorial import cli, results, set_prediction
from smm_tutorial.datasets.named_sets import SET_EVALUATION_SETS
from smm_tutorial.results.comparisons import CRITERIA
from smm_tutorial.set_prediction.recipe import LEARNING_RATE_FACTORS, SIZES
from smm_tutorial.set_prediction.runs import SetPredictionRun
from smm_tutorial.set_prediction.scores import THRESHOLDS


def record_of(module, seed, ap, purpose="comparison", **choices):
    """The record of a compared run with that AP at every threshold."""
    run = SetPredictionRun(module, profile="ci", seed=seed, purpose=purpose, **choices)
    scores = {"set": "clevr6-whole", "images": 320, "ap": dict.fromkeys(THRESHOLDS, ap)}
    scores |= {"binding": {"fg_ari": 0.625, "largest_slot": 0.5, "coverage": 0.75}}
    return {
        "version": 2,
        "name": run.name,
        "task": "set-prediction",
        "purpose": purpose,
        "contestant": module,
        "command": "",
        "config": asdict(run.config),
        "training": asdict(run.training) | {"loss": {"coordinate_weight": 1.0}},
        "scenes": 64,
        "begun_with": None,
        "profile": "ci",
        "data": run.data,
        "step": 20,
        "minutes": 20.0,
        "scores": [scores],
        "validation": [{"ap_inf": ap, "ap_0.5": ap}],
        "provenance": {"hardware": {"cpus": 2, "gpu": None}},
    }


def test_a_comparison_of_sets_in_words_and_numbers(toy_sets, capsys):
    for module, values in {
        "mixture": (0.8, 0.9, 1.0),
        "attention": (0.5, 0.6, 0.7),
        "attention-wide": (0.8, 0.7, 0.9),
    }.items():
        for seed, ap in enumerate(values):
            results.write_record(record_of(module, seed, ap))
    assert cli.main(["report", "set-comparison"]) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("| ")]
    titles = [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]]
    assert titles == ["Slot Attention", "Slot Attention, slots twice as wide", "SMM"]
    assert "| 0.900 ± 0.100 | 0.900 ± 0.100 |" in lines[-1]
    assert "| 0.625 ± 0.000 | 3 | 2 | 20 steps" in lines[-1]
    assert lines[0].split(" | ")[-5:-3] == ["AP at 0.0625", "FG-ARI"]
    setting = "clevr6-whole, ci, 64 px"
    scores = "AP without a threshold, AP at 0.5 and AP at 0.25"
    finding = f"The finding ({setting}): SMM is ahead of Slot Attention in {scores}."
    assert out.count("The finding") == 1 and f"\n{finding}\n" in out
    where = "clevr6-whole, test (clevr6-whole, ci, 64 px)"
    difference = "+0.300 ± 0.141 (3 and 3 seeds): beyond the spread"
    assert f"SMM minus Slot Attention, AP at 0.25 on {where}: {difference}" in out
    assert len([line for line in out.splitlines() if line.startswith("- ")]) == 3 * len(
        CRITERIA["set-prediction"].decisive
    )


def test_images_without_masks_have_a_dash_for_fg_ari(toy_sets):
    record = record_of("mixture", 0, 0.5)
    without = {name: entry for name, entry in record["scores"][0].items() if name != "binding"}
    record["scores"].append(without | {"set": "clevr-official"})
    *_, masked, unmasked = set_prediction.score_table([record]).splitlines()
    assert "| 50.0% | 62.5% | 20 steps" in masked and "| 50.0% | – | 20 steps" in unmasked


def test_the_table_of_ablations_has_means_over_seeds_in_the_order_of_the_recipe(toy_sets):
    for name, seed, ap in (("huber", 0, 0.2), ("complete", 0, 0.5), ("complete", 1, 0.7)):
        record = record_of("mixture", seed, ap, "ablation", ablation=name) | {"ablation": name}
        last = {"ap_inf": ap, "ap_0.5": ap / 2, "ap_0.25": 0.1, "fg_ari": 0.3}
        results.write_record(record | {"validation": [{"ap_inf": 0.0, "ap_0.5": 0.0}, last]})
    begun = record_of("mixture", 3, 0.9, "ablation", ablation="huber") | {"ablation": "huber"}
    begun |= {"validation": [{"ap_inf": 0.9, "ap_0.5": 0.8}], "begun_with": "slots", "name": "x"}
    results.write_record(begun)
    own = ", clevr6-whole, ci"  # runs of the laptop on its own data leave this out
    head, _, *lines = set_prediction.ablation_table().splitlines()
    assert head.startswith("| ablation | AP | AP at 0.5 | AP at 0.25 | FG-ARI | seeds |")
    assert [line.split(" | ")[:6] for line in lines] == [
        [
            "| complete, clevr6-whole, ci",
            "0.600 ± 0.141",
            "0.300 ± 0.071",
            "0.100 ± 0.000",
            "0.300 ± 0.000",
            "2",
        ],
        [f"| huber{own}", "0.200", "0.100", "0.100", "0.300", "1"],
        [f"| huber, begun with slots{own}", "0.900", "0.800", "–", "–", "1"],
    ]


def test_a_search_stands_beside_the_compared_run_that_it_would_better(toy_sets):
    for module, seed, ap in (("mixture", 0, 0.5), ("mixture", 1, 0.6), ("attention", 0, 0.7)):
        results.write_record(
            record_of(module, seed, ap) | {"validation": [{"ap_inf": ap, "ap_0.5": ap / 2}]}
        )
    searched = record_of("mixture", 0, 0.4, purpose="search", rate=1e-4)
    results.write_record(searched | {"validation": [{"ap_inf": 0.4, "ap_0.5": 0.1}]})
    _, _, *lines = set_prediction.search_table().splitlines()
    rate = f"{LEARNING_RATE_FACTORS['mixture'] * SIZES['ci'].learning_rate:g}"
    assert [line.split(" | ")[:4] for line in lines] == [
        ["| SMM", "0.0001", "0.400", "0.100"],
        ["| SMM", rate, "0.500", "0.250"],
    ]


def test_runs_with_other_coordinate_weights_are_not_compared():
    one, other = record_of("mixture", 0, 0.5), record_of("attention", 0, 0.5)
    other["training"]["loss"] = {"coordinate_weight": 8.0}
    with pytest.raises(ValueError, match="not comparable, they differ in loss"):
        results.group_records([one, other])


def test_without_records_one_line_says_so(toy_sets):
    assert set_prediction.comparison_report().startswith("No comparison has been trained yet")
    assert set_prediction.ablation_table().startswith("No ablation has been trained yet")
    assert set_prediction.showcase_table().startswith("No run has been trained yet")
    assert set(SET_EVALUATION_SETS) == {
        "clevr6-whole",
        "clevr-whole",
        "clevr-renders",
        "clevr-official",
    }
