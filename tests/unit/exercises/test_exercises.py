"""How exercises work, on a toy task that exists only here, and the proof of every real task."""

import inspect
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter

from smm_tutorial.exercises import core, exercise, hint, solution
from smm_tutorial.exercises.compare import difference
from smm_tutorial.exercises.conduct import Method
from smm_tutorial.exercises.core import (
    Mistake,
    Task,
    Verdict,
    all_tasks,
    find_task,
    judge,
    mistake,
    register,
    task_card,
)
from smm_tutorial.exercises.proof import prove


def normalise(scores):
    return scores / scores.sum(axis=1, keepdims=True)


def normalise_over_the_wrong_axis(scores):
    return scores / scores.sum(axis=0, keepdims=True)


@mistake("The sums lost an axis, and broadcasting went wrong: `keepdims=True`.")
def forget_to_keep_the_axis(scores):
    return scores / scores.sum(axis=1)


TOY = Task(
    name="toy.normalise",
    title="Rows that sum to one",
    text="Divide every row of `scores` by its sum.",
    minutes=2,
    difficulty=1,
    hints=("Which axis runs along a row?", "Sum over `axis=1` with `keepdims=True`, then divide."),
    solution=normalise,
    cases=lambda: {
        "two rows of three": (np.array([[1.0, 1.0, 2.0], [3.0, 1.0, 0.0]]),),
        "one row": (np.array([[0.5, 1.5]]),),
    },
    mistakes=(
        Mistake(normalise_over_the_wrong_axis, "You divide the columns: look at the axis."),
        forget_to_keep_the_axis,
    ),
)


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr(core, "_tasks", {})
    monkeypatch.setattr(core, "_hints_shown", {})
    return register(TOY)


@pytest.mark.parametrize("task", all_tasks().values(), ids=lambda task: task.name)
def test_every_exercise_is_proven(task):
    prove(task)


def test_the_toy_is_proven():
    prove(TOY)


# judging


def left_open(scores):
    """A docstring is no answer."""
    ...


def passed_over(scores):
    pass


def not_implemented(scores):
    raise NotImplementedError("your turn")


def half_done(scores):
    total = ...
    return scores / total.sum(axis=1, keepdims=True)


def returns_a_placeholder(scores):
    total = scores.sum(axis=1)
    return ... if total.any() else total


@pytest.mark.parametrize(
    "stub", [left_open, passed_over, not_implemented, half_done, returns_a_placeholder]
)
def test_an_answer_left_open_is_pending(stub):
    assert judge(TOY, stub).status == "pending"


def test_an_index_with_an_ellipsis_is_no_placeholder():
    def answer(scores):
        return scores / scores.sum(axis=0)[..., :]

    verdict = judge(TOY, answer)

    assert (verdict.status, verdict.hint) == ("wrong", "You divide the columns: look at the axis.")


def test_a_right_answer_may_differ_within_the_tolerance():
    assert judge(TOY, lambda scores: normalise(scores) + 1e-8).status == "right"
    assert judge(TOY, lambda scores: normalise(scores) + 1e-3).status == "wrong"


def test_a_wrong_answer_names_the_case_and_both_values():
    verdict = judge(TOY, lambda scores: normalise(scores) * (1 if len(scores) == 2 else 2))

    assert verdict.status == "wrong"
    assert "“one row”" in verdict.message
    assert "the result[0, 0]: expected 0.25, got 0.5 (2 of 2 values differ)" in verdict.message
    assert verdict.hint is None


def test_a_forgotten_return_is_named():
    def answer(scores):
        normalise(scores)

    assert "returned None instead of ndarray of shape (2, 3), float64" in judge(TOY, answer).message


def test_an_exception_is_a_wrong_answer_with_its_text():
    def answer(scores):
        return scores.total()

    verdict = judge(TOY, answer)

    assert verdict.status == "wrong"
    assert "AttributeError: 'numpy.ndarray' object has no attribute 'total'" in verdict.message


def test_a_mistake_that_raises_is_recognised():
    assert judge(TOY, forget_to_keep_the_axis.answer).hint == forget_to_keep_the_axis.hint


def test_an_answer_that_changes_its_arguments_spoils_nothing():
    def answer(scores):
        scores /= scores.sum(axis=0)
        return scores

    assert judge(TOY, answer).hint == TOY.mistakes[0].hint
    assert judge(TOY, normalise).status == "right"


# the decorator


def test_a_pending_exercise_hands_back_the_solution(toy, capsys):
    decorated = exercise("toy.normalise")(left_open)

    assert decorated is normalise
    text = capsys.readouterr().out
    assert text.startswith("[To do] Rows that sum to one · ★☆☆ · 2 minutes\nDivide every row of")
    assert "The cells below use the reference solution." in text


