"""Scores of predicted sets: perfect ones, wrong ones, and none."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from smm_tutorial.set_prediction.average_precision import average_precision_clevr
from smm_tutorial.set_prediction.runs import SetPredictionRun, build_model
from smm_tutorial.set_prediction.scores import (
    THRESHOLDS,
    evaluate,
    predict_sets,
    score,
    score_binding,
)
from smm_tutorial.set_prediction.targets import COORDINATES, PROPERTY_SLICES, REAL, set_targets
from tests.toy_models import watch_iterations
from tests.toys import toy_scenes, toy_sets


def test_perfect_predictions_score_one_everywhere():
    data = toy_sets()
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
    data = toy_sets()
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
    data = toy_sets(count=2)
    scores = score(data, torch.zeros(2, 6, 19))
    assert scores["distance"] is None and set(scores["right"].values()) == {0.0}
    assert scores["count_error"] == np.mean([len(record["objects"]) for record in data.records])


def test_scores_need_records():
    with pytest.raises(ValueError, match="has no records to score against"):
        score(replace(toy_sets(), records=None), torch.zeros(8, 6, 19))


def test_predictions_are_repeatable_and_alone_decide_the_scores():
    model = build_model(SetPredictionRun(profile="ci").config, seed=0).eval()
    data = toy_sets(count=70)  # more than one batch
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


def shares_of(owners):
    """Responsibilities `(M, N, 4)` of slots that hold the inputs with given labels `(M, S, S)`."""
    return torch.nn.functional.one_hot(owners.flatten(1), 4).float()


def test_slots_that_hold_the_objects_bind_and_one_slot_for_all_does_not():
    data = toy_scenes(6)
    cells = data.masks[:, ::2, ::2].long()  # (M, 8, 8)
    blocks = cells.repeat_interleave(2, 1).repeat_interleave(2, 2)
    data = replace(data, masks=blocks.byte())
    perfect = score_binding(data, shares_of(cells))
    assert perfect["fg_ari"] == perfect["coverage"] == 1
    ground = (cells == 0).double().mean().item()
    assert perfect["largest_slot"] == pytest.approx(ground, abs=1e-3)
    lumped = score_binding(data, shares_of(torch.zeros_like(cells)))
    assert lumped["fg_ari"] == 0 and lumped["largest_slot"] == lumped["coverage"] == 1
    thirds = shares_of((cells > 0) * (torch.arange(64).view(8, 8).remainder(3) + 1))
    assert 1 / 3 <= score_binding(data, thirds)["coverage"] < 0.6


def test_binding_is_scored_where_there_are_masks():
    model = build_model(SetPredictionRun(profile="ci").config, seed=0).eval()
    data = toy_sets(count=4)
    assert "binding" not in evaluate(model, data)
    masks = torch.zeros(4, 64, 64, dtype=torch.uint8)
    masks[:, :32] = 1
    masks[:, 32:] = 2
    binding = evaluate(model, replace(data, masks=masks))["binding"]
    assert set(binding) == {"fg_ari", "largest_slot", "coverage"}


def test_slots_may_iterate_longer_than_in_training():
    model, data = build_model(SetPredictionRun(profile="ci").config, 0), toy_sets(4)
    seen = watch_iterations(model)
    assert evaluate(model, data, num_iterations=9)["iterations"] == 9
    assert "iterations" not in evaluate(model, data)
    assert seen == [9, model.config.num_iterations]
