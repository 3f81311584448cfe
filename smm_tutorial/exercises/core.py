"""How exercises work: a task, its judge, and the decorator `@exercise` that notebooks use.

    @exercise("em.e_step")
    def e_step(points, means, variances, weights):
        ...

The decorator shows the task, calls the function on the task's cases and says how it went. A pending
or wrong function is replaced by the reference solution, so the rest of the notebook always runs.

Tasks are found by their file's name, `nbNN_subject.py` for notebook NN, beside this file.
"""

import ast
import difflib
import functools
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from IPython.display import display

from smm_tutorial.exercises.compare import describe, difference
from smm_tutorial.exercises.conduct import Method, find_fault
from smm_tutorial.exercises.render import Card

TASK_FILE = re.compile(r"nb\d\d_\w+")


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer, and the hint for a learner who gave it."""

    answer: Callable
    hint: str


def mistake(hint: str) -> Callable[[Callable], Mistake]:
    """Decorate a typical wrong answer: the name is then bound to a `Mistake` with this hint."""
    return lambda answer: Mistake(answer, hint)


@dataclass(frozen=True)
class Task:
    """An exercise. In its texts, backticks mark code, and line breaks count as spaces.

    Attributes:
        name: how notebooks name it, `subject.step`, as in `em.e_step`.
        title: a few words.
        text: what to do.
        minutes: how long it takes a learner who follows the notebook.
        difficulty: 1 (read the cell above), 2 (think), 3 (think hard).
        hints: two hints; the second hint tells more.
        solution: the reference.
        cases: a function that returns `{name that a learner understands: arguments}`. Every call
            makes new arguments, so an answer that changes its arguments spoils nothing.
        mistakes: typical wrong answers; each fails with its own hint.
        rtol, atol: an answer is right when `|actual - expected| <= atol + rtol * |expected|`.
        method: rules for the way to solve the task, or None if only the result counts.
    """

    name: str
    title: str
    text: str
    minutes: int
    difficulty: int
    hints: tuple[str, str]
    solution: Callable
    cases: Callable[[], dict[str, tuple]]
    mistakes: tuple[Mistake, ...]
    rtol: float = 1e-5
    atol: float = 1e-7
    method: Method | None = None


@dataclass(frozen=True)
class Verdict:
    """The result of `judge`: `status` is pending, wrong or right; `hint` is that of a known
    mistake.
    """

    status: str
    message: str
    hint: str | None = None


@dataclass(frozen=True)
class _Outcome:
    """The outcome of one call: a value, or the exception that was raised."""

    value: Any = None
    exception: Exception | None = None


_tasks: dict[str, Task] = {}
_hints_shown: dict[str, int] = {}


def register(task: Task) -> Task:
    """Add a task to those that notebooks can name. ValueError if another task has this name."""
    if task.name in _tasks:
        raise ValueError(
            f"there are two exercises named {task.name!r}: names must be unique over all notebooks"
        )
    _tasks[task.name] = task
    return task


def all_tasks() -> dict[str, Task]:
    """Every task by name, from every `nbNN_*.py` in the folder of this file."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        if TASK_FILE.fullmatch(module.name):
            importlib.import_module(f"{__package__}.{module.name}")
    return dict(_tasks)


def find_task(name: str) -> Task:
    """The task of that name. ValueError if there is none; the message names the nearest ones."""
    tasks = all_tasks()
    if name not in tasks:
        near = difflib.get_close_matches(name, tasks) or sorted(tasks)
        raise ValueError(f"there is no exercise named {name!r}; did you mean one of {near}?")
    return tasks[name]


def exercise(name: str) -> Callable[[Callable], Callable]:
    """Decorate an answer: show the task and the verdict, then return a function that works.

    The returned function is the learner's own when it is right, else the reference solution.
    """
    task = find_task(name)

    def decorate(answer: Callable) -> Callable:
        verdict = judge(task, answer)
        display(task_card(task, verdict))
        return answer if verdict.status == "right" else task.solution

    return decorate


def hint(name: str) -> None:
    """Show the hints of a task: each call shows one hint more."""
    task = find_task(name)
    shown = min(_hints_shown.get(name, 0) + 1, len(task.hints))
    _hints_shown[name] = shown
    lines = [
        f"Hint {number} of {len(task.hints)}. {text}"
        for number, text in enumerate(task.hints[:shown], start=1)
    ]
    rest = (
        f'`hint("{name}")` again tells more.'
        if shown < len(task.hints)
        else f'`solution("{name}")` shows it all.'
    )
    display(Card(status="hint", title=task.title, lines=(*lines, rest)))


def solution(name: str) -> None:
    """Show the source of a task's reference solution."""
    task = find_task(name)
    source = textwrap.dedent(inspect.getsource(task.solution))
    display(Card(status="solution", title=task.title, lines=(), code=source))


