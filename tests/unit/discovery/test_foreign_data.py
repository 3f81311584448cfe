"""Object discovery on data sets of others and on folders of one's own pictures."""

import json

import pytest
import torch
from PIL import Image

from smm_tutorial import checkpoints, cli, discovery
from smm_tutorial.datasets.foreign_sets import FOREIGN_SETS, ForeignSet, hold_out
from smm_tutorial.discovery.scores import score_likelihood
from smm_tutorial.results.records import find_scores
from tests.shared import SHARED
from tests.toy_models import toy_discovery
from tests.toys import toy_scenes


@pytest.fixture
def pictures(tmp_path):
    """Twelve pictures of two coloured squares each, without masks."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, image in enumerate(toy_scenes(12, size=32).images):
        Image.fromarray(image.permute(1, 2, 0).cpu().numpy()).save(folder / f"{index:02}.png")
    return folder


def give_masks(folder):
    for index, mask in enumerate(toy_scenes(12, size=32).masks):
        Image.fromarray(mask.cpu().numpy()).save(folder / f"{index:02}_mask.png")


def train(folder, *options):
    command = ["train", "discovery", "--profile", "ci", "--steps", "2", "--size", "16"]
    assert cli.main([*command, "--data", "folder", "--root", str(folder), *options]) == 0


def test_pictures_without_masks_train_and_are_scored_by_their_likelihood(
    data_folder, pictures, capsys
):
    train(pictures)
    name = "discovery-mixture-folder-ci-16px-steps2-seed0"
    assert "1 test images, which have no masks: nats per pixel" in capsys.readouterr().out
    folder = data_folder / "runs" / name
    record = json.loads((folder / f"{name}.json").read_text())
    assert set(record["validation"][-1]) >= {"nats_per_pixel", "squared_error"}
    assert record["scores"][0]["set"] == "folder" and record["root"] == "pictures"
    assert str(pictures) not in json.dumps(record | {"command": ""})
    options = ["evaluate", name, "--data", "folder", "--root", str(pictures)]
    assert cli.main(options) == 0
    assert "1 test images, which have no masks: nats per pixel" in capsys.readouterr().out
    assert cli.main([*options, "--starts", "2"]) == 1
    assert "change masks, and folder has none here" in capsys.readouterr().err


def test_pictures_with_masks_are_scored_by_them(data_folder, pictures, capsys):
    give_masks(pictures)
    train(pictures, "--limit", "12")
    name = "discovery-mixture-folder-ci-16px-12images-steps2-seed0"
    record = checkpoints.load(name).record
    assert record["limit"] == 12 and "fg_ari" in record["validation"][-1]
    kept = json.loads((data_folder / "runs" / name / f"{name}.json").read_text())
    assert find_scores(kept, "folder")["images"] == 1
    assert "own pictures, held out (1 images)" in capsys.readouterr().out


def test_a_trained_model_can_be_gone_on_with(data_folder, pictures, capsys):
    train(pictures)
    first = "discovery-mixture-folder-ci-16px-steps2-seed0"
    run = discovery.DiscoveryRun(
        profile="ci", size=16, steps=1, data="folder", root=str(pictures), begin_with=first
    )
    assert run.name == "discovery-mixture-folder-ci-16px-steps1-begun-seed0"
    assert run.choices["begun_with"] == first
    begun = discovery.build_model(run.config, 0)
    discovery.runs.begin_with_trained(begun, first)
    for name, weight in checkpoints.load(first).model.state_dict().items():
        assert torch.equal(begun.state_dict()[name], weight)
    train(pictures, "--begin-with", first)
    other = ["train", "discovery", "--profile", "ci", "--data", "folder", "--root", str(pictures)]
    assert cli.main([*other, "--begin-with", first]) == 1
    assert "choose its --slots, --profile and --size" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"data": "folder"}, "needs root, the folder of the pictures: --root PATH"),
        ({"data": "folder", "root": "x", "max_objects": 6}, "the pictures of a folder have none"),
        ({"data": "clevr6", "limit": 5}, "clevr6 comes with the course: leave them out"),
        ({"data": "imagenet"}, "data must be one of"),
    ],
)
def test_choices_that_contradict_each_other_are_refused(choices, message):
    with pytest.raises(ValueError, match=message):
        run = discovery.DiscoveryRun(profile="ci", **choices)
        _ = run.foreign


def test_every_tenth_image_is_held_out_and_few_are_shared():
    data = toy_scenes(25)
    parts = {split: hold_out(data, split) for split in ("train", "val", "test")}
    assert parts["test"].filenames == ["9.png", "19.png"]
    assert parts["val"].filenames == ["8.png", "18.png"]
    names = [name for part in parts.values() for name in part.filenames]
    assert sorted(names) == sorted(data.filenames)
    assert parts["train"].provenance["held_out_every"] == 10
    few = toy_scenes(4)
    assert hold_out(few, "test").filenames == few.filenames
    assert hold_out(few, "test").provenance["held_out_every"] == 0


def test_the_likelihood_is_that_of_the_mixture_of_paintings():
    model, images, output = toy_discovery()
    data = toy_scenes(2)
    found = score_likelihood(model, data)
    weights = output.masks[:, :, None]  # (B, K, 1, H, W)
    scale = model.config.pixel_scale
    densities = torch.distributions.Normal(output.reconstructions, scale).log_prob(images[:, None])
    by_hand = (densities.sum(dim=2).exp() * weights[:, :, 0]).sum(dim=1).log().mean()
    assert found["nats_per_pixel"] == pytest.approx(by_hand.item(), abs=2e-3)
    squares = (output.reconstruction - images).square().mean()
    assert found["squared_error"] == pytest.approx(squares.item(), abs=1e-5)
    assert found["images"] == 2


@pytest.mark.parametrize("name", ["clevr", "coco"])
def test_sample_files_of_data_sets_of_others_train(name, data_folder, capsys):
    folder = SHARED / "data" / {"clevr": "CLEVR_v1.0", "coco": "coco_sample"}[name]
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    options = ["--profile", "ci", "--steps", "2", "--data", name, "--root", str(folder)]
    assert cli.main(["train", "discovery", *options]) == 0
    assert "held out" in capsys.readouterr().out


def test_data_that_are_not_there_are_named_with_the_command_that_fetches_them(data_folder):
    with pytest.raises(RuntimeError, match=r"smm-tutorial data download clevr --count 100"):
        ForeignSet("clevr").load("train", 32)
    names = "clevr clevr-with-masks clevrtex shapestacks coco folder"
    assert list(FOREIGN_SETS) == names.split()


def test_masks_of_a_folder_change_no_training(data_folder, pictures):
    run = discovery.DiscoveryRun(profile="ci", size=16, steps=2, data="folder", root=str(pictures))
    plain, _ = discovery.train(run, progress=False)
    give_masks(pictures)
    masked, _ = discovery.train(run, progress=False)
    for one, other in zip(plain.parameters(), masked.parameters(), strict=True):
        assert torch.equal(one, other)
