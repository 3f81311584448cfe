"""Object discovery in numbers: every metric of a segmentation, with its standard error.

Metrics see integer maps and count in float64, outside autocast.
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
#: Classes of objects by the share of the image that they cover in view, from which share on: a
#: quarter of clevr6's objects lies in each.
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
) -> dict:
    """Every score of a model on a data set, ready for JSON.

    Args:
        model: its outputs are computed outside autocast, whatever surrounds the call.
        data: with masks, at the model's image size.
        seed: of the slots' starts.
        num_slots: as built if not given; more of them for more objects.
        starts, selection: see `segment_by_all_masks`.

    Returns:
        `score_in_detail` by the responsibilities for pixels; `score_with_errors` by the other two
        kinds of masks under `decoder_masks` and `slot_masks`; `num_slots`, `starts`, `selection`;
        and `short_of_slots`, how many images show more objects than there are slots beside the
        background's. Where there are such images, a warning says so too.
    """
    given = model.config.num_slots if num_slots is None else check_whole("num_slots", num_slots)
    with without_autocast(next(model.parameters()).device):
        owners = segment_by_all_masks(model, data, seed, num_slots, starts, selection)
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
    """How well a model explains images without masks.

    nats_per_pixel: the mean log-likelihood of a pixel's colour under the mixture of the slots'
    paintings, larger is better. squared_error: of the reconstruction, per colour channel in [0, 1].
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
    """Means over the images of the metrics in `SCORES`, and how many `images` there were.

    Raises `ValueError` when the data have no masks.
    """
    counts = _count(data, segmentation)
    means = {name: _mean(SEGMENTATION_METRICS[name](counts)) for name in SCORES}
    return means | {"images": len(data)}


def score_with_errors(data: SceneImages, segmentation: Tensor) -> dict:
    """Means over the images of every metric in `SEGMENTATION_METRICS` and of `segments`, the number
    of segments in use.

    Beside them `images`, how many there were, and `standard_errors` of the means (None for a single
    image).

    Raises `ValueError` when the data have no masks.
    """
    return _means_with_errors(_score_images(_count(data, segmentation)))


def score_in_detail(data: SceneImages, segmentation: Tensor) -> dict:
    """`score_with_errors`, and how the scores depend on what is in view.

    by_objects: the same means over the images with so many objects in view, by that number (as
    text: JSON has no other keys).
    by_size: over the objects of each class in `SIZE_CLASSES`, how many `objects` there are, the
    mean of their best `overlap` with a segment, its standard error, and the share of `missed` ones;
    an empty class is left out.

    Raises `ValueError` when the data have no masks.
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
    """`by_size` of `score_in_detail`. counts: `(M, T, P)`."""
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
    """The table of counts `(M, T, P)` of a data set's masks and a segmentation of it."""
    if data.masks is None:
        raise ValueError(
            f"{data.name} ({data.split}) has no masks to score against: choose a split that has"
        )
    return count_table(data.masks.to(segmentation.device), segmentation)


def _score_images(counts: Tensor) -> dict[str, Tensor]:
    """What is averaged over images, `(M,)` each."""
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
