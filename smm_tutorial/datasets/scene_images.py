"""What every data set becomes: images, masks and records of scenes, all in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor


class DatasetError(RuntimeError):
    """Files of a data set that are missing, damaged or contradict each other; says which one and
    what to do.
    """


class Batch(NamedTuple):
    """Some scenes, ready for a network."""

    images: Tensor  # (B, 3, H, W) float32 in [0, 1]
    masks: Tensor | None  # (B, H, W) int64, 0 = background, k = the scene's k-th object


@dataclass(frozen=True, repr=False)
class SceneImages:
    """A data set, or a part of one, in memory. Images stay bytes until `batch` makes floats of
    those it hands out.

    Args:
        images: (M, 3, H, W) uint8, RGB.
        filenames: M names of images, as the data set has them.
        name, split: which data this is.
        licence: under which it may be used.
        provenance: where it comes from; plain JSON values.
        masks: (M, H, W) uint8 or None; 0 = background, k = the scene's k-th object.
        records: M scene records as the data set has them, each with a list "objects", or None.
        `Scene.from_record` reads
            those of the CLEVR data sets that are in CLEVR's JSON.

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
                f"images must be uint8 (M, 3, H, W), got {self.images.dtype} {tuple(self.images.shape)}: floats in "
                "[0, 1] become bytes with (255 * images).round().byte()"
            )
        count, _, height, width = self.images.shape
        if self.masks is not None and (self.masks.dtype, self.masks.shape) != (
            torch.uint8,
            (count, height, width),
        ):
            raise ValueError(
                f"masks must be uint8 {(count, height, width)} to go with images {tuple(self.images.shape)}, "
                f"got {self.masks.dtype} {tuple(self.masks.shape)}"
            )
        for what, items in (("filenames", self.filenames), ("records", self.records)):
            if items is not None and len(items) != count:
                raise ValueError(f"{what} must be as many as the images, {count}, got {len(items)}")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        height, width = self.size
        having = (
            " and ".join(part for part in ("masks", "records") if getattr(self, part) is not None)
            or "no labels"
        )
        return f"<SceneImages {self.name}/{self.split}: {len(self)} scenes, {height} x {width}, {having}>"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.images.shape[2], self.images.shape[3]

    def batch(self, indices: Tensor | Sequence[int] | slice) -> Batch:
        """The scenes at `indices`, on the device where the data lies: images as floats, masks as
        int64.
        """
        if not isinstance(indices, slice):
            indices = torch.as_tensor(indices, dtype=torch.long)
        masks = None if self.masks is None else self.masks[indices].long()
        return Batch(self.images[indices].float() / 255, masks)

    def subset(self, indices: Tensor | Sequence[int] | slice) -> SceneImages:
        """A data set of the scenes at `indices`, in that order."""
        chosen = torch.arange(len(self))[
            indices if isinstance(indices, slice) else torch.as_tensor(indices).long()
        ]
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


def joined(parts: Sequence[SceneImages]) -> SceneImages:
    """One data set of all scenes of several that have records, in order; in everything else like
    the first.

    It has masks if all of them do.
    """
    with_masks = all(part.masks is not None for part in parts)
    return replace(
        parts[0],
        images=torch.cat([part.images for part in parts]),
        masks=torch.cat([part.masks for part in parts]) if with_masks else None,
        filenames=[name for part in parts for name in part.filenames],
        records=[record for part in parts for record in part.records],
    )


def check_bounds(limit: int | None, min_objects: int | None, max_objects: int | None) -> None:
    """Raises ValueError for a bound that no scene could meet; None means no bound."""
    for name, value, lowest in (
        ("limit", limit, 1),
        ("min_objects", min_objects, 0),
        ("max_objects", max_objects, 0),
    ):
        if value is not None and value < lowest:
            raise ValueError(
                f"{name} must be at least {lowest}, got {value}; leave it out for no bound"
            )


def choose_scenes(
    object_counts: Sequence[int] | None,
    num_scenes: int,
    limit: int | None = None,
    min_objects: int | None = None,
    max_objects: int | None = None,
) -> list[int]:
    """Indices of the first `limit` scenes with `min_objects` to `max_objects` objects, None meaning
    no bound.

    Args:
        object_counts: the number of objects of each scene, None where no records tell it.
        num_scenes: how many there are to choose from.

    Raises:
        ValueError: a bound on objects without records, an impossible bound, or no scene left.
    """
    check_bounds(limit, min_objects, max_objects)
    if min_objects is None and max_objects is None:
        return list(range(num_scenes))[:limit]
    if object_counts is None:
        raise ValueError(
            "min_objects and max_objects need scene records, and this split has none: leave them out"
        )
    fewest, most = min_objects or 0, float("inf") if max_objects is None else max_objects
    chosen = [index for index, count in enumerate(object_counts) if fewest <= count <= most]
    if not chosen:
        raise ValueError(
            f"none of the {num_scenes} scenes has {fewest} to {most} objects; "
            f"they have {min(object_counts, default=0)} to {max(object_counts, default=0)}"
        )
    return chosen[:limit]
