"""The reconstruction loss: what its two objectives agree on, its price, what it may look at."""

import pytest
import torch
from torch.testing import assert_close

from smm_tutorial.discovery.loss import ReconstructionLoss
from smm_tutorial.discovery.model import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.training.loop import step_generator
from tests.toys import toy_scenes


def network(num_slots=3, pixel_scale=0.1):
    torch.manual_seed(0)
    return ObjectDiscovery(
        DiscoveryConfig(
            image_size=16,
            num_slots=num_slots,
            slot_dim=8,
            encoder_channels=8,
            decoder_channels=8,
            pixel_scale=pixel_scale,
        )
    )


def loss_at(step, model, **options):
    with torch.no_grad():
        return ReconstructionLoss(model, toy_scenes(size=16), 4, **options)(
            model, step_generator(0, 0), step
        )


def test_one_slot_has_the_squared_error_under_both_objectives():
    """A single slot owns every pixel, so the likelihood is a Gaussian's: squared error in its
    unit.
    """
    scalars = [
        loss_at(0, network(num_slots=1), objective=name) for name in ("mixture", "squared_error")
    ]
    for one in scalars:
        assert_close(one["loss"], scalars[0]["squared_error"])


def test_the_likelihood_is_the_sum_over_slots_of_mask_times_density():
    model, data = network(pixel_scale=0.3), toy_scenes(size=16)
    loss = loss_at(0, model)["loss"]
    generator = step_generator(0, 0)
    images = data.batch(torch.randint(len(data), (4,), generator=generator)).images
    mirrored = torch.rand(4, 1, 1, 1, generator=generator) < 0.5
    images = torch.where(mirrored, images.flip(3), images)
    with torch.no_grad():
        out = model(images, noise=model.start_noise(4, generator))
    density = (
        (-(out.reconstructions - images[:, None]).square() / (2 * 0.3**2)).exp().prod(dim=2)
    )  # (B, K, H, W)
    assert_close(loss, -2 * 0.3**2 / 3 * (out.masks * density).sum(1).log().mean())


def test_blending_costs_the_likelihood_and_not_the_squared_error():
    """Two slots that mix black and white into the right grey: no squared error, yet neither
    explains the pixel.
    """

    class Blend(torch.nn.Module):
        def forward(self, images, num_slots=None, noise=None):
            output = model(images, noise=noise)
            output.reconstructions = torch.stack([torch.zeros_like(images), 2 * images], dim=1)
            output.log_masks = torch.full_like(output.reconstructions[:, :, 0], 0.5).log()
            return output

    model = network(num_slots=2)
    blended = ReconstructionLoss(model, toy_scenes(size=16), 4)(Blend(), step_generator(0, 0), 0)
    assert_close(blended["squared_error"], torch.tensor(0.0))
    assert blended["loss"] > 0.005


def test_the_price_grows_over_the_second_quarter_and_counts_what_the_largest_slot_does_not_own():
    loss = ReconstructionLoss(network(), toy_scenes(size=16), 4, price=0.4, steps=100)
    assert [loss.price_at(step) for step in (0, 25, 50, 99)] == [0, 0, 0.4, 0.4]
    assert loss.price_at(30) == pytest.approx(0.08)
    free, priced = (loss_at(99, network(), price=price, steps=100) for price in (0.0, 0.4))
    assert_close(priced["loss"] - free["loss"], 0.4 * free["owned"])
    assert loss_at(25, network(), price=0.4, steps=100)["loss"] == free["loss"]  # not yet
    assert 0 < free["owned"] < 2 / 3  # of three slots the largest owns a third at least


def test_training_can_use_another_number_of_slots():
    model, seen = network(num_slots=3), []
    model.register_forward_hook(
        lambda module, arguments, output: seen.append(output.masks.shape[1])
    )
    loss_at(0, model, num_slots=2), loss_at(0, model)
    assert seen == [2, 3]


def test_masks_are_never_looked_at():
    data = toy_scenes(size=16)
    bare = type(data)(data.images, data.filenames, data.name, data.split, data.licence)
    model = network()
    with torch.no_grad():
        losses = [
            ReconstructionLoss(model, one, 4)(model, step_generator(0, 0), 0)["loss"]
            for one in (data, bare)
        ]
    assert losses[0] == losses[1]


def test_an_unknown_objective_is_refused():
    with pytest.raises(
        ValueError, match="objective must be one of 'mixture', 'squared_error', got 'mse'"
    ):
        ReconstructionLoss(network(), toy_scenes(size=16), 4, "mse")
