"""Scores of image reconstruction: errors of pictures, of tokens, and the segmentation by slots."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from smm_tutorial.datasets import SceneImages
from smm_tutorial.metrics import SEGMENTATION_METRICS, count_table, enlarge_owners
from smm_tutorial.metrics.image_distances import compare_image_sets
from smm_tutorial.networks.dvae import DiscreteVAE
from smm_tutorial.reconstruction.model import ReconstructionOutput, SlotReconstruction
from smm_tutorial.reconstruction.recipe import reconstruction_loss
from smm_tutorial.tensors import without_autocast

BATCH = 64  # images
EXAMPLES = 6  # images whose generated tokens stand among the scores
DECIMALS = 4
ERROR_DECIMALS = 6  # of squared errors
#: The metrics of the slots' segmentation, by their names in `SEGMENTATION_METRICS`.
SEGMENTATION_SCORES = ("fg_ari", "mbo")


def psnr(squared_error: float) -> float:
    """Computes the peak signal-to-noise ratio in dB of a mean squared error of pixels in [0, 1]."""
    return -10 * math.log10(max(squared_error, 1e-12))


def count_codes(tokens: Tensor, num_codes: int) -> dict[str, float]:
    """Counts how often each code is used: its perplexity, and the number of `dead_codes`.

    The perplexity is the exponential of the entropy of the codes: the number of codes in use, if
    all were equally frequent. A dead code is not used at all. tokens: integers of any shape.
    """
    counts = torch.bincount(tokens.flatten().cpu(), minlength=num_codes).double()
    shares = counts / counts.sum()
    entropy = -(shares * shares.clamp_min(1e-12).log()).sum()
    return {"perplexity": round(entropy.exp().item(), 2), "dead_codes": int((counts == 0).sum())}


@torch.no_grad()
def evaluate_tokenizer(tokenizer: DiscreteVAE, data: SceneImages) -> dict:
    """Computes the error of pictures that are painted from their own tokens.

    Returns `squared_error`, its `psnr` in dB, the entries of `count_codes`, and the number of
    `images`.
    """
    device = next(tokenizer.parameters()).device
    errors, all_tokens = [], []
    with without_autocast(device):
        for first in range(0, len(data), BATCH):
            images = data.batch(slice(first, first + BATCH)).images.to(device)
            tokens = tokenizer.tokenize(images)
            errors.append(_squared_errors(tokenizer.paint(tokens), images))
            all_tokens.append(tokens)
    counts = count_codes(torch.cat(all_tokens), tokenizer.num_codes)
    return _picture_scores(errors) | counts | {"images": len(data)}


@torch.no_grad()
def evaluate(
    model: SlotReconstruction,
    data: SceneImages,
    seed: int = 0,
    num_slots: int | None = None,
    generates: bool = True,
) -> dict:
    """Computes every score of a network on a data set, in a form that JSON can hold.

    Args:
        model: the network. It computes without autocast, even if the caller has autocast on.
        data: images at the model's image size.
        seed: of the slots' starts.
        num_slots: K; by default the model's.
        generates: whether pictures are generated, too. This takes most of the time.

    Returns:
        `nats`: the cross-entropy per token. `right`: the share of right tokens. Both are "teacher
        forced": the network sees the true tokens before each token.
        `teacher_forced`, `generated`, `tokenizer`: `squared_error` and `psnr` in dB of three
        pictures: of the most probable tokens given the true tokens before them, of the tokens that
        the network generates from the slots alone, and of the true tokens.
        `generated_tokens`: one text per image for the first `EXAMPLES` images. `read_tokens` reads
        them.
        `fg_ari`, `mbo`: of the slots' responsibilities; missing if the data have no masks.
        `num_slots`: K. `images`: the number of images.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    nats, right, owners = [], [], []
    errors: dict[str, list[Tensor]] = {"teacher_forced": [], "generated": [], "tokenizer": []}
    examples = []
    with without_autocast(device):
        for first in range(0, len(data), BATCH):
            images = data.batch(slice(first, first + BATCH)).images.to(device)
            noise = model.start_noise(len(images), generator, num_slots)
            output = model(images, num_slots=num_slots, noise=noise)
            told = reconstruction_loss(output.logits, output.tokens)
            nats.append(told["loss"].item() * len(images))
            right.append(told["right"].item() * len(images))
            rebuilt = _find_tokens(model, output, generates)
            for name, found_tokens in rebuilt.items():
                painted = model.tokenizer.paint(found_tokens)
                errors[name].append(_squared_errors(painted, images))
            for generated in rebuilt.get("generated", [])[: EXAMPLES - len(examples)]:
                examples.append(" ".join(map(str, generated.tolist())))
            found = output.slot_output.responsibilities.argmax(dim=2)
            owners.append(enlarge_owners(found, data.size).cpu())
    scores = {
        "nats": round(sum(nats) / len(data), DECIMALS),
        "right": round(sum(right) / len(data), DECIMALS),
    }
    scores |= {name: _picture_scores(found) for name, found in errors.items() if found}
    if examples:
        scores["generated_tokens"] = examples
    return (
        scores
        | score_owners(data, torch.cat(owners))
        | {
            "num_slots": model.config.num_slots if num_slots is None else num_slots,
            "images": len(data),
        }
    )