def test_a_wrong_exercise_hands_back_the_solution_and_says_so(toy, capsys):
    assert exercise("toy.normalise")(forget_to_keep_the_axis.answer) is normalise
    text = capsys.readouterr().out
    assert "Hint: The sums lost an axis" in text
    assert "The cells below use the reference solution." in text


def test_a_right_exercise_keeps_the_learners_function(toy, capsys):
    def answer(scores):
        return scores / scores.sum(1)[:, None]

    assert exercise("toy.normalise")(answer) is answer
    text = capsys.readouterr().out
    assert text.startswith("[✓ Right]")
    assert "reference solution" not in text


def test_hints_unfold_one_after_another_and_end_at_the_solution(toy, capsys):
    hint("toy.normalise")
    first = capsys.readouterr().out
    hint("toy.normalise")
    second = capsys.readouterr().out
    hint("toy.normalise")
    third = capsys.readouterr().out
    solution("toy.normalise")

    assert "Hint 1 of 2" in first and "Hint 2 of 2" not in first
    assert "Hint 1 of 2" in second and "Hint 2 of 2" in second
    assert third == second
    assert "scores.sum(axis=1, keepdims=True)" in capsys.readouterr().out


def test_an_unknown_name_is_answered_with_the_nearest(toy):
    message = "named 'toy.normalize'; did you mean one of ['toy.normalise']?"
    with pytest.raises(ValueError, match=re.escape(message)):
        exercise("toy.normalize")


def test_two_tasks_cannot_share_a_name(toy):
    with pytest.raises(ValueError, match="two exercises named 'toy.normalise'"):
        register(TOY)


def test_a_card_in_a_notebook_is_html_with_escaped_text():
    task = replace(TOY, text="Is `a < b`?")

    bundle, _ = DisplayFormatter().format(task_card(task, Verdict("pending", "Not yet.")))

    assert "<code>a &lt; b</code>" in bundle["text/html"]
    assert "Is `a < b`?" in bundle["text/plain"]


def test_a_line_break_in_a_tasks_text_is_a_space():
    task = replace(
        TOY,
        text="""Divide by `scores
        .sum()`.""",
    )

    bundle, _ = DisplayFormatter().format(task_card(task, Verdict("pending", "Not yet.")))

    assert "<p>Divide by <code>scores .sum()</code>.</p>" in bundle["text/html"]
    assert "Divide by `scores .sum()`." in bundle["text/plain"]


# conduct


def pull(points, target):
    return (points - target).square().sum(dim=1)


PULL = Task(
    name="toy.pull",
    title="Squared distances",
    text="Return the squared distance (N,) of `points` (N, D) from `target` (D,).",
    minutes=2,
    difficulty=1,
    hints=("Subtract.", "Square and sum."),
    solution=pull,
    cases=lambda: {
        "four points": (torch.arange(8.0).view(4, 2), torch.tensor([1.0, 2.0])),
        "one point": (torch.ones(1, 3), torch.zeros(3)),
    },
    mistakes=(Mistake(lambda points, target: pull(points, target).sqrt(), "Leave the squares."),),
    method=Method(("cdist",), lambda points, target: points.numel(), "Subtract and square."),
)


def pull_in_place(points, target):
    points -= target
    return points.square().sum(dim=1)


def pull_one_at_the_end(points, target):
    result = pull(points, target)
    target[-1] = 7.0
    return result


def pull_detached(points, target):
    return pull(points, target).detach()


def pull_from_a_constant(points, target):
    return pull(points, target.detach())


def pull_by_a_part_that_vanishes(points, target):
    return pull(points, target.detach()) + 0 * target.sum()


def pull_by_numpy(points, target):
    return torch.from_numpy(((points.numpy() - target.numpy()) ** 2).sum(1))


def pull_by_cdist(points, target):
    return torch.cdist(points, target[None])[:, 0].square()


def pull_by_all_pairs(points, target):
    return (points[:, None] - target[None, None].repeat(1, 5, 1)).square().sum(dim=2)[:, 0]


@pytest.mark.parametrize(
    ("answer", "problem", "hint"),
    [
        (pull_in_place, "your function changes its argument `points`", "`x = x - y`"),
        (pull_one_at_the_end, "your function changes its argument `target`", "on a copy"),
        (pull_detached, "your result passes no gradient on to `points`", "`detach`"),
        (pull_from_a_constant, "your result passes no gradient on to `target`", "`detach`"),
        (pull_by_a_part_that_vanishes, "passes no gradient on to `target`", "`detach`"),
        (pull_by_numpy, "fails when its arguments require gradients", "numpy"),
        (pull_by_cdist, "your function calls `cdist`, which the task rules out", "Subtract"),
        (pull_by_all_pairs, "makes a tensor of 40 values on the way, and the task", "Subtract"),
    ],
)
def test_right_numbers_that_fail_later_are_refused(answer, problem, hint):
    verdict = judge(PULL, answer)

    assert verdict.status == "wrong"
    assert "The numbers are right, but on the case “four points”" in verdict.message
    assert problem in verdict.message
    assert hint in verdict.hint


