"""The set loss: the best of all matchings, its weights, what it may look at, that a network learns
from it.
"""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import smm_tutorial.set_prediction.loss as loss_module
from smm_tutorial.datasets import SceneImages
from smm_tutorial.scenes import random_scene
from smm_tutorial.set_prediction.loss import matched_likelihood_loss, matched_set_loss
from smm_tutorial.set_prediction.matching import match_slots, pair_costs
from smm_tutorial.set_prediction.model import SetPredictor
from smm_tutorial.set_prediction.recipe import make_loss
from smm_tutorial.set_prediction.targets import set_targets
from smm_tutorial.training.batches import Batches
from smm_tutorial.training.config import TrainingConfig
from smm_tutorial.training.loop import NonFiniteError, fit, step_generator
from tests.toy_models import SMALL_SET_PREDICTION


def scenes(count=8, size=16, most=4):
    """Random images with the records of scenes that they do not show."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
    records = [random_scene(np.random.default_rng(i), 3, most).to_record() for i in range(count)]
    return SceneImages(
        images, [f"{i}.png" for i in range(count)], "toy", "train", "CC0", records=records
    )


def network(seed=0):
    torch.manual_seed(seed)
    return SetPredictor(SMALL_SET_PREDICTION)


def batches(model, data, size=4):
    targets = set_targets(data.records, SMALL_SET_PREDICTION.num_slots)
    return Batches(data, size, model.start_noise, targets=targets)


def huber(difference):
    return np.where(abs(difference) < 1, 0.5 * difference**2, abs(difference) - 0.5)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000), slots=st.integers(1, 4), weight=st.sampled_from([0.5, 1.0, 8.0])
)
def test_it_is_the_least_over_all_matchings(seed, slots, weight):
    rng = np.random.default_rng(seed)
    predictions, targets = rng.normal(size=(2, 3, slots, 19)) * 2
    weights = np.where(np.arange(19) < 3, weight, 1.0)
    expected = []
    for prediction, target in zip(predictions, targets, strict=True):
        costs = (weights * huber(prediction[:, None] - target[None])).mean(axis=2)  # (K, K)
        expected.append(
            min(
                sum(costs[k, order[k]] for k in range(slots))
                for order in permutations(range(slots))
            )
        )
    got = matched_set_loss(torch.tensor(predictions), torch.tensor(targets), weight)
    assert_close(got["loss"], torch.tensor(np.mean(expected)))
    assert_close(got["coordinates"] + got["properties"], got["loss"])


@pytest.mark.needs_cpu("it compares with tensors of its own")
def test_order_of_predictions_and_targets_changes_nothing_and_a_match_costs_nothing():
    targets = set_targets(scenes().records, 4)
    predictions = torch.rand(targets.shape, generator=torch.Generator().manual_seed(1))
    order = torch.tensor([2, 0, 3, 1])
    expected = matched_set_loss(predictions, targets)["loss"]
    assert_close(matched_set_loss(predictions[:, order], targets)["loss"], expected)
    assert_close(matched_set_loss(predictions, targets[:, order])["loss"], expected)
    assert matched_set_loss(targets[:, order], targets)["loss"] == 0


def test_every_pair_has_its_cost_also_where_there_are_more_slots_than_targets():
    rng = np.random.default_rng(0)
    predictions, targets = 2 * rng.normal(size=(2, 4, 19)), 2 * rng.normal(size=(2, 3, 19))
    coordinates, properties = pair_costs(torch.tensor(predictions), torch.tensor(targets), 8.0)
    errors = huber(predictions[:, :, None] - targets[:, None]) / 19  # (2, 4, 3, 19)
    assert_close(coordinates, torch.tensor(8 * errors[..., :3].sum(axis=3)))
    assert_close(properties, torch.tensor(errors[..., 3:].sum(axis=3)))


def test_the_coordinate_weight_counts_coordinates_alone():
    targets = set_targets(scenes().records, 4)
    moved = targets + torch.tensor([0.1] * 3 + [0.0] * 16)
    plain, heavy = (matched_set_loss(moved, targets, weight) for weight in (1.0, 8.0))
    assert_close(heavy["loss"], 8 * plain["loss"])
    assert plain["properties"] == 0
    assert_close(
        plain["loss"], torch.tensor(4 * 3 * 0.5 * 0.1**2 / 19)
    )  # four slots, three coordinates of 19 numbers


def test_the_weight_changes_the_matching_too():
    """Slot 0 stands where target 0 does and looks like target 1; who is whose depends on what
    counts more.
    """
    targets = torch.zeros(1, 2, 19)
    targets[0, :, 0], targets[0, 0, 3], targets[0, 1, 4] = torch.tensor([-0.4, 0.4]), 1, 1
    predictions = targets[:, [1, 0]].clone()
    predictions[0, :, 0] = targets[0, :, 0]
    by_looks, by_place = (matched_set_loss(predictions, targets, weight) for weight in (1.0, 8.0))
    assert by_looks["properties"] == 0 and by_looks["coordinates"] > 0
    assert by_place["coordinates"] == 0 and by_place["properties"] > 0


def test_a_match_is_one_to_one_and_a_cost_that_is_no_number_stops_nothing():
    costs = torch.tensor([[[1.0, 0.0], [0.0, 5.0]], [[0.0, 1.0], [1.0, 0.0]]])
    assert match_slots(costs).tolist() == [[1, 0], [0, 1]]
    assert sorted(match_slots(torch.full((1, 2, 2), torch.nan))[0].tolist()) == [0, 1]


@pytest.mark.needs_cpu("it compares with tensors of its own")
def test_the_loss_of_a_step_follows_from_the_generator_and_targets_go_with_their_images():
    model, data = network(), scenes()
    loss, drawn = make_loss(2.0, "huber"), batches(model, data)
    with torch.no_grad():
        got, same, other = (
            loss(model, drawn.draw(step_generator(0, step)), step)["loss"] for step in (3, 3, 4)
        )
        assert got == same != other
        generator = step_generator(0, 3)
        chosen = torch.randint(len(data), (4,), generator=generator)
        noise = model.start_noise(4, generator)
        predictions = model(data.batch(chosen).images, noise=noise).predictions
    targets = set_targets([data.records[index] for index in chosen.tolist()], 4)
    assert_close(got, matched_set_loss(predictions, targets, 2.0)["loss"])


@pytest.mark.needs_cpu("it takes long")
def test_a_network_learns_a_few_scenes_from_it():
    torch.manual_seed(0)
    model = SetPredictor(replace(SMALL_SET_PREDICTION, slot_options={"start": "per_slot"}))
    schedule = TrainingConfig(200, 4, 5e-3, warmup_steps=10, clip_norm=1.0)
    log = fit(
        model,
        batches(model, scenes(count=2)),
        make_loss(1.0),
        schedule,
        log_every=1,
        progress=False,
    ).log
    assert log[-1]["loss"] < 0.3 * log[0]["loss"]


def test_a_diverged_network_is_reported_by_the_training_loop():
    model = network()
    with torch.no_grad():
        model.heads.coordinates[0].weight.fill_(torch.nan)
    with pytest.raises(
        NonFiniteError, match="step 0: weight heads.coordinates.0.weight is not finite"
    ):
        fit(model, batches(model, scenes()), make_loss(1.0), TrainingConfig(1, 4), progress=False)


def test_sets_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"got \(2, 4, 19\) and \(2, 5, 19\)"):
        matched_set_loss(torch.zeros(2, 4, 19), torch.zeros(2, 5, 19))


@pytest.mark.parametrize("name", ["predictions", "targets"])
def test_sets_that_are_no_tensors_are_refused_by_their_name(name):
    sets = {"predictions": torch.zeros(2, 4, 19), "targets": torch.zeros(2, 4, 19)}
    sets[name] = sets[name].numpy()
    with pytest.raises(ValueError, match=f"^{name} must be a tensor, got ndarray"):
        matched_set_loss(**sets)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_predictions_of_every_precision_are_matched(dtype):
    exact = torch.rand(2, 4, 19, generator=torch.Generator().manual_seed(0)).to(dtype)
    loss = matched_set_loss(exact[:, [2, 0, 3, 1]], exact)["loss"]
    assert loss == 0


def likely(targets, sure=20.0):
    """Logits `(1, B, K, 19)` of a network that is sure of the right answer."""
    logits = sure * (2 * targets - 1)
    logits[..., :3] = 2 * torch.atanh(targets[..., :3])
    return logits[None]


def test_the_likelihood_loss_is_0_for_the_truth_in_any_order_and_only_then():
    targets = set_targets(scenes().records, 4)
    shuffled = likely(targets)[:, :, [2, 0, 3, 1]]
    assert matched_likelihood_loss(shuffled, targets)["loss"] < 1e-4
    for part, where in {"coordinates": 0, "properties": 10, "real": 18}.items():
        wrong = likely(targets)
        wrong[0, :, 0, where] *= -1
        parts = matched_likelihood_loss(wrong, targets)
        assert parts[part] > 0.05, part


def test_padding_is_asked_for_nothing_but_that_it_is_none():
    targets = set_targets(scenes().records, 4)
    logits, other = likely(targets), likely(targets)
    padding = targets[..., 18] == 0
    assert padding.any()
    other[0][padding] = torch.cat([torch.randn(18), torch.tensor([-20.0])])
    assert_close(*(matched_likelihood_loss(one, targets)["loss"] for one in (logits, other)))


def log_softmax(values):
    return values - np.log(np.exp(values).sum(axis=-1, keepdims=True))


def likelihood_by_hand(logits, target, weight, matched):
    """The errors of an image with this matching: slot k has the object `matched[k]`, or none."""
    error = 0.0
    for slot, number in zip(logits, matched, strict=True):
        error += np.logaddexp(0, -slot[18] if number is not None else slot[18])
        if number is None:
            continue
        apart = abs(np.tanh(slot[:3] / 2) - target[number, :3])
        error += weight * np.where(apart < 0.1, apart**2 / 0.2, apart - 0.05).sum()
        for group in (slice(3, 5), slice(5, 7), slice(7, 10), slice(10, 18)):
            error -= (log_softmax(slot[group]) * target[number, group]).sum()
    return error


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), weight=st.sampled_from([0.5, 1.0, 8.0]))
def test_the_likelihood_loss_is_the_least_over_all_matchings_after_the_last_iteration(seed, weight):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(2, 3, 4, 19)) * 2
    targets = set_targets(scenes(count=3).records, 4).double().numpy()
    expected = 0.0
    for image, target in enumerate(targets):
        real = int(target[:, 18].sum())
        objects = [number if number < real else None for number in range(4)]
        orders = set(permutations(objects))
        last = min(
            orders, key=lambda order: likelihood_by_hand(logits[1, image], target, weight, order)
        )
        expected += sum(likelihood_by_hand(part[image], target, weight, last) for part in logits)
    expected /= 2 * targets[..., 18].sum()
    got = matched_likelihood_loss(torch.tensor(logits), torch.tensor(targets), weight)
    assert_close(got["loss"].item(), expected, rtol=1e-6, atol=1e-6)
    assert_close(got["coordinates"] + got["properties"] + got["real"], got["loss"])


def test_processes_with_other_numbers_of_objects_have_the_loss_of_the_joint_batch(monkeypatch):
    targets = set_targets(scenes(count=4).records, 4)
    targets[2:, 1:] = 0  # fewer objects in the second half
    logits = torch.randn(1, *targets.shape, generator=torch.Generator().manual_seed(0))
    logits = logits.to(targets.device)
    joint = matched_likelihood_loss(logits, targets)["loss"]
    mean = targets[..., 18].sum() / 2
    monkeypatch.setattr(loss_module, "mean_over_processes", lambda number: mean)
    halves = [
        matched_likelihood_loss(logits[:, half], targets[half])["loss"]
        for half in (slice(0, 2), slice(2, 4))
    ]
    assert_close(sum(halves) / 2, joint)


def test_the_likelihood_loss_counts_every_iteration_and_objects_alike():
    targets = set_targets(scenes().records, 4)
    generator = torch.Generator().manual_seed(0)
    good, bad = likely(targets)[0], torch.randn(targets.shape, generator=generator)
    first = matched_likelihood_loss(torch.stack([bad, good]), targets)["loss"]
    both = matched_likelihood_loss(torch.stack([good, good]), targets)["loss"]
    assert first > 1 > both
    doubled = matched_likelihood_loss(bad.repeat(1, 2, 1, 1), targets.repeat(2, 1, 1))["loss"]
    assert_close(doubled, matched_likelihood_loss(bad[None], targets)["loss"])


def test_the_likelihood_loss_says_what_it_takes():
    targets = set_targets(scenes().records, 4)
    with pytest.raises(ValueError, match=r"logits must be \(iterations, batch, slots, 19\)"):
        matched_likelihood_loss(targets, targets)
    with pytest.raises(ValueError, match="must both be"):
        matched_likelihood_loss(targets[None, :, :3], targets)


@pytest.mark.parametrize("slots", ["attention", "mixture"])
def test_a_network_learns_a_few_images_by_the_likelihood_of_every_iteration(slots):
    options = {"gradient": "each", "initialisation": "clustering", "normalisation": "inputs"}
    config = replace(SMALL_SET_PREDICTION, slots=slots, slot_dim=16, slot_options=options)
    torch.manual_seed(0)
    model, data = SetPredictor(config), scenes(4)
    batches = Batches(data, 4, model.start_noise, targets=set_targets(data.records, 4))
    training = TrainingConfig(steps=150, batch_size=4, learning_rate=5e-3, warmup_steps=5)
    loss = make_loss(1.0, "likelihood")
    result = fit(model, batches, loss, training, progress=False, log_every=10)
    assert result.log[-1]["loss"] < 0.75 * result.log[0]["loss"]
