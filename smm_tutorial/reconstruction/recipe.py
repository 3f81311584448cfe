"""The recipe of image reconstruction: sizes by profile, networks, losses and schedules."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from smm_tutorial.clustering import KMeans
from smm_tutorial.datasets import SceneImages
from smm_tutorial.reconstruction.model import (
    Inputs,
    ReconstructionConfig,
    SlotReconstruction,
    Tokenizer,
    TokenizerConfig,
)
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.slots.starts import Start
from smm_tutorial.training.batches import Batch
from smm_tutorial.training.config import Schedule, TrainingConfig, fast_precision
from smm_tutorial.training.loop import Loss

NUM_SLOTS, NUM_ITERATIONS = 7, 4
CHANNELS_OF_DISCOVERY = 32  # of the encoder of a laptop's object discovery
MIRRORED = 0.5  # share of mirrored images
WARMUP = 0.05  # share of the steps
COOLED = 1 / 3  # share of the steps in which the tokenizer's temperature falls
HOT, COLD = 1.0, 0.1  # the temperature at the start, and after the fall
PATCHES = 20_000  # that k-means clusters, for the first code book
KMEANS_ITERATIONS = 10
LEAST_SPREAD = 1e-3  # standard deviation of a pixel around its code
#: In a comparison, a contestant's learning rate is the profile's rate times this factor. A search
#: on the validation scenes found each factor (`reconstruction-search-*` in `data/results`).
LEARNING_RATE_FACTORS = dict.fromkeys(CONTESTANTS, 1.0)


@dataclass(frozen=True)
class ReconstructionSizes:
    """The sizes of a profile's tokenizer, network and training."""

    data: str = "clevr-mirror"
    image_size: int = 48  # pixels per side
    num_codes: int = 1024
    tokenizer_channels: int = 96
    tokenizer_batch: int = 32
    tokenizer_rate: float = 2e-3
    tokenizer_steps: int = 1_500
    slot_dim: int = 48
    channels: int = 48  # of the slots' inputs
    dim: int = 96  # of the transformer
    blocks: int = 3
    heads: int = 4
    hidden_tokens: float = 0.5  # share, in training
    batch_size: int = 32
    learning_rate: float = 2.4e-3  # of the transformer
    shared_rate: float = 0.25  # factor on the learning rate of encoder and slots
    steps: int = 8_000
    live_steps: int = 300  # of the run that a learner watches in the notebook
    schedule: Schedule = "cosine"
    half_life: int | None = None  # steps
    clip_norm: float = 1.0
    start: Start = "farthest_points"
    ema_decay: float | None = 0.999


_GPU = ReconstructionSizes(
    image_size=64,
    tokenizer_batch=64,
    tokenizer_steps=4_000,
    slot_dim=64,
    channels=64,
    dim=192,
    blocks=6,
    batch_size=256,
    learning_rate=8e-4,
    steps=10_000,
    live_steps=1_000,
)
#: The sizes by profile. `paper` follows SLATE's released code: 192 numbers per slot and token, four
#: blocks, batches of 50 images, and one start for all slots.
SIZES = {
    "ci": ReconstructionSizes(
        data="clevr6",
        image_size=32,
        num_codes=32,
        tokenizer_channels=16,
        tokenizer_batch=16,
        tokenizer_steps=20,
        slot_dim=32,
        channels=32,
        dim=32,
        blocks=2,
        batch_size=8,
        steps=20,
        live_steps=20,
    ),
    "laptop": ReconstructionSizes(),
    "gpu": _GPU,
    "paper": replace(
        _GPU,
        tokenizer_steps=30_000,
        tokenizer_batch=50,
        tokenizer_rate=3e-4,
        slot_dim=192,
        channels=192,
        blocks=4,
        hidden_tokens=0.0,
        batch_size=50,
        learning_rate=1e-4,
        shared_rate=1.0,
        steps=250_000,
        schedule="half_life",
        half_life=250_000,
        start="shared",
        ema_decay=None,
    ),
}
#: Steps of the runs in `data/results` that differ from the profile's, by profile and purpose. The
#: names of these runs do not contain the steps.
KEPT_STEPS = {("laptop", "comparison"): 3_000, ("laptop", "search"): 600}


