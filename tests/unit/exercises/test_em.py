"""The tasks of notebook 01: answers that fail in a later cell are refused, and errors are named."""

import inspect
import re

import numpy as np
import pytest

from smm_tutorial.exercises import nb01_em, nb01_kmeans
from smm_tutorial.exercises.core import all_tasks, find_task, judge

TASKS = [task for task in all_tasks().values() if task.name.startswith("em.")]


def squares_to(points, means):
    return ((points[:, None] - means) ** 2).sum(axis=2)


def shares_with_a_larger_sum(small):
    def answer(points, means, temperature):
        shares = np.exp(-squares_to(points, means) / (2 * temperature))
        return shares / (shares.sum(axis=1, keepdims=True) + small)

    return answer


def bound_of_larger_shares(small):
    def answer(log_joint, shares):
        return (shares * (log_joint - np.log(shares + small))).sum(axis=1).mean()

    return answer


def log_of_a_larger_sum(small):
    def answer(values):
        largest = values.max(axis=1, keepdims=True)
        return largest[:, 0] + np.log(np.exp(values - largest).sum(axis=1) + small)

    return answer


def m_step_of_larger_counts(small):
    def answer(points, shares):
        counts = shares.sum(axis=0) + small
        means = shares.T @ points / counts[:, None]
        squares = (points[:, None] - means) ** 2
        variances = (shares[:, :, None] * squares).sum(axis=0) / counts[:, None]
        return shares.mean(axis=0), means, variances

    return answer


@pytest.mark.parametrize("small", [1e-8, 1e-7, 1e-6])
@pytest.mark.parametrize(
    "name, make",
    [
        ("em.soft_assignment", shares_with_a_larger_sum),
        ("em.lower_bound", bound_of_larger_shares),
        ("em.log_sum_exp", log_of_a_larger_sum),
        ("em.m_step_diagonal", m_step_of_larger_counts),
    ],
)
def test_a_small_number_that_later_cells_would_notice_is_refused(name, make, small):
    assert judge(find_task(name), make(small)).status == "wrong"


@pytest.mark.parametrize("small", [1e-12, 1e-10, 1e-8])
def test_shares_that_do_not_sum_to_one_far_away_are_named(small):
    verdict = judge(find_task("em.soft_assignment"), shares_with_a_larger_sum(small))

    assert "small number" in verdict.hint


def m_step_with(change):
    """The right M step, after `change(variances, counts (K, 1), points, shares)`."""

    def answer(points, shares):
        weights, means, variances = nb01_em.m_step_diagonal(points, shares)
        changed = change(variances, shares.sum(axis=0)[:, None], points, shares)
        return weights, means, changed

    return answer


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda v, counts, points, shares: v * counts / len(points), "not by all N"),
        (lambda v, counts, points, shares: v * counts / (counts - 1), "N_k - 1"),
        (lambda v, counts, points, shares: shares.T @ points**2 / counts, "subtract"),
    ],
)
def test_a_wrong_variance_of_the_m_step_is_named(change, words):
    verdict = judge(find_task("em.m_step_diagonal"), m_step_with(change))

    assert verdict.status == "wrong" and words in verdict.hint


def test_a_forgotten_division_of_the_means_is_named():
    def only_returned(points, shares):
        weights, _, variances = nb01_em.m_step_diagonal(points, shares)
        return weights, shares.T @ points, variances

    def used_too(points, shares):
        means = shares.T @ points
        squares = shares[:, :, None] * (points[:, None] - means) ** 2
        return shares.mean(axis=0), means, squares.sum(axis=0) / shares.sum(axis=0)[:, None]

    for answer in (only_returned, used_too):
        assert "are sums" in judge(find_task("em.m_step_diagonal"), answer).hint


def test_a_fit_that_is_summed_twice_is_named():
    def answer(log_likelihood, num_points, num_components, num_features):
        fit = log_likelihood * num_points
        return nb01_em.bic_of_full_mixture(fit, num_points, num_components, num_features)

    assert "sum over the points already" in judge(find_task("em.bic"), answer).hint


def log_sum_exp_about(choose):
    """Log-sum-exp that takes `choose(values)` (N, 1) out of each row."""

    def answer(values):
        chosen = choose(values)
        with np.errstate(divide="ignore", over="ignore"):
            return chosen[:, 0] + np.log(np.exp(values - chosen).sum(axis=1))

    return answer


