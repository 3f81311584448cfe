"""Tasks of notebook 03: how the module gets a gradient for its start, and how it computes fast.

Shapes: batch B, inputs N, slots K, features D.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Method, Task, mistake, register
from smm_tutorial.exercises.samples import normal, positive

# gradient of a start


def refine(
    step: Callable[[Tensor], Tensor], start: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        state = start
        for _ in range(iterations - 1):
            state = step(state)
    # The value of the loop's state, and the gradient of the start.
    state = state.detach() + (start - start.detach())
    result = step(state)
    return result.detach(), torch.autograd.grad(result.sum(), start)[0]


@mistake("This gradient went through every step: record only the last one.")
def _refine_through_all(step, start, iterations):
    state = start
    for _ in range(iterations):
        state = step(state)
    return state.detach(), torch.autograd.grad(state.sum(), start)[0]


@mistake("The start's gradient is zero: a plain `detach` cuts it off. Add it back.")
def _refine_with_plain_detach(step, start, iterations):
    return refine(step, start, iterations)[0], torch.zeros_like(start)


@mistake("One step too many: the recorded step is the last of `iterations`, not an extra one.")
def _refine_once_more(step, start, iterations):
    return refine(step, start, iterations + 1)


@mistake("Your gradient belongs to a step *from the start*; step from where the loop came.")
def _refine_from_the_start(step, start, iterations):
    result = step(start)
    return refine(step, start, iterations)[0], torch.autograd.grad(result.sum(), start)[0]


def _bend(state: Tensor) -> Tensor:
    return torch.tanh(1.5 * state) + 0.1 * state**2


def _drift(state: Tensor) -> Tensor:
    return 0.5 * state + torch.sin(state)


register(
    Task(
        name="smm.refine",
        title="A gradient for the start",
        text="""Apply `step` (a function of a tensor) `iterations` times, from `start` (which
        requires a gradient). Only the last application may record a gradient, yet the start must
        get one, as if the last step had begun at the start's place. Return the result, detached,
        and the gradient of its sum with respect to `start`.""",
        minutes=10,
        difficulty=3,
        hints=(
            """Run all but the last step under `torch.no_grad()`. Then you need a tensor with one
            value and another gradient.""",
            """`state.detach() + (start - start.detach())`; a step on this;
            `torch.autograd.grad(result.sum(), start)[0]`.""",
        ),
        solution=refine,
        cases=lambda: {
            "four steps": (_bend, normal(18, 5).requires_grad_(), 4),
            "two steps of another function": (_drift, normal(19, 2, 3).requires_grad_(), 2),
        },
        mistakes=(
            _refine_through_all,
            _refine_with_plain_detach,
            _refine_once_more,
            _refine_from_the_start,
        ),
    )
)


# expanding the square


def expand_square(
    queries: Tensor, keys: Tensor, variances: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    quadratic = -0.5 * keys**2 @ (1 / variances).mT  # (B, N, K)
    cross = keys @ (queries / variances).mT  # (B, N, K)
    constant = -0.5 * (queries**2 / variances + variances.log()).sum(dim=2)  # (B, K)
    return quadratic, cross, constant


@mistake("The 2 of -2kq and the factor -1/2 cancel: the cross term is k q / s.")
def _expand_with_doubled_cross(queries, keys, variances):
    quadratic, cross, constant = expand_square(queries, keys, variances)
    return quadratic, 2 * cross, constant


@mistake("Signs: -1/2 times -2 is +1.")
def _expand_with_negative_cross(queries, keys, variances):
    quadratic, cross, constant = expand_square(queries, keys, variances)
    return quadratic, -cross, constant


@mistake("The key's square is divided by each slot's variance: it differs over slots.")
def _expand_without_precision(queries, keys, variances):
    _, cross, constant = expand_square(queries, keys, variances)
    return (-0.5 * (keys**2).sum(dim=2, keepdim=True)).expand_as(cross), cross, constant


@mistake("The log variances are missing in the constant.")
def _expand_without_determinant(queries, keys, variances):
    quadratic, cross, _ = expand_square(queries, keys, variances)
    return quadratic, cross, -0.5 * (queries**2 / variances).sum(dim=2)


register(
    Task(
        name="smm.expand_square",
        title="Two matrix products",
        text="""Split the sum over features of -((key - query)**2 / variance + log variance) / 2
        into three parts and return them: what is quadratic in `keys` (B, N, D), and the cross term,
        both (B, N, K) and each one matrix product; and the constant (B, K) without keys, log
        variances included. `queries` and `variances` are (B, K, D).""",
        minutes=10,
        difficulty=2,
        hints=(
            """(k - q)**2 / s = k**2 / s - 2 * k * q / s + q**2 / s. A sum over features of (key
            thing) * (slot thing) is `@`.""",
            """`keys**2 @ (1 / variances).mT` times -1/2; `keys @ (queries / variances).mT`; the
            rest has no key in it.""",
        ),
        solution=expand_square,
        cases=lambda: {
            "two sets of seven inputs, three slots": (
                normal(20, 2, 3, 4),
                normal(21, 2, 7, 4),
                positive(22, 2, 3, 4),
            ),
            "four inputs, two slots": (
                normal(23, 1, 2, 3),
                normal(24, 1, 4, 3) + 2,
                positive(25, 1, 2, 3),
            ),
        },
        mistakes=(
            _expand_with_doubled_cross,
            _expand_with_negative_cross,
            _expand_without_precision,
            _expand_without_determinant,
        ),
        method=Method(
            banned=("cdist",),
            most_values=lambda queries, keys, variances: max(
                queries.numel(), keys.numel(), keys.shape[0] * keys.shape[1] * queries.shape[1]
            ),
            hint="Both terms with keys are matrix products, `@`, which make (B, N, K) at once. A "
            "product (B, N, K, D) that is summed afterwards is what this task avoids.",
        ),
    )
)