def log_joint_by(log_determinant):
    """An answer to `slots.log_joint` with another log det A."""
    solution = find_task("slots.log_joint").solution

    def answer(points, means, factors, log_weights):
        ours = factors.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)  # (..., K)
        change = (log_determinant(factors) - ours)[..., None, :]
        return solution(points, means, factors, log_weights) + change

    return answer


def test_whoever_trains_slots_without_the_gradient_of_the_determinant_is_refused():
    task = find_task("slots.log_joint")

    verdict = judge(task, log_joint_by(lambda factors: factors.detach().logdet()))

    assert verdict.status == "wrong"
    assert "your result passes no gradient on to `factors`" in verdict.message
    assert judge(task, log_joint_by(torch.logdet)).status == "right"
    assert judge(task, log_joint_by(lambda factors: factors.det().abs().log())).status == "right"


def test_a_view_is_no_large_tensor():
    def by_a_view(points, target):
        return pull(points, target.expand(50, *points.shape)[0])

    assert judge(PULL, by_a_view).status == "right"


every_task = pytest.mark.parametrize("task", all_tasks().values(), ids=lambda task: task.name)


@every_task
def test_whoever_changes_an_argument_is_refused(task):
    def answer(*arguments):
        result = task.solution(*arguments)
        for argument in arguments:
            if isinstance(argument, np.ndarray | torch.Tensor | list):
                if not getattr(argument, "requires_grad", False):
                    argument[0] = argument[0] + 1
        return result

    changeable = [
        argument
        for argument in next(iter(task.cases().values()))
        if isinstance(argument, np.ndarray | torch.Tensor | list)
        and not getattr(argument, "requires_grad", False)
    ]
    verdict = judge(task, answer)
    assert verdict.status == ("wrong" if changeable else "right")
    assert not changeable or "changes its argument" in verdict.message


@every_task
def test_whoever_cuts_the_gradient_off_is_refused(task):
    def detached(*arguments):
        result = task.solution(*arguments)
        parts = result if isinstance(result, tuple) else (result,)
        parts = [part.detach() if isinstance(part, torch.Tensor) else part for part in parts]
        return tuple(parts) if isinstance(result, tuple) else parts[0]

    arguments = [
        argument.detach().requires_grad_()
        if isinstance(argument, torch.Tensor) and argument.is_floating_point()
        else argument
        for argument in next(iter(task.cases().values()))
    ]
    result = task.solution(*arguments)
    parts = result if isinstance(result, tuple) else (result,)
    trains = any(isinstance(part, torch.Tensor) and part.requires_grad for part in parts)
    assert judge(task, detached).status == ("wrong" if trains else "right")


def first_result(task):
    return task.solution(*next(iter(task.cases().values())))


SEVERAL = [task for task in all_tasks().values() if isinstance(first_result(task), tuple | list)]


@pytest.mark.parametrize("task", SEVERAL, ids=lambda task: task.name)
def test_a_list_is_no_tuple_and_a_tuple_no_list(task):
    other = list if isinstance(first_result(task), tuple) else tuple
    assert judge(task, lambda *arguments: other(task.solution(*arguments))).status == "wrong"


@every_task
def test_a_task_that_allows_a_batch_has_a_case_with_and_one_without(task):
    names = re.findall(r"`(\w+)` \(\.\.\.", " ".join(task.text.split()))
    parameters = list(inspect.signature(task.solution).parameters)
    for name in set(names) & set(parameters):
        shapes = {len(case[parameters.index(name)].shape) for case in task.cases().values()}
        assert len(shapes) > 1, f"{name} has {shapes} dimensions in every case"


@every_task
def test_a_solution_keeps_the_type_of_its_arguments(task):
    for arguments in task.cases().values():
        single = [
            argument.float()
            if isinstance(argument, torch.Tensor) and argument.dtype is torch.float64
            else argument
            for argument in arguments
        ]
        if all(one is other for one, other in zip(single, arguments, strict=True)):
            continue
        if any(callable(a) or getattr(a, "requires_grad", False) for a in arguments):
            continue  # a function of the case computes in float64
        result = task.solution(*single)
        for part in result if isinstance(result, tuple) else (result,):
            assert not isinstance(part, torch.Tensor) or part.dtype is not torch.float64