def read_tokens(texts: Sequence[str]) -> Tensor:
    """Reads the `generated_tokens` of `evaluate` -> integers `(B, N)`."""
    return torch.tensor([[int(token) for token in text.split()] for text in texts])


@torch.no_grad()
def score_distances(
    model: SlotReconstruction, data: SceneImages, network: nn.Module, seed: int = 0
) -> dict:
    """Computes how far generated pictures are from real ones, as a set.

    Args:
        model, seed: as in `evaluate`.
        data: images. Half of them give the slots of the generated pictures, which are compared with
            the other half, so that no picture is compared with its own reconstruction.
        network: computes the features; see `compare_image_sets`.

    Returns:
        `features`: the network's class. `generated`, `tokenizer`, `real`: `compare_image_sets` of
        the other half against generated pictures, pictures of true tokens, and real pictures.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    images = data.batch(slice(None)).images
    half = len(images) // 2
    made: dict[str, list[Tensor]] = {"generated": [], "tokenizer": []}
    with without_autocast(device):
        for part in images[:half].split(BATCH):
            noise = model.start_noise(len(part), generator)
            output = model(part.to(device), noise=noise)
            for name, tokens in _find_tokens(model, output, generates=True).items():
                if name in made:
                    made[name].append(model.tokenizer.paint(tokens).cpu())
    sets = {name: torch.cat(parts) for name, parts in made.items()} | {"real": images[:half]}
    return {"features": type(network).__name__} | {
        name: _rounded(compare_image_sets(images[half:], pictures, network))
        for name, pictures in sets.items()
    }


def _rounded(distances: dict[str, float]) -> dict[str, float]:
    return {name: round(value, DECIMALS) for name, value in distances.items()}


def score_owners(data: SceneImages, owners: Tensor) -> dict[str, float]:
    """Scores segmentations `(M, H, W)` by the true masks; an empty dictionary without masks."""
    if data.masks is None:
        return {}
    counts = count_table(data.masks.cpu(), owners)
    found = {name: SEGMENTATION_METRICS[name](counts) for name in SEGMENTATION_SCORES}
    return {name: round(values.mean().item(), DECIMALS) for name, values in found.items()}


def _find_tokens(
    model: SlotReconstruction, output: ReconstructionOutput, generates: bool
) -> dict[str, Tensor]:
    """Finds the tokens `(B, N)` of the pictures with errors in `evaluate`, by their names."""
    tokens = {"teacher_forced": output.logits.argmax(dim=2), "tokenizer": output.tokens}
    if generates:
        tokens["generated"] = model.decoder.generate(model.read(output.slot_output))
    return tokens


def _squared_errors(painted: Tensor, images: Tensor) -> Tensor:
    """Computes the mean squared error of each image -> `(B,)` on the CPU."""
    squares = nn.functional.mse_loss(painted, images, reduction="none")
    return squares.mean(dim=(1, 2, 3)).cpu()


def _picture_scores(errors: list[Tensor]) -> dict[str, float]:
    mean = torch.cat(errors).double().mean().item()
    return {"squared_error": round(mean, ERROR_DECIMALS), "psnr": round(psnr(mean), 2)}
