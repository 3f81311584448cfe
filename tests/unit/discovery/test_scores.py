"""Evaluation: whose each pixel is, means and spreads, and scores by number and size of objects."""

import json
import warnings

import pytest
import torch

from smm_tutorial import discovery, metrics
from smm_tutorial.datasets import SceneImages
from tests.toy_models import toy_discovery, watch_iterations
from tests.toys import toy_scenes


@pytest.fixture(scope="module")
def model():
    return discovery.build_model(discovery.DiscoveryRun(profile="ci").config, seed=0).eval()


@pytest.fixture(scope="module")
def data():
    return toy_scenes(size=32)


def scenes_of(masks):
    images = torch.zeros(len(masks), 3, *masks.shape[1:], dtype=torch.uint8)
    return SceneImages(
        images, [f"{i}.png" for i in range(len(masks))], "drawn", "test", "CC0", masks=masks.byte()
    )


def drawn(*widths, side=20):
    """A scene 20 x 20 whose objects stand side by side, each one row high and so many pixels
    wide.
    """
    mask = torch.zeros(side, side, dtype=torch.long)
    for label, width in enumerate(widths, start=1):
        mask[label, :width] = label
    return mask


@pytest.mark.needs_cpu("it compares with tensors of its own")
def test_segmentations_are_repeatable_and_scored_as_the_metrics_say(model, data):
    segmentation = discovery.segment(model, data, seed=3)
    assert torch.equal(segmentation, discovery.segment(model, data, seed=3))
    assert not torch.equal(segmentation, discovery.segment(model, data, seed=4))
    scores = discovery.score(data, segmentation)
    expected = metrics.foreground_ari(data.masks.long(), segmentation).mean().item()
    assert scores["fg_ari"] == pytest.approx(expected, abs=1e-4) and scores["images"] == len(data)


def test_of_several_starts_each_image_keeps_the_one_that_explains_its_pixels_best(model, data):
    images = data.batch(slice(None)).images
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        outputs = [model(images, noise=model.start_noise(len(data), generator)) for _ in range(3)]
    likelihoods = [output.log_joint(images).logsumexp(1).mean((1, 2)) for output in outputs]
    chosen = torch.stack(likelihoods).argmax(0)
    assert len(chosen.unique()) > 1
    expected = [outputs[best].segmentation[index] for index, best in enumerate(chosen.tolist())]
    found = discovery.segment(model, data, seed=3, masks="decoder", starts=3)
    assert torch.equal(found, torch.stack(expected))
    assert discovery.evaluate(model, data, starts=2)["starts"] == 2
    with pytest.raises(ValueError, match="starts must be a whole number of at least 1, got 0"):
        discovery.segment(model, data, starts=0)


def test_owners_by_pixels_by_the_decoder_and_by_the_slot_module(model, data):
    images = data.batch(slice(None)).images
    noise = model.start_noise(len(data), torch.Generator().manual_seed(3))
    with torch.no_grad():
        output = model(images, noise=noise)
    by_pixels = discovery.segment(model, data, seed=3)
    assert torch.equal(by_pixels, output.responsibilities(images).argmax(1))
    assert torch.equal(discovery.segment(model, data, seed=3, masks="decoder"), output.segmentation)
    owners = output.slot_output.responsibilities.argmax(2)
    cells = owners.unflatten(1, (16, 16))  # the encoder halves 32 pixels
    by_slots = discovery.segment(model, data, seed=3, masks="slots")
    assert torch.equal(by_slots, cells.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2))


def test_enlarging_takes_the_nearest_cell_and_invents_no_owner():
    owners = torch.tensor([[0, 300, 2, 7, 1, 5, 3, 4, 6]])  # 3 x 3
    maps = discovery.enlarge_owners(owners, (7, 7))
    assert maps[0, 0].tolist() == [0, 0, 300, 300, 300, 2, 2]
    assert maps[0, :, 0].tolist() == [0, 0, 7, 7, 7, 3, 3]
    assert set(maps.unique().tolist()) == set(owners[0].tolist())


def test_evaluation_holds_every_kind_of_masks_and_survives_json(model, data):
    scores = discovery.evaluate(model, data, seed=3)
    owners = discovery.segment_by_all_masks(model, data, seed=3)
    assert scores["decoder_masks"] == discovery.score_with_errors(data, owners["decoder"])
    assert scores["slot_masks"] == discovery.score_with_errors(data, owners["slots"])
    detailed = discovery.score_in_detail(data, owners["responsibilities"])
    assert {key: scores[key] for key in detailed} == detailed
    assert (scores["num_slots"], scores["short_of_slots"]) == (7, 0)
    headline = discovery.score(data, owners["responsibilities"])
    assert {key: scores[key] for key in headline} == headline
    assert json.loads(json.dumps(scores)) == scores


def test_autocast_around_an_evaluation_changes_nothing(model, data):
    plain = discovery.evaluate(model, data)
    with torch.autocast("cpu", torch.bfloat16):
        assert discovery.evaluate(model, data) == plain


