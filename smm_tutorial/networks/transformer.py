"""A transformer decoder: predicts tokens one after another, and looks at slots meanwhile.

Source: Vaswani et al. 2017 (arXiv 1706.03762), with the LayerNorm before each part (Xiong et al.
2020, arXiv 2002.04745). SLATE (Singh et al. 2022, arXiv 2110.11405) decodes slots in this way.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from smm_tutorial.arguments import check_sizes
from smm_tutorial.networks.dvae import draw_gumbel
from smm_tutorial.tensors import without_autocast


def attend(queries: Tensor, keys: Tensor, values: Tensor, causal: bool) -> Tensor:
    """Computes `scaled_dot_product_attention`; on a CPU always in float32.

    torch's backward pass of attention in bfloat16 is 4 to 20 times as slow there.
    """
    if queries.device.type != "cpu":
        return scaled_dot_product_attention(queries, keys, values, is_causal=causal)
    with without_autocast(queries.device):
        inputs = queries.float(), keys.float(), values.float()
        return scaled_dot_product_attention(*inputs, is_causal=causal)


class Attention(nn.Module):
    """Attention of x `(B, N, D)` to a memory `(B, M, D_memory)`, with several heads -> `(B, N, D)`.

    dim: D, a multiple of `heads`. memory_dim: by default D.
    """

    def __init__(self, dim: int, heads: int, memory_dim: int | None = None):
        super().__init__()
        self.heads = heads
        self.to_queries = nn.Linear(dim, dim, bias=False)
        self.to_memory = nn.Linear(memory_dim or dim, 2 * dim, bias=False)  # keys and values
        self.out = nn.Linear(dim, dim, bias=False)

    def remember(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Computes keys and values of the memory -> `(B, heads, M, D / heads)` each."""
        keys, values = self.to_memory(memory).chunk(2, dim=2)
        return self._split(keys), self._split(values)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, causal: bool = False) -> Tensor:
        """causal: the n-th row of x attends to the first n entries of the memory alone."""
        queries = self._split(self.to_queries(x))
        attended = attend(queries, keys, values, causal)
        return self.out(attended.transpose(1, 2).flatten(2))

    def weigh(self, x: Tensor, keys: Tensor) -> Tensor:
        """Computes how much x attends to each entry, mean over heads -> `(B, N, M)`; sum over M is
        1.
        """
        queries = self._split(self.to_queries(x))
        logits = queries @ keys.mT / math.sqrt(queries.shape[3])  # (B, heads, N, M)
        return logits.softmax(dim=3).mean(dim=1)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """A layer of the decoder: attention to earlier tokens, attention to the slots, and an MLP.

    gain: factor on the first weights of each part's output, so that deep stacks start tame.
    """

    def __init__(self, dim: int, heads: int, memory_dim: int, gain: float):
        super().__init__()
        self.norm_tokens, self.norm_slots, self.norm_mlp = (nn.LayerNorm(dim) for _ in range(3))
        self.to_tokens = Attention(dim, heads)
        self.to_slots = Attention(dim, heads, memory_dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))
        with torch.no_grad():
            for last in (self.to_tokens.out, self.to_slots.out, self.mlp[-1]):
                last.weight.mul_(gain)

    def forward(self, x: Tensor, slots: tuple[Tensor, Tensor]) -> Tensor:
        """x: `(B, N, D)`, all tokens at once. slots: keys and values of the slots."""
        normed = self.norm_tokens(x)
        x = x + self.to_tokens(normed, *self.to_tokens.remember(normed), causal=True)
        return self.read_slots(x, slots)

    def step(self, x: Tensor, place: int, cache: "Cache") -> Tensor:
        """Computes the next token alone, `(B, 1, D)`. The cache holds all earlier ones."""
        normed = self.norm_tokens(x)
        for kept, new in zip(cache.tokens, self.to_tokens.remember(normed), strict=True):
            kept[:, :, place : place + 1] = new
        keys, values = (kept[:, :, : place + 1] for kept in cache.tokens)
        return self.read_slots(x + self.to_tokens(normed, keys, values), cache.slots)

    def read_slots(self, x: Tensor, slots: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.to_slots(self.norm_slots(x), *slots)
        return x + self.mlp(self.norm_mlp(x))


class Cache(NamedTuple):
    """Keys and values of a block: those of tokens fill up step by step, those of slots stay."""

    tokens: tuple[Tensor, Tensor]  # (B, heads, N, D / heads) each
    slots: tuple[Tensor, Tensor]  # (B, heads, K, D / heads) each


class TokenTransformer(nn.Module):
    """Slots `(B, K, slot_dim)` and tokens `(B, N)` -> logits of every token `(B, N, V)`.

    The logits of token n depend on the slots and on the tokens before n.

    Args:
        num_codes: V, the number of different tokens.
        length: N, the number of tokens of an image.
        slot_dim: width of a slot.
        dim: width of the transformer, a multiple of `heads`.
        blocks, heads: number of layers, and of heads per attention.
        sees_tokens: without it, no token sees another one: all are predicted at once from the
            slots and the position.

    Raises:
        ValueError: a size that is not a whole number of at least 1, or `dim` that the heads cannot
            share. In the methods: tokens or slots of a wrong shape.
    """

    def __init__(
        self,
        num_codes: int,
        length: int,
        slot_dim: int,
        dim: int = 96,
        blocks: int = 3,
        heads: int = 4,
        sees_tokens: bool = True,
    ):
        super().__init__()
        self.num_codes, self.length, slot_dim, dim, blocks, heads = check_sizes(
            num_codes=num_codes,
            length=length,
            slot_dim=slot_dim,
            dim=dim,
            blocks=blocks,
            heads=heads,
        )
        if dim % heads:
            raise ValueError(f"dim must be a multiple of heads = {heads}, got {dim}")
        self.sees_tokens = sees_tokens
        self.norm_memory = nn.LayerNorm(slot_dim)
        self.embed = nn.Embedding(num_codes + 1, dim)  # the last stands before the first token
        self.positions = nn.Parameter(torch.empty(length, dim))
        gain = (3 * blocks) ** -0.5
        self.blocks = nn.ModuleList(Block(dim, heads, slot_dim, gain) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)
        self.to_logits = nn.Linear(dim, num_codes)
        for table in (self.embed.weight, self.positions):
            nn.init.normal_(table, std=0.5)

    def forward(self, tokens: Tensor, slots: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Predicts every token from the true tokens before it ("teacher forcing").

        hidden: `(B, N)`, True for tokens that no token sees. Hidden tokens force the transformer to
        read the slots (Bowman et al. 2016, arXiv 1511.06349, "word dropout").
        """
        x = self._embed_before(tokens, hidden)
        memory = self.norm_memory(slots)
        for block in self.blocks:
            x = block(x, block.to_slots.remember(memory))
        return self.to_logits(self.norm(x))

    def look(self, tokens: Tensor, slots: Tensor) -> Tensor:
        """Computes how much each token attends to each slot, in the last block -> `(B, N, K)`."""
        x, memory = self._embed_before(tokens), self.norm_memory(slots)
        *before, last = self.blocks
        for block in before:
            x = block(x, block.to_slots.remember(memory))
        normed = last.norm_tokens(x)
        x = x + last.to_tokens(normed, *last.to_tokens.remember(normed), causal=True)
        return last.to_slots.weigh(last.norm_slots(x), last.to_slots.remember(memory)[0])

    @torch.no_grad()
    def generate(
        self,
        slots: Tensor,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
        beginning: Tensor | None = None,
    ) -> Tensor:
        """Generates the tokens one after another -> integers `(B, N)`.

        Keys and values of earlier tokens are kept, so each step computes one token alone.

        Args:
            slots: `(B, K, slot_dim)`.
            temperature: 0 takes the most probable token ("greedy"). Above 0, tokens are sampled
                from the probabilities at this temperature.
            generator: for the samples; needed if the temperature is above 0.
            beginning: `(B, n)`, the first tokens, if they are given.
        """
        if temperature < 0 or (temperature > 0 and generator is None):
            raise ValueError(
                f"temperature must be 0, or above 0 with a generator, got {temperature}"
            )
        given = 0 if beginning is None else beginning.shape[1]
        caches = self._make_caches(slots)
        start = torch.full((len(slots), 1), self.num_codes, device=slots.device)
        tokens = torch.empty(len(slots), self.length, dtype=torch.long, device=slots.device)
        before = start
        for place in range(self.length):
            x = self.embed(before if self.sees_tokens else start) + self.positions[place]
            for block, cache in zip(self.blocks, caches, strict=True):
                x = block.step(x, place, cache)
            logits = self.to_logits(self.norm(x))[:, 0].float()  # (B, V)
            if place < given:
                chosen = beginning[:, place]
            elif temperature > 0:
                noise = draw_gumbel(tuple(logits.shape), generator).to(logits.device)
                chosen = (logits / temperature + noise).argmax(dim=1)
            else:
                chosen = logits.argmax(dim=1)
            tokens[:, place] = chosen
            before = chosen[:, None]
        return tokens

    def _make_caches(self, slots: Tensor) -> list[Cache]:
        memory = self.norm_memory(slots)
        caches = []
        for block in self.blocks:
            of_slots = block.to_slots.remember(memory)
            batch, heads, _, width = of_slots[0].shape
            empty = of_slots[0].new_zeros(2, batch, heads, self.length, width)
            caches.append(Cache((empty[0], empty[1]), of_slots))
        return caches

    def _embed_before(self, tokens: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Embeds the token before each place, and the place -> `(B, N, D)`."""
        if tokens.ndim != 2 or tokens.shape[1] != self.length:
            raise ValueError(
                f"tokens must be (batch, {self.length}) integers, got {tuple(tokens.shape)}"
            )
        before = torch.full_like(tokens, self.num_codes)
        if self.sees_tokens:
            seen = tokens if hidden is None else tokens.masked_fill(hidden, self.num_codes)
            before[:, 1:] = seen[:, :-1]
        return self.embed(before) + self.positions