# the proof


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solution": normalise_over_the_wrong_axis}, "normalise_over_the_wrong_axis is judged"),
        ({"solution": lambda scores: None}, "a stub that returns_nothing is judged"),
        ({"mistakes": ()}, "no typical mistake"),
        (
            {"mistakes": (TOY.mistakes[0], replace(TOY.mistakes[0], hint="Another hint."))},
            "taken for another",
        ),
        (
            {"mistakes": (TOY.mistakes[0], replace(TOY.mistakes[1], hint=TOY.mistakes[0].hint))},
            "share one hint",
        ),
        ({"mistakes": (Mistake(lambda x: x, "The rows are as before."),)}, r"takes \['x'\]"),
        ({"cases": lambda: {}}, "a stub that returns_nothing is judged"),
        ({"cases": lambda: {"all equal": (np.ones((2, 2)),)}}, "is judged"),
    ],
)
def test_the_proof_fails_on_a_task_that_does_not_work(changes, message):
    with pytest.raises(AssertionError, match=message):
        prove(replace(TOY, **changes))


def test_a_solution_that_fails_is_the_courses_fault_and_not_the_learners():
    def broken(scores):
        raise ZeroDivisionError

    message = "the solution of 'toy.normalise' fails on 'two rows of three'"
    with pytest.raises(RuntimeError, match=message):
        judge(replace(TOY, solution=broken), normalise)


# comparing

EQUAL = [
    (np.array([1.0, np.nan]), np.array([1.0, np.nan])),
    (torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16)),
    (np.array([1]), np.array([1], dtype=np.int32)),
    (np.array([True, False]), np.array([True, False])),
    (1.5, np.float64(1.5)),
    (1.5, torch.tensor(1.5)),
    (3, np.array(3)),
    ((1.0, np.zeros(2)), (1.0, np.zeros(2))),
    ({"a": 1.0, "b": (2, 3)}, {"b": (2, 3), "a": 1.0}),
    ("k-means", "k-means"),
    (float("inf"), float("inf")),
]


@pytest.mark.parametrize(("expected", "actual"), EQUAL)
def test_equal_results_have_no_difference(expected, actual):
    assert difference(expected, actual, rtol=1e-6, atol=0.0) is None


DIFFERENT = [
    (
        np.zeros(3),
        torch.zeros(3),
        "expected ndarray of shape (3,), float64: [0., 0., 0.]; got torch.Tensor of shape",
    ),
    (np.zeros((2, 3)), np.zeros((3, 2)), "expected shape (2, 3), got (3, 2) (float64)"),
    (
        torch.zeros(2, dtype=torch.int64),
        torch.zeros(2),
        "expected integer numbers (torch.int64), got floating point",
    ),
    (
        np.array([[1.0, 2.0]]),
        np.array([[1.0, np.nan]]),
        "the result[0, 1]: expected 2, got nan (1 of 2 values differ)",
    ),
    (
        torch.tensor([1, 2]),
        torch.tensor([1, 3]),
        "the result[1]: expected 2, got 3 (1 of 2 values differ)",
    ),
    (
        torch.ones(2, 3),
        torch.ones(2, 3, dtype=torch.float64),
        "expected torch.float32, got torch.float64: keep the type of the arguments",
    ),
    ((1, 2), [1, 2], "expected a tuple, got a list of 2: [1, 2]"),
    ([1, 2], (1, 2), "expected a list, got a tuple of 2: (1, 2)"),
    ((1.0, 2.0), 1.0, "expected 2 values, `return a, b, ...`, got 1.0"),
    ((1.0, 2.0), (1.0, 2.0, 3.0), "expected 2 values, got 3"),
    ((1.0, 2.0), (1.0, 2.5), "the result[1]: expected 2, got 2.5"),
    ({"means": 1.0}, {"mean": 1.0}, "expected the keys ['means'], got ['mean']"),
    ({"means": (1.0, 2.0)}, {"means": (1.0, 3.0)}, "the result['means'][1]: expected 2, got 3"),
    ({"means": 1.0}, 1.0, "expected a dictionary with keys ['means'], got 1.0"),
    ((1, 2), (1.0, 2.0), "the result[0]: expected the whole number 1, got 1.0"),
    (1.0, "one", "expected the number 1.0, got 'one'"),
    (1.0, np.zeros(2), "expected the number 1.0, got ndarray of shape (2,), float64: [0., 0.]"),
    ("k-means", "EM", "expected 'k-means', got 'EM'"),
]


@pytest.mark.parametrize(("expected", "actual", "words"), DIFFERENT)
def test_a_difference_is_said_in_words(expected, actual, words):
    assert words in difference(expected, actual, rtol=1e-6, atol=0.0)
