"""Experiments, records, report and command line."""

import json

import pytest
import torch

from smm_tutorial import checkpoints, cli, datasets, experiments, metrics, paths, report
from smm_tutorial.profiles import PROFILES, current_profile
from tests.toys import toy_scenes


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """A data folder of this test's own, with the committed packs in it and toy scenes for `clevr6`."""
    for name in ("packs", "checkpoints", "results"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("SMM_DATA", str(tmp_path))
    monkeypatch.setattr(datasets, "load", lambda name, split, size, **options: toy_scenes(size=size))
    return tmp_path


def test_profile_by_name_by_hardware_and_an_unknown_one(monkeypatch):
    monkeypatch.setenv("SMM_PROFILE", "paper")
    assert current_profile() is PROFILES["paper"]
    monkeypatch.delenv("SMM_PROFILE")
    assert current_profile().name == ("gpu" if torch.cuda.is_available() else "laptop")
    monkeypatch.setenv("SMM_PROFILE", "huge")
    with pytest.raises(ValueError, match="SMM_PROFILE is 'huge'; known profiles are ci, laptop, gpu, paper"):
        current_profile()


def test_compared_networks_differ_in_the_slot_module_alone():
    for profile in PROFILES.values():
        mixture, attention = (experiments.discovery_config(slots, profile) for slots in ("mixture", "attention"))
        different = {k for k in vars(mixture) if getattr(mixture, k) != getattr(attention, k)}
        assert different == {"slots"}
        with torch.device("meta"):
            encoders = [experiments.ObjectDiscovery(config).encoder for config in (mixture, attention)]
        assert str(encoders[0]) == str(encoders[1])


def test_segmentations_are_repeatable_and_scored_as_the_metrics_say():
    data = toy_scenes(size=32)
    model = experiments.discovery_model(experiments.discovery_config("mixture", PROFILES["ci"]), seed=0).eval()
    segmentation = experiments.segment(model, data, seed=3)
    assert torch.equal(segmentation, experiments.segment(model, data, seed=3))
    assert not torch.equal(segmentation, experiments.segment(model, data, seed=4))
    scores = experiments.score(data, segmentation)
    expected = metrics.foreground_ari(data.masks.long(), segmentation).mean().item()
    assert scores["fg_ari"] == pytest.approx(expected, abs=1e-4) and scores["images"] == len(data)


def test_segmentation_by_pixel_responsibilities_or_by_the_decoders_masks():
    data = toy_scenes(size=32)
    model = experiments.discovery_model(experiments.discovery_config("mixture", PROFILES["ci"]), seed=0).eval()
    images, noise = data.batch(slice(None)).images, model.start_noise(len(data), torch.Generator().manual_seed(3))
    with torch.no_grad():
        output = model(images, noise=noise)
    assert torch.equal(experiments.segment(model, data, seed=3), output.responsibilities(images).argmax(1))
    assert torch.equal(experiments.segment(model, data, seed=3, masks="decoder"), output.segmentation)
    scores = experiments.both_scores(model, data, seed=3)
    assert scores["decoder_masks"] == experiments.score(data, output.segmentation)


def test_variants_differ_from_the_complete_run_in_what_they_name():
    runs = {v: experiments.DiscoveryRun("", "mixture", "clevr6", PROFILES["ci"], 0, variant=v) for v in experiments.VARIANTS}
    complete, plain = runs.pop("complete"), experiments.DiscoveryRun("", "mixture", "clevr6", PROFILES["ci"], 0)
    assert plain.name == "discovery-mixture-clevr6-ci-seed0" and complete.name == "variant-complete-mixture-clevr6-ci-seed0"
    assert (plain.config, plain.loss_options) == (complete.config, complete.loss_options)
    for run in runs.values():
        assert (run.config != complete.config) + (run.loss_options != complete.loss_options) == 1
    assert runs["no-share"].config.mask_prior == "none"
    assert runs["squared-error"].loss_options["objective"] == "squared_error"
    assert complete.loss_options["price"] > 0 and runs["no-price"].loss_options["price"] == 0
    assert (
        complete.loss_options["num_slots"] < complete.config.num_slots and not runs["no-fewer-slots"].loss_options["num_slots"]
    )


def test_a_mixture_on_raw_pixels_finds_plain_squares():
    data = toy_scenes(count=4, size=16)
    assert experiments.score(data, experiments.segment_pixels(data, num_clusters=3))["mbo"] > 0.7


def test_masks_are_needed_to_score():
    data = experiments.SceneImages(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), ["0.png"], "bare", "test", "CC0")
    with pytest.raises(ValueError, match=r"bare \(test\) has no masks to score against"):
        experiments.score(data, torch.zeros(1, 8, 8, dtype=torch.long))


def test_slot_attention_trains_by_the_same_command(own_data):
    assert cli.main(["train", "discovery", "--slots", "attention", "--profile", "ci", "--steps", "2", "--keep"]) == 0
    model, record = checkpoints.load("discovery-attention-clevr6-ci-seed0")
    assert record["config"]["slots"] == "attention" and type(model.slots).__name__ == "SlotAttention"


def test_train_evaluate_and_report_from_the_command_line(own_data, capsys):
    assert cli.main(["train", "discovery", "--profile", "ci", "--steps", "2", "--keep"]) == 0
    name = "discovery-mixture-clevr6-ci-seed0"
    record = json.loads((own_data / "results" / f"{name}.json").read_text())
    assert record["command"] == "smm-tutorial train discovery --profile ci --steps 2 --keep"
    assert record["step"] == 2 and record["training"]["steps"] == 2 and "revision" in record["provenance"]
    assert checkpoints.load(name).record["config"] == record["config"]

    for what in (name, "untrained", "pixels"):
        assert cli.main(["evaluate", what, "--data", "clevr-renders", "--root", "somewhere", "--keep"]) == 0
    record = json.loads((own_data / "results" / f"{name}.json").read_text())
    assert set(record["scores"]) == set(experiments.DATA_LABELS.values())

    capsys.readouterr()
    assert cli.main(["report", "discovery"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| Gaussian mixture on raw pixels", "| SMM, untrained", "| SMM, 32 px, seed 0", "| SMM, 32 px, seed 0",
    ]  # fmt: skip


def test_a_second_call_goes_on_with_the_run_of_the_first(own_data, capsys):
    for _ in range(2):
        assert cli.main(["train", "discovery", "--profile", "ci", "--steps", "2"]) == 0
    folder = paths.runs_dir() / "discovery-mixture-clevr6-ci-seed0"
    assert len((folder / "log.jsonl").read_text().splitlines()) == 1  # the second call found nothing left to do


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "nothing"], "there is no checkpoint 'nothing': known are []"),
        (["evaluate", "pixels", "--data", "clevr-renders"], "clevr-renders needs the folder of the renders: --root PATH"),
        (["train", "discovery", "--profile", "ci", "--steps", "-1"], "steps must be at least 1, got -1"),
    ],
)
def test_expected_errors_are_one_line_and_status_1(own_data, capsys, arguments, message):
    assert cli.main(arguments) == 1
    assert message in capsys.readouterr().err


def test_an_unknown_result_lists_the_known_ones(own_data):
    experiments.write_record({"name": "one"})
    with pytest.raises(FileNotFoundError, match="there is no result 'two'.*known: one"):
        experiments.read_record("two")


def test_tables_have_a_head_a_rule_and_one_line_a_row():
    assert report.markdown_table([["a", "b"], ["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
