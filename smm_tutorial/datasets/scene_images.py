"""The common form of all data sets: images, masks and records of scenes in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from smm_tutorial.arguments import check_whole, show_value

MOST_OBJECTS = 255  # labels of a scene that fit into a byte, beside the background's 0


class DatasetError(RuntimeError):
    """Files of a data set are missing, damaged or contradictory. The message says what to do."""


class Batch(NamedTuple):
    """Some scenes, ready for a network."""

    images: Tensor  # (B, 3, H, W) float32 in [0, 1]
    masks: Tensor | None  # (B, H, W) int64, 0 = background, k = the scene's k-th object


@dataclass(frozen=True, repr=False)
class SceneImages:
    """A data set, or a part of a data set, in memory.

    Images are stored as bytes. `batch` converts the images that it returns to floats.

    Args:
        images: (M, 3, H, W) uint8, RGB.
        filenames: M names of images, as in the data set.
        name, split: of the data set.
        licence: of the data.
        provenance: where the data come from; plain JSON values.
        masks: (M, H, W) uint8 or None; 0 = background, k = the scene's k-th object.
        records: M scene records, each with a list "objects", or None. `Scene.from_record` reads
            records in CLEVR's JSON.

    Raises:
        ValueError: a wrong shape or type, or parts that disagree about M, H or W.
    """

    images: Tensor
    filenames: list[str]
    name: str
    split: str
    licence: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    masks: Tensor | None = None
    records: list[dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or self.images.shape[1] != 3:
            raise ValueError(
                f"images must be uint8 (M, 3, H, W), got {self.images.dtype} "
                f"{tuple(self.images.shape)}{_name_range(self.images)}: floats in [0, 1] become "
                "bytes with (255 * images).round().byte(), whole numbers from 0 to 255 with "
                "images.byte()"
            )
        count, _, height, width = self.images.shape
        expected = (torch.uint8, (count, height, width))
        if self.masks is not None and (self.masks.dtype, self.masks.shape) != expected:
            raise ValueError(
                f"masks must be uint8 {(count, height, width)} to go with images "
                f"{tuple(self.images.shape)}, got {self.masks.dtype} {tuple(self.masks.shape)}"
                f"{_name_range(self.masks)}: labels from 0 to {MOST_OBJECTS} become bytes with "
                "masks.byte()"
            )
        for what, items in (("filenames", self.filenames), ("records", self.records)):
            if items is not None and len(items) != count:
                raise ValueError(f"{what} must be as many as the images, {count}, got {len(items)}")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        height, width = self.size
        labels = [part for part in ("masks", "records") if getattr(self, part) is not None]
        having = " and ".join(labels) or "no labels"
        what = f"{self.name}/{self.split}"
        return f"<SceneImages {what}: {len(self)} scenes, {height} x {width}, {having}>"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.images.shape[2], self.images.shape[3]

    def batch(self, indices: Tensor | Sequence[int] | slice) -> Batch:
        """The scenes at `indices`, on the data's device: images as floats in [0, 1], masks as
        int64.

        Raises `ValueError` for indices that are not whole numbers.
        """
        indices = _as_indices(indices)
        masks = None if self.masks is None else self.masks[indices].long()
        return Batch(self.images[indices].float() / 255, masks)

    def subset(self, indices: Tensor | Sequence[int] | slice) -> SceneImages:
        """A data set of the scenes at `indices`, in that order. Raises `ValueError` as `batch`
        does.
        """
        indices = _as_indices(indices)
        chosen = torch.arange(len(self))[indices]
        order = chosen.tolist()
        return replace(
            self,
            images=self.images[chosen],
            masks=None if self.masks is None else self.masks[chosen],
            filenames=[self.filenames[index] for index in order],
            records=None if self.records is None else [self.records[index] for index in order],
        )

    def to(self, device: torch.device | str) -> SceneImages:
        """The same data with images and masks on `device`."""
        masks = None if self.masks is None else self.masks.to(device)
        return replace(self, images=self.images.to(device), masks=masks)


def _as_indices(indices: Tensor | Sequence[int] | slice) -> Tensor | slice:
    """The indices in torch's form. Fractions are refused: torch would cut them off silently."""
    if isinstance(indices, slice):
        return indices
    indices = torch.as_tensor(indices)
    is_whole = not (indices.dtype.is_floating_point or indices.dtype == torch.bool)
    if indices.numel() and not is_whole:
        raise ValueError(
            f"indices must be whole numbers, got {indices.dtype}: for a mask pass "
            "mask.nonzero().flatten()"
        )
    return indices.long()


