"""Runs of set prediction: what their choices decide, and that one recipe serves all callers."""

import math
from dataclasses import asdict, replace

import pytest
import torch

from smm_tutorial import checkpoints, cli, datasets, discovery, set_prediction
from smm_tutorial.set_prediction import recipe, runs
from smm_tutorial.set_prediction.ablations import ABLATIONS
from smm_tutorial.set_prediction.model import SetPredictor
from smm_tutorial.set_prediction.recipe import SIZES, begin_with_discovery, network_config
from smm_tutorial.set_prediction.runs import SetPredictionRun
from smm_tutorial.slots.contestants import CONTESTANTS


def test_notebook_and_command_line_train_by_one_recipe(toy_sets):
    """The same weights to the last bit, and the same logged losses."""
    run = SetPredictionRun(profile="ci", steps=3, seed=2, coordinate_weight=2.0)
    in_notebook, result = set_prediction.train(run, log_every=1, progress=False)
    command = "train set-prediction --profile ci --steps 3 --seed 2 --coordinate-weight 2"
    assert cli.main(command.split()) == 0
    on_command_line, record = checkpoints.load(run.name)
    for name, weight in in_notebook.state_dict().items():
        assert torch.equal(weight, on_command_line.state_dict()[name])
    assert result.log[-1]["loss"] == record["validation"][-1]["loss"]


def test_scores_by_iterations_are_of_these_numbers_of_iterations(toy_sets, monkeypatch):
    usual = runs.evaluate

    def marked(model, data, num_iterations=None):
        scores = usual(model, data, num_iterations=num_iterations)
        precision = 0.5 if num_iterations is None else num_iterations / 100
        return scores | {"ap": dict.fromkeys(scores["ap"], precision)}

    monkeypatch.setattr(runs, "evaluate", marked)
    run = SetPredictionRun(profile="ci", steps=3)
    _, record = set_prediction.train_and_record(run, progress=False)
    tried = {entry["iterations"]: entry["ap_inf"] for entry in record["by_iterations"]}
    assert tried == {4: 0.04, 8: 0.08, 12: 0.12, 16: 0.16} and run.config.num_iterations == 8


def test_an_ablation_that_changes_nothing_is_refused():
    ablation = {"profile": "ci", "purpose": "ablation"}
    for choices in (
        {"ablation": "raw-variance", "module": "attention"},
        {"ablation": "raw-variance", "module": "mixture-reduced"},
        {"ablation": "few-scenes", "scenes": 64},
        {"ablation": "slow-slots"},  # of a run that begins with random weights
    ):
        with pytest.raises(ValueError, match="changes nothing in this run"):
            SetPredictionRun(**ablation | choices)
    begun = SetPredictionRun(**ablation, ablation="slow-slots", begin_with="some-model")
    assert begun.training.shared_rate == 0.1
    with pytest.raises(ValueError, match="ablation must be"):
        SetPredictionRun(**ablation, ablation="nonsense", data="clevr")
    with pytest.raises(ValueError, match="an ablation takes the recipe's learning rate"):
        SetPredictionRun(**ablation, ablation="huber", rate=1e-3)


