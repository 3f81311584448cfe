"""Exercises of notebook 07: an answer that passes works in every later cell."""

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from smm_tutorial.exercises.core import find_task, judge
from smm_tutorial.exercises.nb07_average_precision import average_precision, scored_images
from smm_tutorial.exercises.nb07_set_prediction import best_matching


def matching_of_floats(costs):
    return tuple(float(target) for target in best_matching(costs))


def matching_without_gradients(costs):
    return tuple(linear_sum_assignment(costs.numpy())[1].tolist())


def matching_of_detached_costs(costs):
    return matching_without_gradients(costs.detach())


def rounded_area(right, num_targets):
    return round(average_precision(right, num_targets), 4)


def area_from_left_ends(right, num_targets):
    precision = right.cumsum(0) / torch.arange(1, len(right) + 1)
    precision = torch.cat([torch.zeros(1), precision, torch.zeros(1)])
    recall = torch.cat([torch.zeros(1), right.cumsum(0) / num_targets, torch.ones(1)])
    hull = precision.flip(0).cummax(0).values.flip(0)
    return (recall.diff() * hull[:-1]).sum().item()


def scored_floats(order, batch_size):
    return [float(number) for number in scored_images(order, batch_size)]


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("sets.best_matching", matching_of_floats, "expected the whole number 0, got 0.0"),
        ("sets.best_matching", matching_without_gradients, "Can't call numpy() on Tensor that"),
        ("sets.average_precision", rounded_area, "four right of seven, six targets"),
        ("sets.scored_images", scored_floats, "expected the whole number 4, got 4.0"),
    ],
)
def test_an_answer_that_a_later_cell_could_not_use_is_refused(name, answer, words):
    verdict = judge(find_task(name), answer)
    assert verdict.status == "wrong"
    assert words in verdict.message


def test_a_matching_may_detach_its_costs():
    assert judge(find_task("sets.best_matching"), matching_of_detached_costs).status == "right"


def test_left_ends_are_named_beside_the_missing_padding():
    verdict = judge(find_task("sets.average_precision"), area_from_left_ends)
    assert verdict.status == "wrong"
    assert "*right* end" in verdict.hint
