"""The proof that an exercise works: a stub is pending, the solution is right, and each typical
mistake is recognised.

If a mistake passes or is confused with another mistake, the task needs more cases.
"""

import functools
import inspect
from collections.abc import Callable

from smm_tutorial.exercises.core import Task, judge


def prove(task: Task) -> None:
    """Prove a task in all three ways. An AssertionError names the task and the fault."""
    prove_stub_is_pending(task)
    prove_solution_is_right(task)
    prove_mistakes_are_recognised(task)


def prove_stub_is_pending(task: Task) -> None:
    """A function without an implementation is pending, also if its source cannot be read."""
    for stub in (_returns_nothing, _returns_ellipsis, _raises):
        for answer in (stub, functools.partial(stub)):  # a partial has no source to read
            verdict = judge(task, answer)
            assert verdict.status == "pending", (
                f"{task.name}: a stub that {stub.__name__[1:]} is judged {verdict}"
            )


def prove_solution_is_right(task: Task) -> None:
    """The reference solution passes its own cases, with new arguments."""
    assert task.cases(), f"{task.name}: there are no cases"
    verdict = judge(task, task.solution)
    assert verdict.status == "right", f"{task.name}: the solution is judged {verdict}"


def prove_mistakes_are_recognised(task: Task) -> None:
    """Each typical mistake fails and shows its own hint."""
    hints = [mistake.hint for mistake in task.mistakes]
    assert hints, f"{task.name}: no typical mistake is on file"
    assert len(set(hints)) == len(hints), f"{task.name}: two mistakes share one hint"
    for mistake in task.mistakes:
        name = mistake.answer.__name__
        verdict = judge(task, mistake.answer)
        assert verdict.status == "wrong", f"{task.name}: the mistake {name} is judged {verdict}"
        assert verdict.hint == mistake.hint, (
            f"{task.name}: the mistake {name} is taken for another: {verdict.hint!r}"
        )
        _assert_same_parameters(task, mistake.answer)


def _assert_same_parameters(task: Task, answer: Callable) -> None:
    expected = list(inspect.signature(task.solution).parameters)
    actual = list(inspect.signature(answer).parameters)
    message = f"{task.name}: {answer.__name__} takes {actual}, the solution {expected}"
    assert expected == actual, message


def _returns_nothing(*arguments):
    return None


def _returns_ellipsis(*arguments):
    return ...


def _raises(*arguments):
    raise NotImplementedError
