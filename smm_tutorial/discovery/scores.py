"""Object discovery in numbers: whose each pixel is by three kinds of masks, and every metric of it,
with its spread.

Maps of owners are argmaxes; where one is enlarged, it is by nearest neighbour. Metrics see integer
maps and count in float64, outside autocast.
"""

import warnings
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from smm_tutorial.clustering import GaussianMixtureEM
from smm_tutorial.datasets import SceneImages
from smm_tutorial.discovery.model import ObjectDiscovery
from smm_tutorial.discovery.slot_selection import all_slots, slots_by_bic
from smm_tutorial.metrics.contingency import count_table
from smm_tutorial.metrics.segmentation import (
    MISSED_BELOW,
    SEGMENTATION_METRICS,
    overlaps_of_objects,
)

#: The metrics that every table shows, by their names in `SEGMENTATION_METRICS`.
SCORES = ("fg_ari", "mbo", "miou", "ari")
#: Whose a pixel is: by the slots' responsibilities for the pixel itself | by the decoder's masks
#: alone | by the slot module's responsibilities for its inputs, enlarged.
Masks = Literal["responsibilities", "decoder", "slots"]
#: Which slots may own pixels: all | those that are worth their price, see `slot_selection`. No
#: labels are used.
Selection = Literal["all", "bic"]
SELECTIONS = {"all": all_slots, "bic": slots_by_bic}
#: Classes of objects by the share of the image that they cover in view: a quarter of clevr6's
#: objects lies in each.
SIZE_CLASSES = {
    "below 1.25 %": 0.0,
    "1.25 to 2.5 %": 0.0125,
    "2.5 to 5 %": 0.025,
    "5 % and more": 0.05,
}
EVALUATION_BATCH = 64
DECIMALS = 4


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
        starts, selection: see `segmentations`.

    Returns:
        `detailed_scores` by the responsibilities for pixels; `summary`s by the other two kinds of
        masks under `decoder_masks` and `slot_masks`; `num_slots`, `starts`, `selection`; and
        `short_of_slots`, how many images show more objects than there are slots beside the
        background's. Where there are such images, a warning says so too.
    """
    given = num_slots or model.config.num_slots
    with torch.autocast(next(model.parameters()).device.type, enabled=False):
        owners = segmentations(model, data, seed, num_slots, starts, selection)
    scores = detailed_scores(data, owners["responsibilities"])
    counts = {int(objects): entry["images"] for objects, entry in scores["by_objects"].items()}
    short = sum(images for objects, images in counts.items() if objects + 1 > given)
    if short:
        warnings.warn(
            f"{short} of {len(data)} images show more objects than the {given} slots can hold beside the background: "
            f"their scores say what too few slots cost; num_slots={max(counts) + 1} is enough for all",
            stacklevel=2,
        )
    return scores | {
        "num_slots": given,
        "starts": starts,
        "selection": selection,
        "short_of_slots": short,
        "decoder_masks": summary(data, owners["decoder"]),
        "slot_masks": summary(data, owners["slots"]),
    }


@torch.no_grad()
def segmentations(
    model: ObjectDiscovery,
    data: SceneImages,
    seed: int = 0,
    num_slots: int | None = None,
    starts: int = 1,
    selection: Selection = "all",
) -> dict[Masks, Tensor]:
    """The slot that owns each pixel of each image, by every kind of masks -> integers `(M, H, W)`,
    on the CPU.

    seed: of the slots' starts. starts: how many are tried for each image; the one that explains the
    image's pixels best is kept, as a mixture model keeps the best of `n_init`. selection: `all`
    slots own pixels | only those that are worth their price, `bic`; of several starts the best then
    is the one that is best after paying. No labels are used. Raises `ValueError` for fewer than one
    start or another selection.
    """
    if starts < 1:
        raise ValueError(f"starts must be at least 1, got {starts}")
    if selection not in SELECTIONS:
        raise ValueError(
            f"selection must be one of {', '.join(map(repr, SELECTIONS))}, got {selection!r}"
        )
    generator, device = torch.Generator().manual_seed(seed), next(model.parameters()).device
    maps: dict[Masks, list[Tensor]] = {"responsibilities": [], "decoder": [], "slots": []}
    for first in range(0, len(data), EVALUATION_BATCH):
        images = data.batch(slice(first, first + EVALUATION_BATCH)).images.to(device)
        best = torch.full((len(images),), -torch.inf, device=device)
        kept: dict[Masks, Tensor] = {}
        for _ in range(starts):
            noise = model.start_noise(len(images), generator, num_slots)
            output = model(images, num_slots=num_slots, noise=noise)
            selected = SELECTIONS[selection](output, images)
            found = {
                "responsibilities": selected.log_joint.argmax(dim=1),
                "decoder": selected.log_masks.argmax(dim=1),
            }
            shares = output.slot_output.responsibilities.masked_fill(
                ~selected.kept[:, None], -1
            )  # (B, N, K)
            found["slots"] = enlarged(shares.argmax(dim=2), data.size)
            better = (selected.worth > best)[:, None, None]
            kept = {
                name: torch.where(better, owners, kept.get(name, owners))
                for name, owners in found.items()
            }
            best = torch.maximum(best, selected.worth)
        for name, owners in kept.items():
            maps[name].append(owners.cpu())
    return {masks: torch.cat(owners) for masks, owners in maps.items()}


def enlarged(owners: Tensor, size: tuple[int, int]) -> Tensor:
    """Owners of the cells of a square grid `(B, N)`, row by row, as maps `(B, H, W)`, by nearest
    neighbour.
    """
    side = round(owners.shape[1] ** 0.5)
    cells = owners.unflatten(
        1, (1, side, side)
    ).double()  # (B, 1, side, side); slots' numbers are exact as floats
    return nn.functional.interpolate(cells, size, mode="nearest-exact").squeeze(1).long()


def segment(
    model: ObjectDiscovery,
    data: SceneImages,
    seed: int = 0,
    num_slots: int | None = None,
    masks: Masks = "responsibilities",
    starts: int = 1,
    selection: Selection = "all",
) -> Tensor:
    """`segmentations` by one kind of masks -> integer `(M, H, W)`, on the CPU."""
    return segmentations(model, data, seed, num_slots, starts, selection)[masks]


def segment_pixels(data: SceneImages, num_clusters: int, seed: int = 0) -> Tensor:
    """A Gaussian mixture on each image's pixels as (r, g, b, x, y), standardised -> integer `(M, H,
    W)`.

    What clustering does without learning: the first row of every table.
    """
    height, width = data.size
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    maps = []
    for image in data.images.cpu().numpy():
        points = np.concatenate([image.reshape(3, -1), x[None], y[None]]).T.astype(
            float
        )  # (H W, 5)
        points = (points - points.mean(0)) / np.maximum(points.std(0), 1e-6)
        mixture = GaussianMixtureEM(
            num_clusters, covariance_type="full", reg_covar=1e-4, random_state=seed, max_iter=50
        )
        maps.append(mixture.fit(points).predict(points).reshape(height, width))
    return torch.from_numpy(np.stack(maps))


def score(data: SceneImages, segmentation: Tensor) -> dict[str, float]:
    """Means over the images of the metrics in `SCORES`, and how many images there were.

    Raises `ValueError` when the data have no masks.
    """
    counts = _counts(data, segmentation)
    return {name: _mean(SEGMENTATION_METRICS[name](counts)) for name in SCORES} | {
        "images": len(data)
    }


def summary(data: SceneImages, segmentation: Tensor) -> dict:
    """Means over the images of every metric in `SEGMENTATION_METRICS` and of `segments`, the number
    of segments in use.

    Beside them `images`, how many there were, and `standard_errors` of the means (None for a single
    image).

    Raises `ValueError` when the data have no masks.
    """
    return _summary(_values(_counts(data, segmentation)))


def detailed_scores(data: SceneImages, segmentation: Tensor) -> dict:
    """The `summary`, and how the scores depend on what is in view.

    by_objects: means over the images with so many objects in view, by that number (as text: JSON
    has no other keys).
    by_size: over the objects of each class in `SIZE_CLASSES`, how many `objects` there are, the
    mean of their best `overlap` with a segment, its standard error, and the share of `missed` ones;
    an empty class is left out.

    Raises `ValueError` when the data have no masks.
    """
    counts = _counts(data, segmentation)  # (M, T, P)
    values, in_view = _values(counts), (counts[:, 1:].sum(dim=2) > 0).sum(dim=1)  # (M,) each
    by_objects = {}
    for number in in_view.unique().tolist():
        chosen = in_view == number
        means = {name: _mean(value[chosen]) for name, value in values.items()}
        by_objects[str(number)] = means | {"images": int(chosen.sum())}
    return _summary(values) | {"by_objects": by_objects, "by_size": _by_size(counts, data.size)}


def _by_size(counts: Tensor, size: tuple[int, int]) -> dict[str, dict]:
    overlaps, pixels = (
        column[counts[:, 1:].sum(dim=2) > 0] for column in overlaps_of_objects(counts)
    )  # (objects,) each
    shares = pixels / (size[0] * size[1])
    limits = [*SIZE_CLASSES.values(), np.inf]
    by_size = {}
    for name, low, high in zip(SIZE_CLASSES, limits, limits[1:], strict=False):
        best = overlaps[(shares >= low) & (shares < high)]
        if len(best):
            missed = (best < MISSED_BELOW).double()
            entry = {
                "overlap": _mean(best),
                "standard_error": _standard_error(best),
                "missed": _mean(missed),
            }
            by_size[name] = {"objects": len(best)} | entry
    return by_size


def _counts(data: SceneImages, segmentation: Tensor) -> Tensor:
    """The table of counts (M, T, P) of a data set's masks and a segmentation of it."""
    if data.masks is None:
        raise ValueError(
            f"{data.name} ({data.split}) has no masks to score against: choose a split that has"
        )
    return count_table(data.masks.to(segmentation.device), segmentation)


def _values(counts: Tensor) -> dict[str, Tensor]:
    """What is averaged over images, (M,) each."""
    values = {name: metric(counts) for name, metric in SEGMENTATION_METRICS.items()}
    return values | {"segments": (counts.sum(dim=1) > 0).sum(dim=1).double()}


def _summary(values: dict[str, Tensor]) -> dict:
    errors = {name: _standard_error(value) for name, value in values.items()}
    images = len(next(iter(values.values())))
    return {name: _mean(value) for name, value in values.items()} | {
        "images": images,
        "standard_errors": errors,
    }


def _mean(values: Tensor) -> float:
    return round(values.mean().item(), DECIMALS)


def _standard_error(values: Tensor) -> float | None:
    return round((values.std() / len(values) ** 0.5).item(), DECIMALS) if len(values) > 1 else None
