"""Networks and the object-discovery model: shapes, mixtures that add up, repeatability,
messages.
"""

import json
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from smm_tutorial.discovery.loss import reconstruction_loss
from smm_tutorial.discovery.model import DiscoveryConfig, DiscoveryOutput, ObjectDiscovery
from smm_tutorial.networks.decoders import BroadcastDecoder, PixelDecoder
from smm_tutorial.networks.encoders import ConvEncoder
from smm_tutorial.networks.positions import fourier_grid, position_grid
from smm_tutorial.slots.base import SlotOutput
from tests.wrong_types import KINDS, NO_SIZES, no_float32

CONFIGS = [
    DiscoveryConfig(
        slots=slots,
        image_size=16,
        num_slots=3,
        slot_dim=8,
        encoder_channels=8,
        decoder=decoder,
        decoder_channels=8,
    )
    for slots in ("mixture", "attention")
    for decoder in ("broadcast", "pixel")
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.slots}-{c.decoder}")
def test_masks_sum_to_one_and_the_reconstruction_is_their_mixture(config):
    model = ObjectDiscovery(config)
    out = model(torch.rand(2, 3, 16, 16), num_slots=5)
    assert out.masks.shape == (2, 5, 16, 16) and out.reconstructions.shape == (2, 5, 3, 16, 16)
    assert_close(out.masks.sum(1), torch.ones(2, 16, 16))
    assert_close(
        out.reconstruction, torch.einsum("bkhw,bkchw->bchw", out.masks, out.reconstructions)
    )
    assert out.segmentation.shape == (2, 16, 16) and out.segmentation.max() < 5
    assert torch.equal(out.segmentation, out.masks.argmax(1))


def test_log_joint_is_the_mask_times_the_density_of_the_pixel():
    torch.manual_seed(0)
    model, images = ObjectDiscovery(CONFIGS[0]), torch.rand(2, 3, 16, 16)
    out = model(images)
    density = (
        torch.distributions.Normal(out.reconstructions, out.pixel_scale)
        .log_prob(images[:, None])
        .sum(2)
    )
    by_hand = torch.log_softmax(out.masks.log() + density, dim=1)  # constants cancel
    assert_close(out.responsibilities(images).log(), by_hand, atol=1e-4, rtol=1e-4)
    assert torch.equal(out.log_joint(images).argmax(1), out.responsibilities(images).argmax(1))


def test_seeing_the_pixel_moves_it_to_the_slot_that_paints_it():
    """Two slots claim every pixel alike, one paints black and one white: the pixel decides."""
    paintings = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])[None]
    out = DiscoveryOutput(paintings, torch.full((1, 2, 4, 4), 0.5).log(), None, pixel_scale=0.1)
    images = torch.zeros(1, 3, 4, 4)
    images[..., 2:] = 1
    assert torch.equal(
        out.log_joint(images).argmax(1), (torch.arange(4) >= 2).long().expand(1, 4, 4)
    )
    assert_close(out.masks, torch.full((1, 2, 4, 4), 0.5))


def test_masks_start_from_the_slots_shares_of_the_inputs():
    """Of two slots that look the same to the decoder, the one that holds nothing gets no pixel;
    without shares, half.
    """
    model = ObjectDiscovery(CONFIGS[0])
    slots = torch.randn(1, 1, model.slots.output_dim).expand(1, 2, -1)
    responsibilities = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])  # (B, N, K)
    masks = model.decode(SlotOutput(slots, responsibilities)).masks
    assert masks[:, 1].max() < 1e-6
    assert_close(masks.sum(1), torch.ones(1, 16, 16))
    bare = ObjectDiscovery(replace(CONFIGS[0], mask_prior="none"))
    assert_close(
        bare.decode(SlotOutput(slots, responsibilities)).masks, torch.full((1, 2, 16, 16), 0.5)
    )