def tokenizer_config(sizes: ReconstructionSizes, image_size: int | None = None) -> TokenizerConfig:
    """Makes the config of a profile's tokenizer. image_size: by default that of `sizes`."""
    size = image_size or sizes.image_size
    return TokenizerConfig(size, sizes.num_codes, sizes.tokenizer_channels)


def network_config(
    module: str,
    sizes: ReconstructionSizes,
    image_size: int | None = None,
    inputs: Inputs = "tokens",
) -> ReconstructionConfig:
    """Makes the config of a contestant's network. Only the slot module differs from the others.

    Args:
        module: a name in `CONTESTANTS`.
        sizes: the sizes of a profile.
        image_size: pixels per side; by default that of `sizes`.
        inputs: of the slot module. With `pixels`, encoder and slots have the sizes of object
            discovery at this image size.
    """
    contestant, size = CONTESTANTS[module], image_size or sizes.image_size
    of_mixture = {"content": "mean_and_log_variance"} if contestant.module == "mixture" else {}
    return ReconstructionConfig(
        slots=contestant.module,
        image_size=size,
        num_slots=NUM_SLOTS,
        slot_dim=contestant.widening * sizes.slot_dim,
        num_iterations=NUM_ITERATIONS,
        inputs=inputs,
        encoder_channels=sizes.channels if inputs == "tokens" else CHANNELS_OF_DISCOVERY,
        encoder_stride=max(1, 2 ** int(math.log2(size / 16))),
        num_codes=sizes.num_codes,
        tokenizer_channels=sizes.tokenizer_channels,
        dim=sizes.dim,
        blocks=sizes.blocks,
        heads=sizes.heads,
        hidden_tokens=sizes.hidden_tokens,
        slot_options={
            "initialisation": "clustering",
            "normalisation": "inputs",
            "gradient": "last",
            "start": sizes.start,
        }
        | of_mixture
        | contestant.options,
    )


def tokenizer_training(
    sizes: ReconstructionSizes, seed: int, steps: int | None = None, **options: Any
) -> TrainingConfig:
    """Makes the training configuration of a tokenizer. Arguments as in `training_config`."""
    steps = sizes.tokenizer_steps if steps is None else steps
    chosen = {
        "learning_rate": sizes.tokenizer_rate,
        "warmup_steps": round(WARMUP * steps),
        "clip_norm": 1.0,
        "precision": "32-true",  # one code is chosen by small differences of large numbers
    }
    return TrainingConfig(steps, sizes.tokenizer_batch, seed=seed, **chosen | options)


def training_config(
    sizes: ReconstructionSizes, seed: int, steps: int | None = None, **options: Any
) -> TrainingConfig:
    """Makes the training configuration of a network.

    steps: by default the profile's. options: fields of `TrainingConfig` that replace the profile's.
    """
    steps = sizes.steps if steps is None else steps
    chosen = {
        "learning_rate": sizes.learning_rate,
        "warmup_steps": round(WARMUP * steps),
        "clip_norm": sizes.clip_norm,
        "shared_rate": sizes.shared_rate,
        "precision": fast_precision(),
        "schedule": sizes.schedule,
        "half_life": sizes.half_life,
        "ema_decay": sizes.ema_decay,
    }
    return TrainingConfig(steps, sizes.batch_size, seed=seed, **chosen | options)


def temperature_of_step(step: int, steps: int) -> float:
    """Computes the tokenizer's temperature: half a cosine from `HOT` down to `COLD`, then constant.

    steps: of the whole run.
    """
    progress = min(1.0, step / max(1.0, COOLED * steps))
    return COLD + (HOT - COLD) * 0.5 * (1 + math.cos(math.pi * progress))


