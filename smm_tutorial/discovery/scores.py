"""Scores of object discovery: every metric of a segmentation, with its standard error.

The metrics take integer maps and compute in float64, without autocast.
"""

import math
import warnings

import torch
from torch import Tensor

from smm_tutorial.arguments import check_whole
from smm_tutorial.datasets import SceneImages
from smm_tutorial.discovery.model import ObjectDiscovery
from smm_tutorial.discovery.segmentation import Selection, segment_by_all_masks
from smm_tutorial.metrics.contingency import count_table
from smm_tutorial.metrics.segmentation import (
    MISSED_BELOW,
    SEGMENTATION_METRICS,
    overlaps_of_objects,
)
from smm_tutorial.tensors import without_autocast

#: The metrics that every table shows, by their names in `SEGMENTATION_METRICS`.
SCORES = ("fg_ari", "mbo", "miou", "ari")
#: Classes of objects by the share of the image that their visible part covers. The number is the
#: lower limit of the share. Each class holds about a quarter of the objects in clevr6.
SIZE_CLASSES = {
    "below 1.25 %": 0.0,
    "1.25 to 2.5 %": 0.0125,
    "2.5 to 5 %": 0.025,
    "5 % and more": 0.05,
}
DECIMALS = 4
SMALL_DECIMALS = 6  # of squared errors
LIKELIHOOD_BATCH = 64


def evaluate(
    model: ObjectDiscovery,
    data: SceneImages,
    seed: int = 0,
    num_slots: int | None = None,
    starts: int = 1,
    selection: Selection = "all",
    num_iterations: int | None = None,
) -> dict:
    """Computes every score of a model on a data set, in a form that JSON can hold.

    Args:
        model: the network. It computes without autocast, even if the caller has autocast on.
        data: scenes with masks, at the model's image size.
        seed: seed of the slots' starts.
        num_slots: K; by default the model's. Scenes with more objects need more slots.
        starts, selection, num_iterations: see `segment_by_all_masks`.

    Returns:
        The scores of `score_in_detail` with the responsibilities for pixels as masks. The entries
        `decoder_masks` and `slot_masks` hold `score_with_errors` of the other two kinds of masks.
        `num_slots`, `starts`, `selection` and `iterations` are the arguments. `iterations` is
        missing if the argument is None. `short_of_slots` counts the images
        with too few slots: one slot holds the background, and each visible object needs another.
        If there are such images, the function also warns.

    Raises:
        ValueError: the data have no masks, or a number or the selection is not valid.
    """
    given = model.config.num_slots if num_slots is None else check_whole("num_slots", num_slots)
    with without_autocast(next(model.parameters()).device):
        owners = segment_by_all_masks(
            model, data, seed, num_slots, starts, selection, num_iterations
        )
    scores = score_in_detail(data, owners["responsibilities"])
    counts = {int(objects): entry["images"] for objects, entry in scores["by_objects"].items()}
    short = sum(images for objects, images in counts.items() if objects + 1 > given)
    if short:
        warnings.warn(
            f"{short} of {len(data)} images show more objects than the {given} slots can hold "
            "beside the background: their scores say what too few slots cost; "
            f"num_slots={max(counts) + 1} is enough for all",
            stacklevel=2,
        )
    if num_iterations is not None:
        scores["iterations"] = check_whole("num_iterations", num_iterations)
    return scores | {
        "num_slots": given,
        "starts": starts,
        "selection": selection,
        "short_of_slots": short,
        "decoder_masks": score_with_errors(data, owners["decoder"]),
        "slot_masks": score_with_errors(data, owners["slots"]),
    }