def judge(task: Task, answer: Callable) -> Verdict:
    """Run an answer on every case of a task. An exception in the answer is part of the verdict."""
    body = _body_of(answer)
    if body is not None and all(_says_nothing(statement) for statement in body):
        return Verdict("pending", "Not attempted yet.")

    outcomes = _outcomes(answer, task)
    references = _outcomes(task.solution, task)
    for case, outcome, reference in zip(task.cases(), outcomes, references, strict=True):
        if reference.exception is not None:
            message = f"the solution of {task.name!r} fails on {case!r}"
            raise RuntimeError(message) from reference.exception
        problem = _problem(task, reference, outcome)
        if problem is None:
            continue
        if _is_unfinished(body, outcome):
            message = "Not finished yet: a placeholder `...` is still in your code."
            return Verdict("pending", message)
        message = f"Not yet. On the case “{case}”, {problem}."
        return Verdict("wrong", message, _recognise(task, outcomes))
    for case in task.cases():
        make_arguments = functools.partial(_make_arguments, task, case)
        fault = find_fault(answer, task.solution, make_arguments, task.method)
        if fault is not None:
            message = f"Not yet. The numbers are right, but on the case “{case}” {fault.problem}."
            return Verdict("wrong", message, fault.hint)
    return Verdict("right", "Right: your function agrees with the reference on every case.")


def task_card(task: Task, verdict: Verdict) -> Card:
    """The card that a learner sees below an answer."""
    lines = [task.text, verdict.message]
    if verdict.hint:
        lines.append(f"Hint: {verdict.hint}")
    if verdict.status != "right":
        lines.append(f'The cells below use the reference solution. Stuck? `hint("{task.name}")`')
    effort = f"{'★' * task.difficulty}{'☆' * (3 - task.difficulty)} · {task.minutes} minutes"
    return Card(status=verdict.status, title=f"{task.title} · {effort}", lines=tuple(lines))


def _make_arguments(task: Task, case: str) -> tuple:
    return task.cases()[case]


def _outcomes(answer: Callable, task: Task) -> list[_Outcome]:
    return [_call(answer, _make_arguments(task, case)) for case in task.cases()]


def _call(answer: Callable, arguments: tuple) -> _Outcome:
    try:
        return _Outcome(value=answer(*arguments))
    except Exception as exception:
        return _Outcome(exception=exception)


def _problem(task: Task, reference: _Outcome, outcome: _Outcome) -> str | None:
    """The fault of one outcome, in words; None if the outcome is right."""
    if outcome.exception is not None:
        return f"your function raised {type(outcome.exception).__name__}: {outcome.exception}"
    if outcome.value is None and reference.value is not None:
        wanted = describe(reference.value)
        return f"your function returned None instead of {wanted}: is there a `return` at its end?"
    return difference(reference.value, outcome.value, task.rtol, task.atol)


def _recognise(task: Task, outcomes: list[_Outcome]) -> str | None:
    """The hint of the mistake with the same outcomes on all cases; None if there is none."""
    for mistake in task.mistakes:
        others = _outcomes(mistake.answer, task)
        if all(_same(task, one, other) for one, other in zip(outcomes, others, strict=True)):
            return mistake.hint
    return None


def _same(task: Task, one: _Outcome, other: _Outcome) -> bool:
    if one.exception is not None or other.exception is not None:
        return type(one.exception) is type(other.exception)
    return difference(other.value, one.value, task.rtol, task.atol) is None


def _body_of(answer: Callable) -> list[ast.stmt] | None:
    """The statements of a function without its docstring, or None if it has no source to read."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(answer)))
    except (OSError, TypeError, SyntaxError):
        return None
    if not tree.body or not isinstance(tree.body[0], ast.FunctionDef):
        return None
    body = tree.body[0].body
    return body[1:] if ast.get_docstring(tree.body[0]) is not None else body


def _says_nothing(statement: ast.stmt) -> bool:
    """Whether a statement is a placeholder: `...`, `pass`, an empty return, NotImplementedError."""
    if isinstance(statement, ast.Expr | ast.Return) and statement.value is not None:
        return isinstance(statement.value, ast.Constant) and statement.value.value in (None, ...)
    if isinstance(statement, ast.Raise):
        return "NotImplementedError" in ast.dump(statement)
    return isinstance(statement, ast.Pass | ast.Return)


def _is_unfinished(body: list[ast.stmt] | None, outcome: _Outcome) -> bool:
    """Whether an answer that failed is unfinished rather than wrong."""
    if isinstance(outcome.exception, NotImplementedError) or outcome.value is ...:
        return True
    if body is None:
        return outcome.exception is None and outcome.value is None
    return any(_has_placeholder(statement) for statement in body)


def _has_placeholder(node: ast.AST) -> bool:
    """Whether code holds a `...` outside an index such as `x[..., None]`."""
    if isinstance(node, ast.Subscript):
        return _has_placeholder(node.value)
    if isinstance(node, ast.Constant):
        return node.value is ...
    return any(_has_placeholder(child) for child in ast.iter_child_nodes(node))
