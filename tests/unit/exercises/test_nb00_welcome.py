"""The first exercise of the course: learners' answers that are right in another way, and wrong."""

import numpy as np
import pytest

from smm_tutorial.exercises.core import find_task, judge

TASK = find_task("welcome.count_objects")


def count_in_a_set(mask):
    return len(set(mask.flatten().tolist()) - {0})


def count_with_numpy(mask):
    return np.count_nonzero(np.unique(mask.numpy()))


def count_in_a_tensor(mask):
    return (mask.unique() > 0).sum()


@pytest.mark.parametrize("answer", [count_in_a_set, count_with_numpy, count_in_a_tensor])
def test_other_ways_to_count_are_right(answer):
    assert judge(TASK, answer).status == "right"


def test_the_answer_that_the_notebook_proposes_as_wrong_is_named():
    verdict = judge(TASK, lambda mask: mask.max())

    assert verdict.status == "wrong"
    assert "object 2 of 3 is hidden" in verdict.message
    assert "largest number" in verdict.hint


def test_a_list_of_the_objects_is_not_their_number():
    verdict = judge(TASK, lambda mask: mask[mask > 0].unique())

    assert verdict.status == "wrong"
    assert "expected the number 3" in verdict.message