@torch.no_grad()
def score_likelihood(model: ObjectDiscovery, data: SceneImages, seed: int = 0) -> dict[str, float]:
    """Computes how well a model explains images without masks.

    seed: seed of the slots' starts.

    Returns:
        `nats_per_pixel`: the mean log-likelihood of a pixel's colour under the mixture of the
        slots' paintings; larger is better. `squared_error`: the mean squared error of the
        reconstruction, per colour channel in [0, 1]. `images`: the number of images.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    nats, errors = [], []
    with without_autocast(device):
        for first in range(0, len(data), LIKELIHOOD_BATCH):
            images = data.batch(slice(first, first + LIKELIHOOD_BATCH)).images.to(device)
            output = model(images, noise=model.start_noise(len(images), generator))
            variance = 2 * math.pi * output.pixel_scale**2
            constant = 0.5 * images.shape[1] * math.log(variance)
            log_density = output.log_joint(images).logsumexp(dim=1) - constant  # (B, H, W)
            nats.append(log_density.mean(dim=(1, 2)).cpu())
            squares = (output.reconstruction - images).square()
            errors.append(squares.mean(dim=(1, 2, 3)).cpu())
    return {
        "nats_per_pixel": _mean(torch.cat(nats).double()),
        "squared_error": round(torch.cat(errors).double().mean().item(), SMALL_DECIMALS),
        "images": len(data),
    }


def score(data: SceneImages, segmentation: Tensor) -> dict[str, float]:
    """Computes the mean over images of each metric in `SCORES`, and the number of `images`.

    segmentation: integers `(M, H, W)`, the segment of each pixel of the M images in `data`.

    Raises `ValueError` if the data have no masks.
    """
    counts = _count(data, segmentation)
    means = {name: _mean(SEGMENTATION_METRICS[name](counts)) for name in SCORES}
    return means | {"images": len(data)}


def score_with_errors(data: SceneImages, segmentation: Tensor) -> dict:
    """Computes the mean over images and its standard error, for every metric.

    segmentation: integers `(M, H, W)`, the segment of each pixel of the M images in `data`.

    Returns:
        The mean of each metric in `SEGMENTATION_METRICS` by name. `segments`: the mean number of
        segments that own a pixel. `images`: the number of images. `standard_errors`: of each mean
        by name (None for a single image).

    Raises `ValueError` if the data have no masks.
    """
    return _means_with_errors(_score_images(_count(data, segmentation)))


def score_in_detail(data: SceneImages, segmentation: Tensor) -> dict:
    """Computes `score_with_errors`, and scores by number and by size of the visible objects.

    segmentation: integers `(M, H, W)`, the segment of each pixel of the M images in `data`.

    Returns:
        The scores of `score_with_errors`, and two more entries.
        `by_objects`: the same means over the images with n visible objects. The key is n as text,
        because JSON has no other keys.
        `by_size`: scores over the objects of each class in `SIZE_CLASSES`. They are the number of
        `objects`, the mean best `overlap` of an object with a segment, its `standard_error`, and
        the share of `missed` objects. A class without objects has no entry.

    Raises `ValueError` if the data have no masks.
    """
    counts = _count(data, segmentation)  # (M, T, P)
    values = _score_images(counts)  # (M,) each
    in_view = (counts[:, 1:].sum(dim=2) > 0).sum(dim=1)  # (M,)
    by_objects = {}
    for number in in_view.unique().tolist():
        chosen = in_view == number
        means = {name: _mean(value[chosen]) for name, value in values.items()}
        by_objects[str(number)] = means | {"images": int(chosen.sum())}
    by_size = _score_size_classes(counts, data.size)
    return _means_with_errors(values) | {"by_objects": by_objects, "by_size": by_size}


def _score_size_classes(counts: Tensor, size: tuple[int, int]) -> dict[str, dict]:
    """Computes `by_size` of `score_in_detail`. counts: `(M, T, P)`. size: height, width."""
    in_view = counts[:, 1:].sum(dim=2) > 0
    overlaps, pixels = (column[in_view] for column in overlaps_of_objects(counts))  # (objects,)
    shares = pixels / (size[0] * size[1])
    limits = [*SIZE_CLASSES.values(), torch.inf]
    by_size = {}
    for name, low, high in zip(SIZE_CLASSES, limits, limits[1:], strict=False):
        best = overlaps[(shares >= low) & (shares < high)]
        if len(best):
            by_size[name] = {
                "objects": len(best),
                "overlap": _mean(best),
                "standard_error": _standard_error(best),
                "missed": _mean((best < MISSED_BELOW).double()),
            }
    return by_size


def _count(data: SceneImages, segmentation: Tensor) -> Tensor:
    """Makes the table of counts `(M, T, P)` of a data set's masks and its segmentation."""
    if data.masks is None:
        raise ValueError(
            f"{data.name} ({data.split}) has no masks to score against: choose a split with masks"
        )
    return count_table(data.masks.to(segmentation.device), segmentation)


def _score_images(counts: Tensor) -> dict[str, Tensor]:
    """Computes the metrics and the number of segments of each image, `(M,)` each, by name."""
    values = {name: metric(counts) for name, metric in SEGMENTATION_METRICS.items()}
    return values | {"segments": (counts.sum(dim=1) > 0).sum(dim=1).double()}


def _means_with_errors(values: dict[str, Tensor]) -> dict:
    means = {name: _mean(value) for name, value in values.items()}
    errors = {name: _standard_error(value) for name, value in values.items()}
    return means | {"images": len(values["segments"]), "standard_errors": errors}


def _mean(values: Tensor) -> float:
    return round(values.mean().item(), DECIMALS)


def _standard_error(values: Tensor) -> float | None:
    return round((values.std() / len(values) ** 0.5).item(), DECIMALS) if len(values) > 1 else None
