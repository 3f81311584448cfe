"""Runs of object discovery: what their choices decide, and that one recipe serves all callers."""

from dataclasses import replace

import pytest
import torch

from smm_tutorial import checkpoints, cli, discovery
from smm_tutorial.discovery import recipe
from smm_tutorial.discovery.ablations import ABLATIONS
from smm_tutorial.discovery.recipe import SIZES, network_config
from smm_tutorial.discovery.runs import DiscoveryRun
from smm_tutorial.slots.contestants import CONTESTANTS


def test_notebook_and_command_line_train_by_one_recipe(toy_data):
    """The same weights to the last bit, and the same logged losses."""
    run = DiscoveryRun(profile="ci", steps=6, seed=2)
    in_notebook, result = discovery.train(run, log_every=1, progress=False)
    command = ["train", "discovery", "--profile", "ci", "--steps", "6", "--seed", "2"]
    assert cli.main(command) == 0
    on_command_line, record = checkpoints.load(run.name)
    for name, weight in in_notebook.state_dict().items():
        assert torch.equal(weight, on_command_line.state_dict()[name])
    assert result.log[-1]["loss"] == record["validation"][-1]["loss"]
    assert record["training"]["loss"]["price"] == run.loss.price > 0


@pytest.mark.parametrize("profile", SIZES)
def test_compared_networks_differ_in_the_slot_module_alone(profile):
    sizes = SIZES[profile]
    configs = {module: network_config(module, sizes) for module in CONTESTANTS}
    attention, wide = configs["attention"], configs["attention-wide"]
    reduced, mixture = configs["mixture-reduced"], configs["mixture"]
    assert attention == replace(mixture, slots="attention")
    assert wide == replace(attention, slot_dim=2 * attention.slot_dim)
    assert reduced == replace(mixture, slot_options=mixture.slot_options | {"content": "reduced"})
    with torch.device("meta"):
        models = {module: discovery.ObjectDiscovery(config) for module, config in configs.items()}
    assert len({str(model.encoder) for model in models.values()}) == 1
    decoders = {module: str(model.decoder) for module, model in models.items()}
    assert decoders["attention"] == decoders["mixture-reduced"] != decoders["mixture"]
    assert decoders["attention-wide"] == decoders["mixture"]
    widths = {m: model.slots.output_dim // sizes.slot_dim for m, model in models.items()}
    known = {"attention": 1, "attention-wide": 2, "mixture-reduced": 1, "mixture": 2}
    assert widths.items() >= known.items()


def compared(module, **choices):
    return DiscoveryRun(module, profile="ci", purpose="comparison", **choices)


def test_compared_runs_share_training_and_loss_but_for_the_learning_rate(monkeypatch):
    factors = {"attention": 0.5, "attention-wide": 0.5, "mixture-reduced": 1.0, "mixture": 1.0}
    for module, factor in factors.items():
        monkeypatch.setitem(recipe.LEARNING_RATE_FACTORS, module, factor)
    runs = [compared(module) for module in factors]
    names = [f"comparison-{module}-clevr6-ci-seed0" for module in factors]
    assert [run.name for run in runs] == names
    assert [run.training.learning_rate for run in runs] == [0.8e-3, 0.8e-3, 1.6e-3, 1.6e-3]
    for run in runs:
        assert run.loss == runs[0].loss
        assert replace(run.training, learning_rate=1.0) == replace(
            runs[0].training, learning_rate=1.0
        )
    alone = DiscoveryRun("attention", profile="ci")
    assert alone.training.learning_rate == 1.6e-3
    assert alone.name == "discovery-attention-clevr6-ci-seed0"


def test_names_say_what_is_special():
    sized = compared("mixture", seed=3, size=64)
    assert sized.name == sized.folder.name == "comparison-mixture-clevr6-ci-64px-seed3"
    searched = DiscoveryRun(profile="ci", seed=3, steps=7, rate=4e-4, purpose="search")
    assert searched.name == "search-mixture-clevr6-ci-steps7-rate0.0004-seed3"
    assert searched.training.learning_rate == 4e-4
    alone = DiscoveryRun(profile="ci", rate=4e-4)
    assert alone.name == "discovery-mixture-clevr6-ci-rate0.0004-seed0"


def test_ablations_differ_from_the_complete_run_in_what_they_name():
    runs = {
        name: DiscoveryRun(profile="ci", purpose="ablation", ablation=name) for name in ABLATIONS
    }
    complete, plain = runs.pop("complete"), DiscoveryRun(profile="ci")
    assert plain.name == "discovery-mixture-clevr6-ci-seed0"
    assert complete.name == "variant-complete-mixture-clevr6-ci-seed0"
    assert (plain.config, plain.loss) == (complete.config, complete.loss)
    for name, run in runs.items():
        differ = [run.config != complete.config, run.loss != complete.loss]
        differ.append(run.training != complete.training)
        assert sum(differ) == (2 if name.startswith("bare") else 1)
    assert complete.config.slot_options["start"] == "farthest_points"
    assert runs["shared-start"].config.slot_options["start"] == "shared"
    assert complete.training.ema_decay and not runs["no-average"].training.ema_decay
    options = {name: run.config.slot_options for name, run in runs.items()}
    changed = {"initialisation": "random", "normalisation": "layer", "start": "shared"}
    assert options["random-start"] == complete.config.slot_options | changed
    reduced = DiscoveryRun("mixture-reduced", purpose="ablation", ablation="random-start")
    assert reduced.config.slot_options["content"] == "reduced"  # still that contestant
    assert runs["bare"].config.decoder == "broadcast"
    assert runs["bare-one-pixel"].config.decoder == "pixel"
    assert runs["no-share"].config.mask_prior == "none"
    assert runs["squared-error"].loss.objective == "squared_error"
    assert complete.loss.price > 0 == runs["no-price"].loss.price
    assert complete.loss.num_slots < complete.config.num_slots
    assert runs["no-fewer-slots"].loss.num_slots is None


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"module": "lstm"}, "module must be one of 'attention', .*, got 'lstm'"),
        ({"data": "clevr7-10"}, "data must be one of 'clevr6', .*, got 'clevr7-10'"),
        ({"profile": "huge"}, "profile must be one of 'ci', .*, got 'huge'"),
        ({"purpose": "fun"}, "purpose must be one of 'showcase', .*, got 'fun'"),
        ({"purpose": "ablation"}, "ablation and purpose='ablation' go together, got None"),
        ({"ablation": "no-price"}, "ablation and purpose='ablation' go together"),
        ({"purpose": "ablation", "ablation": "all"}, "ablation must be one of 'complete', .*"),
        ({"purpose": "comparison", "rate": 1.0}, "a comparison takes the recipe's .*rate=1.0"),
        ({"purpose": "search"}, "a search needs one: got rate=None"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"rate": float("nan")}, "learning_rate must be a number above 0, got nan"),
        ({"size": 0}, "size must be at least 12 pixels, got 0"),
    ],
)
def test_choices_that_make_no_sense_are_refused(choices, message):
    with pytest.raises(ValueError, match=message):
        DiscoveryRun(**choices)


def test_options_of_one_run_come_before_those_of_profile_and_hardware():
    run = DiscoveryRun(profile="ci", precision="bf16-mixed", compile="default", steps=3)
    assert (run.training.precision, run.training.compile) == ("bf16-mixed", "default")
    assert run.training.steps == 3


def test_a_model_of_a_seed_is_the_same_and_leaves_the_global_randomness_alone():
    before, config = torch.get_rng_state(), DiscoveryRun(profile="ci").config
    states = [discovery.build_model(config, seed).state_dict() for seed in (0, 0, 1)]
    same, other = (
        all(torch.equal(states[0][key], state[key]) for key in state) for state in states[1:]
    )
    assert same and not other and torch.equal(torch.get_rng_state(), before)
