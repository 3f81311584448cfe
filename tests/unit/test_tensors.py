"""Doubles, autocast and types; and on a GPU of Apple, pretended here, the library computes what it
computes on the CPU.
"""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from smm_tutorial import discovery, set_prediction
from smm_tutorial.discovery.surgery import fit_position_directions, move_slot
from smm_tutorial.metrics import SEGMENTATION_METRICS, best_overlaps, count_table, mean_iou
from smm_tutorial.scenes import random_scene, render
from smm_tutorial.set_prediction.average_precision import average_precision_clevr
from smm_tutorial.set_prediction.loss import matched_set_loss
from smm_tutorial.set_prediction.model import SetPredictor
from smm_tutorial.slots import SlotMixture, as_mixture_step
from smm_tutorial.tensors import as_double, check_floats, has_doubles, without_autocast
from tests.pretended_device import DEVICE, PretendedDevice, Refusal, let_training_find_it
from tests.toy_models import SMALL_SET_PREDICTION, toy_discovery
from tests.toy_runs import mean_of_weights, tiny_model, train
from tests.toy_sets import DATA, TARGETS, guess_sets
from tests.toys import toy_scenes
from tests.wrong_types import KINDS, no_float32

pytestmark = pytest.mark.needs_cpu("it compares both")
CPU, META = torch.device("cpu"), torch.device("meta")


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("device", [CPU, META], ids=str)
def test_doubles_stay_where_they_are_known(device, dtype):
    double = as_double(torch.ones(3, dtype=dtype, device=device))
    assert has_doubles(device)
    assert double.dtype == torch.float64 and double.device == device


def test_autocast_is_off_inside_and_as_it_was_outside():
    with torch.autocast("cpu", torch.bfloat16):
        with without_autocast(CPU):
            assert not torch.is_autocast_enabled("cpu")
        assert torch.is_autocast_enabled("cpu")


