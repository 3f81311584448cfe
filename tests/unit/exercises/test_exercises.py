"""How exercises work, on a toy task that exists only here, and the proof of every real task."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter

from smm_tutorial.exercises import core, exercise, hint, solution
from smm_tutorial.exercises.compare import difference
from smm_tutorial.exercises.core import (
    Mistake,
    Task,
    Verdict,
    all_tasks,
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
    (np.array([1.0]), np.array([1.0], dtype=np.float32)),
    (torch.ones(2, 3), torch.ones(2, 3, dtype=torch.float64)),
    (torch.ones(2, dtype=torch.bfloat16), torch.ones(2)),
    (np.array([True, False]), np.array([True, False])),
    (1.5, np.float64(1.5)),
    (1.5, torch.tensor(1.5)),
    (3, np.array(3)),
    ((1.0, np.zeros(2)), [1.0, np.zeros(2)]),
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
    ((1.0, 2.0), 1.0, "expected 2 values, `return a, b, ...`, got 1.0"),
    ((1.0, 2.0), (1.0, 2.0, 3.0), "expected 2 values, got 3"),
    ((1.0, 2.0), (1.0, 2.5), "the result[1]: expected 2, got 2.5"),
    ({"means": 1.0}, {"mean": 1.0}, "expected the keys ['means'], got ['mean']"),
    ({"means": (1.0, 2.0)}, {"means": (1.0, 3.0)}, "the result['means'][1]: expected 2, got 3"),
    ({"means": 1.0}, 1.0, "expected a dictionary with keys ['means'], got 1.0"),
    (1.0, "one", "expected the number 1.0, got 'one'"),
    (1.0, np.zeros(2), "expected the number 1.0, got ndarray of shape (2,), float64: [0., 0.]"),
    ("k-means", "EM", "expected 'k-means', got 'EM'"),
]


@pytest.mark.parametrize(("expected", "actual", "words"), DIFFERENT)
def test_a_difference_is_said_in_words(expected, actual, words):
    assert words in difference(expected, actual, rtol=1e-6, atol=0.0)
