"""What slots hold, empty slots and counts: small tables by hand."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from smm_tutorial.concepts import (
    NOTHING,
    SlotReadings,
    assign_regions,
    choose_threshold,
    correlate_weights,
    read_slots,
    score_counts,
    score_empty,
    score_weights,
    weigh_slots,
)
from smm_tutorial.discovery import DiscoveryConfig, build_model
from smm_tutorial.slots import SlotAttention, SlotMixture
from tests.toys import toy_scenes


def readings(weights, regions, visible, kept=None):
    weights, regions = torch.tensor(weights), torch.tensor(regions)
    kept = regions != NOTHING if kept is None else torch.tensor(kept)
    return SlotReadings(
        slots=torch.zeros(*weights.shape, 2),
        weights=weights,
        areas=(1000 * weights).round().long(),
        centres=torch.full((*weights.shape, 2), 0.5),
        kept=kept,
        regions=regions,
        visible=torch.tensor(visible),
    )


def test_each_region_belongs_to_the_slot_that_overlaps_it_best():
    counts = torch.tensor(
        [
            [90, 0, 10, 0],  # ground
            [0, 20, 0, 0],  # an object in slot 1
            [5, 0, 15, 0],  # an object in slot 2, with a part of the ground
            [2, 0, 0, 0],  # an object that no slot holds
        ]
    )[None]
    assert assign_regions(counts).tolist() == [[0, 1, 2, NOTHING]]
    assert assign_regions(counts[:, :, [3, 0, 1, 2]]).tolist() == [[NOTHING, 0, 1, 2]]


def test_a_slot_with_two_regions_holds_the_one_that_it_overlaps_more():
    counts = torch.tensor([[100, 0], [0, 30], [0, 40]])[None]
    assert assign_regions(counts).tolist() == [[0, 2]]


def test_weights_in_proportion_to_areas_correlate_perfectly():
    one = readings([[0.6, 0.1, 0.2, 0.1, 0.0]], [[0, 1, 2, 3, NOTHING]], [[600, 100, 200, 100]])
    assert correlate_weights(one) == {"pooled": 1.0, "in_scenes": 1.0, "slots": 3, "scenes": 1}
    turned = readings([[0.6, 0.1, 0.3]], [[0, 1, 2]], [[600, 300, 100]])
    assert correlate_weights(turned) == {"pooled": -1.0, "in_scenes": 0.0, "slots": 2, "scenes": 0}


def test_precision_recall_and_f1_by_hand():
    found = torch.tensor([True, True, True, False, False])
    true = torch.tensor([True, True, False, True, False])
    expected = {"precision": 0.6667, "recall": 0.6667, "f1": 0.6667}
    assert score_empty(found, true) == expected
    nothing = torch.zeros(5, dtype=torch.bool)
    assert score_empty(nothing, true) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_the_threshold_has_the_best_f1_of_all():
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(200, generator=generator).round(decimals=2)  # with ties
    is_empty = values + 0.3 * torch.randn(200, generator=generator) < 0.3
    chosen = choose_threshold(values, is_empty)
    best = max(score_empty(values < t, is_empty)["f1"] for t in torch.linspace(-0.005, 1.1, 500))
    assert score_empty(values < chosen, is_empty)["f1"] == pytest.approx(best, abs=2e-4)


def test_without_empty_slots_nothing_is_below_the_threshold():
    values = torch.rand(20)
    assert not (values < choose_threshold(values, torch.zeros(20, dtype=torch.bool))).any()
    everything = choose_threshold(values, torch.ones(20, dtype=torch.bool))
    assert (values < everything).all()


def test_counts_leave_the_ground_out():
    kept, objects = torch.tensor([4, 5, 3]), torch.tensor([3, 3, 3])
    assert score_counts(kept, objects) == {"accuracy": 0.3333, "error": 0.6667}


def test_methods_find_what_their_numbers_show():
    clear = readings(
        [[0.7, 0.2, 0.1, 0.0], [0.8, 0.2, 0.0, 0.0]],
        [[0, 1, 2, NOTHING], [0, 1, NOTHING, NOTHING]],
        [[700, 200, 100], [800, 200, 0]],
        kept=[[True, True, True, True], [True, True, False, False]],
    )
    scores = score_weights(clear, clear)
    for name in ("weights", "masks"):
        assert scores["methods"][name]["f1"] == 1 and scores["methods"][name]["accuracy"] == 1
    assert scores["methods"]["bic"] == {
        "precision": 1.0,
        "recall": 0.6667,
        "f1": 0.8,
        "accuracy": 0.5,
        "error": 0.5,
    }
    assert (scores["empty"], scores["num_slots"], scores["images"]) == (0.375, 4, 2)


@pytest.mark.parametrize("module", [SlotAttention, SlotMixture])
def test_weights_are_shares_of_the_inputs(module):
    slots = module(num_slots=3, input_dim=8, slot_dim=8)
    with torch.no_grad():
        found = slots(torch.randn(2, 16, 8))
    weights = weigh_slots(found)
    assert_close(weights.sum(dim=1), torch.ones(2))
    assert_close(weights, found.responsibilities.mean(dim=1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("module", ["attention", "mixture"])
def test_slots_of_a_data_set_are_read_in_batches(module, monkeypatch):
    sizes = {"image_size": 16, "num_slots": 4, "slot_dim": 8}
    config = DiscoveryConfig(slots=module, encoder_channels=8, decoder_channels=8, **sizes)
    model, data = build_model(config, seed=0).eval(), toy_scenes(count=10)
    whole = read_slots(model, data, num_slots=6)
    assert whole.slots.shape[:2] == whole.weights.shape == (10, 6)
    assert (whole.areas.sum(dim=1) == 16 * 16).all() and (whole.visible.sum(dim=1) == 256).all()
    expected = [len(mask.unique()) - 1 for mask in data.masks]
    assert whole.num_objects.tolist() == expected
    held = [row[row != NOTHING].tolist() for row in whole.regions]
    assert all(len(set(row)) == len(row) for row in held)
    monkeypatch.setattr("smm_tutorial.concepts.slot_readings.BATCH", 4)
    for one, other in zip(whole, read_slots(model, data, num_slots=6), strict=True):
        assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_scenes_without_masks_are_refused():
    model = build_model(DiscoveryConfig(image_size=16), seed=0)
    with pytest.raises(ValueError, match="has no masks: they say what a slot holds"):
        read_slots(model, replace(toy_scenes(count=2), masks=None))
