"""Tasks of notebook 03: how the module gets a gradient for its start, and how it computes fast.

Shapes: batch B, inputs N, slots K, features D.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Method, Task, mistake, register
from smm_tutorial.exercises.nb03_slot_mixture import whole_numbers
from smm_tutorial.exercises.samples import normal, positive

# gradient of a start


def refine(
    step: Callable[[Tensor], Tensor], start: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        state = start
        for _ in range(iterations - 1):
            state = step(state)
    # Its value is the loop's state. Its gradient goes to the start.
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


@mistake("You make one step too many: the recorded step is the last of `iterations` steps.")
def _refine_once_more(step, start, iterations):
    return refine(step, start, iterations + 1)


@mistake("You differentiate a step at `start`. Differentiate the last step at its own input.")
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
        text="""`step` is a function of a tensor. Apply `step` `iterations` times. The first input
        is `start`, a tensor that requires a gradient. Record only the last step. Call its input
        `x`, and compute the gradient of `step(x).sum()` with respect to `x`. Straight-through gives
        `start` this gradient. Return two tensors: the result, detached, and this gradient.""",
        minutes=10,
        difficulty=3,
        hints=(
            """Run the first `iterations - 1` steps under `torch.no_grad()`. The last step needs a
            tensor with the value of these steps that passes its gradient to `start`.""",
            """The text above shows such a tensor: a detached value plus a bracket that is zero.
            Then make one step, and call `torch.autograd.grad`, which returns a tuple.""",
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


@mistake("The cross term is too large by 2: -1/2 times -2 is 1.")
def _expand_with_doubled_cross(queries, keys, variances):
    quadratic, cross, constant = expand_square(queries, keys, variances)
    return quadratic, 2 * cross, constant


@mistake("The cross term has the wrong sign: -1/2 times -2 is +1.")
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


@mistake("The factor -1/2 is missing: multiply all three parts by it.")
def _expand_without_factor(queries, keys, variances):
    return tuple(-2 * part for part in expand_square(queries, keys, variances))


@mistake("Your constant contains log 2 pi. This number is equal for all slots: leave it out.")
def _expand_with_two_pi(queries, keys, variances):
    quadratic, cross, constant = expand_square(queries, keys, variances)
    return quadratic, cross, constant - 0.5 * queries.shape[2] * math.log(2 * math.pi)


register(
    Task(
        name="smm.expand_square",
        title="Two matrix products",
        text="""Given: `queries` and `variances` (B, K, D), `keys` (B, N, D). Take the sum over
        features of `-((key - query)**2 / variance + log variance) / 2`. Expand the square, and
        return three parts. The first part contains the squares of the keys, (B, N, K). The second
        part is the cross term, (B, N, K). The third part contains no key, (B, K). Compute the first
        two parts as one matrix product each.""",
        minutes=10,
        difficulty=2,
        hints=(
            """`(u - q)**2 / s = u**2 / s - 2 * u * q / s + q**2 / s`. Then multiply by -1/2. A sum
            over features of (factor of the key) times (factor of the slot) is `@`.""",
            """In the first part, the factor of the slot is `1 / variances`. In the second part, it
            contains the queries, too. `.mT` turns (B, K, D) into (B, D, K).""",
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
            "variances 1, in float32": (
                whole_numbers(1, 2, 3),
                whole_numbers(1, 4, 3),
                torch.ones(1, 2, 3),
            ),
        },
        mistakes=(
            _expand_with_doubled_cross,
            _expand_with_negative_cross,
            _expand_without_precision,
            _expand_without_determinant,
            _expand_without_factor,
            _expand_with_two_pi,
        ),
        method=Method(
            banned=("cdist",),
            most_values=lambda queries, keys, variances: max(
                queries.numel(), keys.numel(), keys.shape[0] * keys.shape[1] * queries.shape[1]
            ),
            hint="Compute both parts with keys as matrix products, `@`. They make (B, N, K) at "
            "once. A tensor (B, N, K, D) needs too much memory, and this task avoids it.",
        ),
    )
)
