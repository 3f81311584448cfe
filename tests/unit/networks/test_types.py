"""Encoders and decoders take whole numbers for sizes, and floats of their weights' type."""

import re

import numpy as np
import pytest
import torch

from smm_tutorial.networks import (
    BroadcastDecoder,
    ConvEncoder,
    PaperDecoder,
    PixelDecoder,
    fourier_grid,
    position_grid,
)
from tests.wrong_types import KINDS, NO_NUMBERS, NO_SIZES, no_float32

DECODERS = [PixelDecoder, BroadcastDecoder, PaperDecoder]
MAKERS = {
    "image_size": lambda size: ConvEncoder(size, 8),
    "channels": lambda size: ConvEncoder(16, size),
    "stride": lambda size: ConvEncoder(16, 8, size),
    "layers": lambda size: ConvEncoder(16, 8, layers=size),
    "slot_dim": lambda size: PixelDecoder(size, 16, 8),
    "grid": lambda size: BroadcastDecoder(8, 16, 8, grid=size),
    "height": lambda size: position_grid(size, 3),
    "width": lambda size: fourier_grid(3, size, 2),
}


@pytest.mark.parametrize("value", NO_SIZES, ids=repr)
@pytest.mark.parametrize("name", MAKERS)
def test_what_is_no_size_is_refused_by_its_name(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be a whole number of at least 1, got "):
        MAKERS[name](value)


@pytest.mark.parametrize("decoder", DECODERS)
def test_every_size_of_a_decoder_is_checked(decoder):
    for index, name in enumerate(("slot_dim", "image_size", "channels")):
        sizes = [8, 16, 8]
        sizes[index] = float(sizes[index])
        with pytest.raises(ValueError, match=f"^{name} must be a whole number"):
            decoder(*sizes)


@pytest.mark.parametrize("kind", [np.int64, np.uint8])
def test_sizes_from_numpy_make_the_same_networks(kind):
    encoder = ConvEncoder(kind(16), kind(8), kind(4), kind(5))
    assert encoder(torch.rand(2, 3, 16, 16)).shape == (2, 16, 8)
    for decoder in DECODERS:
        assert decoder(kind(8), kind(16), kind(8))(torch.rand(2, 8)).shape == (2, 4, 16, 16)
    assert torch.equal(position_grid(kind(2), kind(3)), position_grid(2, 3))


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_contrast_is_refused(value):
    with pytest.raises(ValueError, match="^contrast must be a number above 0, got "):
        ConvEncoder(16, 8, contrast=value)


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_another_type_are_refused_by_an_encoder(kind):
    images, message = no_float32(2, 3, 16, 16)[kind]
    with pytest.raises(ValueError, match="^images must .*" + message.format(name="images")):
        ConvEncoder(16, 8)(images)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_slots_of_another_type_are_refused_by_a_decoder(decoder, kind):
    slots, message = no_float32(2, 8)[kind]
    with pytest.raises(ValueError, match="^slots must .*" + message.format(name="slots")):
        decoder(8, 16, 8)(slots)


@pytest.mark.parametrize("bytes_of", [lambda images: images, lambda images: images.numpy()])
def test_bytes_are_told_how_to_become_images(bytes_of):
    images = bytes_of(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))
    message = re.escape("images must be floats in [0, 1], got bytes: images.float() / 255")
    with pytest.raises(ValueError, match=message):
        ConvEncoder(16, 8)(images)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_networks_of_another_type_keep_it(dtype):
    encoder = ConvEncoder(16, 8).to(dtype)
    assert encoder(torch.rand(2, 3, 16, 16, dtype=dtype)).dtype == dtype
    for decoder in DECODERS:
        assert decoder(8, 16, 8).to(dtype)(torch.rand(2, 8, dtype=dtype)).dtype == dtype
