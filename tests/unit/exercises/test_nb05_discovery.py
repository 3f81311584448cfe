"""The exercises of notebook 05: wrong answers that look right, and right answers of other forms."""

import inspect
import math
import re

import pytest
import torch

from smm_tutorial.exercises.core import find_task, judge
from tests.answers import assert_refused


def log_joint(images, paintings, log_masks, scale):
    return log_masks - (paintings - images[:, None]).square().sum(2) / (2 * scale**2)


def unit(scale):
    return -2 * scale**2 / 3


def loss_by_exp_and_log(images, paintings, log_masks, scale):
    densities = (-(paintings - images[:, None]).square().sum(2) / (2 * scale**2)).exp()
    return unit(scale) * (log_masks.exp() * densities).sum(1).log().mean()


def loss_by_exp_and_log_in_float64(images, paintings, log_masks, scale):
    joint = log_joint(images.double(), paintings.double(), log_masks.double(), scale)
    return (unit(scale) * joint.exp().sum(1).log().mean()).float()


def loss_by_exp_and_log_of_a_little_more(images, paintings, log_masks, scale):
    joint = log_joint(images, paintings, log_masks, scale)
    return unit(scale) * (joint.exp().sum(1) + 1e-8).log().mean()


def loss_with_the_constant(images, paintings, log_masks, scale):
    joint = log_joint(images, paintings, log_masks, scale)
    return unit(scale) * (joint - 1.5 * math.log(2 * math.pi * scale**2)).logsumexp(1).mean()


def loss_of_scale_not_squared(images, paintings, log_masks, scale):
    joint = log_masks - (paintings - images[:, None]).square().sum(2) / (2 * scale)
    return unit(scale) * joint.logsumexp(1).mean()


def loss_of_expected_square(images, paintings, log_masks, scale):
    squares = (paintings - images[:, None]).square().sum(2) / 3
    return (log_masks.exp() * squares).sum(1).mean()


def loss_of_factor_one(images, paintings, log_masks, scale):
    return -log_joint(images, paintings, log_masks, scale).logsumexp(1).mean()


def loss_of_mean_over_channels_without_third(images, paintings, log_masks, scale):
    joint = log_masks - (paintings - images[:, None]).square().sum(2) / (6 * scale**2)
    return 3 * unit(scale) * joint.logsumexp(1).mean()


def loss_per_image(images, paintings, log_masks, scale):
    return unit(scale) * log_joint(images, paintings, log_masks, scale).logsumexp(1).mean((1, 2))


def compose_along_the_last_axis(paintings, logits):
    return (paintings * logits.softmax(-1)[:, :, None]).sum(1)


def compose_by_sigmoid(paintings, logits):
    return (paintings * logits.sigmoid()[:, :, None]).sum(1)


def compose_by_the_largest_logit(paintings, logits):
    largest = (logits == logits.amax(1, keepdim=True)).float()
    return (paintings * largest[:, :, None]).sum(1)


def compose_without_an_axis(paintings, logits):
    return (paintings * logits.softmax(1)).sum(1)


def owners(responsibilities):
    side = math.isqrt(responsibilities.shape[1])
    return responsibilities.argmax(2).reshape(-1, side, side)


def map_tiled(responsibilities, size):
    cells = owners(responsibilities)
    return torch.tile(cells, (1, size // cells.shape[1], size // cells.shape[1]))


def map_blended(responsibilities, size):
    side = math.isqrt(responsibilities.shape[1])
    grid = responsibilities.mT.reshape(len(responsibilities), -1, side, side)
    return torch.nn.functional.interpolate(grid, (size, size), mode="bilinear").argmax(1)


def map_of_cells(responsibilities, size):
    return owners(responsibilities)


def map_of_floats(responsibilities, size):
    cells = owners(responsibilities)[:, None].float()
    return torch.nn.functional.interpolate(cells, (size, size))[:, 0]


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("pixel_loss", loss_by_exp_and_log, "underflow"),
        ("pixel_loss", loss_by_exp_and_log_in_float64, "underflow"),
        ("pixel_loss", loss_by_exp_and_log_of_a_little_more, "underflow"),
        ("pixel_loss", loss_with_the_constant, "constant"),
        ("pixel_loss", loss_of_scale_not_squared, "did not square the scale"),
        ("pixel_loss", loss_of_expected_square, "averaged with the masks"),
        ("pixel_loss", loss_of_factor_one, "The factor 2 scale^2 / 3 is missing"),
        ("pixel_loss", loss_of_mean_over_channels_without_third, "three times too heavy"),
        ("pixel_loss", loss_per_image, "expected shape ()"),
        ("compose", compose_along_the_last_axis, "along a row of pixels"),
        ("compose", compose_by_sigmoid, "A sigmoid treats each slot alone"),
        ("compose", compose_by_the_largest_logit, "Mix all slots"),
        ("compose", compose_without_an_axis, "`masks[:, :, None]`"),
        ("attention_map", map_tiled, "repeat each cell"),
        ("attention_map", map_blended, "You blend neighbouring cells"),
        ("attention_map", map_of_cells, "one number per cell"),
        ("attention_map", map_of_floats, "Return integers"),
    ],
)
def test_a_likely_wrong_answer_is_refused_and_its_cause_is_named(name, answer, words):
    assert_refused(f"discovery.{name}", answer, words)


def loss_by_the_largest(images, paintings, log_masks, scale):
    joint = log_joint(images, paintings, log_masks, scale)
    largest = joint.amax(1, keepdim=True)
    return unit(scale) * ((joint - largest).exp().sum(1).log() + largest[:, 0]).mean()


def loss_by_normal(images, paintings, log_masks, scale):
    densities = torch.distributions.Normal(paintings, scale).log_prob(images[:, None]).sum(2)
    constant = 1.5 * math.log(2 * math.pi * scale**2)
    return unit(scale) * (log_masks + densities + constant).logsumexp(1).mean()


def loss_slot_by_slot(images, paintings, log_masks, scale):
    total = torch.full_like(images[:, 0], -math.inf)
    for joint in log_joint(images, paintings, log_masks, scale).unbind(1):
        total = torch.logaddexp(total, joint)
    return unit(scale) * total.mean()


def compose_by_einsum(paintings, logits):
    return torch.einsum("bkchw,bkhw->bchw", paintings, logits.softmax(1))


def map_by_repeats(responsibilities, size):
    cells = owners(responsibilities)
    times = size // cells.shape[1]
    return cells.repeat_interleave(times, 1).repeat_interleave(times, 2)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("pixel_loss", loss_by_the_largest),
        ("pixel_loss", loss_by_normal),
        ("pixel_loss", loss_slot_by_slot),
        ("compose", compose_by_einsum),
        ("attention_map", map_by_repeats),
    ],
)
def test_a_right_answer_of_another_form_is_accepted(name, answer):
    assert judge(find_task(f"discovery.{name}"), answer).status == "right"


@pytest.mark.parametrize("name", ["compose", "pixel_loss", "attention_map"])
def test_hints_show_no_code_of_the_solution(name):
    task = find_task(f"discovery.{name}")
    code = [span for text in task.hints for span in re.findall(r"`([^`]+\([^`]*\))`", text)]

    assert not any(" ".join(span.split()) in inspect.getsource(task.solution) for span in code)