def _name_range(values: Tensor) -> str:
    """The range of the values, for a message; an empty text without values."""
    if values.numel() == 0 or values.is_complex() or values.device.type == "meta":
        return ""
    low, high = (extreme.item() for extreme in values.cpu().double().aminmax())
    return f" from {low:g} to {high:g}"


def labels_as_bytes(labels: np.ndarray) -> np.ndarray:
    """A mask's labels, integers of any size and shape, as uint8.

    Raises:
        ValueError: a label that a byte cannot hold.
    """
    for label in (labels.min(), labels.max()):
        if not 0 <= label <= MOST_OBJECTS:
            raise ValueError(f"label {label}, but a mask holds labels from 0 to {MOST_OBJECTS}")
    return labels.astype(np.uint8)


def join_scenes(parts: Sequence[SceneImages]) -> SceneImages:
    """One data set with the scenes of several data sets that have records.

    All other fields are those of the first part. The result has masks if all parts have masks.
    """
    with_masks = all(part.masks is not None for part in parts)
    return replace(
        parts[0],
        images=torch.cat([part.images for part in parts]),
        masks=torch.cat([part.masks for part in parts]) if with_masks else None,
        filenames=[name for part in parts for name in part.filenames],
        records=[record for part in parts for record in part.records],
    )


def check_split(name: str, split: str, known: Iterable[str]) -> None:
    """Raises ValueError for a split that the data set does not have."""
    if not isinstance(split, str) or split not in known:
        raise ValueError(f"{name} has no split {show_value(split)}: known are {', '.join(known)}")


def check_incomplete(incomplete: str) -> None:
    """Raises ValueError unless the value is "error" or "skip"."""
    if incomplete not in ("error", "skip"):
        raise ValueError(f'incomplete must be "error" or "skip", got {incomplete!r}')


def check_bounds(limit: int | None, min_objects: int | None, max_objects: int | None) -> None:
    """Raises ValueError for a bound that is no number of scenes or objects; None is no bound."""
    bounds = {"limit": (limit, 1), "min_objects": (min_objects, 0), "max_objects": (max_objects, 0)}
    for name, (value, lowest) in bounds.items():
        if value is not None:
            check_whole(name, value, lowest)


def choose_scenes(
    object_counts: Sequence[int] | None,
    num_scenes: int,
    limit: int | None = None,
    min_objects: int | None = None,
    max_objects: int | None = None,
) -> list[int]:
    """Indices of the first `limit` scenes with `min_objects` to `max_objects` objects.

    Args:
        object_counts: the number of objects of each scene, or None without records.
        num_scenes: the number of scenes to choose from.
        limit, min_objects, max_objects: None means no bound.

    Raises:
        ValueError: a bound on objects without records, an impossible bound, or no scene left.
    """
    check_bounds(limit, min_objects, max_objects)
    if min_objects is None and max_objects is None:
        return list(range(num_scenes))[:limit]
    if object_counts is None:
        raise ValueError(
            "min_objects and max_objects need scene records, and this split has none: "
            "leave them out"
        )
    fewest = min_objects or 0
    most = float("inf") if max_objects is None else max_objects
    chosen = [index for index, count in enumerate(object_counts) if fewest <= count <= most]
    if not chosen:
        raise ValueError(
            f"none of the {num_scenes} scenes has {fewest} to {most} objects; "
            f"they have {min(object_counts, default=0)} to {max(object_counts, default=0)}"
        )
    return chosen[:limit]