def test_more_slots_than_in_training(model, data):
    scores = discovery.evaluate(model, data, num_slots=11)
    assert scores["num_slots"] == 11 and discovery.segment(model, data, num_slots=11).max() > 6


def test_too_few_slots_are_pointed_out(model):
    two, three = toy_scenes(count=2, size=32), toy_scenes(count=3, size=32)
    three.masks[0, 30, :] = 3  # a third object in the first image
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert discovery.evaluate(model, two, num_slots=3)["short_of_slots"] == 0
    with pytest.warns(
        UserWarning, match="1 of 3 images show more objects than the 3 slots.*num_slots=4 is enough"
    ):
        assert discovery.evaluate(model, three, num_slots=3)["short_of_slots"] == 1


def test_means_come_with_their_standard_errors():
    data = scenes_of(torch.stack([drawn(4, 4), drawn(6, 6), drawn(4)]))
    found = data.masks.long()
    found[0][found[0] == 2] = 1  # merges the first image's two objects
    scores = discovery.score_with_errors(data, found)
    values = metrics.mean_best_overlap(data.masks, found)
    assert scores["mbo"] == pytest.approx(values.mean().item(), abs=1e-4)
    assert scores["standard_errors"]["mbo"] == pytest.approx(values.std().item() / 3**0.5, abs=1e-4)
    assert scores["merged"] == pytest.approx(1 / 3, abs=1e-4)
    assert scores["segments"] == pytest.approx((2 + 3 + 2) / 3, abs=1e-4)
    single = discovery.score_with_errors(scenes_of(data.masks[:1]), found[:1])
    assert single["standard_errors"]["mbo"] is None


def test_scores_by_the_number_of_objects_in_view_make_up_the_whole():
    data = scenes_of(torch.stack([drawn(4, 4), drawn(6, 6), drawn(4), drawn()]))
    found = data.masks.long()
    found[0][found[0] == 2] = 1
    scores = discovery.score_in_detail(data, found)
    parts = scores["by_objects"]
    assert {number: entry["images"] for number, entry in parts.items()} == {"0": 1, "1": 1, "2": 2}
    assert parts["1"]["mbo"] == 1 and parts["2"]["merged"] == 0.5 and parts["0"]["missed"] == 0
    whole = sum(entry["mbo"] * entry["images"] for entry in parts.values()) / len(data)
    assert whole == pytest.approx(scores["mbo"], abs=1e-4)


def test_scores_by_the_size_of_objects():
    # 1, 1.25, 2.5 and 4.75, 5 % of 400 pixels
    data = scenes_of(torch.stack([drawn(4, 5, 10), drawn(19, 20)]))
    found = data.masks.long()
    found[0][found[0] == 1] = 0  # the smallest one is taken for ground
    assert discovery.score_in_detail(data, found)["by_size"] == {
        "below 1.25 %": {
            "objects": 1,
            "overlap": pytest.approx(4 / (400 - 15), abs=1e-4),
            "standard_error": None,
            "missed": 1,
        },
        "1.25 to 2.5 %": {"objects": 1, "overlap": 1, "standard_error": None, "missed": 0},
        "2.5 to 5 %": {"objects": 2, "overlap": 1, "standard_error": 0, "missed": 0},
        "5 % and more": {"objects": 1, "overlap": 1, "standard_error": None, "missed": 0},
    }
    small = drawn(4)[None]
    assert list(discovery.score_in_detail(scenes_of(small), small)["by_size"]) == ["below 1.25 %"]


def test_a_mixture_on_raw_pixels_finds_plain_squares():
    data = toy_scenes(count=4, size=16)
    assert discovery.score(data, discovery.segment_pixels(data, num_clusters=3))["mbo"] > 0.7


def test_a_mixture_on_raw_pixels_has_its_iterations_and_does_not_warn():
    # Rings of grey: here EM needs more than 50 iterations.
    y, x = torch.meshgrid(torch.arange(-12.0, 12), torch.arange(-12.0, 12), indexing="ij")
    rings = (14 * torch.hypot(x, y)).to(torch.uint8).expand(1, 3, 24, 24)
    data = SceneImages(rings, ["0.png"], "rings", "test", "CC0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert discovery.segment_pixels(data, num_clusters=8).shape == (1, 24, 24)


def test_masks_are_needed_to_score():
    data = SceneImages(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), ["0.png"], "bare", "test", "CC0")
    for score in (discovery.score, discovery.score_with_errors, discovery.score_in_detail):
        with pytest.raises(ValueError, match=r"bare \(test\) has no masks to score against"):
            score(data, torch.zeros(1, 8, 8, dtype=torch.long))


def test_slots_may_iterate_longer_than_in_training():
    model, _, _ = toy_discovery()
    seen = watch_iterations(model)
    scores = discovery.evaluate(model, toy_scenes(2), num_iterations=9)
    assert scores["iterations"] == 9 and set(seen) == {9}
    seen.clear()
    assert "iterations" not in discovery.evaluate(model, toy_scenes(2))
    assert set(seen) == {model.config.num_iterations}
