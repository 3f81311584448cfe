"""Tasks of notebook 02: the gated step, and a whole iteration of Slot Attention."""

from collections.abc import Callable

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Method, Task, mistake, register
from smm_tutorial.exercises.nb02_slot_attention import attend, weighted_mean
from smm_tutorial.exercises.samples import normal

# GRU


def gru_step(
    update: Tensor, state: Tensor, w_in: Tensor, w_state: Tensor, b_in: Tensor, b_state: Tensor
) -> Tensor:
    from_input = (update @ w_in.T + b_in).chunk(3, dim=-1)  # reset, keep, new: (..., K, D) each
    from_state = (state @ w_state.T + b_state).chunk(3, dim=-1)
    reset = (from_input[0] + from_state[0]).sigmoid()
    keep = (from_input[1] + from_state[1]).sigmoid()
    new = (from_input[2] + reset * from_state[2]).tanh()
    return keep * state + (1 - keep) * new


def _gru_parts(update, state, w_in, w_state, b_in, b_state):
    """Reset gate, update gate, and the two summands of the new state, before its tanh."""
    from_input = (update @ w_in.T + b_in).chunk(3, dim=-1)
    from_state = (state @ w_state.T + b_state).chunk(3, dim=-1)
    reset = (from_input[0] + from_state[0]).sigmoid()
    keep = (from_input[1] + from_state[1]).sigmoid()
    return reset, keep, from_input[2], from_state[2]


@mistake("The gate is turned: in torch, a gate near 1 *keeps* the old state.")
def _gru_gate_turned(update, state, w_in, w_state, b_in, b_state):
    reset, keep, from_input, from_state = _gru_parts(update, state, w_in, w_state, b_in, b_state)
    return (1 - keep) * state + keep * (from_input + reset * from_state).tanh()


@mistake("The reset gate is missing: it multiplies the state's part of the new state.")
def _gru_without_reset(update, state, w_in, w_state, b_in, b_state):
    _, keep, from_input, from_state = _gru_parts(update, state, w_in, w_state, b_in, b_state)
    return keep * state + (1 - keep) * (from_input + from_state).tanh()


@mistake("Two gates are swapped: the first third of the rows is reset, the second third is z.")
def _gru_gates_swapped(update, state, w_in, w_state, b_in, b_state):
    keep, reset, from_input, from_state = _gru_parts(update, state, w_in, w_state, b_in, b_state)
    return keep * state + (1 - keep) * (from_input + reset * from_state).tanh()


@mistake("Reset multiplies *after* the product with `w_state`, bias included.")
def _gru_reset_before_product(update, state, w_in, w_state, b_in, b_state):
    start = 2 * state.shape[-1]  # of the new state's rows
    reset, keep, from_input, _ = _gru_parts(update, state, w_in, w_state, b_in, b_state)
    new = (from_input + (reset * state) @ w_state[start:].T + b_state[start:]).tanh()
    return keep * state + (1 - keep) * new


@mistake("The new state goes through a tanh, which keeps it between -1 and 1.")
def _gru_without_tanh(update, state, w_in, w_state, b_in, b_state):
    reset, keep, from_input, from_state = _gru_parts(update, state, w_in, w_state, b_in, b_state)
    return keep * state + (1 - keep) * (from_input + reset * from_state)


def _gru_cases() -> dict[str, tuple]:
    def weights(seed: int, dim: int) -> list[Tensor]:
        shapes = [(3 * dim, dim), (3 * dim, dim), (3 * dim,), (3 * dim,)]
        return [normal(seed + index, *shape) for index, shape in enumerate(shapes)]

    return {
        "three slots of four": (normal(12, 3, 4), normal(13, 3, 4), *weights(14, 4)),
        "two slots of three": (normal(20, 2, 3), normal(21, 2, 3), *weights(22, 3)),
        "a batch of two sets": (normal(40, 2, 3, 4), normal(41, 2, 3, 4), *weights(42, 4)),
    }


register(
    Task(
        name="slots.gru_step",
        title="A gated recurrent unit",
        text="""Return the new `state` (..., K, D) of torch's GRU cell for the input `update` (...,
        K, D). `w_in` and `w_state` (3 D, D), `b_in` and `b_state` (3 D) hold the parts for the
        reset gate, the gate z and the new state, in this order. A z near 1 keeps the old state.
        Write the formulas yourself: do not call torch's GRU.""",
        minutes=12,
        difficulty=2,
        hints=(
            """Two products, `update @ w_in.T + b_in` and `state @ w_state.T + b_state`, each cut in
            three by `chunk(3, -1)`.""",
            """Mix the two at the end: `z * state + (1 - z) * new`. The reset gate multiplies the
            state's part of `new`, inside the tanh.""",
        ),
        solution=gru_step,
        cases=_gru_cases,
        mistakes=(
            _gru_gate_turned,
            _gru_without_reset,
            _gru_gates_swapped,
            _gru_reset_before_product,
            _gru_without_tanh,
        ),
        method=Method(
            banned=("gru_cell", "gru"),
            most_values=lambda *arguments: sum(argument.numel() for argument in arguments),
            hint="Torch's GRU hides the gates. Write the four formulas of the notebook.",
        ),
    )
)


