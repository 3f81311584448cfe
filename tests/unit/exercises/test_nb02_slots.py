"""The exercises of notebook 02: wrong answers with a known cause, and right ones of other forms."""

import re

import pytest
import torch

from smm_tutorial.exercises.core import find_task, judge
from tests.answers import assert_refused


def shares_with_a_bias_not_divided(points, means, temperature):
    return (points @ means.T / temperature - (means**2).sum(1) / 2).softmax(1)


def mean_as_in_the_plane(shares, values):
    turned = shares.permute(*reversed(range(shares.ndim)))  # `.T`, without its warning
    return turned @ values / shares.sum(dim=0)[:, None]


def mean_by_totals_of_another_shape(shares, values):
    return shares.mT @ values / shares.sum(dim=-2)[:, None]


def gru_by_torch(update, state, w_in, w_state, b_in, b_state):
    rows = (update.reshape(-1, update.shape[-1]), state.reshape(-1, state.shape[-1]))
    return torch.gru_cell(*rows, w_in, w_state, b_in, b_state).view(state.shape)


def gru_by_the_module(update, state, w_in, w_state, b_in, b_state):
    width = state.shape[-1]
    cell = torch.nn.GRUCell(width, width)
    weights = zip(dict(cell.named_parameters()), (w_in, w_state, b_in, b_state), strict=True)
    rows = (update.reshape(-1, width), state.reshape(-1, width))
    return torch.func.functional_call(cell, dict(weights), rows).view(state.shape)


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("shares_by_dot_product", shares_with_a_bias_not_divided, "by 2T, not by 2"),
        ("weighted_mean", mean_as_in_the_plane, "`.T` turns all"),
        ("weighted_mean", mean_by_totals_of_another_shape, "count the axes from the end"),
        ("gru_step", gru_by_torch, "calls `gru_cell`, which the task rules out"),
        ("gru_step", gru_by_the_module, "calls `gru_cell`, which the task rules out"),
    ],
)
def test_a_likely_wrong_answer_is_refused_and_its_cause_is_named(name, answer, words):
    assert_refused(f"slots.{name}", answer, words)


def gru_by_six_products(update, state, w_in, w_state, b_in, b_state):
    u_reset, u_keep, u_new = w_in.chunk(3)
    v_reset, v_keep, v_new = w_state.chunk(3)
    (b_1, b_2, b_3), (c_1, c_2, c_3) = b_in.chunk(3), b_state.chunk(3)
    reset = torch.sigmoid(update @ u_reset.T + b_1 + state @ v_reset.T + c_1)
    keep = torch.sigmoid(update @ u_keep.T + b_2 + state @ v_keep.T + c_2)
    new = torch.tanh(update @ u_new.T + b_3 + reset * (state @ v_new.T + c_3))
    return keep * state + (1 - keep) * new


def mean_by_einsum(shares, values):
    total = shares.sum(dim=-2)[..., None]
    return torch.einsum("...nk,...nd->...kd", shares, values) / total


@pytest.mark.parametrize(
    ("name", "answer"), [("gru_step", gru_by_six_products), ("weighted_mean", mean_by_einsum)]
)
def test_a_right_answer_of_another_form_is_accepted(name, answer):
    assert judge(find_task(f"slots.{name}"), answer).status == "right"


@pytest.mark.parametrize("name", ["shares_by_dot_product", "attend", "weighted_mean", "log_joint"])
def test_second_hints_show_no_code_of_the_solution(name):
    task = find_task(f"slots.{name}")
    code = re.findall(r"`([^`]+\([^`]*\)|[^`]*\*\*[^`]*)`", task.hints[1])

    assert code == []