@pytest.mark.parametrize("profile", SIZES)
def test_compared_networks_differ_in_the_slot_module_alone(profile):
    configs = {module: network_config(module, SIZES[profile]) for module in CONTESTANTS}
    mixture, attention, wide = configs["mixture"], configs["attention"], configs["attention-wide"]
    shared = {name: value for name, value in mixture.slot_options.items() if name != "content"}
    assert attention == replace(mixture, slots="attention", slot_options=shared)
    assert wide == replace(attention, slot_dim=2 * attention.slot_dim)
    reduced = mixture.slot_options | {"content": "reduced"}
    assert configs["mixture-reduced"] == replace(mixture, slot_options=reduced)
    with torch.device("meta"):
        models = {module: SetPredictor(config) for module, config in configs.items()}
    assert len({str(model.encoder) for model in models.values()}) == 1
    width = SIZES[profile].slot_dim
    widths = {module: model.slots.output_dim // width for module, model in models.items()}
    known = {"attention": 1, "attention-wide": 2, "mixture-reduced": 1, "mixture-fixed": 2}
    known |= {"mixture": 2}
    fixed = mixture.slot_options | {"weights": "fixed"}
    assert configs["mixture-fixed"] == replace(mixture, slot_options=fixed)
    assert widths.items() >= known.items()


def test_compared_runs_share_training_but_for_the_rate_and_names_say_what_is_special(monkeypatch):
    factors = dict(zip(CONTESTANTS, (0.5, 0.5, 1.0, 2.0, 2.0), strict=True))
    for module, factor in factors.items():
        monkeypatch.setitem(recipe.LEARNING_RATE_FACTORS, module, factor)
    compared = [SetPredictionRun(module, profile="ci", purpose="comparison") for module in factors]
    for run in compared:
        assert run.training.learning_rate == factors[run.module] * 1e-3
        assert replace(run.training, learning_rate=1.0) == replace(
            compared[0].training, learning_rate=1.0
        )
    assert SetPredictionRun("attention", profile="ci").training.learning_rate == 1e-3
    assert compared[0].training.schedule == "one_cycle"
    assert compared[0].name == "set-comparison-attention-clevr6-whole-ci-seed0"
    weighted = SetPredictionRun(profile="ci", seed=2, coordinate_weight=8.0)
    assert weighted.name == "set-prediction-mixture-clevr6-whole-ci-weight8-seed2"
    searched = SetPredictionRun(profile="ci", purpose="search", rate=1e-4)
    assert searched.name == "set-search-mixture-clevr6-whole-ci-rate0.0001-seed0"
    assert searched.training.learning_rate == 1e-4
    assert (weighted.loss["coordinate_weight"], searched.loss["coordinate_weight"]) == (8.0, 3.0)
    fewer = SetPredictionRun(profile="ci", scenes=32)
    assert fewer.name == "set-prediction-mixture-clevr6-whole-ci-32scenes-seed0"


def test_ablations_replace_what_they_name():
    choices = {"profile": "ci", "purpose": "ablation"}
    tried = {
        name: SetPredictionRun(**choices, ablation=name)
        for name in ABLATIONS
        if name != "slow-slots"
    }
    complete, plain = tried.pop("complete"), SetPredictionRun(profile="ci")
    assert complete.name == "set-variant-complete-mixture-clevr6-whole-ci-seed0"
    assert (plain.config, plain.training) == (complete.config, complete.training)
    assert "ablation" not in plain.choices and complete.choices["ablation"] == "complete"
    for name, run in tried.items():
        changed = [
            run.config != complete.config,
            run.training != complete.training,
            run.choices["training"]["loss"] != complete.choices["training"]["loss"],
            run.num_scenes != complete.num_scenes,
        ]
        assert sum(changed) == (3 if name == "papers" else 1), name
    assert tried["four-iterations"].config.num_iterations == 4
    assert tried["shared-start"].config.slot_options["start"] == "shared"
    assert "content" not in tried["raw-variance"].config.slot_options
    assert tried["no-average"].training.ema_decay is None
    assert tried["huber"].choices["training"]["loss"] == {"coordinate_weight": 1.0}
    assert tried["unscaled"].config.reading == "plain"
    assert tried["every-iteration"].config.slot_options["gradient"] == "each"
    assert set_prediction.SIZES["laptop"].scenes == 16_000
    assert SetPredictionRun(purpose="ablation", ablation="few-scenes").num_scenes == 2_048
    papers = tried["papers"].config
    assert (papers.reading, papers.head_dim, papers.num_iterations) == ("plain", 64, 4)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"module": "lstm"}, "module must be one of 'attention', .*, got 'lstm'"),
        ({"profile": "huge"}, "profile must be one of 'ci', .*, got 'huge'"),
        ({"purpose": "fun"}, "purpose must be one of 'showcase', .*, got 'fun'"),
        ({"purpose": "ablation"}, "ablation and purpose='ablation' go together, got None"),
        ({"purpose": "ablation", "ablation": "all"}, "ablation must be one of 'complete', .*"),
        ({"purpose": "comparison", "rate": 1.0}, "a comparison takes the recipe's learning rate"),
        ({"purpose": "search"}, "a search needs one: got rate=None"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"steps": -3}, "steps must be at least 1, got -3"),
        ({"scenes": 0}, "scenes must be a whole number of at least 1, got 0"),
        ({"coordinate_weight": math.nan}, "coordinate_weight must be above 0, got nan"),
        ({"coordinate_weight": math.inf}, "coordinate_weight must be above 0, got inf"),
        ({"coordinate_weight": 0}, "coordinate_weight must be above 0, got 0"),
    ],
)
def test_choices_that_make_no_sense_are_refused(choices, message):
    with pytest.raises(ValueError, match=message):
        SetPredictionRun(**choices)


