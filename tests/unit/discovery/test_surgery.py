"""Slot surgery changes what it says and nothing else; the directions of position are those that the
slots were made with.
"""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from smm_tutorial.discovery.model import DiscoveryConfig, DiscoveryOutput
from smm_tutorial.discovery.runs import build_model
from smm_tutorial.discovery.surgery import (
    drop_slot,
    find_object_slots,
    fit_position_directions,
    move_slot,
    swap_slots,
)
from smm_tutorial.metrics import mask_centres
from smm_tutorial.slots.base import SlotOutput
from tests.toys import toy_scenes


@pytest.fixture(scope="module")
def model():
    config = DiscoveryConfig(
        image_size=16,
        num_slots=4,
        slot_dim=8,
        encoder_channels=8,
        decoder_channels=8,
        decoder_grid=4,
    )
    return build_model(config, 0).eval()


@pytest.fixture(scope="module")
def output(model):
    images = toy_scenes(3).batch(slice(None)).images
    with torch.no_grad():
        return model(images, noise=model.start_noise(3, torch.Generator().manual_seed(0)))


def test_a_dropped_slot_leaves_its_pixels_to_the_others_in_their_own_proportions(model, output):
    without = model.decode(drop_slot(output.slot_output, 2))
    kept = [0, 1, 3]
    assert_close(without.reconstructions, output.reconstructions[:, kept])
    rest = output.masks[:, kept]
    assert_close(without.masks, rest / rest.sum(dim=1, keepdim=True), atol=1e-5, rtol=1e-4)


def test_swapped_slots_paint_in_each_others_scenes_and_twice_is_once_back(model, output):
    before = output.slot_output.slots.clone()
    one, other = (0, 1), (2, 3)
    out = model.decode(swap_slots(output.slot_output, one, other))
    assert_close(out.reconstructions[0, 1], output.reconstructions[2, 3])
    assert_close(out.reconstructions[2, 3], output.reconstructions[0, 1])
    assert_close(out.reconstructions[1], output.reconstructions[1])
    again = swap_slots(swap_slots(output.slot_output, one, other), one, other)
    assert torch.equal(again.slots, before) and torch.equal(output.slot_output.slots, before)
    assert torch.equal(again.responsibilities, output.slot_output.responsibilities)


def test_within_one_scene_a_swap_only_renames(model, output):
    out = model.decode(swap_slots(output.slot_output, (1, 0), (1, 3)))
    assert_close(out.reconstruction, output.reconstruction, atol=1e-5, rtol=1e-4)


def test_a_slot_moves_along_the_directions_and_the_others_stay(output):
    directions = torch.randn(
        2, output.slot_output.slots.shape[2], generator=torch.Generator().manual_seed(1)
    )
    out = move_slot(output.slot_output, (1, 2), down=0.25, right=-0.5, directions=directions)
    change = out.slots - output.slot_output.slots
    assert_close(change[1, 2], 0.25 * directions[0] - 0.5 * directions[1], atol=1e-5, rtol=1e-4)
    change[1, 2] = 0
    assert not change.any()


def test_centres_are_in_shares_of_the_picture():
    masks = torch.zeros(2, 4, 8)
    masks[0, 0, 7] = 3.0
    masks[1, 1:3, 2:6] = 0.5
    assert_close(mask_centres(masks), torch.tensor([[0.125, 0.9375], [0.5, 0.5]]))


def test_objects_are_told_from_ground_and_empty_slots_by_size():
    logits = torch.full((1, 4, 10, 10), -9.0)
    logits[0, 0] = 0.0  # the ground
    logits[0, 1, 2:4, 2:5], logits[0, 2, :, 5:] = 9.0, 9.0  # an object, and half of the picture
    slots = SlotOutput(torch.zeros(1, 4, 2), torch.full((1, 5, 4), 0.25))
    output = DiscoveryOutput(torch.zeros(1, 4, 3, 10, 10), logits.log_softmax(1), slots, 0.1)
    held, centres = find_object_slots(output, torch.zeros(1, 3, 10, 10))
    assert held.tolist() == [[False, True, False, False]]
    assert_close(centres[0, 1], torch.tensor([0.3, 0.35]), atol=0.01, rtol=0)


def test_the_largest_slot_is_the_ground_however_small():
    logits = torch.full((1, 6, 12, 12), -9.0)
    for slot in range(6):  # columns of two, and one pixel more for slot 4
        logits[0, slot, :, 2 * slot : 2 * slot + 2] = 9.0
    logits[0, 4, 0, 0] = 18.0
    output = DiscoveryOutput(torch.zeros(1, 6, 3, 12, 12), logits.log_softmax(1), None, 0.1)
    held, _ = find_object_slots(output, torch.zeros(1, 3, 12, 12))
    assert held.tolist() == [[True, True, True, True, False, True]]


@pytest.mark.needs_cpu("it compares with tensors of its own")
def test_directions_are_found_where_slots_depend_on_position_alone(model, monkeypatch):
    true, constant = torch.randn(2, 16, generator=torch.Generator().manual_seed(2)), torch.randn(16)
    generator = torch.Generator().manual_seed(3)

    def forward(images, noise=None):
        batch = len(images)
        logits = torch.full((batch, 4, 16, 16), -9.0)
        logits[:, 0] = 0.0
        corners = torch.randint(0, 12, (batch, 2), generator=generator)
        for index, (row, column) in enumerate(corners.tolist()):
            logits[index, 1, row : row + 4, column : column + 4] = 9.0
        painted = DiscoveryOutput(
            images[:, None].expand(-1, 4, -1, -1, -1), logits.log_softmax(1), None, 0.1
        )
        slots = constant + mask_centres(painted.responsibilities(images)) @ true
        return replace(painted, slot_output=SlotOutput(slots, torch.full((batch, 4, 4), 0.25)))

    monkeypatch.setattr(model, "forward", forward)
    directions, share = fit_position_directions(model, toy_scenes(100))
    assert_close(directions, true, atol=1e-3, rtol=1e-3)
    assert share > 0.999


def test_what_is_not_there_is_named(output, model):
    with pytest.raises(ValueError, match="no slot 4 of image 0: 3 images with 4 slots each"):
        drop_slot(output.slot_output, 4)
    with pytest.raises(ValueError, match="no slot 0 of image 3"):
        swap_slots(output.slot_output, (0, 0), (3, 0))
    with pytest.raises(ValueError, match="slots of 1 scenes hold an object"):
        fit_position_directions(model, toy_scenes(1))
