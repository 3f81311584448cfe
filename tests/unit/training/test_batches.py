"""What a step trains on: it follows from the generator alone, and masks are never looked at."""

from dataclasses import replace

import torch

from smm_tutorial.training.batches import Batches
from smm_tutorial.training.loop import step_generator
from tests.toy_runs import tiny_model, toy_batches
from tests.toys import toy_scenes


def test_a_batch_follows_from_the_generator():
    batches = toy_batches(tiny_model())
    one, same, other = (batches.draw(step_generator(0, step)) for step in (3, 3, 4))
    assert torch.equal(one.images, same.images) and torch.equal(one.noise, same.noise)
    assert not torch.equal(one.images, other.images)


def test_half_of_the_images_are_mirrored_and_none_where_that_is_not_asked_for():
    data = toy_scenes()
    plain, mirrored = data.batch(slice(None)).images, data.batch(slice(None)).images.flip(3)

    def share_mirrored(chance):
        batches = Batches(data, 400, lambda size, generator: torch.zeros(size, 1), mirrored=chance)
        images = batches.draw(step_generator(0, 0)).images
        found = [
            [(image == one).flatten(1).all(1).any() for one in (plain, mirrored)]
            for image in images[:, None]
        ]
        assert all(any(pair) for pair in found)
        return sum(bool(pair[1] and not pair[0]) for pair in found) / len(found)

    assert share_mirrored(0.0) == 0
    assert 0.4 < share_mirrored(0.5) < 0.6


def test_targets_go_with_their_images():
    data = toy_scenes()
    targets = data.images.float().mean(dim=(1, 2, 3)) / 255  # tells the images apart
    batches = Batches(data, 6, lambda size, generator: torch.zeros(size, 1), targets=targets)
    batch = batches.draw(step_generator(0, 0))
    torch.testing.assert_close(batch.images.mean(dim=(1, 2, 3)), batch.targets)
    assert toy_batches(tiny_model()).draw(step_generator(0, 0)).targets is None


def test_masks_are_never_looked_at():
    model, data = tiny_model(), toy_scenes()
    bare = replace(data, masks=None)
    drawn = [Batches(one, 4, model.start_noise, mirrored=0.5) for one in (data, bare)]
    with_masks, without = (batches.draw(step_generator(0, 0)) for batches in drawn)
    assert torch.equal(with_masks.images, without.images)