def test_the_same_noise_gives_the_same_output():
    model = ObjectDiscovery(CONFIGS[0])
    images = torch.rand(2, 3, 16, 16)
    noise = [model.start_noise(2, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(model(images, noise=noise[0]).masks, model(images, noise=noise[1]).masks)
    assert not torch.equal(model(images).masks, model(images).masks)


def test_images_of_a_wrong_size_are_refused_with_the_fix():
    with pytest.raises(
        ValueError, match=r"images must be \(batch, 3, 16, 16\).*load the data with size=16"
    ):
        ObjectDiscovery(CONFIGS[0])(torch.rand(2, 3, 32, 32))


def test_unknown_parts_are_refused():
    with pytest.raises(
        ValueError, match="slots must be one of 'attention', 'mixture', got 'k-means'"
    ):
        ObjectDiscovery(DiscoveryConfig(slots="k-means"))

    with pytest.raises(ValueError, match="mask_prior must be one of 'share', 'none', got 'area'"):
        ObjectDiscovery(DiscoveryConfig(mask_prior="area"))
    with pytest.raises(ValueError, match="pixel_scale must be a number above 0, got 0"):
        ObjectDiscovery(DiscoveryConfig(pixel_scale=0))


def test_position_grids_lie_where_pixels_do():
    grid = position_grid(2, 4)
    assert_close(grid[0, :, 0], torch.tensor([0.25, 0.75]))
    assert_close(grid[1, 0], torch.tensor([0.125, 0.375, 0.625, 0.875]))
    assert_close(grid[:2] + grid[2:], torch.ones(2, 2, 4))
    fourier = fourier_grid(3, 5, frequencies=2)
    assert fourier.shape == (10, 3, 5)
    assert_close(fourier[2], torch.sin(torch.pi * fourier[0]))


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_encoder_makes_one_input_of_each_cell(stride):
    assert ConvEncoder(16, 8, stride)(torch.rand(2, 3, 16, 16)).shape == (2, (16 // stride) ** 2, 8)


@pytest.mark.parametrize(("contrast", "sees"), [(4.0, True), (0.04, False)])
def test_encoder_sees_color_as_much_as_position_before_training_unless_pixels_are_quiet(
    contrast, sees
):
    """Features of one cell vary over images at least a third as much as features of one image over
    cells.
    """
    torch.manual_seed(0)
    images = torch.rand(8, 3, 1, 1).expand(
        -1, -1, 32, 32
    )  # one colour each: cells differ by position alone
    features = ConvEncoder(32, 32, contrast=contrast)(images)  # (B, N, C)
    by_color, by_position = features.std(dim=0).mean(), features.std(dim=1).mean()
    assert (by_color > by_position / 3).item() is sees


def test_the_encoder_of_a_model_has_its_contrast():
    assert ObjectDiscovery(DiscoveryConfig(contrast=0.5)).encoder.contrast == 0.5
    with pytest.raises(ValueError, match="contrast must be a number above 0, got 0"):
        ConvEncoder(32, 8, contrast=0)


def test_impossible_sizes_are_refused():
    with pytest.raises(
        ValueError, match="stride must be a power of 2 that divides image_size = 30, got 4"
    ):
        ConvEncoder(30, 8, 4)
    with pytest.raises(ValueError, match="image_size must be 8"):
        BroadcastDecoder(8, 20, 8)


@pytest.mark.parametrize("decoder", [BroadcastDecoder, PixelDecoder])
def test_decoders_treat_every_slot_alike(decoder):
    torch.manual_seed(0)
    decode, slots = decoder(8, 16, 8), torch.randn(5, 8)
    assert_close(decode(slots)[3], decode(slots[3:4])[0])
    assert decode(slots).shape == (5, 4, 16, 16)


@pytest.mark.parametrize("value", NO_SIZES, ids=repr)
def test_what_is_no_size_is_refused_by_its_name(value):
    sizes = [field.name for field in fields(DiscoveryConfig) if field.type is int]
    assert len(sizes) == 8
    for name in sizes:
        with pytest.raises(ValueError, match=f"^{name} must be a whole number of at least 1, got "):
            DiscoveryConfig(**{name: value})


def test_a_config_of_numpys_numbers_is_that_of_pythons_in_a_record_too():
    plain = DiscoveryConfig(num_slots=3, contrast=2.0, slot_options={"mlp_dim": 8})
    config = DiscoveryConfig(
        num_slots=np.int64(3), contrast=np.float32(2), slot_options={"mlp_dim": np.int64(8)}
    )
    assert config == plain
    assert json.loads(json.dumps(asdict(config))) == asdict(plain)
    with pytest.raises(ValueError, match="slot_options must be options by name, got 8"):
        DiscoveryConfig(slot_options=8)


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_another_type_are_refused(kind):
    images, message = no_float32(2, 3, 16, 16)[kind]
    with pytest.raises(ValueError, match="^images must .*" + message.format(name="images")):
        ObjectDiscovery(CONFIGS[0])(images)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("config", CONFIGS)
def test_a_model_of_another_type_paints_in_float32_at_least_and_learns(config, dtype):
    model = ObjectDiscovery(config).to(dtype)
    images = torch.rand(2, 3, config.image_size, config.image_size).to(dtype)
    output = model(images)
    wider = torch.float64 if dtype == torch.float64 else torch.float32
    assert output.reconstructions.dtype == output.log_masks.dtype == wider
    reconstruction_loss(output, images)["loss"].backward()
    assert model.encoder.embed_positions.weight.grad.isfinite().all()
