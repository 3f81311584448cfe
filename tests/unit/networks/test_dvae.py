"""The discrete autoencoder: vector quantisation as its start, relaxed samples, and messages."""

import pytest
import torch
from torch.nn.functional import one_hot
from torch.testing import assert_close

from smm_tutorial.networks import DiscreteVAE, draw_gumbel, gumbel_softmax
from tests.wrong_types import NO_SIZES


def patches_of(images, patch):
    """Images (B, 3, S, S) -> patches (B, N, 3 patch patch), row by row."""
    return torch.nn.functional.unfold(images, patch, stride=patch).mT


def test_with_codes_alone_it_is_vector_quantisation():
    codes = torch.rand(6, 3, 4, 4)
    network = DiscreteVAE(6, 8)
    network.set_codes(codes, spread=0.1)
    images = torch.rand(5, 3, 12, 12)
    tokens = network.tokenize(images)
    distances = torch.cdist(patches_of(images, 4), codes.flatten(1).expand(5, -1, -1))
    assert torch.equal(tokens, distances.argmin(dim=2)) and tokens.shape == (5, 9)
    assert_close(patches_of(network.paint(tokens), 4), codes.flatten(1)[tokens])


def test_the_first_logits_are_those_of_a_gaussian_mixture():
    codes, spread = torch.rand(6, 3, 4, 4), 0.3
    network = DiscreteVAE(6, 8)
    network.set_codes(codes, spread)
    images = torch.rand(2, 3, 8, 8)
    squares = (patches_of(images, 4)[:, :, None] - codes.flatten(1)).square().sum(dim=3)
    expected = (-squares / (2 * spread**2)).log_softmax(dim=2)  # (B, N, V)
    found = network.encode(images).flatten(2).mT.log_softmax(dim=2)
    assert_close(found, expected, atol=1e-3, rtol=1e-4)


def test_samples_have_the_probabilities_of_the_logits():
    logits = torch.tensor([0.0, 1.0, 2.0]).expand(20_000, 3)
    noise = draw_gumbel((20_000, 3), torch.Generator().manual_seed(0)).to(logits)
    drawn = (logits + noise).argmax(dim=1)
    shares = one_hot(drawn, 3).float().mean(dim=0)
    assert_close(shares, logits[0].softmax(dim=0), atol=0.01, rtol=0)


@pytest.mark.parametrize("temperature", [0.01, 1.0, 100.0])
def test_the_temperature_decides_how_soft_a_sample_is(temperature):
    logits = torch.randn(4, 5, 3, 3)
    noise = draw_gumbel((4, 5, 3, 3), torch.Generator().manual_seed(0)).to(logits)
    soft = gumbel_softmax(logits, noise, temperature)
    assert_close(soft.sum(dim=1), torch.ones(4, 3, 3))
    hard = one_hot((logits + noise).argmax(dim=1), 5).movedim(3, 1).float()
    if temperature == 0.01:
        assert (soft - hard).abs().max() < 0.5 and torch.equal(soft.argmax(1), hard.argmax(1))
    if temperature == 100:
        assert_close(soft, torch.full_like(soft, 0.2), atol=0.05, rtol=0)


def test_forward_paints_relaxed_codes_and_every_weight_learns():
    network = DiscreteVAE(6, 8)
    images = torch.rand(2, 3, 8, 8)
    noise = draw_gumbel((2, 6, 2, 2), torch.Generator().manual_seed(0)).to(images)
    painted, codes = network(images, noise, 0.5)
    assert_close(codes, gumbel_softmax(network.encode(images), noise, 0.5))
    assert_close(painted, network.decode(codes))
    (painted - images).square().mean().backward()
    learning = [name for name, weight in network.named_parameters() if weight.grad.any()]
    assert "to_logits.weight" in learning and "refine_patch.5.weight" in learning


@pytest.mark.parametrize("value", NO_SIZES, ids=repr)
@pytest.mark.parametrize("name", ["num_codes", "channels", "patch"])
def test_what_is_no_size_is_refused_by_its_name(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be a whole number"):
        DiscreteVAE(**{name: value})


def test_what_does_not_fit_is_refused():
    network = DiscreteVAE(6, 8)
    with pytest.raises(ValueError, match="images must have a multiple of 4 pixels per side, got 6"):
        network.encode(torch.rand(1, 3, 6, 6))
    with pytest.raises(ValueError, match="images must be floats"):
        network.encode(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"images must be \(batch, 3, 8, 8\)"):
        network.encode(torch.rand(1, 3, 4, 8))
    with pytest.raises(ValueError, match="codes must hold torch.float32"):
        network.decode(torch.ones(1, 6, 2, 2).long())
    with pytest.raises(ValueError, match=r"tokens must be \(batch, N\) of a square grid"):
        network.paint(torch.zeros(1, 5).long())
    with pytest.raises(ValueError, match="patches must be"):
        network.set_codes(torch.rand(5, 3, 4, 4), 0.1)
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="temperature must be a number above 0"):
            gumbel_softmax(torch.zeros(2, 3), torch.zeros(2, 3), wrong)
