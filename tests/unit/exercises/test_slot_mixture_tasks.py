"""Tasks of notebook 03: whoever is told "right" can use the answer in every later cell."""

import torch

from smm_tutorial.exercises.core import find_task, judge
from smm_tutorial.exercises.nb03_computation import expand_square
from smm_tutorial.exercises.nb03_iteration import one_iteration
from smm_tutorial.exercises.nb03_slot_mixture import (
    log_responsibilities,
    variance_about,
    weights_and_means,
)


def hint_for(name, answer):
    verdict = judge(find_task(name), answer)
    assert verdict.status == "wrong"
    return verdict.hint


# answers that are wrong in a likely way


def test_the_arguments_of_the_update_are_not_swapped():
    def answer(means, variances, weights, keys, values, to_queries, update, floor):
        gamma = log_responsibilities(to_queries(means), keys, variances, weights.log()).exp()
        weights, weighted_means = weights_and_means(gamma, values)
        means = update(means, weighted_means)
        return means, variance_about(gamma, values, means).clamp_min(floor), weights, gamma

    assert "swapped the arguments of `update`" in hint_for("smm.one_iteration", answer)


def test_the_e_step_takes_the_old_weights():
    def answer(means, variances, weights, keys, values, to_queries, update, floor):
        arguments = (keys, values, to_queries, update, floor)
        _, _, new_weights, _ = one_iteration(means, variances, weights, *arguments)
        return one_iteration(means, variances, new_weights, *arguments)

    assert "Use the *old* weights" in hint_for("smm.one_iteration", answer)


def test_the_expanded_square_is_that_of_the_log_density():
    def answer(queries, keys, variances):
        constant = (queries**2 / variances + variances.log()).sum(dim=2)
        return keys**2 @ (1 / variances).mT, -2 * keys @ (queries / variances).mT, constant

    assert "-1/2 is missing" in hint_for("smm.expand_square", answer)


def test_the_constant_leaves_two_pi_out():
    def answer(queries, keys, variances):
        quadratic, cross, _ = expand_square(queries, keys, variances)
        terms = queries**2 / variances + (2 * torch.pi * variances).log()
        return quadratic, cross, -0.5 * terms.sum(dim=2)

    assert "log 2 pi" in hint_for("smm.expand_square", answer)


# answers with right numbers: of another type they would fail in a later cell


def test_an_answer_keeps_float32():
    tasks = ("log_responsibilities", "weights_and_means", "variance_about", "expand_square")
    for name in tasks:
        task = find_task(f"smm.{name}")

        def answer(*arguments, solution=task.solution):
            return solution(*(argument.double() for argument in arguments))

        verdict = judge(task, answer)
        assert verdict.status == "wrong"
        assert "expected torch.float32, got torch.float64" in verdict.message


def test_answers_by_matrix_products_are_right():
    def responsibilities(queries, keys, variances, log_weights):
        quadratic, cross, constant = expand_square(queries, keys, variances)
        return (quadratic + cross + (log_weights + constant)[:, None]).log_softmax(dim=2)

    def variances_about(gamma, values, means):
        shares = gamma / gamma.sum(dim=1, keepdim=True)
        first = shares.mT @ values
        return shares.mT @ values**2 - first**2 + (first - means) ** 2

    for name, answer in {
        "smm.log_responsibilities": responsibilities,
        "smm.variance_about": variances_about,
    }.items():
        assert judge(find_task(name), answer).status == "right"


def test_answers_by_distributions_are_right():
    def responsibilities(queries, keys, variances, log_weights):
        gaussians = torch.distributions.Normal(queries[:, None], variances.sqrt()[:, None])
        joint = log_weights[:, None] + gaussians.log_prob(keys[:, :, None]).sum(dim=3)
        return joint - joint.logsumexp(dim=2, keepdim=True)

    assert judge(find_task("smm.log_responsibilities"), responsibilities).status == "right"


def test_an_iteration_of_parts_that_round_is_right():
    def answer(means, variances, weights, keys, values, to_queries, update, floor):
        log_weights = (weights + 1e-8).log()
        gamma = log_responsibilities(to_queries(means), keys, variances, log_weights).exp()
        weights, weighted_means = weights_and_means(gamma, values)
        means = update(weighted_means * (1 - 1e-5), means)
        variances = variance_about(gamma, values, means).clamp_min(floor)
        return means, variances, weights, gamma

    assert judge(find_task("smm.one_iteration"), answer).status == "right"


# what a card shows


def test_no_formula_loses_its_stars():
    for name in ("border_radius", "log_responsibilities", "expand_square", "refine"):
        task = find_task(f"smm.{name}")
        hints = [mistake.hint for mistake in task.mistakes]
        for text in (task.text, *task.hints, *hints):
            assert "**" not in "".join(text.split("`")[0::2]), text