@pytest.mark.parametrize(
    "choose, words",
    [
        (lambda values: values.mean(axis=1, keepdims=True), "the mean of a row"),
        (lambda values: values.min(axis=1, keepdims=True), "the smallest value"),
        (lambda values: values[:, :1], "the first value"),
    ],
)
def test_any_value_but_the_largest_of_a_row_is_refused_and_named(choose, words):
    verdict = judge(find_task("em.log_sum_exp"), log_sum_exp_about(choose))

    assert verdict.status == "wrong" and words in verdict.hint


def test_the_last_value_of_a_row_is_refused():
    answer = log_sum_exp_about(lambda values: values[:, -1:])

    assert judge(find_task("em.log_sum_exp"), answer).status == "wrong"


def m_step_with_means_over_all_points(points, shares):
    means = shares.T @ points / len(points)
    squares = shares[:, :, None] * (points[:, None] - means) ** 2
    return shares.mean(axis=0), means, squares.sum(axis=0) / shares.sum(axis=0)[:, None]


def m_step_about_the_middle(points, shares):
    weights, means, _ = nb01_em.m_step_diagonal(points, shares)
    squares = (points - points.mean(axis=0)) ** 2
    return weights, means, shares.T @ squares / shares.sum(axis=0)[:, None]


def m_step_with_only_means_over_all_points(points, shares):
    weights, _, variances = nb01_em.m_step_diagonal(points, shares)
    return weights, shares.T @ points / len(points), variances


@pytest.mark.parametrize(
    "name, answer, words",
    [
        (
            "em.soft_assignment",
            lambda points, means, temperature: nb01_kmeans.soft_assignment(
                points, means, temperature**2
            ),
            "square the temperature",
        ),
        (
            "em.lower_bound",
            lambda log_joint, shares: nb01_em.lower_bound(log_joint, shares) / shares.shape[1],
            "mean over everything",
        ),
        ("em.m_step_diagonal", m_step_with_means_over_all_points, "divide the means by N"),
        ("em.m_step_diagonal", m_step_with_only_means_over_all_points, "divide the means by N"),
        ("em.m_step_diagonal", m_step_about_the_middle, "mean of all points"),
        (
            "em.bic",
            lambda fit, n, k, d: k * (d + d * (d + 1) // 2) * np.log(n) - 2 * fit,
            "forgot the weights",
        ),
        (
            "em.bic",
            lambda fit, n, k, d: (2 * k * d + k - 1) * np.log(n) - 2 * fit,
            "as if it were diagonal",
        ),
    ],
)
def test_a_likely_wrong_answer_is_named(name, answer, words):
    assert words in judge(find_task(name), answer).hint


@pytest.mark.parametrize(
    "answer, words",
    [
        (lambda points, means: np.abs(points[:, None] - means).sum(2).argmin(1), "Euclidean"),
        (lambda points, means: (points @ means.T).argmax(axis=1), "dot product"),
    ],
)
def test_another_measure_of_nearness_is_named(answer, words):
    assert words in judge(find_task("em.nearest_mean"), answer).hint


@pytest.mark.parametrize(
    "name, answer",
    [
        (
            "em.soft_assignment",
            lambda points, means, temperature: np.exp(
                -squares_to(points, means) / (2 * temperature)
                - np.logaddexp.reduce(-squares_to(points, means) / (2 * temperature), axis=1)[
                    :, None
                ]
            ),
        ),
        (
            "em.lower_bound",
            lambda log_joint, shares: (
                (shares * (log_joint - np.log(shares + 1e-300))).sum(axis=1).mean()
            ),
        ),
        ("em.log_sum_exp", lambda values: np.logaddexp.reduce(values, axis=1)),
        (
            "em.m_step_diagonal",
            lambda points, shares: (
                shares.mean(axis=0),
                (shares / shares.sum(axis=0)).T @ points,
                (shares / shares.sum(axis=0)).T @ points**2
                - ((shares / shares.sum(axis=0)).T @ points) ** 2,
            ),
        ),
    ],
)
def test_another_right_formula_is_right(name, answer):
    assert judge(find_task(name), answer).status == "right"


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_no_hint_holds_what_the_solution_returns(task):
    source = " ".join(inspect.getsource(task.solution).split())
    returned = source.rpartition("return ")[2]
    quoted = [code for text in task.hints for code in " ".join(text.split()).split("`")[1::2]]

    assert returned.strip() not in quoted


def test_the_hints_of_the_nearest_mean_leave_the_axes_to_the_learner():
    hints = " ".join(find_task("em.nearest_mean").hints)

    assert not re.search(r"\baxis\W*\d", hints)
