"""The reconstruction loss: what its two objectives agree on, and its price."""

from functools import partial

import pytest
import torch
from torch.testing import assert_close

from smm_tutorial.discovery.loss import price_of_step, reconstruction_loss
from smm_tutorial.discovery.model import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.discovery.recipe import LossChoices, make_loss
from smm_tutorial.training.loop import step_generator
from tests.toy_runs import tiny_model, toy_batches

IMAGES = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def output_of(num_slots=3, pixel_scale=0.1):
    torch.manual_seed(0)
    sizes = {"image_size": 16, "slot_dim": 8, "encoder_channels": 8, "decoder_channels": 8}
    model = ObjectDiscovery(DiscoveryConfig(num_slots=num_slots, pixel_scale=pixel_scale, **sizes))
    with torch.no_grad():
        return model(IMAGES, noise=model.start_noise(4, step_generator(0, 0)))


def test_one_slot_has_the_squared_error_under_both_objectives():
    """A single slot owns every pixel: the likelihood is a Gaussian's, squared error in its unit."""
    output = output_of(num_slots=1)
    for objective in ("mixture", "squared_error"):
        scalars = reconstruction_loss(output, IMAGES, objective=objective)
        assert_close(scalars["loss"], (output.reconstruction - IMAGES).square().mean())
        assert_close(scalars["loss"], scalars["squared_error"])


def test_the_likelihood_is_the_sum_over_slots_of_mask_times_density():
    output = output_of(pixel_scale=0.3)
    squares = (output.reconstructions - IMAGES[:, None]).square()  # (B, K, 3, H, W)
    density = (-squares / (2 * 0.3**2)).exp().prod(dim=2)  # (B, K, H, W)
    expected = -2 * 0.3**2 / 3 * (output.masks * density).sum(1).log().mean()
    assert_close(reconstruction_loss(output, IMAGES)["loss"], expected)


def test_blending_costs_the_likelihood_and_not_the_squared_error():
    """Two slots that mix black and white into the right grey explain no pixel."""
    output = output_of(num_slots=2)
    output.reconstructions = torch.stack([torch.zeros_like(IMAGES), 2 * IMAGES], dim=1)
    output.log_masks = torch.full_like(output.reconstructions[:, :, 0], 0.5).log()
    blended = reconstruction_loss(output, IMAGES)
    assert_close(blended["squared_error"], torch.tensor(0.0))
    assert blended["loss"] > 0.005


def test_the_price_grows_over_the_second_quarter_of_a_run():
    prices = [price_of_step(0.4, step, steps=100) for step in (0, 25, 50, 99)]
    assert prices == [0, 0, 0.4, 0.4]
    assert price_of_step(0.4, 30, steps=100) == pytest.approx(0.08)


def test_the_price_counts_what_the_largest_slot_does_not_own():
    output = output_of()
    free, priced = (reconstruction_loss(output, IMAGES, price) for price in (0.0, 0.4))
    assert_close(priced["loss"] - free["loss"], 0.4 * free["owned"])
    assert 0 < free["owned"] < 2 / 3  # of three slots the largest owns a third at least


def test_a_run_pays_the_price_of_its_step():
    model = tiny_model()
    batch = toy_batches(model).draw(step_generator(0, 0))
    loss = make_loss(LossChoices(price=0.4, num_slots=None), steps=100)
    with torch.no_grad():
        early, late = loss(model, batch, 25), loss(model, batch, 99)
    assert_close(late["loss"] - early["loss"], 0.4 * early["owned"])


def test_training_can_use_another_number_of_slots():
    model, seen = tiny_model(), []
    model.register_forward_hook(
        lambda module, arguments, output: seen.append(output.masks.shape[1])
    )
    for num_slots in (2, None):
        batches = toy_batches(model)
        batches.draw_noise = partial(model.start_noise, num_slots=num_slots)
        make_loss(LossChoices(num_slots=num_slots), 1)(model, batches.draw(step_generator(0, 0)), 0)
    assert seen == [2, 3]


def test_an_unknown_objective_is_refused():
    with pytest.raises(
        ValueError, match="objective must be one of 'mixture', 'squared_error', got 'mse'"
    ):
        reconstruction_loss(output_of(), IMAGES, objective="mse")