def test_a_device_without_autocast_is_left_alone():
    with torch.autocast("cpu", torch.bfloat16), without_autocast(META):
        assert torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_of_the_weights_type_is_refused_by_its_name(kind):
    values, message = no_float32(2, 3)[kind]
    message = "^x must .* torch.float32, as the module's weights .*" + message.format(name="x")
    with pytest.raises(ValueError, match=message):
        check_floats("x", values, torch.zeros(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_what_is_of_the_weights_type_passes(dtype):
    check_floats("x", torch.zeros(2, dtype=dtype), torch.zeros(1, dtype=dtype))


def test_autocast_takes_half_precision_for_float32_and_the_other_way_round_but_no_doubles():
    single, half = torch.zeros(2), torch.zeros(2, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        check_floats("x", half, single)
        check_floats("x", single, half)
        with pytest.raises(ValueError, match="got torch.float64"):
            check_floats("x", single.double(), single)
    with pytest.raises(ValueError, match="got torch.bfloat16"):
        check_floats("x", half, single)


def test_a_masked_array_is_no_tensor():
    with pytest.raises(ValueError, match="got MaskedArray"):
        check_floats("x", np.ma.masked_array([1.0, 2.0], mask=[0, 1]), torch.zeros(1))


# on the pretended device


@pytest.fixture(autouse=True)
def pretended_device():
    with PretendedDevice():
        yield


def moved(model):
    return model.to(DEVICE)


def maps():
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, 4, (3, 8, 8), generator=generator) for _ in range(2)]


@pytest.mark.parametrize(
    "ask",
    [
        lambda on: on.double(),
        lambda on: on.to("cpu", torch.float64),
        lambda on: torch.zeros(2, dtype=torch.float64, device=DEVICE),
        lambda on: torch.tensor(np.ones(2), device=DEVICE),
        lambda on: on.numpy(),
        lambda on: np.asarray(on),
        lambda on: on + torch.ones(2),
        lambda on: torch.nn.Linear(2, 2)(on),
        lambda on: torch.randn(2, device=DEVICE, generator=torch.Generator()),
    ],
)
def test_the_pretended_device_refuses_what_the_real_one_refuses(ask):
    with pytest.raises(Refusal):
        ask(torch.ones(2).to("mps"))


def test_the_pretended_device_takes_what_the_real_one_takes():
    on = torch.ones(2).to("mps")
    assert on.device == DEVICE and torch.zeros(2, device="mps").device == DEVICE
    assert (on * torch.tensor(2.0) + 1).tolist() == [3, 3]
    assert on[torch.tensor([0])].device == DEVICE
    assert torch.ones(2).double().to(on).device == DEVICE
    assert on.cpu().numpy().tolist() == [1, 1] and on.cpu().double().dtype == torch.float64
    assert not has_doubles(DEVICE) and as_double(on).device.type == "cpu"


def test_segmentations_and_their_scores_are_those_of_the_cpu():
    model, _, _ = toy_discovery()
    data = toy_scenes(5)
    expected = discovery.evaluate(model, data, starts=2, selection="bic")
    assert discovery.evaluate(moved(model), data, starts=2, selection="bic") == expected
    owners = discovery.segment(model, data, masks="slots")
    assert discovery.score(data, owners.to(DEVICE)) == discovery.score(data, owners)
    assert discovery.score(data.to(DEVICE), owners) == discovery.score(data, owners)


def test_slot_surgery_is_that_of_the_cpu():
    model, images, output = toy_discovery()
    data = toy_scenes(5)
    expected, share = fit_position_directions(model, data)
    directions, share_there = fit_position_directions(moved(model), data)
    assert_close(directions, expected)
    assert share_there == pytest.approx(share)
    noise = model.start_noise(2, torch.Generator().manual_seed(0))
    there = model(images.to(DEVICE), noise=noise).slot_output
    change = ((0, 1), 0.1, -0.2, directions)
    assert_close(
        move_slot(there, *change).slots.detach().cpu(), move_slot(output.slot_output, *change).slots
    )


def test_metrics_are_those_of_the_cpu():
    true, predicted = maps()
    there = [labels.to(DEVICE) for labels in (true, predicted)]
    assert_close(count_table(*there), count_table(true, predicted))
    assert_close(mean_iou(*there), mean_iou(true, predicted))
    assert_close(best_overlaps(*there), best_overlaps(true, predicted))
    for metric in SEGMENTATION_METRICS.values():
        assert_close(metric(count_table(*there)), metric(count_table(true, predicted)))


def test_sets_are_predicted_matched_and_scored_as_on_the_cpu():
    model = SetPredictor(SMALL_SET_PREDICTION).eval()
    expected = set_prediction.evaluate(model, DATA)
    assert set_prediction.evaluate(moved(model), DATA) == expected
    guess = guess_sets()
    there, targets = guess.to(DEVICE), TARGETS.to(DEVICE)
    expected = matched_set_loss(guess, TARGETS)["loss"].item()
    assert matched_set_loss(there, targets)["loss"].item() == pytest.approx(expected)
    expected = average_precision_clevr(guess, TARGETS, 1)
    assert average_precision_clevr(there, targets, 1) == expected
    assert set_prediction.score(DATA, there) == set_prediction.score(DATA, guess)


@torch.no_grad()
def test_a_state_of_the_device_is_read_as_a_mixture():
    module, points = SlotMixture(3, 2, 2), torch.randn(1, 9, 2)
    noise = torch.randn(1, 3, 2)
    expected = module(points, noise=noise, return_history=True).history[-1]
    there = moved(module)(points.to(DEVICE), noise=noise, return_history=True).history[-1]
    step = as_mixture_step(points.to(DEVICE), there)
    assert_close(step.means, as_mixture_step(points, expected).means)


def test_scenes_are_rendered_as_on_the_cpu():
    scenes = [random_scene(np.random.default_rng(seed), 3, 4) for seed in range(2)]
    expected, there = (render(scenes, 12, 16, samples=4, device=d) for d in ("cpu", "mps"))
    assert there.images.device == DEVICE
    assert_close(there.images.cpu(), expected.images, atol=1, rtol=0)
    assert torch.equal(there.masks.cpu(), expected.masks)


def test_a_run_on_the_device_stops_goes_on_and_is_that_of_the_cpu(tmp_path, monkeypatch):
    whole, first, second = tiny_model(), tiny_model(), tiny_model(seed=7)
    train(whole)
    let_training_find_it(monkeypatch.setattr)
    data, scored = toy_scenes(4), []

    def evaluate(model):
        scored.append(discovery.score(data, discovery.segment(model, data)))
        return mean_of_weights(model)

    train(first, tmp_path, stop_at=5, evaluate=evaluate)
    train(second, tmp_path, evaluate=evaluate)
    assert next(second.parameters()).device == DEVICE and len(scored) == 2
    for name, weight in whole.state_dict().items():
        assert_close(second.state_dict()[name].cpu(), weight, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("device", ["cpu", "meta", "mps"])
@pytest.mark.parametrize("halved", [False, True])
def test_noise_is_drawn_on_the_cpu_and_goes_to_the_model(device, halved):
    model = tiny_model().to(device)
    around = torch.autocast("cpu", torch.bfloat16) if halved else nullcontext()
    with around:
        noise = model.start_noise(2, torch.Generator().manual_seed(3))
    assert noise.device.type == device
    if device != "meta":
        assert_close(
            noise.cpu(), torch.randn(noise.shape, generator=torch.Generator().manual_seed(3))
        )
