"""The papers' encoder and decoder: sizes, padding, and that compared models have them in common."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from smm_tutorial import checkpoints
from smm_tutorial.discovery.model import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.discovery.runs import DiscoveryRun
from smm_tutorial.networks.decoders import PaperDecoder
from smm_tutorial.networks.encoders import ConvEncoder
from smm_tutorial.training.config import learning_rate_factor


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def shapes(module):
    return {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}


def paper_config(slots="mixture", image_size=128, **options):
    return DiscoveryConfig(
        slots=slots,
        image_size=image_size,
        slot_dim=64,
        encoder_channels=64,
        encoder_stride=1,
        convolutions="paper",
        decoder="paper",
        decoder_channels=64,
        **options,
    )


CONV_5X5 = 64 * 64 * 25 + 64
EMBEDDING = 4 * 64 + 64  # of positions


@pytest.mark.parametrize(("image_size", "doublings"), [(64, 3), (128, 4)])
def test_the_papers_decoder_has_its_layers_and_paints_at_full_resolution(image_size, doublings):
    decoder = PaperDecoder(64, image_size, 64)
    assert parameters(decoder) == EMBEDDING + (doublings + 1) * CONV_5X5 + (64 * 4 * 9 + 4)
    with torch.no_grad():
        assert decoder(torch.randn(2, 64)).shape == (2, 4, image_size, image_size)


@pytest.mark.parametrize("image_size", [64, 128])
def test_the_papers_encoder_has_its_layers_and_sees_every_pixel(image_size):
    encoder = ConvEncoder(image_size, 64, stride=1, convolutions="paper")
    head = 2 * 64 + 2 * (64 * 64 + 64)  # LayerNorm, MLP
    assert parameters(encoder) == (3 * 64 * 25 + 64) + 3 * CONV_5X5 + EMBEDDING + head
    with torch.no_grad():
        assert encoder(torch.rand(1, 3, image_size, image_size)).shape == (1, image_size**2, 64)


def test_a_doubling_is_the_transpose_of_the_encoders_halving():
    """As in TensorFlow: what a padded, strided convolution gathers, the transposed one scatters."""
    torch.manual_seed(0)
    encoder = ConvEncoder(16, 8, stride=2, convolutions="paper")
    decoder = PaperDecoder(8, 16, 8, grid=8)
    halving = [isinstance(layer, nn.ZeroPad2d) for layer in encoder.convolutions].index(True)
    gather, scatter = encoder.convolutions[halving : halving + 2], decoder.layers[:2]
    with torch.no_grad():
        scatter[0].weight.copy_(gather[1].weight)
        scatter[0].bias.zero_()
    fine, coarse = torch.randn(2, 8, 16, 16, requires_grad=True), torch.randn(2, 8, 8, 8)
    (transposed,) = torch.autograd.grad(gather(fine), fine, coarse)
    assert_close(scatter(coarse), transposed, rtol=1e-4, atol=1e-5)


def test_the_papers_decoder_treats_every_slot_alike_and_begins_with_it():
    torch.manual_seed(0)
    decoder, slots = PaperDecoder(8, 16, 8), torch.randn(5, 8)
    assert_close(decoder(slots)[3], decoder(slots[3:4])[0])
    assert decoder.layers[0].in_channels == 8 and decoder.layers[0].out_channels == 8
    with pytest.raises(ValueError, match="image_size must be 8"):
        PaperDecoder(8, 20, 8)


@pytest.mark.parametrize("image_size", [64, 128])
def test_a_reduced_mixture_feeds_the_decoder_of_slot_attention(image_size):
    """Models whose slots are equally wide have the same encoder and decoder."""
    with torch.device("meta"):
        mixture = ObjectDiscovery(
            paper_config("mixture", image_size, slot_options={"content": "reduced"})
        )
        attention = ObjectDiscovery(paper_config("attention", image_size))
        double = ObjectDiscovery(paper_config("mixture", image_size))
    assert str(mixture.decoder) == str(attention.decoder)
    assert str(mixture.encoder) == str(attention.encoder)
    different = set(shapes(mixture).items()) ^ set(shapes(attention).items())
    assert different and all(name.startswith("slots.") for name, _ in different)
    # Means and variances as they are need another decoder.
    assert shapes(double.decoder)["layers.0.weight"][0] == 128


def test_the_paper_profile_is_the_papers_and_the_gpu_profile_is_light():
    paper, gpu = (DiscoveryRun(profile=name).config for name in ("paper", "gpu"))
    assert (paper.image_size, paper.encoder_stride) == (128, 1)
    assert (paper.convolutions, paper.decoder, paper.decoder_grid) == ("paper", "paper", 8)
    assert (paper.encoder_channels, paper.decoder_channels, paper.slot_dim) == (64, 64, 64)
    assert (gpu.image_size, gpu.encoder_stride) == (64, 4)
    assert (gpu.convolutions, gpu.decoder) == ("light", "broadcast")
    training = DiscoveryRun(profile="paper").training
    assert (training.steps, training.batch_size) == (250_000, 128)
    assert (training.learning_rate, training.clip_norm) == (4e-4, 1.0)
    for step in (1, 2_500, 5_000, 50_000, 200_000):
        expected = min(step / 5_000, 1) * 0.5 ** (step / 50_000)
        assert learning_rate_factor(step, training) == pytest.approx(expected)


def test_the_other_profiles_share_a_schedule_and_short_runs_warm_up_in_a_quarter():
    for name in ("ci", "laptop", "gpu"):
        training = DiscoveryRun(profile=name).training
        assert (training.schedule, training.clip_norm) == ("cosine", 0.15)
        assert training.warmup_steps == (5 if name == "ci" else 300)


def test_committed_checkpoints_from_before_the_papers_parts_are_light():
    for name in checkpoints.available():
        model, record = checkpoints.load(name)
        if not hasattr(model.config, "convolutions"):
            continue  # a model of tokens has none
        assert model.config.convolutions == record["config"].get("convolutions", "light")


def test_unknown_convolutions_and_decoders_are_refused():
    message = "convolutions must be one of 'light', 'paper', got 'deep'"
    with pytest.raises(ValueError, match=message):
        ObjectDiscovery(DiscoveryConfig(convolutions="deep"))
    message = "decoder must be one of 'pixel', 'broadcast', 'paper', got 'transformer'"
    with pytest.raises(ValueError, match=message):
        ObjectDiscovery(DiscoveryConfig(decoder="transformer"))
