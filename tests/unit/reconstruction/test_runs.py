"""Runs of image reconstruction: what their choices decide, and that one recipe serves all."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from smm_tutorial import checkpoints, cli, discovery, reconstruction
from smm_tutorial.reconstruction import (
    ABLATIONS,
    SIZES,
    ReconstructionRun,
    TokenizerRun,
    cluster_patches,
    load_tokenizer,
    temperature_of_step,
    tokenize_all,
)
from smm_tutorial.reconstruction.model import ReconstructionConfig, ReconstructionOutput
from smm_tutorial.reconstruction.recipe import make_draw, make_sequence_loss, network_config
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.training.batches import Batch, Batches, Share
from smm_tutorial.training.loop import step_generator
from tests.toys import toy_scenes
from tests.unit.reconstruction.test_model import SMALL, make

TOKENIZER = "tokenizer-clevr6-ci-steps2-seed0"


@pytest.fixture
def tokenizer(toy_data):
    """The name of a tokenizer that was trained for two steps."""
    assert cli.main("train tokenizer --profile ci --steps 2 --keep checkpoint".split()) == 0
    return TOKENIZER


def test_notebook_and_command_line_train_by_one_recipe(tokenizer):
    """The same weights to the last bit, and the same logged losses."""
    run = ReconstructionRun(profile="ci", steps=3, seed=2, tokenizer=tokenizer)
    in_notebook, result = reconstruction.train(run, log_every=1, progress=False)
    command = f"train reconstruction --profile ci --steps 3 --seed 2 --tokenizer {tokenizer}"
    assert cli.main(command.split()) == 0
    on_command_line, record = checkpoints.load(run.name)
    for name, weight in in_notebook.state_dict().items():
        assert torch.equal(weight, on_command_line.state_dict()[name])
    assert result.log[-1]["loss"] == record["validation"][-1]["loss"]
    assert record["tokenizer"] == tokenizer

    of_tokenizer = TokenizerRun(profile="ci", steps=2)
    again, _ = reconstruction.train_tokenizer(of_tokenizer, progress=False)
    for name, weight in load_tokenizer(tokenizer).state_dict().items():
        assert torch.equal(again.state_dict()[name], weight)
        assert torch.equal(in_notebook.tokenizer.state_dict()[name], weight)


def test_the_tokenizer_stays_and_slots_stay_where_a_run_says_so(tokenizer):
    choices = {"profile": "ci", "steps": 2, "tokenizer": tokenizer}
    for name, changes in ABLATIONS.items():
        run = ReconstructionRun(**choices, purpose="ablation", ablation=name)
        model, _ = reconstruction.train(run, progress=False)
        learning = {
            key.partition(".")[0]
            for key, weight in model.named_parameters()
            if weight.requires_grad
        }
        frozen = {"tokenizer"} if changes.trains_slots else {"tokenizer", "encoder", "slots"}
        assert not learning & frozen, name
        begun = reconstruction.build_model(run.config, load_tokenizer(tokenizer), run.seed)
        for key, weight in begun.state_dict().items():
            part = key.partition(".")[0]
            same = torch.equal(model.state_dict()[key], weight)
            if part == "tokenizer" or (part != "decoder" and not changes.trains_slots):
                assert same, (name, key)
        moved = {
            key.partition(".")[0]
            for key, weight in begun.state_dict().items()
            if not torch.equal(model.state_dict()[key], weight)
        }
        expected = {"decoder", "encoder", "slots"} if changes.trains_slots else {"decoder"}
        assert moved == expected, name


def test_a_run_takes_over_the_slots_of_discovery_and_does_not_change_them(tokenizer):
    assert cli.main("train discovery --profile ci --steps 2".split()) == 0
    name = "discovery-mixture-clevr6-ci-steps2-seed0"
    sizes = replace(SIZES["ci"], slot_dim=48)
    reconstruction.SIZES["ci"], usual = sizes, reconstruction.SIZES["ci"]
    try:
        run = ReconstructionRun(profile="ci", steps=2, tokenizer=tokenizer, begin_with=name)
        assert run.name == "reconstruction-mixture-clevr6-ci-steps2-frozen-seed0"
        model, record = reconstruction.train_and_record(run, progress=False)
    finally:
        reconstruction.SIZES["ci"] = usual
    trained, _ = checkpoints.load(name)
    for part in ("encoder", "slots"):
        for key, weight in getattr(trained, part).state_dict().items():
            assert torch.equal(getattr(model, part).state_dict()[key], weight)
    assert record["begun_with"] == name and record["config"]["inputs"] == "pixels"
    other = ReconstructionRun("attention", profile="ci", tokenizer=tokenizer, begin_with=name)
    with pytest.raises(checkpoints.CheckpointError, match="encoder or slots do not fit this run"):
        reconstruction.train(other, progress=False)


def test_what_is_no_tokenizer_is_refused(tokenizer):
    assert cli.main("train discovery --profile ci --steps 2".split()) == 0
    with pytest.raises(checkpoints.CheckpointError, match="and no Tokenizer: `smm-tutorial train"):
        load_tokenizer("discovery-mixture-clevr6-ci-steps2-seed0")
    run = ReconstructionRun(profile="ci", steps=2)
    with pytest.raises(checkpoints.CheckpointError, match="no checkpoint 'tokenizer-clevr6-ci-see"):
        reconstruction.train(run, progress=False)


@pytest.mark.parametrize("profile", SIZES)
def test_compared_networks_differ_in_the_slot_module_alone(profile):
    configs = {module: network_config(module, SIZES[profile]) for module in CONTESTANTS}
    mixture, attention, wide = configs["mixture"], configs["attention"], configs["attention-wide"]
    shared = {name: value for name, value in mixture.slot_options.items() if name != "content"}
    assert attention == replace(mixture, slots="attention", slot_options=shared)
    assert wide == replace(attention, slot_dim=2 * attention.slot_dim)


def test_names_say_what_is_special():
    def name(**choices):
        return ReconstructionRun(profile="laptop", **choices).name

    assert name() == "reconstruction-mixture-clevr-mirror-laptop-seed0"
    assert name(data="stacks", size=64, seed=3) == "reconstruction-mixture-stacks-laptop-64px-seed3"
    compared = name(module="attention", purpose="comparison", steps=3_000)
    assert compared == "reconstruction-comparison-attention-clevr-mirror-laptop-seed0"
    searched = name(purpose="search", rate=1e-3, steps=5)
    assert searched == "reconstruction-search-mixture-clevr-mirror-laptop-steps5-rate0.001-seed0"
    changed = name(purpose="ablation", ablation="no-slots")
    assert changed == "reconstruction-variant-no-slots-mixture-clevr-mirror-laptop-seed0"
    run = ReconstructionRun(profile="laptop", size=64)
    assert run.tokenizer_name == "tokenizer-clevr-mirror-laptop-64px-seed0"
    assert TokenizerRun(profile="laptop").name == "tokenizer-clevr-mirror-laptop-seed0"
    changed = TokenizerRun(profile="ci", purpose="ablation", ablation="random-codes")
    assert changed.name == "tokenizer-variant-random-codes-clevr6-ci-seed0"


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"data": "coco"}, "data must be one of"),
        ({"module": "boxes"}, "module must be one of"),
        ({"profile": "huge"}, "profile must be one of"),
        ({"ablation": "no-slots"}, "go together"),
        ({"size": 50}, "patch must divide image_size = 50"),
        (
            {"ablation": "no-slots", "purpose": "ablation", "begin_with": "some"},
            "an ablation trains slots of its own, or none: leave out begin_with, got 'some'",
        ),
    ],
)
def test_odd_choices_are_refused(choices, message):
    with pytest.raises(ValueError, match=message):
        ReconstructionRun(**{"profile": "ci"} | choices)


def test_the_temperature_falls_and_then_stays():
    told = [temperature_of_step(step, 300) for step in range(301)]
    assert told[0] == 1.0 and told == sorted(told, reverse=True)
    assert told[50] == pytest.approx(0.55) and told[100:] == pytest.approx([0.1] * 201)


def test_a_code_book_holds_patches_of_the_images():
    codes = cluster_patches(toy_scenes(size=32), 5, 4, seed=0)
    assert codes.shape == (5, 3, 4, 4) and 0 <= codes.min() <= codes.max() <= 1
    grey = torch.full((3, 4, 4), 120 / 255)
    assert (codes - grey).abs().amax(dim=(1, 2, 3)).min() < 0.02  # most patches are grey
    with pytest.raises(ValueError, match="the images have fewer than 500 different patches"):
        cluster_patches(toy_scenes(count=1), 500, 4, seed=0)


def test_batches_hold_the_tokens_of_their_pictures_and_processes_share_them(tokenizer):
    network, data = load_tokenizer(tokenizer), toy_scenes(count=20, size=32)
    tokens = tokenize_all(network, data)
    assert tokens.shape == (20, 2, 64) and tokens.dtype == torch.int16

    def drawn(share):
        batches = Batches(
            data,
            8,
            lambda batch, generator: torch.randn(batch, 2, generator=generator),
            mirrored=0.5,
            targets=tokens[:, 0],
            mirrored_targets=tokens[:, 1],
        )
        batches.place(next(network.parameters()).device, share)
        return batches.draw(step_generator(0, 3))

    whole = drawn(Share())
    assert torch.equal(network.tokenize(whole.images), whole.targets.long())
    plain = {image.tobytes() for image in data.batch(slice(None)).images.cpu().numpy()}
    mirrored = [image.tobytes() not in plain for image in whole.images.cpu().numpy()]
    assert 0 < sum(mirrored) < 8
    parts = [drawn(Share(rank, 2)) for rank in range(2)]
    for field in whole._fields:
        assert_close(torch.cat([getattr(part, field) for part in parts]), getattr(whole, field))


def test_slots_of_discovery_fit_the_laptops_network():
    config = network_config("mixture", SIZES["laptop"], inputs="pixels")
    model = reconstruction.SlotReconstruction(config)
    name = "discovery-mixture-clevr6-laptop-48px-seed0"
    reconstruction.begin_with_discovery(model, name)
    trained, _ = discovery.load_discovery(name)
    images = torch.rand(2, 3, 48, 48)
    noise = model.start_noise(2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = model.eval().find_slots(images, noise=noise)
        assert_close(found.means, trained.find_slots(images, noise=noise).means)


def test_a_training_step_hides_tokens_and_keeps_the_noise_of_the_slots():
    seen = []

    def network(images, noise, tokens, hidden):
        seen.append((noise, hidden))
        return ReconstructionOutput(torch.zeros(*tokens.shape, 6), tokens, None)

    config = replace(SMALL, hidden_tokens=0.3)
    model, _ = make(config)
    drawn = make_draw(model)(40, torch.Generator().manual_seed(1))
    batch = Batch(torch.rand(40, 3, 16, 16), drawn, torch.zeros(40, 16, dtype=torch.int16))
    make_sequence_loss(config)(network, batch, 0)
    make_sequence_loss(SMALL)(network, batch, 0)
    (noise, hidden), (_, none_hidden) = seen
    assert torch.equal(noise, model.start_noise(40, torch.Generator().manual_seed(1)))
    assert hidden.shape == (40, 16) and 0.2 < hidden.float().mean() < 0.4
    assert not none_hidden.any()


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_of_hidden_tokens_that_is_no_share_is_refused(share):
    with pytest.raises(ValueError, match="hidden_tokens must be a share from 0 to below 1"):
        ReconstructionConfig(hidden_tokens=share)
