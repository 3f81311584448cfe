"""A GPU of NVIDIA gives what the CPU gives, and training there can be stopped and gone on with."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning.fabric.accelerators import CUDAAccelerator

from smm_tutorial import checkpoints, set_prediction
from smm_tutorial.datasets.named_sets import EVALUATION_SETS
from smm_tutorial.discovery.scores import score
from smm_tutorial.discovery.segmentation import segment
from smm_tutorial.metrics import foreground_ari
from smm_tutorial.scenes import random_scene
from smm_tutorial.scenes.raytrace import render
from smm_tutorial.set_prediction.matching import match_slots
from smm_tutorial.slots import SlotAttention, SlotMixture
from smm_tutorial.training.config import fast_precision
from tests.toy_models import SMALL_SET_PREDICTION
from tests.toy_runs import CONFIG, tiny_model, train
from tests.toys import toy_scenes, toy_sets

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU of NVIDIA")


@pytest.mark.parametrize("module", [SlotAttention, SlotMixture])
def test_slots_are_the_same_with_their_gradients(module):
    torch.manual_seed(0)
    slots = module(num_slots=5, input_dim=16, slot_dim=16)
    inputs, noise = torch.randn(3, 64, 16), torch.randn(3, 5, 16)
    gradients = []
    for device in ("cpu", "cuda"):
        given = inputs.to(device).detach().requires_grad_()
        output = slots.to(device)(given, noise=noise.to(device))
        output.slots.square().mean().backward()
        gradients.append((output.slots.detach().cpu(), given.grad.cpu()))
    for here, there in zip(*gradients, strict=True):
        torch.testing.assert_close(there, here, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_clustering_stays_in_full_precision_under_autocast(precision):
    torch.manual_seed(0)
    slots = SlotMixture(num_slots=5, input_dim=16, slot_dim=16).cuda()
    inputs = torch.randn(3, 64, 16, device="cuda") + 100
    noise = torch.randn(3, 5, 16, device="cuda")
    dtype = torch.bfloat16 if precision == "bf16-mixed" else torch.float16
    with torch.autocast("cuda", dtype):
        output = slots(inputs, noise=noise)
    assert output.responsibilities.dtype == torch.float32
    assert output.slots.isfinite().all()
    torch.testing.assert_close(output.responsibilities.sum(2), torch.ones(3, 64, device="cuda"))


def test_the_committed_model_scores_the_same():
    model, record = checkpoints.load("discovery-mixture-clevr6-laptop-48px-seed0")
    scenes = EVALUATION_SETS["clevr6"].load(48).subset(slice(0, 32))
    here = score(scenes, segment(model, scenes))
    there = score(scenes, segment(model.cuda(), scenes))
    assert here.keys() == there.keys()
    for name, value in here.items():
        assert there[name] == pytest.approx(value, abs=5e-3), name


def test_sets_are_predicted_and_matched_the_same():
    model = set_prediction.build_model(SMALL_SET_PREDICTION, 0).eval()
    data = toy_sets(size=16)
    here = set_prediction.predict_sets(model, data)
    there = set_prediction.predict_sets(model.cuda(), data)
    torch.testing.assert_close(there, here, atol=1e-3, rtol=1e-3)
    costs = torch.rand(8, 6, 6)
    assert torch.equal(match_slots(costs.cuda()).cpu(), match_slots(costs))


def test_metrics_are_the_same():
    generator = torch.Generator().manual_seed(0)
    true, predicted = (torch.randint(0, 5, (8, 16, 16), generator=generator) for _ in range(2))
    there = foreground_ari(true.cuda(), predicted.cuda())
    torch.testing.assert_close(there.cpu(), foreground_ari(true, predicted))


def test_scenes_are_rendered_the_same():
    scenes = [random_scene(np.random.default_rng(index)) for index in range(4)]
    here, there = (render(scenes, 48, 64, samples=4, device=device) for device in ("cpu", "cuda"))
    assert (there.images.cpu() - here.images).abs().gt(2e-3).float().mean() < 1e-3
    assert (there.masks.cpu() != here.masks).float().mean() < 1e-3


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_run_that_stops_goes_on(tmp_path, precision):
    config = replace(CONFIG, precision=precision)
    whole, parts = tiny_model(), tiny_model()
    result = train(whole, config=config)
    train(parts, tmp_path, config=config, stop_at=5)
    train(parts, tmp_path, config=config)
    assert next(whole.parameters()).is_cuda
    assert result.peak_memory_mib > 0 and result.images_per_s > 0
    for here, there in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(here, there, atol=2e-2, rtol=2e-2)


def test_the_gpu_trains_to_the_loss_of_the_cpu(tmp_path):
    """The same seed, the same batches, the same noise: only rounding differs."""
    config = replace(CONFIG, precision="32-true", steps=6)
    losses = {}
    for accelerator in ("cuda", "cpu"):
        folder = tmp_path / accelerator
        with pytest.MonkeyPatch.context() as patch:
            if accelerator == "cpu":
                patch.setattr(CUDAAccelerator, "is_available", lambda: False)
            model = tiny_model()
            train(model, folder, config=config, log_every=1)
            assert next(model.parameters()).device.type == accelerator
        log = (folder / "log.jsonl").read_text().splitlines()
        losses[accelerator] = [json.loads(line)["loss"] for line in log]
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=2e-3)


def test_compiled_training_works(recwarn):
    train(tiny_model(), config=replace(CONFIG, compile="default", steps=4, warmup_steps=1))
    assert not [w for w in recwarn if "torch.compile does not work" in str(w.message)]


def test_the_fastest_precision_is_what_the_units_allow():
    major = torch.cuda.get_device_capability()[0]
    assert fast_precision() == {7: "16-mixed"}.get(major, "bf16-mixed" if major >= 8 else "32-true")


def test_data_go_to_the_gpu_as_bytes_and_come_as_floats():
    data = toy_scenes().to("cuda")
    batch = data.batch(torch.tensor([1, 3]))
    assert data.images.dtype == torch.uint8 and batch.images.is_cuda
    torch.testing.assert_close(batch.images.cpu(), toy_scenes().batch([1, 3]).images)