# one iteration


def one_iteration(
    slots: Tensor,
    keys: Tensor,
    values: Tensor,
    to_queries: Callable[[Tensor], Tensor],
    gru: Callable[[Tensor, Tensor], Tensor],
    mlp: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    shares = attend(to_queries(slots), keys)  # (B, N, K)
    slots = gru(weighted_mean(shares, values), slots)  # (B, K, D)
    return slots + mlp(slots), shares


@mistake("The MLP's result is *added* to the slots: `slots + mlp(slots)`.")
def _iteration_without_addition(slots, keys, values, to_queries, gru, mlp):
    shares = attend(to_queries(slots), keys)
    return mlp(gru(weighted_mean(shares, values), slots)), shares


@mistake("The MLP sees the slots *after* the GRU, and so does the addition.")
def _iteration_with_mlp_of_old_slots(slots, keys, values, to_queries, gru, mlp):
    shares = attend(to_queries(slots), keys)
    return gru(weighted_mean(shares, values), slots) + mlp(slots), shares


@mistake("Add the MLP's result to the *moved* slots, which the GRU gave, and not to the old slots.")
def _iteration_added_to_old_slots(slots, keys, values, to_queries, gru, mlp):
    shares = attend(to_queries(slots), keys)
    return slots + mlp(gru(weighted_mean(shares, values), slots)), shares


@mistake("The GRU's state is the old slots. Queries serve only to compare.")
def _iteration_with_queries_as_state(slots, keys, values, to_queries, gru, mlp):
    queries = to_queries(slots)
    shares = attend(queries, keys)
    slots = gru(weighted_mean(shares, values), queries)
    return slots + mlp(slots), shares


@mistake("The GRU's arguments are turned: first the weighted means, then the old slots.")
def _iteration_with_gru_turned(slots, keys, values, to_queries, gru, mlp):
    shares = attend(to_queries(slots), keys)
    slots = gru(slots, weighted_mean(shares, values))
    return slots + mlp(slots), shares


@mistake("You compare the slots themselves. Compare their queries, `to_queries(slots)`.")
def _iteration_without_queries(slots, keys, values, to_queries, gru, mlp):
    shares = attend(slots, keys)
    slots = gru(weighted_mean(shares, values), slots)
    return slots + mlp(slots), shares


@mistake("You gather the keys. What is gathered are the *values*.")
def _iteration_gathering_keys(slots, keys, values, to_queries, gru, mlp):
    shares = attend(to_queries(slots), keys)
    slots = gru(weighted_mean(shares, keys), slots)
    return slots + mlp(slots), shares


@mistake("You sum the values. A slot gathers a weighted *mean*: divide by its total of shares.")
def _iteration_with_sums(slots, keys, values, to_queries, gru, mlp):
    shares = attend(to_queries(slots), keys)
    slots = gru(shares.mT @ values, slots)
    return slots + mlp(slots), shares


def _iteration_cases() -> dict[str, tuple]:
    def case(seed: int, batch: int, inputs: int, slots: int, dim: int) -> tuple:
        to_queries, from_update, from_state, to_hidden = normal(seed, 4, dim, dim)
        return (
            normal(seed + 1, batch, slots, dim),
            normal(seed + 2, batch, inputs, dim),
            normal(seed + 3, batch, inputs, dim) + 1,
            lambda state: torch.tanh(state) @ to_queries,
            lambda update, state: 0.3 * torch.tanh(update @ from_update) + 0.7 * state @ from_state,
            lambda state: torch.relu(state @ to_hidden) - 0.2 * state,
        )

    return {
        "two sets, three slots": case(50, 2, 7, 3, 4),
        "one set, four slots": case(60, 1, 5, 4, 3),
    }


register(
    Task(
        name="slots.one_iteration",
        title="One iteration of Slot Attention",
        text="""Put the parts together. Given `slots` (B, K, D), `keys` and `values` (B, N, D), and
        three functions: `to_queries(slots)` normalises and gives queries (B, K, D), `gru(update,
        state)` gives the moved slots, `mlp(slots)` gives what is added at the end. Compare, share
        out, gather, move, add. Return the new slots (B, K, D) and the shares (B, N, K).""",
        minutes=8,
        difficulty=2,
        hints=(
            """Four lines, in the order of the diagram. You have written two of the functions that
            you need: use `attend` and `weighted_mean`.""",
            """The GRU takes what the slots gathered as its input, and the old slots as its state.
            The MLP comes last, and its result is added to what it saw.""",
        ),
        solution=one_iteration,
        cases=_iteration_cases,
        mistakes=(
            _iteration_without_addition,
            _iteration_with_mlp_of_old_slots,
            _iteration_added_to_old_slots,
            _iteration_with_queries_as_state,
            _iteration_with_gru_turned,
            _iteration_without_queries,
            _iteration_gathering_keys,
            _iteration_with_sums,
        ),
    )
)
