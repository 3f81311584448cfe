"""The probe: linear heads find what slots hold, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from smm_tutorial.datasets import SceneImages
from smm_tutorial.scenes import random_scene
from smm_tutorial.set_prediction import probe_slots
from smm_tutorial.set_prediction.probes import find_all_slots
from smm_tutorial.set_prediction.targets import set_targets
from smm_tutorial.slots.base import SlotOutput

pytestmark = pytest.mark.needs_cpu("it compares with tensors of its own")
OBJECTS, SIDE, SLOTS = 3, 16, 5


def scenes(count, seed):
    """Black images. The k-th object of each covers the k-th column of four pixels."""
    masks = torch.zeros(count, SIDE, SIDE, dtype=torch.uint8)
    for label in range(1, OBJECTS + 1):
        masks[:, :, 4 * label - 4 : 4 * label] = label
    rng = np.random.default_rng(seed)
    records = [random_scene(rng, OBJECTS, OBJECTS).to_record() for _ in range(count)]
    pixels = torch.zeros(count, 3, SIDE, SIDE, dtype=torch.uint8)
    pixels[:, 0] = torch.arange(count).view(-1, 1, 1)  # the image's number
    names = [str(n) for n in range(count)]
    return SceneImages(pixels, names, "toy", "test", "CC0", masks=masks, records=records)


class KnowingModel(nn.Module):
    """Slot k holds column k - 1 and a linear code of its object. Slot 0 holds the rest."""

    def __init__(self, *known, holds=True):
        super().__init__()
        self.known, self.holds = known, holds
        self.weight = nn.Parameter(torch.zeros(1))
        self.code = torch.randn(19, 24, generator=torch.Generator().manual_seed(0))

    def start_noise(self, batch, generator, num_slots=None):
        return None

    def find_slots(self, images, num_slots=None, noise=None):
        numbers = (255 * images[:, 0, 0, 0]).round().long().tolist()
        data = next(data for data in self.known if len(data) > max(numbers))
        targets = set_targets(data.records, OBJECTS)[numbers]  # (B, T, 19)
        slots = torch.zeros(len(images), SLOTS, 24)
        slots[:, 1 : 1 + OBJECTS] = targets @ self.code
        owners = torch.arange(SIDE).div(4, rounding_mode="floor").add(1).remainder(4)
        owners = owners.expand(len(images), SIDE, SIDE).flatten(1)
        if not self.holds:
            owners = torch.arange(SIDE * SIDE).remainder(SLOTS).expand_as(owners)
        responsibilities = nn.functional.one_hot(owners, SLOTS).float()
        return SlotOutput(slots, responsibilities)


def test_slots_that_know_all_about_their_objects_get_a_perfect_score():
    data = scenes(40, 0)
    scores = probe_slots(KnowingModel(data), data, data)
    assert scores["ap"]["inf"] > 0.99 and scores["ap"]["0.5"] > 0.95
    assert (scores["held"], scores["images"]) == (1.0, 40)


def test_each_object_is_found_in_the_slot_that_overlaps_it():
    data = scenes(5, 0)
    found = find_all_slots(KnowingModel(data), data)
    assert found.holders.tolist() == [[1, 2, 3]] * 5 and found.is_held.all()
    assert found.slots.shape == (5, SLOTS, 24)


def test_slots_that_hold_no_object_know_nothing():
    data = scenes(40, 0)
    model = KnowingModel(data, holds=False)
    found = find_all_slots(model, data)
    assert not found.is_held.any()
    scores = probe_slots(model, data, data)
    assert scores["held"] == 0 and scores["ap"]["inf"] < 0.1


def test_scenes_without_masks_or_records_are_refused():
    data = scenes(4, 0)
    for part in ({"masks": None}, {"records": None}):
        with pytest.raises(ValueError, match="lacks masks or records: a probe needs both"):
            probe_slots(KnowingModel(data), data, replace(data, **part))
