"""Answers to exercises that must be refused."""

from collections.abc import Callable

from smm_tutorial.exercises.core import find_task, judge


def assert_refused(task: str, answer: Callable, words: str) -> None:
    """The answer is wrong, and what the learner is told names its cause by these words."""
    verdict = judge(find_task(task), answer)
    assert verdict.status == "wrong"
    assert words in f"{verdict.message} {verdict.hint}"
