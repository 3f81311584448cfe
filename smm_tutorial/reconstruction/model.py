"""The networks of image reconstruction: a tokenizer, and SLATE (arXiv 2110.11405).

SLATE encodes an image by slots, and a transformer rebuilds the image's tokens from them.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from smm_tutorial.arguments import check_choice, check_sizes
from smm_tutorial.networks.dvae import DiscreteVAE
from smm_tutorial.networks.encoders import ConvEncoder
from smm_tutorial.networks.positions import position_grid
from smm_tutorial.networks.transformer import TokenTransformer
from smm_tutorial.slots.base import SlotOutput
from smm_tutorial.slots.slot_model import SlotModel, settle_config

Inputs = Literal["tokens", "pixels"]
Decoding = Literal["one_by_one", "all_at_once"]
Memory = Literal["slots", "nothing"]
EMBEDDING_SCALE = 1.0  # of untrained embeddings of tokens and positions, standard deviation


@dataclass(frozen=True)
class TokenizerConfig:
    """The options that decide a `Tokenizer`. Raises `ValueError` for a size that does not fit."""

    image_size: int = 48  # S, pixels
    num_codes: int = 128  # V
    channels: int = 64
    patch: int = 4  # pixels per side

    def __post_init__(self):
        names = ("image_size", "num_codes", "channels", "patch")
        sizes = check_sizes(**{name: getattr(self, name) for name in names})
        for name, size in zip(names, sizes, strict=True):
            object.__setattr__(self, name, size)
        _check_patches(self.image_size, self.patch)


class Tokenizer(DiscreteVAE):
    """A `DiscreteVAE` for images of one size."""

    def __init__(self, config: TokenizerConfig):
        super().__init__(config.num_codes, config.channels, config.patch)
        self.config = config


@dataclass(frozen=True)
class ReconstructionConfig:
    """The options that decide a `SlotReconstruction`.

    inputs: what the slot module clusters. `tokens`: embeddings of the image's tokens, as in SLATE.
    `pixels`: the features of a `ConvEncoder`, as in object discovery.
    decoding: `one_by_one`: each token sees all earlier tokens. `all_at_once`: no token sees
    another token.
    memory: what the transformer reads: the `slots`, or `nothing`. With `nothing` it learns only how
    images look in general.
    hidden_tokens: the share of tokens that training hides from later tokens, at random. So the
    transformer must read the slots (Bowman et al. 2016, arXiv 1511.06349: "word dropout").

    Raises `ValueError` for an unknown choice, and for sizes that do not fit.
    """

    slots: Literal["attention", "mixture"] = "mixture"
    image_size: int = 48  # S, pixels
    num_slots: int = 7
    slot_dim: int = 48
    num_iterations: int = 4
    inputs: Inputs = "tokens"
    encoder_channels: int = 48
    encoder_stride: int = 2  # of `pixels`
    num_codes: int = 128  # of the tokenizer
    tokenizer_channels: int = 64
    patch: int = 4  # pixels per side
    dim: int = 96  # of the transformer
    blocks: int = 3
    heads: int = 4
    decoding: Decoding = "one_by_one"
    memory: Memory = "slots"
    hidden_tokens: float = 0.0
    slot_options: dict = field(default_factory=dict)  # of the slot module, such as its start

    def __post_init__(self):
        settle_config(self)
        check_choice("inputs", self.inputs, Inputs)
        check_choice("decoding", self.decoding, Decoding)
        check_choice("memory", self.memory, Memory)
        if not 0 <= self.hidden_tokens < 1:
            raise ValueError(
                f"hidden_tokens must be a share from 0 to below 1, got {self.hidden_tokens!r}"
            )
        _check_patches(self.image_size, self.patch)

    @property
    def side(self) -> int:
        """The number of tokens per side of an image."""
        return self.image_size // self.patch


def _check_patches(image_size: int, patch: int) -> None:
    if image_size % patch:
        raise ValueError(f"patch must divide image_size = {image_size}, got {patch}")


class TokenEncoder(nn.Module):
    """Tokens `(B, N)` -> inputs of the slots `(B, N, channels)`, with positions.

    The form of the head is that of `ConvEncoder`. num_codes: V. side: tokens per side of the grid.
    """

    def __init__(self, num_codes: int, side: int, channels: int):
        super().__init__()
        self.embed = nn.Embedding(num_codes, channels)
        self.register_buffer("positions", position_grid(side, side).flatten(1).T, persistent=False)
        self.embed_positions = nn.Linear(4, channels)
        self.head = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
        )
        nn.init.normal_(self.embed.weight, std=EMBEDDING_SCALE)

    @torch.no_grad()
    def start_from_patches(self, patches: Tensor) -> None:
        """Sets the embeddings to a random projection of the codes' patches `(V, P)`.

        Untrained, codes of similar patches then have similar embeddings, so that slots begin as
        clusters of similar patches.
        """
        centred = patches - patches.mean(dim=0)
        projection = torch.randn(patches.shape[1], self.embed.weight.shape[1]).to(patches)
        projected = centred @ projection
        self.embed.weight.copy_(EMBEDDING_SCALE * projected / projected.std())

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.embed(tokens) + self.embed_positions(self.positions))


class ReconstructionOutput(NamedTuple):
    """What `SlotReconstruction` computes for a batch of images."""

    logits: Tensor  # (B, N, V), of each token, given the true tokens before it
    tokens: Tensor  # (B, N), the true tokens
    slot_output: SlotOutput


class SlotReconstruction(SlotModel):
    """SLATE: a frozen tokenizer, an encoder, a slot module, and a transformer as decoder.

    Images are `(B, 3, S, S)` in [0, 1].
    """

    def __init__(self, config: ReconstructionConfig):
        if config.inputs == "tokens":
            encoder = TokenEncoder(config.num_codes, config.side, config.encoder_channels)
        else:
            channels, stride = config.encoder_channels, config.encoder_stride
            encoder = ConvEncoder(config.image_size, channels, stride)
        super().__init__(config, encoder)
        self.decoder = TokenTransformer(
            config.num_codes,
            config.side**2,
            self.slots.output_dim,
            config.dim,
            config.blocks,
            config.heads,
            sees_tokens=config.decoding == "one_by_one",
        )
        tokenizer = DiscreteVAE(config.num_codes, config.tokenizer_channels, config.patch)
        self.tokenizer = tokenizer.requires_grad_(False)

    def forward(
        self,
        images: Tensor,
        num_iterations: int | None = None,
        num_slots: int | None = None,
        noise: Tensor | None = None,
        tokens: Tensor | None = None,
        hidden: Tensor | None = None,
    ) -> ReconstructionOutput:
        """Finds the slots, and predicts every token from the slots and the tokens before it.

        tokens: `(B, N)`, the images' tokens, if they are known; else the tokenizer finds them.
        hidden: `(B, N)`, True for tokens that the transformer does not see. The other arguments are
        those of `find_slots`.
        """
        tokens = self.tokenizer.tokenize(images) if tokens is None else tokens
        found = self.find_slots(images, num_iterations, num_slots, noise, tokens=tokens)
        logits = self.decoder(tokens, self.read(found), hidden)
        return ReconstructionOutput(logits, tokens, found)

    def find_slots(
        self,
        images: Tensor,
        num_iterations: int | None = None,
        num_slots: int | None = None,
        noise: Tensor | None = None,
        *,
        tokens: Tensor | None = None,
        return_history: bool = False,
    ) -> SlotOutput:
        """Finds the slots of images, from their pixels or from their tokens; see `config.inputs`.

        tokens: `(B, N)`, as in `forward`. The other arguments and the errors are those of
        `SlotModel.find_slots`.
        """
        if self.config.inputs == "pixels":
            return super().find_slots(
                images, num_iterations, num_slots, noise, return_history=return_history
            )
        tokens = self.tokenizer.tokenize(images) if tokens is None else tokens
        inputs = self.encoder(tokens)  # (B, N, encoder_channels)
        return self.slots(inputs, num_iterations, num_slots, noise, return_history=return_history)

    def read(self, slot_output: SlotOutput) -> Tensor:
        """Returns what the transformer reads of the slots -> `(B, K, output_dim)`."""
        slots = slot_output.slots
        return torch.zeros_like(slots) if self.config.memory == "nothing" else slots

    @torch.no_grad()
    def rebuild(self, slots: Tensor, **options) -> Tensor:
        """Generates an image from slots `(B, K, output_dim)` alone -> `(B, 3, S, S)` in [0, 1].

        options: those of `TokenTransformer.generate`.
        """
        return self.tokenizer.paint(self.decoder.generate(slots, **options))

    def take_tokenizer(self, tokenizer: DiscreteVAE) -> None:
        """Copies a trained tokenizer, and starts the embeddings of tokens from its patches.

        Raises `ValueError` if the tokenizer has other sizes.
        """
        try:
            self.tokenizer.load_state_dict(tokenizer.state_dict())
        except RuntimeError as error:
            raise ValueError(
                f"the tokenizer has other sizes than this network expects ({error}): train one "
                "with the same profile"
            ) from error
        if self.config.inputs == "tokens":
            self.encoder.start_from_patches(tokenizer.to_patch.weight.flatten(1).T)
