"""Surplus slots: taken away where the others explain the image nearly as well, and only there."""

import math

import pytest
import torch

from smm_tutorial import discovery
from smm_tutorial.discovery.model import DiscoveryOutput
from smm_tutorial.slots.base import SlotOutput
from smm_tutorial.slots.slot_selection import select_all_slots, select_slots_by_bic, slot_penalty
from tests.toys import toy_scenes

SIDE, GREY, RED = 8, 0.5, torch.tensor([0.9, 0.1, 0.1])


def painted(masks, colours):
    """Slots that paint one colour each, `(K, 3)`, with these masks `(K, H, W)`: the output for one
    image.
    """
    paintings = colours[None, :, :, None, None].expand(1, -1, 3, SIDE, SIDE)
    slots = SlotOutput(
        torch.zeros(1, len(colours), 2), torch.full((1, 4, len(colours)), 1 / len(colours))
    )
    return DiscoveryOutput(
        paintings, masks[None].clamp_min(1e-6).log().log_softmax(dim=1), slots, pixel_scale=0.1
    )


@pytest.fixture
def image():
    """Grey ground, and a red square of 3 x 3."""
    picture = torch.full((3, SIDE, SIDE), GREY)
    picture[:, 2:5, 2:5] = RED[:, None, None]
    return picture[None]


@pytest.fixture
def square():
    mask = torch.zeros(SIDE, SIDE)
    mask[2:5, 2:5] = 1
    return mask


def test_an_object_cut_in_two_becomes_whole(image, square):
    left = square * (torch.arange(SIDE) < 3)
    masks = torch.stack([1 - square, left, square - left])
    colours = torch.stack([torch.full((3,), GREY), RED, RED])
    selected = select_slots_by_bic(painted(masks, colours), image)
    # the smaller part goes: its loss costs least
    assert selected.kept.tolist() == [[True, False, True]]
    owners = selected.log_joint.argmax(dim=1)[0]
    assert torch.equal(owners == 2, square.bool())
    mask = selected.log_masks.argmax(dim=1)[0] == 2
    assert torch.equal(mask, (square - left).bool())  # stays what it was
    torch.testing.assert_close(selected.log_masks.exp().sum(dim=1), torch.ones(1, SIDE, SIDE))
    assert (selected.log_masks[:, 1] == -torch.inf).all()
    assert (selected.log_joint[:, 1] == -torch.inf).all()


def test_an_object_of_its_own_stays(image, square):
    masks = torch.stack([1 - square, square])
    output = painted(masks, torch.stack([torch.full((3,), GREY), RED]))
    selected, unselected = select_slots_by_bic(output, image), select_all_slots(output, image)
    assert selected.kept.all()
    assert torch.equal(selected.log_joint, unselected.log_joint)
    assert selected.penalised_likelihood.item() == pytest.approx(
        unselected.penalised_likelihood.item() - 2 * slot_penalty(SIDE, SIDE), rel=1e-5
    )


def test_the_penalty_decides():
    """A slot whose loss costs 2 nats a pixel stays if it has enough pixels for its penalty."""
    penalty = slot_penalty(SIDE, SIDE)
    assert penalty == pytest.approx(2.5 * math.log(64))
    enough = math.ceil(penalty / 2)
    for pixels, stays in ((enough - 1, False), (enough + 1, True)):
        mask = torch.zeros(SIDE, SIDE)
        mask.view(-1)[:pixels] = 1
        shade = (2 * 2 * 0.1**2 / 3) ** 0.5  # away from the ground in each channel: 2 nats
        picture = torch.full((1, 3, SIDE, SIDE), GREY) + shade * mask
        colours = torch.stack([torch.full((3,), GREY), torch.full((3,), GREY + shade)])
        output = painted(torch.stack([1 - mask, mask]), colours)
        assert select_slots_by_bic(output, picture).kept[0, 1].item() is stays


def test_one_slot_is_always_left_and_images_do_not_see_each_other(image, square):
    """Of slots that all paint alike one stays; and each image is judged as if it were alone."""
    alike = painted(torch.full((4, SIDE, SIDE), 0.25), torch.full((4, 3), GREY))
    apart = painted(
        torch.stack([1 - square, square, 0 * square, 0 * square]),
        torch.stack([torch.full((3,), GREY), *[RED] * 3]),
    )
    both = DiscoveryOutput(
        torch.cat([alike.reconstructions, apart.reconstructions]),
        torch.cat([alike.log_masks, apart.log_masks]),
        alike.slot_output,
        alike.pixel_scale,
    )
    selected = select_slots_by_bic(both, torch.cat([image, image]))
    assert selected.kept.sum(dim=1).tolist() == [1, 2]
    for index, output in enumerate((alike, apart)):
        alone = select_slots_by_bic(output, image)
        assert torch.equal(selected.kept[index], alone.kept[0])
        torch.testing.assert_close(
            selected.penalised_likelihood[index], alone.penalised_likelihood[0]
        )


def test_a_single_slot_is_not_taken(image):
    output = painted(torch.ones(1, SIDE, SIDE), torch.full((1, 3), GREY))
    assert select_slots_by_bic(output, image).kept.tolist() == [[True]]


def test_evaluation_scores_the_slots_that_are_left():
    model = discovery.build_model(discovery.DiscoveryRun(profile="ci").config, seed=0).eval()
    data = toy_scenes(size=32)
    images, generator = data.batch(slice(None)).images, torch.Generator().manual_seed(3)
    with torch.no_grad():
        outputs = [model(images, noise=model.start_noise(len(data), generator)) for _ in range(2)]
    selected = [select_slots_by_bic(output, images) for output in outputs]
    best = torch.stack([chosen.penalised_likelihood for chosen in selected]).argmax(dim=0)
    found = discovery.segment_by_all_masks(model, data, seed=3, starts=2, selection="bic")
    for index, start in enumerate(best.tolist()):
        assert torch.equal(
            found["responsibilities"][index], selected[start].log_joint[index].argmax(dim=0)
        )
        assert torch.equal(found["decoder"][index], selected[start].log_masks[index].argmax(dim=0))
        left = selected[start].kept[index].nonzero().flatten().tolist()
        assert set(found["slots"][index].unique().tolist()) <= set(left)
    assert not torch.equal(
        found["responsibilities"], discovery.segment(model, data, seed=3, starts=2)
    )
    with pytest.raises(ValueError, match="selection must be one of 'all', 'bic', got 'aic'"):
        discovery.segment(model, data, selection="aic")
