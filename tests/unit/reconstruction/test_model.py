"""SLATE's network: what reads what, what is trained, and checkpoints."""

from dataclasses import asdict, replace

import pytest
import torch
from torch.testing import assert_close

from smm_tutorial import checkpoints
from smm_tutorial.reconstruction import (
    ReconstructionConfig,
    SlotReconstruction,
    TokenEncoder,
    Tokenizer,
    TokenizerConfig,
    build_model,
)

SMALL = ReconstructionConfig(
    image_size=16,
    num_slots=3,
    slot_dim=8,
    num_iterations=2,
    encoder_channels=8,
    num_codes=6,
    tokenizer_channels=4,
    dim=16,
    blocks=2,
    slot_options={"gradient": "last"},
)
CONFIGS = [
    SMALL,
    replace(SMALL, slots="attention"),
    replace(SMALL, inputs="pixels"),
    replace(SMALL, decoding="all_at_once"),
    replace(SMALL, memory="nothing"),
]


def make(config=SMALL):
    tokenizer = Tokenizer(TokenizerConfig(16, config.num_codes, config.tokenizer_channels))
    tokenizer.set_codes(torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0)), 0.1)
    return build_model(config, tokenizer, seed=0).eval(), tokenizer


def draw(model, batch=2):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(batch, 3, 16, 16, generator=generator)
    return images, model.start_noise(batch, generator)


@pytest.mark.parametrize("config", CONFIGS, ids=range(len(CONFIGS)))
def test_images_become_slots_and_slots_become_images(config):
    model, tokenizer = make(config)
    images, noise = draw(model)
    output = model(images, noise=noise)
    assert output.logits.shape == (2, 16, 6)
    assert torch.equal(output.tokens, tokenizer.tokenize(images))
    again = model(images, noise=noise, tokens=output.tokens)
    assert torch.equal(again.logits, output.logits)
    rebuilt = model.rebuild(model.read(output.slot_output))
    assert rebuilt.shape == images.shape and 0 <= rebuilt.min() <= rebuilt.max() <= 1
    generated = model.decoder.generate(model.read(output.slot_output))
    assert torch.equal(rebuilt, tokenizer.paint(generated))


def test_slots_see_tokens_or_pixels():
    for inputs, sees_pixels in (("tokens", False), ("pixels", True)):
        model, tokenizer = make(replace(SMALL, inputs=inputs))
        images, noise = draw(model)
        nearly = (images + 1e-4).clamp(0, 1)
        assert torch.equal(tokenizer.tokenize(images), tokenizer.tokenize(nearly))
        found, others = (model.find_slots(one, noise=noise).slots for one in (images, nearly))
        assert torch.equal(found, others) != sees_pixels


def test_with_nothing_to_read_every_image_has_the_same_prediction():
    model, _ = make(replace(SMALL, memory="nothing"))
    images, noise = draw(model)
    tokens = torch.zeros(2, 16).long()
    logits = model(images, noise=noise, tokens=tokens).logits
    assert torch.equal(logits[0], logits[1])
    model, _ = make()
    logits = model(images, noise=noise).logits
    assert not torch.equal(logits[0], logits[1])


def test_the_tokenizer_is_frozen_and_everything_else_learns():
    model, tokenizer = make()
    images, noise = draw(model)
    model(images, noise=noise).logits.square().mean().backward()
    for name, weight in model.named_parameters():
        if name.startswith("tokenizer."):
            assert not weight.requires_grad and weight.grad is None
        else:
            assert weight.grad is not None, name
    for name, weight in tokenizer.state_dict().items():
        assert torch.equal(model.tokenizer.state_dict()[name], weight)


def test_codes_of_similar_patches_have_similar_embeddings():
    patches = torch.tensor([[0.0, 0.0], [0.0, 0.1], [1.0, 1.0]])
    encoder = TokenEncoder(3, 2, 8)
    encoder.start_from_patches(patches)
    near, far = (encoder.embed.weight[0] - encoder.embed.weight[i] for i in (1, 2))
    assert near.norm() < 0.3 * far.norm()
    assert_close(encoder.embed.weight.std(), torch.tensor(1.0))


def test_the_same_seed_builds_the_same_model_and_checkpoints_come_back(tmp_path):
    model, tokenizer = make()
    again = build_model(SMALL, tokenizer, seed=0)
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, model.state_dict()[name])
    record = {"model": "SlotReconstruction", "config": asdict(SMALL)}
    checkpoints.write(tmp_path / "it.safetensors", model.state_dict(), record)
    loaded, _ = checkpoints.load(tmp_path / "it.safetensors")
    images, noise = draw(model)
    assert torch.equal(loaded(images, noise=noise).logits, model(images, noise=noise).logits)
    record = {"model": "Tokenizer", "config": asdict(tokenizer.config)}
    checkpoints.write(tmp_path / "it.safetensors", tokenizer.state_dict(), record)
    loaded, _ = checkpoints.load(tmp_path / "it.safetensors")
    assert torch.equal(loaded.tokenize(images), tokenizer.tokenize(images))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"inputs": "words"}, "inputs must be one of"),
        ({"decoding": "twice"}, "decoding must be one of"),
        ({"memory": "images"}, "memory must be one of"),
        ({"slots": "boxes"}, "slots must be one of"),
        ({"patch": 5}, "patch must divide image_size = 16, got 5"),
        ({"blocks": 0}, "blocks must be a whole number of at least 1"),
    ],
)
def test_odd_options_are_refused(choice, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **choice)


def test_a_tokenizer_of_other_sizes_is_refused():
    model = SlotReconstruction(SMALL)
    with pytest.raises(ValueError, match="the tokenizer has other sizes than this network expects"):
        model.take_tokenizer(Tokenizer(TokenizerConfig(16, 7, 4)))
    with pytest.raises(ValueError, match="patch must divide image_size = 18, got 4"):
        TokenizerConfig(image_size=18)
