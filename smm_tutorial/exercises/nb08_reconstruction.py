"""Tasks of notebook 08: samples with a gradient, attention to tokens and to slots, kept keys."""

import math

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Task, mistake, register
from smm_tutorial.exercises.samples import generator, normal

# relaxed samples


def gumbel_softmax(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    noise = -(-uniform.log()).log()
    return ((logits + noise) / temperature).softmax(dim=1)


def _noise(uniform):
    return -(-uniform.log()).log()


@mistake("You add the uniform numbers themselves. Make Gumbel noise of them: two logarithms.")
def _sample_with_uniform_noise(logits, uniform, temperature):
    return ((logits + uniform) / temperature).softmax(dim=1)


@mistake("One minus sign is missing: Gumbel noise is -log(-log u).")
def _sample_with_negative_noise(logits, uniform, temperature):
    return ((logits - _noise(uniform)) / temperature).softmax(dim=1)


@mistake("Divide the *sum* of logits and noise by the temperature, not the logits alone.")
def _sample_with_hot_noise(logits, uniform, temperature):
    return (logits / temperature + _noise(uniform)).softmax(dim=1)


@mistake("Divide by the temperature: you multiply by it.")
def _sample_multiplied(logits, uniform, temperature):
    return ((logits + _noise(uniform)) * temperature).softmax(dim=1)


@mistake("Your rows are no samples: add noise to the logits.")
def _sample_without_noise(logits, uniform, temperature):
    return (logits / temperature).softmax(dim=1)


@mistake("Your softmax runs over the patches. It must run over the codes: `dim=1`.")
def _sample_over_patches(logits, uniform, temperature):
    return ((logits + _noise(uniform)) / temperature).softmax(dim=0)


@mistake("You return one-hot rows. A relaxed sample is soft, and has a gradient.")
def _sample_hard(logits, uniform, temperature):
    chosen = (logits + _noise(uniform)).argmax(dim=1)
    return torch.nn.functional.one_hot(chosen, logits.shape[1]).to(logits)


def _uniform(seed: int, *shape: int) -> Tensor:
    return 0.02 + 0.96 * torch.rand(shape, generator=generator(seed), dtype=torch.float64)


register(
    Task(
        name="slate.gumbel_softmax",
        title="A sample that has a gradient",
        text="""`logits` is (N, V): one row per patch, one column per code. `uniform` holds random
        numbers between 0 and 1, of the same shape. Make Gumbel noise of them,
        `-log(-log(uniform))`. Add the noise to the logits, divide by the temperature, and return
        the softmax over the codes.""",
        minutes=5,
        difficulty=1,
        hints=(
            "torch has `.log()` and `.softmax(dim=...)`.",
            "`noise = -(-uniform.log()).log()`. The division comes after the sum.",
        ),
        solution=gumbel_softmax,
        cases=lambda: {
            "three patches, four codes": (normal(0, 3, 4), _uniform(1, 3, 4), 0.5),
            "a high temperature": (normal(2, 4, 3), _uniform(3, 4, 3), 5.0),
        },
        mistakes=(
            _sample_with_uniform_noise,
            _sample_with_negative_noise,
            _sample_with_hot_noise,
            _sample_multiplied,
            _sample_without_noise,
            _sample_over_patches,
            _sample_hard,
        ),
    )
)


# straight-through


def straight_through(soft: Tensor, book: Tensor, patches: Tensor) -> Tensor:
    painted = book[soft.argmax(dim=1)]
    return 2 * (painted - patches) @ book.T


def _painted(soft, book):
    return book[soft.argmax(dim=1)]


@mistake("You paint with the soft codes. Straight-through paints with the hard ones.")
def _gradient_of_soft_codes(soft, book, patches):
    return 2 * (soft @ book - patches) @ book.T


@mistake("The factor 2 of the square's derivative is missing.")
def _gradient_without_two(soft, book, patches):
    return (_painted(soft, book) - patches) @ book.T


@mistake("The sign is wrong: the error is painted minus patches, squared.")
def _gradient_with_wrong_sign(soft, book, patches):
    return 2 * (patches - _painted(soft, book)) @ book.T


@mistake(
    "That is the true gradient of a hard choice, and with it nothing learns. Pretend that the "
    "codes are numbers that may change."
)
def _gradient_of_a_choice(soft, book, patches):
    return torch.zeros_like(soft)


@mistake(
    "You return one number for each pixel: the gradient with respect to the painted patches. Go "
    "one step further back, through `codes @ book`, to the codes."
)
def _gradient_of_pixels(soft, book, patches):
    return 2 * (_painted(soft, book) - patches)


register(
    Task(
        name="slate.straight_through",
        title="A hard choice with a borrowed gradient",
        text="""`soft` is (N, V): relaxed samples, one row per patch. `book` is (V, P): the patch of
        each code. `patches` is (N, P): the true patches. Paint each patch with its *hard* code,
        the largest entry of its row. The error is the sum of the squared differences between
        painted and true patches. Now pretend that the patches were painted as `codes @ book`, and
        that each entry of the one-hot `codes` may change. Return the gradient of the error with
        respect to `codes`, (N, V).""",
        minutes=6,
        difficulty=2,
        hints=(
            "The derivative with respect to the painted patches is `2 * (painted - patches)`.",
            """`book[soft.argmax(dim=1)]` paints. The chain rule through `codes @ book` multiplies
            by `book.T` from the right.""",
        ),
        solution=straight_through,
        cases=lambda: {
            "three patches, four codes": (
                normal(0, 3, 4).softmax(dim=1),
                normal(1, 4, 5),
                normal(2, 3, 5),
            ),
            "two patches, six codes": (
                normal(3, 2, 6).softmax(dim=1),
                normal(4, 6, 3),
                normal(5, 2, 3),
            ),
        },
        mistakes=(
            _gradient_of_soft_codes,
            _gradient_without_two,
            _gradient_with_wrong_sign,
            _gradient_of_a_choice,
            _gradient_of_pixels,
        ),
    )
)


# causal attention


def causal_weights(queries: Tensor, keys: Tensor) -> Tensor:
    count, dim = queries.shape
    logits = queries @ keys.mT / math.sqrt(dim)
    later = torch.ones(count, count, dtype=torch.bool).triu(1)
    return logits.masked_fill(later, -torch.inf).softmax(dim=1)


def _logits(queries, keys):
    return queries @ keys.mT / math.sqrt(queries.shape[1])


def _later(count, diagonal=1):
    return torch.ones(count, count, dtype=torch.bool).triu(diagonal)


@mistake("Your tokens see later tokens. Give these logits the value minus infinity.")
def _weights_without_mask(queries, keys):
    return _logits(queries, keys).softmax(dim=1)


@mistake("Your mask hides the earlier tokens. Hide the *later* ones, to the right of the diagonal.")
def _weights_of_the_future(queries, keys):
    hidden = _later(len(queries)).mT
    return _logits(queries, keys).masked_fill(hidden, -torch.inf).softmax(dim=1)


@mistake("Mask before the softmax. Yours comes after it, so the rows no longer sum to 1.")
def _weights_masked_afterwards(queries, keys):
    return _logits(queries, keys).softmax(dim=1).masked_fill(_later(len(queries)), 0)


@mistake("A logit of 0 still gets weight. Hidden logits need the value minus infinity.")
def _weights_with_zeros(queries, keys):
    return _logits(queries, keys).masked_fill(_later(len(queries)), 0).softmax(dim=1)


@mistake("Divide the logits by the square root of D.")
def _weights_without_scale(queries, keys):
    hidden = _later(len(queries))
    return (queries @ keys.mT).masked_fill(hidden, -torch.inf).softmax(dim=1)


@mistake("Your softmax runs over the queries. Each *row* must sum to 1: `dim=1`.")
def _weights_over_queries(queries, keys):
    logits = _logits(queries, keys).masked_fill(_later(len(queries)), -torch.inf)
    return logits.softmax(dim=0)


register(
    Task(
        name="slate.causal_weights",
        title="No token sees the future",
        text="""`queries` and `keys` are (N, D), one row per token. The logit of tokens n and m is
        the dot product of query n and key m, divided by the square root of D. Token n may see the
        tokens from the first one up to itself. Return the weights (N, N): a softmax over the
        visible tokens, and 0 for the hidden ones.""",
        minutes=7,
        difficulty=2,
        hints=(
            "The softmax makes 0 of minus infinity: `-torch.inf`.",
            """`torch.ones(N, N, dtype=torch.bool).triu(1)` is True where the column is later than
            the row. `masked_fill` puts a value there.""",
        ),
        solution=causal_weights,
        cases=lambda: {
            "four tokens": (2 * normal(0, 4, 3), 2 * normal(1, 4, 3)),
            "six tokens": (normal(2, 6, 8), normal(3, 6, 8)),
        },
        mistakes=(
            _weights_without_mask,
            _weights_of_the_future,
            _weights_masked_afterwards,
            _weights_with_zeros,
            _weights_without_scale,
            _weights_over_queries,
        ),
    )
)


# cross-attention


def cross_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    weights = (queries @ keys.mT / math.sqrt(queries.shape[1])).softmax(dim=1)
    return weights @ values


@mistake(
    "Your softmax runs over the tokens, as in Slot Attention. Here each token shares its attention "
    "among the slots: `dim=1`."
)
def _reading_over_tokens(queries, keys, values):
    return (queries @ keys.mT / math.sqrt(queries.shape[1])).softmax(dim=0) @ values


@mistake("Divide the logits by the square root of D.")
def _reading_without_scale(queries, keys, values):
    return (queries @ keys.mT).softmax(dim=1) @ values


@mistake("You mix the keys. The weights belong to the values.")
def _reading_of_keys(queries, keys, values):
    return (queries @ keys.mT / math.sqrt(queries.shape[1])).softmax(dim=1) @ keys


@mistake("A token may look at every slot: there is no order among slots, and so no mask.")
def _reading_with_mask(queries, keys, values):
    logits = queries @ keys.mT / math.sqrt(queries.shape[1])
    hidden = torch.ones(logits.shape, dtype=torch.bool).triu(1)
    return logits.masked_fill(hidden, -torch.inf).softmax(dim=1) @ values


@mistake("You take the nearest slot alone. Take the mean of the values, with the weights.")
def _reading_of_nearest(queries, keys, values):
    return values[(queries @ keys.mT).argmax(dim=1)]


register(
    Task(
        name="slate.cross_attention",
        title="Tokens read slots",
        text="""`queries` is (N, D), one row per token. `keys` and `values` are (K, D), one row per
        slot. Compute the weights of all slots for each token: a softmax over the slots of the dot
        products, divided by the square root of D. Return for each token the weighted mean of the
        values, (N, D).""",
        minutes=5,
        difficulty=1,
        hints=(
            "The weights are (N, K), and each row sums to 1.",
            "A product of matrices makes all weighted means at once: `weights @ values`.",
        ),
        solution=cross_attention,
        cases=lambda: {
            "five tokens, three slots": (normal(0, 5, 4), normal(1, 3, 4), normal(2, 3, 4)),
            "two tokens, two slots": (normal(3, 2, 6), normal(4, 2, 6), normal(5, 2, 6)),
        },
        mistakes=(
            _reading_over_tokens,
            _reading_without_scale,
            _reading_of_keys,
            _reading_with_mask,
            _reading_of_nearest,
        ),
    )
)


# kept keys


def attend_next(
    query: Tensor, key: Tensor, value: Tensor, kept_keys: Tensor, kept_values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    keys, values = torch.cat([kept_keys, key[None]]), torch.cat([kept_values, value[None]])
    weights = (keys @ query / math.sqrt(len(query))).softmax(dim=0)
    return weights @ values, keys, values


def _attend(query, keys, values):
    return (keys @ query / math.sqrt(len(query))).softmax(dim=0) @ values


@mistake("The new token sees itself, too: add its key and value *before* you attend.")
def _step_without_itself(query, key, value, kept_keys, kept_values):
    keys, values = torch.cat([kept_keys, key[None]]), torch.cat([kept_values, value[None]])
    return _attend(query, kept_keys, kept_values), keys, values


@mistake("You return the old keys and values. The next step needs the new ones as well.")
def _step_that_forgets(query, key, value, kept_keys, kept_values):
    keys, values = torch.cat([kept_keys, key[None]]), torch.cat([kept_values, value[None]])
    return _attend(query, keys, values), kept_keys, kept_values


@mistake("New tokens come last. You put the new key and value before the kept ones.")
def _step_in_front(query, key, value, kept_keys, kept_values):
    keys, values = torch.cat([key[None], kept_keys]), torch.cat([value[None], kept_values])
    return _attend(query, keys, values), keys, values


@mistake("Divide the logits by the square root of D.")
def _step_without_scale(query, key, value, kept_keys, kept_values):
    keys, values = torch.cat([kept_keys, key[None]]), torch.cat([kept_values, value[None]])
    return (keys @ query).softmax(dim=0) @ values, keys, values


register(
    Task(
        name="slate.attend_next",
        title="One more token",
        text="""n tokens are done, and `kept_keys` and `kept_values` (n, D) hold their keys and
        values. A new token has `query`, `key` and `value`, (D,) each. Add its key and its value
        after the kept ones. Attend from the new query to all n + 1 tokens, with the logits divided
        by the square root of D. Return three things: the result (D,), all keys (n + 1, D) and all
        values (n + 1, D).""",
        minutes=7,
        difficulty=2,
        hints=(
            "`torch.cat([kept_keys, key[None]])` adds a row.",
            "`keys @ query` are the n + 1 logits. A mask is not needed: no later token is there.",
        ),
        solution=attend_next,
        cases=lambda: {
            "three kept tokens": (*normal(0, 3, 4), normal(1, 3, 4), normal(2, 3, 4)),
            "one kept token": (*normal(3, 3, 5), normal(4, 1, 5), normal(5, 1, 5)),
        },
        mistakes=(_step_without_itself, _step_that_forgets, _step_in_front, _step_without_scale),
    )
)
