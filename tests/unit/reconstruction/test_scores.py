"""Scores of image reconstruction: errors of pictures by hand, counts of codes, segmentations."""

import math

import pytest
import torch

from smm_tutorial import reconstruction
from smm_tutorial.metrics import SEGMENTATION_METRICS
from smm_tutorial.reconstruction import count_codes, evaluate, evaluate_tokenizer, psnr, read_tokens
from tests.toys import toy_scenes
from tests.unit.reconstruction.test_model import SMALL, make


def test_psnr_of_known_errors():
    assert psnr(0.01) == pytest.approx(20) and psnr(1e-3) == pytest.approx(30)
    assert math.isfinite(psnr(0.0))


def test_codes_are_counted():
    assert count_codes(torch.tensor([[0, 1], [2, 3]]), 4) == {"perplexity": 4.0, "dead_codes": 0}
    assert count_codes(torch.tensor([1, 1, 1]), 4) == {"perplexity": 1.0, "dead_codes": 3}


def test_scores_of_a_tokenizer_are_those_of_its_pictures():
    _, tokenizer = make()
    data = toy_scenes(count=70)  # more than one batch
    images = data.batch(slice(None)).images
    tokens = tokenizer.tokenize(images)
    error = (tokenizer.paint(tokens) - images).square().mean().item()
    scores = evaluate_tokenizer(tokenizer, data)
    assert scores["squared_error"] == pytest.approx(error, abs=1e-5)
    assert scores["psnr"] == pytest.approx(-10 * math.log10(error), abs=0.01)
    assert scores["images"] == 70
    assert scores["dead_codes"] == 6 - len(tokens.unique())


def test_scores_of_a_network_are_those_of_its_pictures():
    model, tokenizer = make()
    data = toy_scenes(count=10)
    images = data.batch(slice(None)).images
    noise = model.start_noise(10, torch.Generator().manual_seed(3))
    with torch.no_grad():
        output = model(images, noise=noise)
    scores = evaluate(model, data, seed=3)
    log_shares = output.logits.log_softmax(dim=2).gather(2, output.tokens[..., None])
    assert scores["nats"] == pytest.approx(-log_shares.mean().item(), abs=1e-3)
    chosen = output.logits.argmax(dim=2)
    right = (chosen == output.tokens).float().mean().item()
    assert scores["right"] == pytest.approx(right, abs=1e-3)
    pictures = {
        "teacher_forced": tokenizer.paint(chosen),
        "generated": model.rebuild(output.slot_output.slots),
        "tokenizer": tokenizer.paint(output.tokens),
    }
    for name, painted in pictures.items():
        error = (painted - images).square().mean().item()
        assert scores[name]["squared_error"] == pytest.approx(error, abs=1e-5), name
    owners = output.slot_output.responsibilities.argmax(dim=2).view(10, 4, 4)
    owners = owners.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
    for name in ("fg_ari", "mbo"):
        expected = SEGMENTATION_METRICS[name]
        counts = reconstruction.scores.count_table(data.masks, owners)
        assert scores[name] == pytest.approx(expected(counts).mean().item(), abs=1e-4)
    generated = model.decoder.generate(output.slot_output.slots)
    assert torch.equal(read_tokens(scores["generated_tokens"]), generated[:6])
    teacher_forced_alone = evaluate(model, data, generates=False)
    assert not {"generated", "generated_tokens"} & teacher_forced_alone.keys()
    assert evaluate(model, data, num_slots=5)["num_slots"] == 5
    assert scores["num_slots"] == SMALL.num_slots
