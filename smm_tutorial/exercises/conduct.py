"""Faults of an answer whose result is right.

The answer may change its arguments, cut off gradients, or use a method that the task forbids. Such
an answer gives the right numbers on the cases, but fails in a later cell or in a project.
"""

import copy
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from smm_tutorial.exercises.compare import difference


class Fault(NamedTuple):
    """A fault in the way to a right result, and a hint."""

    problem: str
    hint: str


class Method(NamedTuple):
    """Rules for the way to solve a task.

    banned: names of functions that an answer must not call, such as "cdist". most_values: a
    function of the arguments. It returns how many values the largest intermediate tensor may hold.
    hint: what the learner is told.
    """

    banned: tuple[str, ...]
    most_values: Callable[..., int]
    hint: str


def find_fault(
    answer: Callable, solution: Callable, arguments: Callable[[], tuple], method: Method | None
) -> Fault | None:
    """The first fault of an answer that gives the right result, or None.

    solution: the task's reference. arguments: a function that makes new arguments of one case.
    method: the task's rules, or None.
    """
    names = list(inspect.signature(solution).parameters)
    return (
        _find_changed_argument(answer, arguments, names)
        or _find_lost_gradient(answer, solution, arguments, names)
        or (method and _find_breach(answer, arguments, method))
        or None
    )


def _find_changed_argument(
    answer: Callable, arguments: Callable[[], tuple], names: list[str]
) -> Fault | None:
    given = arguments()
    before = tuple(_copy(value) for value in given)
    answer(*given)
    for name, was, now in zip(names, before, given, strict=True):
        if not callable(was) and difference(was, now, rtol=0, atol=0):
            return Fault(
                f"your function changes its argument `{name}`",
                f"Whoever called your function still needs `{name}`. An operation in place, such "
                "as `x -= y` or `x[0] = y`, changes it: write `x = x - y`, or work on a copy.",
            )
    return None


def _copy(value: Any) -> Any:
    """A copy for a comparison. A tensor that requires a gradient needs its own way of copying."""
    return value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)


def _find_lost_gradient(
    answer: Callable, solution: Callable, arguments: Callable[[], tuple], names: list[str]
) -> Fault | None:
    """A fault if the solution's result has a gradient for an argument and the answer's has none."""
    wanted = _differentiable_arguments(solution, arguments())
    if not wanted:
        return None
    hint = (
        "Training needs the gradient. `detach`, `item`, `no_grad`, `torch.tensor(...)` of a result "
        "and numpy all cut it off: keep to torch's operations on the tensors themselves."
    )
    try:
        found = _differentiable_arguments(answer, arguments())
    except RuntimeError as error:
        problem = f"your function fails when its arguments require gradients: {error}"
        return Fault(problem, hint)
    for index in sorted(wanted - found):
        return Fault(f"your result passes no gradient on to `{names[index]}`", hint)
    return None


def _differentiable_arguments(function: Callable, arguments: tuple) -> set[int]:
    """Positions of the floating point arguments for which the result has a nonzero gradient.

    A gradient of zeros counts as no gradient: the answer may have detached all parts but one, whose
    gradient is zero. The parts of the result get different weights, because a plain sum of shares
    that sum to one has no gradient.
    """
    leaves = {
        index: value.detach().requires_grad_()
        for index, value in enumerate(arguments)
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    result = function(*(leaves.get(index, value) for index, value in enumerate(arguments)))
    total = sum(
        (part * torch.linspace(1, 2, part.numel()).to(part).view(part.shape)).sum()
        for part in _tensors_of(result)
        if part.requires_grad
    )
    if not isinstance(total, Tensor):  # nothing requires a gradient
        return set()
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return {
        index for index, part in zip(leaves, found, strict=True) if part is not None and part.any()
    }


def _tensors_of(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, tuple | list):
        for part in result:
            yield from _tensors_of(part)


class _Calls(TorchFunctionMode):
    """Notes the names of torch's functions that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.names.add(getattr(function, "__name__", ""))
        return function(*args, **(kwargs or {}))


class _LargestTensor(TorchDispatchMode):
    """Notes the number of values of the largest new tensor. A view is not a new tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.values = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for part in _tensors_of(result):
            stored = part.untyped_storage().nbytes() // part.element_size()
            self.values = max(self.values, min(stored, part.numel()))
        return result


def _find_breach(answer: Callable, arguments: Callable[[], tuple], method: Method) -> Fault | None:
    given = arguments()
    with _Calls() as calls, _LargestTensor() as largest:
        answer(*given)
    if called := sorted(calls.names.intersection(method.banned)):
        return Fault(f"your function calls `{called[0]}`, which the task rules out", method.hint)
    allowed = method.most_values(*given)
    if largest.values > allowed:
        return Fault(
            f"your function makes a tensor of {largest.values} values on the way, and the task "
            f"needs no more than {allowed}",
            method.hint,
        )
    return None