def cluster_patches(data: SceneImages, num_codes: int, patch: int, seed: int) -> Tensor:
    """Finds a first code book by k-means on patches of images -> `(V, 3, patch, patch)` in [0, 1].

    Mirrored patches count, too. Raises `ValueError` if the images have fewer different patches than
    codes.
    """
    generator = torch.Generator().manual_seed(seed)
    side = data.images.shape[3] // patch
    chosen = torch.randint(len(data) * side**2, (PATCHES,), generator=generator)
    image, row, column = chosen // side**2, chosen // side % side, chosen % side
    tiles = data.images.cpu().unfold(2, patch, patch).unfold(3, patch, patch)  # (M, 3, s, s, p, p)
    patches = tiles[image, :, row, column].float() / 255  # (P, 3, p, p)
    patches[::2] = patches[::2].flip(3)
    points = patches.flatten(1).double().numpy()
    if len(np.unique(points, axis=0)) < num_codes:
        raise ValueError(
            f"the images have fewer than {num_codes} different patches: take more images, or "
            "fewer codes"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a start need not converge
        means = KMeans(num_codes, max_iter=KMEANS_ITERATIONS, random_state=seed).fit(points)
    return torch.from_numpy(means.cluster_centers_).float().view(num_codes, *patches.shape[1:])


def start_from_patches(tokenizer: Tokenizer, data: SceneImages, seed: int) -> None:
    """Starts a tokenizer as vector quantisation, with the code book of `cluster_patches`."""
    patches = cluster_patches(data, tokenizer.num_codes, tokenizer.patch, seed)
    tokenizer.set_codes(patches, 1.0)  # any spread chooses the nearest code
    with torch.no_grad():
        images = data.batch(slice(0, 64)).images.to(tokenizer.to_logits.weight)
        spread = mse_loss(tokenizer.paint(tokenizer.tokenize(images)), images).sqrt().item()
    tokenizer.set_codes(patches, max(spread, LEAST_SPREAD))


def make_tokenizer_loss(steps: int) -> Loss:
    """Makes the loss of a tokenizer's run: the squared error of relaxed codes. steps: of the run.

    The entry `perplexity` is the exponential of the entropy of the codes in a batch: the number of
    codes in use, if all were equally frequent.
    """

    def loss(model, batch: Batch, step: int) -> dict[str, Tensor]:
        temperature = temperature_of_step(step, steps)
        painted, codes = model(batch.images, batch.noise, temperature)
        shares = codes.detach().float().mean(dim=(0, 2, 3))  # (V,)
        return {
            "loss": mse_loss(painted.float(), batch.images),
            "perplexity": (-(shares * shares.clamp_min(1e-9).log()).sum()).exp(),
        }

    return loss


def reconstruction_loss(logits: Tensor, tokens: Tensor) -> dict[str, Tensor]:
    """Computes the cross-entropy of tokens, in nats per token, and the share that is right.

    logits: `(B, N, V)`. tokens: `(B, N)`.
    """
    logits = logits.float()
    right = (logits.detach().argmax(dim=2) == tokens).float().mean()
    return {"loss": cross_entropy(logits.flatten(0, 1), tokens.flatten()), "right": right}


def make_draw(model: SlotReconstruction) -> Callable[[int, torch.Generator], Tensor]:
    """Makes the function that draws all random numbers of a step, `(B, K D + N)`.

    The first K D numbers per image are the noise of the slots' starts. The last N numbers lie
    between 0 and 1. A token is hidden if its number is below `config.hidden_tokens`.
    """

    def draw(batch: int, generator: torch.Generator) -> Tensor:
        noise = model.start_noise(batch, generator).flatten(1)
        uniform = torch.rand(
            batch, model.config.side**2, generator=generator, device=generator.device
        )
        return torch.cat([noise, uniform.to(noise)], dim=1)

    return draw


def make_sequence_loss(config: ReconstructionConfig) -> Loss:
    """Makes the loss of a network's run: `reconstruction_loss` with the batch's tokens as targets.

    The batch's noise is that of `make_draw`.
    """

    def loss(model, batch: Batch, step: int) -> dict[str, Tensor]:
        noise, uniform = batch.noise.tensor_split([-(config.side**2)], dim=1)
        noise = noise.unflatten(1, (config.num_slots, -1))  # (B, K, D)
        hidden = uniform < config.hidden_tokens  # (B, N)
        output = model(batch.images, noise=noise, tokens=batch.targets.long(), hidden=hidden)
        return reconstruction_loss(output.logits, output.tokens)

    return loss