def test_a_run_may_begin_with_what_object_discovery_has_learned(data_folder):
    pixels = discovery.build_model(discovery.DiscoveryRun(profile="ci").config, seed=5)
    record = {"name": "pixels", "model": "ObjectDiscovery", "config": asdict(pixels.config)}
    checkpoints.write(
        data_folder / "checkpoints" / "pixels.safetensors", pixels.state_dict(), record
    )
    run = SetPredictionRun(profile="ci", begin_with="pixels")
    assert run.name == "set-prediction-mixture-clevr6-whole-ci-pretrained-seed0"
    model = set_prediction.build_model(run.config, run.seed)
    given, before = pixels.state_dict(), {k: v.clone() for k, v in model.state_dict().items()}
    begin_with_discovery(model, "pixels")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, given[name] if name in given else before[name])
    other = set_prediction.build_model(SetPredictionRun("attention", profile="ci").config, 0)
    with pytest.raises(
        checkpoints.CheckpointError,
        match="pixels has another encoder or other slots than this model",
    ):
        begin_with_discovery(other, "pixels")
    shared = {**run.config.slot_options, "start": "shared"}
    other = set_prediction.build_model(replace(run.config, slot_options=shared), 0)
    with pytest.raises(
        checkpoints.CheckpointError, match="start 'farthest_points' and not 'shared'"
    ):
        begin_with_discovery(other, "pixels")
    equal = set_prediction.build_model(SetPredictionRun("mixture-fixed", profile="ci").config, 0)
    begin_with_discovery(equal, "pixels")  # may go on with equal weights
    with pytest.raises(checkpoints.CheckpointError, match="there is no checkpoint 'nothing'"):
        begin_with_discovery(model, "nothing")


def test_a_run_does_not_begin_with_a_model_of_another_kind(data_folder):
    run = SetPredictionRun(profile="ci")
    model = set_prediction.build_model(run.config, run.seed)
    record = {"name": "sets", "model": "SetPredictor", "config": asdict(run.config)}
    checkpoints.write(data_folder / "checkpoints" / "sets.safetensors", model.state_dict(), record)
    with pytest.raises(checkpoints.CheckpointError, match="begins with an ObjectDiscovery"):
        begin_with_discovery(model, "sets")


def test_a_run_trains_on_as_many_scenes_as_its_profile_or_its_choice_says(monkeypatch, toy_sets):
    asked, load = [], datasets.load

    def watched(name, **options):
        asked.append((options["variant"], options["split"], options["size"], options["count"]))
        return load(name, **options)

    monkeypatch.setattr(datasets, "load", watched)
    for scenes in (None, 32):
        run = SetPredictionRun(profile="ci", steps=3, scenes=scenes)
        set_prediction.train(run, progress=False)
    assert asked == [
        ("clevr6-whole", "train", 64, SIZES["ci"].scenes),
        ("clevr6-whole", "train", 64, 32),
    ]
